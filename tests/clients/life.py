"""A whole life with an instance, in the description's own names: each of its operations is called once at least."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from cwconnect.sandbox import SandboxServer
from tests.clients.generated import Client
from tests.seed import example_body
from tests.support.receivers import Receiver

ELEMENT = "connectwisecrmrest"
INSTANCE, CONFIGURATION = "/instances/{id}", "/instances/{id}/configuration"
POLL = "/v1/instances/{instance}/polls/{poll}"
QUEUED = "channel='webhook' and status='queued'"
INTERVAL = "event.poller.refresh_interval"


@dataclass(frozen=True)
class Life:
    """Whose life it is, and what it meets."""

    client: Client
    user: str
    sandbox: SandboxServer
    receiver: Receiver
    number: int = 0
    token: str = ""

    def live(self) -> None:
        """Live it."""
        look_around(self.client)
        living = self.create()
        watch_over(living)
        poll = begin(living)
        write(living)
        copy(living)
        read_history(living)
        send_again(living)
        decide(living, poll)
        hold_up(living, poll)
        subscribe(living)
        share(living)
        end(living)

    def create(self) -> Life:
        """Make the instance, at the second try."""
        call = self.client.call
        call("GET", "/instances", expected=401, as_="User nobody, Organization nowhere")
        assert call("GET", "/instances") == []
        body = example_body(self.sandbox.url, event__notification__callback__url=self.receiver.url)
        body["configuration"] |= {"event.notification.signature.key": "MySecretEventSignatureKey"}
        body["configuration"]["event.poller.configuration"]["contacts"] |= {"trackChanges": True, "detectDeletes": True}
        wrong = body | {"configuration": body["configuration"] | {"private.key": "wrong"}}
        refused = call("POST", "/instances", wrong, expected=400)
        assert refused["providerMessage"]
        number = call("POST", "/instances", body)["id"]
        token = call("POST", "/v1/instances/{instance}/token", {}, instance=number, expected=201)["token"]
        assert call("GET", "/v1/instances/{instance}/token", instance=number)["scope"] == "manage"
        return replace(self, number=number, token=f"User {self.user}, Element {token}")

    def run(self, poll: int) -> None:
        """Have a poll run now."""
        self.client.call("POST", f"{POLL}/run", instance=self.number, poll=poll, expected=202)

    def deliveries(self, **which: Any) -> list[Any]:
        """Return the notifications that are as asked."""
        found: list[Any] = self.client.call("GET", "/v1/deliveries", instance=self.number, **which)["items"]
        return found


def until(true: Callable[[], Any], what: str, seconds: float = 120) -> Any:
    """Wait for what the service does meanwhile; return what came."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, what
        time.sleep(0.2)
    return found


def look_around(client: Client) -> None:
    """See what there is to connect to."""
    call = client.call
    assert [row["key"] for row in call("GET", "/elements")] == [ELEMENT] == call("GET", "/elements/keys")
    assert call("GET", "/elements/{element}", element=ELEMENT)["key"] == ELEMENT
    assert call("GET", "/elements/{element}/configuration", element=ELEMENT)
    assert call("GET", "/elements/metadata") == [call("GET", "/elements/{element}/metadata", element=ELEMENT)]
    assert [row["key"] for row in call("GET", "/hubs")] == ["crm"] == call("GET", "/hubs/keys")
    assert call("GET", "/hubs/{hub}", hub="crm")["key"] == "crm"
    assert [row["key"] for row in call("GET", "/hubs/{hub}/elements", hub="crm")] == [ELEMENT]


def watch_over(life: Life) -> None:
    """Read the instance, list it, and change it in every way."""
    call, number, own = life.client.call, life.number, life.token
    got = call("GET", INSTANCE, id=number)
    assert call("GET", "/instances", tags__=["Test"], pageSize=5) == [got]
    assert call("GET", "/elements/{element}/instances", element=ELEMENT, searchText="API") == [got]
    assert call("GET", "/elements/{element}/instances/{id}", element=ELEMENT, id=number) == got
    assert call("PATCH", INSTANCE, {"tags": ["Test", "live"]}, id=number)["tags"] == ["Test", "live"]
    whole = {key: got[key] for key in ("element", "name", "tags", "configuration")}
    assert call("PUT", INSTANCE, whole, id=number) == call("PUT", "/instances", whole, as_=own) == got
    assert call("PATCH", "/instances", {"name": "API_Polling"}, as_=own) == got
    rows = call("GET", CONFIGURATION, id=number)
    assert {row["propertyValue"] for row in rows} > {"********", "15", None}
    assert call("GET", "/instances/configuration", as_=own) == rows
    ways: list[dict[str, Any]] = [{"id": number}, {"as_": own}]
    for path, how in zip((f"{CONFIGURATION}/{{key}}", "/instances/configuration/{key}"), ways, strict=True):
        assert call("PATCH", path, {"propertyValue": "5"}, key=INTERVAL, **how)["propertyValue"] == "5"
        assert call("GET", path, key=INTERVAL, **how)["propertyValue"] == "5"
    body = {"vendorName": "contacts", "fields": [{"path": "givenName", "vendorPath": "firstName"}], "configuration": []}
    for base, how in zip(("/instances/{id}/transformations", "/instances/transformations"), ways, strict=True):
        one = f"{base}/{{transformation}}"
        mapped = call("PUT", one, body, transformation="people", **how)
        assert call("GET", one, transformation="people", **how) == mapped
        assert call("GET", base, **how) == [mapped]
        call("DELETE", one, transformation="people", **how)
    for path, how in zip(("/instances/{id}/enabled", "/instances/enabled"), ways, strict=True):
        assert call("DELETE", path, **how)["disabled"] is True
        assert call("PUT", path, **how)["disabled"] is False


