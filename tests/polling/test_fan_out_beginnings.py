"""From where on a subscription reads the log, and how the first one is switched to it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from instances.models import Organization
from polling.delivery.fan_out import pages
from polling.delivery.fan_out.beginnings import begin, go_on, switch_to_log
from polling.delivery.fan_out.step import FanOut
from polling.models import Event, Notification, Subscription
from polling.subscriptions import status
from polling.subscriptions.status import CatchUp, statuses
from polling.workers.due import delivery_due_at
from tests.conftest import make_tenant
from tests.support.read_log import NOON, Log, carried_by_all, end, held_for, made_for, read_log, subscribe
from tests.support.rows import make_notification

MINUTE = timedelta(minutes=1)
IN_THREADS = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer")


@pytest.fixture
def log(organization: Organization) -> Log:
    return Log(organization, names=("contacts", "companies"))


def reload(subscription: Subscription) -> Subscription:
    return Subscription.objects.select_related("instance").get(pk=subscription.pk)


def catch_up_of(subscription: Subscription) -> CatchUp | None:
    return statuses([reload(subscription)])[0].catch_up


def switch(log: Log, **columns: Any) -> Subscription:
    """Give the first one something that has it read the log."""
    first = log.first
    with transaction.atomic():
        switch_to_log(first)
        Subscription.objects.filter(pk=first.pk).update(**columns)
    return reload(first)


def test_a_new_one_begins_from_now(log: Log) -> None:
    log.record(1)
    mine = subscribe(log.instance)
    assert catch_up_of(mine) is None
    ids = log.record(2)
    read_log()
    assert carried_by_all(mine) == ids


def test_one_that_begins_in_the_past_catches_up_with_progress(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MOST", "LEAST"):
        monkeypatch.setattr(pages, name, 2)
    log.record(1, 2, at=NOON - MINUTE)
    wanted = log.record(1, 2, 3) + log.record(3, at=NOON + MINUTE)
    mine = subscribe(log.instance, since=NOON)
    found = catch_up_of(mine)
    assert found is not None
    assert (found.reached, found.upto, found.left) == (wanted[0] - 1, wanted[-1], 4)
    assert delivery_due_at(timezone.now()) is not None
    fan = FanOut()
    fan.step(timezone.now())
    found = catch_up_of(mine)
    assert found is not None
    assert (found.reached, found.left) == (wanted[1], 2)
    later = log.record(5)
    read_log()
    assert catch_up_of(mine) is None
    assert reload(mine).catching_up_to is None
    assert carried_by_all(mine) == wanted + later
    made = made_for(mine)
    assert made[-2].follows is not None  # record 3 came twice


def test_the_first_by_time_is_the_least_of_the_ids(log: Log) -> None:
    early, late = log.record(1, at=NOON + MINUTE), log.record(2, at=NOON)
    between = log.record(3, at=NOON - MINUTE)
    mine = subscribe(log.instance, since=NOON)
    read_log()
    assert carried_by_all(mine) == early + late + between


@pytest.mark.parametrize("since", [NOON + timedelta(days=1), timezone.now() + timedelta(days=10)])
def test_where_nothing_is_that_late_it_begins_from_now(log: Log, since: Any) -> None:
    log.record(1)
    mine = subscribe(log.instance, since=since)
    ids = log.record(2)
    read_log()
    assert carried_by_all(mine) == ids


def test_what_is_left_is_counted_with_a_limit(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "MOST_COUNTED", 3)
    log.record(*range(1, 9))
    found = catch_up_of(subscribe(log.instance, since=NOON))
    assert found is not None
    assert found.left == 3


def test_while_it_is_off_nothing_is_kept_and_it_begins_anew(log: Log) -> None:
    mine = subscribe(log.instance)
    before = log.record(1)
    read_log()
    Subscription.objects.filter(pk=mine.pk).update(enabled=False)
    log.record(1)
    read_log()
    mine = reload(mine)
    mine.enabled = True
    with transaction.atomic():
        mine.save()
        begin(mine)
    after = log.record(1)
    read_log()
    assert carried_by_all(mine) == before + after


def test_it_may_go_on_where_it_was(log: Log) -> None:
    mine = subscribe(log.instance)
    before = log.record(1)
    read_log()
    Subscription.objects.filter(pk=mine.pk).update(enabled=False)
    meanwhile = log.record(1)
    read_log()
    mine = reload(mine)
    mine.enabled = True
    with transaction.atomic():
        mine.save()
        go_on(mine)
    found = catch_up_of(mine)
    assert found is not None
    assert found.left == 1
    read_log()
    assert carried_by_all(mine) == before + meanwhile
    assert made_for(mine)[1].follows == made_for(mine)[0].id


def test_it_never_goes_back(log: Log) -> None:
    mine = subscribe(log.instance)
    ids = log.record(1, 2)
    read_log()
    mine = reload(mine)
    with transaction.atomic():
        begin(mine, since=NOON - MINUTE)
    read_log()
    assert carried_by_all(mine) == ids
    assert catch_up_of(mine) is None


def test_a_first_one_that_was_off_begins_with_notifications_made_with_the_events(log: Log) -> None:
    Subscription.objects.filter(pk=log.first.pk).update(enabled=False)
    log.record(1)
    assert not Notification.objects.exists()
    Subscription.objects.filter(pk=log.first.pk).update(enabled=True)
    with transaction.atomic():
        begin(log.first)
    ids = log.record(1)
    assert not log.first.reads_log
    assert read_log() == 0
    assert carried_by_all(log.first) == ids


def test_a_first_one_may_catch_up_with_the_time_that_it_was_off(log: Log) -> None:
    before = log.record(1)
    Subscription.objects.filter(pk=log.first.pk).update(enabled=False)
    meanwhile = log.record(1, 2)
    Subscription.objects.filter(pk=log.first.pk).update(enabled=True)
    between = log.record(3)
    with transaction.atomic():
        begin(log.first, since=NOON)
    after = log.record(1)
    read_log()
    assert carried_by_all(log.first) == before + meanwhile + between + after
    made = made_for(log.first)
    assert [event for each in made for event in each.events] == meanwhile + after
    assert made[0].follows == before[0]  # the notification that was made with its event
    assert len(set(Event.objects.filter(notification__isnull=False).values_list("pk", flat=True))) == 2


def test_the_first_one_reads_the_log_once_it_was_given_a_filter(log: Log) -> None:
    before = log.record(1, 2)
    first = switch(log, filter='{"where":"wanted = true"}')
    after = log.record((1, {"wanted": True}), 3)
    assert list(Event.objects.filter(pk__in=after).values_list("notification", flat=True)) == [None, None]
    read_log()
    assert carried_by_all(first) == [*before, after[0]]
    assert list(held_for(first)) == [after[1]]
    (made,) = made_for(first)
    assert made.follows == before[0]
    stored = Notification.objects.get(pk=made.id)
    assert (stored.subscription_id, stored.body, stored.event_count) == (None, "", 1)
    end(before[0])
    assert made_for(first)[0].due


def test_order_is_kept_where_what_was_made_with_events_came_after_what_was_made_of_earlier_ones(log: Log) -> None:
    first = switch(log)
    (earlier,) = log.record(1, name="companies")
    (asked_before,) = log.record(1)  # as of who asked before the switch, took ids, and committed late
    make_notification(log.instance, asked_before, NOON)
    Event.objects.filter(pk=asked_before).update(notification=asked_before)
    read_log()
    (of_the_log,) = made_for(first)
    assert of_the_log.events == (earlier,)
    assert of_the_log.id > asked_before
    log.record(1, name="companies")
    log.record(1)
    read_log()
    assert [each.follows for each in made_for(first)] == [None, of_the_log.id, asked_before]


def test_switched_again_it_stays_where_it_is(log: Log) -> None:
    first = switch(log)
    ids = log.record(1)
    switch(log)
    read_log()
    assert carried_by_all(first) == ids


def test_only_a_first_one_is_switched(log: Log) -> None:
    with pytest.raises(ValueError, match="first"):
        switch_to_log(subscribe(log.instance))


class Recorder:
    """Somebody who records on a connection of their own, and leaves it open until the test commits."""

    def __init__(self, log: Log, name: str) -> None:
        self._log, self._name = log, name
        self._thread = ThreadPoolExecutor(1)
        self._open = ExitStack()
        self.ids: list[int] = []

    def record(self, *records: int) -> list[int]:
        """Record, and leave the transaction open."""
        self._thread.submit(self._open.enter_context, transaction.atomic()).result()
        self.ids = self._thread.submit(lambda: self._log.record(*records, name=self._name)).result()
        return self.ids

    def commit(self) -> None:
        """Commit what was recorded."""
        self._thread.submit(self._open.close).result()

    def close(self) -> None:
        """End the thread and its connection."""
        self._thread.submit(connections.close_all).result()
        self._thread.shutdown()


@contextmanager
def recorder(log: Log, name: str) -> Iterator[Recorder]:
    made = Recorder(log, name)
    try:
        yield made
    finally:
        made.commit()
        made.close()


@IN_THREADS
@pytest.mark.django_db(transaction=True)
def test_the_switch_loses_and_doubles_nothing_of_who_records_beside_it() -> None:
    log = Log(make_tenant("Gamma").organization, names=("contacts", "companies"))
    with recorder(log, "contacts") as before, recorder(log, "companies") as after:
        made_with = before.record(1, 2)  # asked before the switch, committed after it
        first = switch(log)
        without = after.record(1)
        after.commit()
        assert first.reached_id < made_with[0]
        assert read_log() == 0  # nothing beyond who is still open
        before.commit()
    later = log.record(1, 2)
    read_log()
    assert carried_by_all(first) == [*made_with, *without, *later]
    made = made_for(first)
    assert sorted(event for each in made for event in each.events) == [*without, *later]
    assert [each.follows for each in made if each.events != tuple(without)] == [made_with[0]]


@IN_THREADS
@pytest.mark.django_db(transaction=True)
def test_two_workers_make_each_notification_once() -> None:
    log = Log(make_tenant("Gamma").organization)
    subscriptions = [subscribe(log.instance, filter=text) for text in ("", '{"where":"id > 3"}', "")]

    def work(until: float) -> int:
        fan, judged = FanOut(), 0
        try:
            while time.monotonic() < until:
                judged += fan.step(timezone.now())
        finally:
            connection.close()
        return judged

    until = time.monotonic() + 3
    with ThreadPoolExecutor(3) as workers:
        running = [workers.submit(work, until) for _ in range(3)]
        ids = [key for _ in range(40) for key in log.record(1, 2, 3, 4, 5)]
        judged = sum(each.result() for each in running)
    judged += read_log()
    assert judged == 3 * len(ids)
    for each, wanted in zip(subscriptions, (200, 80, 200), strict=True):
        made = [event for one in made_for(each) for event in one.events]
        assert len(made) == len(set(made)) == wanted
        assert reload(each).passed == wanted
        by_record: dict[int, int] = {}
        records = dict(Event.objects.values_list("pk", "record_id"))
        for one in made_for(each):
            expected = {by_record.get(records[event]) for event in one.events}
            assert expected == {one.follows}
            by_record.update({records[event]: one.id for event in one.events})
