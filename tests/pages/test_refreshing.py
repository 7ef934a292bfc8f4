"""Parts of pages that refresh themselves: who shows the newest is answered without a body, and any news comes."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from django.conf import settings
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from instances.models import Instance, Membership, Organization, Role
from polling.delivery.first_subscriptions import first_subscription
from polling.delivery.pausing import pause_delivery
from polling.models import (
    BulkJob,
    Copy,
    DeliveryAttempt,
    Health,
    Heartbeat,
    Notification,
    PollRun,
    PollState,
    Replay,
    Subscription,
    Verification,
)
from polling.workers.heartbeats import Part, beat
from tests.support.page_rows import add_events, add_instances
from tests.support.rows import complete_copy

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
ASKS_AGAIN = re.compile(r"hx-get=\"{% url '([\w-]+)'[^>]*?hx-trigger=\"(every [^\"]+)\"", re.DOTALL)
ASKERS = [
    asker
    for template in sorted(Path(settings.BASE_DIR, "templates").rglob("*.html"))
    for asker in ASKS_AGAIN.findall(template.read_text())
]
HTMX = {"HX-Request": "true"}


def poll_well() -> None:
    PollState.objects.update(last_good_at=NOW + timedelta(seconds=5))


def end_run() -> None:
    PollRun.objects.create(
        resource_poll_id=PollState.objects.get().pk, status="complete", started_at=NOW, finished_at=NOW, records=3
    )


def deliver_one() -> None:
    newest = Notification.objects.order_by("pk")[0]
    Notification.objects.filter(pk=newest.pk).update(state=Notification.State.DELIVERED)


def attempt() -> None:
    DeliveryAttempt.objects.create(notification_id=1, url="https://example.com/", started_at=NOW)


# What a part shows, by its route: something of it that changes.
NEWS: dict[str, Callable[[], object]] = {
    "engine-banner": lambda: Heartbeat.objects.all().delete(),
    "overview": lambda: PollState.objects.update(health=Health.REJECTED, last_error="No such column"),
    "instance-page": poll_well,
    "instance-delivery": lambda: Subscription.objects.update(filter='{"kinds":["DELETED"]}'),
    "instance-callbacks": lambda: Instance.objects.update(refresh_interval=7),
    "instance-stream": lambda: add_events(Instance.objects.get(), 1, at=NOW),
    "events-page": lambda: add_events(Instance.objects.get(), 1, at=NOW),
    "poll-page": end_run,
    "poll-progress": poll_well,
    "deliveries-page": lambda: pause_delivery(
        first_subscription(Instance.objects.get()), "Its tries are used up.", NOW
    ),
    "release-progress": deliver_one,
    "replay-progress": lambda: Replay.objects.update(delivered=1),
    "verify-poll": lambda: Verification.objects.update(source=7),
    "event-page": attempt,
    "bulk-job": lambda: BulkJob.objects.update(done=1),
    "copies-page": lambda: Copy.objects.update(records=7),
}


@pytest.fixture
def paths(organization: Organization) -> dict[str, str]:
    """Return the path of every part, with something to show."""
    with time_machine.travel(NOW, tick=False):
        beat(Part.CLUSTER, "here")
        instance = add_instances(organization, 1)[0]
        add_events(instance, 3, at=NOW - timedelta(minutes=10))
    poll = instance.resource_polls.get()
    replay = Replay.objects.create(instance=instance, asked_at=NOW, what="all", total=3)
    Verification.objects.create(resource_poll=poll, asked_at=NOW, next_try_at=NOW)
    job = BulkJob.objects.create(organization=organization, asked_at=NOW, total=3)
    complete_copy(instance, asked_at=NOW, expires_at=NOW + timedelta(days=3))
    own, of_poll = [instance.pk], [instance.pk, poll.pk]
    return {
        "engine-banner": reverse("engine-banner"),
        "overview": reverse("overview"),
        "instance-page": reverse("instance-page", args=own),
        "instance-delivery": reverse("instance-delivery", args=own),
        "instance-callbacks": reverse("instance-callbacks", args=own),
        "instance-stream": reverse("instance-stream", args=own) + "?after=3",
        "events-page": reverse("events-page") + "?after=3",
        "poll-page": reverse("poll-page", args=of_poll),
        "poll-progress": reverse("poll-progress", args=of_poll) + "?asked=2026-11-24T12:30:02%2B00:00",
        "deliveries-page": reverse("deliveries-page"),
        "release-progress": reverse("release-progress", args=own) + "?total=3",
        "replay-progress": reverse("replay-progress", args=[replay.pk]),
        "verify-poll": reverse("verify-poll", args=of_poll),
        "bulk-job": reverse("bulk-job", args=[job.pk]),
        "event-page": reverse("event-page", args=[1]),
        "copies-page": reverse("copies-page", args=own),
    }


def ask(client: Client, path: str, tag: str = "") -> HttpResponse:
    """Ask for a part as the page's script does."""
    return client.get(path, headers=HTMX | ({"If-None-Match": tag} if tag else {}))  # type: ignore[return-value]  # the test client's answer


def test_whatever_asks_again_asks_at_once_when_its_tab_is_seen_again() -> None:
    assert {name for name, _ in ASKERS} == NEWS.keys()
    for name, trigger in ASKERS:
        assert re.fullmatch(r"every \d+m?s, refresh", trigger), f"{name} asks {trigger}"


@pytest.mark.parametrize("name", NEWS)
def test_what_is_shown_already_costs_no_body_and_news_comes(name: str, paths: dict[str, str], operator: Client) -> None:
    with time_machine.travel(NOW + timedelta(seconds=2), tick=False) as clock:
        first = ask(operator, paths[name])
        assert first.status_code == 200
        clock.shift(7)  # the words of all ages have changed
        again = ask(operator, paths[name], first["ETag"])
        assert (again.status_code, again.content) == (304, b"")
        assert again["ETag"] == first["ETag"]
        assert "no-store" in again["Cache-Control"]
        NEWS[name]()
        news = ask(operator, paths[name], first["ETag"])
        assert news.status_code == 200
        assert news["ETag"] != first["ETag"]


@pytest.mark.parametrize("name", NEWS)
def test_what_one_may_see_is_asked_before_what_is_new(
    name: str, paths: dict[str, str], operator: Client, organization: Organization
) -> None:
    tag = ask(operator, paths[name])["ETag"]
    assert ask(Client(), paths[name], tag).status_code == 401
    Membership.objects.all().delete()
    assert ask(operator, paths[name], tag).status_code == 403


def test_who_may_do_less_is_shown_less(paths: dict[str, str], operator: Client) -> None:
    with time_machine.travel(NOW, tick=False):
        tag = ask(operator, paths["instance-page"])["ETag"]
        Membership.objects.update(role=Role.VIEWER)
        less = ask(operator, paths["instance-page"], tag)
        assert less.status_code == 200
        assert b"Poll now: contacts" not in less.content


def test_a_new_secret_of_forms_reaches_the_forms(paths: dict[str, str], operator: Client) -> None:
    with time_machine.travel(NOW, tick=False):
        tag = ask(operator, paths["instance-page"])["ETag"]
        operator.cookies["csrftoken"] = "b" * 32
        assert ask(operator, paths["instance-page"], tag).status_code == 200
