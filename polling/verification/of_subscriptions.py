"""What became of a resource's events for each subscription: all that was recorded in its range is accounted for.

| Said of | Means |
|---|---|
| delivered, waiting, given up, discarded | events that a notification carries to it, by the state of that |
| held | events that its filter held back |
| to be judged | events that the fan-out has still to come to |
| no longer kept | events whose notification retention deleted, and which others still need |
| lost | none of these: nobody knows what became of them. Must be none, and is repaired |

Its range is what was recorded since it began: of one that reads the log what is beyond `began_id`, and of one that is
off what it had come to by then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any, Final

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from cwconnect.core.text import counted
from instances.models import ResourcePoll
from polling.delivery.fan_out.again import DANGLING, judge_again
from polling.delivery.fan_out.judged import UnreadableError
from polling.delivery.first_subscriptions import lost_notifications
from polling.delivery.pausing import subscriptions_of
from polling.delivery.replay.selection import DELIVERED, GIVEN_UP, WAITING, state_in_words
from polling.models import Event, Notification, Subscription, SubscriptionEvent

AT_ONCE: Final = 1000
MOST_STEPS: Final = 10  # of one repair: what is left then is found by the comparison that follows
_UNDER_WAY: Final = timedelta(hours=1)  # what retention deletes meanwhile is not lost
DISCARDED = Notification.State.DISCARDED


COUNTS: Final = (
    *("events", "delivered", "waiting", "given_up", "discarded", "held", "to_be_judged", "no_longer_kept", "lost"),
)
"""What is counted, in the order in which it is shown."""
_IN_WORDS: Final = {count: count.replace("_", " ") for count in COUNTS[1:]} | {
    "held": "held back",
    "to_be_judged": "not judged yet",
}


@dataclass(frozen=True)
class SubscriptionFinding:
    """How a resource's events stand with a subscription: counts of those in its range, which add up to `events`."""

    subscription_id: int
    name: str
    events: int
    delivered: int = 0
    waiting: int = 0
    given_up: int = 0
    discarded: int = 0
    held: int = 0
    to_be_judged: int = 0
    no_longer_kept: int = 0
    lost: int = 0
    reads_log: bool = False

    @property
    def carried(self) -> int:
        """How many a notification carries."""
        return self.delivered + self.waiting + self.given_up + self.discarded

    @property
    def in_words(self) -> str:
        """What became of them, as far as there is any."""
        parts = [f"{getattr(self, count):,} {words}" for count, words in _IN_WORDS.items() if getattr(self, count)]
        return ", ".join([counted(self.events, "event"), *parts])

    def as_json(self) -> dict[str, Any]:
        """Return it for a reader of JSON."""
        return asdict(self)


def account_for(poll: ResourcePoll, now: datetime) -> tuple[SubscriptionFinding, ...]:
    """Return how the events of a resource stand with each subscription, the first one first: six queries."""
    subscriptions = subscriptions_of(poll.instance)
    readers = [each for each in subscriptions if each.reads_log]
    own = _own_states(poll)
    judged, ranges = _judged_states(poll, readers, now), _ranges(poll, readers, now)
    return tuple(
        _of_reader(each, judged[each.pk], ranges[each.pk], own if each.is_first else {})
        if each.reads_log
        else _of_first(each, poll, own)
        for each in subscriptions
    )


def lost_of(subscription: Subscription, poll: ResourcePoll, now: datetime) -> QuerySet[Event]:
    """Return the events of a resource that a subscription which reads the log is past, and nothing is noted of."""
    judged = SubscriptionEvent.objects.filter(~DANGLING, subscription=subscription, event=OuterRef("pk"))
    own = Q(notification=None) if subscription.is_first else Q()
    found = Event.objects.filter(_is_past(subscription), own, resource_poll=poll)
    return found.filter(~Exists(judged), polled_at__gte=_kept_since(subscription, now)).order_by("pk")


def find_again(poll: ResourcePoll, now: datetime) -> int:
    """Judge what is lost once more, for those subscriptions that are on; return how many events that was."""
    count = 0
    for subscription in subscriptions_of(poll.instance):
        if not (subscription.reads_log and subscription.enabled):
            continue
        with suppress(UnreadableError):  # the fan-out pauses it, and says why
            for _ in range(MOST_STEPS):
                keys = list(lost_of(subscription, poll, now).values_list("pk", flat=True)[:AT_ONCE])
                judged = judge_again(subscription, keys, now) if keys else 0
                count += judged
                if not judged:
                    break
    return count


@dataclass(frozen=True)
class _Range:
    """How many events a subscription is past, how many of those are recent enough to be kept, how many are to come."""

    past: int
    recent: int
    coming: int