def discover(life: Life) -> None:
    """Ask whether the keys work, and which fields there are, below the hub and without it."""
    for below, hub in (("", {}), ("/hubs/{hub}", {"hub": "crm"})):
        how: dict[str, Any] = {**hub, "as_": life.token}
        assert life.client.call("GET", f"{below}/ping", **how)["valid"] is True
        assert "contacts" in life.client.call("GET", f"{below}/objects", **how)
        one = {"resource": "contacts", **how}
        fields = life.client.call("GET", f"{below}/objects/{{resource}}/metadata", **one)["fields"]
        customs = life.client.call("GET", f"{below}/objects/{{resource}}/metadata", customFieldsOnly="true", **one)
        assert "firstName" in {field["vendorPath"] for field in fields}
        assert customs["fields"] == [field for field in fields if field["custom"]]


def write(life: Life) -> None:
    """Create, change, replace and delete a record that is not polled, once the instance allows it."""
    call, number = life.client.call, life.number
    records, one = "/hubs/{hub}/{resource}", "/hubs/{hub}/{resource}/{recordId}"
    how: dict[str, Any] = {"hub": "crm", "resource": "organizations", "as_": life.token}
    body = {"identifier": f"Ada{number}", "name": "Ada Ltd"}
    assert "does not allow writes" in call("POST", records, body, expected=403, **how)["message"]
    allowed = {"propertyValue": "true"}
    call("PATCH", f"{CONFIGURATION}/{{key}}", allowed, id=number, key="hub.writes.enabled")
    made = call("POST", records, body, Idempotency_Key=f"write-{number}", **how)
    assert call("POST", records, body, Idempotency_Key=f"write-{number}", **how) == made
    assert call("GET", one, recordId=made["id"], **how) == made
    assert call("PATCH", one, {"name": "Ada & Sons"}, recordId=made["id"], **how)["name"] == "Ada & Sons"
    assert call("PUT", one, body, recordId=made["id"], **how)["name"] == "Ada Ltd"
    assert call("DELETE", one, recordId=made["id"], **how) is None


def begin(life: Life) -> int:
    """Configure the polls, read ConnectWise live, and have a change found and delivered. Return the poll."""
    call, number, polls = life.client.call, life.number, "/v1/instances/{instance}/polls"
    (listed,) = call("GET", polls, instance=number)["items"]
    poll: int = listed["id"]
    assert call("GET", POLL, instance=number, poll=poll)["resource"] == "contacts"
    changed = call("PATCH", POLL, {"configuration": {"pageSize": 100}}, instance=number, poll=poll)
    assert changed["configuration"]["pageSize"] == 100
    added = {"resource": "organizations", "copy_of": "contacts", "configuration": {}, "enabled": True}
    other = call("POST", polls, added, instance=number, Idempotency_Key=f"add-{number}", expected=201)
    assert call("PATCH", POLL, {"enabled": False}, instance=number, poll=other["id"])["enabled"] is False
    contacts = call(
        "GET", "/hubs/{hub}/{resource}", hub="crm", resource="contacts", where="id > 28", page=1, as_=life.token
    )
    discover(life)
    one: dict[str, Any] = {"hub": "crm", "resource": "contacts", "recordId": 29}
    assert call("GET", "/hubs/{hub}/{resource}/{recordId}", **one, as_=life.token) == contacts[0]
    for title in ("Chief", "Chief again"):  # the second has an earlier content to be compared with
        before = len(life.receiver.got)
        life.sandbox.store.change("contacts", 17, {"title": f"{title} {number}"})
        life.run(poll)
        until(lambda before=before: len(life.receiver.got) > before, "a notification of the change")  # type: ignore[misc]  # mypy infers no default
    until(lambda: len(life.deliveries(state="delivered", resource="contacts")) == 2, "it stands as delivered")
    return poll


