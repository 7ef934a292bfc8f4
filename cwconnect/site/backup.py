"""Copies of the embedded SQLite database: taken while everything runs, and put back whole or not at all.

Knows SQLite and files, and asks no Django model. A copy is one file without a write-ahead log beside it.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from cwconnect.core import sealed_files
from cwconnect.core.backup_folder import remove_drafts
from cwconnect.core.sealed_files import UnsealError, WrongPassphraseError
from instances.secrets.ciphertexts import Place
from polling.log.event_ids import IDS_SKIPPED

PAGES_A_STEP = 2000
_MARK = "cwconnect_backup"  # a table that only copies have: it says when they were taken
_SKIP_IDS = """
    INSERT INTO polling_logposition (id, last) VALUES (1, :skipped)
    ON CONFLICT (id) DO UPDATE SET last = last + :skipped
"""
_TABLES = {"django_migrations", "polling_heartbeat", "polling_logposition", "instances_instance"}
_TAKEN_EARLIER = "SELECT seen_at FROM polling_heartbeat WHERE name = 'backup taken'"  # by versions before the table
_BESIDE = ("", "-wal", "-shm")

Progress = Callable[[int, int], None]


class BackupError(Exception):
    """A copy that could not be taken or put back; the message says why, and nothing was changed."""


def take(
    database: Path,
    target: Path,
    now: datetime,
    *,
    passphrase: str = "",
    progress: Progress = lambda done, total: None,
) -> None:
    """Copy `database` as it is at this moment into `target`, in place of what is there; sealed, with a passphrase.

    Writers go on meanwhile: a read transaction of the write-ahead log holds the state still, so that the copy is of one
    moment and never begins anew. `progress` hears of pages done and in all. BackupError leaves no half copy; what
    takes its place is verified.
    """
    with _draft(target) as draft:
        if not passphrase:
            _copy(database, draft, now, progress)
            return
        # What is not sealed yet stands beside the database, and not where backups go.
        with _scratch(database.parent, f"{database.name}.plain") as plain:
            _copy(database, plain, now, progress)
            _seal(plain, draft, passphrase)


def _copy(database: Path, target: Path, now: datetime, progress: Progress) -> None:
    with closing(_opened(database, "rw")) as source, closing(sqlite3.connect(target)) as copy:
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
        _pour(source, copy, progress)
        source.rollback()
        copy.execute(f"CREATE TABLE {_MARK} (taken_at TEXT)")
        copy.execute(f"INSERT INTO {_MARK} VALUES (?)", (now.replace(tzinfo=None).isoformat(" "),))  # noqa: S608  (our own name)
        copy.commit()
    check(target)


def _seal(plain: Path, target: Path, passphrase: str) -> None:
    """Seal a file, and see that what was written gives back each byte of it."""
    with plain.open("rb") as source, target.open("wb") as stream:
        sealed_files.seal(source, stream, passphrase)
        stream.flush()
        os.fsync(stream.fileno())
    with plain.open("rb") as source, target.open("rb") as stream:
        wanted, found = sha256(), sha256()
        for piece in sealed_files.unseal(stream, passphrase):
            found.update(piece)
            wanted.update(source.read(len(piece)))
        if source.read(1) or wanted.digest() != found.digest():
            raise BackupError(f"{target.parent} does not give back what was written there: it is not to be trusted.")


@contextmanager
def readable(file: Path, passphrase: str, folder: Path) -> Iterator[Path]:
    """Return the backup `file`, or what is sealed in it, which stands in `folder` while the block runs. BackupError."""
    if not file.is_file():
        raise BackupError(f"There is no file {file}.")
    with _explained(f"{file} can't be read"):
        sealed = sealed_files.is_sealed(file)
    if not sealed:
        yield file
        return
    if not passphrase:
        raise BackupError(f"{file} is sealed: CWCONNECT_BACKUP_PASSPHRASE must be the passphrase it was sealed with.")
    with _scratch(folder, f"{file.name}.plain") as plain:
        with _explained(f"{file} can't be unsealed into {folder}"):
            _unseal(file, plain, passphrase)
        yield plain


def _unseal(file: Path, plain: Path, passphrase: str) -> None:
    try:
        with file.open("rb") as source, plain.open("wb") as stream:
            stream.writelines(sealed_files.unseal(source, passphrase))
    except WrongPassphraseError:
        raise BackupError(
            f"{file} does not open with the passphrase in CWCONNECT_BACKUP_PASSPHRASE: it was sealed with another one, "
            "or its beginning is damaged."
        ) from None
    except UnsealError as error:
        raise BackupError(f"{file} can't be unsealed. {error}") from None


@contextmanager
def scratch_copy(file: Path, folder: Path) -> Iterator[Path]:
    """Return a copy of a plain backup in `folder` that may be changed, and is gone after the block. BackupError."""
    with _scratch(folder, f"{file.name}.dry_run") as copy:
        with _explained(f"{file} can't be copied into {folder}"):
            shutil.copyfile(file, copy)
        yield copy


def check(file: Path, *, thorough: bool = False) -> None:
    """Raise BackupError unless `file` is a whole database of ours; `thorough`: each index entry compared too."""
    with _explained(f"{file} can't be read as a database"), closing(_reading(file)) as database:
        found = [row[0] for row in database.execute(f"PRAGMA {'integrity' if thorough else 'quick'}_check")]
        if found != ["ok"]:
            raise BackupError(f"{file} is damaged: {'; '.join(found[:3])}")
        names = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not names >= _TABLES:
        raise BackupError(f"{file} is a database, but not one of cwconnect.")


def taken_at(file: Path) -> str:
    """Return when the copy was taken, as UTC text; empty if it is no copy but a database itself."""
    with closing(_reading(file)) as database:
        marked = database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (_MARK,)).fetchone()
        row = database.execute(f"SELECT taken_at FROM {_MARK}" if marked else _TAKEN_EARLIER).fetchone()  # noqa: S608  (as above)
    return str(row[0])[:19] if row else ""


def migrations(file: Path) -> set[tuple[str, str]]:
    """Return the migrations that the copy has, as app and name."""
    with closing(_reading(file)) as database:
        return set(database.execute("SELECT app, name FROM django_migrations"))


def secrets(file: Path) -> dict[Place, str]:
    """Return a few secrets as stored, by where they stand, to try keys on."""
    with closing(_reading(file)) as database:
        rows = database.execute("SELECT id, private_key FROM instances_instance ORDER BY id DESC LIMIT 5")
        return {Place("instances_instance", "private_key", str(key)): secret for key, secret in rows}


def put_back(file: Path, database: Path, aside: Path, *, progress: Progress = lambda done, total: None) -> None:
    """Make `file` the database, keeping the present one as `aside`; BackupError while anybody has it open.

    Sessions are not brought back: who was signed out since stays so. The events' ids go on far beyond any recorded
    since the copy: a receiver, or a reader of `/v1/events?after=`, that knows those must not take new events for them.
    """
    with _draft(database) as draft:
        with closing(_reading(file)) as source, closing(sqlite3.connect(draft)) as copy:
            _pour(source, copy, progress)
            copy.execute("DELETE FROM django_session")
            copy.execute(f"DROP TABLE IF EXISTS {_MARK}")
            copy.execute(_SKIP_IDS, {"skipped": IDS_SKIPPED})
            copy.commit()
        _close(database)
        _set_aside(database, aside)


def _set_aside(database: Path, aside: Path) -> None:
    """Give the present database a second name, under which it stays; only a damaged one still has a log beside it.

    It becomes its owner's alone, whatever it was: one of an earlier version may be open to others.
    """
    for suffix in _BESIDE[1:]:
        if (log := _beside(database, suffix)).exists():
            log.rename(kept := _beside(aside, suffix))
            kept.chmod(0o600)
    if database.exists():
        aside.hardlink_to(database)
        aside.chmod(0o600)


def _close(database: Path) -> None:
    """Empty and remove the write-ahead log, which SQLite does only for one who is alone with the database."""
    if not database.exists():
        return
    with closing(sqlite3.connect(database, timeout=1)) as present:
        try:
            present.execute("PRAGMA journal_mode = DELETE").fetchone()
        except sqlite3.OperationalError as error:
            raise BackupError(f"{database} is in use by another process: {error}.") from None
        except sqlite3.DatabaseError:
            return  # damaged, which may be why it is being replaced; it is kept with its log


def _pour(source: sqlite3.Connection, copy: sqlite3.Connection, progress: Progress) -> None:
    source.backup(copy, pages=PAGES_A_STEP, progress=lambda _status, left, total: progress(total - left, total))
    copy.execute("PRAGMA journal_mode = DELETE").fetchone()


def _reading(file: Path) -> sqlite3.Connection:
    return _opened(file, "ro")


def _opened(file: Path, mode: str) -> sqlite3.Connection:
    # A database in use is opened for writing too: its readers share an index of the log that they write.
    if not file.is_file():
        raise BackupError(f"There is no file {file}.")
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode={mode}", uri=True, timeout=20)


@contextmanager
def _draft(target: Path) -> Iterator[Path]:
    """Return a path beside `target` that becomes it, at once and for good, when the block went well."""
    with _explained(f"{target} can't be written"), _scratch(target.parent, target.name) as draft:
        yield draft
        _sync(draft)
        draft.replace(target)
        _sync(target.parent)


@contextmanager
def _scratch(folder: Path, name: str) -> Iterator[Path]:
    """Return an empty file of its owner's alone, gone after the block; and remove those of killed processes."""
    remove_drafts(folder, name)
    scratch = folder / f".{name}.{os.getpid()}"
    scratch.unlink(missing_ok=True)  # of an earlier process of our number
    try:
        os.close(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        yield scratch
    finally:
        for suffix in (*_BESIDE, "-journal"):
            _beside(scratch, suffix).unlink(missing_ok=True)


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise BackupError(f"{what}: {error}.") from error


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
