"""Markup in every text that is stored, on every page there is: shown as words, by none taken for markup."""

from __future__ import annotations

import json
from datetime import timedelta
from html.parser import HTMLParser
from itertools import cycle
from typing import Any

import pytest
from django.apps import apps
from django.db import models
from django.utils import timezone

from instances.models import AuditEntry, ResourcePoll
from instances.secrets import new_token
from polling.models import (
    Alert,
    AlertDestination,
    AlertMute,
    AlertSend,
    BulkJob,
    BulkRefusal,
    Event,
    Replay,
    Subscription,
    SubscriptionEvent,
    Verification,
)
from tests.conftest import Tenant
from tests.security.shown import everything_shown
from tests.support.deliveries import deliver
from tests.support.page_views import onlooker
from tests.support.polled_instance import PolledInstance
from tests.support.receivers import Receiver
from tests.support.required import lengthy

pytestmark = pytest.mark.django_db
ELEMENT = "<b data-evil>"
PAYLOADS = {
    "an element": ELEMENT,
    "a script": "<script data-evil>alert(1)</script>",
    "out of a script": "</script><script data-evil>alert(1)</script>",
    "out of an attribute": '"><img data-evil src=x onerror=alert(1)>',
    "out of an attribute in single quotes": "'><img data-evil src=x onerror=alert(1)>",
    "an attribute": '" data-evil onmouseover="alert(1)',
    "an attribute in single quotes": "' data-evil onmouseover='alert(1)",
    "an attribute without quotes": "x data-evil onmouseover=alert(1)",
    "out of a text area": "</textarea></title></style><svg data-evil onload=alert(1)>",
    "out of a comment": "--><svg data-evil onload=alert(1)>",
    "out of a template": "{{ 7|add:7 }}{% debug %}<b data-evil>",
    "encoded": "&lt;b data-evil&gt;<b data-evil>&#60;",
    "htmx": '<b data-evil hx-get="/app/signout" hx-trigger="load">',
    "a link": "javascript:alert('data-evil')",
    "a link in disguise": "java\tscript:alert('data-evil')",
    "a link with data": "data:text/html,<b data-evil>",
}
KEPT = ("token", "hash", "lease", "site", "host", "webhook_id", "idempot", "password", "previous")  # found by these


