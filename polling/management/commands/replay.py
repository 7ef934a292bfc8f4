"""`manage.py replay`: send notifications again, in the foreground, with count and progress."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Collection
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from cwconnect.core import terminal
from cwconnect.core.layout import PROGRAM
from instances.models import Instance
from polling.delivery.foreground import deliver_in_foreground
from polling.delivery.pausing import is_resting, subscriptions_of
from polling.delivery.replay.replays import count_selected, replay_now
from polling.delivery.replay.selection import Selection
from polling.management.arguments import chosen_instances, chosen_subscription, read_time
from polling.models import DeliveryState, Event, Notification, Replay, Subscription


class Command(terminal.Command):
    """Send whole notifications again: same id and bytes, marked as a replay."""

    help = "Send notifications of an instance again. Without any option it refuses: choose what is to be sent."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare what is sent again; what is given must all hold."""
        parser.add_argument("instance_id", type=int)
        parser.add_argument("--subscription", metavar="ID", type=int, default=0, help="those to this one alone")
        parser.add_argument("--failed", action="store_true", help="those given up or failing")
        parser.add_argument("--since", metavar="TIME", help="those made at or after TIME")
        parser.add_argument("--until", metavar="TIME", help="those made before TIME")
        parser.add_argument("--event", metavar="ID", type=int, help="the one that carries this event")
        parser.add_argument("--resource", default="", help="those of this resource")
        parser.add_argument("--kind", default="", choices=[*Event.Kind.values, ""], help="those with such an event")
        parser.add_argument("--object", metavar="ID", default="", help="those with an event of this object")
        parser.add_argument("--count", action="store_true", help="say how many, and send nothing")
        parser.add_argument("--leave", action="store_true", help="queue only; the workers send")

    def handle(self, *args: Any, **options: Any) -> None:
        """Count, queue, send, and say how it went."""
        (instance,) = chosen_instances(options["instance_id"])
        to = [chosen_subscription(instance, options["subscription"])] if options["subscription"] else []
        selection = _selection(options)
        if selection.is_everything:
            raise CommandError("Say what is to be sent again: --subscription, --failed, --since, --until, --event, …")
        count = count_selected(instance, selection)
        self.stdout.write(f"Of {instance}, {selection}: {count:,}{'' if options['count'] else ', sent again'}.")
        if options["count"] or not count:
            return
        replay = replay_now(instance, selection, timezone.now())
        to = to or subscriptions_of(instance)
        if all(is_resting(each) for each in to):
            self.stdout.write(_why_resting(instance, to))
        elif not options["leave"]:
            self._send(replay, quiet=options["verbosity"] == 0)

    def _send(self, replay: Replay, *, quiet: bool) -> None:
        def done() -> int:
            replay.refresh_from_db()
            return replay.delivered + replay.failed

        mine = Notification.objects.filter(replay=replay)
        deliver_in_foreground(mine, title="sent again", total=replay.total, quiet=quiet, done=done)
        replay.refresh_from_db()
        self.stdout.write(f"{replay.delivered} of {replay.total} delivered, {replay.failed} given up.")
        if replay.left:
            raise CommandError(f"{replay.left:,} still to be sent: what failed just now is tried again.")


def _selection(options: dict[str, Any]) -> Selection:
    return Selection(
        subscription=options["subscription"],
        failed=options["failed"],
        since=read_time(options["since"], "--since") if options["since"] else None,
        until=read_time(options["until"], "--until") if options["until"] else None,
        event_id=options["event"],
        resource=options["resource"],
        kind=options["kind"],
        object_id=options["object"],
    )


def _why_resting(instance: Instance, to: Collection[Subscription]) -> str:
    paused = DeliveryState.objects.filter(subscription__in=to, paused_at__isnull=False).first()
    if paused is not None:
        which = "" if len(to) > 1 else f" --subscription {paused.pk}"
        return (
            f"They are sent once delivery is released ({PROGRAM} release {instance.pk}{which}): {paused.pause_reason}"
        )
    return "They are sent once the instance is enabled and its events are on, and a subscription that is on has a URL."
