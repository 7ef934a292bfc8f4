"""A fan-out that lives as long as its delivery loop: what it knows from one step is right at the next."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cwconnect.core.bulk_sql import insert
from cwconnect.core.statements import rows_of
from instances.models import Organization
from polling.delivery.delivery_loop import deliver_these
from polling.delivery.fan_out.pages import read_pages
from polling.delivery.fan_out.step import FanOut
from polling.delivery.fan_out.waits import still_undelivered
from polling.delivery.foreground import deliver_in_foreground
from polling.log.event_ids import take_ids
from polling.models import DeliveryState, Event, Notification, Subscription
from polling.subscriptions.changes import change_subscription
from tests.support.read_log import NOON, Log, carried_by_all, end, made_for, read_log, subscribe
from tests.support.row_locks import wait_for_who_waits

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def log(organization: Organization) -> Log:
    return Log(organization)


def step(fan: FanOut) -> None:
    """Step as a loop does that was idle for a while."""
    fan._looks._at = 0.0  # time passes
    fan.step(timezone.now())


def test_what_comes_after_a_look_at_nothing_is_found(log: Log) -> None:
    mine = subscribe(log.instance)
    fan = FanOut()
    first = log.record(1)
    step(fan)
    take_ids(1)  # something else takes an id: what is complete goes further than the subscription came
    step(fan)
    second = log.record(2)
    step(fan)
    assert carried_by_all(mine) == first + second


def test_one_that_is_stuck_holds_up_no_other_of_its_instance(log: Log) -> None:
    """What is not theirs to read, or fails, stays under a lease; what is new is read for the others at once."""
    stuck, other = subscribe(log.instance), subscribe(log.instance)
    later = timezone.now() + timedelta(seconds=50)
    Subscription.objects.filter(pk=stuck.pk).update(lease_token="theirs", lease_until=later)
    fan, ids = FanOut(), log.record(1)
    for _ in range(2):  # served, and then put off, since the other one lags
        step(fan)
    for _ in range(3):
        ids += log.record(1)
        step(fan)
        assert carried_by_all(other) == ids
        step(fan)
        with CaptureQueriesContext(connection) as captured:
            step(fan)
        assert len(captured) == 1  # whether there is news: who is stuck is not asked for at each look
    assert carried_by_all(stuck) == []


def test_what_a_change_asks_for_is_read_at_once_though_it_failed_before(log: Log) -> None:
    mine = subscribe(log.instance, filter={"colour": "red"})
    fan, ids = FanOut(), log.record(1, 2)
    step(fan)
    mine.refresh_from_db()
    assert mine.lease_until is not None  # it can't be read, and is tried again in a minute
    change_subscription(mine, {"filter": {"where": "id = 2"}}, timezone.now())
    FanOut().step(timezone.now())
    assert carried_by_all(mine) == ids[1:]


def test_who_reads_for_one_that_is_changed_meanwhile_writes_nothing(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, ids = subscribe(log.instance), log.record(1)

    def change_meanwhile(asked: object) -> dict[tuple[int, int], int]:
        monkeypatch.undo()
        change_subscription(mine, {"name": "Another"}, timezone.now())
        return {}

    monkeypatch.setattr("polling.delivery.fan_out.step.read_waits", change_meanwhile)
    fan = FanOut()
    step(fan)
    assert carried_by_all(mine) == []
    step(fan)
    assert carried_by_all(mine) == ids


def test_who_is_asked_for_something_else_meanwhile_is_served_at_once(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, other = subscribe(log.instance), subscribe(log.instance)
    ids = log.record(1, 2)

    def change_meanwhile(asked: object) -> dict[tuple[int, int], int]:
        Subscription.objects.filter(pk=mine.pk).update(filter='{"where":"id = 2"}')
        monkeypatch.undo()
        return {}

    monkeypatch.setattr("polling.delivery.fan_out.step.read_waits", change_meanwhile)
    fan = FanOut()
    step(fan)
    assert (carried_by_all(mine), carried_by_all(other)) == ([], ids)
    step(fan)
    assert carried_by_all(mine) == ids[1:]


@pytest.mark.parametrize("place", ["read_delivery_facts", "write"])
def test_a_database_that_was_away_for_a_moment_costs_no_lease(
    log: Log, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    two = [subscribe(log.instance) for _ in range(2)]
    ids = log.record(1)

    def fail(*_: object) -> None:
        raise OperationalError

    with monkeypatch.context() as away:
        away.setattr(f"polling.delivery.fan_out.step.{place}", fail)
        with pytest.raises(OperationalError):
            FanOut().step(timezone.now())
    FanOut().step(timezone.now())
    assert [carried_by_all(mine) for mine in two] == [ids, ids]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no locks of rows")
def test_who_ends_attempts_and_who_follows_them_wait_in_no_circle(log: Log) -> None:
    """Ended are the first and the last; one in between follows the first, and is to be followed, as is the last."""
    mine = subscribe(log.instance)
    read = [log.record(1), log.record(1), log.record(2)]
    read_log()
    first, follower, last = made_for(mine)
    assert (len(read), follower.follows, last.follows) == (3, first.id, None)

    def look() -> set[int]:
        try:
            with transaction.atomic():
                return still_undelivered([follower.id, last.id])
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            locked = Notification.objects.filter(pk__in=[first.id, last.id]).order_by("pk").select_for_update()
            list(locked.values_list("pk"))
            seen = pool.submit(look)
            wait_for_who_waits()
            end(first.id, last.id)
        assert seen.result(timeout=10) == {follower.id}
    assert made_for(mine)[1].due


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite goes by the statement alone")
def test_a_page_is_read_past_the_length_of_the_log_by_a_wide_margin(log: Log) -> None:
    """By estimates that hardly differ PostgreSQL went through all events of an instance for each page of it."""
    rows = ((key, log.instance.pk, "contacts", "1", 1, "UPDATED", NOON, NOON, "{}") for key in range(1, 60_001))
    columns = ("id", "instance_id", "object_type", "object_id", "record_id", "kind", "occurred_at", "polled_at")
    insert(Event, (*columns, "record"), list(rows))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE polling_event")
    with CaptureQueriesContext(connection) as captured:
        read_pages([(log.instance.pk, 30_000), (log.instance.pk, 59_990)], 60_000)
    [[plan]] = rows_of(f"EXPLAIN (FORMAT JSON) {captured.captured_queries[0]['sql']}", ())
    limit = limit_in(plan[0]["Plan"])
    assert limit["Plans"][-1]["Index Name"] == "event_newest"
    assert limit["Total Cost"] < 0.6 * limit["Plans"][-1]["Total Cost"]


def limit_in(plan: dict[str, Any]) -> dict[str, Any]:
    """Return the node of a plan that ends a page."""
    if plan["Node Type"] == "Limit":
        return plan
    return next((found for each in plan.get("Plans", ()) if (found := limit_in(each))), {})


def test_in_the_foreground_the_log_is_read_for_those_alone_that_were_asked_for(
    log: Log, organization: Organization
) -> None:
    """Else it would not end while others' events come."""
    other = Log(organization)
    mine, theirs = subscribe(log.instance), subscribe(other.instance)
    ids = log.record(1)
    other.record(1)
    Notification.objects.update(next_attempt_at=None)
    DeliveryState.objects.create(subscription=mine, paused_at=timezone.now())
    deliver_these([log.instance.pk])
    assert (carried_by_all(mine), carried_by_all(theirs)) == (ids, [])
    deliver_in_foreground(Notification.objects.none(), title="replay", total=0, quiet=True)
    assert carried_by_all(theirs) == []
    call_command("deliver", log.instance.pk, verbosity=0)
    assert carried_by_all(theirs) == []
