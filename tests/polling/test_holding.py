"""What is due for open receivers loses its due time, some at a time, and nobody waits for the backlog of another."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from instances.models import Instance
from polling.delivery.adaptive_limits import AdaptiveLimits
from polling.delivery.breaker import close, hold, targets_of
from polling.delivery.pausing import rearm_all
from polling.delivery.scheduler import HOLD_MOST, REREAD_EVERY, Scheduler
from polling.models import Notification, Receiver
from tests.conftest import Tenant
from tests.support.notifications import make_instance, make_notifications
from tests.support.row_locks import wait_for_who_waits

SECOND, LATER = timedelta(seconds=1), timedelta(minutes=4)
MANY = 10 * HOLD_MOST
Open = Callable[[str, datetime], tuple[Instance, int]]


@pytest.fixture
def open_one(tenant: Tenant) -> Open:
    """Make an instance of that name, whose receiver's breaker is open until then; give both."""

    def made(name: str, until: datetime) -> tuple[Instance, int]:
        instance = make_instance(tenant.organization, f"http://127.0.0.1:9/{name}", name)
        receiver = targets_of([instance.pk])[instance.pk].receiver_id
        Receiver.objects.filter(pk=receiver).update(open_until=until, opened_at=until - LATER, failures=5)
        return instance, receiver

    return made


@pytest.fixture
def scheduler() -> Scheduler:
    return Scheduler(Notification.objects.all(), AdaptiveLimits(), probe_length=timedelta(seconds=45))


def test_a_probe_does_not_wait_for_the_backlog_of_another(open_one: Open, scheduler: Scheduler) -> None:
    now = timezone.now()
    full, _ = open_one("full", now + LATER)
    ready, receiver = open_one("ready", now - SECOND)
    make_notifications(full, [[record] for record in range(MANY)], now - LATER)
    (first,) = make_notifications(ready, [[1]], now - SECOND)
    assert scheduler.choose(32, [], now).probes == {first.pk: receiver}


def test_another_url_is_noticed_behind_the_backlog_of_another(open_one: Open, scheduler: Scheduler) -> None:
    now = timezone.now()
    full, _ = open_one("full", now + LATER)
    moved, _ = open_one("moved", now + LATER)
    make_notifications(full, [[record] for record in range(MANY)], now - LATER)
    (waiting,) = make_notifications(moved, [[1]], now - SECOND)
    Receiver.objects.update(holds=True)
    scheduler.choose(32, [], now)
    moved.callback_url = "http://127.0.0.1:9/another"
    moved.save()
    rearm_all(moved, now)
    scheduler.choose(32, [], now + REREAD_EVERY)
    assert waiting.pk in scheduler.choose(32, [], now + REREAD_EVERY).batches


@pytest.mark.django_db(transaction=True)
def test_who_holds_does_not_wait_for_who_writes_results(open_one: Open) -> None:
    """A breaker that closes makes a whole backlog due meanwhile; and who waited could be waited for in its turn."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no locks of rows")
    now = timezone.now()
    both = [open_one(name, now + LATER) for name in ("closing", "open")]
    rows = [make_notifications(instance, [[1]], now - SECOND)[0].pk for instance, _ in both]

    def look() -> None:
        try:
            hold(rows, [receiver for _, receiver in both], now)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        close([both[0][1]], now)
        pool.submit(look).result(60)
    due = Notification.objects.filter(next_attempt_at__isnull=False).values_list("pk", flat=True)
    assert list(due) == rows[:1]


@pytest.mark.django_db(transaction=True)
def test_what_was_delivered_meanwhile_is_not_made_due_again(tenant: Tenant) -> None:
    """As where two make the same backlog due, and a worker delivers of what the first has made due."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer")
    now = timezone.now()
    instance = make_instance(tenant.organization, "http://127.0.0.1:9/", "Any")
    make_notifications(instance, [[1], [2]], now)
    Notification.objects.update(next_attempt_at=None)
    first = Notification.objects.order_by("pk")[:1].get()

    def make_due() -> None:
        try:
            with transaction.atomic():
                rearm_all(instance, now)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Notification.objects.filter(pk=first.pk).update(state=Notification.State.DELIVERED)
            waiting = pool.submit(make_due)
            wait_for_who_waits()
        waiting.result(60)
    due = Notification.objects.filter(next_attempt_at__isnull=False)
    assert first not in due
    assert due.count() == 1
