"""`/v1/events` by a filter, waiting for events, and as a stream; with a web server that parks requests in its place."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cwconnect.web.parking import ENVIRON_KEY, Parking
from instances.models import ApiUser
from polling.api.v1 import waiting
from polling.models import Event
from polling.reports import event_scan, log_watch
from polling.reports.log_watch import look
from tests.api.conftest import Watched
from tests.support.api_caller import Api

pytestmark = pytest.mark.django_db
STREAM = {"Accept": "text/event-stream"}


@pytest.fixture(autouse=True)
def _keep_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a look leave the test's connection open: it is this very thread's here, and within a transaction."""
    monkeypatch.setattr(log_watch, "close_old_connections", lambda: None)


def filtered(**members: Any) -> str:
    return quote(json.dumps(members))


def pull(api: Api, query: str, auth: str | None = None) -> Any:
    answer = api("GET", f"/v1/events?{query}", auth=auth)
    assert answer.status_code == 200, answer.content
    return answer.json()


class Server:
    """Asks as our web server does: with a place to leave a ticket at, which the next time's state is of."""

    def __init__(self, api: Api, *, room: bool = True, is_open: bool = True) -> None:
        self.api, self.room, self.is_open = api, room, is_open
        self.parking = Parking(None, is_open=is_open, has_room=lambda group: room)

    def ask(self, query: str, **headers: str) -> Any:
        state = self.parking.ticket.state if self.parking.ticket else None
        self.parking = Parking(state, is_open=self.is_open, has_room=lambda group: self.room)
        sent = {
            "Authorization": self.api.tenant.auth,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        extra: Any = {ENVIRON_KEY: self.parking}
        return self.api.client.get(f"/v1/events?{query}", headers=sent, **extra)

    def stream(self, query: str = "", **headers: str) -> str:
        answer = self.ask(query, **STREAM, **headers)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/event-stream; charset=utf-8")
        return b"".join(answer).decode()


def test_a_filter_chooses_and_moves_on_past_what_it_holds(api: Api, watched: Watched) -> None:
    made = watched.changed(1, 2, 3, 4)
    page = pull(api, f"filter={filtered(where='id IN (2, 9)')}")
    assert [item["record_id"] for item in page["items"]] == [2]
    assert (page["next_after"], page["more"]) == (made[-1].pk, False)
    page = pull(api, f"filter={filtered(where='id > 1')}&limit=1")
    assert ([item["record_id"] for item in page["items"]], page["next_after"], page["more"]) == ([2], made[1].pk, True)


def test_what_can_not_be_judged_passes_and_says_so(api: Api, watched: Watched) -> None:
    watched.changed(1, changes='[{"field":"title","from":"a","to":"b"}]')
    watched.changed(2, changes="null")
    watched.changed(3, changes="[]")
    items = pull(api, f"filter={filtered(changed=['title'])}")["items"]
    assert [(item["record_id"], item["not_judged"]) for item in items] == [
        (1, None),
        (2, "changed: the earlier content is not known"),
    ]


def test_a_call_reads_a_bounded_number_of_rows_and_none_twice(
    api: Api, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_scan, "MOST_ROWS", 3)
    made = [event.pk for event in watched.changed(*range(1, 9))]
    after, steps = 0, []
    while True:
        page = pull(api, f"after={after}&filter={filtered(where='id = 8')}")
        after = page["next_after"]
        steps.append((after, [item["record_id"] for item in page["items"]]))
        if not page["more"]:
            break
    assert steps == [(made[2], []), (made[5], []), (made[7], [8])]


def test_no_more_is_read_than_a_call_may_hold(api: Api, watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a filter too, and the changes with the records."""
    made = watched.changed(*range(1, 31))
    Event.objects.update(changes=json.dumps([{"field": "title", "from": "x" * 1000, "to": None}]))
    monkeypatch.setattr(event_scan, "_MOST_CHARACTERS", 15_000)
    with CaptureQueriesContext(connection) as queries:
        page = pull(api, "limit=1000")
    assert page["more"]
    assert page["next_after"] < made[15].pk
    read = [int(query["sql"].rpartition("LIMIT ")[2]) for query in queries if '"record"' in query["sql"]]
    assert read[0] == 10
    assert sum(read) <= 16


@pytest.mark.parametrize(
    ("bound", "value"), [("_SECONDS", 0.0), ("_MOST_CHARACTERS", 1)], ids=["seconds", "characters"]
)
def test_a_call_ends_when_it_took_long_or_read_much(
    api: Api, watched: Watched, monkeypatch: pytest.MonkeyPatch, bound: str, value: float
) -> None:
    first, _ = watched.changed(1, 2)
    monkeypatch.setattr(event_scan, bound, value)
    page = pull(api, f"filter={filtered(where='id = 2')}")
    assert page == {"items": [], "next_after": first.pk, "more": True}


def test_more_rows_than_a_slice_are_read_in_their_order(api: Api, watched: Watched) -> None:
    made = watched.changed(*range(1, 251))
    page = pull(api, f"limit=1000&filter={filtered(where='id != 100')}")
    assert [item["id"] for item in page["items"]] == [event.pk for event in made if event.record_id != 100]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("filter=%7B", "filter: it is no valid JSON: "),
        (f"filter={filtered(were='x')}", "filter: were: is not known here"),
        (f"filter={filtered(where='x')}", "filter: where: Error parsing query: an operator"),
        ("filter=" + "x" * 4097, "filter: "),
        ("wait=61", "wait: "),
        ("wait=x", "wait: must be a whole number"),
    ],
)
def test_mistakes_name_the_parameter_and_the_member(api: Api, query: str, words: str) -> None:
    answer = api("GET", f"/v1/events?{query}")
    assert answer.status_code == 400
    assert answer.json()["message"].startswith(words), answer.json()


def test_who_waits_is_parked_until_there_is_an_event(api: Api, watched: Watched, foreign: Watched) -> None:
    server = Server(api)
    assert server.ask("wait=30").json()["items"] == []
    ticket = server.parking.ticket
    assert ticket is not None
    assert not ticket.streams
    assert 0 < ticket.seconds <= waiting.HEARTBEAT
    foreign.changed(1)
    position, topics = ticket.look(ticket.position)
    assert ticket.topics.isdisjoint(topics), "another organization's events wake nobody"
    (event,) = watched.changed(17)
    position, topics = ticket.look(position)
    assert not ticket.topics.isdisjoint(topics)
    assert look(position) == (position, frozenset())
    page = server.ask("wait=30").json()
    assert ([item["id"] for item in page["items"]], page["next_after"]) == ([event.pk], event.pk)
    assert server.parking.ticket is None


def test_who_waits_by_a_filter_reads_on_where_it_was(api: Api, watched: Watched) -> None:
    server, query = Server(api), f"wait=30&filter={filtered(where='id = 9')}"
    server.ask(query)
    made = watched.changed(1, 2)
    server.ask(query)
    assert server.parking.ticket is not None
    assert server.parking.ticket.state.after == made[-1].pk  # type: ignore[attr-defined]


def test_a_wait_that_is_over_is_answered(api: Api, watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(api)
    server.ask("wait=1")
    monkeypatch.setattr(waiting, "monotonic", lambda: 1e9)
    assert server.ask("wait=1").json() == {"items": [], "next_after": 0, "more": False}
    assert server.parking.ticket is None


@pytest.mark.parametrize("query", ["", "wait=0"])
def test_who_does_not_ask_to_wait_is_answered(api: Api, watched: Watched, query: str) -> None:
    server = Server(api)
    assert server.ask(query).status_code == 200
    assert server.parking.ticket is None
    assert pull(api, "wait=60")["items"] == [], "nor does a server that can't park have anybody wait"


def test_a_stream_begins_goes_on_and_says_up_to_where_it_has_read(api: Api, watched: Watched) -> None:
    first, second = watched.changed(1, 2)
    server, query = Server(api), f"filter={filtered(where='id != 2')}"
    begun = server.stream(query)
    retry, event, progress = begun.removesuffix("\n\n").split("\n\n")
    assert (retry, progress) == ("retry: 2000", f"id: {second.pk}")
    number, data = event.split("\n")
    assert number == f"id: {first.pk}"
    assert json.loads(data.removeprefix("data: "))["record"] == {"id": 1}
    assert server.parking.ticket is not None
    assert server.parking.ticket.streams
    assert server.stream(query) == ": nothing new\n\n"
    (third,) = watched.changed(3)
    assert server.stream(query).startswith(f"id: {third.pk}\ndata: {{")


def test_a_stream_resumes_after_the_last_event_that_was_had(api: Api, watched: Watched) -> None:
    first, second = watched.changed(1, 2)
    assert f"id: {first.pk}\n" not in (text := Server(api).stream("after=0", Last_Event_ID=str(first.pk)))
    assert f"id: {second.pk}\n" in text
    refused = Server(api).ask("", **STREAM, Last_Event_ID="x")
    assert (refused.status_code, refused.headers["Content-Type"]) == (400, "application/json")
    assert refused.json()["message"] == "Last-Event-ID: must be a whole number."


def test_a_stream_of_very_much_is_sent_in_parts(api: Api, watched: Watched) -> None:
    watched.changed(*range(1, 151))
    server = Server(api)
    assert server.stream().count("data:") == 100
    assert server.parking.ticket is not None
    assert server.parking.ticket.seconds == 0, "it goes on at once"
    assert server.stream().count("data:") == 50


def test_a_server_that_stops_or_can_not_park_ends_the_stream(api: Api, watched: Watched) -> None:
    server = Server(api)
    server.stream()
    watched.changed(1)
    state_is_kept = server.parking.ticket
    assert state_is_kept is not None
    server.is_open = False
    assert server.stream().count("data:") == 1
    assert server.parking.ticket is None
    answer = api.client.get("/v1/events", headers={"Authorization": api.tenant.auth, **STREAM})
    assert b"".join(answer).startswith(b"retry: 5000\n\nid: ")


def test_where_as_many_wait_as_may_the_next_hears_when_to_come(api: Api, watched: Watched) -> None:
    server = Server(api, room=False)
    for answer in (server.ask("wait=30"), server.ask("", **STREAM)):
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "5")
    assert server.ask("").status_code == 200


def test_a_key_that_is_revoked_ends_what_waits(api: Api, watched: Watched) -> None:
    server = Server(api)
    server.stream()
    ticket = server.parking.ticket
    assert ticket is not None
    created = api("POST", "/v1/secrets", {"name": "second"})
    _, topics = ticket.look(ticket.position)
    assert created.status_code == 201, created.content
    assert not ticket.topics.isdisjoint(topics), "each change of rights is audited, and looked at"
    ApiUser.objects.filter(pk=api.tenant.user.pk).delete()
    assert server.ask("", **STREAM).status_code == 401
    assert server.parking.ticket is None


def test_a_key_for_some_instances_streams_those_alone(api: Api, watched: Watched) -> None:
    other = Watched(api.tenant)
    ApiUser.objects.filter(pk=api.tenant.user.pk).update(instance_ids=[watched.instance.pk])
    other.changed(2)
    watched.changed(1)
    text = Server(api).stream()
    assert text.count("data:") == 1
    assert f'"instance_id":{watched.instance.pk},' in text


def test_a_head_waits_for_nothing(api: Api, watched: Watched) -> None:
    parking = Parking(None, is_open=True, has_room=lambda group: True)
    extra: Any = {ENVIRON_KEY: parking}
    assert api.client.head("/v1/events?wait=60", headers={"Authorization": api.tenant.auth}, **extra).status_code == 200
    assert parking.ticket is None


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_other_methods_are_refused_as_json(api: Api, method: str) -> None:
    sent = {"Authorization": api.tenant.auth, **STREAM}
    answer = api.client.generic(method, "/v1/events", headers=sent)
    assert (answer.status_code, answer.headers["Content-Type"]) == (405, "application/json")
