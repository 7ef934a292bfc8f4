"""Which subscription a notification goes to, by its name: shown where its instance has several."""

from __future__ import annotations

from django.db.models import Case, Exists, F, OuterRef, Subquery, Value, When
from django.db.models.functions import Coalesce

from polling.models import Subscription


def name_of(path: str = "") -> Case:
    """Return the name as an expression, blank where the instance has no other subscription.

    `path` leads to the notification, like `notification__`.
    """
    living = Subscription.objects.filter(deleted_at=None)
    further = living.filter(instance=OuterRef(f"{path}instance")).exclude(pk=F("instance_id"))
    whose = Coalesce(OuterRef(f"{path}subscription"), OuterRef(f"{path}instance"))
    named = Subscription.objects.filter(pk=whose).values("name")
    return Case(When(Exists(further), then=Subquery(named)), default=Value(""))
