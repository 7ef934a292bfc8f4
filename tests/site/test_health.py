"""`/healthz` and `/readyz`: each part is made to fail, and is named."""

from __future__ import annotations

import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from instances.models import Organization
from polling.workers.heartbeats import Part, beat
from tests.support.rows import make_instance, make_notification, make_poll


@pytest.fixture
def worker(db: None) -> None:
    beat(Part.CLUSTER, "a-machine-1")


def ready() -> tuple[int, dict[str, Any]]:
    answer = Client().get("/readyz")
    return answer.status_code, answer.json()


def test_the_process_is_well_without_a_database() -> None:
    answer = Client().get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.usefixtures("worker")
def test_a_service_with_a_worker_and_nothing_late_is_ready() -> None:
    status, body = ready()
    assert (status, body["status"], body["failing"]) == (200, "ok", [])
    assert list(body["parts"]) == ["database", "broker", "worker", "poll lag", "delivery lag"]


@pytest.mark.django_db
def test_without_a_worker_it_is_not_ready() -> None:
    status, body = ready()
    assert (status, body["failing"]) == (503, ["worker"])
    assert "manage.py work" in body["parts"]["worker"]["message"]


@pytest.mark.django_db
def test_a_probe_of_one_process_leaves_out_the_parts_that_others_do() -> None:
    answer = Client().get("/readyz?exclude=worker&exclude=poll_lag&exclude=delivery_lag&exclude=nothing")
    assert (answer.status_code, list(answer.json()["parts"])) == (200, ["database", "broker"])
    assert Client().get("/readyz?exclude=poll_lag").json()["failing"] == ["worker"]


@pytest.mark.django_db
def test_a_worker_not_seen_for_two_minutes_counts_as_gone() -> None:
    beat(Part.CLUSTER, "a-machine-1", at=timezone.now() - timedelta(seconds=120))
    assert ready()[1]["parts"]["worker"]["message"].startswith("No worker was seen for 12")


@pytest.mark.usefixtures("worker")
def test_a_poll_that_nobody_runs_is_reported(organization: Organization) -> None:
    make_poll(make_instance(organization), due_at=timezone.now() - timedelta(minutes=6))
    status, body = ready()
    assert (status, body["failing"]) == (503, ["poll lag"])
    assert body["parts"]["poll lag"]["message"].startswith("A poll has been due for 36")


@pytest.mark.usefixtures("worker")
def test_a_poll_due_for_a_moment_is_no_lag(organization: Organization) -> None:
    make_poll(make_instance(organization), due_at=timezone.now() - timedelta(seconds=20))
    assert ready()[0] == 200


@pytest.mark.usefixtures("worker")
def test_a_delivery_that_nobody_makes_is_reported(organization: Organization) -> None:
    now = timezone.now()
    make_notification(make_instance(organization), 1, now, next_attempt_at=now - timedelta(minutes=6))
    assert ready()[1]["failing"] == ["delivery lag"]


@pytest.mark.usefixtures("worker")
def test_a_broker_that_refuses_is_reported_without_its_address(settings: Settings) -> None:
    pytest.importorskip("redis")
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    settings.REDIS_URL = f"redis://:a-password@127.0.0.1:{port}/0"
    status, body = ready()
    assert (status, body["failing"]) == (503, ["broker"])
    assert str(port) not in str(body)
    assert "a-password" not in str(body)


@contextmanager
def read_only() -> Iterator[None]:
    """Have the database answer readers alone, as after a failover, or on a file system mounted so."""
    on, off = "SET default_transaction_read_only = on", "SET default_transaction_read_only = off"
    if connection.vendor == "sqlite":
        on, off = "PRAGMA query_only = 1", "PRAGMA query_only = 0"
    with connection.cursor() as cursor:
        cursor.execute(on)
        try:
            yield
        finally:
            cursor.execute(off)


@contextmanager
def full_disk() -> Iterator[None]:
    """Have SQLite's file grow no more, and not a page with room for a row."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA page_count")
        cursor.execute(f"PRAGMA max_page_count = {cursor.fetchone()[0]}")
        try:
            for length in (10, 6, 4):  # shorter ones at last, which fit where no longer one does
                refused = 0
                while refused < 50:
                    try:
                        beat(Part.PROBE, secrets.token_hex(length), at=timezone.now() - timedelta(days=1))
                    except OperationalError:
                        refused += 1
            yield
        finally:
            cursor.execute("PRAGMA max_page_count = 4294967294")


WRITES = re.compile(r"\b(INSERT INTO|UPDATE|DELETE FROM) ")
CANT_WRITE = "It can be read and not written; the log says more."


@pytest.mark.django_db(transaction=True)
def test_a_database_that_takes_no_writes_is_reported() -> None:
    beat(Part.CLUSTER, "a-machine-1", at=timezone.now() - timedelta(seconds=20))
    with read_only():
        status, body = ready()
    assert (status, body["failing"]) == (503, ["database"])
    assert body["parts"]["database"]["message"] == CANT_WRITE
    assert ready()[0] == 200


@pytest.mark.django_db(transaction=True)
def test_a_full_disk_is_reported() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL ends on a full disk, and can't be reached then")
    beat(Part.CLUSTER, "a-machine-1", at=timezone.now() - timedelta(seconds=20))
    with full_disk():
        status, body = ready()
    assert (status, body["failing"], body["parts"]["database"]["message"]) == (503, ["database"], CANT_WRITE)


@pytest.mark.usefixtures("worker")
def test_beside_a_worker_that_lives_nothing_is_written() -> None:
    with CaptureQueriesContext(connection) as queries:
        assert ready()[0] == 200
    assert not [query["sql"] for query in queries if WRITES.search(query["sql"])]


@pytest.mark.django_db
def test_without_a_worker_one_write_serves_whoever_asks_next() -> None:
    with CaptureQueriesContext(connection) as queries:
        ready()
    assert [query["sql"] for query in queries if WRITES.search(query["sql"])]
    with CaptureQueriesContext(connection) as queries:
        ready()
    assert not [query["sql"] for query in queries if WRITES.search(query["sql"])]


@pytest.mark.usefixtures("worker")
def test_a_database_that_fails_is_reported_and_what_depends_on_it_is_not_known() -> None:
    def refuse(*_: object) -> None:
        raise OperationalError("connection to 10.1.2.3 failed")

    with connection.execute_wrapper(refuse):
        status, body = ready()
    broker = [] if django_settings.REDIS_URL else ["broker"]  # Redis does not fall with the database
    assert (status, body["failing"]) == (503, ["database", *broker, "worker", "poll lag", "delivery lag"])
    assert body["parts"]["worker"]["message"] == "Not known."
    assert "10.1.2.3" not in str(body)


@pytest.mark.django_db
@pytest.mark.parametrize("host", ["10.1.2.3:8000", "[2001:db8::1]:8000", "kubernetes", "", "a..b", "evil.example"])
@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_probes_are_answered_whatever_their_host_says(path: str, host: str, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["cwconnect.example.com"]
    answer = Client().get(path, headers={"host": host})
    assert answer.status_code in (200, 503), answer.content


@pytest.mark.parametrize("path", ["/", "/instances", "/healthz/x", "/app/signin", "/admin/"])
def test_every_other_route_wants_a_host_that_is_answered(path: str, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["cwconnect.example.com"]
    assert Client().get(path, headers={"host": "10.1.2.3:8000"}).status_code == 400
