"""`manage.py release`: let paused deliveries of an instance go on, and deliver in the foreground, with progress."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from cwconnect.core import terminal
from cwconnect.core.text import counted
from polling.delivery.foreground import deliver_in_foreground, words
from polling.delivery.pausing import release, release_all_of
from polling.management.arguments import chosen_instances, chosen_subscription
from polling.models import Notification


class Command(terminal.Command):
    """Release what is paused: the exhausted notifications first, each with a fresh retry schedule."""

    help = "Release an instance's paused delivery and deliver it, in the foreground."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare whose delivery."""
        parser.add_argument("instance_id", type=int)
        parser.add_argument("--subscription", metavar="ID", type=int, help="this one alone; else all that are paused")
        parser.add_argument("--leave", action="store_true", help="release only; the workers deliver")

    def handle(self, *args: Any, **options: Any) -> None:
        """Release, say how much there is to send, and send it."""
        (instance,) = chosen_instances(options["instance_id"])
        among, now = Notification.objects.filter(instance=instance), timezone.now()
        if options["subscription"] is None:
            whose, count = str(instance), release_all_of(instance, now)
        else:
            subscription = chosen_subscription(instance, options["subscription"])
            among = among.to([subscription.pk])
            whose, count = str(subscription), release(subscription, now)
        undelivered = among.filter(state__in=Notification.UNDELIVERED)
        self.stdout.write(f"{counted(count, 'notification')} of {whose} {'is' if count == 1 else 'are'} to be sent.")
        if options["leave"] or not count:
            return
        results = deliver_in_foreground(
            among,
            title="released",
            total=count,
            quiet=options["verbosity"] == 0,
            done=lambda: max(0, count - undelivered.count()),
            read_for=[instance.pk],
        )
        self.stdout.write(f"{words(results)}; {undelivered.count():,} still to be delivered.")
