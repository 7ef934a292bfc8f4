"""Events that a subscription is past, and nothing is noted of, judged and made notifications of after all.

The fan-out leaves none behind: this is what a repair does about such as were lost on the way, by whatever fault. What
is noted already is left as it is, unless its notification is lost, so done twice it makes nothing twice. A lost event
comes after those of its record that were delivered meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q

from polling.delivery.fan_out.bodies import StoredBodies
from polling.delivery.fan_out.claims import lock_reader
from polling.delivery.fan_out.pages import read_events
from polling.delivery.fan_out.plans import Planner
from polling.delivery.fan_out.waits import read_delivery_facts, read_waits
from polling.delivery.fan_out.writing import Ready, add
from polling.delivery.pausing import is_resting
from polling.models import Notification, Subscription, SubscriptionEvent

DANGLING = Q(~Exists(Notification.objects.filter(pk=OuterRef("notification"))), notification__isnull=False)
"""What is noted of an event whose notification is lost."""


@transaction.atomic
def judge_again(subscription: Subscription, event_ids: Collection[int], now: datetime) -> int:
    """Judge those of these events that nothing is noted of for a subscription that is past them; return how many.

    None where it is off. Raises UnreadableError where what it asks for can't be read.
    """
    claimed = lock_reader(subscription.pk)
    if claimed is None:
        return 0
    rows = SubscriptionEvent.objects.filter(subscription=claimed.id, event__in=event_ids)
    rows.filter(DANGLING).delete()
    noted = set(rows.values_list("event_id", flat=True))
    events = [read for read in read_events(set(event_ids) - noted) if read.event.id <= claimed.reached]
    if claimed.is_first:  # those that a notification was made with are noted by that
        events = [read for read in events if read.notification_id is None]
    if not events:
        return 0
    planner = Planner()
    planner.take(claimed.place, events)
    bound = read_delivery_facts([claimed.id])[claimed.id].bound
    asked = [] if bound is None else [(claimed.id, bound, key) for key in planner.first_of_records(claimed)]
    waits = {event_id: notification for (_, event_id), notification in read_waits(asked).items()}
    plan = planner.plan(claimed, waits)
    add([Ready(claimed, plan, rests=is_resting(subscription))], StoredBodies(), now)
    counts = {"passed": F("passed") + plan.passed, "held": F("held") + len(plan.held)}
    Subscription.objects.filter(pk=claimed.id).update(**counts)
    return len(events)
