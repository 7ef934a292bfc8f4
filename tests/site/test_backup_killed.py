"""Backup and restore, killed at every step: what counts as a backup is whole, and so is the database."""

from __future__ import annotations

import resource
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pytest_django import Settings

from cwconnect.core import sealed_files
from cwconnect.core.backup_folder import last_try, taken_in
from cwconnect.site import backup
from cwconnect.site.backup import BackupError
from cwconnect.site.scheduled_backup import take_scheduled
from tests.site.test_backup import TABLES, names, rows
from tests.support.killed_steps import do_in_child, kill_at_each_step

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PASSPHRASE = "correct horse battery"


@pytest.fixture
def database(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sealed_files, "LOG_N", 4)
    monkeypatch.setattr(sealed_files, "PIECE", 4096)
    settings.DATA_DIR, settings.BACKUP_FOLDER = tmp_path / "data", tmp_path / "backups"
    settings.DATA_DIR.mkdir()
    path: Path = settings.DATA_DIR / "cwconnect.sqlite3"
    with closing(sqlite3.connect(path)) as made:
        made.executescript(TABLES)
        made.executemany("INSERT INTO pairs VALUES (?, ?, ?)", [(n, n, "y" * 500) for n in range(40)])
        made.commit()
    return path


@pytest.mark.parametrize("passphrase", ["", PASSPHRASE], ids=["plain", "sealed"])
def test_a_backup_killed_anywhere_leaves_whole_ones_alone(database: Path, settings: Settings, passphrase: str) -> None:
    settings.BACKUP_PASSPHRASE, settings.BACKUP_KEEP = passphrase, 2
    folder = settings.BACKUP_FOLDER
    for days in (2, 1):
        take_scheduled(database, NOW - timedelta(days=days))
    before = names(folder)

    def after(_: int) -> None:
        found = taken_in(folder, NOW)
        assert len(found) >= 2
        for one in found:
            with backup.readable(one.file, passphrase, database.parent) as plain:
                backup.check(plain)
        assert rows(database, "SELECT count(*) FROM pairs") == [(40,)]

    killed = kill_at_each_step(lambda: take_scheduled(database, NOW), after)
    assert killed > 20
    take_scheduled(database, NOW + timedelta(days=1))
    assert len(names(folder)) == len(before), "drafts and older backups are gone"
    assert not {name for name in names(database.parent) if "plain" in name}, "nothing unsealed is left"


@pytest.mark.parametrize("passphrase", ["", PASSPHRASE], ids=["plain", "sealed"])
def test_a_restore_killed_anywhere_leaves_one_database_or_the_other(
    database: Path, tmp_path: Path, passphrase: str
) -> None:
    file = tmp_path / "a backup"
    backup.take(database, file, NOW, passphrase=passphrase)
    with closing(sqlite3.connect(database)) as opened:
        opened.execute("DELETE FROM pairs WHERE a >= 30")
        opened.commit()
    number = 0

    def restore() -> None:
        with backup.readable(file, passphrase, database.parent) as plain:
            backup.check(plain)
            backup.put_back(plain, database, database.with_name(f"aside-{number}"))

    def after(step: int) -> None:
        nonlocal number
        number = step
        backup.check(database)
        assert rows(database, "SELECT count(*) FROM pairs") in ([(30,)], [(40,)])

    assert kill_at_each_step(restore, after) > 10
    assert rows(database, "SELECT count(*) FROM pairs") == [(40,)]
    assert not {name for name in names(database.parent) if name.startswith(".")}, "drafts are gone"
    for aside in database.parent.glob("aside-*"):
        backup.check(aside)


@pytest.mark.parametrize("passphrase", ["", PASSPHRASE], ids=["plain", "sealed"])
def test_a_disk_that_is_full_leaves_whole_ones_alone_and_says_so(
    database: Path, settings: Settings, passphrase: str
) -> None:
    settings.BACKUP_PASSPHRASE, settings.BACKUP_KEEP = passphrase, 1
    first = take_scheduled(database, NOW - timedelta(days=1))
    before = names(settings.BACKUP_FOLDER)

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, 16_384))  # a file can't grow beyond: as a disk that is full
        with pytest.raises(BackupError):
            take_scheduled(database, NOW)

    do_in_child(fill)
    assert names(settings.BACKUP_FOLDER) == before
    with backup.readable(first, passphrase, database.parent) as plain:
        backup.check(plain)
    assert last_try(settings.DATA_DIR).error
    assert not {name for name in names(database.parent) if "plain" in name}
