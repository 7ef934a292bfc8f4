"""`manage.py work`: polls and delivers what is due, until SIGTERM or Ctrl-C."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from cwconnect.core import terminal
from cwconnect.core.database_lock import InUseError, hold
from polling.maintenance.clock_skew import repair_clock_skew
from polling.workers.supervisor import Supervisor


class Command(terminal.Command):
    """Runs the supervised cluster; as many machines as wanted may run one each."""

    help = "Poll and deliver what is due, until SIGTERM or Ctrl-C. A worker that dies or freezes is replaced."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the number of workers."""
        parser.add_argument(
            "--workers",
            type=int,
            default=settings.Q_CLUSTER["workers"],
            help="processes that poll and deliver (default: CWCONNECT_WORKERS, %(default)s)",
        )

    def handle(self, *, workers: int, **_: Any) -> None:
        """Run until a signal."""
        try:
            hold(settings.DATA_DIR)
        except InUseError as error:
            raise CommandError(str(error)) from error
        supervisor = Supervisor(workers=max(1, workers), repair_clock_skew=repair_clock_skew)
        supervisor.catch_signals()
        supervisor.run()
