"""Notifications that were given up while others got through: until they are replayed, discarded or dismissed.

Nothing waits for them, and nothing else says so: their instance is well.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import BooleanField, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.expressions import RawSQL

from instances import audit
from instances.models import Instance, Organization
from polling.models import GivenUpDismissal, Notification

DAYS = timedelta(days=7)
MOST_COUNTED = 10_000
# Written out: SQLite takes a partial index for constants only, never for bound values.
_GIVEN_UP = RawSQL("polling_notification.state = 'failed'", [], output_field=BooleanField())


def given_up_since(organization: int, since: datetime) -> QuerySet[Any, Any]:
    """Return what an organization gave up since then and has not dismissed; not what is sent again just now.

    Read by when that was, of anyone, and of that what is theirs: the sum keeps planners off the index of instances,
    by which SQLite took 12 ms for 1,000 of them.
    """
    dismissed = GivenUpDismissal.objects.filter(organization=organization).values("upto")
    ours = Instance.objects.filter(organization=organization).values("pk")
    found = Notification.objects.filter(_GIVEN_UP, given_up_at__gt=since, replay=None).of_living()
    found = found.annotate(owner=F("instance_id") + 0, dismissed=Subquery(dismissed)).filter(owner__in=ours)
    return found.filter(Q(dismissed=None) | Q(given_up_at__gt=F("dismissed")))


def all_given_up_since(since: datetime) -> QuerySet[Any, Any]:
    """Return what was given up since then, of all organizations; of each what it has not dismissed."""
    dismissed = GivenUpDismissal.objects.filter(organization=OuterRef("instance__organization")).values("upto")
    found = Notification.objects.filter(_GIVEN_UP, given_up_at__gt=since, replay=None, instance__organization__gt=0)
    found = found.of_living().annotate(dismissed=Subquery(dismissed))
    return found.filter(Q(dismissed=None) | Q(given_up_at__gt=F("dismissed")))


def dismiss_given_up(organization: Organization, now: datetime) -> int:
    """Take what was given up so far as seen; return how many notifications that was, one more than the most at most."""
    with transaction.atomic():
        found = given_up_since(organization.pk, now - DAYS)
        count = found[: MOST_COUNTED + 1].count()
        if count:
            GivenUpDismissal.objects.update_or_create(organization=organization, defaults={"upto": now})
            action, details = audit.Action.DISMISS_GIVEN_UP, {"notifications": count}
            audit.record(action, organization, organization=organization, details=details)
        return count
