"""A receiver, or a ConnectWise, that echoes what it was sent puts no secret into what is stored or shown."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.test import Client

from cwconnect.core.redact import MASK
from instances.configuration.wire import config_of
from instances.credentials.masking import secrets_of
from instances.models import Instance
from instances.secrets import SecretField, new_token
from polling.delivery.delivery_request import LONGEST_RESPONSE
from polling.models import DeliveryAttempt
from tests.conftest import Tenant
from tests.security.shown import everything_shown
from tests.security.test_redaction import ENCODINGS, holds
from tests.support.deliveries import deliver
from tests.support.page_views import onlooker
from tests.support.polled_instance import PolledInstance
from tests.support.raw_servers import RawServer, answer, requests_of
from tests.support.required import lengthy

PASSWORD, TOKEN_VALUE, KEY = 'pass"w&rd of/ours', "the-token-of-ours-31", "whsec_YSBrZXkgb2Ygb3Vycywgb2YgMjQgYnl0"
QUERY = "a-query-of-ours-17"
SECRETS = (PASSWORD, TOKEN_VALUE, KEY, f"user:{PASSWORD}", QUERY)
PRIVATE = "a-private-key-of-ours"
KEYS: dict[str, Any] = {
    "event__notification__basic__username": "user",
    "event__notification__basic__password": PASSWORD,
    "event__notification__callback__headers": {"X-Token": f"Bearer {TOKEN_VALUE}"},
    "event__notification__signature__key": KEY,
}


class Echo:
    """A server that answers each request with the request, and all that it was sent, in every encoding."""

    def __init__(self) -> None:
        self.status, self.times, self.before, self.length = "500 No", 1, "", 0

    def __call__(self, connection: socket.socket) -> None:
        for request in requests_of(connection):
            head = request.partition(b"\r\n\r\n")[0].decode("latin-1")
            encoded = (encode(secret) for secret in (*SECRETS, PRIVATE) for encode in ENCODINGS.values())
            body = f"{self.before}{head}\n" + "\n".join(encoded)
            body = json.dumps({"code": "Echo", "message": body}) if self.before == "JSON" else body
            content = body.encode("utf-8", "surrogatepass")[: self.length or None]
            connection.sendall(answer(content, self.status))


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def echoing(world: PolledInstance, echo: Echo) -> Iterator[PolledInstance]:
    """An instance with secrets of every kind, whose receiver and ConnectWise echo, and an event to be delivered."""
    with RawServer(echo) as server:
        world.watch(callback_url=server.url(f"/hook?token={QUERY}"), **KEYS)
        world.poll()
        world.change(3, "Chief")
        world.poll()
        yield world


def none_is_in(text: str, where: str) -> None:
    found = {secret: names for secret in SECRETS if (names := holds(text, secret))}
    assert found == {}, where


def rows() -> Iterator[tuple[str, str]]:
    """Return all that is stored, a text a table."""
    for name in ("instances", "polling", "django_q", "admin", "sessions"):
        for model in apps.get_app_config(name).get_models():
            yield model.__name__, repr(list(model._default_manager.values()))


def test_every_secret_field_is_among_the_secrets(echoing: PolledInstance) -> None:
    secrets = secrets_of(echoing.instance)
    names = [field.name for field in Instance._meta.get_fields() if isinstance(field, SecretField)]
    assert len(names) > 5
    for name in set(names) - {"callback_headers"}:
        secret = getattr(echoing.instance, name)
        assert secret is None or secret.reveal() in secrets, name
    assert {TOKEN_VALUE, f"user:{PASSWORD}", QUERY, KEY, KEY.removeprefix("whsec_")} <= set(secrets)
    assert all(secret not in repr(echoing.instance) for secret in secrets if len(secret) > 10)


@lengthy
@pytest.mark.parametrize("status", ["500 No", "200 OK", "410 Gone"])
def test_nothing_of_a_receivers_echo_is_stored_or_shown(
    echoing: PolledInstance, echo: Echo, tenant: Tenant, status: str, caplog: pytest.LogCaptureFixture
) -> None:
    echo.status = status
    deliver()
    attempt = DeliveryAttempt.objects.get()
    assert MASK in attempt.response
    assert "Host: 127.0.0.1" in attempt.response
    for name, text in rows():
        # The URL of a receiver is its own column, shown without its query.
        none_is_in(text.replace(f"?token={QUERY}", ""), name)
    none_is_in(caplog.text.replace(f"?token={QUERY}", ""), "the log")
    token = new_token()
    for (who, path), text in everything_shown(tenant, token, onlooker(tenant.organization)).items():
        none_is_in(text.replace(f"?token={QUERY}", ""), f"{who} {path}")


def test_nothing_of_it_is_shown_by_a_test(echoing: PolledInstance, tenant: Tenant) -> None:
    at, person = f"/instances/{echoing.instance.pk}", onlooker(tenant.organization)
    program = Client(headers={"Authorization": tenant.auth})
    url = echoing.instance.callback_url
    typed = {"callback_url": url, "refresh_interval": "5", "basic_username": "user", "basic_password": PASSWORD}
    typed |= {"callback_headers": f"X-Token: Bearer {TOKEN_VALUE}", "signature_key": KEY, "watch": "contacts"}
    shown = {
        "/v1": program.post(f"/v1{at}/test-notification", {"resource": "contacts"}, content_type="application/json"),
        "the settings": person.post(f"/app{at}/delivery/test", typed),
        "a new instance": person.post("/app/instances/new/send-test", typed),
    }
    for name, page in shown.items():
        assert page.status_code == 200, name
        text = page.content.decode().replace(f"?token={QUERY}", "")
        assert MASK in text
        none_is_in(text, name)


@pytest.mark.parametrize("room", range(-3, 40))
def test_a_secret_at_the_limit_of_the_excerpt_shows_no_part(echoing: PolledInstance, echo: Echo, room: int) -> None:
    echo.before = "x" * (LONGEST_RESPONSE - room) + TOKEN_VALUE
    deliver()
    response = DeliveryAttempt.objects.get().response
    assert len(response) <= LONGEST_RESPONSE
    assert response.lstrip("x").startswith(MASK[: max(0, room)])
    assert "the-" not in response


@pytest.mark.parametrize("room", range(1, 24))
def test_a_secret_where_reading_ends_shows_no_part(echoing: PolledInstance, echo: Echo, room: int) -> None:
    # Characters of four bytes: the excerpt's limit in characters is not reached before the one in bytes is.
    echo.before = "\U0001f600" * 16_000 + "y" * (64 * 1024 - 64_000 - room) + TOKEN_VALUE
    deliver()
    response = DeliveryAttempt.objects.get().response
    assert response.rstrip(MASK[0])[-1] == "y"


@pytest.mark.parametrize("form", ["", "JSON"])
@pytest.mark.parametrize("status", ["400 No", "401 No", "403 No", "404 No", "429 No", "500 No", "200 OK"])
def test_nothing_of_a_connectwises_echo_is_stored_or_shown(
    echoing: PolledInstance, echo: Echo, tenant: Tenant, form: str, status: str
) -> None:
    echo.status, echo.before = status, form
    with RawServer(echo) as server:
        keys = {
            "baseUrl": server.url("/v4_6_release/apis/3.0"),
            "public.key": "a-public-key",
            "private.key": PRIVATE,
        }
        program = Client(headers={"Authorization": tenant.auth})
        at = f"/instances/{echoing.instance.pk}"
        refused = program.patch(at, {"configuration": keys}, content_type="application/json")
        assert refused.status_code >= 400
        config = config_of(echoing.instance)
        typed = {"site": "own", "base_url": keys["baseUrl"], "company": "acme", "public_key": "a-public-key"}
        typed |= {"private_key": PRIVATE}
        person = onlooker(tenant.organization)
        texts = [refused.content, person.post("/app/instances/new/test", typed).content]
    for content in texts:
        text = content.decode()
        assert config.company
        assert MASK in text or "Echo" not in text
        assert holds(text, PRIVATE) == []
        assert holds(text, f"acme+a-public-key:{PRIVATE}") == []
