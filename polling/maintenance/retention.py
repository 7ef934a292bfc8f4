"""Retention: what has been delivered is forgotten after CWCONNECT_RETENTION_DAYS; what is undelivered never is.

Deleted are delivered or discarded notifications with their events and attempts, those that are being sent again
excepted, events that nobody was notified of, ended runs that hold nothing back, ended verifications and bulk jobs, and
warnings that are over. Subscriptions may have notifications, and so events, kept longer or shorter (ages.py), and keep
events that they have not come to yet (old_events.py). What callbacks said is deleted after a week, and counts of them
after eight days, whatever the setting: the pages look back a week.
Kept for as long as their resource is polled are snapshots, and their texts where the poll asks for texts: the next
change is recorded by them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from math import inf
from typing import Any, Protocol

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, Max, OuterRef, Q, QuerySet
from django.db.models.lookups import In

from instances.models import ResourcePoll
from polling.maintenance import unhurried as walks
from polling.maintenance.ages import Ages, read_ages
from polling.maintenance.old_copies import end_stale_copies, prune_copies
from polling.maintenance.old_events import (
    BODIES_FOR,
    DONE,
    carried_by,
    delete_events,
    delete_notifications,
    delete_unused,
    read_events,
    staying,
)
from polling.maintenance.unhurried import AGAIN, HEAD, NEVER, Batch, Place, beyond, resumed, stretch, unhurried
from polling.models import (
    Alert,
    BulkJob,
    CallbackCount,
    CallbackHint,
    Event,
    Notification,
    NotificationBody,
    PollRun,
    SnapshotBody,
    StoredWalk,
    Subscription,
    SubscriptionEvent,
    Verification,
)
from polling.models.deliveries import TO

EVENTS = 1000  # a batch of them: they have no notifications, bodies and attempts
HINTS_FOR, COUNTS_FOR = timedelta(days=7), timedelta(days=8)

Progress = Callable[[str, int], None]


class Walk(Protocol):
    """Does the batches of a long walk by its name: from the head, or from where it was left."""

    def __call__(self, name: str, batch: Batch, until: float, *, again: timedelta = AGAIN) -> Iterator[int]:
        """Give how many rows each batch deleted; `again` is how long after its beginning it begins at the head anew."""


@dataclass
class Pruned:
    """How many rows of each kind were deleted."""

    notifications: int = 0
    events: int = 0
    runs: int = 0
    bodies: int = 0
    callbacks: int = 0


def silent(what: str, count: int) -> None:
    """Show nobody."""


def prune(now: datetime, *, progress: Progress = silent) -> Pruned:
    """Apply retention; `progress` hears of each batch. Safe to interrupt, and to run beside everything else."""
    pruned = Pruned()
    _prune_delivered(now, pruned, progress, until=inf, walk=_from_the_head)
    _prune_the_rest(now, pruned, progress, until=inf, walk=_from_the_head)
    return pruned


def prune_delivered(now: datetime) -> Pruned:
    """Delete what was recorded too long ago, for a STRETCH at most: what is left is for the next time."""
    pruned = Pruned()
    _prune_delivered(now, pruned, silent, until=stretch(), walk=partial(resumed, now=now))
    return pruned


def prune_the_rest(now: datetime) -> Pruned:
    """Delete old verifications, warnings and callbacks, and texts that nobody asks for, for a STRETCH at most."""
    pruned = Pruned()
    _prune_the_rest(now, pruned, silent, until=stretch(), walk=partial(resumed, now=now))
    return pruned


def _from_the_head(name: str, batch: Batch, until: float, *, again: timedelta = AGAIN) -> Iterator[int]:
    """Do the batches of a whole walk."""
    return unhurried(batch, until)


def _prune_delivered(now: datetime, pruned: Pruned, progress: Progress, *, until: float, walk: Walk) -> None:
    ages = read_ages(now)
    for count in walk("notifications", partial(_prune_usual_notifications, ages=ages, pruned=pruned), until):
        progress("notifications", count)
    for key, batch in _notifications_of_others(ages, pruned):
        for count in walk(f"notifications of {key}", batch, until):
            progress("notifications", count)
    for count in walk("events", partial(_prune_usual_events, ages=ages, pruned=pruned), until):
        progress("events", count)
    for key, before in ages.of_events.items():
        batch = partial(
            _prune_events, among=Event.objects.filter(instance=key), before=before, ages=ages, pruned=pruned
        )
        for count in walk(f"events of {key}", batch, until):
            progress("events", count)
    for count in walk("runs", lambda since: _prune_runs(since, ages.usual), until):
        pruned.runs += count
        progress("runs", count)


def _prune_the_rest(now: datetime, pruned: Pruned, progress: Progress, *, until: float, walk: Walk) -> None:
    before = now - timedelta(days=settings.RETENTION_DAYS)
    Verification.objects.filter(finished_at__lt=before).delete()  # few: each was asked for by a person
    BulkJob.objects.filter(finished_at__lt=before).delete()  # so are these
    StoredWalk.objects.filter(name__contains=" of ", begun_at__lt=before).delete()  # of who is gone
    end_stale_copies(now)
    for count in unhurried(lambda _: _of_the_first(prune_copies(now)), until):
        progress("copies", count)
    for count in unhurried(lambda _: _of_the_first(_prune_alerts(before)), until):
        progress("warnings", count)
    for count in unhurried(lambda _: _of_the_first(_prune_bodies()), until):
        pruned.bodies += count
        progress("texts", count)
    for count in walk("shared bodies", lambda since: _prune_shared_bodies(since, now - BODIES_FOR), until, again=NEVER):
        progress("shared bodies", count)
    hints = CallbackHint.objects.filter(received_at__lt=now - HINTS_FOR)
    for count in unhurried(lambda since: _delete_old(hints.filter(beyond(since, "received_at")), "received_at"), until):
        pruned.callbacks += count
        progress("callbacks", count)
    for count in unhurried(lambda _: _of_the_first(_prune_counts(now - COUNTS_FOR)), until):
        progress("counts of callbacks", count)


def _of_the_first(count: int) -> tuple[int, Place | None]:
    """Return what a batch gives that always takes the first rows: done when there was none."""
    return count, HEAD if count else None


def _prune_usual_notifications(place: Place, *, ages: Ages, pruned: Pruned) -> tuple[int, Place | None]:
    """Prune notifications of those that keep them for the usual time, by the time they were made at."""
    old = Notification.objects.filter(DONE, beyond(place, "created_at"), created_at__lt=ages.usual)
    if ages.of_notifications:
        old = old.exclude(In(TO, list(ages.of_notifications)))
    rows = list(old.order_by("created_at", "pk").values_list("created_at", "pk")[: walks.BATCH])
    return _prune_notifications([key for _, key in rows], ages, pruned), Place(*rows[-1]) if rows else None


def _notifications_of_others(ages: Ages, pruned: Pruned) -> Iterator[tuple[int, Batch]]:
    """Return each subscription that keeps notifications for another time, with what prunes them by their ids."""
    upto = {before: _last_made(before) for before in set(ages.of_notifications.values())}
    instances = dict(Subscription.objects.filter(pk__in=ages.of_notifications).values_list("pk", "instance_id"))
    for key, before in ages.of_notifications.items():
        if (last := upto[before]) is None or key not in instances:
            continue
        of_first = Q(instance=key, subscription=None)
        ours = Notification.objects.filter(of_first if instances[key] == key else Q(subscription=key), pk__lte=last)
        old = ours.filter(DONE, created_at__lt=before)
        yield key, partial(_prune_others, old=old, ages=ages, pruned=pruned)


def _last_made(before: datetime) -> int | None:
    """Return the highest id of the notifications that were made before a time, None if none was.

    Many are made at one moment, and ids are taken a little sooner: the newest by time is not the newest by id, which is
    among the few before it.
    """
    made = Notification.objects.filter(created_at__lt=before).order_by("-created_at", "-pk")
    newest: int | None = made[:EVENTS].aggregate(pk=Max("pk"))["pk"]
    return newest


def _prune_others(place: Place, *, old: QuerySet[Notification], ages: Ages, pruned: Pruned) -> tuple[int, Place | None]:
    keys = list(old.filter(pk__gt=place.key).order_by("pk").values_list("pk", flat=True)[: walks.BATCH])
    return _prune_notifications(keys, ages, pruned), Place(HEAD.at, keys[-1]) if keys else None


@transaction.atomic
def _prune_notifications(keys: list[int], ages: Ages, pruned: Pruned) -> int:
    """Delete those of these notifications whose events may go, none that is to be sent again by now; give how many."""
    skip = connection.features.has_select_for_update_skip_locked
    done = Notification.objects.filter(DONE, pk__in=keys).order_by("pk").select_for_update(skip_locked=skip)
    keys = list(done.values_list("pk", flat=True))
    carried = carried_by(keys)
    stay = staying(carried, ages)
    kept = {event.notification_id for event in carried if event.key in stay}
    going = [key for key in keys if key not in kept]
    with_them = [event for event in carried if event.notification_id not in kept]
    _note_forgotten(going)
    pruned.events += delete_notifications(going, now=ages.now, carried=with_them)
    pruned.notifications += len(going)
    return len(going)


def _note_forgotten(keys: list[int]) -> None:
    """Note up to where subscriptions that read the log forgot what they were sent, so that it never counts as lost.

    Others may want the events longer, and they themselves what they are sent from now on.
    """
    theirs = SubscriptionEvent.objects.filter(notification__in=keys).order_by()
    last = theirs.values_list("subscription_id").annotate(last=Max("event_id"))
    for key, event_id in sorted(last):
        Subscription.objects.filter(pk=key, forgotten_id__lt=event_id).update(forgotten_id=event_id)


def _prune_usual_events(place: Place, *, ages: Ages, pruned: Pruned) -> tuple[int, Place | None]:
    """Prune events of those instances that keep them for the usual time."""
    usual = Event.objects.exclude(instance__in=list(ages.of_events)) if ages.of_events else Event.objects.all()
    return _prune_events(place, among=usual, before=ages.usual, ages=ages, pruned=pruned)


def _prune_events(
    place: Place, *, among: QuerySet[Event], before: datetime, ages: Ages, pruned: Pruned
) -> tuple[int, Place | None]:
    """Prune those of these events that no notification was made with, by the time they were seen at."""
    old = among.filter(beyond(place, "polled_at"), polled_at__lt=before, notification=None)
    with transaction.atomic():
        events = read_events(old.order_by("polled_at", "pk")[:EVENTS])
        stay = staying(events, ages)
        count = delete_events([event for event in events if event.key not in stay])
    pruned.events += count
    return count, Place(events[-1].polled_at, events[-1].key) if events else None


def _prune_shared_bodies(place: Place, before: datetime) -> tuple[int, Place | None]:
    """Delete bodies that were last taken a day ago and that no notification has: of notifications that went sooner."""
    old = NotificationBody.objects.filter(used_at__gt=place.at, used_at__lt=before)
    times = list(old.order_by("used_at").values_list("used_at", flat=True)[:EVENTS])
    return (delete_unused(old.filter(used_at__lte=times[-1])), Place(times[-1])) if times else (0, None)


def _prune_runs(place: Place, before: datetime) -> tuple[int, Place | None]:
    events_of_run = Event.objects.filter(run=OuterRef("pk"))
    # What has ended before has begun before, and by their beginning runs are in an index.
    ended = PollRun.objects.filter(beyond(place, "started_at"), started_at__lt=before, finished_at__lt=before)
    return _delete_old(ended.filter(~Q(status=PollRun.Status.OPEN), ~Exists(events_of_run), held=[]), "started_at")


def _delete_old(rows: QuerySet[Any], time: str) -> tuple[int, Place | None]:
    """Delete the first of these rows by a time and their ids."""
    first = list(rows.order_by(time, "pk").values_list(time, "pk")[: walks.BATCH])
    rows.model.objects.filter(pk__in=[key for _, key in first]).delete()
    return len(first), Place(*first[-1]) if first else None


def _prune_alerts(before: datetime) -> int:
    """Delete warnings that were over before a time, with where they were sent; an open one stays."""
    old = list(Alert.objects.filter(resolved_at__lt=before).values_list("pk", flat=True)[: walks.BATCH])
    Alert.objects.filter(pk__in=old).delete()
    return len(old)


def _prune_bodies() -> int:
    """Delete texts that nobody asks for any more: neither their poll, for deletes or field changes, nor a filter."""
    asked_by_none = ResourcePoll.objects.filter(_off("detectDeletes"), _off("trackChanges"), tracks_for_filters=False)
    silent = asked_by_none.values("pk")
    bodies = SnapshotBody.objects.filter(resource_poll__in=silent)
    poll_id = bodies.values_list("resource_poll_id", flat=True).first()
    if poll_id is None:
        return 0
    records = list(bodies.filter(resource_poll_id=poll_id).values_list("record_id", flat=True)[: walks.BATCH])
    SnapshotBody.objects.filter(resource_poll_id=poll_id, record_id__in=records).delete()
    return len(records)


def _prune_counts(before: datetime) -> int:
    """Delete the counts of the oldest hour, if it is that old: a few for each instance with callbacks."""
    hour = CallbackCount.objects.filter(hour__lt=before).order_by("hour").values_list("hour", flat=True).first()
    return CallbackCount.objects.filter(hour=hour).delete()[0] if hour is not None else 0


def _off(key: str) -> Q:
    return Q(**{f"configuration__{key}__isnull": True}) | Q(**{f"configuration__{key}": False})
