"""How many events filters held back, of all subscriptions there ever were: a count that only grows.

Each subscription counts its own (`held`), in the transaction that moves it on along the log. What one has counted is
added to a counter in the transaction that deletes its row.
"""

from __future__ import annotations

from typing import Any

from django.db.models import BigIntegerField, QuerySet
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from polling.models import StoredCounter, Subscription

_NAME = "held back"


def keep_counts(subscriptions: QuerySet[Subscription]) -> None:
    """Have what these subscriptions counted outlive them; to be called in the transaction that deletes them."""
    held = sum(subscriptions.select_for_update().order_by("pk").values_list("held", flat=True))
    if not held:
        return
    StoredCounter.objects.bulk_create([StoredCounter(name=_NAME)], ignore_conflicts=True)
    counter = StoredCounter.objects.select_for_update().get(name=_NAME)
    counter.counts = {"held": counter.counts.get("held", 0) + held}
    counter.save()


def kept_counts() -> QuerySet[Any]:
    """Return how many events were held back from subscriptions that are gone: a row with `events`, or none."""
    count = Cast(KeyTextTransform("held", "counts"), BigIntegerField())
    return StoredCounter.objects.filter(name=_NAME).order_by().annotate(events=count)
