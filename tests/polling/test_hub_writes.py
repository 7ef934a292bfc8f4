"""Writes to ConnectWise through an instance: the table of resource, verb, right and fault, and what each comes to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_django import Settings

from cwconnect import outbound
from instances import interactive
from instances.models import ApiUser, AuditEntry
from instances.scopes import Scope
from tests.support.api_caller import Api
from tests.support.hub_writer import Hub
from tests.support.sandboxes import start_sandbox

pytestmark = pytest.mark.django_db
RECORDS = {"contacts": 9, "organizations": 9, "incidents": 9, "opportunities": 5, "configurations": 5, "members": 4}
RECORDS |= {"time-entries": 5}
# Of each resource: what a POST gives, and what a PATCH changes.
BODIES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "contacts": ({"firstName": "Ada", "company": {"id": "4"}}, {"title": "Countess"}),
    "organizations": ({"identifier": "Ada", "name": "Ada Ltd"}, {"name": "Ada & Sons"}),
    "incidents": ({"summary": "On fire", "company": {"id": "4"}}, {"summary": "Out", "company": {"id": "5"}}),
    "fields": (
        {"podId": 1, "caption": "VIP", "sequenceNumber": 2, "fieldTypeIdentifier": "Text"},
        {"caption": "Very"},
    ),
    "incidents/3/comments": ({"text": "Called", "detailDescriptionFlag": True}, {"text": "Called again"}),
    "time-entries": ({"chargeToId": 3, "timeStart": "2026-05-04T12:00:00Z", "notes": "Worked"}, {"notes": "Rested"}),
    "service/tickets/3/notes": ({"text": "Called", "detailDescriptionFlag": True}, {"text": "Called again"}),
}
ALL, KEY, INSTANCE, NEITHER = "both", "the key alone", "the instance alone", "neither"
Fault = dict[str, Any]
FAULTS: dict[str, Fault] = {
    "the answer is lost": {"drop": "after"},
    "the line breaks before": {"drop": True},
    "half an answer": {"drop": "midway"},
    "no JSON": {"broken_json": True},
    "500": {"status": 500},
    "502": {"status": 502},
    "503": {"status": 503},
    "403": {"status": 403},
    "401": {"status": 401},
    "404": {"status": 404},
    "409": {"status": 409},
    "a long wait": {"status": 429, "headers": {"Retry-After": "30"}},
    "a short wait": {"status": 429, "headers": {"Retry-After": "1"}},
}


SILENT = ("the answer is lost", "the line breaks before", "half an answer")  # ConnectWise said nothing
VERBS = ("POST", "PATCH", "PUT", "DELETE")
WRONG: list[tuple[str, str, str, Any]] = [
    ("POST", "incidents", "summary", {"severity": "Awful"}),
    ("POST", "incidents", "company", {"summary": "x", "company": {"id": 644}}),
    ("PATCH", "incidents/2", "oddity", {"oddity": 1}),
    ("PUT", "contacts/2", "firstName", {"lastName": "x"}),
]


@dataclass(frozen=True)
class Row:
    """One write, and what is expected: the status, the verbs that reach ConnectWise, the audit entry's outcome."""

    method: str
    path: str
    status: int
    sent: tuple[str, ...]
    outcome: str = "done"
    right: str = ALL
    fault: str = ""
    words: str = ""
    body: Any = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.method} {self.path}, {self.right}, {self.fault or 'all well'}"


def given(method: str, path: str) -> Any:
    made, changed = BODIES[path.rstrip("/0123456789") if method != "POST" else path]
    return {"POST": made, "PUT": made, "PATCH": changed, "DELETE": None}[method]


def rows() -> Iterator[Row]:
    # All well, of each resource.
    for resource in BODIES:
        yield Row("POST", resource, 200, ("POST",))
    for path in ("contacts/2", "organizations/2", "incidents/2", "fields/1", "time-entries/2"):
        for method in ("PATCH", "PUT", "DELETE"):
            yield Row(method, path, 200, (method,))
    # The rights.
    for method, path in (("POST", "incidents"), ("PATCH", "contacts/2"), ("PUT", "fields/1"), ("DELETE", "contacts/2")):
        yield Row(method, path, 403, (), "", KEY, words="the instance does not allow writes")
        yield Row(method, path, 403, (), "", INSTANCE, words="the API key may not write to ConnectWise")
        yield Row(method, path, 403, (), "", NEITHER, words="may not write to ConnectWise")
        yield Row(method, path, 403, (), "", NEITHER, words="the instance does not allow writes")
    # Faults. Nobody knows what became of it: never sent again.
    for method, path in zip(VERBS, ("contacts", "contacts/2", "incidents/2", "contacts/2"), strict=True):
        for fault in ("the answer is lost", "the line breaks before", "500", "502", "503"):
            yield Row(method, path, 500, (method,), "unknown", fault=fault, words="unknown")
        for status in (401, 403, 404):
            yield Row(method, path, status, (method,), f"refused ({status})", fault=str(status))
        yield Row(method, path, 400, (method,), "refused (409)", fault="409")
        yield Row(method, path, 429, (method,), "refused (429)", fault="a long wait")
    for method, path in (("POST", "contacts"), ("PATCH", "contacts/2")):
        for fault in ("half an answer", "no JSON"):
            yield Row(method, path, 500, (method,), "unknown", fault=fault, words="unknown")
    # A short wait: for what may be done twice.
    yield Row("POST", "contacts", 429, ("POST",), "refused (429)", fault="a short wait")
    for method, path in (("PATCH", "contacts/2"), ("PUT", "incidents/2"), ("DELETE", "contacts/2")):
        yield Row(method, path, 200, (method, method), fault="a short wait")
    # What is not there, and what is wrong.
    for method in ("PATCH", "PUT", "DELETE"):
        read_first = method == "PATCH"
        outcome = "not sent" if read_first else "refused (404)"
        yield Row(method, "incidents/999", 404, () if read_first else (method,), outcome)
    for method, path, words, body in WRONG:
        yield Row(method, path, 400, (method,), "refused (400)", fault=f"{words} is wrong", words=words, body=body)


