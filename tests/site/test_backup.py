"""Backup and restore: consistent while writers write, refused while anybody runs, all or nothing."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.conf import settings

from cwconnect.core.database_lock import InUseError, alone, hold
from cwconnect.site import backup
from cwconnect.site.backup import BackupError
from instances.secrets.ciphertexts import Place, seal
from tests.site.test_checks import manage
from tests.support.databases import place_tables

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
TABLES = """
PRAGMA journal_mode = WAL;
CREATE TABLE django_migrations (app TEXT, name TEXT);
CREATE TABLE django_session (session_key TEXT);
CREATE TABLE polling_heartbeat (name TEXT PRIMARY KEY, seen_at TEXT);
CREATE TABLE polling_logposition (id INTEGER PRIMARY KEY, last INTEGER);
CREATE TABLE instances_instance (id INTEGER PRIMARY KEY, private_key TEXT);
CREATE TABLE pairs (a INTEGER, b INTEGER, filler TEXT);
INSERT INTO django_session VALUES ('signed in');
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "cwconnect.sqlite3"
    with closing(sqlite3.connect(path)) as made:
        made.executescript(TABLES)
    return path


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as opened:
        return opened.execute(query).fetchall()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def writer(database: Path) -> Iterator[threading.Event]:
    """Write pairs that are equal in every transaction, without a pause, until the event is set."""
    done = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(database, timeout=20, isolation_level=None)) as own:
            number = 0
            while not done.is_set():
                number += 1
                own.execute("BEGIN IMMEDIATE")
                own.execute("INSERT INTO pairs VALUES (?, 0, ?)", (number, "x" * 2000))
                own.execute("UPDATE pairs SET b = a WHERE a = ?", (number,))
                own.execute("COMMIT")

    thread = threading.Thread(target=write)
    thread.start()
    yield done
    done.set()
    thread.join()


def test_a_copy_taken_under_writers_is_of_one_moment(
    database: Path, tmp_path: Path, writer: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "PAGES_A_STEP", 5)
    while rows(database, "SELECT count(*) FROM pairs")[0][0] < 50:  # type: ignore[operator]  # a number
        pass
    steps: list[tuple[int, int]] = []
    backup.take(database, tmp_path / "copy", NOW, progress=lambda done, total: steps.append((done, total)))
    at_end = rows(database, "SELECT count(*) FROM pairs")[0][0]
    writer.set()
    ((count, top),) = rows(tmp_path / "copy", "SELECT count(*), max(a) FROM pairs")
    assert 50 <= count == top < at_end  # type: ignore[operator]  # numbers
    assert rows(tmp_path / "copy", "SELECT * FROM pairs WHERE a <> b") == []
    assert steps[-1][0] == steps[-1][1]
    assert len({total for _, total in steps}) == 1, "the copy began anew"


def test_a_copy_is_one_file_for_its_owner_alone_that_says_when_it_was_taken(database: Path, tmp_path: Path) -> None:
    backup.take(database, tmp_path / "copies.sqlite3", NOW)
    assert names(tmp_path) == {"cwconnect.sqlite3", "copies.sqlite3"}
    assert stat.S_IMODE((tmp_path / "copies.sqlite3").stat().st_mode) == 0o600
    assert backup.taken_at(tmp_path / "copies.sqlite3") == "2026-11-24 12:00:00"
    assert backup.taken_at(database) == ""


def test_a_database_put_back_is_no_copy_any_more_and_may_be_copied_again(database: Path, tmp_path: Path) -> None:
    backup.take(database, tmp_path / "copy", NOW)
    backup.put_back(tmp_path / "copy", database, tmp_path / "aside")
    assert backup.taken_at(database) == ""
    backup.take(database, tmp_path / "later", NOW + timedelta(days=1))
    assert backup.taken_at(tmp_path / "later") == "2026-11-25 12:00:00"


def test_a_copy_that_an_earlier_version_took_says_when(database: Path) -> None:
    with closing(sqlite3.connect(database)) as opened:
        opened.execute("INSERT INTO polling_heartbeat VALUES ('backup taken', '2026-11-20 08:00:00.123')")
        opened.commit()
    assert backup.taken_at(database) == "2026-11-20 08:00:00"


