"""No spelling of a private address, and no redirect to one, is asked by any way that a tenant has of naming a URL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from instances.connections import outbound_client
from instances.models import Instance
from polling.models import DeliveryAttempt
from tests.outbound.test_addresses import DISGUISES, SPELLINGS
from tests.seed import example_body
from tests.support.api_caller import Api
from tests.support.deliveries import deliver
from tests.support.polled_instance import PolledInstance
from tests.support.raw_servers import RawServer, always, answer

pytestmark = pytest.mark.django_db
SECRET = b"what only this machine may read"


@pytest.fixture(scope="module")
def inside() -> Iterator[RawServer]:
    """A server of this machine that nobody outside may reach."""
    with RawServer(always(answer(SECRET))) as server:
        yield server


@pytest.mark.parametrize("host", [*SPELLINGS, *DISGUISES])
@pytest.mark.parametrize("key", ["baseUrl", "event.notification.callback.url"])
def test_no_spelling_of_a_private_address_is_asked(
    api: Api, inside: RawServer, settings: Settings, host: str, key: str
) -> None:
    settings.PRIVATE_NETWORKS = ()
    body = example_body("http://127.0.0.1:9", **{key: f"http://{host}:{inside.port}/v4_6_release/apis/3.0"})
    refused = api("POST", "/instances", body)
    assert refused.status_code == 400, refused.content
    assert SECRET not in refused.content
    assert inside.connections == []
    assert not Instance.objects.exists()


REDIRECTS = [(status, scheme) for status in (301, 302, 303, 307, 308) for scheme in ("http:", "")]


@pytest.mark.parametrize(("status", "scheme"), REDIRECTS)
def test_no_redirect_of_connectwise_is_followed(api: Api, inside: RawServer, status: int, scheme: str) -> None:
    place = f"Location: {scheme}//127.0.0.1:{inside.port}/"
    with RawServer(always(answer(b"", f"{status} Elsewhere", (place,)))) as outside:
        body = example_body(outside.url("/v4_6_release/apis/3.0"))
        body["configuration"]["connectwise.clientID"] = "a-client-id"
        refused = api("POST", "/instances", body)
        assert len(outside.connections) >= 1, "it was asked"
    assert refused.status_code >= 400
    assert inside.connections == []
    assert SECRET not in refused.content


@pytest.mark.parametrize(("status", "scheme"), REDIRECTS)
def test_no_redirect_of_a_receiver_is_followed(
    world: PolledInstance, inside: RawServer, status: int, scheme: str
) -> None:
    place = f"Location: {scheme}//127.0.0.1:{inside.port}/"
    with RawServer(always(answer(b"", f"{status} Elsewhere", (place,)))) as outside:
        world.watch(callback_url=outside.url("/hook"))
        world.poll()
        world.change(3, "Chief")
        world.poll()
        deliver()
        attempt = DeliveryAttempt.objects.get()
        outbound_client().close()
    assert attempt.status == status
    assert inside.connections == []
    assert "private" not in repr(attempt.response)


def test_there_is_no_setting_of_a_program_that_opens_the_door(
    api: Api, inside: RawServer, settings: Settings, monkeypatch: Any
) -> None:
    """Ambient proxies are no way out either."""
    settings.PRIVATE_NETWORKS = ()
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, inside.url())
    api("POST", "/instances", example_body("http://127.0.0.1:9"))
    assert inside.connections == []
