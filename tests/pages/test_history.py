"""Events and deliveries as they are filtered, followed, exported and copied, without any receiver."""

from __future__ import annotations

import csv
import io
import re
import subprocess
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from django.test import Client
from django.utils import timezone

from cwconnect.core.errors import DomainError
from cwconnect.core.text import counted
from instances.models import Instance, Organization
from instances.secrets import MASK
from polling.bulk.registry import find_action
from polling.delivery.first_subscriptions import first_subscription
from polling.delivery.pausing import pause_delivery
from polling.delivery.replay.selection import select, selection_of
from polling.models import BulkJob, DeliveryAttempt, DeliveryState, Event, Notification, Receiver, Replay
from polling.pages.events import carrying
from polling.reports import delivery_search, keyset_walk
from polling.reports.curl import LEFT_OUT, LONGEST_ARGUMENT, curl_of
from polling.reports.event_search import Search
from tests.conftest import Tenant
from tests.pages.conftest import sign_in, text_of
from tests.support.notifications import make_instance, make_notifications

URL = "http://127.0.0.1:9/hook?code=hush"
NOON = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is noon of a day, for whoever asks."""
    monkeypatch.setattr(timezone, "now", lambda: NOON)


def attempt(notification: Notification, status: int | None, seconds: float = 0.1) -> DeliveryAttempt:
    kind = "timeout" if status is None else "" if status < 300 else "status"
    return DeliveryAttempt.objects.create(
        notification=notification,
        url=URL,
        started_at=notification.created_at,
        finished_at=notification.created_at + timedelta(seconds=seconds),
        seconds=seconds,
        status=status,
        error_kind=kind,
        request_headers={"webhook-id": notification.webhook_id, "X-Key": MASK, "webhook-signature": "v1,c2lnbmVk"},
    )


@pytest.fixture
def sent(organization: Organization) -> dict[str, Notification]:
    """Notifications of three instances by what became of them, each of one record."""
    acme, globex, initech = (make_instance(organization, URL, name) for name in ("Acme", "Globex", "Initech"))
    ago = {"today": timedelta(hours=3), "yesterday": timedelta(hours=20), "now": timedelta(minutes=10)}

    def make(instance: Instance, record: int, when: str, state: str) -> Notification:
        return make_notifications(instance, [[record]], NOON - ago[when], state=state, next_attempt_at=None)[0]

    made = {
        "arrived": make(acme, 1, "yesterday", "delivered"),
        "lost": make(acme, 2, "yesterday", "failed"),
        "kept": make(globex, 3, "yesterday", "exhausted"),
        "second try": make(globex, 4, "today", "delivered"),
        "slow": make(initech, 5, "today", "delivered"),
        "waits": make(initech, 6, "now", "pending"),
        "dropped": make(initech, 7, "now", "discarded"),
    }
    for event in Event.objects.all():
        Event.objects.filter(pk=event.pk).update(title=f"Number {event.object_id}")
    attempt(made["arrived"], 204)
    attempt(made["lost"], 500)
    attempt(made["lost"], 404)
    attempt(made["kept"], None, 15.0)
    attempt(made["second try"], 503)
    attempt(made["second try"], 200)
    attempt(made["slow"], 200, 7.5)
    return made


BY_STATE = [
    ("", {1, 2, 3, 4, 5, 6, 7}),
    ("state=delivered", {1, 4, 5}),
    ("state=waiting", {6}),
    ("state=given+up", {2, 3, 7}),
    ("state=rubbish", {1, 2, 3, 4, 5, 6, 7}),
    ("preset=hour", {6, 7}),
    ("preset=today", {4, 5, 6, 7}),
    ("preset=yesterday", {1, 2, 3}),
    ("preset=yesterday&state=given+up", {2, 3}),
    ("preset=yesterday&from=2026-11-28T00:00", {4, 5, 6, 7}),
    ("to=2026-11-28T00:00", {1, 2, 3}),
    ("instance=Globex", {3, 4}),
    ("instance=glob&state=delivered", {4}),
    ("object=5", {5}),
    ("kind=UPDATED&resource=contacts&instance=acme", {1, 2}),
    ("kind=DELETED", set()),
]


@pytest.mark.parametrize("slices", [keyset_walk.SLICE, 2])
@pytest.mark.parametrize("path", ["/app/events", "/app/deliveries"])
def test_a_list_is_filtered(
    sent: dict[str, Notification], viewer: Client, path: str, slices: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyset_walk, "SLICE", slices)
    monkeypatch.setattr(keyset_walk, "LISTED", slices)
    assert {query: found_all(viewer, path, query) for query, _ in BY_STATE} == dict(BY_STATE)


def found_all(client: Client, path: str, query: str) -> set[int]:
    """Return the records of a list and of all the pages that follow."""
    found: set[int] = set()
    for _ in range(60):
        page = text_of(client.get(f"{path}?{query}"))
        before, _, listed = page.partition('id="notifications-title"')
        found |= {int(record) for record in re.findall(r"contacts/(\d+)</small></a>", listed or before)}
        older = re.search(r'href="\?([^"]*before=\d+[^"]*)"', page)
        if older is None:
            return found
        query = older[1].replace("&amp;", "&")
    raise AssertionError("the pages have no end")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=failed", {2, 3, 4}),
        ("status=5xx", {2, 4}),
        ("status=404", {2}),
        ("status=none", {3}),
        ("status=2xx", {1, 4, 5}),
        ("status=204", {1}),
        ("status=4xx&state=given+up&preset=yesterday", {2}),
        ("longer=1000", {3, 5}),
        ("longer=1000&status=200", {5}),
        ("longer=10000&status=200", set()),
        ("tries=2", {2, 4}),
        ("tries=1&preset=hour", set()),
        ("status=rubbish&longer=rubbish&tries=-1&receiver=rubbish", {1, 2, 3, 4, 5, 6, 7}),
    ],
)
def test_deliveries_are_filtered_by_their_attempts(
    sent: dict[str, Notification], viewer: Client, query: str, expected: set[int]
) -> None:
    assert found_all(viewer, "/app/deliveries", query) == expected


def test_deliveries_are_filtered_by_their_receiver(
    sent: dict[str, Notification], viewer: Client, organization: Organization, other_tenant: Tenant
) -> None:
    ours, theirs = (
        Receiver.objects.create(organization=each, url=URL, url_hash="1")
        for each in (organization, other_tenant.organization)
    )
    DeliveryState.objects.create(subscription=first_subscription(sent["kept"].instance), receiver=ours)
    assert found_all(viewer, "/app/deliveries", f"receiver={ours.pk}") == {3, 4}
    assert found_all(viewer, "/app/deliveries", f"receiver={theirs.pk}") == {1, 2, 3, 4, 5, 6, 7}  # it is no filter
    html = text_of(viewer.get(f"/app/deliveries?receiver={ours.pk}"))
    assert "Receiver: http://127.0.0.1:9/hook?…" in html
    assert "hush" not in html


def test_each_filter_is_a_chip_that_takes_it_off(sent: dict[str, Notification], viewer: Client) -> None:
    html = text_of(viewer.get("/app/deliveries?state=given+up&preset=yesterday&instance=acme&before=99"))
    chips = dict(re.findall(r'<bdi>([^<]+)</bdi><a href="\?([^"]*)"', html))
    assert {label: query.replace("&amp;", "&") for label, query in chips.items()} == {
        "State: given up": "preset=yesterday&instance=acme",
        "Yesterday": "state=given+up&instance=acme",
        "Instance: Acme": "state=given+up&preset=yesterday",
    }
    html = text_of(viewer.get("/app/events?delivery=undelivered&from=2026-11-27T10:00"))
    assert "State: undelivered" in html  # a link of earlier versions
    assert "From 27 Nov 2026, 10:00" in html


def test_a_row_says_what_became_of_its_notification(sent: dict[str, Notification], viewer: Client) -> None:
    html = re.sub(r"\s+", " ", text_of(viewer.get("/app/deliveries?object=2")))
    assert 'data-label="Answers">500, 404</td> <td data-label="Slowest" class="n">100 ms</td>' in html
    assert 'data-label="Tries" class="n">2</td>' in html


def lines(client: Client, path: str) -> list[dict[str, str]]:
    answer = client.get(path)
    assert answer.headers["Content-Type"].startswith("text/csv")
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]  # of a stream
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("path", ["/app/events", "/app/deliveries"])
def test_all_that_match_are_had_as_csv(
    sent: dict[str, Notification], viewer: Client, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyset_walk, "SLICE", 2)
    monkeypatch.setattr(keyset_walk, "LISTED", 2)
    Instance.objects.filter(name="Acme").update(name="=1+1")
    found = lines(viewer, f"{path}.csv?state=given+up")
    assert [row["webhook-id"] for row in found] == [sent[name].webhook_id for name in ("dropped", "kept", "lost")]
    assert {row["state"] for row in found} == {"given up"}
    assert found[-1]["instance"] == "'=1+1"
    assert len(lines(viewer, f"{path}.csv")) == 7
    assert len(lines(viewer, f"{path}.csv?object=3")) == 1


def test_others_see_nothing_of_it(sent: dict[str, Notification], other_tenant: Tenant) -> None:
    stranger = sign_in("stranger", other_tenant.organization)
    for path in ("/app/events", "/app/deliveries"):
        assert found_all(stranger, path, "") == set()
        assert lines(stranger, f"{path}.csv") == []
    made = DeliveryAttempt.objects.earliest("pk")
    assert stranger.get(f"/app/attempts/{made.pk}/curl").status_code == 404


def live(client: Client, query: str, **headers: str) -> object:
    return client.get(f"/app/events?live=1&{query}", headers={"HX-Request": "true", **headers})


def test_a_live_list_says_how_many_came_and_nothing_where_none_did(
    sent: dict[str, Notification], viewer: Client
) -> None:
    newest = Event.objects.latest("pk").pk
    page = text_of(viewer.get("/app/events?live=1&kind=UPDATED"))
    assert f'hx-get="/app/events?live=1&amp;kind=UPDATED&amp;after={newest}"' in page
    first = live(viewer, f"kind=UPDATED&after={newest}")
    tag = {"If-None-Match": first.headers["ETag"]}  # type: ignore[attr-defined]
    assert live(viewer, f"kind=UPDATED&after={newest}", **tag).status_code == 304  # type: ignore[attr-defined]
    assert "data-say" not in text_of(first)
    make_notifications(sent["waits"].instance, [[8], [9]], NOON)
    answer = text_of(live(viewer, f"kind=UPDATED&after={newest}", **tag))
    assert 'data-say="2 new events"' in answer
    assert answer.count('class="fresh"') == 2
    assert "<html" not in answer


@pytest.mark.parametrize(
    ("query", "is_live", "offered"),
    [
        ("live=1", True, True),
        ("", False, True),
        ("live=1&preset=today", True, True),
        ("live=1&preset=yesterday", False, False),
        ("live=1&to=2026-11-28T11:00", False, False),
        ("live=1&to=2026-11-28T13:00", True, True),
        ("live=1&before=5", False, False),
    ],
)
def test_what_is_over_is_not_followed(
    sent: dict[str, Notification], viewer: Client, query: str, is_live: bool, offered: bool
) -> None:
    html = text_of(viewer.get(f"/app/events?{query}"))
    assert ("&amp;after=" in html) is is_live
    assert (">Refresh</a>" in html) is is_live  # by which it is followed without a script
    assert ("Not live" not in html) is offered


@pytest.mark.parametrize(
    "body",
    [
        '{"a":"it\'s $HOME `id` \\\\ \\"x\\" !!"}',
        "@/etc/passwd",
        '{"two":\n"lines"}',
        "é" * LONGEST_ARGUMENT,
        "%s%d" + "x" * LONGEST_ARGUMENT,
    ],
)
def test_an_attempt_is_copied_as_a_command_that_any_shell_takes(body: str) -> None:
    headers = {"Content-Type": "application/json", "X-It's": "$(id)", "X-Key": MASK, "webhook-signature": "v1,c2lnbmVk"}
    command = curl_of("https://example.com/a b?code=hush", headers, body)
    for secret in ("hush", MASK, "c2lnbmVk"):
        assert secret not in command
    script = 'curl() { for each; do printf \'%s\\0\' "$each"; done; [ "$each" = @- ] && cat; return 0; }\n' + command
    got = subprocess.run(["sh"], input=script.encode(), capture_output=True, check=True).stdout.decode()
    *given, last = got.split("\0") if got.endswith("\0") is False else [*got.split("\0")[:-2], got.split("\0")[-2]]
    assert last == body
    assert given[:3] == ["--request", "POST", f"https://example.com/a b?{LEFT_OUT}"]
    values = [value for name, value in pairwise(given) if name == "--header"]
    expected = ["Content-Type: application/json", "X-It's: $(id)", f"X-Key: {LEFT_OUT}"]
    assert values == [*expected, f"webhook-signature: {LEFT_OUT}"]


def test_an_attempt_shows_as_a_command_beside_send_again(
    sent: dict[str, Notification], operator: Client, viewer: Client
) -> None:
    made = sent["lost"].attempts.earliest("pk")
    path = f"/app/attempts/{made.pk}/curl"
    for client, sends in ((operator, True), (viewer, False)):
        page = text_of(client.get(f"/app/events/{sent['lost'].pk}"))
        assert f'hx-get="{path}"' in page
        assert ("Send again" in page) is sends
        for answer in (client.get(path), client.get(path, headers={"HX-Request": "true"})):
            html = text_of(answer)
            assert f"webhook-id: {sent['lost'].webhook_id}" in html
            assert f"webhook-signature: {LEFT_OUT}" in html
            assert "hush" not in html
            assert "c2lnbmVk" not in html


def replay_path(query: str) -> str:
    return f"/app/replay-these?{query}"


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("of=deliveries&state=given+up&preset=yesterday", {"lost", "kept"}),
        ("of=deliveries&status=4xx", {"lost"}),
        ("of=deliveries&status=failed", {"lost", "kept", "second try"}),
        ("of=deliveries&tries=2&instance=globex", {"second try"}),
        ("of=deliveries&preset=hour", {"waits"}),  # what was discarded is not sent again
        ("of=deliveries&longer=1000&state=delivered", {"slow"}),
        ("of=events&preset=yesterday&delivery=delivered", {"arrived"}),
        ("of=events&object=3", {"kept"}),
        ("of=events&delivery=undelivered", {"kept", "waits"}),
        ("of=events&q=%22id%22%3A4&fields=on", {"second try"}),
        ("of=events&kind=UPDATED&resource=contacts&instance=Acme", {"arrived", "lost"}),
    ],
)
def test_what_is_shown_is_sent_again_by_a_job(
    sent: dict[str, Notification],
    operator: Client,
    query: str,
    names: set[str],
) -> None:
    page = text_of(operator.get(replay_path(query)))
    instances = {sent[name].instance for name in names}
    button = f"Replay {counted(len(names), 'notification')} of {counted(len(instances), 'instance')}"
    assert f"{button}?" in re.sub(r"\s+", " ", page)
    bounds = dict(re.findall(r'name="(first|last)" value="(\d+)"', page))
    make_notifications(sent["kept"].instance, [[3]], NOON - timedelta(hours=20), state="failed", next_attempt_at=None)
    answer = operator.post(replay_path(query), bounds)  # what came meanwhile is no part of it
    job = BulkJob.objects.get()
    assert answer.headers["Location"] == f"/app/jobs/{job.pk}"
    assert (job.action, job.title, set(job.instances)) == ("replay", button, {each.pk for each in instances})
    for key in job.instances:
        find_action(job.action).apply(Instance.objects.get(pk=key), job.arguments)
    again = Notification.objects.filter(replay__isnull=False).values_list("pk", flat=True)
    assert set(again) == {sent[name].pk for name in names}
    assert sum(replay.total for replay in Replay.objects.all()) == len(names)


def test_what_can_not_be_sent_again_is_refused_with_a_reason(sent: dict[str, Notification], operator: Client) -> None:
    query = "of=deliveries&state=given+up&preset=yesterday"
    operator.post(replay_path(query))
    job = BulkJob.objects.get()
    Notification.objects.update(state="delivered")
    with pytest.raises(DomainError, match="Nothing of it is left to be sent again"):
        find_action("replay").apply(sent["lost"].instance, job.arguments)
    answer = operator.post("/app/jobs/start", {"action": "replay", "every": "1"}, follow=True)
    assert BulkJob.objects.count() == 1, answer


def test_nothing_is_sent_again_that_nothing_narrows_down(sent: dict[str, Notification], operator: Client) -> None:
    for of in ("events", "deliveries"):
        assert "Narrow the list down first" in text_of(operator.get(replay_path(f"of={of}&state=rubbish")))
        operator.post(replay_path(f"of={of}"), {"first": "1", "last": "99"})
    assert "Nothing to replay" in text_of(operator.get(replay_path("of=events&kind=DELETED")))
    assert not BulkJob.objects.exists()


def test_a_count_ends_where_there_is_very_much(
    sent: dict[str, Notification], operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_search, "SPAN", 52)  # above the newest lie 51 ids that may be taken meanwhile
    monkeypatch.setattr(delivery_search, "MOST_COUNTED", 1)
    for query in ("of=deliveries&to=2027-01-01T00:00", "of=deliveries&status=failed"):
        page = re.sub(r"\s+", " ", text_of(operator.get(replay_path(query))))
        assert "These are the newest. Older ones match too" in page
        assert "Replay 1 notification of 1 instance?" in page
        operator.post(replay_path(query), dict(re.findall(r'name="(first|last)" value="(\d+)"', page)))
        job = BulkJob.objects.latest("pk")
        assert select(Instance.objects.get(pk=job.instances[0]), selection_of(job.arguments["selection"])).count() == 1


def test_a_viewer_sends_nothing_again(sent: dict[str, Notification], viewer: Client) -> None:
    query = "of=deliveries&state=given+up"
    assert viewer.get(replay_path(query)).status_code == 403
    assert viewer.post(replay_path(query)).status_code == 403
    for path in ("/app/events", "/app/deliveries"):
        assert "replay-these" not in text_of(viewer.get(f"{path}?state=given+up"))


def test_a_list_says_how_many_it_would_send_again(sent: dict[str, Notification], operator: Client) -> None:
    for path in ("/app/events", "/app/deliveries"):
        assert "Replay these 2…" in text_of(operator.get(f"{path}?state=given+up"))
        assert "replay-these" not in text_of(operator.get(path))


def test_what_rests_is_said_before_it_is_sent(sent: dict[str, Notification], operator: Client) -> None:
    pause_delivery(first_subscription(sent["kept"].instance), "The receiver answered 410.", NOON)
    Instance.objects.filter(name="Acme").update(events_enabled=False)
    page = re.sub(r"\s+", " ", text_of(operator.get(replay_path("of=deliveries&preset=yesterday"))))
    assert "delivery of 1 instance is paused: theirs are sent with its release" in page
    assert "events of 1 instance are off: theirs are sent once these go on" in page


GIVEN: dict[str, object] = {
    **dict.fromkeys(("called", "object_id", "kind", "resource", "text"), "x"),
    "instance_id": 1,
    "delivery_state": "waiting",
    "since": NOON,
    "until": NOON,
    "in_fields": True,
}


def test_whatever_narrows_events_narrows_their_replay() -> None:
    narrowing = {column.name for column in fields(Search)} - {"before"}  # a page's place
    assert narrowing == GIVEN.keys()
    for name, value in GIVEN.items():
        more = {"text": {"in_fields": True}, "in_fields": {"text": "x"}}.get(name, {})
        assert carrying(Search(**more, **{name: value})) != carrying(Search(**more)), name  # type: ignore[arg-type]