def test_a_copy_that_fails_leaves_the_one_before(database: Path, tmp_path: Path) -> None:
    backup.take(database, tmp_path / "copy", NOW)
    before = (tmp_path / "copy").read_bytes()

    def fail(_done: int, _total: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(BackupError, match="No space left on device"):
        backup.take(database, tmp_path / "copy", NOW, progress=fail)
    assert (tmp_path / "copy").read_bytes() == before
    assert names(tmp_path) == {"cwconnect.sqlite3", "copy"}


@pytest.mark.parametrize("content", [b"", b"not a database at all, though it is long enough to have a header" * 20])
def test_what_is_no_backup_is_refused_and_nothing_changes(database: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(BackupError):
        backup.check(tmp_path / "file")
    with pytest.raises(BackupError, match="There is no file"):
        backup.check(tmp_path / "missing")


def test_a_damaged_backup_is_refused(database: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(database)) as opened:
        opened.executemany("INSERT INTO pairs VALUES (?, ?, ?)", [(n, n, "y" * 3000) for n in range(50)])
        opened.commit()
    backup.take(database, tmp_path / "copy", NOW)
    content = bytearray((tmp_path / "copy").read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4096] = b"\xff" * 4096
    (tmp_path / "copy").write_bytes(content)
    with pytest.raises(BackupError, match=r"damaged|can't be read"):
        backup.check(tmp_path / "copy")


def test_what_is_put_back_replaces_the_log_too_and_keeps_the_present_aside(database: Path, tmp_path: Path) -> None:
    backup.take(database, tmp_path / "copy", NOW)
    with closing(sqlite3.connect(database)) as opened:
        opened.execute("INSERT INTO pairs VALUES (1, 1, 'after the backup')")
        opened.commit()
    backup.put_back(tmp_path / "copy", database, tmp_path / "aside")
    assert names(tmp_path) == {"cwconnect.sqlite3", "copy", "aside"}
    assert rows(database, "SELECT * FROM pairs") == rows(database, "SELECT * FROM django_session") == []
    assert rows(tmp_path / "aside", "SELECT filler FROM pairs") == [("after the backup",)]


def test_a_database_that_somebody_has_open_is_not_replaced(database: Path, tmp_path: Path) -> None:
    backup.take(database, tmp_path / "copy", NOW)
    with closing(sqlite3.connect(database)) as other:
        other.execute("SELECT * FROM pairs").fetchall()
        before = database.stat().st_ino
        with pytest.raises(BackupError, match="in use by another process"):
            backup.put_back(tmp_path / "copy", database, tmp_path / "aside")
    assert database.stat().st_ino == before
    assert not (tmp_path / "aside").exists()


def test_a_damaged_database_is_replaced_and_kept_with_its_log(database: Path, tmp_path: Path) -> None:
    backup.take(database, tmp_path / "copy", NOW)
    database.write_bytes(b"nonsense" * 4096)
    (tmp_path / "cwconnect.sqlite3-wal").write_bytes(b"a log")
    backup.put_back(tmp_path / "copy", database, tmp_path / "aside")
    backup.check(database)
    assert (tmp_path / "aside").read_bytes().startswith(b"nonsense")
    assert not (tmp_path / "cwconnect.sqlite3-wal").exists()


def test_users_share_and_a_restore_wants_to_be_alone(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(InUseError, match="restore of the database is under way"):
        hold(tmp_path)
    hold(tmp_path)
    hold(tmp_path)
    with pytest.raises(InUseError, match=r"stop manage\.py up"), alone(tmp_path):
        pytest.fail("it was let in")


# The commands, as an operator runs them.


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a migrated database and one organization."""
    folder = tmp_path_factory.mktemp("fresh") / "data"
    place_tables(folder)
    assert manage(folder, "issue_secrets", "--organization=Alpha", "--user=alice").returncode == 0
    return folder


@pytest.fixture
def service(fresh: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fresh, tmp_path / "data"))


def test_a_backup_and_its_restore_by_command(service: Path, tmp_path: Path) -> None:
    file = tmp_path / "a backup"
    saved = manage(service, "backup", str(file))
    assert saved.returncode == 0, saved.stderr
    assert str(service / "encryption_keys") in saved.stdout
    assert "Without them every instance would have to be authenticated anew" in saved.stdout
    assert "already" in manage(service, "backup", str(file)).stderr
    assert manage(service, "issue_secrets", "--organization=Beta", "--user=bob").returncode == 0

    restored = manage(service, "restore", str(file))
    assert restored.returncode == 0, restored.stderr
    assert "manage.py verify INSTANCE_ID" in restored.stdout
    database = service / "cwconnect.sqlite3"
    assert rows(database, "SELECT name FROM instances_organization") == [("Alpha",)]
    assert ("database restored",) in rows(database, "SELECT action FROM instances_auditentry")
    (aside,) = service.glob("cwconnect.before-restore-*.sqlite3")
    assert len(rows(aside, "SELECT name FROM instances_organization")) == 2
    assert manage(service, "check").returncode == 0


def test_keys_come_along_only_when_asked_for(service: Path, tmp_path: Path) -> None:
    file, elsewhere = tmp_path / "copy", tmp_path / "another machine"
    assert manage(service, "backup", str(file), "--with-keys").returncode == 0
    keys = json.loads((tmp_path / "copy.keys").read_text())
    assert keys["encryption_keys"] == (service / "encryption_keys").read_text()
    assert stat.S_IMODE((tmp_path / "copy.keys").stat().st_mode) == 0o600
    assert manage(elsewhere, "restore", str(file), "--with-keys").returncode == 0
    first, second = (elsewhere / "encryption_keys").read_text().split(",")
    assert (first, second != first) == (keys["encryption_keys"], True)
    assert (elsewhere / "secret_key").read_text() == (service / "secret_key").read_text()


LOST = Fernet.generate_key().decode()


@pytest.mark.parametrize(
    "secret",
    [
        "v1:" + Fernet(LOST).encrypt(b"PRIV").decode(),
        seal("PRIV", Place("instances_instance", "private_key", "1"), [LOST]),
    ],
    ids=["bound to nothing", "bound to its row"],
)
def test_a_backup_that_no_key_opens_is_refused(service: Path, tmp_path: Path, secret: str) -> None:
    database = service / "cwconnect.sqlite3"
    with closing(sqlite3.connect(database)) as opened:
        columns = {row[1]: (row[2], row[3]) for row in opened.execute("PRAGMA table_info(instances_instance)")}
        needed = {
            name: 0 if "int" in kind else "" for name, (kind, not_null) in columns.items() if not_null and name != "id"
        }
        needed |= {"organization_id": 1, "public_key": secret, "private_key": secret, "tags": "[]"}
        needed |= {"created_at": "2026-01-01 00:00:00", "updated_at": "2026-01-01 00:00:00"}
        marks = ", ".join("?" for _ in needed)
        opened.execute(f"INSERT INTO instances_instance ({', '.join(needed)}) VALUES ({marks})", list(needed.values()))  # noqa: S608  (our own column names)
        opened.commit()
    assert manage(service, "backup", str(tmp_path / "copy")).returncode == 0, "a backup is taken whatever the keys"
    refused = manage(service, "restore", str(tmp_path / "copy"))
    assert refused.returncode == 1
    assert "Nothing was changed. The keys at hand don't open the backup's secrets." in refused.stderr


def test_a_backup_of_a_newer_version_is_refused(service: Path, tmp_path: Path) -> None:
    manage(service, "backup", str(tmp_path / "copy"))
    with closing(sqlite3.connect(tmp_path / "copy")) as opened:
        opened.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('polling', '0099_later', '2030-01-01')"
        )
        opened.commit()
    assert "newer version of cwconnect: it has 0099_later" in manage(service, "restore", str(tmp_path / "copy")).stderr


@pytest.mark.parametrize("module", ["cwconnect.wsgi", "cwconnect.asgi"])
def test_while_the_web_runs_nothing_is_restored(service: Path, tmp_path: Path, module: str) -> None:
    shutil.copy(service / "cwconnect.sqlite3", tmp_path / "copy")
    web = subprocess.Popen(
        [sys.executable, "-c", f"import {module}; print('up', flush=True); input()"],
        cwd=settings.BASE_DIR,
        env=os.environ | {"CWCONNECT_DATA_DIR": str(service), "DJANGO_SETTINGS_MODULE": "cwconnect.settings"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with web:
        assert web.stdout is not None
        assert web.stdin is not None
        assert web.stdout.readline() == b"up\n"
        refused = manage(service, "restore", str(tmp_path / "copy"))
        web.stdin.write(b"\n")
    assert refused.returncode == 1
    assert "Nothing was changed. cwconnect is running on this database" in refused.stderr


def test_a_worker_does_not_start_into_a_restore(service: Path) -> None:
    with alone(service):
        started = manage(service, "work")
    assert started.returncode == 1
    assert "A restore of the database is under way" in started.stderr


def test_another_database_is_copied_by_its_own_tools(tmp_path: Path) -> None:
    other = {
        "CWCONNECT_DATABASE_URL": "postgres://u@127.0.0.1:9/none",
        "CWCONNECT_SECRET_KEY": "k" * 60,
        "CWCONNECT_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
    }
    for command in ("backup", "restore"):
        refused = manage(tmp_path, command, str(tmp_path / "copy"), **other)
        assert refused.returncode == 1
        assert "pg_dump" in refused.stderr
