"""What subscriptions get of the log, compared with a plain evaluation, whatever comes between: random stories.

Events are recorded by several polls, notifications are delivered and given up, workers are killed at any write, pages
are small. In the end each subscription was notified of exactly the events that pass its filter, each once, those of a
record in order; and of no record was a later event due before an earlier one was through.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instances.models import Organization
from polling.delivery.fan_out import pages
from polling.delivery.fan_out.beginnings import switch_to_log
from polling.delivery.fan_out.step import FanOut
from polling.filters.judging import Facts, judge
from polling.filters.reading import parse_filter
from polling.models import Event, Notification, Subscription, SubscriptionEvent
from tests.polling.test_callbacks_killed import KilledError, Killer
from tests.support.read_log import Log, carried_by_all, end, held_for, made_for, read_log, subscribe

FILTERS = (
    "",
    '{"resources":["companies"]}',
    '{"kinds":["UPDATED"],"where":"status = \'Open\'"}',
    '{"where":"status = \'nobody has this\'"}',
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("record"), st.lists(st.integers(1, 14), min_size=1, max_size=14, unique=True), st.booleans()),
        st.tuples(st.just("read"), st.integers(1, 3)),
        st.tuples(st.just("killed"), st.integers(0, 12)),
        st.tuples(st.just("deliver"), st.integers(1, 12)),
        st.tuples(st.just("switch")),
        st.tuples(st.just("subscribe"), st.sampled_from(FILTERS)),
    ),
    min_size=4,
    max_size=30,
)


@contextmanager
def small_pages(events: int) -> Iterator[None]:
    """Have a page of the log hold so many events at most."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "MOST", events)
        patch.setattr(pages, "LEAST", events)
        yield


class Story:
    """A log, its subscriptions, and what was delivered to each."""

    def __init__(self, organization: Organization, seed: int) -> None:
        self.log = Log(organization, names=("contacts", "companies"))
        self.chance = random.Random(seed)
        self.fan = FanOut()
        self.began: dict[int, int] = {self.log.instance.pk: 0}
        self.arrived: dict[int, list[int]] = {}
        self.failed: set[int] = set()
        for text in FILTERS:
            self.subscribe(text)

    @property
    def subscriptions(self) -> list[Subscription]:
        """All of them, the first one too."""
        return list(Subscription.objects.filter(instance=self.log.instance).select_related("instance"))

    def subscribe(self, text: str) -> None:
        """Make one more subscription, from now on."""
        made = subscribe(self.log.instance, filter=text)
        self.began[made.pk] = made.began_id

    def record(self, records: list[int], companies: bool) -> None:
        """Record a page of changes."""
        rows = [(key, {"status": self.chance.choice(("Open", "Closed"))}) for key in records]
        self.log.record(*rows, name="companies" if companies else "contacts")

    def read(self, times: int) -> None:
        """Take some steps through the log."""
        for _ in range(times):
            self.fan._looks._at = self.fan._looks._all_at = float("-inf")
            self.fan.step(timezone.now())

    def killed(self, count: int) -> None:
        """Have a step be killed at a write, and what it had claimed be freed."""
        try:
            with connection.execute_wrapper(Killer(count)):
                self.read(1)
        except KilledError:
            transaction.set_rollback(False)  # Django's mark of a statement of its own that failed; it wrote nothing
            Subscription.objects.filter(lease_token__isnull=False).end_leases()
            self.fan = FanOut()

    def switch(self) -> None:
        """Have the first one read the log."""
        with transaction.atomic():
            switch_to_log(self.log.first)

    def deliver(self, most: int) -> None:
        """Deliver some of what is due, or give it up."""
        due = list(Notification.objects.filter(next_attempt_at__isnull=False).order_by("pk"))
        for notification in self.chance.sample(due, min(most, len(due))):
            state = self.chance.choice([Notification.State.DELIVERED] * 4 + [Notification.State.FAILED])
            carried = SubscriptionEvent.objects.filter(notification=notification).values_list("event_id", flat=True)
            made_with = Event.objects.filter(notification=notification).values_list("pk", flat=True)
            events = sorted({*carried, *made_with})
            assert len(events) == notification.event_count
            if state == Notification.State.DELIVERED:
                self.arrived.setdefault(notification.to, []).extend(events)
            else:
                self.failed.update(events)
            end(notification.pk, state=state)

    def finish(self) -> None:
        """Read and deliver until nothing is left."""
        read_log()
        while Notification.objects.filter(state__in=Notification.UNDELIVERED).exists():
            self.deliver(10_000)

    def check(self) -> None:
        """Compare with what a plain evaluation says."""
        events = list(Event.objects.order_by("pk"))
        records = {event.pk: (event.object_type, event.record_id) for event in events}
        for subscription in self.subscriptions:
            wanted = parse_filter(subscription.filter or "{}")
            asked = [event for event in events if event.pk > self.began[subscription.pk]]
            passing = [
                event.pk
                for event in asked
                if judge(wanted, Facts(event.object_type, event.kind, event.record, event.changes)).passes
            ]
            assert carried_by_all(subscription) == passing
            held = held_for(subscription)
            assert list(held) == [event.pk for event in asked if event.pk not in passing]
            assert all(held.values())
            if not subscription.is_first:
                assert (subscription.passed, subscription.held) == (len(passing), len(held))
            self._check_arrived(subscription, passing, records)

    def _check_arrived(
        self, subscription: Subscription, passing: list[int], records: dict[int, tuple[str, int]]
    ) -> None:
        arrived = self.arrived.get(subscription.pk, [])
        assert len(arrived) == len(set(arrived))
        assert set(passing) - set(arrived) <= self.failed
        for record in set(records.values()):
            in_order = [event for event in arrived if records[event] == record]
            assert in_order == sorted(in_order)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=STEPS, seed=st.integers(0, 2**32), size=st.sampled_from([1, 3, 7, 40]))
def test_each_gets_what_passes_its_filter_once_and_in_order(
    organization: Organization, steps: list[tuple[object, ...]], seed: int, size: int
) -> None:
    with transaction.atomic(), small_pages(size):
        story = Story(organization, seed)
        for name, *arguments in steps:
            getattr(story, str(name))(*arguments)
        story.finish()
        story.check()
        transaction.set_rollback(True)


def test_a_worker_killed_at_any_write_leaves_all_of_a_page_or_nothing(organization: Organization) -> None:
    log = Log(organization)
    subscriptions = [subscribe(log.instance, filter=text) for text in FILTERS[:3]]
    for count in itertools.count():
        with transaction.atomic():
            log.record(1, (2, {"status": "Open"}), 3)
            log.record(1, (2, {"status": "Open"}), 3)
            before = {each.pk: each.reached_id for each in subscriptions}
            ended = True
            try:
                with connection.execute_wrapper(Killer(count)):
                    FanOut().step(timezone.now())
            except KilledError:
                ended = False
                transaction.set_rollback(False)
                assert not SubscriptionEvent.objects.exists()
                assert not Notification.objects.filter(shared_body__isnull=False).exists()
                assert {each.pk: each.reached_id for each in Subscription.objects.exclude(pk=log.instance.pk)} == before
                Subscription.objects.filter(lease_token__isnull=False).end_leases()
            read_log()
            assert [len(carried_by_all(each)) for each in subscriptions] == [6, 0, 2]
            made = made_for(subscriptions[0])
            assert [each.follows for each in made] == [None, made[0].id]
            transaction.set_rollback(True)
        if ended:
            break
    assert count >= 4
