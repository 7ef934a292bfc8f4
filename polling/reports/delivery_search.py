"""The search of deliveries: an organization's notifications, newest first, at a bounded cost whatever is asked.

What a page shows, what a CSV holds, what *Replay these* counts and what it then sends are one selection
(delivery/replay/selection.py). Most of them are read as all long tables are, by slices of ids (keyset_walk.py). What is
rare is found by the index that lists it: what was given up, what waits, what failed, and the events of one record.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import BooleanField, Count, F, Max, Min, QuerySet
from django.db.models.expressions import RawSQL

from cwconnect.core.time import shifted
from instances.models import Instance, Organization
from polling.delivery.carried import first_events_of
from polling.delivery.replay.selection import GIVEN_UP, WAITING, Selection, narrowed
from polling.models import DeliveryAttempt, DeliveryState, Event, Notification, Subscription, SubscriptionEvent
from polling.models.deliveries import TO
from polling.reports.delivery_names import name_of
from polling.reports.keyset_walk import KeysetWalk, Listed, Stretch, bounds_of, walk, walk_all, walk_listed
from polling.reports.waiting import undelivered_of

PER_PAGE = 50
MOST_LISTED = 5000  # what waits is not listed in the order of ids: so many are read to be put into it
MOST_COUNTED = 20_000
SPAN = 50_000  # ids that a count looks through where no index lists what is meant: 0.1 s
SPAN_OF_TEXTS = 5000  # likewise, where whole records are read
_RECORDED = timedelta(minutes=5)  # from when a poll saw an event to when its notification is made, at most
_ATTEMPTS_SHOWN = 5

# Written out: SQLite takes a partial index for constants only, never for bound values.
_GIVEN_UP = RawSQL(
    "polling_notification.state IN ('exhausted', 'failed', 'discarded')", [], output_field=BooleanField()
)
_FAILED = RawSQL("polling_deliveryattempt.error_kind > ''", [], output_field=BooleanField())


@dataclass(frozen=True)
class DeliverySearch:
    """Which notifications of an organization: a selection, of some instances or of all."""

    selection: Selection = field(default_factory=Selection)
    instance_id: int | None = None
    called: str = ""  # a part of the names of its instances

    @property
    def narrows(self) -> bool:
        """Whether anything is looked for in particular."""
        return self != DeliverySearch()


@dataclass(frozen=True)
class Found:
    """What `search_deliveries` reads of one notification: it, its attempts (the last ones), its first event."""

    notification: Notification
    attempts: Sequence[DeliveryAttempt]
    tries: int
    event: Event | None

    @property
    def answers(self) -> list[str]:
        """The statuses of its last attempts, in order; words where there was none."""
        return [_answer(each) for each in self.attempts]

    @property
    def seconds(self) -> float | None:
        """How long the slowest of its attempts took."""
        return max((each.seconds for each in self.attempts if each.seconds is not None), default=None)


@dataclass(frozen=True)
class Counted:
    """How many notifications a search means, to which subscriptions, made from when to when; by falling count.

    `whole` is False where there are older ones, which are not counted: below the id `looked_to`.
    """

    by_subscription: Sequence[tuple[Subscription, int]]
    first_made: datetime | None
    last_made: datetime | None
    first_id: int
    last_id: int
    looked_to: int | None

    @property
    def total(self) -> int:
        """How many of all instances."""
        return sum(count for _, count in self.by_subscription)

    @property
    def instances(self) -> list[Instance]:
        """Whose they are, each once."""
        return list({each.instance_id: each.instance for each, _ in self.by_subscription}.values())

    @property
    def whole(self) -> bool:
        """Whether all there are were counted."""
        return self.looked_to is None


def search_deliveries(
    organization: Organization, search: DeliverySearch, *, before: int | None
) -> Stretch[Notification]:
    """Return the newest notifications that match: six queries at most."""
    rows, how = _rows(organization, search), _how(search)
    shown = rows.select_related("instance").defer("body").annotate(to_name=name_of())
    listed = _listed(organization, search)
    if listed is None:
        return walk(shown, how, before=before, size=PER_PAGE)
    return walk_listed(shown, listed, how, before=before, size=PER_PAGE)


def with_attempts(rows: Sequence[Notification]) -> list[Found]:
    """Return these notifications with their attempts and first events: two queries."""
    attempts: dict[int, list[DeliveryAttempt]] = {row.pk: [] for row in rows}
    made = DeliveryAttempt.objects.filter(notification__in=list(attempts)).order_by("pk")
    for attempt in made.only("notification_id", "status", "seconds", "error_kind", "finished_at"):
        attempts[attempt.notification_id].append(attempt)
    events = first_events_of(attempts)
    return [Found(row, attempts[row.pk][-_ATTEMPTS_SHOWN:], len(attempts[row.pk]), events.get(row.pk)) for row in rows]


def _answer(attempt: DeliveryAttempt) -> str:
    if attempt.finished_at is None:
        return "no end yet"
    return "none" if attempt.status is None else str(attempt.status)


def all_deliveries(organization: Organization, search: DeliverySearch) -> Iterator[Notification]:
    """Return all notifications that match, newest first, holding a thousand at a time."""
    rows = _rows(organization, search).select_related("instance").defer("body").annotate(to_name=name_of())
    return walk_all(rows, _how(search), _listed(organization, search))


def count_deliveries(organization: Organization, search: DeliverySearch) -> Counted:
    """Count by subscription what a replay of the search sends, among the newest alone where there is very much.

    Eight queries at most. What was discarded is not sent again.
    """
    rows, how, listed = _rows(organization, search), _how(search), _listed(organization, search)
    rows = rows.exclude(state=Notification.State.DISCARDED)
    top, bottom = bounds_of(rows, how)
    if top is None:
        return _count(rows.none(), None)
    if listed is not None:
        keys = listed.newest(below=top, since=bottom, most=MOST_COUNTED + 1)
        looked_to = keys[MOST_COUNTED - 1] if len(keys) > MOST_COUNTED else None
        return _count(rows.filter(pk__in=keys[:MOST_COUNTED]), looked_to)
    lowest = max(bottom, top - (SPAN_OF_TEXTS if search.selection.text else SPAN))
    within = rows.filter(pk__lt=top, pk__gte=lowest)
    older = lowest > bottom and rows.model._default_manager.filter(pk__lt=lowest, pk__gte=bottom).exists()  # noqa: SLF001  (documented API of models)
    return _count(within, lowest if older else None)


def _count(rows: QuerySet[Notification], looked_to: int | None) -> Counted:
    sums = (Count("pk"), Min("created_at"), Max("created_at"), Min("pk"), Max("pk"))
    groups = list(rows.order_by().annotate(whose=TO).values_list("whose").annotate(*sums))
    found = Subscription.objects.select_related("instance").in_bulk([group[0] for group in groups])
    pairs = [(found[key], count) for key, count, *_ in groups if key in found]
    return Counted(
        by_subscription=sorted(pairs, key=lambda pair: (-pair[1], pair[0].instance.name.lower(), pair[0].pk)),
        first_made=min((group[2] for group in groups), default=None),
        last_made=max((group[3] for group in groups), default=None),
        first_id=min((group[4] for group in groups), default=0),
        last_id=max((group[5] for group in groups), default=0),
        looked_to=looked_to,
    )


def _rows(organization: Organization, search: DeliverySearch) -> QuerySet[Notification]:
    ours = _instances(organization, search).values("pk")
    # To be read by id: the sum keeps the planner off other indexes.
    rows = Notification.objects.of_living().annotate(owner=F("instance_id") + 0).filter(owner__in=ours)
    return narrowed(rows, search.selection)


def _instances(organization: Organization, search: DeliverySearch) -> QuerySet[Instance]:
    given: dict[str, Any] = {"pk": search.instance_id, "name__icontains": search.called}
    narrowing = {name: value for name, value in given.items() if value}
    found = Instance.objects.filter(organization=organization, **narrowing)
    if search.selection.receiver:
        states = DeliveryState.objects.filter(receiver=search.selection.receiver)
        found = found.filter(pk__in=states.values("subscription__instance"))
    return found


def _how(search: DeliverySearch) -> KeysetWalk:
    """Say between which times the notifications were made, those of events soon after these were seen."""
    given = search.selection
    seen_until = given.seen_until and shifted(given.seen_until, _RECORDED)
    return KeysetWalk("created_at", since=given.since or given.seen_since, until=given.until or seen_until)


def _listed(organization: Organization, search: DeliverySearch) -> Listed | None:
    """Return what an index lists of all that may match; None where none does, or too much."""
    given = search.selection
    if given.object_id:
        asked = {"instance__in": _instances(organization, search), "object_id": given.object_id}
        own = Event.objects.filter(notification__isnull=False, **asked)
        of_log = {f"event__{name}": value for name, value in asked.items()}
        judged = SubscriptionEvent.objects.filter(notification__isnull=False, **of_log)
        return Listed(own, "notification_id", also=judged)
    if given.state == GIVEN_UP:
        return Listed(Notification.objects.filter(_GIVEN_UP))
    if given.status and not given.status.startswith("2"):
        return Listed(DeliveryAttempt.objects.filter(_FAILED), "notification_id")
    if given.state == WAITING:
        waiting = undelivered_of(instance__in=_instances(organization, search))
        keys = list(waiting.values_list("pk", flat=True)[: MOST_LISTED + 1])
        return Listed(Notification.objects.filter(pk__in=keys)) if len(keys) <= MOST_LISTED else None
    if given.subscription and search.instance_id:
        whose = Selection(subscription=given.subscription)
        return Listed(narrowed(Notification.objects.filter(instance=search.instance_id), whose))
    return None
