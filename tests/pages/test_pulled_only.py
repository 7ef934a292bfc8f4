"""What the pages say of an instance without a callback URL: that nothing is sent, and what is there instead."""

from __future__ import annotations

import csv
import io

import pytest
from django.test import Client

from instances.models import Instance
from polling.models import Event, Notification
from tests.pages.conftest import text_of, words_of
from tests.support.polled_instance import PolledInstance
from tests.support.receivers import Receiver


@pytest.fixture
def pulled(world: PolledInstance) -> PolledInstance:
    """A world without a callback URL, of which one change was recorded."""
    world.watch(callback_url="")
    world.poll()
    world.change(1, "Chief")
    world.poll()
    return world


def words(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return words_of(text_of(answer))


def url(world: PolledInstance, rest: str = "") -> str:
    return f"/app/instances/{world.instance.pk}{rest}"


def notify(instance: Instance, callback_url: str, client: Client) -> str:
    """Save the notifications of the settings with that URL; return what is said then."""
    given = {"part": "notify", "callback_url": callback_url}
    answer = client.post(f"/app/instances/{instance.pk}/settings", given, follow=True)
    return text_of(answer)


@pytest.mark.parametrize("path", ["", "/stream", "/events", "/settings", "/delivery", "/replay", "/release", "/verify"])
def test_every_page_of_it_answers(pulled: PolledInstance, operator: Client, path: str) -> None:
    assert operator.get(url(pulled, path)).status_code == 200


def test_its_delivery_says_where_events_go(pulled: PolledInstance, operator: Client) -> None:
    said = words(operator, url(pulled, "/delivery"))
    assert "events are recorded, and pulled by GET /v1/events; nothing is sent" in said
    assert "Nothing was sent: without a callback URL there is nobody to notify." in said


def test_lists_say_that_it_was_not_sent(pulled: PolledInstance, operator: Client) -> None:
    assert "not sent" in words(operator, "/app/events")
    assert "not sent" in words(operator, url(pulled, "/stream"))
    answer = operator.get("/app/events.csv")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer).decode())))
    assert [row["state"] for row in rows] == ["not sent"]


def test_an_event_says_why_it_was_not_sent(pulled: PolledInstance, operator: Client) -> None:
    path = f"/app/events/{Event.objects.get().pk}"
    said = words(operator, path)
    assert "Not sent Nobody was to be notified when it was recorded: the instance had no callback URL." in said
    assert "Replay" not in said
    answer = operator.post(f"{path}/replay", follow=True)
    assert "there is nothing to send again" in text_of(answer)


def test_a_lost_notification_is_said_to_be_lost(watched: PolledInstance, operator: Client) -> None:
    watched.change(1, "Chief")
    watched.poll()
    Notification.objects.all().delete()
    said = words(operator, f"/app/events/{Event.objects.get().pk}")
    assert "Its notification is lost" in said


def test_a_replay_of_it_has_nothing_to_send(pulled: PolledInstance, operator: Client) -> None:
    said = words(operator, url(pulled, "/replay?resource=contacts"))
    assert "What is recorded without a callback URL is in no notification" in said


def test_a_url_is_set_and_taken_away_in_the_settings(
    pulled: PolledInstance, operator: Client, receiver: Receiver
) -> None:
    assert "Saved." in notify(pulled.instance, receiver.url, operator)
    pulled.change(1, "Owner")
    pulled.poll()
    assert Notification.objects.get().next_attempt_at is not None
    assert "Saved." in notify(pulled.instance, "", operator)
    assert Notification.objects.get().next_attempt_at is None
    said = words(operator, url(pulled, "/delivery"))
    assert "There is no callback URL any more: 1 notification waits until one is set." in said


def test_a_test_notification_is_refused_in_words(pulled: PolledInstance, operator: Client) -> None:
    said = words_of(text_of(operator.post(url(pulled, "/delivery/test"))))
    assert "The instance has no callback URL: its events are pulled, and nothing is sent." in said


def test_the_overview_asks_nobody_to_do_anything_about_it(pulled: PolledInstance, operator: Client) -> None:
    html = text_of(operator.get("/"))
    assert 'aria-label="What needs you"' not in html