def copy(life: Life) -> None:
    """Have contacts copied, download them, and drop the copy."""
    call, bulk = life.client.call, "/hubs/{hub}/bulk"
    own: dict[str, Any] = {"hub": "crm", "as_": life.token}
    begun = call("POST", f"{bulk}/query", q="select * from contacts where id > 27", **own)
    assert (begun["instanceId"], begun["status"]) == (life.number, "CREATED")
    one = own | {"copy": int(begun["id"])}
    status = f"{bulk}/{{copy}}/status"
    until(lambda: call("GET", status, **one)["status"] == "COMPLETED", "the copy's end")
    assert call("GET", bulk, pageSize=5, **own)[0] == call("GET", status, **one)
    records = call("GET", f"{bulk}/{{copy}}/{{resource}}", resource="contacts", **one)
    assert [record["id"] for record in records] == [28, 29, 30]
    assert call("PUT", f"{bulk}/{{copy}}/cancel", **one)["status"] == "CANCELLED"


def read_history(life: Life) -> None:
    """Read what was found, by the product's routes and by `/v1`, for the instance and with its token."""
    call, number, own = life.client.call, life.number, life.token
    rows = call("GET", "/instances/{id}/events", id=number, status="NOTIFIED", eventType="UPDATED", objectId="17")
    assert len(rows) == 2
    assert rows[0]["notifiedData"][0]["changes"]
    assert call("GET", "/instances/events", pageSize=5, as_=own) == rows
    event = int(rows[0]["id"])
    assert call("GET", "/instances/{id}/events/{eventId}", id=number, eventId=event) == rows[0]
    assert call("GET", "/instances/events/{eventId}", eventId=event, as_=own) == rows[0]
    counts = call("GET", "/instances/{id}/events/analytics", id=number, interval="day")
    assert sum(row["count"] for row in counts) == 2
    assert call("GET", "/instances/events/analytics", interval="day", as_=own) == counts
    page = call("GET", "/v1/events", after=0, instance=number, kind="UPDATED", limit=10)
    shown = call("GET", "/v1/events/{event}", event=event)
    assert shown == page["items"][-1] | {"deliveries": shown["deliveries"]}
    assert [row["state"] for row in shown["deliveries"]] == ["delivered"]
    wanted = '{"kinds":["UPDATED"],"where":"id = 17"}'
    assert [event["id"] for event in call("GET", "/v1/events", filter=wanted, wait=1)["items"]] == [
        event["id"] for event in page["items"] if event["record_id"] == 17
    ]
    report = call("GET", "/v1/instances/{instance}/try-filter", instance=number, filter=wanted)
    assert report["passed"] == sum(event["passes"] for event in report["items"]) > 0
    assert call("GET", "/v1/instances/{instance}/callbacks", instance=number)["enabled"] is False


def send_again(life: Life) -> None:
    """Replay one notification and a selection, count, try, and change the signature key."""
    call, number, replays = life.client.call, life.number, "/v1/instances/{instance}/replays"
    delivery = life.deliveries(state="delivered")[0]["id"]
    assert call("GET", "/v1/deliveries/{delivery}", delivery=delivery)["attempts"][0]["status"] == 204
    assert call("POST", replays, {"failed": False, "count_only": True}, instance=number)["total"] == 2
    since = "2020-01-31T12:00:00Z"
    made = [
        call("POST", "/v1/deliveries/{delivery}/replay", delivery=delivery, expected=202),
        call("POST", replays, {"since": since, "kind": "UPDATED"}, instance=number, expected=202),
    ]
    for each in made:
        shown = {"instance": number, "replay": each["id"]}
        until(lambda shown=shown: call("GET", f"{replays}/{{replay}}", **shown)["stage"] == "ended", "the replay's end")  # type: ignore[misc]  # mypy infers no default
    tried = call("POST", "/v1/instances/{instance}/test-notification", {"resource": "contacts"}, instance=number)
    assert tried["delivered"] is True
    rotate = "/v1/instances/{instance}/signature-key/rotate"
    assert call("POST", rotate, {}, instance=number)["previous_key_until"]
    assert call("POST", rotate, {"key": "another"}, instance=number)["key"] == "another"


def decide(life: Life, poll: int) -> None:
    """Verify, read a window again, and decide on deletes that are held back."""
    call = life.client.call
    its: dict[str, Any] = {"instance": life.number, "poll": poll}
    started = call("POST", f"{POLL}/verifications", **its, Idempotency_Key="verify", expected=202)["id"]
    one = f"{POLL}/verifications/{{verification}}"
    done = until(lambda: _closed(call("GET", one, **its, verification=started)), "the verification's end")
    assert done["finding"]["whole"] is True
    assert call("GET", f"{POLL}/verifications", **its, limit=1)["items"] == [done]
    call("POST", f"{POLL}/backfill", {"since": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}, **its, expected=202)
    assert call("GET", f"{POLL}/held-deletes", **its) == {"items": [], "next_cursor": None}
    assert call("POST", f"{POLL}/held-deletes/release", **its) == {"count": 0}
    assert call("POST", f"{POLL}/held-deletes/dismiss", **its) == {"count": 0}
    until(lambda: (call("GET", POLL, **its)["last_run"] or {}).get("kind") == "backfill", "the backfill")


