"""What the tests of deliveries share: a world that notifies a receiver, and ways to have things sent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.utils import timezone

from polling.delivery.delivery_loop import DeliveryLoop
from polling.models import Notification
from tests.support.polled_instance import SIGNATURE_KEY, PolledInstance
from tests.support.receivers import Got

KEY = SIGNATURE_KEY


def deliver(*, now_due: bool = True) -> int:
    """Deliver everything; with `now_due`, retries too, whenever they are scheduled."""
    if now_due:
        waiting = Notification.objects.filter(next_attempt_at__isnull=False)
        waiting.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    return DeliveryLoop(Notification.objects.all(), deadline=float("inf")).run()


def change(world: PolledInstance, *record_ids: int, title: str = "Chief") -> None:
    """Change contacts and poll."""
    for record_id in record_ids:
        world.change(record_id, title)
    world.poll()


def failing(status: int, headers: dict[str, str] | None = None) -> Callable[[Got], tuple[int, dict[str, str]]]:
    """Return a receiver's answer that is always the same."""
    return lambda got: (status, headers or {})
