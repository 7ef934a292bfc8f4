"""A program that moves in: it discovers, copies, watches, writes, hears its own write, and goes. Over real HTTP."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone

from cwconnect.sandbox import SandboxServer
from polling.callbacks.waking import APART
from polling.delivery.delivery_loop import deliver_due
from polling.detection.poll_loop import poll_due
from polling.models import AnnouncedRecord, PollState
from tests.conftest import Tenant
from tests.contract.program import Program
from tests.seed import example_for
from tests.support.receivers import Receiver, start_receiver

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with start_receiver() as running:
        yield running


@pytest.fixture(params=["", "/elements/api-v2"])
def program(request: pytest.FixtureRequest, live_server: Any, tenant: Tenant) -> Iterator[Program]:
    tenant.user.writes_to_connectwise = True
    tenant.user.save()
    made = Program(live_server.url + request.param, tenant.user_secret, tenant.organization_secret)
    with made.session:
        yield made


def test_a_life_with_the_whole_hub(program: Program, sandbox: SandboxServer, receiver: Receiver) -> None:
    body = json.loads(example_for(sandbox.url, receiver.url))
    body["configuration"]["hub.writes.enabled"] = True
    body["configuration"]["event.poller.configuration"]["contacts"]["detectDeletes"] = True
    created = program.json("POST", "/instances", body)
    token = created["token"]
    fields = discover(program, token)
    copied = copy_contacts(program, token)
    write_and_hear(program, token, receiver, fields, copied)
    program.json("DELETE", "/instances", token=token)
    assert program.call("GET", "/hubs/crm/contacts", token=token).status_code == 401


def work() -> None:
    """What the workers do meanwhile, but for the seconds between two polls, and two questions for a deleted record."""
    for _ in range(3):
        PollState.objects.filter(next_poll_at__lt=timezone.now() + APART).update(next_poll_at=timezone.now())
        AnnouncedRecord.objects.filter(deleted=True).update(next_read_at=timezone.now())
        poll_due(deadline=float("inf"))
    deliver_due(deadline=float("inf"))


def discover(program: Program, token: str) -> list[str]:
    """See that the keys work, what can be read, and which fields a contact has; give those that can be changed."""
    assert program.json("GET", "/ping", token=token) == {"endpoint": "connectwisecrmrest", "valid": True}
    assert {"contacts", "incidents", "organizations"} <= set(program.json("GET", "/hubs/crm/objects", token=token))
    fields = program.json("GET", "/objects/contacts/metadata", token=token)["fields"]
    return [field["vendorPath"] for field in fields if field["updateable"]]


def copy_contacts(program: Program, token: str) -> dict[int, dict[str, Any]]:
    """Copy all contacts, as every kind of file; give them by their ids."""
    asked = program.json("POST", "/hubs/crm/bulk/query", token=token, q="select * from contacts where id > 2")
    work()
    place = f"/hubs/crm/bulk/{asked['id']}"
    status = program.json("GET", f"{place}/status", token=token)
    assert (status["status"], status["recordsCount"], status["recordsFailedCount"]) == ("COMPLETED", 28, 0)
    assert status["watchedFrom"]
    program.session.headers["Accept"] = "application/json"
    records = program.json("GET", f"{place}/contacts", token=token)
    assert [record["id"] for record in records] == list(range(3, 31))
    program.session.headers["Accept"] = "application/x-ndjson"
    lines = program.call("GET", f"{place}/contacts", token=token).text
    assert [json.loads(line) for line in lines.splitlines()] == records
    program.session.headers["Accept"] = "text/csv"
    rows = list(csv.DictReader(io.StringIO(program.call("GET", f"{place}/contacts", token=token).text)))
    assert [(int(row["id"]), row["firstName"]) for row in rows] == [(each["id"], each["firstName"]) for each in records]
    program.session.headers["Accept"] = "application/json"
    return {record["id"]: record for record in records}


def write_and_hear(
    program: Program, token: str, receiver: Receiver, fields: list[str], copied: dict[int, dict[str, Any]]
) -> None:
    """Create, change and delete a contact; each is heard of, as what others change is."""
    assert {"firstName", "lastName", "title"} <= set(fields)
    made = program.json("POST", "/hubs/crm/contacts", {"firstName": "Ada", "lastName": "Byron"}, token=token)
    number = made["id"]
    assert number not in copied
    work()
    assert receiver.events() == [("CREATED", str(number))]
    changed = program.json("PATCH", f"/hubs/crm/contacts/{number}", {"lastName": "Lovelace"}, token=token)
    assert (changed["firstName"], changed["lastName"]) == ("Ada", "Lovelace")
    work()
    assert receiver.events()[1:] == [("UPDATED", str(number))]
    (heard,) = receiver.got[-1].json["message"]["raw"]["contacts"]
    assert (heard["id"], heard["lastName"]) == (number, "Lovelace")
    program.json("DELETE", f"/hubs/crm/contacts/{number}", token=token)
    assert program.call("GET", f"/hubs/crm/contacts/{number}", token=token).status_code == 404
    work()
    assert receiver.events()[2:] == [("DELETED", str(number))]
