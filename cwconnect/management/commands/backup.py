"""`manage.py backup FILE`: copy the embedded database while everything runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from cwconnect.core import terminal
from cwconnect.core.terminal import progress
from cwconnect.site import backup, key_backup, scheduled_backup

_KEYS_NEEDED = (
    "Its secrets can only be read with the encryption keys ({where}), which are not in it: keep a copy of them, apart "
    "from it. Without them every instance would have to be authenticated anew."
)


def embedded_database() -> Path:
    """Return the path of the embedded database; CommandError where another one is used."""
    database = settings.DATABASES["default"]
    if not database["ENGINE"].endswith("sqlite3"):
        raise CommandError("This copies the embedded database alone. For PostgreSQL use pg_dump and pg_restore.")
    return Path(database["NAME"])


class Command(terminal.Command):
    """Copies the database as of one moment; nothing has to be stopped."""

    help = "Copy the embedded database into FILE while everything runs: one consistent moment."
    requires_system_checks = ()  # a copy can be wanted most when something is wrong

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the file and the two switches."""
        parser.add_argument("file", type=Path, metavar="FILE", nargs="?")
        parser.add_argument(
            "--scheduled",
            action="store_true",
            help="take one into CWCONNECT_BACKUP_FOLDER now, as the workers do by themselves, and remove older ones",
        )
        parser.add_argument("--replace", action="store_true", help="replace FILE if it exists")
        parser.add_argument(
            "--with-keys",
            action="store_true",
            help="also write the data folder's keys, to FILE.keys; whoever has both files can read every secret",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Copy with progress, and say what else is needed."""
        database, file = embedded_database(), options["file"]
        if options["scheduled"]:
            self._take_scheduled(database)
            return
        if file is None:
            raise CommandError("Name the FILE that the backup is to be, or give --scheduled.")
        if file.exists() and not options["replace"]:
            raise CommandError(f"{file} exists already; --replace replaces it.")
        try:
            with progress(quiet=options["verbosity"] == 0) as display:
                bar = display.add_task("pages", total=None, done="")

                def report(done: int, total: int) -> None:
                    display.update(bar, completed=done, total=total, done=f"{done} of {total}")

                passphrase = settings.BACKUP_PASSPHRASE
                backup.take(database, file, timezone.now(), passphrase=passphrase, progress=report)
            with_keys = options["with_keys"]
            keys = key_backup.copy(settings.DATA_DIR, file, passphrase=passphrase) if with_keys else None
        except (backup.BackupError, key_backup.KeysError) as error:
            raise CommandError(str(error)) from error
        sealed = ", sealed" if settings.BACKUP_PASSPHRASE else ""
        self.stdout.write(f"{file}: {file.stat().st_size / 1e6:.1f} MB{sealed}.")
        if keys:
            who = "has both files and the passphrase" if sealed else "has both files"
            self.stdout.write(f"{keys}: the keys{sealed}. Whoever {who} can read every secret.")
        else:
            file = settings.DATA_DIR / "encryption_keys"
            where = str(file) if file.exists() else "CWCONNECT_ENCRYPTION_KEYS"
            self.stdout.write(_KEYS_NEEDED.format(where=where))

    def _take_scheduled(self, database: Path) -> None:
        if settings.BACKUP_FOLDER is None:
            raise CommandError("CWCONNECT_BACKUP_FOLDER is not set: it names the folder of scheduled backups.")
        os.nice(10)  # polls and deliveries come first
        try:
            file = scheduled_backup.take_scheduled(database, timezone.now())
        except scheduled_backup.UnderWayError as error:
            self.stdout.write(str(error))
            return
        except (backup.BackupError, key_backup.KeysError, ImproperlyConfigured, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{file}: {file.stat().st_size / 1e6:.1f} MB.")
