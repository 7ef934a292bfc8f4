"""A worker that is dead looks dead on every page: a banner, and no green that nobody sees anew any more."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.urls import reverse

from cwconnect.core.database_writes import refusal_of_file
from instances.models import Instance, Organization
from instances.secrets import Secret
from polling.delivery.first_subscriptions import first_subscription
from polling.models import CallbackEndpoint, CallbackRegistration, DeliveryState, Health, Heartbeat, PollState, Receiver
from polling.workers.heartbeats import Part, beat
from tests.conftest import make_tenant
from tests.pages.conftest import sign_in, text_of
from tests.support.every_page import Page, every_page
from tests.support.filled_service import Filled, fill
from tests.support.page_rows import add_instances
from tests.support.page_views import onlooker
from tests.support.required import lengthy

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
DIED = NOW - timedelta(minutes=26)  # at 12:04
GREEN = re.compile(r'<span class="state well"><span aria-hidden="true">.</span> ([^<]+)</span>')
FACTS = {"delivered", "complete", "on", "sent"}  # what was seen to be so, and stays so
HTMX = {"HX-Request": "true"}
NOT_ASKED = {"signin", "first-start"}  # nobody is signed in there


@pytest.fixture
def filled() -> Filled:
    """An organization with everything in it, of which all that can be is well: callbacks too."""
    filled = fill(make_tenant("Gamma").organization, instances=8, events=200, now=NOW)
    CallbackEndpoint(instance=filled.busiest, token=Secret.of("a token"), token_hash="a hash").save()
    Instance.objects.filter(pk=filled.busiest.pk).update(callbacks_enabled=True)
    CallbackRegistration.objects.create(
        instance=filled.busiest, type="contact", status=CallbackRegistration.Status.ACTIVE, active_since=NOW
    )
    return filled


def greens_of(client: Client, page: Page) -> tuple[str, set[str]] | None:
    """Return a page's HTML and its green words; None for what is no page to look at."""
    answer = client.get(page.path)
    if answer.status_code != 200 or not answer["Content-Type"].startswith("text/html"):
        return None
    html = text_of(answer)
    return html, set(GREEN.findall(html))


def walk(client: Client, filled: Filled) -> dict[str, tuple[str, set[str]]]:
    """Return each page of the site itself by its name, with its green words."""
    asked = [page for page in every_page(filled) if not page.name.startswith("admin") and page.name not in NOT_ASKED]
    return {page.name: found for page in asked if (found := greens_of(client, page)) is not None}


@lengthy
def test_no_page_shows_green_what_nobody_sees_any_more(filled: Filled) -> None:
    with time_machine.travel(NOW, tick=False):
        client = onlooker(Organization.objects.get(name="Gamma"))
        alive = walk(client, filled)
        Heartbeat.objects.update(seen_at=DIED)
        dead = walk(client, filled)
    assert dead.keys() == alive.keys()
    assert len(dead) > 25
    assert set.union(*(green for _, green in alive.values())) >= {"healthy", "registered", "delivered"}
    assert {name: green - FACTS for name, (_, green) in dead.items() if green - FACTS} == {}
    lacking = {name for name, (html, _) in dead.items() if "<html" in html and "No worker shows life" not in html}
    assert lacking == set()
    assert {name for name, (html, _) in alive.items() if "No worker" in html} == set()


def test_what_is_not_known_says_since_when(filled: Filled) -> None:
    with time_machine.travel(NOW, tick=False):
        Heartbeat.objects.update(seen_at=DIED)
        client, own = onlooker(Organization.objects.get(name="Gamma")), f"/app/instances/{filled.busiest.pk}"
        poll = f"{own}/polls/{filled.polls[0].pk}"
        for path in ("/", "/app/instances", own, f"{own}/callbacks", f"{own}/delivery", f"{own}/settings", poll):
            assert re.search(r"▲</span> not known since <time [^>]*>12:04:00</time>", text_of(client.get(path))), path
        assert "Well, when last seen" in text_of(client.get("/app/instances"))
        html = text_of(client.get(own))
        assert "in 15 min" not in html
        assert '<td data-label="Next poll"><span>when work goes on</span></td>' in html


@pytest.mark.parametrize(
    ("health", "shown"),
    [
        (Health.RETRYING, "not known"),
        (Health.RATE_LIMITED, "not known"),
        (Health.UNAUTHORIZED, "unauthorized"),
        (Health.HELD, "deletes held"),
    ],
)
def test_what_waits_for_a_person_stands_and_what_passes_by_itself_does_not(
    organization: Organization, operator: Client, health: Health, shown: str
) -> None:
    add_instances(organization, 1, health=health)
    assert f"</span> {shown}" in text_of(operator.get("/app/instances"))