TABLE = list(rows())


@pytest.fixture
def hub(api: Api, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    settings.CONNECTWISE_CLIENT_ID = "a-client-id"
    monkeypatch.setattr(interactive, "time", SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: None))
    with start_sandbox(records=RECORDS) as server:
        yield Hub(api, server)


def test_the_table_is_as_long_as_it_is_said_to_be() -> None:
    assert len(set(map(str, TABLE))) >= 60


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_a_write_comes_to_what_the_table_says(hub: Hub, row: Row) -> None:
    hub.allow(key=row.right in (ALL, KEY), instance=row.right in (ALL, INSTANCE))
    if row.fault in FAULTS:
        hub.store.fail_next(1, method=row.method, **FAULTS[row.fault])
    before = hub.everything()
    body = given(row.method, row.path) if row.body is None else row.body
    answer = hub(row.method, row.path, body)
    assert (answer.status_code, tuple(hub.sent)) == (row.status, row.sent), answer.content
    assert [entry.details["outcome"] for entry in hub.audited] == ([row.outcome] if row.outcome else [])
    for entry in hub.audited:
        check_audited(hub, entry, body)
    if row.status == 200:
        return
    assert answer.json().keys() - {"providerMessage"} == {"requestId", "message"}
    assert row.words in answer.json()["message"]
    assert ("providerMessage" in answer.json()) == (row.outcome != "" and row.fault not in SILENT)
    assert (answer.headers.get("Retry-After") is not None) == (row.status == 429)
    if row.outcome != "unknown":
        assert hub.everything() == before, "nothing was written"


def check_audited(hub: Hub, entry: AuditEntry, body: Any) -> None:
    """An entry says who, what and which fields, and holds no value."""
    assert (entry.actor, entry.instance_number) == (f"API user {hub.api.tenant.user}", hub.instance.pk)
    assert entry.details["fields"] == ", ".join(sorted(body or {}))
    texts = [value for value in (body or {}).values() if isinstance(value, str)]
    assert not any(text in str(entry.details) for text in texts if len(text) > 2)
    assert entry.request_id


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
@pytest.mark.parametrize("times", [1, 2, 9])
def test_only_a_post_is_not_sent_again_where_no_connection_was_made(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, method: str, times: int
) -> None:
    tried: list[str] = []
    send_once = outbound.OutboundClient._send_once

    def refuse(client: Any, call: Any) -> Any:
        if call.method == "GET":
            return send_once(client, call)
        tried.append(call.method)
        if len(tried) <= times:
            raise outbound.ConnectFailed("No connection.")
        return send_once(client, call)

    monkeypatch.setattr(outbound.OutboundClient, "_send_once", refuse)
    path = "contacts" if method == "POST" else "contacts/2"
    answer = hub(method, path, given(method, path))
    reached = method != "POST" and times < 3
    assert len(tried) == (1 if method == "POST" else min(times, 2) + 1)
    assert hub.sent == ([method] if reached else [])
    assert answer.status_code == (200 if reached else 500)
    assert [entry.details["outcome"] for entry in hub.audited] == ["done" if reached else "not sent"]
    assert reached or "unknown" not in answer.json()["message"]


