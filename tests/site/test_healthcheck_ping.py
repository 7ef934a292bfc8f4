"""The heartbeat URL is called while all is well, and not otherwise."""

from __future__ import annotations

import logging
import socket
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from cwconnect.site.healthcheck_ping import ping_healthcheck
from cwconnect.site.periodic_jobs import run_due_jobs
from instances.models import Organization
from polling.workers.heartbeats import Part, beat
from tests.support.raw_servers import RawServer, always, answer, requests_of
from tests.support.rows import make_instance, make_poll

pytestmark = pytest.mark.django_db
PATH = "/ping/a-token-in-the-path"


def test_it_is_called_with_the_periodic_jobs_of_each_minute(settings: Settings) -> None:
    beat(Part.CLUSTER, "a-machine-1")
    calls: list[bytes] = []

    def take(connection: socket.socket) -> None:
        for request in requests_of(connection):
            calls.append(request)
            connection.sendall(answer(b"OK"))

    with RawServer(take) as server:
        settings.HEARTBEAT_URL = server.url(PATH)
        now = timezone.now()
        for minute in range(2):
            assert "healthcheck ping" in run_due_jobs(now + timedelta(minutes=minute, milliseconds=-500 * minute))
    assert [call.split(b"\r\n")[0] for call in calls] == [f"GET {PATH} HTTP/1.1".encode()] * 2


def test_without_a_url_nothing_is_called() -> None:
    assert ping_healthcheck(timezone.now()) is False


def test_while_something_fails_it_is_silent_and_the_log_says_what(
    settings: Settings, organization: Organization, caplog: pytest.LogCaptureFixture
) -> None:
    beat(Part.CLUSTER, "a-machine-1")
    make_poll(make_instance(organization), due_at=timezone.now() - timedelta(minutes=10))
    with RawServer(always(answer())) as server:
        settings.HEARTBEAT_URL = server.url(PATH)
        assert ping_healthcheck(timezone.now()) is False
        assert server.connections == []
    assert "poll lag: A poll has been due for 600 s." in caplog.text


def test_a_refusal_is_logged_without_the_path(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    beat(Part.CLUSTER, "a-machine-1")
    with RawServer(always(answer(status="404 Not Found"))) as server, caplog.at_level(logging.WARNING):
        settings.HEARTBEAT_URL = server.url(PATH)
        assert ping_healthcheck(timezone.now()) is False
    assert "at 127.0.0.1 answered 404" in caplog.text
    assert "a-token" not in caplog.text


def test_a_host_that_is_away_raises_nothing(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    beat(Part.CLUSTER, "a-machine-1")
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    settings.HEARTBEAT_URL = f"http://127.0.0.1:{port}{PATH}"
    assert ping_healthcheck(timezone.now()) is False
    assert "could not be called" in caplog.text
    assert "a-token" not in caplog.text
