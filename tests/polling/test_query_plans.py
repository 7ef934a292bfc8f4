"""What a worker asks of the database is answered from indexes: the plans of all that a poll and a delivery run.

On PostgreSQL no plan scans a large table from end to end; on SQLite, whose EXPLAIN says less, none scans one without
an index.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cwconnect.site.subscription_metrics import subscription_families
from instances.models import ResourcePoll
from instances.provisioning import delete_instance
from polling.delivery.breaker import take_probe, targets_of
from polling.delivery.delivery_loop import deliver_due
from polling.delivery.replay.replays import start_replay
from polling.delivery.replay.selection import Selection
from polling.detection.poll_loop import PollLoop
from polling.log.event_ids import go_on_after
from polling.maintenance.purge import purge_deleted
from polling.maintenance.retention import prune
from polling.models import Event, Notification, PollState, Receiver, Subscription, SubscriptionEvent
from polling.reports.event_search import DELIVERY_STATES, Search, search_events
from polling.subscriptions.changes import delete_subscription
from polling.subscriptions.status import held_of, statuses_of
from polling.workers.due import delivery_due_at, poll_due_at
from polling.workers.heartbeats import release_dead_cluster
from tests.support.deliveries import change, deliver
from tests.support.event_volume import LARGE, fill
from tests.support.notifications import make_instance, make_notifications
from tests.support.polled_instance import PolledInstance
from tests.support.retained import carry, further, record

TABLES = [model._meta.db_table for model in LARGE]
EXPLAINED = re.compile(r"(SELECT|UPDATE|DELETE)\b")
WRITTEN_OUT = re.compile(r"(WITH|INSERT)\b")  # by hand, beside those
SCANS = {
    "postgresql": re.compile(rf"Seq Scan on ({'|'.join(TABLES)})\b"),
    "sqlite": re.compile(rf"SCAN ({'|'.join(TABLES)})(?! USING)"),
}


@pytest.fixture
def busy(notifying: PolledInstance) -> PolledInstance:
    """A watched world in the middle of 4,000 other polls and 5,000 notifications of the past.

    On SQLite a tenth of them: its plans go by the statement alone.
    """
    share = 1 if connection.vendor == "postgresql" else 10
    fill(notifying.tenant.organization, polls=4000 // share, notifications=5000 // share)
    return notifying


@contextmanager
def planned(*more: re.Pattern[str]) -> Iterator[None]:
    """Explain every statement that runs within, those that match one of `more` too; find no scan of a large table."""
    with CaptureQueriesContext(connection) as captured:
        yield
    sent = [query["sql"] for query in captured.captured_queries]
    statements = [sql for sql in sent if any(kind.match(sql) for kind in (EXPLAINED, *more))]
    assert statements
    assert all(any(kind.match(sql) for sql in sent) for kind in more)
    scans = {sql[:1000]: plan for sql in dict.fromkeys(statements) for plan in [plan_of(sql)] if scan_in(plan)}
    assert not scans, "\n\n".join(f"{sql}\n{plan}" for sql, plan in scans.items())


def plan_of(statement: str) -> str:
    words = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # What a plan costs beside it can make a join with 5,000 rows kept in memory as good as their index, within
            # the planner's one in a hundred; they stand for millions.
            cursor.execute("SET LOCAL enable_material = off")
        cursor.execute(f"{words} {statement}")
        return "\n".join(str(row[-1]) for row in cursor.fetchall())


def scan_in(plan: str) -> bool:
    return SCANS[connection.vendor].search(plan) is not None


def test_an_idle_poll(busy: PolledInstance) -> None:
    with planned():
        busy.poll()


def test_a_poll_that_finds_changes(busy: PolledInstance) -> None:
    for record_id in (3, 4, 5):
        busy.change(record_id, "Chief")
    busy.poll()  # so that the next one has something to wait for
    for record_id in (3, 4, 5):
        busy.change(record_id, "Chief of all")
    with planned():
        busy.poll()
    assert Event.objects.filter(instance=busy.instance).count() == 6


def test_what_a_change_waits_for_is_asked_record_by_record_while_there_are_no_statistics(
    notifying: PolledInstance,
) -> None:
    make_notifications(notifying.instance, [range(first, first + 10) for first in range(1, 2001, 10)])
    go_on_after(2000)  # those ids are taken
    Event.objects.update(resource_poll=ResourcePoll.objects.get())
    notifying.change(3, "Chief")
    with CaptureQueriesContext(connection) as captured:
        notifying.poll()
    asked = [query["sql"] for query in captured.captured_queries if query["sql"].startswith("SELECT")]
    plans = [plan_of(sql) for sql in asked if "recordsnapshot" in sql and "polling_event" in sql]
    assert len(plans) == 1
    assert re.search(r"event_of_record.*record_id\"? ?=", plans[0], re.DOTALL)
    assert "notification_undelivered" not in plans[0]


def test_the_oldest_undelivered_of_an_instance_is_the_head_of_an_index_whatever_the_statistics_say(
    notifying: PolledInstance,
) -> None:
    make_notifications(notifying.instance, [[first] for first in range(1, 1001)])
    go_on_after(2000)  # those ids are taken
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # as of a moment when all are one instance's, and undelivered
    notifying.change(3, "Chief")
    with CaptureQueriesContext(connection) as captured:
        notifying.poll()
    asked = [query["sql"] for query in captured.captured_queries]
    [plan] = [plan_of(sql) for sql in asked if sql.startswith("SELECT given.value") and "polling_notification" in sql]
    assert "notification_undelivered" in plan
    assert "pkey" not in plan


def test_a_claim_among_many_due_polls(busy: PolledInstance) -> None:
    PollState.objects.update(next_poll_at=timezone.now() - timedelta(seconds=1))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    loop = PollLoop(PollState.objects.filter(next_poll_at__isnull=False), deadline=float("inf"))
    with planned(WRITTEN_OUT):
        jobs = loop.claim(16, [])
    loop.release(jobs)
    assert jobs


def test_a_delivery(busy: PolledInstance) -> None:
    for record_id in range(1, 21):
        busy.change(record_id, "Chief")
    busy.poll()
    with planned(WRITTEN_OUT):
        assert deliver(now_due=False) == 2


def test_a_replay_queued_in_batches(busy: PolledInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    for title in ("Chief", "Owner", "Clerk"):
        change(busy, 3, 4, title=title)
        deliver(now_due=False)
    for name, value in (("AT_ONCE", 0), ("BATCH", 2)):
        monkeypatch.setattr(f"polling.delivery.replay.replays.{name}", value)
    start_replay(busy.instance, Selection(resource="contacts"), timezone.now())
    with planned(WRITTEN_OUT):
        assert deliver_due(deadline=float("inf")) == 3


@pytest.mark.parametrize("look", [poll_due_at, delivery_due_at])
def test_the_look_for_what_is_due(busy: PolledInstance, look: Callable[..., object]) -> None:
    with planned(WRITTEN_OUT):
        look(timezone.now())


@pytest.mark.parametrize("delivery_state", DELIVERY_STATES)
def test_a_search_by_delivery(busy: PolledInstance, delivery_state: str) -> None:
    reads = further(busy.instance, reached=0, days=90)
    # As many as there are where it matters: an empty table is read whole, where statistics know that it is empty.
    SubscriptionEvent.objects.bulk_create(
        SubscriptionEvent(subscription=reads, event_id=number, held_by="kinds: UPDATED") for number in range(5000)
    )
    with planned():
        search_events(busy.tenant.organization, Search(delivery_state=delivery_state))


def test_retention(busy: PolledInstance) -> None:
    with planned():
        prune(timezone.now())


def test_retention_of_subscriptions(busy: PolledInstance) -> None:
    at = timezone.now() - timedelta(days=91)
    waits, goes = record(busy.instance, 1, at=at), record(busy.instance, 2, notified=False, at=at)
    carry(further(busy.instance, reached=goes.pk, days=7), [goes], state="delivered")
    carry(further(busy.instance, reached=goes.pk, days=90), [waits], state="pending")
    other = make_instance(busy.tenant.organization, "http://127.0.0.1:9/", "Pulled only")
    other.resource_polls.create(name="contacts")
    record(other, 2, notified=False, at=at)
    with planned():
        pruned = prune(timezone.now())
    assert (pruned.notifications, pruned.events) == (1, 2)


def test_how_subscriptions_stand_and_what_one_was_spared(busy: PolledInstance) -> None:
    event = record(busy.instance, 1)
    behind = further(busy.instance, reached=event.pk - 1)
    Subscription.objects.filter(pk=behind.pk).update(catching_up_to=event.pk)
    SubscriptionEvent.objects.create(subscription=behind, event=event, held_by="where: id = 2")
    with planned(re.compile("SELECT given.value"), re.compile("SELECT one.id")):
        assert [each.catch_up and each.catch_up.left for each in statuses_of(busy.instance)] == [None, 1]
    with planned():
        assert len(held_of(behind)[:100]) == 1


@pytest.mark.parametrize("behind", ["by nothing", "by one event", "by all there are"])
def test_metrics_of_subscriptions(busy: PolledInstance, behind: str) -> None:
    of_past = Event.objects.filter(instance__name="Of the past")
    first, last = (of_past.order_by(order).values_list("pk", flat=True)[0] for order in ("pk", "-pk"))
    reached = {"by nothing": last, "by one event": last - 1, "by all there are": first - 1}[behind]
    lags = further(of_past[0].instance, reached=reached)
    SubscriptionEvent.objects.bulk_create(
        SubscriptionEvent(subscription=lags, event_id=number, held_by="kinds: UPDATED") for number in range(5000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    with CaptureQueriesContext(connection) as captured, planned(WRITTEN_OUT):
        found = list(subscription_families(timezone.now()))
    asked = [query["sql"] for query in captured.captured_queries if query["sql"].startswith("WITH")]
    assert len(asked) == 2
    assert not any("polling_subscriptionevent" in sql or "polling_notification" in sql for sql in asked)
    [plan] = [plan_of(sql) for sql in asked if "polling_event" in sql]
    assert re.search(
        r"Limit .*\n.*Index Scan Backward using event_newest|SEARCH polling_event USING INDEX event_newest", plan
    )
    assert "TEMP B-TREE FOR ORDER" not in plan
    waited = found[-1].samples[0].value
    assert (waited > 3000) is (behind != "by nothing")


def test_deleting_a_subscription(busy: PolledInstance) -> None:
    event = record(busy.instance, 1)
    gone = further(busy.instance, reached=event.pk)
    waits = carry(gone, [event], state="pending")
    with planned():
        delete_subscription(gone, timezone.now())
    assert Notification.objects.get(pk=waits.pk).state == "discarded"


def test_forgetting_a_deleted_subscription(busy: PolledInstance) -> None:
    event = record(busy.instance, 1)
    deleted = further(busy.instance, reached=event.pk)
    carry(deleted, [event], state="discarded")
    Subscription.objects.filter(pk=deleted.pk).update(deleted_at=timezone.now())
    with planned():
        assert purge_deleted(timezone.now()) == 1


def test_forgetting_a_deleted_instance(busy: PolledInstance) -> None:
    delete_instance(busy.instance)
    with planned():
        assert purge_deleted(timezone.now()) == 1


def test_what_a_dead_cluster_held_is_found_by_its_leases(busy: PolledInstance) -> None:
    with planned():
        release_dead_cluster("a machine", "0123456789ab")


def test_a_scan_is_seen(busy: PolledInstance) -> None:
    with pytest.raises(AssertionError, match="polling_event"), planned():
        list(Event.objects.filter(record="{}")[:1])


def test_a_probe_is_found_past_what_was_delivered(busy: PolledInstance) -> None:
    busy.change(3, "Chief")
    busy.poll()
    [target] = targets_of([busy.instance.pk]).values()
    Notification.objects.filter(instance=busy.instance).update(next_attempt_at=None)
    now = timezone.now()
    Receiver.objects.filter(pk=target.receiver_id).update(failures=5, open_until=now, holds=True)
    with CaptureQueriesContext(connection) as captured:
        probe = take_probe(target.receiver_id, Notification.objects.all(), now, now)
    assert probe is not None
    asked = [query["sql"] for query in captured.captured_queries]
    plans = [plan_of(sql) for sql in asked if "AS held" in sql or " + 0" in sql]
    assert len(plans) == 2
    assert "undelivered" in plans[0]  # one of the two indexes of those
    assert not any(re.search(r"pkey on polling_notification (held)? ", plan) for plan in plans)
