"""`manage.py backup FILE`: copy the embedded database while everything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from cwconnect.core import terminal
from cwconnect.core.terminal import progress
from cwconnect.site import backup, key_backup

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
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--replace", action="store_true", help="replace FILE if it exists")
        parser.add_argument(
            "--with-keys",
            action="store_true",
            help="also write the data folder's keys, to FILE.keys; whoever has both files can read every secret",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Copy with progress, and say what else is needed."""
        database, file = embedded_database(), options["file"]
        if file.exists() and not options["replace"]:
            raise CommandError(f"{file} exists already; --replace replaces it.")
        try:
            with progress(quiet=options["verbosity"] == 0) as display:
                bar = display.add_task("pages", total=None, done="")

                def report(done: int, total: int) -> None:
                    display.update(bar, completed=done, total=total, done=f"{done} of {total}")

                backup.take(database, file, timezone.now(), progress=report)
            keys = key_backup.copy(settings.DATA_DIR, file) if options["with_keys"] else None
        except (backup.BackupError, key_backup.KeysError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{file}: {file.stat().st_size / 1e6:.1f} MB.")
        if keys:
            self.stdout.write(f"{keys}: the keys. Whoever has both files can read every secret.")
        else:
            file = settings.DATA_DIR / "encryption_keys"
            where = str(file) if file.exists() else "CWCONNECT_ENCRYPTION_KEYS"
            self.stdout.write(_KEYS_NEEDED.format(where=where))
