"""`manage.py prune`: apply retention now."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from cwconnect.words import counted
from polling.retention import prune
from polling.terminal import progress


class Command(BaseCommand):
    """Delete what was delivered longer ago than CWCONNECT_RETENTION_DAYS; the worker does so each minute by itself."""

    help = "Apply retention: delivered events older than CWCONNECT_RETENTION_DAYS go, what is undelivered stays."

    def handle(self, *args: Any, **options: Any) -> None:
        """Prune, with progress, and say what went."""
        with progress(quiet=options["verbosity"] == 0) as display:
            bars = {what: display.add_task(what, total=None, done="0") for what in ("notifications", "runs", "texts")}
            counts = dict.fromkeys(bars, 0)

            def report(what: str, count: int) -> None:
                counts[what] += count
                display.update(bars[what], done=str(counts[what]))

            pruned = prune(timezone.now(), progress=report)
        self.stdout.write(
            f"Deleted {counted(pruned.notifications, 'notification')} with {counted(pruned.events, 'event')}, "
            f"{counted(pruned.runs, 'run')} and {counted(pruned.bodies, 'kept text')}."
        )
