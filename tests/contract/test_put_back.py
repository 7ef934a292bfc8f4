"""What a client GETs it can PUT back unchanged, masks included; a change that fails half-way has changed nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cwconnect.core.unseen import find_unseen
from cwconnect.sandbox import SandboxServer
from instances.configuration.wire import config_of
from instances.models import AuditEntry, Instance, ResourcePoll
from tests.instances.test_change import RICH, snapshot
from tests.seed import example_body
from tests.support.api_caller import Api

pytestmark = pytest.mark.django_db
PLAIN = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30)
# What nobody sees is refused (tests/instances/test_unseen_characters.py).
SEEN = st.characters(exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp", "Zs"), include_characters=" ")
WORDS = st.text(SEEN, min_size=1, max_size=30).filter(lambda text: text.strip() and find_unseen(text) is None)
YES_NO = st.sampled_from([True, False, "yes", "No", "TRUE", "false"])
DATES = st.fixed_dictionaries(
    {},
    optional={
        "updatedDateField": st.sampled_from(["_info.lastUpdated", "lastUpdated"]),
        "updatedDateFormat": st.sampled_from(["yyyy-MM-dd'T'HH:mm:ss'Z'", "MM/dd/yyyy HH:mm:ss", ""]),
        "updatedDateTimezone": st.sampled_from(["GMT", "America/Denver", "-6:00"]),
        "createdDateField": st.sampled_from(["_info.dateEntered", "_info.lastUpdated", None]),
        "createdCheckTolerance": st.integers(0, 100) | st.just("15"),
    },
)
POLL = st.fixed_dictionaries(
    {},
    optional={
        "url": st.sampled_from(
            [
                "/hubs/crm/contacts?where=lastUpdated>'${gmtDate:yyyy-MM-dd'T'HH:mm:ss'Z'}'",
                "/elements/api-v2/hubs/crm/incidents?where=lastUpdated>'${date}'&fields=id,summary",
            ]
        ),
        "idField": st.sampled_from(["id", "company.id"]),
        "datesConfiguration": DATES,
        "filterByUpdateDate": YES_NO,
        "filterByCurrentDate": YES_NO,
        "pageSize": st.integers(1, 2000) | st.just("15"),
        "pollDelay": st.integers(0, 1000),
        "detectDeletes": YES_NO,
        "trackChanges": YES_NO,
        "enabled": YES_NO,
    },
)
CONFIGURATION = st.fixed_dictionaries(
    {
        "event.notification.callback.url": st.just("http://mycoolapp.com"),
    },
    optional={
        "connectwise.clientID": PLAIN,
        "filter.response.nulls": YES_NO,
        "event.notification.enabled": YES_NO,
        "event.notification.signature.key": WORDS,
        "event.notification.callback.headers": st.dictionaries(
            st.sampled_from(["X-Key", "X-Other", "x-third"]), PLAIN, max_size=3
        ),
        "event.notification.basic.username": PLAIN.filter(lambda text: ":" not in text),
        "event.notification.basic.password": WORDS,
        "event.poller.refresh_interval": st.integers(1, 44_640) | st.just("15"),
        "event.poller.configuration": st.dictionaries(
            st.sampled_from(["contacts", "incidents", "organizations"]), POLL, max_size=4
        ),
    },
)


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(CONFIGURATION, WORDS.map(str.strip), st.lists(WORDS.map(str.strip), unique=True, max_size=3))
def test_whatever_is_got_can_be_put_back(
    api: Api, sandbox: SandboxServer, method: str, configuration: dict[str, Any], name: str, tags: list[str]
) -> None:
    connected = {"baseUrl": sandbox.url, "company": "acme", "public.key": "PUB", "private.key": "PRIV"}
    with transaction.atomic():
        created = api("POST", "/instances", {"configuration": configuration | connected, "name": name, "tags": tags})
        assert created.status_code == 200, created.content
        path = f"/instances/{created.json()['id']}"
        before, got = stored(), api("GET", path).json()
        asked = len(sandbox.store.requests)
        answer = api(method, path, got)
        assert answer.status_code == 200, answer.content
        assert answer.json() == got
        assert stored() == before
        assert len(sandbox.store.requests) == asked
        transaction.set_rollback(True)


def stored() -> Any:
    """The instance in plain values, its secrets opened."""
    instance = Instance.objects.get()
    polls = list(ResourcePoll.objects.order_by("pk").values())
    return config_of(instance), instance.name, instance.tags, polls


class Fault:
    """Lets so many statements through, and none after that: as if the process, or its database, had died there."""

    def __init__(self, after: int) -> None:
        self.left, self.struck = after, False

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        # Undoing is what a database does by itself when a connection ends.
        undoing = sql.startswith("ROLLBACK") or (self.struck and sql.startswith("RELEASE"))
        if self.left == 0 and not undoing:
            self.struck = True
            raise OperationalError("the connection is gone")
        self.left -= not undoing
        return execute(sql, params, many, context)


def everything(number: int) -> Any:
    instance = snapshot(number) if Instance.objects.filter(pk=number).exists() else None
    return instance, list(AuditEntry.objects.values_list("pk", flat=True)), Instance.objects.count()


POLLS = {"event.poller.configuration": {"contacts": {"idField": "company.id"}, "incidents": {}}}
CHANGES = {
    "credentials, polls, name and tags": ("PATCH", "", {"configuration": POLLS, "name": "new", "tags": ["new"]}),
    "everything": ("PUT", "", None),
    "one key": ("PATCH", "/configuration/event.poller.refresh_interval", {"propertyValue": "5"}),
    "a pause": ("DELETE", "/enabled", None),
    "an end": ("DELETE", "", None),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_cut_off_at_any_statement_has_changed_nothing(api: Api, sandbox: SandboxServer, change: str) -> None:
    number = api.create(sandbox.url, **RICH)["id"]
    method, suffix, body = CHANGES[change]
    body = example_body(sandbox.url, connectwise__clientID="another") if method == "PUT" else body
    before = everything(number)
    for statements in itertools.count(3):  # the caller is looked up first
        with connection.execute_wrapper(Fault(statements)):
            answer = api(method, f"/instances/{number}{suffix}", body)
        if answer.status_code == 200:
            break
        assert answer.status_code == 503  # the database is away, by what it raises
        assert set(answer.json()) == {"requestId", "message"}
        assert everything(number) == before, statements
    assert statements > 8
    assert everything(number) != before


def test_a_creation_cut_off_at_any_statement_has_created_nothing(api: Api, sandbox: SandboxServer) -> None:
    entries = AuditEntry.objects.count()
    for statements in itertools.count(2):
        with connection.execute_wrapper(Fault(statements)):
            answer = api("POST", "/instances", example_body(sandbox.url))
        if answer.status_code == 200:
            break
        assert not Instance.objects.exists(), statements
        assert not ResourcePoll.objects.exists(), statements
        assert AuditEntry.objects.count() == entries, statements
    assert statements > 8
    assert Instance.objects.count() == 1


@pytest.mark.parametrize("requests", [0, 1])
def test_a_change_that_connectwise_ends_half_way_has_changed_nothing(
    api: Api, sandbox: SandboxServer, requests: int
) -> None:
    number = api.create(sandbox.url)["id"]
    before = everything(number)
    path = ("tickets", "companies")[requests]
    sandbox.store.fail_next(1, status=503, path=path)
    polls = {"event.poller.configuration": POLLS["event.poller.configuration"] | {"organizations": {}}}
    body = {"configuration": polls | {"private.key": "PRIV", "connectwise.clientID": "another"}, "name": "new"}
    answer = api("PATCH", f"/instances/{number}", body)
    assert answer.status_code == 400
    assert "503" in answer.json()["providerMessage"]
    assert everything(number) == before
