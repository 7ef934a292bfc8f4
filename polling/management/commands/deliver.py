"""`manage.py deliver`: deliver what is due, in the foreground, with progress."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from cwconnect.core import terminal
from polling.delivery.foreground import deliver_in_foreground
from polling.management.arguments import chosen_instances
from polling.models import Notification


class Command(terminal.Command):
    """Deliver what is due now, of all instances or one."""

    help = "Deliver what is due, in the foreground. Exit code 1 if an attempt failed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare whose notifications."""
        parser.add_argument("instance_id", nargs="?", type=int, help="all instances if left out")

    def handle(self, *args: Any, **options: Any) -> None:
        """Deliver, and say how it went."""
        keys = [instance.pk for instance in chosen_instances(options["instance_id"])]
        results = deliver_in_foreground(
            Notification.objects.filter(instance__in=keys),
            title="notifications",
            total=None,
            quiet=options["verbosity"] == 0,
            read_for=keys,
        )
        self.stdout.write(f"{results['delivered']} delivered, {results['failed']} failed.")
        if results["failed"]:
            raise CommandError("Some attempts failed; they are tried again by the schedule. See the admin's attempts.")
