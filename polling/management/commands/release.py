"""`manage.py release`: let an instance's paused delivery go on."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from polling.pausing import release_delivery
from polling.terminal import chosen_instances


class Command(BaseCommand):
    """Release what is paused: the exhausted notifications first, each with a fresh retry schedule."""

    help = "Release an instance's paused delivery."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare whose delivery."""
        parser.add_argument("instance_id", type=int)

    def handle(self, *args: Any, **options: Any) -> None:
        """Release, and say how much there is to send."""
        for instance in chosen_instances(options["instance_id"]):
            count = release_delivery(instance, timezone.now())
            self.stdout.write(f"{count} notifications of {instance} are to be sent.")