def _closed(verification: Any) -> Any:
    return None if verification["status"] == "open" else verification


def hold_up(life: Life, poll: int) -> None:
    """Have the receiver refuse for good, see what waits, and release it."""
    call, waiting = life.client.call, "/notifications/subscriptions/deliveries"
    life.receiver.answer = lambda got: (410, {})
    life.sandbox.store.change("contacts", 18, {"title": f"Chief {life.number}"})
    life.run(poll)
    (row,) = until(lambda: call("GET", waiting, where=QUEUED, as_=life.token), "a notification that waits")
    until(lambda: call("GET", waiting, where=QUEUED, pageSize=5)[0]["paused"], "the pause")
    life.receiver.answer = lambda got: (204, {})
    narrowed = f"{QUEUED} and instanceId={life.number} and config.url='{row['config']['url']}'"
    assert call("PUT", waiting, where=narrowed) == {"released": 1}
    until(lambda: call("GET", waiting, where=QUEUED) == [], "its delivery")


def subscribe(life: Life) -> None:
    """Have a second receiver notified of deletes alone; try, change, pause and release it, and take it away again."""
    call, subscriptions = life.client.call, "/v1/instances/{instance}/subscriptions"
    wanted = {"name": "Deletes", "url": life.receiver.url, "filter": {"kinds": ["DELETED"]}, "form": "thin"}
    wanted |= {"headers": {"X-Token": "a token"}, "basic": {"username": "user", "password": "a password"}}
    made = call("POST", subscriptions, wanted, instance=life.number, expected=201)
    assert (made["filter"], made["headers"]) == ({"kinds": ["DELETED"]}, {"X-Token": "********"})
    first, further = call("GET", subscriptions, instance=life.number)["items"]
    assert (first["id"], first["first"], further) == (life.number, True, made)
    one, its = f"{subscriptions}/{{subscription}}", {"instance": life.number, "subscription": made["id"]}
    changed = call("PATCH", one, {"fields": ["id"], "retry_schedule": [0, 60], "retention_days": 7}, **its)
    assert (changed["fields"], changed["retry_schedule"], changed["retention_days"]) == (["id"], [0, 60], 7)
    assert call("GET", one, **its) == changed
    tried = call("POST", f"{one}/test", {"resource": "contacts"}, **its)
    assert (tried["delivered"], tried["request"]["headers"]["X-Token"]) == (True, "********")
    assert call("POST", f"{one}/rotate", {"key": "another"}, **its)["key"] == "another"
    assert call("POST", f"{one}/pause", **its)["paused"] is True
    assert call("POST", f"{one}/release", **its) == {"released": 0}
    assert call("POST", f"{one}/replay", {"count_only": True}, **its)["total"] == 0
    assert call("GET", f"{one}/try-filter", **its)["passed"] == 0
    assert call("GET", f"{one}/held", **its) == {"items": [], "next_cursor": None}
    assert call("DELETE", one, **its, expected=204) is None


def share(life: Life) -> None:
    """Give a further user a secret, and take it back."""
    call = life.client.call
    made = call("POST", "/v1/secrets", {"name": f"bob {life.number}"}, expected=201)
    assert {row["name"] for row in call("GET", "/v1/secrets")["items"]} == {"alice", f"bob {life.number}"}
    assert call("DELETE", "/v1/secrets/{secret}", secret=made["id"], expected=204) is None


def end(life: Life) -> None:
    """Delete the instance, and two more that were made for it, in every way."""
    call = life.client.call
    body = example_body(life.sandbox.url, event__notification__enabled=False)
    first, second = (call("POST", "/elements/{element}/instances", body, element=ELEMENT) for _ in range(2))
    path = "/elements/{element}/instances/{id}"
    its: dict[str, Any] = {"element": ELEMENT, "id": first["id"]}
    assert call("PATCH", path, {"name": "one"}, **its)["name"] == "one"
    assert call("PUT", path, body, **its)["name"] == "API_Polling"
    assert call("DELETE", path, **its) is None
    assert call("DELETE", "/instances", as_=f"User {life.user}, Element {second['token']}") is None
    assert call("DELETE", INSTANCE, id=life.number) is None
    assert call("GET", INSTANCE, id=life.number, expected=404)["message"]
    assert call("GET", "/instances") == []
