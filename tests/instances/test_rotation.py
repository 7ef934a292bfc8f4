"""Key rotation: everything stands under the first key in the end, whatever interrupts it."""

from __future__ import annotations

import io
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from pytest_django import Settings

from cwconnect.core import env
from instances import secrets
from instances.models import AuditEntry, Instance, Organization
from instances.secrets import Place, Secret, SecretUnreadableError, rotation
from instances.secrets.binding import MIGRATION, all_bound
from instances.secrets.ciphertexts import seal
from instances.secrets.rotation import count_rows, rotate, secret_columns
from polling.models import Subscription
from tests.support.rows import further_subscription, make_instance

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


def test_secrets_of_further_subscriptions_are_written_anew_too(organization: Organization, settings: Settings) -> None:
    texts = {
        "signature_key": "signs",
        "previous_signature_key": "signed",
        "callback_headers": '{"X-Token": "of a header"}',
        "basic_password": "a password",
    }
    assert set(texts) == set(dict(secret_columns())[Subscription])
    instance = make_instance(organization)
    for number in (1, 2):
        further_subscription(instance, number, **{name: Secret.of(f"{text} {number}") for name, text in texts.items()})
    new_key(settings)
    assert command().startswith("11 secrets written anew; 0 stood")
    settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]
    further = Subscription.objects.exclude(pk=instance.pk).order_by("pk")
    for number, row in enumerate(further, 1):
        assert {name: getattr(row, name).reveal() for name in texts} == {
            name: f"{text} {number}" for name, text in texts.items()
        }
    assert command().startswith("0 secrets written anew; 11 stood")


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
    assert sum(heard) == count_rows() == 10  # with the first subscription of each


def test_a_secret_changed_meanwhile_is_not_put_back(instances: list[Instance], settings: Settings) -> None:
    new_key(settings)
    stale = Instance.objects.get(pk=instances[0].pk)
    changed = Instance.objects.get(pk=stale.pk)
    changed.private_key = Secret.of("changed by a person")
    changed.save()
    rotated = rotation.Rotated()
    rotation._rotate_row(Instance, ["private_key"], stale, rotated)
    assert rotated.rewritten == 0
    assert Instance.objects.get(pk=stale.pk).private_key.reveal() == "changed by a person"


def test_what_no_key_opens_is_named_and_the_rest_goes_on(instances: list[Instance], settings: Settings) -> None:
    place = Place("instances_instance", "private_key", str(instances[2].pk))
    lost = Secret(seal("x", place, [Fernet.generate_key().decode()]))
    Instance.objects.filter(pk=instances[2].pk).update(private_key=lost)
    new_key(settings)
    with pytest.raises(
        CommandError, match=f"No key opens 1 secrets.*\n  instances.Instance {instances[2].pk}, private_key"
    ):
        command()
    assert rotate().current == 14


def test_what_was_moved_is_named_and_the_rest_goes_on(instances: list[Instance], settings: Settings) -> None:
    moved = Instance.objects.filter(pk=instances[1].pk).values_list("private_key", flat=True).get()
    Instance.objects.filter(pk=instances[2].pk).update(private_key=moved)
    new_key(settings)
    with pytest.raises(
        CommandError,
        match=f"1 secrets were altered or moved.*\n  instances.Instance {instances[2].pk}, private_key",
    ):
        command()
    assert rotate().current == 14


def unbind(instances: list[Instance], settings: Settings) -> None:
    """Have every secret of the instances stand as the version wrote it that bound secrets to nothing."""
    fernet = Fernet(settings.ENCRYPTION_KEYS[0])
    for instance in instances:
        old = {name: fernet.encrypt(getattr(instance, name).reveal().encode()).decode() for name in COLUMNS}
        Instance.objects.filter(pk=instance.pk).update(**{name: Secret(f"v1:{text}") for name, text in old.items()})


def upgrade(executor: MigrationExecutor) -> None:
    """Run the migration that binds, as `manage.py migrate` does; its record is made only at its end."""
    executor.loader.build_graph()
    state = executor.loader.project_state(MIGRATION, at_end=False)
    executor.apply_migration(state, executor.loader.get_migration(*MIGRATION))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("writes", range(15))
def test_the_upgrade_that_binds_may_be_cut_off_at_any_secret(
    instances: list[Instance], settings: Settings, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    unbind(instances, settings)
    monkeypatch.setattr(rotation, "BATCH", 2)
    executor = MigrationExecutor(connection)
    executor.recorder.record_unapplied(*MIGRATION)
    left = [writes]

    def sealed(*args: Any) -> str:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return seal(*args)

    monkeypatch.setattr(secrets, "seal", sealed)
    with pytest.raises(KeyboardInterrupt):
        upgrade(executor)
    monkeypatch.setattr(secrets, "seal", seal)
    assert not all_bound()
    assert [row.private_key.reveal() for row in Instance.objects.order_by("pk")] == [f"private {n}" for n in range(5)]
    upgrade(executor)
    assert all_bound()
    assert [row.private_key.reveal() for row in Instance.objects.order_by("pk")] == [f"private {n}" for n in range(5)]
    assert (rotate().current, rotate().rewritten) == (15, 0)


@pytest.mark.django_db(transaction=True)
def test_the_upgrade_ends_although_a_secret_is_lost_and_says_which(
    instances: list[Instance], settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    unbind(instances, settings)
    lost = Secret("v1:" + Fernet(Fernet.generate_key()).encrypt(b"x").decode())
    Instance.objects.filter(pk=instances[2].pk).update(private_key=lost)
    executor = MigrationExecutor(connection)
    executor.recorder.record_unapplied(*MIGRATION)
    upgrade(executor)
    assert all_bound()
    assert f"instances.Instance {instances[2].pk}, private_key" in caplog.text
    assert rotate().current == 14


@pytest.mark.django_db(transaction=True)
def test_with_the_wrong_keys_the_upgrade_does_not_count_as_done(instances: list[Instance], settings: Settings) -> None:
    unbind(instances, settings)
    executor = MigrationExecutor(connection)
    executor.recorder.record_unapplied(*MIGRATION)
    right, settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS, [Fernet.generate_key().decode()]
    with pytest.raises(RuntimeError, match="No key in CWCONNECT_ENCRYPTION_KEYS"):
        upgrade(executor)
    settings.ENCRYPTION_KEYS = right
    upgrade(executor)
    assert rotate().current == 15


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
