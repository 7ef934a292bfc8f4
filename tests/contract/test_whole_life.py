"""A program's whole life with an instance, over real HTTP, under each base path: nothing but the base URL changes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from cwconnect.sandbox import SandboxServer
from polling.delivery.delivery_loop import deliver_due
from polling.detection.poll_loop import poll_due
from polling.models import PollState
from polling.workers.due import make_due
from tests.conftest import Tenant
from tests.contract.program import Program
from tests.seed import FIRST_BODY, example_for
from tests.support.receivers import Receiver, start_receiver

pytestmark = pytest.mark.django_db(transaction=True)
KEY = "MySecretEventSignatureKey"
QUEUED = "channel='webhook' and status='queued'"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with start_receiver() as running:
        yield running


@pytest.fixture(params=["", "/elements/api-v2"])
def program(request: pytest.FixtureRequest, live_server: Any, tenant: Tenant) -> Iterator[Program]:
    made = Program(live_server.url + request.param, tenant.user_secret, tenant.organization_secret)
    with made.session:
        yield made


def work() -> None:
    """What the workers do meanwhile."""
    make_due(PollState.objects.all())
    poll_due(deadline=float("inf"))
    deliver_due(deadline=float("inf"))


def test_the_seeds_first_body_is_refused_until_the_connection_is_given(
    program: Program, sandbox: SandboxServer
) -> None:
    body = json.loads(FIRST_BODY)
    refused = program.call("POST", "/instances", body)
    assert refused.status_code == 400
    assert all(key in refused.json()["message"] for key in ("baseUrl", "company", "public.key", "private.key"))
    assert program.json("GET", "/instances") == []
    body["configuration"] |= {"baseURL": sandbox.url, "company": "acme", "public.key": "PUB", "private.key": "PRIV"}
    created = program.json("POST", "/instances", body)
    assert (created["name"], created["tags"]) == ("ConnectWise CRM REST", [])
    assert created["configuration"]["event.poller.refresh_interval"] == "15"
    assert [row["id"] for row in program.json("GET", "/instances")] == [created["id"]]


@dataclass(frozen=True)
class Life:
    """An instance, and those whom it has to do with."""

    program: Program
    sandbox: SandboxServer
    receiver: Receiver
    created: dict[str, Any]

    @property
    def path(self) -> str:
        return f"/instances/{self.created['id']}"

    @property
    def token(self) -> str:
        return str(self.created["token"])


def test_a_whole_life(program: Program, sandbox: SandboxServer, receiver: Receiver) -> None:
    created = program.json("POST", "/instances", json.loads(example_for(sandbox.url, receiver.url)))
    life = Life(program, sandbox, receiver, created)
    look_and_change(life)
    read_connectwise(life)
    be_notified(life)
    be_disabled_and_enabled(life)
    be_paused_and_released(life)
    end(life)


def look_and_change(life: Life) -> None:
    """Look at what it is, and change it a few times."""
    program, path = life.program, life.path
    assert program.json("GET", path) == {key: value for key, value in life.created.items() if key != "token"}
    assert [row["id"] for row in program.json("GET", "/instances", **{"tags[]": "Test"})] == [life.created["id"]]
    assert program.json("GET", "/instances", searchText="nothing of the kind") == []
    change = {"configuration": {"event.notification.signature.key": KEY}, "tags": ["Test", "live"]}
    assert program.json("PATCH", path, change)["tags"] == ["Test", "live"]
    key = f"{path}/configuration/event.poller.refresh_interval"
    assert program.json("PATCH", key, {"propertyValue": "5"})["propertyValue"] == "5"
    rows = {row["key"]: row["propertyValue"] for row in program.json("GET", f"{path}/configuration")}
    assert (rows["event.poller.refresh_interval"], rows["event.notification.signature.key"]) == ("5", "********")
    got = program.json("GET", path)
    assert program.json("PUT", path, got) == got


def read_connectwise(life: Life) -> None:
    """Read ConnectWise's records, live."""
    program, token = life.program, life.token
    contacts = list(program.pages("/hubs/crm/contacts", token=token, pageSize=8, where="id > 4"))
    assert [len(page) for page in contacts] == [8, 8, 8, 2]
    assert [contact["id"] for page in contacts for contact in page] == list(range(5, 31))
    numbered = program.json("GET", "/hubs/crm/contacts", token=token, pageSize=8, page=4)
    assert [contact["id"] for contact in numbered] == list(range(25, 31))
    assert program.json("GET", "/hubs/crm/contacts/17", token=token)["id"] == 17
    chosen = program.json(
        "GET", "/hubs/crm/contacts", token=token, where="id IN (3, 5)", fields="id", orderBy="id desc"
    )
    assert [contact["id"] for contact in chosen] == [5, 3]


