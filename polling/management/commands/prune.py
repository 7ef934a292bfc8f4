"""`manage.py prune`: apply retention now."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.utils import timezone

from cwconnect.core import terminal
from cwconnect.core.terminal import progress
from cwconnect.core.text import counted
from polling.maintenance.purge import purge, purge_subscriptions
from polling.maintenance.retention import prune


class Command(terminal.Command):
    """Delete what was delivered longer ago than CWCONNECT_RETENTION_DAYS; the worker does so each minute by itself.

    And callbacks that are a week old, and the rows of instances and subscriptions that were deleted, which the worker
    does as well.
    """

    help = (
        "Apply retention: events older than CWCONNECT_RETENTION_DAYS go, what is still to be delivered stays; "
        "callbacks of ConnectWise that are a week old; and what deleted instances and subscriptions left."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Prune, with progress, and say what went."""
        with progress(quiet=options["verbosity"] == 0) as display:
            bars = {what: display.add_task(what, total=None, done="0") for what in ("notifications", "events", "runs")}
            counts = Counter[str]()

            def report(what: str, count: int) -> None:
                counts[what] += count
                if what not in bars:
                    bars[what] = display.add_task(what, total=None, done="0")
                display.update(bars[what], done=str(counts[what]))

            pruned = prune(timezone.now(), progress=report)
            gone, left = purge(report), purge_subscriptions(report)
        self.stdout.write(
            f"Deleted {counted(pruned.notifications, 'notification')} with {counted(pruned.events, 'event')}, "
            f"{counted(pruned.runs, 'run')}, {counted(pruned.bodies, 'kept text')} "
            f"and {counted(pruned.callbacks, 'callback')}"
            + (f", and {counted(gone, 'deleted instance')} with all its rows" if gone else "")
            + (f", and {counted(left, 'deleted subscription')} with all it was sent." if left else ".")
        )
