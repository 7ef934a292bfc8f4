"""What is read out is what is seen: a control's name holds its label, and no number stands without saying of what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape

import pytest
from django.test import Client
from django.utils import timezone

from instances.models import Instance, Organization, ResourcePoll
from instances.secrets import Secret
from polling.delivery.delivery_request import Outcome
from polling.models import (
    CallbackEndpoint,
    CallbackRegistration,
    DeliveryAttempt,
    Notification,
    PollState,
)
from polling.workers.heartbeats import Part, beat
from tests.conftest import make_tenant
from tests.pages.conftest import text_of
from tests.support.every_page import every_page
from tests.support.filled_service import fill
from tests.support.page_rows import add_events, add_instances
from tests.support.page_views import onlooker

pytestmark = pytest.mark.django_db
NAMED = re.compile(r'<(a|button|summary)\b[^>]*?aria-label="([^"]*)"[^>]*>(.*?)</\1>', re.DOTALL)
BARE = re.compile(r"</a>\s*<span class=\"muted\">\d+</span>")
UNREAD = re.compile(r'<(span|svg)\b[^>]*aria-hidden="true"[^>]*>.*?</\1>', re.DOTALL)
TAGS = re.compile(r"<[^>]+>")
SHAPES = {"◐", "⋯", "×", "…"}  # they are no words


def pages() -> Iterator[tuple[str, str]]:
    """Return every page of a filled service: its name, and its HTML as it is read."""
    organization = make_tenant("Gamma").organization
    filled = fill(organization, instances=8, events=200, now=timezone.now())
    client = onlooker(organization)
    for page in every_page(filled):
        answer = None if page.name.startswith("admin") else client.get(page.path)
        if answer is not None and answer.status_code == 200 and answer["Content-Type"].startswith("text/html"):
            yield page.name, text_of(answer)


def test_the_name_of_every_control_holds_its_label_and_every_number_says_of_what() -> None:
    wrong, bare, seen = [], [], 0
    for page, html in pages():
        bare += [page for _ in BARE.findall(html)]
        for _, name, inside in NAMED.findall(html):
            label = unescape(" ".join(TAGS.sub(" ", UNREAD.sub("", inside)).split()))
            seen += 1
            if label not in SHAPES and label.lower() not in unescape(name).lower():
                wrong.append((page, name, label))
    assert seen > 50
    assert wrong == []
    assert bare == []


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (301, "Redirects are not followed"),
        (302, "set the callback URL to where it leads"),
        (308, "Redirects are not followed"),
        (401, "wants a login"),
        (404, "see the callback URL"),
        (405, "takes no POST"),
        (500, ""),
    ],
)
def test_an_answer_that_helps_nobody_by_its_number_says_what_to_look_at(
    organization: Organization, operator: Client, status: int, words: str
) -> None:
    sentence = Outcome(sent=True, status=status).sentence()
    assert sentence.startswith(f"The receiver answered {status}.")
    assert words in sentence
    instance = add_instances(organization, 1)[0]
    add_events(instance, 1)
    DeliveryAttempt.objects.create(
        notification=Notification.objects.get(),
        url="https://example.com/",
        started_at=timezone.now(),
        finished_at=timezone.now(),
        status=status,
        error_kind="status",
    )
    for path in ("/app/deliveries", "/app/events/1"):
        assert unescape(sentence) in unescape(text_of(operator.get(path))), path


def test_a_poll_that_callbacks_wake_says_that_it_may_come_sooner(organization: Organization, operator: Client) -> None:
    beat(Part.CLUSTER, "here")
    instance = add_instances(organization, 1)[0]
    PollState.objects.update(next_poll_at=timezone.now() + timedelta(minutes=14, seconds=30))
    ResourcePoll.objects.update(configuration={"url": "/hubs/crm/contacts"})
    own = f"/app/instances/{instance.pk}"
    paths = (own, f"{own}/polls/{instance.resource_polls.get().pk}")
    CallbackEndpoint(instance=instance, token=Secret.of("a token"), token_hash="a hash").save()
    registration = CallbackRegistration.objects.create(
        instance=instance, type="contact", status=CallbackRegistration.Status.ACTIVE
    )
    assert all("or when a callback comes" not in text_of(operator.get(path)) for path in paths)
    Instance.objects.update(callbacks_enabled=True)
    assert all("or when a callback comes" in text_of(operator.get(path)) for path in paths)
    CallbackRegistration.objects.filter(pk=registration.pk).update(silent_since=timezone.now())
    assert all("or when a callback comes" not in text_of(operator.get(path)) for path in paths)
