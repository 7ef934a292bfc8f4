"""`manage.py rotate_keys`: write every stored secret anew under the first encryption key."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from cwconnect.core import env, terminal
from cwconnect.core.layout import PROGRAM
from cwconnect.core.terminal import progress
from instances import audit
from instances.audit import Action
from instances.secrets.rotation import Rotated, count_rows, rotate

_RESTART = (
    "A new first key stands in {file}. Restart cwconnect everywhere, so that all of it reads the new key; "
    f"then run {PROGRAM} rotate_keys."
)


class Command(terminal.Command):
    """Re-encrypts; safe to interrupt and to run again."""

    help = (
        "Write all stored secrets anew under the first key of CWCONNECT_ENCRYPTION_KEYS; the others still read. "
        "Safe to interrupt."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the switch that makes a key."""
        parser.add_argument(
            "--add-key",
            action="store_true",
            help="only put a new key before those kept in the data folder; restart, then rotate",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Rotate with progress; exit code 1 if a secret could not be read."""
        if options["add_key"]:
            self.stdout.write(_RESTART.format(file=_add_key()))
            return
        with progress(quiet=options["verbosity"] == 0) as display:
            bar = display.add_task("secrets", total=count_rows(), done="0 rows")

            def report(count: int) -> None:
                display.advance(bar, count)
                display.update(bar, done=f"{display.tasks[0].completed:.0f} rows")

            rotated = rotate(progress=report)
        _record(rotated)
        self._say(rotated)

    def _say(self, rotated: Rotated) -> None:
        self.stdout.write(
            f"{rotated.rewritten} secrets written anew; {rotated.current} stood under the first key already."
        )
        problems = []
        if rotated.unreadable:
            heading = f"No key opens {len(rotated.unreadable)} secrets; keep looking for theirs:"
            problems.append(_listed(heading, rotated.unreadable))
        if rotated.misplaced:
            heading = f"{len(rotated.misplaced)} secrets were altered or moved in the database; give them anew:"
            problems.append(_listed(heading, rotated.misplaced))
        if problems:
            raise CommandError("\n".join(problems))
        if len(settings.ENCRYPTION_KEYS) > 1:
            self.stdout.write("Nothing needs the older keys any more, except backups made before.")


def _listed(heading: str, places: list[str]) -> str:
    return "\n".join([heading, *(f"  {place}" for place in places[:20])])


@transaction.atomic
def _record(rotated: Rotated) -> None:
    if rotated.rewritten:
        audit.record(Action.ROTATE_KEYS, "stored secrets", organization=None, details={"rewritten": rotated.rewritten})


def _add_key() -> str:
    file = settings.DATA_DIR / "encryption_keys"
    if env.text("CWCONNECT_ENCRYPTION_KEYS") or not file.exists():
        raise CommandError(
            "The keys come from CWCONNECT_ENCRYPTION_KEYS: put a new one first there yourself. To make one: "
            "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
        )
    env.replace_file(file, f"{env.make_encryption_key()},{file.read_text(encoding='utf-8').strip()}")
    return str(file)
