"""Backups by schedule: when they are due, what is kept, and who hears of what went wrong."""

from __future__ import annotations

import json
import logging
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from cwconnect.core import sealed_files
from cwconnect.core.backup_folder import LastTry, last_try, name_of, problem, state_of, taken_in
from cwconnect.site import key_backup, scheduled_backup
from cwconnect.site.backup import BackupError
from cwconnect.site.backup_metrics import backup_families
from cwconnect.site.checks import check_backups
from cwconnect.site.scheduled_backup import is_due, look_after_backups, take_scheduled
from instances.models import Membership, Organization, Role
from tests.site.test_backup import TABLES, names
from tests.support.receivers import Receiver

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def database(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sealed_files, "LOG_N", 4)
    monkeypatch.setattr(scheduled_backup, "_COMMAND", ("-c", "open(__import__('os').environ['BEGUN'], 'a').write('x')"))
    monkeypatch.setenv("BEGUN", str(tmp_path / "begun"))
    settings.DATA_DIR, settings.BACKUP_FOLDER = tmp_path / "data", tmp_path / "backups"
    settings.ON_SQLITE, settings.BACKUP_EVERY, settings.BACKUP_KEEP = True, 24 * HOUR, 3
    settings.DATA_DIR.mkdir()
    scheduled_backup._begun.clear()
    path: Path = settings.DATA_DIR / "cwconnect.sqlite3"
    with closing(sqlite3.connect(path)) as made:
        made.executescript(TABLES)
    return path


def state(settings: Settings) -> LastTry:
    return last_try(settings.DATA_DIR)


def test_one_is_due_at_first_and_when_the_last_is_old(database: Path) -> None:
    assert is_due(NOW)
    take_scheduled(database, NOW)
    assert not is_due(NOW + 23 * HOUR)
    assert is_due(NOW + 24 * HOUR)


def test_the_job_begins_a_process_and_not_another_while_that_may_run(database: Path, tmp_path: Path) -> None:
    begun = [look_after_backups(NOW + timedelta(minutes=minute)) for minute in range(12)]
    assert begun == [True, *[False] * 9, True, False]
    # The first may have ended before the second began, and was let go then: what both wrote says that both ran.
    assert {process.wait(60) for process in scheduled_backup._begun} == {0}
    assert (tmp_path / "begun").read_text() == "xx"


