"""The admin's long lists: read by id and never counted, searched by index, filtered by date, exported as CSV."""

from __future__ import annotations

import csv
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from types import SimpleNamespace
from urllib.parse import quote_plus

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from cwconnect.core.csv_export import cell, csv_lines
from instances.models import Organization
from polling.models import DeliveryAttempt, Event, Notification, PollRun
from polling.reports import keyset_walk
from tests.support.filled_service import Filled, fill
from tests.support.html import as_read

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
EVENTS = "/admin/polling/event/"


@pytest.fixture
def filled(organization: Organization) -> Filled:
    """Ten instances and 400 events, from 31 January to 2 March; each twentieth is of the object 0, 1, 2 and so on."""
    return fill(organization, instances=10, events=400, now=NOW)


def ids(client: Client, query: str = "") -> list[int]:
    """Return the ids of the events that the list shows."""
    html = client.get(EVENTS + query).content.decode()
    return [int(key) for key in re.findall(r'name="_selected_action" value="(\d+)"', html)]


def exported(client: Client, query: str = "", path: str = EVENTS) -> list[dict[str, str]]:
    answer = client.get(f"{path}export/{query}")
    assert answer.streaming
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    return list(csv.DictReader(text.splitlines()))


def test_pages_follow_one_another_to_the_oldest(admin_client: Client, filled: Filled) -> None:
    seen, query = [], ""
    while True:
        html = as_read(admin_client.get(EVENTS + query).content.decode())
        seen += ids(admin_client, query)
        older = re.search(r'<a href="(\?p=\d+)">Older</a>', html)
        if not older:
            break
        query = older[1]
    assert seen == list(range(400, 0, -1))
    assert "These are the oldest." in html


def test_nothing_is_counted(admin_client: Client, filled: Filled) -> None:
    with CaptureQueriesContext(connection) as captured:
        admin_client.get(EVENTS + "?_facets=True")
    assert not [query["sql"] for query in captured.captured_queries if "COUNT(" in query["sql"]]


def test_what_is_rare_is_looked_for_in_slices(
    admin_client: Client, filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyset_walk, "SLICE", 100)
    Event.objects.filter(pk=50).update(kind="DELETED")
    html = as_read(admin_client.get(EVENTS + "?kind__exact=DELETED&p=150").content.decode())
    assert "1 so far: looked through down to event 50." in html
    further = re.search(r'href="(\?[^"]+)">Look further back', html)
    assert further
    assert "Back to the newest" in admin_client.get(EVENTS + further[1].replace("&amp;", "&")).content.decode()


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("3", set(range(3, 401, 20))),  # an object, and an event
        ("399", {399}),
        ("company 0000", set()),  # an instance, whose every page is full
        ("Nobody", set()),
        ("'; DROP", set()),
    ],
)
def test_events_are_found_by_object_event_and_instance(
    admin_client: Client, filled: Filled, search: str, found: set[int]
) -> None:
    shown = ids(admin_client, f"?q={search}")
    if search == "company 0000":
        assert set(Event.objects.filter(pk__in=shown).values_list("instance", flat=True)) == {filled.busiest.pk}
        assert len(shown) == 25
    else:
        assert set(shown) == found


def test_events_are_those_of_one_instance_run_or_notification(admin_client: Client, filled: Filled) -> None:
    event = Event.objects.order_by("-pk")[40]
    assert event.pk in ids(admin_client, f"?run={event.run_id}")
    assert set(ids(admin_client, f"?notification={event.notification_id}")) == set(
        Event.objects.filter(notification=event.notification_id).values_list("pk", flat=True)
    )
    assert {Event.objects.get(pk=key).instance_id for key in ids(admin_client, f"?instance={event.instance_id}")} == {
        event.instance_id
    }
    assert ids(admin_client, "?instance=nonsense") == []


def dates(client: Client) -> dict[str, str]:
    """Return the links of the date's filter, by their words."""
    html = client.get(EVENTS).content.decode()
    beside = html.partition("By polled at")[2].partition("</ul>")[0]
    return {text: unescape(link) for link, text in re.findall(r'<a href="([^"]*)">([^<]*)</a>', beside)}