class Markup(HTMLParser):
    """Notes what of a page is markup that a payload brought."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.evil: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        links = [names.get(name) or "" for name in ("href", "src", "action", "formaction", "hx-get", "hx-post")]
        if "data-evil" in names or any(_runs(link) for link in links):
            self.evil.append(self.get_starttag_text() or tag)


def _runs(link: str) -> bool:
    plain = "".join(link.split()).lower()
    return plain.startswith(("javascript:", "data:", "vbscript:"))


def columns(model: type[models.Model]) -> list[models.Field[Any, Any]]:
    """Return the columns that hold free text."""
    texts = [each for each in model._meta.concrete_fields if type(each) in (models.CharField, models.TextField)]
    texts += [each for each in model._meta.concrete_fields if type(each) is models.URLField]
    return [
        each
        for each in texts
        if not each.choices and not each.primary_key and not any(part in each.name for part in KEPT)
    ]


def poison(first: int) -> list[str]:
    """Write payloads in turn into every text that is stored, past all that checks it; return the columns."""
    payloads = [*PAYLOADS.values()]
    cycled = cycle(payloads[first:] + payloads[:first])
    found = [model for app in ("instances", "polling") for model in apps.get_app_config(app).get_models()]
    return [
        f"{model.__name__}.{column.name}"
        for model in found
        for column in columns(model)
        if _write(model, column.name, column.max_length, next(cycled))
    ]


def _write(model: type[models.Model], column: str, length: int | None, payload: str) -> int:
    """Write it into every row, and into each text of what is JSON; return in how many rows."""
    texts = model._default_manager.exclude(**{column: None}).exclude(**{column: "null"})
    stored = list(texts.values_list("pk", column))
    for key, found in stored:
        text = found or ('{"where":"id = 1"}' if column == "filter" else "")  # a filter is JSON where there is one
        is_json = isinstance(text, str) and text.startswith(("{", "["))
        poisoned = json.dumps(_poisoned(json.loads(text), payload)) if is_json else payload[:length]
        model._default_manager.filter(pk=key).update(**{column: poisoned})
    return len(stored)


def _poisoned(value: Any, payload: str) -> Any:
    if isinstance(value, dict):
        return {key: _poisoned(each, payload) for key, each in value.items()}
    if isinstance(value, list):
        return [_poisoned(each, payload) for each in value]
    return payload if isinstance(value, str) else value


@pytest.fixture
def lived(world: PolledInstance, receiver: Receiver, tenant: Tenant) -> PolledInstance:
    """An instance of which something of every kind is stored."""
    receiver.answer = lambda got: (500, {})
    world.watch(callback_url=receiver.url, poll={"trackChanges": True})
    world.poll()
    for title in ("Chief", "Chief again"):
        world.change(3, title)
        world.poll()
    deliver()
    now, poll = timezone.now(), ResourcePoll.objects.get()
    Replay.objects.create(instance=world.instance, asked_at=now, what="all", total=1)
    Verification.objects.create(resource_poll=poll, asked_at=now, error="It failed.")
    job = BulkJob.objects.create(
        organization=tenant.organization, asked_at=now, action="a", title="b", actor="c", error="d", total=1
    )
    BulkRefusal.objects.create(job=job, instance_id=world.instance.pk, name="e", reason="f")
    AuditEntry.objects.create(organization=tenant.organization, actor="a", action="b", subject="c")
    Alert.objects.create(
        kind=Alert.Kind.PAUSED, organization=tenant.organization, instance=world.instance, text="words", created_at=now
    )
    place = AlertDestination.objects.create(organization=tenant.organization, name="a", kind="mail", since=now)
    AlertSend.objects.create(alert=Alert.objects.latest("pk"), destination=place, place="a", error="It failed.")
    AlertMute.objects.create(
        organization=tenant.organization, until=now + timedelta(days=1), created_at=now, created_by="a"
    )
    wanted = '{"resources":["a"],"to":{"title":["a","b"]}}'
    first = Subscription.objects.get()  # alone: names are unique
    Subscription.objects.update(filter=wanted, fields=["title"], reads_log=True, held=1)
    SubscriptionEvent.objects.create(subscription=first, event=Event.objects.latest("pk"), held_by="kinds: CREATED")
    world.instance.tags = ["a tag"]
    world.instance.save()
    return world


@lengthy
@pytest.mark.parametrize("first", [0, 5, 11])
def test_nothing_stored_is_markup_on_any_page(lived: PolledInstance, tenant: Tenant, first: int) -> None:
    person = onlooker(tenant.organization)
    poisoned = poison(first)
    lived.instance.refresh_from_db()
    lived.instance.tags = [*PAYLOADS.values()]
    lived.instance.save()
    assert len(poisoned) > 15, poisoned
    shown = everything_shown(tenant, new_token(), person)
    pages = {path: text for (_, path), text in shown.items() if "'Content-Type': 'text/html" in text}
    assert len(pages) > 30
    assert sum("data-evil" in text for text in pages.values()) > 10, "it is shown"
    for path, text in pages.items():
        assert not text.startswith("500"), (path, text[:2000])
        markup = Markup()
        markup.feed(text)
        assert markup.evil == [], (path, markup.evil)
        assert "14{%" not in text, path  # what a template would make of it


CONTEXTS = (
    *("<p>{}</p>", '<a title="{}">', "<a title='{}'>", "<a title={}>", '<a href="{}">', "<script>{}</script>"),
    "<!--{}-->",
)


@pytest.mark.parametrize("name", PAYLOADS)
def test_each_is_seen_where_it_is_let_through(name: str) -> None:
    caught = []
    for context in CONTEXTS:
        markup = Markup()
        markup.feed(context.format(PAYLOADS[name]))
        caught += markup.evil
    assert caught
