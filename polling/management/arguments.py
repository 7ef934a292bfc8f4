"""What the foreground commands share: finding instances and reading times."""

from __future__ import annotations

from datetime import UTC, datetime

from dateutil import parser
from django.core.management.base import CommandError

from instances.models import Instance


def chosen_instances(instance_id: int | None) -> list[Instance]:
    """Return the instance of that id, or all; CommandError that names the id when there is none."""
    instances = Instance.objects.select_related("organization").filter(organization__isnull=False).order_by("pk")
    if instance_id is None:
        return list(instances)
    found = list(instances.filter(pk=instance_id))
    if not found:
        raise CommandError(f"There is no instance {instance_id}.")
    return found


def read_time(text: str, option: str) -> datetime:
    """Read a time as people write it, UTC unless it says otherwise; CommandError that names the option."""
    try:
        moment = parser.parse(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise CommandError(f"{option}: {text!r} is no time; write 2026-01-31T12:00:00Z.") from None
