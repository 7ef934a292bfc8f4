"""Nobody learns by the service which names there are inside, and what they resolve to; the operator's log has it."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from instances.models import Instance
from instances.secrets import hash_token, new_token
from polling.models import Alert, DeliveryAttempt, DeliveryState, Notification, PollState, Receiver, Site
from polling.workers.due import make_due
from tests.conftest import Tenant
from tests.security.shown import everything_shown
from tests.seed import example_body
from tests.support.deliveries import deliver
from tests.support.page_views import onlooker
from tests.support.polled_instance import PolledInstance
from tests.support.required import lengthy

HOST = "host.inside.example"
TOKEN = new_token()
LEADS_TO = {
    "nowhere": [],
    "10/8": ["10.11.12.13"],
    "172.16/12": ["172.20.21.22"],
    "192.168/16": ["192.168.111.112"],
    "loopback": ["127.9.9.9"],
    "a cloud's metadata": ["169.254.169.254"],
    "shared space": ["100.100.100.200"],
    "unique local": ["fd12:3456:789a::1"],
    "two, one of them public": ["93.184.216.34", "10.11.12.13"],
    "mapped": ["::ffff:10.11.12.13"],
}

EVERYWHERE = ("nowhere", "10/8", "a cloud's metadata")  # a look at everything takes seconds
_SAID = re.compile(rf"""[^<>\n"]*{re.escape(HOST)}[^<>\n"]*""")


@pytest.fixture
def lead(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], None]:
    """Let the name lead to these addresses from now on; to none, it does not exist."""
    true_getaddrinfo, table = socket.getaddrinfo, dict[str, list[str]]()

    def getaddrinfo(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        if host != HOST:
            return true_getaddrinfo(host, port, *args, **kwargs)
        if not table[HOST]:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [info for address in table[HOST] for info in true_getaddrinfo(address, port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return lambda addresses: table.update({HOST: addresses})


@pytest.fixture
def inside(world: PolledInstance, settings: Settings) -> PolledInstance:
    """An instance whose ConnectWise and whose receiver are called by the name, with an event to be delivered."""
    settings.PRIVATE_NETWORKS = [ip_network("127.0.0.1/32")]
    world.watch()
    world.poll()
    world.change(3, "Chief")
    world.poll()
    url = f"http://{HOST}:8000/v4_6_release/apis/3.0"
    Instance.objects.update(base_url=url, callback_url=f"http://{HOST}:8000/hook", token_hash=hash_token(TOKEN))
    world.instance.refresh_from_db()
    return world


def begin_anew(world: PolledInstance) -> None:
    """Forget how often polls and deliveries failed: it shows, and is no matter of the name's."""
    Notification.objects.update(step=0, next_attempt_at=timezone.now(), last_error="", first_attempt_at=None)
    for model in (DeliveryAttempt, DeliveryState, Receiver, Alert, Site):
        model.objects.all().delete()
    PollState.objects.update(failures=0, last_error="", health="healthy")
    make_due(PollState.objects.all())


def asked(world: PolledInstance, tenant: Tenant, person: Client) -> dict[str, str]:
    """Return what is answered to those who ask for something to be sent to the name."""
    at, auth = f"/instances/{world.instance.pk}", {"Authorization": tenant.auth}
    program = Client(headers=auth)
    body = example_body(f"http://{HOST}:8000")
    configuration = {"configuration": {"baseUrl": f"http://{HOST}:8001", "public.key": "PUB", "private.key": "PRIV"}}
    typed = {"site": "own", "base_url": f"http://{HOST}:8000", "company": "acme", "public_key": "P", "private_key": "P"}
    typed |= {"callback_url": f"http://{HOST}:8000/", "refresh_interval": "5", "watch": "contacts", "name": "New"}
    typed |= {"events_enabled": "on"}
    settings = {"part": "connection", **typed, "base_url": f"http://{HOST}:8001"}
    send: dict[str, Callable[[], Any]] = {
        "POST": lambda: program.post("/instances", body, content_type="application/json"),
        "PATCH": lambda: program.patch(at, configuration, content_type="application/json"),
        "one key": lambda: program.patch(
            f"{at}/configuration/baseUrl", {"propertyValue": f"http://{HOST}:8000/x"}, content_type="application/json"
        ),
        "/v1 test": lambda: program.post(
            f"/v1{at}/test-notification", {"resource": "contacts"}, content_type="application/json"
        ),
        "/v1 poll": lambda: program.post(f"/v1{at}/polls", {"resource": "incidents"}, content_type="application/json"),
        "New instance": lambda: person.post("/app/instances/new", typed),
        "Test connection": lambda: person.post("/app/instances/new/test", typed),
        "counts": lambda: person.post("/app/instances/new/counts", typed),
        "Send test, new": lambda: person.post("/app/instances/new/send-test", typed),
        "Settings": lambda: person.post(f"/app{at}/settings", settings),
        "Settings, test": lambda: person.post(f"/app{at}/settings/test", settings),
        "Send test": lambda: person.post(f"/app{at}/delivery/test", typed),
        "add a resource": lambda: person.post(f"/app{at}/resources/add", {"name": "agreements"}),
    }
    return {name: f"{(answer := each()).status_code} {answer.content.decode()}" for name, each in send.items()}


def said(text: str) -> set[str]:
    """Return what is said of the name, without numbers, which are times and ids."""
    return {re.sub(r"\d+(\.\d+)?", "0", found) for found in _SAID.findall(text)}


def look(world: PolledInstance, tenant: Tenant, person: Client, *, everywhere: bool) -> tuple[str, dict[str, set[str]]]:
    """Have everything done that asks the name, and return all that is shown then."""
    begin_anew(world)
    world.poll()
    deliver()
    texts = asked(world, tenant, person)
    if everywhere:
        texts |= {f"{who} {path}": text for (who, path), text in everything_shown(tenant, TOKEN, person).items()}
    by_route: dict[str, set[str]] = {}
    for name, text in texts.items():
        # Which rows the admin has is another matter: audit entries come with each look.
        status = set() if name.startswith("person /admin") else {text[:3]}
        by_route.setdefault(re.sub(r"\d+", "0", name), set()).update(status | said(text))
    return "\n".join(texts.values()), by_route


@lengthy
def test_whatever_a_name_leads_to_the_same_is_shown(
    inside: PolledInstance, tenant: Tenant, lead: Callable[[list[str]], None], caplog: pytest.LogCaptureFixture
) -> None:
    person, shown = onlooker(tenant.organization), {}
    for name, addresses in LEADS_TO.items():
        lead(addresses)
        caplog.clear()
        everything, shown[name] = look(inside, tenant, person, everywhere=name in EVERYWHERE)
        found = [address for address in addresses if address in everything]
        assert (name, found) == (name, [])
        assert all(any(address in line for line in caplog.messages) for address in addresses[-1:]), name
    places = {place for place, texts in shown["nowhere"].items() if any("No request goes to" in text for text in texts)}
    assert len(places) > 20, places
    for name in LEADS_TO:
        assert {place: (shown["nowhere"][place], texts) for place, texts in shown[name].items()
                if texts != shown["nowhere"][place]} == {}, name  # fmt: skip
