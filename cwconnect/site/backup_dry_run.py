"""A backup tried before it is needed: on a copy, beside everything that runs, with nothing changed.

Whole to the last index entry, of a version that can be brought to this one, and every secret in it opened by the keys.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from django.conf import settings
from django.db.migrations.loader import MigrationLoader

from cwconnect.core.text import counted
from cwconnect.site import backup
from instances.secrets import SecretMisplacedError, SecretUnreadableError
from instances.secrets.ciphertexts import Place, is_unbound, open_unbound, unseal
from instances.secrets.rotation import secret_columns

_OURS = {"instances", "polling"}
_COUNTED = {
    "instances_organization": "organization",
    "instances_instance": "instance",
    "instances_resourcepoll": "resource",
    "polling_event": "event",
    "polling_notification": "notification",
}


@dataclass
class DryRun:
    """What a dry run found; `problems` are what a restore would fail for, or what would be lost."""

    taken_at: str
    counts: dict[str, int]
    newest_event: str
    missing_migrations: int
    secrets: int = 0
    problems: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """Say what it is, for people."""
        yield f"Taken at {self.taken_at} UTC; whole." if self.taken_at else "A database, not a backup of one; whole."
        yield ", ".join(counted(number, _COUNTED[table]) for table, number in self.counts.items()) + "."
        yield f"The newest event is of {self.newest_event} UTC." if self.newest_event else "There is no event."
        if self.missing_migrations:
            yield f"{counted(self.missing_migrations, 'migration')} brought the copy to this version."
        yield f"{counted(self.secrets, 'secret')} opened by the keys."


def try_backup(file: Path, keys: Sequence[str], folder: Path) -> DryRun:
    """Try a plain backup with these encryption keys, on a copy in `folder`. BackupError if it is no whole database."""
    backup.check(file, thorough=True)
    with backup.scratch_copy(file, folder) as copy:
        applied = backup.migrations(copy)
        dry_run = _look(copy, len(_known() - applied))
        _open_secrets(copy, keys, dry_run)
        if newer := newer_migrations(applied):
            dry_run.problems.append(f"It is of a newer version of cwconnect: it has {', '.join(newer)}.")
        elif problem := _migrate(copy, keys):
            dry_run.problems.append(f"It can't be brought to this version: {problem}")
    return dry_run


def newer_migrations(applied: Collection[tuple[str, str]]) -> list[str]:
    """Return the names of our migrations among `applied` that this version does not know."""
    known = set(MigrationLoader(None, ignore_no_migrations=True).disk_migrations)
    return sorted(name for app, name in set(applied) - known if app in _OURS)


def _known() -> set[tuple[str, str]]:
    loader = MigrationLoader(None, ignore_no_migrations=True)
    return {key for key in loader.disk_migrations if key not in loader.replacements}


def _look(file: Path, missing: int) -> DryRun:
    with closing(sqlite3.connect(file)) as opened:
        counts = {table: opened.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in _COUNTED}  # noqa: S608  (our own names)
        newest = opened.execute("SELECT max(polled_at) FROM polling_event").fetchone()[0]
    return DryRun(backup.taken_at(file), counts, str(newest or "")[:19], missing)


def _open_secrets(file: Path, keys: Sequence[str], dry_run: DryRun) -> None:
    """Open each secret that there is; which can't be opened is a problem, by table and column."""
    for table, key, column, rows in _stored(file):
        unreadable = misplaced = 0
        for row, secret in rows:
            try:
                _open(secret, Place(table, column, str(row)), keys)
                dry_run.secrets += 1
            except SecretMisplacedError:
                misplaced += 1
            except (SecretUnreadableError, ValueError):
                unreadable += 1
        for number, words in ((unreadable, "no key at hand opens"), (misplaced, "do not belong where they stand")):
            if number:
                dry_run.problems.append(f"{counted(number, 'secret')} in {table}.{column} (by {key}) that {words}.")


def _open(secret: str, place: Place, keys: Sequence[str]) -> None:
    open_unbound(secret, keys) if is_unbound(secret) else unseal(secret, place, keys)


def _stored(file: Path) -> Iterator[tuple[str, str, str, Iterable[tuple[object, str]]]]:
    """Return table, key, column and secrets of each column that the backup has: an older one may lack some."""
    with closing(sqlite3.connect(file)) as opened:
        for model, names in secret_columns():
            table, key = model._meta.db_table, str(model._meta.pk.column)  # noqa: SLF001  (documented: Django's model API)
            there = {row[1] for row in opened.execute(f"PRAGMA table_info({table})")}
            for column in names:  # a test sees to it that the database calls them so
                if column in there:
                    yield (
                        table,
                        key,
                        column,
                        opened.execute(
                            f"SELECT {key}, {column} FROM {table} WHERE {column} IS NOT NULL AND {column} <> ''"  # noqa: S608  (our own names)
                        ),
                    )


def _migrate(copy: Path, keys: Sequence[str]) -> str:
    """Bring the copy to this version in a process of its own; return why it can't be, empty if it was."""
    given = {
        "CWCONNECT_DATABASE_URL": f"sqlite:///{quote(str(copy))}",
        "CWCONNECT_SECRET_KEY": settings.SECRET_KEY,
        "CWCONNECT_ENCRYPTION_KEYS": ",".join(keys),
        "DJANGO_SETTINGS_MODULE": "cwconnect.settings",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]),
    }
    done = subprocess.run(
        [sys.executable, "-m", "django", "migrate", "--verbosity=0", "--no-input", "--skip-checks"],
        env=os.environ | given,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["it ended without a word."])[-1]
