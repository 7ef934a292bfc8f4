"""`manage.py migrate`: Django's, but it refuses what breaks processes of the version before while they live."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.core.management.commands import migrate
from django.db import connections
from django.db.migrations.loader import AmbiguityError, MigrationLoader

from cwconnect.core import terminal
from cwconnect.site.upgrading.guard import OldProcessesError, refuse_beside_old
from cwconnect.site.upgrading.plan import Targets

_CHANGES_NOTHING = ("plan", "check_unapplied", "fake", "prune")


class Command(terminal.Command, migrate.Command):
    """Django's own command with one question before."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Take Django's options, and the one that skips the question."""
        super().add_arguments(parser)
        parser.add_argument("--anyway", action="store_true", help="also beside processes that it breaks")

    def handle(self, *args: Any, **options: Any) -> None:
        """Ask who is alive where that matters, and migrate."""
        if not options["anyway"] and not any(options[name] for name in _CHANGES_NOTHING):
            connection = connections[options["database"]]
            try:
                refuse_beside_old(connection, self.stderr.write, _targets(options))
            except OldProcessesError as error:
                raise CommandError(str(error)) from error
        super().handle(*args, **options)


def _targets(options: dict[str, Any]) -> Targets | None:
    """Return what was asked for; nothing where Django refuses it itself, and where it leads backwards to zero."""
    app, name = options["app_label"], options["migration_name"]
    if not app:
        return None
    loader = MigrationLoader(connections[options["database"]])
    if not name:
        return [node for node in loader.graph.leaf_nodes() if node[0] == app]
    try:
        return [] if name == "zero" else [(app, loader.get_migration_by_prefix(app, name).name)]
    except (AmbiguityError, KeyError):
        return []
