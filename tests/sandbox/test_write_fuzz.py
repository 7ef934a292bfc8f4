"""Whatever a body holds, a write answers 2xx or 4xx, a record can be read afterwards, and a refusal changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cwconnect.sandbox import Store
from cwconnect.sandbox.api import respond
from cwconnect.sandbox.errors import Response
from cwconnect.sandbox.jsontext import dumps, loads
from cwconnect.sandbox.wire import Request
from tests.sandbox.caller import BASE, basic

LOGIN = {"authorization": basic("acme+PUB:PRIV"), "clientid": "any"}
RECORDS = {"contacts": 3, "incidents": 3, "organizations": 3, "callbacks": 1, "members": 2, "/made/up": 2}
LISTS = (
    *("/company/contacts", "/company/companies", "/service/tickets", "/service/tickets/1/notes", "/made/up"),
    *("/service/tickets/1/configurations", "/system/userDefinedFields", "/system/callbacks", "/service/boards"),
)
NAMES = st.sampled_from(
    [
        *("firstName", "summary", "company", "customFields", "communicationItems", "types", "id", "_info", "podId"),
        *("caption", "board", "status", "name", "url", "type", "level", "objectId", "closedFlag", "Summary", "", "x"),
        *("types/-", "types/0", "types/-1", "communicationItems/0/value", "company/id", "customFields/0/value", "/"),
    ]
)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["1", "644", "\ud800"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    PLAIN | st.builds(dict, id=st.integers(-1, 9)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(), inner, max_size=3),
    max_leaves=8,
)
STEPS = st.fixed_dictionaries(
    {"op": st.sampled_from(["replace", "add", "remove", "move", 5])}, optional={"path": NAMES | PLAIN, "value": VALUES}
)
BODIES = st.dictionaries(NAMES, VALUES, max_size=5) | st.lists(STEPS, max_size=3) | VALUES


def ask(store: Store, method: str, path: str, body: Any = None) -> Response:
    return respond(store, Request(method, BASE + path, (), LOGIN, b"" if body is None else dumps(body), True))


@pytest.mark.parametrize("path", LISTS)
@given(body=BODIES, method=st.sampled_from(["POST", "PUT", "PATCH"]))
@settings(max_examples=10)
def test_any_body_is_taken_or_refused(path: str, body: Any, method: str) -> None:
    store = Store(RECORDS)
    before = ask(store, "GET", path).body
    answer = ask(store, method, path if method == "POST" else f"{path}/1", body)
    assert 200 <= answer.status < 500, answer
    after = ask(store, "GET", path)
    assert after.status == 200
    if answer.status >= 400:
        assert (after.body, loads(answer.body)["message"]) != (b"", "")
        assert after.body == before
    else:
        number = loads(answer.body)["id"]
        assert loads(ask(store, "GET", f"{path}/{number}").body) == loads(answer.body)


@given(body=BODIES)
@settings(max_examples=10)
def test_any_bundle_and_any_search_is_answered(body: Any) -> None:
    store = Store({"incidents": 2})
    for given_body in (body, {"requests": body}, {"requests": [body, {"resourceType": "ticket", "apiRequest": body}]}):
        for path in ("/system/bundles", "/system/bundles/count", "/service/tickets/search"):
            assert ask(store, "POST", path, given_body).status in {200, 400}
