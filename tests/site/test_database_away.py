"""While the database is away, callers are asked to come again, in the form that they expect."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import DataError, InterfaceError, OperationalError, connection
from django.test import Client

from tests.conftest import Tenant

pytestmark = pytest.mark.django_db


@contextmanager
def failing(error: Exception) -> Iterator[None]:
    def fail(*_: object) -> None:
        raise error

    with connection.execute_wrapper(fail):
        yield


@pytest.mark.parametrize("kind", [OperationalError, InterfaceError])
@pytest.mark.parametrize("path", ["/instances", "/v1/events", "/elements/api-v2/instances/1"])
def test_the_api_answers_503_with_a_body_of_the_contract(
    tenant: Tenant, path: str, kind: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    client = Client(raise_request_exception=False, headers={"Authorization": tenant.auth})
    with failing(kind("connection to 10.1.2.3 refused")), caplog.at_level(logging.ERROR):
        answer = client.get(path)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "10"
    assert set(answer.json()) == {"requestId", "message"}
    assert "10.1.2.3" not in answer.content.decode()
    assert "10.1.2.3" in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("path", ["/", "/app/signin", "/admin/"])
def test_pages_say_so_to_people(path: str) -> None:
    client = Client(raise_request_exception=False)
    client.cookies["sessionid"] = "a" * 32
    with failing(OperationalError("connection to 10.1.2.3 refused")):
        answer = client.get(path)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "10"
    assert "The database is away" in answer.content.decode()
    assert "10.1.2.3" not in answer.content.decode()


def test_a_fault_of_ours_stays_one(tenant: Tenant) -> None:
    client = Client(raise_request_exception=False, headers={"Authorization": tenant.auth})
    with failing(DataError("value too long")):
        assert client.get("/instances").status_code == 500
