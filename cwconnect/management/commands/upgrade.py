"""`manage.py upgrade`: say what this version does to the database, and do it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError, CommandParser
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from cwconnect import __version__
from cwconnect.core import terminal
from cwconnect.core.layout import PROGRAM
from cwconnect.site import backup
from cwconnect.site.upgrading import report
from cwconnect.site.upgrading.guard import OldProcessesError, refuse_beside_old
from cwconnect.site.upgrading.plan import Plan, plan_of
from cwconnect.site.upgrading.running import running

_DUMP_FIRST = (
    'Have a dump first: pg_dump -Fc -f before.dump "$CWCONNECT_DATABASE_URL". If you have none, end this now: what '
    "an upgrade changed comes back from a dump alone."
)
_AFTERWARDS = f"""\
The database is ready for version {__version__}. Now start its web and workers ({PROGRAM} up, {PROGRAM} work),
replacing those that were left running, and look at /readyz and the overview."""


class Command(terminal.Command):
    """Shows a plan; without --check it carries it out."""

    help = "Say what this version does to the database (--check), or do it: a backup first, then the migrations."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what to do, and how it is said."""
        parser.add_argument(
            "--check",
            action="store_true",
            help="only say what would be done: exit code 0 if nothing is pending, 3 if web and workers of the version "
            "before may go on meanwhile, 4 if they have to be stopped first, 5 if they have to and some are alive",
        )
        parser.add_argument("--json", action="store_true", help="say it as JSON")
        parser.add_argument("--no-backup", action="store_true", help="copy the embedded database not first")
        parser.add_argument(
            "--anyway", action="store_true", help="also beside processes that it breaks, or where space is short"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Show the plan; then back up and migrate, unless it was only to be shown."""
        plan, alive, unknown = plan_of(connection), running(connection, timezone.now()), _unknown()
        if options["json"]:
            self.stdout.write(json.dumps(report.as_json(plan, alive, unknown), indent=1))
        else:
            self.stdout.write(report.as_text(plan, alive, unknown))
        if options["check"]:
            sys.exit(report.exit_code(plan, alive))
        if not plan.steps:
            return
        if not options["anyway"]:
            self._refuse(plan, copies=not options["no_backup"])
        if not plan.fresh:
            self._back_up(copies=not options["no_backup"])
        call_command("migrate", interactive=False, verbosity=0 if options["json"] else 1, anyway=True)
        self.stderr.write(_AFTERWARDS)

    def _refuse(self, plan: Plan, *, copies: bool) -> None:
        try:
            refuse_beside_old(connection, self.stderr.write)
        except OldProcessesError as error:
            raise CommandError(str(error)) from error
        needed = plan.space + (plan.database if copies and not plan.fresh else 0)
        if plan.free is not None and plan.free < needed:
            raise CommandError(
                f"Nothing was changed. {needed / 1e6:,.0f} MB are needed at most, with the copy that is taken first, "
                f"and {plan.free / 1e6:,.0f} MB are free beside the database. Make room, or give --anyway."
            )

    def _back_up(self, *, copies: bool) -> None:
        """Copy the embedded database beside itself; of any other, say how."""
        if not settings.EMBEDDED:
            self.stderr.write(_DUMP_FIRST)
            return
        if not copies:
            return
        database = Path(settings.DATABASES["default"]["NAME"])
        file = database.with_name(
            f"{database.stem}.before-{__version__}-{timezone.now():%Y%m%dT%H%M%S}{database.suffix}"
        )
        try:
            backup.take(database, file, timezone.now())
        except backup.BackupError as error:
            raise CommandError(f"Nothing was changed. {error}") from error
        self.stderr.write(f"The database as it was is copied to {file}; `restore` brings it back.")


def _unknown() -> list[str]:
    """Return the migrations of ours that the database has and this version doesn't know."""
    loader = MigrationLoader(connection)
    ours = {app for app, _ in loader.disk_migrations}
    unknown = set(loader.applied_migrations) - set(loader.disk_migrations)
    return sorted(f"{app}.{name}" for app, name in unknown if app in ours)