def be_notified(life: Life) -> None:
    """A change is recorded, signed, and stands in the history."""
    program, sandbox, receiver, path, token = life.program, life.sandbox, life.receiver, life.path, life.token
    sandbox.store.change("contacts", 17, {"title": "Chief"})
    work()
    (arrived,) = receiver.got
    assert arrived.events() == [("UPDATED", "17")]
    expected = base64.b64encode(hmac.new(KEY.encode(), arrived.body, hashlib.sha256).digest()).decode()
    assert arrived.headers["elements-webhook-signature"] == f"sha256={expected}"
    (event,) = program.json("GET", f"{path}/events")
    assert event["status"] == "NOTIFIED"
    assert program.json("GET", f"/instances/events/{event['id']}", token=token) == event
    assert sum(row["count"] for row in program.json("GET", "/instances/events/analytics", interval="minute")) == 1


def be_disabled_and_enabled(life: Life) -> None:
    """Disabled, nothing is read or sent; enabled, what was missed comes."""
    program, sandbox, receiver, path, token = life.program, life.sandbox, life.receiver, life.path, life.token
    assert program.json("DELETE", f"{path}/enabled")["disabled"] is True
    assert program.call("GET", "/hubs/crm/contacts", token=token).status_code == 403
    sandbox.store.change("contacts", 18, {"title": "Chief"})
    work()
    assert len(receiver.got) == 1
    assert program.json("PUT", f"{path}/enabled")["disabled"] is False
    work()
    assert receiver.events() == [("UPDATED", "17"), ("UPDATED", "18")]


def be_paused_and_released(life: Life) -> None:
    """A receiver that is gone pauses delivery; what waits is listed and released."""
    program, sandbox, receiver, path, token = life.program, life.sandbox, life.receiver, life.path, life.token
    receiver.answer = lambda got: (410, {})
    sandbox.store.change("contacts", 19, {"title": "Chief"})
    work()
    sandbox.store.change("contacts", 20, {"title": "Chief"})
    work()
    waiting = program.json("GET", "/notifications/subscriptions/deliveries", where=QUEUED)
    assert [row["paused"] for row in waiting] == [True, True]
    receiver.answer = lambda got: (204, {})
    assert program.json("PUT", "/notifications/subscriptions/deliveries", where=QUEUED) == {"released": 2}
    work()
    assert program.json("GET", "/notifications/subscriptions/deliveries", where=QUEUED) == []
    assert sorted(receiver.events()[-2:]) == [("UPDATED", "19"), ("UPDATED", "20")]  # two records: in either order
    history = list(program.pages(f"{path}/events", token=token, pageSize=3))
    assert [[row["notifiedData"][0]["objectId"] for row in page] for page in history] == [["20", "19", "18"], ["17"]]


def end(life: Life) -> None:
    """Delete it."""
    program, path, token = life.program, life.path, life.token
    program.json("DELETE", "/instances", token=token)
    assert program.call("GET", path).status_code == 404
    assert program.call("GET", "/instances", token=token).status_code == 401
    assert program.json("GET", "/instances") == []
