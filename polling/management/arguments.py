"""What the foreground commands share: finding instances and subscriptions, and reading times."""

from __future__ import annotations

from datetime import UTC, datetime

from dateutil import parser
from django.core.management.base import CommandError

from instances.models import Instance
from polling.delivery.first_subscriptions import find_subscription
from polling.delivery.pausing import subscriptions_of
from polling.models import Subscription


def chosen_instances(instance_id: int | None) -> list[Instance]:
    """Return the instance of that id, or all; CommandError that names the id when there is none."""
    instances = Instance.objects.select_related("organization").filter(organization__isnull=False).order_by("pk")
    if instance_id is None:
        return list(instances)
    found = list(instances.filter(pk=instance_id))
    if not found:
        raise CommandError(f"There is no instance {instance_id}.")
    return found


def chosen_subscription(instance: Instance, subscription_id: int) -> Subscription:
    """Return the subscription of an instance of that id; CommandError that names those there are when it is none."""
    found = find_subscription(instance, subscription_id)
    if found is None:
        known = ", ".join(f"{each.pk} ({each.name})" for each in subscriptions_of(instance))
        raise CommandError(f"--subscription: {instance} has no subscription {subscription_id}, but {known}.")
    return found


def read_time(text: str, option: str) -> datetime:
    """Read a time as people write it, UTC unless it says otherwise; CommandError that names the option."""
    try:
        moment = parser.parse(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise CommandError(f"{option}: {text!r} is no time; write 2026-01-31T12:00:00Z.") from None
