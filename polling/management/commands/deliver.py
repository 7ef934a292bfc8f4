"""`manage.py deliver`: deliver what is due, in the foreground, with progress."""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from polling.delivery import deliver_these
from polling.parcels import Outcome, Parcel
from polling.terminal import chosen_instances, progress


class Command(BaseCommand):
    """Deliver what is due now, of all instances or one."""

    help = "Deliver what is due, in the foreground. Exit code 1 if an attempt failed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare whose notifications."""
        parser.add_argument("instance_id", nargs="?", type=int, help="all instances if left out")

    def handle(self, *args: Any, **options: Any) -> None:
        """Deliver, and say how it went."""
        tally: Counter[str] = Counter()
        with progress(quiet=options["verbosity"] == 0) as display:
            bar = display.add_task("notifications", total=None, done="")

            def report(parcel: Parcel, outcome: Outcome) -> None:
                tally["delivered" if outcome.delivered else "failed"] += 1
                display.update(bar, done=f"{tally['delivered']} delivered, {tally['failed']} failed")

            deliver_these([instance.pk for instance in chosen_instances(options["instance_id"])], report=report)
        self.stdout.write(f"{tally['delivered']} delivered, {tally['failed']} failed.")
        if tally["failed"]:
            raise CommandError("Some attempts failed; they are tried again by the schedule. See the admin's attempts.")