def _is_past(subscription: Subscription) -> Q:
    return Q(pk__gt=subscription.accounted_from_id, pk__lte=subscription.reached_id)


def _kept_since(subscription: Subscription, now: datetime) -> datetime:
    return now - timedelta(days=subscription.days_kept) + _UNDER_WAY


def _own_states(poll: ResourcePoll) -> Mapping[str, int]:
    """Count the events that notifications were made with, by the state of those."""
    carried = Event.objects.filter(resource_poll=poll, notification__isnull=False).order_by()
    return dict(carried.values_list("notification__state").annotate(n=Count("pk")))


def _judged_states(
    poll: ResourcePoll, readers: Sequence[Subscription], now: datetime
) -> Mapping[int, Sequence[tuple[str | None, int, int]]]:
    """Return by subscription and state (None: held) how many events it is past are so, and how many recent ones."""
    found: dict[int, list[tuple[str | None, int, int]]] = {each.pk: [] for each in readers}
    if not readers:
        return found
    past = {
        each.pk: Q(subscription=each.pk, event_id__gt=each.accounted_from_id, event_id__lte=each.reached_id)
        for each in readers
    }
    recent = [Q(past[each.pk], event__polled_at__gte=_kept_since(each, now)) for each in readers]
    rows = SubscriptionEvent.objects.filter(reduce(or_, past.values()), ~DANGLING, event__resource_poll=poll).order_by()
    states = rows.values_list("subscription_id", "notification__state")
    for key, state, count, kept in states.annotate(n=Count("pk"), kept=Count("pk", filter=reduce(or_, recent))):
        found[key].append((state, count, kept))
    return found


def _ranges(poll: ResourcePoll, readers: Sequence[Subscription], now: datetime) -> Mapping[int, _Range]:
    """Count the events of each one's range, those that a notification was made with left out of the first one's."""
    counts: dict[str, Count] = {}
    for place, each in enumerate(readers):
        past = _is_past(each) & (Q(notification=None) if each.is_first else Q())
        counts[f"past{place}"] = Count("pk", filter=past)
        counts[f"recent{place}"] = Count("pk", filter=past & Q(polled_at__gte=_kept_since(each, now)))
        counts[f"coming{place}"] = Count("pk", filter=_coming(each))
    found = Event.objects.filter(resource_poll=poll).aggregate(**counts) if counts else {}
    return {
        each.pk: _Range(*(found[f"{name}{place}"] for name in ("past", "recent", "coming")))
        for place, each in enumerate(readers)
    }


def _coming(subscription: Subscription) -> Q:
    """Return the condition of events that are still to be judged: of none where nobody reads the log for it."""
    is_read = subscription.enabled and bool(subscription.notification_settings.callback_url)
    own = Q(notification=None) if subscription.is_first else Q()
    return Q(own, pk__gt=subscription.reached_id) if is_read else Q(pk__in=())


def _of_first(subscription: Subscription, poll: ResourcePoll, own: Mapping[str, int]) -> SubscriptionFinding:
    """Return how events stand with a first one whose notifications are made with them."""
    lost = Event.objects.filter(lost_notifications(poll.instance), resource_poll=poll).count()
    states = _in_words(own.items())
    return SubscriptionFinding(
        subscription.pk, subscription.name, sum(states.values()) + lost, **_of_states(states), lost=lost
    )


def _of_reader(
    subscription: Subscription,
    judged: Sequence[tuple[str | None, int, int]],
    found: _Range,
    own: Mapping[str, int],
) -> SubscriptionFinding:
    states = _in_words([*own.items(), *((state, count) for state, count, _ in judged if state is not None)])
    held = sum(count for state, count, _ in judged if state is None)
    noted, recent = sum(count for _, count, _ in judged), sum(kept for _, _, kept in judged)
    lost = max(0, found.recent - recent)
    return SubscriptionFinding(
        subscription.pk,
        subscription.name,
        found.past + found.coming + sum(own.values()),
        **_of_states(states),
        held=held,
        to_be_judged=found.coming,
        no_longer_kept=max(0, found.past - noted - lost),
        lost=lost,
        reads_log=True,
    )


def _in_words(states: Iterable[tuple[str | None, int]]) -> Counter[str]:
    """Count by what people call these states; what was discarded by itself."""
    words: Counter[str] = Counter()
    for state, count in states:
        words[DISCARDED if state == DISCARDED else state_in_words(state or "")] += count
    return words


def _of_states(words: Counter[str]) -> dict[str, Any]:
    return {
        "delivered": words[DELIVERED],
        "waiting": words[WAITING],
        "given_up": words[GIVEN_UP],
        "discarded": words[DISCARDED],
    }
