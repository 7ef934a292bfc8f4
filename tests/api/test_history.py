"""The history of events and its counts (docs/wire-contract.md#5-the-notification)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from polling.models import Event, Notification
from tests.api.conftest import NOON, Watched
from tests.support.api_caller import Api

pytestmark = pytest.mark.django_db


def history(api: Api, watched: Watched, query: str = "") -> Any:
    return api("GET", f"/instances/{watched.instance.pk}/events?{query}")


def ids(answer: Any) -> list[int]:
    assert answer.status_code == 200, answer.content
    assert {type(row["id"]) for row in answer.json()} <= {str}
    return [int(row["id"]) for row in answer.json()]


def test_a_row_is_as_the_contract_shows_it(api: Api, watched: Watched) -> None:
    (event,) = watched.changed(17)
    assert history(api, watched).json() == [
        {
            "id": str(event.pk),
            "eventDate": "2026-03-01T12:00:00Z",
            "status": "RECEIVED",
            "providerData": '{"id":17}',
            "notifiedData": [
                {
                    "objectType": "contacts",
                    "objectId": "17",
                    "date": "2026-03-01T11:59:00Z",
                    "pollDate": "2026-03-01T12:00:00Z",
                    "eventType": "UPDATED",
                    "elementKey": "connectwisecrmrest",
                    "hubKey": "crm",
                }
            ],
        }
    ]


def test_what_was_notified_stands_in_the_row_with_its_changes(api: Api, watched: Watched) -> None:
    watched.changed(17, changes='[{"field":"title","from":"a","to":"b"}]')
    (row,) = history(api, watched).json()
    body = json.loads(Notification.objects.get().body)
    assert row["notifiedData"] == body["message"]["events"]


def test_the_newest_come_first_page_by_page(api: Api, watched: Watched) -> None:
    made = [event.pk for event in watched.changed(1, 2, 3, 4, 5)]
    first = history(api, watched, "pageSize=3")
    second = history(api, watched, f"pageSize=3&nextPage={first.headers['Elements-Next-Page-Token']}")
    assert ids(first) + ids(second) == made[::-1]
    assert first.headers["Elements-Returned-Count"] == "3"
    assert "Elements-Next-Page-Token" not in second.headers


def test_one_event_is_found_by_its_id_and_by_the_element_token(api: Api, watched: Watched) -> None:
    event, _ = watched.changed(1, 2)
    by_id = api("GET", f"/instances/{watched.instance.pk}/events/{event.pk}")
    by_token = api("GET", f"/elements/api-v2/instances/events/{event.pk}", auth=watched.auth)
    assert by_id.json() == by_token.json()
    assert by_id.json()["id"] == str(event.pk)


@pytest.mark.parametrize("event", ["999999", "9" * 40])
def test_an_unknown_event_is_404(api: Api, watched: Watched, event: str) -> None:
    assert api("GET", f"/instances/{watched.instance.pk}/events/{event}").status_code == 404


def test_without_an_element_token_the_own_events_are_refused(api: Api, watched: Watched) -> None:
    assert api("GET", "/instances/events").status_code == 400
    assert ids(api("GET", "/instances/events", auth=watched.auth)) == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("from=2026-03-01T12:00:00Z", [2, 3]),
        ("to=2026-03-01T12:00:00Z", [1]),
        ("from=2026-03-01T13:00:00%2B02:00&to=2026-03-01T12:00:01Z", [1, 2]),
        ("eventType=DELETED", [3]),
        ("objectId=2", [2]),
        ("objectType=contacts", [1, 2, 3]),
        ("objectType=incidents", []),
        ("status=RECEIVED", [1, 2, 3]),
        ("status=NOTIFIED", []),
    ],
)
def test_filters_narrow_the_history(api: Api, watched: Watched, query: str, expected: list[int]) -> None:
    watched.changed(1, at=NOON - timedelta(hours=1))
    watched.changed(2, at=NOON)
    watched.changed(3, at=NOON + timedelta(hours=1), kind="DELETED")
    found = history(api, watched, query).json()
    assert [json.loads(row["providerData"])["id"] for row in found] == expected[::-1]


@pytest.mark.parametrize(
    "query",
    [
        "from=x",
        "to=9999999",
        "status=SENT",
        "eventType=updated",
        "pageSize=0",
        "nextPage=!",
        "to=2026-01-01&from=2027-01-01",
    ],
)
def test_filters_that_make_no_sense_are_400(api: Api, watched: Watched, query: str) -> None:
    assert history(api, watched, query).status_code == 400


@pytest.mark.parametrize(
    ("columns", "status"),
    [
        ({"next_attempt_at": None}, "NEW"),
        ({}, "RECEIVED"),
        ({"first_attempt_at": NOON}, "DISPATCHED"),
        ({"first_attempt_at": NOON, "next_attempt_at": None}, "DISPATCHED"),
        ({"state": "exhausted"}, "DISPATCHED"),
        ({"state": "failed"}, "CONSUMED"),
        ({"state": "discarded"}, "CONSUMED"),
        ({"state": "delivered"}, "NOTIFIED"),
    ],
)
def test_the_status_follows_the_notification_in_rows_and_in_the_filter(
    api: Api, watched: Watched, columns: dict[str, Any], status: str
) -> None:
    watched.changed(1)
    Notification.objects.update(**columns)
    assert [row["status"] for row in history(api, watched).json()] == [status]
    assert len(ids(history(api, watched, f"status={status}"))) == 1


def test_an_event_outlives_its_notification(api: Api, watched: Watched) -> None:
    watched.changed(1)
    Notification.objects.all().delete()
    assert [row["status"] for row in history(api, watched, "status=CONSUMED").json()] == ["CONSUMED"]


def test_others_events_do_not_exist(api: Api, watched: Watched, foreign: Watched) -> None:
    (event,) = foreign.changed(1)
    assert history(api, foreign).status_code == 404
    assert api("GET", f"/instances/{foreign.instance.pk}/events/{event.pk}").status_code == 404
    assert api("GET", f"/instances/{watched.instance.pk}/events/{event.pk}").status_code == 404
    assert api("GET", f"/instances/{foreign.instance.pk}/events/analytics").status_code == 404
    assert sum(row["count"] for row in api("GET", "/instances/events/analytics").json()) == 0


@pytest.mark.parametrize("count", [1, 60])
def test_a_page_takes_the_same_few_queries(api: Api, watched: Watched, count: int) -> None:
    watched.changed(*range(count))
    history(api, watched)  # the first call of a minute notes that the key is used
    with CaptureQueriesContext(connection) as queries:
        history(api, watched)
    assert len(queries) <= 4


@pytest.mark.parametrize("query", ["", "from=2026-03-01", "from=2026-03-01&to=2026-03-02&pageSize=5"])
def test_the_history_is_read_from_an_index(watched: Watched, query: str) -> None:
    events = Event.objects.filter(instance=watched.instance)
    if query:
        events = events.filter(polled_at__gte=NOON)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")  # of so few events it would read all, index or not
    plan = events.order_by("-pk")[:200].explain()
    assert "event_newest" in plan or "event_of_instance" in plan or "Index" in plan


def test_analytics_count_by_hour_with_zeros_between(api: Api, watched: Watched) -> None:
    watched.changed(1, 2, at=NOON + timedelta(minutes=59, seconds=59))
    watched.changed(3, at=NOON + timedelta(hours=2))
    query = "from=2026-03-01T12:30:00Z&to=2026-03-01T14:30:00Z&interval=hour"
    answer = api("GET", f"/instances/events/analytics?{query}", auth=watched.auth)
    assert answer.json() == [
        {"count": 2, "timestamp": "2026-03-01T12:00:00Z"},
        {"count": 0, "timestamp": "2026-03-01T13:00:00Z"},
        {"count": 1, "timestamp": "2026-03-01T14:00:00Z"},
    ]
    assert api("GET", f"/instances/{watched.instance.pk}/events/analytics?{query}").json() == answer.json()


@pytest.mark.parametrize(("interval", "buckets"), [("minute", 1440), ("hour", 24), ("day", 1)])
def test_each_interval_has_its_buckets(api: Api, watched: Watched, interval: str, buckets: int) -> None:
    watched.changed(1)
    query = f"from=2026-03-01&to=2026-03-02&interval={interval}"
    rows = api("GET", f"/instances/events/analytics?{query}", auth=watched.auth).json()
    assert len(rows) == buckets
    assert sum(row["count"] for row in rows) == 1


def test_analytics_count_the_last_day_by_hour_by_default(api: Api, watched: Watched) -> None:
    assert len(api("GET", "/instances/events/analytics", auth=watched.auth).json()) in (24, 25)


@pytest.mark.parametrize(
    "query",
    [
        "from=2026-03-02&to=2026-03-01",
        "from=2026-03-01&to=2026-03-03&interval=minute",
        "from=2000-01-01&interval=day",
        "interval=week",
        "from=yesterday",
        "to=0001-01-01",
    ],
)
def test_analytics_that_make_no_sense_are_400(api: Api, watched: Watched, query: str) -> None:
    assert api("GET", f"/instances/events/analytics?{query}", auth=watched.auth).status_code == 400