def test_a_process_that_dies_on_the_way_leaves_an_entry(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("instances.hub.writes._send", lambda *_: (_ for _ in ()).throw(SystemExit))
    with pytest.raises(SystemExit):
        hub("POST", "contacts", {"firstName": "Ada"})
    (entry,) = hub.audited
    assert entry.details == {"record": "/company/contacts", "fields": "firstName", "outcome": "begun"}


@pytest.mark.parametrize(
    ("scope", "flag", "may"),
    [
        (Scope.READ, False, False),
        (Scope.READ, True, False),
        (Scope.WRITE, False, True),
        (Scope.MANAGE, False, False),  # as every key that there was before
        (Scope.MANAGE, True, True),
    ],
)
def test_a_key_may_write_by_its_scope_or_its_right(hub: Hub, scope: Scope, flag: bool, may: bool) -> None:
    ApiUser.objects.update(scope=scope, writes_to_connectwise=flag)
    answer = hub("POST", "contacts", {"firstName": "Ada"})
    assert answer.status_code == (200 if may else 403), answer.content
    assert hub.sent == (["POST"] if may else [])


def test_a_disabled_instance_writes_nothing(hub: Hub) -> None:
    hub.api("DELETE", f"/instances/{hub.instance.pk}/enabled")
    assert hub("POST", "contacts", {"firstName": "Ada"}).status_code == 403
    assert hub.sent == []


# -- what may be asked -------------------------------------------------------------------------------------------------

LIST, RECORD, READ = "GET, POST, HEAD, OPTIONS", "GET, PUT, PATCH, DELETE, HEAD, OPTIONS", "GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "contacts", LIST),
        ("PATCH", "contacts", LIST),
        ("DELETE", "company/contacts", LIST),
        ("POST", "contacts/2", RECORD),
        ("POST", "company/contacts/2", RECORD),
        ("POST", "incidents/2/time-entries", READ),
        ("PATCH", "incidents/2/time-entries/1", READ),
        ("PATCH", "incidents/2/configurations", "GET, POST, PUT, HEAD, OPTIONS"),
        ("POST", "members", READ),
        ("PATCH", "members/1", READ),
        ("POST", "system/members", READ),
        ("POST", "SYSTEM/Members", READ),
        ("POST", "//system//members", READ),
        ("DELETE", "system/userDefinedFields/1", READ),
        ("POST", "system/userDefinedFields", READ),
        ("PUT", "system/members/1/certifications", READ),
    ],
)
def test_a_verb_that_does_not_fit_is_405_and_asks_nothing(hub: Hub, method: str, path: str, allow: str) -> None:
    answer = hub(method, path, {"firstName": "Ada"})
    assert (answer.status_code, answer.headers["Allow"]) == (405, allow)
    assert hub.store.requests == []
    assert hub("OPTIONS", path).headers["Allow"] == allow


def test_an_id_that_no_record_can_have_is_404(hub: Hub) -> None:
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        answer = hub(method, "contacts/" + "1" * 19, {"firstName": "Ada"})
        assert (answer.status_code, answer.headers["Allow"], hub.store.requests) == (404, RECORD, [])


@pytest.mark.parametrize(
    "path", ["", "nothing", "../system/members", "service/../system/members", "company/contacts%3fx", "a/b/c/d e"]
)
def test_a_path_that_is_none_asks_nothing(hub: Hub, path: str) -> None:
    answer = hub("POST", path, {"firstName": "Ada"})
    assert answer.status_code in (400, 404, 405), answer.content
    assert hub.sent == []


BAD_BODIES: list[tuple[bytes, int]] = [
    (b"", 400),
    (b"{}", 400),
    (b"[]", 400),
    (b'"x"', 400),
    (b"null", 400),
    (b"{", 400),
    (b'{"a":NaN}', 400),
    (b'{"a":Infinity}', 400),
    (b'{"a":1e999}', 400),
    (b'{"a":{"b":[-1e999]}}', 400),
    (b'{"a":' + b"9" * 30 + b"}", 400),
    (b'{"company/id":5}', 400),
    (b'{"":5}', 400),
    (b'{"a\\u0000":5}', 400),
    (b'{"a":"\\ud800"}', 400),
    (b'{"a":' + b"[" * 60 + b"]" * 60 + b"}", 400),
    (b'{"customFields":{"id":1}}', 400),
    (b'{"customFields":[1]}', 400),
    (b'{"customFields":[{"value":1}]}', 400),
    (b'{"id":3,"title":"x"}', 400),
    (b'{"id":2}', 400),
    (b'{"_info":{}}', 400),
    (b'{"a":"' + b"x" * (1024 * 1024) + b'"}', 413),
    (b"{" + b",".join(b'"a%d":1' % number for number in range(501)) + b"}", 400),
]


@pytest.mark.parametrize(("body", "status"), BAD_BODIES, ids=lambda value: str(value)[:40])
def test_a_body_that_is_no_change_is_refused_before_anything_is_asked(hub: Hub, body: bytes, status: int) -> None:
    answer = hub("PATCH", "contacts/2", body)
    assert answer.status_code == status, answer.content
    assert answer.json().keys() == {"requestId", "message"}
    assert (hub.store.requests, hub.audited) == ([], [])


def test_a_body_of_another_kind_is_415(hub: Hub) -> None:
    headers = {"Authorization": hub.auth}
    answer = hub.api.client.post("/hubs/crm/contacts", "a=b", "application/x-www-form-urlencoded", headers=headers)
    assert (answer.status_code, hub.sent) == (415, [])