def test_the_banner_comes_and_goes_on_a_page_that_stays_open(organization: Organization, operator: Client) -> None:
    path = reverse("engine-banner")
    with time_machine.travel(NOW, tick=False) as clock:
        beat(Part.CLUSTER, "here")
        page = text_of(operator.get("/app/events"))
        tag = re.search(rf'hx-get="{path}"[^>]* data-tag="W/&quot;(\w+)&quot;"', page)
        assert tag
        known = f'W/"{tag[1]}"'
        assert operator.get(path, headers=HTMX | {"If-None-Match": known}).status_code == 304
        clock.shift(61)
        came = operator.get(path, headers=HTMX | {"If-None-Match": known})
        assert "manage.py work" in text_of(came)
        assert operator.get(path, headers=HTMX | {"If-None-Match": came["ETag"]}).status_code == 304
        beat(Part.CLUSTER, "here")
        gone = operator.get(path, headers=HTMX | {"If-None-Match": came["ETag"]})
        assert gone["ETag"] == known
        assert "role=" not in text_of(gone)


def test_polls_that_nobody_runs_are_not_known_since_the_last_good_one(
    organization: Organization, operator: Client
) -> None:
    with time_machine.travel(NOW, tick=False):
        beat(Part.CLUSTER, "here")
        add_instances(organization, 1)
        PollState.objects.update(next_poll_at=DIED, last_good_at=DIED)
        html = text_of(operator.get("/app/instances"))
    assert "none is run, though a worker lives" in html
    assert re.search(r"not known since <time [^>]*>12:04:00", html)


def test_a_receiver_that_fails_is_tried_when_work_goes_on(organization: Organization, operator: Client) -> None:
    instance = add_instances(organization, 1)[0]
    receiver = Receiver.objects.create(
        organization=organization, url_hash="h", url=instance.callback_url, failures=7, opened_at=NOW, open_until=NOW
    )
    DeliveryState.objects.create(subscription=first_subscription(instance), receiver=receiver)
    shown = text_of(operator.get(f"/app/instances/{instance.pk}/delivery"))
    assert "notification is tried when work goes on" in shown


def test_nobody_is_said_to_deliver_while_no_worker_lives(organization: Organization, operator: Client) -> None:
    path = f"/app/instances/{add_instances(organization, 1)[0].pk}/delivery"
    beat(Part.CLUSTER, "here")
    assert "</span> delivering" in text_of(operator.get(path))
    Heartbeat.objects.update(seen_at=DIED)
    assert "delivering" not in text_of(operator.get(path))


def test_a_database_that_takes_no_writes_is_named_before_a_worker_falls_silent(
    organization: Organization, operator: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beat(Part.CLUSTER, "here")
    add_instances(organization, 1)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # which locks rows
            cursor.execute("SET TRANSACTION READ ONLY")
    else:
        monkeypatch.setitem(connection.settings_dict, "NAME", str(tmp_path / "away.sqlite3"))
    for path in ("/", "/app/instances", "/app/events"):
        html = text_of(operator.get(path))
        assert "The database takes no writes" in html, path
        assert "healthy" not in html, path


def test_a_file_that_can_be_written_has_nothing_against_it(tmp_path: Path) -> None:
    path = tmp_path / "db.sqlite3"
    assert "may not write" in refusal_of_file(path)
    path.touch()
    assert refusal_of_file(path) == ""


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "db.sqlite3"
    path.touch()

    class Full:
        f_bavail = 0

    monkeypatch.setattr("os.statvfs", lambda _: Full())
    assert "is full" in refusal_of_file(path)


def test_who_belongs_nowhere_hears_nothing_of_workers() -> None:
    assert "No worker" not in text_of(Client().get(reverse("signin")))
    assert "No worker" not in text_of(sign_in("noah").get("/"))


def test_silent_callbacks_are_no_healthy_instance(filled: Filled) -> None:
    own = f"/app/instances/{filled.busiest.pk}"
    client = onlooker(Organization.objects.get(name="Gamma"))
    with time_machine.travel(NOW, tick=False):
        assert "healthy" in GREEN.findall(text_of(client.get(f"{own}/settings")))
        CallbackRegistration.objects.update(silent_since=NOW)
        for path in (own, f"{own}/settings", f"{own}/delivery", "/app/instances", "/"):
            assert "▲</span> callbacks silent</span>" in text_of(client.get(path)), path
        assert "Its delivery needs you" not in text_of(client.get(own))
        assert "callbacks silent" not in text_of(client.get("/app/deliveries"))
        Instance.objects.update(callbacks_enabled=False)
        assert "callbacks silent" not in text_of(client.get("/app/instances"))
