"""How many statements a delivery costs, held against the table of docs/operations.md."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from instances.models import Instance
from polling.delivery.breaker import host_of
from polling.delivery.delivery_loop import DeliveryLoop
from polling.delivery.delivery_request import Outcome
from polling.models import DeliveryAttempt, DeliveryState, Notification
from tests.conftest import Tenant
from tests.support.notifications import make_instance, make_notifications

ROW = re.compile(r"\| (\d+) notifications? at a time \| ([\d.]+) \| ([\d.]+) \|")
DELIVERED, FAILED = Outcome(status=204, seconds=0.001), Outcome(status=500, seconds=0.001, error_kind="status")


def documented() -> list[tuple[int, float]]:
    """Return sizes and the statements per notification that the table has for this database."""
    text = (Path(settings.BASE_DIR) / "docs" / "operations.md").read_text(encoding="utf-8")
    column = 2 if connection.vendor == "sqlite" else 3
    return [(int(row[1]), float(row[column])) for row in ROW.finditer(text)]


class Counter:
    """Counts statements, those that begin a transaction excepted: psycopg sends them by itself."""

    count = 0

    def __call__(self, execute: Any, sql: str, *args: Any) -> Any:
        self.count += not sql.startswith("BEGIN")
        return execute(sql, *args)


@contextmanager
def counted() -> Iterator[Counter]:
    counter = Counter()
    with connection.execute_wrapper(counter):
        yield counter


@pytest.fixture
def instance(tenant: Tenant) -> Instance:
    return make_instance(tenant.organization, "http://127.0.0.1:9/events")


@pytest.fixture
def loop(instance: Instance) -> DeliveryLoop:
    """A loop that has delivered to the receiver, and knows it to be quick."""
    loop = DeliveryLoop(Notification.objects.all(), deadline=float("inf"))
    for _ in range(50):
        loop.limits.learn(host_of(instance.callback_url), delivered=True, seconds=0.001)
    look(loop, instance, 1)
    return loop


def look(loop: DeliveryLoop, instance: Instance, count: int, outcome: Outcome = DELIVERED) -> int:
    """Have so many notifications claimed and answered at one look; give the number of statements."""
    made = make_notifications(instance, [[record] for record in range(count)])
    ended: Future[Outcome] = Future()
    ended.set_result(outcome)
    with counted() as counter:
        requests = loop.claim(32, [])
        loop.settle([(request, ended) for request in requests])
    assert {request.notification.pk for request in requests} == {notification.pk for notification in made}
    return counter.count


def test_the_table_has_a_row_for_one_for_few_and_for_many(db: None) -> None:
    assert [size for size, _ in documented()] == [1, 16, 100]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("size", [1, 16, 100])
def test_a_delivery_takes_no_more_statements_than_documented(loop: DeliveryLoop, instance: Instance, size: int) -> None:
    assert look(loop, instance, size) / size <= dict(documented())[size]
    assert Notification.objects.filter(state=Notification.State.DELIVERED).count() == size + 1
    assert DeliveryAttempt.objects.filter(status=204).count() == size + 1


@pytest.mark.django_db(transaction=True)
def test_many_failures_take_as_few_statements_as_one(tenant: Tenant, loop: DeliveryLoop, instance: Instance) -> None:
    one = look(loop, instance, 1, FAILED)
    other = make_instance(tenant.organization, "http://127.0.0.1:9/others")
    look(loop, other, 1)
    assert look(loop, other, 30, FAILED) <= one + 6  # the warning of its breaker, which opens
    assert Notification.objects.filter(step=1, state=Notification.State.PENDING).count() == 31


@pytest.mark.django_db(transaction=True)
def test_a_target_is_opened_again_only_when_its_row_has_changed(loop: DeliveryLoop, instance: Instance) -> None:
    usual = look(loop, instance, 1)
    Instance.objects.filter(pk=instance.pk).update(callback_url="http://127.0.0.1:9/elsewhere")
    make_notifications(instance, [[1]])
    (request,) = loop.claim(32, [])
    assert request.delivery_target.url == "http://127.0.0.1:9/elsewhere"
    loop.release([request])
    Notification.objects.update(next_attempt_at=None)
    changed = look(loop, instance, 1)
    assert look(loop, instance, 1) <= usual < changed


@pytest.mark.django_db(transaction=True)
def test_a_pause_is_seen_although_the_instance_has_not_changed(loop: DeliveryLoop, instance: Instance) -> None:
    DeliveryState.objects.filter(pk=instance.pk).update(paused_at=instance.created_at)
    make_notifications(instance, [[1]])
    assert loop.claim(32, []) == []
    assert Notification.objects.filter(next_attempt_at__isnull=False).count() == 0


def test_looks_grow_rarer_with_the_time_since_something_came(loop: DeliveryLoop) -> None:
    first = loop.scan_wait()
    time.sleep(2 * loop.scan_every)
    assert first < loop.scan_wait() == loop.scan_every
