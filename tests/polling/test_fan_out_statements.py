"""How the log is read: by indexes, however many are undelivered, whatever the statistics say; and by few statements."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from instances.models import Organization, ResourcePoll, Transformation
from polling.delivery.fan_out.step import FanOut
from polling.log.event_ids import go_on_after
from polling.models import Subscription
from polling.workers.due import delivery_due_at
from tests.polling.test_query_plans import plan_of, scan_in
from tests.support.event_volume import EVENTS_EACH, FIRST_ID, fill
from tests.support.read_log import Log, made_for, read_log, subscribe

PAST = 5000
READS = re.compile(r"(SELECT|WITH|UPDATE)\b")


@pytest.fixture
def log(organization: Organization) -> Log:
    """A log behind 20,000 events of another instance's, with statistics of when nothing was undelivered."""
    past = PAST if connection.vendor == "postgresql" else PAST // 10
    fill(organization, polls=100, notifications=past)
    go_on_after(FIRST_ID + past * EVENTS_EACH)
    return Log(organization)


def statements_of(log: Log, *records: int) -> list[str]:
    """Record, and return the statements by which the log is read for all."""
    log.record(*records)
    with CaptureQueriesContext(connection) as captured:
        FanOut().step(timezone.now())
    return [query["sql"] for query in captured.captured_queries]


def test_a_step_reads_by_indexes_though_statistics_know_of_no_undelivered(log: Log) -> None:
    subscriptions = [subscribe(log.instance) for _ in range(2)]
    for _ in range(30):
        log.record(*range(1, 11))
    read_log()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:  # what is judged is few rows here, and would be read whole by right
            cursor.execute("SET LOCAL enable_seqscan = off")
    plans = {sql: plan_of(sql) for sql in statements_of(log, *range(1, 11)) if READS.match(sql)}
    assert [made.follows for made in made_for(subscriptions[0])][-1] is not None
    assert not {sql: plan for sql, plan in plans.items() if scan_in(plan)}
    (facts,) = (plan for sql, plan in plans.items() if "facts" in sql)
    assert "notification_undelivered_to" in facts
    assert re.search(r"event_carried|using \w+ on polling_subscriptionevent", facts)
    (waits,) = (plan for sql, plan in plans.items() if "given.bound" in sql)
    (locked,) = (plan for sql, plan in plans.items() if "KEY SHARE" in sql or sql.endswith("ORDER BY id"))
    for plan in (waits, locked):
        assert "notification_undelivered" not in plan
    assert "event_of_record" in waits
    assert re.search(r"SEARCH judged USING INDEX|Index Scan using \w+ on polling_subscriptionevent", waits)


def test_what_is_due_is_asked_by_indexes(log: Log) -> None:
    subscribe(log.instance)
    log.record(1)
    with CaptureQueriesContext(connection) as captured:
        delivery_due_at(timezone.now())
    (plan,) = (plan_of(query["sql"]) for query in captured.captured_queries if "readers" in query["sql"])
    assert "event_newest" in plan
    assert not scan_in(plan)


@pytest.mark.parametrize("count", [1, 12])
def test_a_step_is_as_many_statements_however_many_subscriptions_it_serves(log: Log, count: int) -> None:
    for _ in range(count):
        subscribe(log.instance)
    log.record(1)
    read_log()
    statements = statements_of(log, 1, 2)
    per_subscription = [sql for sql in statements if connection.vendor == "sqlite" and "RETURNING id" in sql]
    writes = {"postgresql": 0, "sqlite": count}[connection.vendor]
    # Two are savepoints, where the test's own transaction stands around it; COPY is not seen.
    most = {"postgresql": 17, "sqlite": 18}[connection.vendor]
    assert len(statements) - max(0, writes - 1) <= most, "\n\n".join(statements)
    assert len(per_subscription) <= count + 1


@pytest.mark.parametrize("count", [1, 12])
def test_mappings_and_polls_are_read_once_however_many_go_by_them(log: Log, count: int) -> None:
    Transformation.objects.create(instance=log.instance, name="people", vendor_name="contacts", fields=[])
    for number in range(count):
        subscribe(log.instance, mapping="people", filter={"where": f"id > -{number + 1}"})
    statements = statements_of(log, 1, 2)
    assert sum("instances_transformation" in sql for sql in statements) == 2  # theirs, and the poll's own, if any
    assert sum(f'{ResourcePoll._meta.db_table}"."id" =' in sql for sql in statements) <= 2


def test_while_nobody_reads_the_log_a_loop_hardly_looks(log: Log) -> None:
    fan = FanOut()
    log.record(1)
    with CaptureQueriesContext(connection) as captured:
        for _ in range(100):
            fan.step(timezone.now())
    assert len(captured) <= 4  # a look at all in the beginning, and one each second
    assert not Subscription.objects.filter(reads_log=True).exists()


def test_while_nothing_is_recorded_a_look_is_one_value(log: Log) -> None:
    subscribe(log.instance)
    log.record(1)
    fan = FanOut()
    while fan.step(timezone.now()) or fan.more:
        pass
    with CaptureQueriesContext(connection) as captured:
        for _ in range(3):
            fan._looks._at = 0.0  # time passes
            fan.step(timezone.now())
    last = {"postgresql": "SELECT last_value FROM polling_event_ids", "sqlite": "SELECT last FROM polling_logposition"}
    assert {query["sql"] for query in captured.captured_queries[-2:]} == {last[connection.vendor]}