@pytest.mark.parametrize(
    ("choice", "since"),
    [
        ("Any date", None),
        ("Today", datetime(2026, 3, 2, tzinfo=UTC)),
        ("Past 7 days", datetime(2026, 2, 23, tzinfo=UTC)),
        ("This month", datetime(2026, 3, 1, tzinfo=UTC)),
        ("This year", datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_dates_are_filtered(
    admin_client: Client, filled: Filled, monkeypatch: pytest.MonkeyPatch, choice: str, since: datetime | None
) -> None:
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    query = dates(admin_client)[choice]
    within = Event.objects.filter(polled_at__gte=since) if since else Event.objects.all()
    newest = list(within.order_by("-pk").values_list("pk", flat=True))
    assert 0 < len(newest) <= 400
    assert ids(admin_client, query) == newest[:25]
    assert [int(row["id"]) for row in exported(admin_client, query)] == newest
    narrowed = f"{query}&kind__exact=CREATED&instance={filled.busiest.pk}"
    wanted = within.filter(kind="CREATED", instance=filled.busiest).order_by("-pk").values_list("pk", flat=True)
    assert [int(row["id"]) for row in exported(admin_client, narrowed)] == list(wanted)


@pytest.mark.parametrize("narrowed", ["", "&kind__exact=UPDATED", "&instance={busiest}"])
@pytest.mark.parametrize(
    "query",
    [
        "?polled_at__gte=2026-02-14T00:00:00%2B00:00&polled_at__lt=2026-02-15T00:00:00%2B00:00",
        "?polled_at__gte=2026-02-14T02:00:00%2B02:00&polled_at__lt=2026-02-15T02:00:00%2B02:00",
        "?polled_at__gte=2026-02-14 00:00Z&polled_at__lt=2026-02-15 00:00Z&polled_at__gte=2026-02-13 00:00Z"
        "&polled_at__date=2026-02-14",
        "?polled_at__year=2026&polled_at__month=2&polled_at__day=14",
        "?polled_at__date=2026-02-14",
    ],
)
def test_any_day_is_asked_for_by_the_url(
    admin_client: Client, filled: Filled, monkeypatch: pytest.MonkeyPatch, query: str, narrowed: str
) -> None:
    monkeypatch.setattr(keyset_walk, "SLICE", 30)
    day = Event.objects.filter(polled_at__date="2026-02-14")
    assert day.count() > 10
    # Written side by side, at either end of the day: their ids and times are not in the same order.
    midnight, minute = datetime(2026, 2, 14, tzinfo=UTC), timedelta(minutes=1)
    first, last = day.earliest("pk").pk, day.latest("pk").pk
    Event.objects.filter(pk=first).update(polled_at=midnight - minute)
    Event.objects.filter(pk=first - 1).update(polled_at=midnight + minute)
    Event.objects.filter(pk=last).update(polled_at=midnight + timedelta(days=1) + minute)
    Event.objects.filter(pk=last + 1).update(polled_at=midnight + timedelta(days=1) - minute)
    if "kind" in narrowed:
        day = day.filter(kind="UPDATED")
    if "instance" in narrowed:
        day = day.filter(instance=filled.busiest)
    shown = exported(admin_client, query + narrowed.format(busiest=filled.busiest.pk))
    assert [int(row["id"]) for row in shown] == list(day.order_by("-pk").values_list("pk", flat=True))


@pytest.mark.parametrize("ahead", [0, 1])
@pytest.mark.parametrize("narrowed", ["", "&kind__exact=DELETED", "&instance={busiest}"])
def test_a_page_that_the_date_leaves_short_does_not_read_on(
    admin_client: Client, filled: Filled, monkeypatch: pytest.MonkeyPatch, narrowed: str, ahead: int
) -> None:
    monkeypatch.setattr(keyset_walk, "SLICE", 20)
    since = Event.objects.order_by("pk")[390].polled_at + timedelta(days=ahead)
    query = f"?polled_at__gte={quote_plus(str(since))}{narrowed.format(busiest=filled.busiest.pk)}"
    with CaptureQueriesContext(connection) as captured:
        html = as_read(admin_client.get(EVENTS + query).content.decode())
    assert "Older" not in html
    page = next(query["sql"] for query in captured.captured_queries if "LIMIT 26" in query["sql"])
    bounds = [int(key) for key in re.findall(r'"polling_event"\."id" >= (\d+)', page)]
    assert bounds
    assert 350 < max(bounds) <= 401


@pytest.mark.parametrize(
    "query",
    [
        *("?polled_at__year=x", "?polled_at__year=2026&polled_at__month=13", "?p=x", "?nope=1"),
        *("?polled_at__gte=x", "?polled_at__gte=", "?polled_at__lt=2026-13-01", "?polled_at__lt=2026-02-30T25:00"),
        *("?polled_at__gte=2026-02-14T00:00:00+00:00", "?polled_at__gte=\x00", "?polled_at__isnull=1"),
        *("?polled_at__gte=0001-01-01T00:00:00%2B14:00", "?polled_at__lt=9999-12-31T23:59:59-14:00"),
        *("?polled_at__gte=2026-02-14", "?polled_at__lt=9999-12-31", "?polled_at__gte=0001-01-01"),
        *("?instance=", "?instance=-1", "?instance=x", "?instance=\x00", "?instance=9999999999999999999999", "?run=٣"),
        *("?instance=1&instance=2", "?instance__exact=9999999999999999999999", "?notification__instance__name=x"),
    ],
)
@pytest.mark.filterwarnings("ignore:DateTimeField .* received a naive datetime:RuntimeWarning")  # Django takes it
def test_a_query_that_nobody_links_breaks_nothing(admin_client: Client, filled: Filled, query: str) -> None:
    assert admin_client.get(EVENTS + query).status_code in (200, 302, 400)
    assert admin_client.get(f"{EVENTS}export/{query}").status_code in (200, 302, 400)


def test_all_that_match_are_exported(admin_client: Client, filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyset_walk, "_BATCH", 7)
    monkeypatch.setattr(keyset_walk, "SLICE", 50)
    assert [int(row["id"]) for row in exported(admin_client)] == list(range(400, 0, -1))
    created = {int(row["id"]) for row in exported(admin_client, "?kind__exact=CREATED&polled_at__year=2026")}
    assert created == set(Event.objects.filter(kind="CREATED").values_list("pk", flat=True))
    row = exported(admin_client, "?q=400")[0]
    assert (row["kind"], row["resource"], row["delivery"]) == (
        "UPDATED",
        "contacts",
        "Waiting, 0 of 4 delivered",
    )


@pytest.mark.parametrize("model", [Notification, DeliveryAttempt, PollRun])
def test_the_other_long_lists_are_exported_too(admin_client: Client, filled: Filled, model: type[Notification]) -> None:
    rows = exported(admin_client, path=f"/admin/polling/{model._meta.model_name}/")
    assert len(rows) == model._default_manager.count() >= 100
    assert "hush" not in str(rows)


def test_an_export_reads_in_pieces_and_holds_no_transaction(
    admin_client: Client, filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyset_walk, "_BATCH", 100)
    lines = admin_client.get(f"{EVENTS}export/").streaming_content  # type: ignore[attr-defined]
    with CaptureQueriesContext(connection) as captured:
        for _ in range(50):
            next(lines)
    assert len(captured) <= 2


def test_a_person_without_the_right_to_look_exports_nothing(
    client: Client, django_user_model: type, filled: Filled
) -> None:
    client.force_login(django_user_model.objects.create_user("staff", is_staff=True))  # type: ignore[attr-defined]
    assert client.get(f"{EVENTS}export/").status_code == 403


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert cell(text) == f"'{text}"


@given(st.text())
def test_a_cell_never_begins_a_formula_and_loses_nothing(text: str) -> None:
    written = str(cell(text))
    assert not written.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert written.removeprefix("'") == text or written == text


def test_times_numbers_and_nothing_are_written_plainly() -> None:
    assert cell(NOW) == timezone.localtime(NOW).isoformat(timespec="milliseconds")
    assert (cell(-5), cell(None), cell(0.5)) == (-5, "", 0.5)


def test_lines_are_made_one_by_one() -> None:
    rows = (SimpleNamespace(name=f'a "{n}", b') for n in range(10**9))
    lines = csv_lines({"name": lambda row: row.name}, rows)
    assert [next(lines), next(lines)] == ["name\r\n", '"a ""0"", b"\r\n']
