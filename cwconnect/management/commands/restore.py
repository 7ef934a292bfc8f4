"""`manage.py restore FILE`: make a backup the embedded database again, whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import connection
from django.utils import timezone

from cwconnect.core import terminal
from cwconnect.core.database_lock import InUseError, alone
from cwconnect.core.layout import PROGRAM
from cwconnect.core.terminal import progress
from cwconnect.management.commands.backup import embedded_database
from cwconnect.site import backup, backup_dry_run, key_backup
from instances import audit
from instances.audit import Action

_AFTERWARDS = f"""\
Restored as of {{taken}}. The database before is kept as {{aside}}.
What was delivered since then is not known here any more. Changes made since are found again by the next polls, and what
waited to be delivered is sent again, so receivers may hear of them twice. Before you start the workers,
`{PROGRAM} verify INSTANCE_ID` lists for each instance what is coming and what waits: these may come twice.
Events get ids a billion further on, so that none is taken for one that was recorded since the backup.
Everybody has to sign in again. `{PROGRAM} up` brings an older backup to this version."""


class Command(terminal.Command):
    """Puts a backup back; the service must be stopped."""

    help = "Make FILE, a backup, the embedded database again. Web and workers must be stopped first."
    requires_system_checks = ()  # the database may be damaged, or its keys missing: hence the restore

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the file, and whether its keys come with it."""
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--with-keys", action="store_true", help="also put back the keys in FILE.keys")
        parser.add_argument(
            "--check",
            action="store_true",
            help="try FILE on a copy and say what is in it; nothing is restored, and everything may run meanwhile",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Restore, and say what it means for receivers."""
        database, file = embedded_database(), options["file"]
        if options["check"]:
            self._try(file, database.parent, with_keys=options["with_keys"])
            return
        aside = database.with_name(f"{database.stem}.before-restore-{timezone.now():%Y%m%dT%H%M%S%f}{database.suffix}")
        connection.close()
        try:
            with alone(settings.DATA_DIR), backup.readable(file, settings.BACKUP_PASSPHRASE, database.parent) as plain:
                keys = self._keys(file) if options["with_keys"] else {}
                self._check(plain, keys)
                taken = backup.taken_at(plain) or "the moment when that file was written"
                if keys:
                    key_backup.put_back(keys, settings.DATA_DIR)  # first: present ones are kept, so nothing is lost
                self._put_back(plain, database, aside, quiet=options["verbosity"] == 0)
        except (backup.BackupError, key_backup.KeysError, InUseError) as error:
            raise CommandError(f"Nothing was changed. {error}") from error
        self._record(taken)
        self.stdout.write(_AFTERWARDS.format(taken=taken, aside=aside))

    def _keys(self, file: Path) -> Mapping[str, str]:
        return key_backup.read(file, passphrase=settings.BACKUP_PASSPHRASE)

    def _try(self, file: Path, folder: Path, *, with_keys: bool) -> None:
        """Say what a restore would find; CommandError where it would fail."""
        try:
            keys = self._keys(file)["encryption_keys"].split(",") if with_keys else settings.ENCRYPTION_KEYS
            with backup.readable(file, settings.BACKUP_PASSPHRASE, folder) as plain:
                dry_run = backup_dry_run.try_backup(plain, keys, folder)
        except (backup.BackupError, key_backup.KeysError) as error:
            raise CommandError(f"It can't be restored. {error}") from error
        for line in dry_run.lines():
            self.stdout.write(line)
        if dry_run.problems:
            raise CommandError("It can't be restored. " + " ".join(dry_run.problems))
        self.stdout.write(self.style.SUCCESS("It can be restored. Nothing was changed."))

    def _check(self, file: Path, keys: Mapping[str, str]) -> None:
        backup.check(file)
        if newer := backup_dry_run.newer_migrations(backup.migrations(file)):
            raise backup.BackupError(f"The backup is of a newer version of cwconnect: it has {', '.join(newer)}.")
        encryption_keys = keys["encryption_keys"].split(",") if keys else settings.ENCRYPTION_KEYS
        if not key_backup.opens(encryption_keys, backup.secrets(file)):
            raise key_backup.KeysError(
                "The keys at hand don't open the backup's secrets. Set CWCONNECT_ENCRYPTION_KEYS, put the file "
                "encryption_keys back into the data folder, or restore --with-keys if FILE.keys was written with it."
            )

    def _put_back(self, file: Path, database: Path, aside: Path, *, quiet: bool) -> None:
        with progress(quiet=quiet) as display:
            bar = display.add_task("pages", total=None, done="")

            def report(done: int, total: int) -> None:
                display.update(bar, completed=done, total=total, done=f"{done} of {total}")

            backup.put_back(file, database, aside, progress=report)

    def _record(self, taken: str) -> None:
        # An older backup has no such table until it is migrated; the restore must not fail for that.
        if "instances_auditentry" in connection.introspection.table_names():
            audit.record(Action.RESTORE, "the database", organization=None, details={"as of": taken})
