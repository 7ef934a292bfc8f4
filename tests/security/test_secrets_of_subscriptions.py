"""Secrets of a further subscription are in nothing that is stored plainly, shown, answered, exported, logged or said.

What is one: its headers' values, its Basic password, its signature key and the one before, and its URL's query.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from cwconnect.core.redact import MASK
from instances.models import AuditEntry, Instance
from instances.secrets import hash_token, new_token
from polling.delivery.delivery_request import DeliveryRequest
from polling.models import DeliveryAttempt, Subscription
from polling.subscriptions.stored import settings_of
from tests.conftest import Tenant
from tests.security.shown import everything_shown
from tests.security.test_echoes import KEY, PASSWORD, QUERY, TOKEN_VALUE, Echo, rows
from tests.security.test_redaction import holds
from tests.support.deliveries import change, deliver
from tests.support.page_views import onlooker
from tests.support.polled_instance import PolledInstance
from tests.support.raw_servers import RawServer
from tests.support.read_log import read_log
from tests.support.required import lengthy

OLD_KEY = "whsec_YSBmb3JtZXIga2V5IG9mIG91cnMsIG9mIDMx"
SECRETS = (PASSWORD, TOKEN_VALUE, KEY, OLD_KEY, f"user:{PASSWORD}", QUERY)
CREDENTIALS: dict[str, Any] = {
    "headers": {"X-Token": f"Bearer {TOKEN_VALUE}"},
    "basic": {"username": "user", "password": PASSWORD},
    "signature_key": OLD_KEY,
}
OF_THE_API = ("/v1/deliveries/N", "/v1/instances/N/subscriptions", "/v1/instances/N/subscriptions/N")
MAY_SHOW_THE_URL = {f"{who} {path}" for who in ("program", "element") for path in OF_THE_API} | {
    "person /app/instances/N/subscriptions/N"  # the form that changes it
}


def found_in(text: str) -> dict[str, list[str]]:
    """Return the secrets that a text holds, with how they are encoded there."""
    return {secret: names for secret in SECRETS if (names := holds(text, secret))}


@pytest.fixture
def program(tenant: Tenant) -> Client:
    return Client(headers={"Authorization": tenant.auth})


@pytest.fixture
def further(notifying: PolledInstance, program: Client) -> Iterator[Subscription]:
    """A further subscription with every secret there is, made by the API, whose receiver echoes what it is sent."""
    with RawServer(Echo()) as server:
        at = f"/v1/instances/{notifying.instance.pk}/subscriptions"
        asked = {"name": "Closed tickets", "url": server.url(f"/hook?token={QUERY}"), **CREDENTIALS}
        made = program.post(at, asked, content_type="application/json").json()
        program.patch(f"{at}/{made['id']}", {"signature_key": KEY}, content_type="application/json")
        yield Subscription.objects.select_related("instance").get(pk=made["id"])


def test_all_secrets_are_there(further: Subscription) -> None:
    stored = settings_of(further)
    assert (stored.signature_key, stored.basic_password) == (KEY, PASSWORD)
    assert further.previous_signature_key
    assert further.previous_signature_key.reveal() == OLD_KEY
    assert further.previous_key_until
    assert further.previous_key_until > timezone.now()
    assert stored.headers == CREDENTIALS["headers"]


@lengthy
def test_no_route_shows_them_and_nothing_stored_or_logged_holds_them(
    further: Subscription, notifying: PolledInstance, tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    token = new_token()
    Instance.objects.filter(pk=further.instance_id).update(token_hash=hash_token(token))
    change(notifying, 3)
    read_log()
    deliver()
    attempt = DeliveryAttempt.objects.get(notification__subscription=further)
    assert attempt.status == 500
    assert MASK in attempt.response
    assert "Host: 127.0.0.1" in attempt.response
    url = f"?token={QUERY}"  # a column of its own
    assert {name: found for name, text in rows() if (found := found_in(text.replace(url, "")))} == {}
    assert {entry.action for entry in AuditEntry.objects.all()} >= {"subscription created", "subscription changed"}
    assert found_in(caplog.text) == {}
    shown = everything_shown(tenant, token, onlooker(tenant.organization))
    assert {place: found for place, text in shown.items() if (found := found_in(text.replace(url, "")))} == {}
    numbers = re.compile(r"\b\d+\b")
    whole = {f"{who} {numbers.sub('N', path)}" for (who, path), text in shown.items() if url in text}
    assert whole == MAY_SHOW_THE_URL


WRONG: dict[str, dict[str, Any]] = {
    "a login in the URL": {"url": f"https://user:{PASSWORD}@receiver.example/?token={QUERY}"},
    "a URL of no kind": {"url": f"ftp://receiver.example/?token={QUERY}"},
    "a host that may not be asked": {"url": f"http://10.0.0.7/?token={QUERY}"},
    "a header that can't be sent": {"headers": {"X-Token": f"{TOKEN_VALUE}\r\nX: y"}},
    "a header of ours": {"headers": {"webhook-id": TOKEN_VALUE}},
    "a header that is no text": {"headers": {"X-Token": [TOKEN_VALUE]}},
    "a password without a user": {"basic": {"username": "", "password": PASSWORD}},
    "a password that can't be sent": {"basic": {"username": "us:er", "password": PASSWORD}},
    "a key that is too long": {"signature_key": KEY * 40},
    "a key that is no text": {"signature_key": [KEY]},
    "another mistake beside them": {"form": "XML"},
}


@pytest.mark.parametrize("mistake", WRONG)
@pytest.mark.parametrize("way", ["made", "changed"])
def test_no_refusal_repeats_one(
    further: Subscription, program: Client, caplog: pytest.LogCaptureFixture, mistake: str, way: str
) -> None:
    at = f"/v1/instances/{further.instance_id}/subscriptions"
    asked = {**CREDENTIALS, "url": f"https://receiver.example/?token={QUERY}", **WRONG[mistake]}
    if way == "made":
        refused = program.post(at, {"name": "Another", **asked}, content_type="application/json")
    else:
        refused = program.patch(f"{at}/{further.pk}", asked, content_type="application/json")
    assert refused.status_code == 400, refused.content
    assert found_in(f"{dict(refused.headers)} {refused.content.decode()}") == {}
    assert found_in(caplog.text) == {}


def test_a_form_that_is_shown_again_holds_what_was_typed_and_nothing_stored(
    further: Subscription, tenant: Tenant
) -> None:
    at, person = f"/app/instances/{further.instance_id}/subscriptions", onlooker(tenant.organization)
    typed = {"name": "", "url": "https://receiver.example/", "basic_username": "user", "basic_password": "typed-here"}
    typed |= {"signature_key": "", "form": "elements", "headers": f"X-Token: {MASK}"}
    for path in (f"{at}/{further.pk}", f"{at}/add"):
        for what in ("", "try", "test"):
            answer = person.post(path, {**typed, "do": what})
            assert answer.status_code in (200, 422)
            assert "no-store" in answer.headers["Cache-Control"]
            html = answer.content.decode()
            assert ("typed-here" in html) is (what != "test")  # which answers what lacks alone
            assert found_in(html) == {}, (path, what)


def test_nothing_that_a_test_notification_brings_back_holds_them(
    further: Subscription, program: Client, tenant: Tenant
) -> None:
    at, person = f"/instances/{further.instance_id}/subscriptions/{further.pk}", onlooker(tenant.organization)
    typed = {"name": "Closed tickets", "url": further.callback_url, "form": "elements", "basic_username": "user"}
    typed |= {"basic_password": PASSWORD, "headers": f"X-Token: {MASK}", "signature_key": KEY, "do": "test"}
    answers = {
        "/v1": program.post(f"/v1{at}/test", {"resource": "contacts"}, content_type="application/json"),
        "its button": person.post(f"/app{at}/test", follow=True),
        "its form": person.post(f"/app{at}", typed),
    }
    for name, answer in answers.items():
        assert answer.status_code == 200, name
        text = answer.content.decode().replace(f"?token={QUERY}", "")
        assert MASK in text, name
        assert found_in(text) == {}, name


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("what", ["POST", "PATCH", "add", "edit"])
def test_a_fault_of_ours_while_one_is_changed_says_none(
    further: Subscription,
    tenant: Tenant,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    settings: Settings,
    debug: bool,
    what: str,
) -> None:
    settings.DEBUG = debug
    at = f"instances/{further.instance_id}/subscriptions"
    program, person = Client(headers={"Authorization": tenant.auth}), onlooker(tenant.organization)
    program.raise_request_exception = person.raise_request_exception = False

    def fail(*given: Any, **named: Any) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("polling.subscriptions.changes.audit.record", fail)
    url = f"https://receiver.example/?token={QUERY}"
    sent = {"name": "B", "url": url, **CREDENTIALS, "signature_key": KEY}
    typed = {"name": "A", "url": url, "basic_username": "user", "basic_password": PASSWORD, "signature_key": KEY}
    typed |= {"headers": f"X-Token: {TOKEN_VALUE}", "form": "elements", "enabled": "on", "begin": "now"}
    match what:
        case "POST":
            answer = program.post(f"/v1/{at}", sent, content_type="application/json")
        case "PATCH":
            answer = program.patch(f"/v1/{at}/{further.pk}", sent, content_type="application/json")
        case "add":
            answer = person.post(f"/app/{at}/add", typed)
        case _:
            answer = person.post(f"/app/{at}/{further.pk}", typed)
    assert answer.status_code == 500
    assert "a fault of ours" in caplog.text
    assert found_in(answer.content.decode()) == {}
    assert found_in(caplog.text) == {}


def test_a_fault_of_ours_while_one_is_notified_says_none(
    further: Subscription, notifying: PolledInstance, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    change(notifying, 3)
    read_log()

    def fail(self: DeliveryRequest, *given: Any, **named: Any) -> None:
        raise RuntimeError(f"a fault of ours with {self!r} and {settings_of(further)!r}")

    monkeypatch.setattr(DeliveryRequest, "headers", fail)
    deliver()
    assert "a fault of ours" in caplog.text
    assert found_in(caplog.text.replace(f"?token={QUERY}", "")) == {}
    assert {name: found for name, text in rows() if (found := found_in(text.replace(f"?token={QUERY}", "")))} == {}
