"""Key rotation: everything stands under the first key in the end, whatever interrupts it."""

from __future__ import annotations

import io
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from pytest_django import Settings

from cwconnect.core import env
from instances.models import AuditEntry, Instance, Organization
from instances.secrets import Secret, SecretUnreadableError, rotation
from instances.secrets.rotation import count_rows, rotate, secret_columns
from tests.site.rows import make_instance

COLUMNS = ("public_key", "private_key", "signature_key")


@pytest.fixture
def instances(organization: Organization) -> list[Instance]:
    return [make_instance(organization, private_key=Secret.of(f"private {number}")) for number in range(5)]


def new_key(settings: Settings) -> str:
    """Put a new first key; give the old ones' text."""
    old = settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *old]
    return str(old[0])


def reads(settings: Settings) -> list[str]:
    """Return the private keys as the first key alone opens them."""
    settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]
    return [instance.private_key.reveal() for instance in Instance.objects.order_by("pk")]


def command(**options: Any) -> str:
    said = io.StringIO()
    call_command("rotate_keys", stdout=said, verbosity=0, **options)
    return said.getvalue()


def test_every_secret_column_there_is_takes_part() -> None:
    found = {model.__name__: names for model, names in secret_columns()}
    assert set(COLUMNS) < set(found["Instance"])
    assert "answer" in found["IdempotentAnswer"]


@pytest.mark.usefixtures("instances")
def test_afterwards_the_first_key_alone_opens_everything(settings: Settings) -> None:
    new_key(settings)
    assert command().startswith("15 secrets written anew; 0 stood")
    assert reads(settings) == [f"private {number}" for number in range(5)]
    assert AuditEntry.objects.get(action="encryption keys rotated").details == {"rewritten": 15}


@pytest.mark.usefixtures("instances")
def test_a_second_run_has_nothing_to_do_and_leaves_no_record(settings: Settings) -> None:
    new_key(settings)
    command()
    before = list(Instance.objects.values_list("private_key", "updated_at"))
    assert command().startswith("0 secrets written anew; 15 stood")
    assert list(Instance.objects.values_list("private_key", "updated_at")) == before
    assert AuditEntry.objects.filter(action="encryption keys rotated").count() == 1


@pytest.mark.usefixtures("instances")
def test_interrupted_it_has_lost_nothing_and_goes_on(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "BATCH", 2)
    new_key(settings)

    def interrupt(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rotate(progress=interrupt)
    assert [instance.private_key.reveal() for instance in Instance.objects.order_by("pk")][4] == "private 4"
    rotated = rotate()
    assert (rotated.rewritten, rotated.current) == (9, 6)
    assert len(reads(settings)) == 5


@pytest.mark.usefixtures("instances")
def test_progress_hears_of_every_row(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "BATCH", 2)
    heard: list[int] = []
    rotate(progress=heard.append)
    assert sum(heard) == count_rows() == 5


def test_a_secret_changed_meanwhile_is_not_put_back(instances: list[Instance], settings: Settings) -> None:
    new_key(settings)
    stale = Instance.objects.get(pk=instances[0].pk)
    Instance.objects.filter(pk=stale.pk).update(private_key=Secret.of("changed by a person"))
    rotated = rotation.Rotated()
    rotation._rotate_row(Instance, ["private_key"], stale, rotated)
    assert rotated.rewritten == 0
    assert Instance.objects.get(pk=stale.pk).private_key.reveal() == "changed by a person"


def test_what_no_key_opens_is_named_and_the_rest_goes_on(instances: list[Instance], settings: Settings) -> None:
    lost = Secret("v1:" + Fernet(Fernet.generate_key()).encrypt(b"x").decode())
    Instance.objects.filter(pk=instances[2].pk).update(private_key=lost)
    new_key(settings)
    with pytest.raises(
        CommandError, match=f"No key opens 1 secrets.*\n  instances.Instance {instances[2].pk}, private_key"
    ):
        command()
    assert rotate().current == 14


def test_what_was_never_encrypted_is_not_rewritten(settings: Settings) -> None:
    with pytest.raises(SecretUnreadableError):
        Secret("plain text").rotated()


@pytest.mark.django_db
def test_a_new_key_is_put_first_in_the_data_folder(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CWCONNECT_ENCRYPTION_KEYS")
    settings.DATA_DIR = tmp_path
    old = env.make_encryption_key()
    (tmp_path / "encryption_keys").write_text(old)
    said = command(add_key=True)
    new, kept = (tmp_path / "encryption_keys").read_text().split(",")
    assert kept == old
    assert Fernet(new)
    assert "Restart" in said
    assert new not in said
    assert stat.S_IMODE((tmp_path / "encryption_keys").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["encryption_keys"]


@pytest.mark.django_db
def test_where_keys_come_from_the_environment_no_key_is_made(settings: Settings) -> None:
    with pytest.raises(CommandError, match="put a new one first there yourself"):
        command(add_key=True)
