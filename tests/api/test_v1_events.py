"""`/v1/events`: what came after an id, in order."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.api.conftest import Watched
from tests.support.api_caller import Api

pytestmark = pytest.mark.django_db


def events(api: Api, query: str = "", auth: str | None = None) -> Any:
    answer = api("GET", f"/v1/events?{query}", auth=auth)
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_events_come_in_ascending_order_with_their_records(api: Api, watched: Watched) -> None:
    first, second = watched.changed(17, 18, changes='[{"field":"title"}]')
    page = events(api)
    assert page["items"][0] == {
        "id": first.pk,
        "instance_id": watched.instance.pk,
        "resource": "contacts",
        "object_id": "17",
        "record_id": 17,
        "kind": "UPDATED",
        "occurred_at": "2026-03-01T11:59:00Z",
        "polled_at": "2026-03-01T12:00:00Z",
        "record": {"id": 17},
        "changes": [{"field": "title"}],
        "delivery_id": first.pk,
        "not_judged": None,
    }
    assert (page["next_after"], page["more"]) == (second.pk, False)


def test_a_reader_catches_up_page_by_page_and_then_waits(api: Api, watched: Watched) -> None:
    made = [event.pk for event in watched.changed(1, 2, 3, 4, 5)]
    after, seen, pages = 0, [], 0
    while True:
        page = events(api, f"after={after}&limit=2")
        seen += [item["id"] for item in page["items"]]
        after, pages = page["next_after"], pages + 1
        if not page["more"]:
            break
    assert (seen, pages) == (made, 3)
    assert events(api, f"after={after}") == {"items": [], "next_after": after, "more": False}


@pytest.mark.parametrize(
    ("query", "expected"),
    [("kind=DELETED", [2]), ("object_id=1", [1]), ("resource=contacts", [1, 2]), ("resource=incidents", [])],
)
def test_filters_narrow_the_events(api: Api, watched: Watched, query: str, expected: list[int]) -> None:
    watched.changed(1)
    watched.changed(2, kind="DELETED")
    assert [item["record_id"] for item in events(api, query)["items"]] == expected


def test_an_instance_may_be_named(api: Api, watched: Watched) -> None:
    watched.changed(1)
    Watched(api.tenant).changed(2)
    assert [item["record_id"] for item in events(api, f"instance={watched.instance.pk}")["items"]] == [1]
    assert len(events(api)["items"]) == 2


def test_an_element_token_sees_its_own_instance_alone(api: Api, watched: Watched) -> None:
    other = Watched(api.tenant)
    (event,) = other.changed(2)
    assert events(api, auth=watched.auth)["items"] == []
    assert api("GET", f"/v1/events?instance={other.instance.pk}", auth=watched.auth).status_code == 404
    assert api("GET", f"/v1/events/{event.pk}", auth=watched.auth).status_code == 404
    assert api("GET", f"/v1/events/{event.pk}", auth=other.auth).status_code == 200


def test_others_events_do_not_exist(api: Api, foreign: Watched) -> None:
    (event,) = foreign.changed(1)
    assert events(api)["items"] == []
    assert api("GET", f"/v1/events/{event.pk}").status_code == 404
    assert api("GET", f"/v1/events?instance={foreign.instance.pk}").status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        "after=x",
        "after=-1",
        "after=",
        "after=99999999999999999999",
        "limit=0",
        "limit=1001",
        "kind=updated",
        "resource=",
        "resource=%00",
        "page=2",
        "after=1&after=2",
    ],
)
def test_a_query_that_is_not_understood_is_400(api: Api, query: str) -> None:
    answer = api("GET", f"/v1/events?{query}")
    assert answer.status_code == 400
    assert answer.json()["message"].startswith(query.partition("=")[0])


@pytest.mark.parametrize("count", [1, 60])
def test_a_page_takes_the_same_few_queries(api: Api, watched: Watched, count: int) -> None:
    watched.changed(*range(count))
    events(api)  # the first call of a minute notes that the key is used
    with CaptureQueriesContext(connection) as queries:
        events(api)
    asked_how_far = connection.vendor == "postgresql"  # up to which id the log is complete
    assert len(queries) <= 3 + asked_how_far  # ten events tell how long those that follow may be