def test_the_process_that_is_begun_is_the_command(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    begun: list[list[str]] = []
    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", lambda command, **given: begun.append(command))
        scheduled_backup._start()
    scheduled_backup._begun.clear()
    assert begun == [[sys.executable, "-m", "django", "backup", "--scheduled"]]


def test_without_a_folder_and_on_another_database_nothing_is_begun(database: Path, settings: Settings) -> None:
    settings.ON_SQLITE = False
    assert not look_after_backups(NOW)
    settings.ON_SQLITE, settings.BACKUP_FOLDER = True, None
    assert not look_after_backups(NOW)


def test_a_folder_beside_another_database_is_warned_of(database: Path, settings: Settings) -> None:
    assert check_backups() == []
    settings.ON_SQLITE = False
    assert [warning.id for warning in check_backups()] == ["cwconnect.W009"]


def test_so_many_are_kept_and_only_ours_go(database: Path, settings: Settings) -> None:
    settings.BACKUP_FOLDER.mkdir()
    (settings.BACKUP_FOLDER / "cwconnect-of-mine.sqlite3").touch()
    for day in range(5):
        take_scheduled(database, NOW + day * 24 * HOUR)
    kept = [taken.at for taken in taken_in(settings.BACKUP_FOLDER, NOW + 200 * HOUR)]
    assert kept == [NOW + day * 24 * HOUR for day in (4, 3, 2)]
    assert "cwconnect-of-mine.sqlite3" in names(settings.BACKUP_FOLDER)


def test_one_of_the_future_ends_no_schedule(database: Path) -> None:
    take_scheduled(database, NOW + 1000 * HOUR)
    assert is_due(NOW)


def test_with_a_passphrase_the_keys_come_along_sealed(
    database: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in key_backup.NAMES.values():
        monkeypatch.delenv(variable)
    settings.BACKUP_PASSPHRASE, settings.BACKUP_KEEP = "correct horse battery", 1
    for name in key_backup.NAMES:
        (settings.DATA_DIR / name).write_text(f"the {name}")
    for day in range(2):
        file = take_scheduled(database, NOW + day * 24 * HOUR)
    assert names(settings.BACKUP_FOLDER) == {file.name, f"{file.name}.keys"}
    assert key_backup.read(file, passphrase=settings.BACKUP_PASSPHRASE)["secret_key"] == "the secret_key"
    for written in settings.BACKUP_FOLDER.iterdir():
        assert b"the secret_key" not in written.read_bytes()
        assert b"SQLite format" not in written.read_bytes()
    with pytest.raises(key_backup.KeysError, match="does not open with CWCONNECT_BACKUP_PASSPHRASE"):
        key_backup.read(file, passphrase="another horse")


def test_a_failure_keeps_the_older_ones_and_is_said(database: Path, settings: Settings) -> None:
    first = take_scheduled(database, NOW)
    settings.BACKUP_KEEP = 1
    database.write_bytes(b"nonsense" * 4096)
    with pytest.raises(BackupError):
        take_scheduled(database, NOW + 24 * HOUR)
    assert names(settings.BACKUP_FOLDER) == {first.name}
    said = problem(settings.BACKUP_FOLDER, settings.DATA_DIR, settings.BACKUP_EVERY, NOW + 24 * HOUR)
    assert "The backup failed:" in said
    assert "The last good one is of 24 Nov 2026, 12:00 UTC." in said


def test_a_folder_that_can_not_be_made_is_said(database: Path, settings: Settings) -> None:
    settings.BACKUP_FOLDER = database / "below a file"
    with pytest.raises(ImproperlyConfigured, match="CWCONNECT_BACKUP_FOLDER names a folder that can't be made"):
        take_scheduled(database, NOW)
    assert "can't be made" in state(settings).error


def test_the_next_good_one_ends_the_warning(database: Path, settings: Settings) -> None:
    (settings.DATA_DIR / state_of(LastTry())[0]).write_text(state_of(LastTry(NOW, "no space left", "failed"))[1])
    take_scheduled(database, NOW + HOUR)
    assert problem(settings.BACKUP_FOLDER, settings.DATA_DIR, settings.BACKUP_EVERY, NOW + HOUR) == ""
    assert state(settings) == LastTry(NOW + HOUR)


@pytest.mark.parametrize(
    ("hours", "began", "words"),
    [(47, 1, ""), (49, 1, "No backup was taken for 49 hours"), (None, 1, ""), (None, 25, "No backup came to its end")],
)
def test_what_is_too_old_or_never_came_is_said(
    database: Path, settings: Settings, hours: int | None, began: int, words: str
) -> None:
    if hours is not None:
        take_scheduled(database, NOW - hours * HOUR)
    name, content = state_of(LastTry(NOW - began * HOUR))
    (settings.DATA_DIR / name).write_text(content)
    said = problem(settings.BACKUP_FOLDER, settings.DATA_DIR, settings.BACKUP_EVERY, NOW)
    assert said.startswith(words)
    assert bool(said) is bool(words)


def test_the_operator_hears_once_of_a_failure_and_again_of_the_next(
    database: Path, settings: Settings, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    settings.OPERATOR_WEBHOOK_URL = receiver.url
    name, content = state_of(LastTry(NOW, "no space left on device"))
    (settings.DATA_DIR / name).write_text(content)
    for minute in range(3):
        look_after_backups(NOW + timedelta(minutes=minute))
    assert [json.loads(got.body)["text"] for got in receiver.got] == [
        "The backup failed: no space left on device There is none yet."
    ]
    assert [record.levelno for record in caplog.records if "no space left" in record.getMessage()] == [logging.ERROR]
    take_scheduled(database, NOW + HOUR)
    look_after_backups(NOW + HOUR)
    (settings.DATA_DIR / name).write_text(content)
    look_after_backups(NOW + HOUR)
    assert len(receiver.got) == 2


def test_names_are_read_as_they_are_written(tmp_path: Path) -> None:
    for sealed in (False, True):
        (tmp_path / name_of(NOW, sealed=sealed)).touch()
    (tmp_path / ".cwconnect-20261124T120000Z.sqlite3.4711").touch()
    assert [taken.at for taken in taken_in(tmp_path, NOW)] == [NOW, NOW]


def test_the_metrics_tell_of_the_newest_one_and_whether_all_is_well(database: Path, settings: Settings) -> None:
    def said(now: datetime) -> dict[str, float]:
        return {family.name: family.samples[0].value for family in backup_families(now)}

    assert said(NOW) == {"cwconnect_backup_ok": 1, "cwconnect_backups": 0}
    file = take_scheduled(database, NOW)
    found = said(NOW + HOUR)
    assert found["cwconnect_backup_ok"] == found["cwconnect_backups"] == 1
    assert found["cwconnect_backup_age_seconds"] == 3600
    assert found["cwconnect_backup_bytes"] == file.stat().st_size
    assert said(NOW + 50 * HOUR)["cwconnect_backup_ok"] == 0
    settings.BACKUP_FOLDER = None
    assert said(NOW) == {}


@pytest.mark.django_db
@pytest.mark.parametrize("staff", [True, False])
def test_the_overview_warns_who_runs_the_service_alone(
    database: Path, settings: Settings, organization: Organization, client: Client, staff: bool
) -> None:
    name, content = state_of(LastTry(NOW, "no space left on device."))
    (settings.DATA_DIR / name).write_text(content)
    account = User.objects.create_user("olga", is_staff=staff)
    Membership.objects.create(organization=organization, account=account, role=Role.OPERATOR)
    client.force_login(account)
    shown = client.get(reverse("overview")).content.decode()
    assert ("The backup failed: no space left on device." in shown) is staff
