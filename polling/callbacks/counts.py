"""Counts of callbacks by hour, instance and type: received, verified, refused by reason, polls woken.

Written with what they count, in the same transaction; read for pages, `/v1` and `/metrics`.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from django.db.models import F

from polling.models import CallbackCount

RECEIVED, VERIFIED, WOKEN = "received", "verified", "woken"
REFUSED = "refused: "  # and the reason
# Of events, looked at some minutes after they were recorded: those that a callback announced and those that none did,
# and for the former how long it took from the callback to the event, in milliseconds.
ANNOUNCED, UNANNOUNCED, MILLISECONDS = "announced", "unannounced", "milliseconds"

Counted = tuple[int, str, str]  # instance, type, name


def add_counts(counted: Counter[Counted], now: datetime) -> None:
    """Add to the counts of the hour."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    for (instance_id, type_, name), count in sorted(counted.items()):
        rows = CallbackCount.objects.filter(instance_id=instance_id, hour=hour, type=type_, name=name)
        if rows.update(count=F("count") + count):
            continue
        new = CallbackCount(instance_id=instance_id, hour=hour, type=type_, name=name, count=0)
        CallbackCount.objects.bulk_create([new], ignore_conflicts=True)
        rows.update(count=F("count") + count)
