"""`restore --check`: a backup tried on a copy beside what runs, by its keys, and in words what is wrong with it."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from cwconnect.site import backup, key_backup
from cwconnect.site.backup import BackupError
from cwconnect.site.backup_dry_run import DryRun, try_backup
from instances.secrets.rotation import secret_columns
from tests.site.test_backup import names
from tests.site.test_checks import manage
from tests.support.required import lengthy

PASSPHRASE = "correct horse battery"
FILL = """
from django.utils import timezone
from instances.credentials.issuing import issue_secrets
from instances.models import Organization
from polling.models import AlertDestination
from instances.secrets import Secret
issue_secrets(organization_name="Alpha", user_name="alice")
given = {"organization": Organization.objects.get(), "kind": "slack", "since": timezone.now()}
for number in range(3):
    AlertDestination(name=str(number), url=Secret.of("https://a.example"), **given).save()
"""


# All in one process: each takes seconds to start.
PREPARE = f"""
from django.conf import settings
from django.core.management import call_command
call_command("migrate", "polling", "0028", verbosity=0)
call_command("backup", settings.DATA_DIR / "older")
call_command("migrate", verbosity=0)
{FILL}
call_command("backup", settings.DATA_DIR / "plain")
settings.BACKUP_PASSPHRASE = {PASSPHRASE!r}
call_command("backup", settings.DATA_DIR / "sealed", with_keys=True)
"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose database has secrets, with a plain and a sealed backup beside it."""
    data = tmp_path_factory.mktemp("filled") / "data"
    done = manage(data, "shell", "--no-imports", "-c", PREPARE)
    assert done.returncode == 0, done.stderr
    return data


@pytest.fixture
def service(filled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(filled, tmp_path / "data"))


def check(data: Path, name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Try a backup; see that nothing was changed, and nothing left."""
    before = names(data) | {"in-use.lock"}, (data / "cwconnect.sqlite3").read_bytes()
    done = manage(data, "restore", "--check", str(data / name), *arguments, **environment)
    assert (names(data) | {"in-use.lock"}, (data / "cwconnect.sqlite3").read_bytes()) == before
    return done


def attempt(data: Path, name: str, *, passphrase: str = "", keys: Sequence[str] = ()) -> DryRun:
    """Try a backup as the command does, in this process."""
    own = (data / "encryption_keys").read_text().split(",")
    with backup.readable(data / name, passphrase, data) as plain:
        return try_backup(plain, keys or own, data)


def test_a_good_one_says_what_is_in_it_whoever_runs(service: Path) -> None:
    with closing(sqlite3.connect(service / "cwconnect.sqlite3")) as running:
        running.execute("BEGIN IMMEDIATE")
        done = check(service, "plain")
    assert done.returncode == 0, done.stderr
    assert "1 organization, 0 instances, 0 resources, 0 events, 0 notifications." in done.stdout
    assert "3 secrets opened by the keys." in done.stdout
    assert "It can be restored. Nothing was changed." in done.stdout


def test_a_sealed_one_wants_its_passphrase_and_the_keys_come_with_it(service: Path) -> None:
    assert "encryption_keys" not in (service / "sealed.keys").read_text()
    for passphrase, words in (
        ("", "is sealed: CWCONNECT_BACKUP_PASSPHRASE must"),
        ("another horse", "does not open with"),
    ):
        with pytest.raises(BackupError, match=words):
            attempt(service, "sealed", passphrase=passphrase)
    lost = attempt(service, "sealed", passphrase=PASSPHRASE, keys=[Fernet.generate_key().decode()])
    assert lost.problems == ["3 secrets in polling_alertdestination.url (by id) that no key at hand opens."]
    keys = key_backup.read(service / "sealed", passphrase=PASSPHRASE)["encryption_keys"]
    assert attempt(service, "sealed", passphrase=PASSPHRASE, keys=[keys]).problems == []


def test_a_damaged_one_is_named_as_such(service: Path) -> None:
    content = bytearray((service / "sealed").read_bytes())
    content[-2000] ^= 1
    (service / "sealed").write_bytes(content)
    with pytest.raises(BackupError, match="It is damaged or cut off"):
        attempt(service, "sealed", passphrase=PASSPHRASE)


@lengthy
def test_a_secret_that_was_moved_is_found(service: Path) -> None:
    with closing(sqlite3.connect(service / "plain")) as opened:
        opened.execute("UPDATE polling_alertdestination SET url = (SELECT max(url) FROM polling_alertdestination)")
        opened.commit()
    assert attempt(service, "plain").problems == [
        "2 secrets in polling_alertdestination.url (by id) that do not belong where they stand."
    ]


def test_a_newer_one_is_refused_by_the_command(service: Path) -> None:
    with closing(sqlite3.connect(service / "plain")) as opened:
        opened.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('polling', '0999_x', '2030-01-01')")
        opened.commit()
    newer = check(service, "plain")
    assert newer.returncode == 1
    assert "It is of a newer version of cwconnect: it has 0999_x." in newer.stderr


@lengthy
def test_an_older_one_is_brought_to_this_version_or_it_says_why_not(service: Path) -> None:
    older = attempt(service, "older")
    assert older.problems == []
    assert older.missing_migrations > 1
    with closing(sqlite3.connect(service / "older")) as opened:
        opened.execute("ALTER TABLE polling_pollrun ADD COLUMN traceparent text")
        opened.commit()
    [problem] = attempt(service, "older").problems
    assert problem.startswith("It can't be brought to this version: ")
    assert "duplicate column" in problem


def test_columns_of_secrets_are_called_as_their_fields_are() -> None:
    for model, fields in secret_columns():
        for name in fields:
            assert getattr(model._meta.get_field(name), "column", "") == name
