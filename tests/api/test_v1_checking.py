"""Held deletes, the comparison with ConnectWise, and replays, by `/v1`."""

from __future__ import annotations

import time
from typing import Any

import pytest

from cwconnect.sandbox import SandboxServer
from instances.models import Instance, ResourcePoll
from polling.delivery.delivery_loop import deliver_these
from polling.detection.poll_loop import poll_due
from polling.models import MissingRecord, Notification, RecordSnapshot, Verification
from tests.api.conftest import NOON, Watched
from tests.support.api_caller import Api
from tests.support.receivers import Receiver

pytestmark = pytest.mark.django_db


def hold(watched: Watched, *ids: int) -> str:
    for record_id in ids:
        RecordSnapshot.objects.create(resource_poll=watched.poll, record_id=record_id, digest=b"\0")
        MissingRecord.objects.create(resource_poll=watched.poll, record_id=record_id, status=MissingRecord.Status.HELD)
    return f"/v1/instances/{watched.instance.pk}/polls/{watched.poll.pk}/held-deletes"


def test_held_deletes_are_listed_page_by_page(api: Api, watched: Watched) -> None:
    path = hold(watched, 5, 6, 7)
    first = api("GET", f"{path}?limit=2").json()
    assert first["items"] == [{"record_id": 5}, {"record_id": 6}]
    second = api("GET", f"{path}?limit=2&cursor={first['next_cursor']}").json()
    assert second == {"items": [{"record_id": 7}], "next_cursor": None}


@pytest.mark.parametrize(("decision", "status"), [("release", "released"), ("dismiss", "dismissed")])
def test_held_deletes_are_decided_on_once(api: Api, watched: Watched, decision: str, status: str) -> None:
    path = hold(watched, 5, 6)
    assert api("POST", f"{path}/{decision}").json() == {"count": 2}
    assert api("POST", f"{path}/{decision}").json() == {"count": 0}
    assert set(MissingRecord.objects.values_list("status", flat=True)) == {status}
    assert api("GET", path).json()["items"] == []


def test_others_held_deletes_do_not_exist(api: Api, foreign: Watched) -> None:
    path = hold(foreign, 5)
    assert api("GET", path).status_code == api("POST", f"{path}/release").status_code == 404
    assert MissingRecord.objects.get().status == MissingRecord.Status.HELD


def verifications(api: Api, sandbox: SandboxServer) -> str:
    poll = ResourcePoll.objects.get(instance=api.create(sandbox.url)["id"], name="contacts")
    return f"/v1/instances/{poll.instance_id}/polls/{poll.pk}/verifications"


def test_the_comparison_with_connectwise_is_asked_for_and_then_looked_at(api: Api, sandbox: SandboxServer) -> None:
    path = verifications(api, sandbox)
    requests = len(sandbox.store.requests)
    begun = api("POST", path)
    assert begun.status_code == 202, begun.content
    assert (begun.json()["status"], begun.json()["finding"]) == ("open", None)
    assert api("POST", path).json()["id"] == begun.json()["id"]
    assert len(sandbox.store.requests) == requests
    poll_due(deadline=time.monotonic() + 60)
    ended = api("GET", f"{path}/{begun.json()['id']}").json()
    assert (ended["status"], ended["rows_read"], ended["error"]) == ("complete", 30, None)
    assert (ended["finding"]["source"], ended["finding"]["missed"], ended["finding"]["whole"]) == (30, [], True)


def test_verifications_are_listed_newest_first_page_by_page(api: Api, watched: Watched) -> None:
    rows = [Verification(resource_poll=watched.poll, asked_at=NOON, status="complete") for _ in range(3)]
    made = [row.pk for row in Verification.objects.bulk_create(rows)]
    path = f"/v1/instances/{watched.instance.pk}/polls/{watched.poll.pk}/verifications"
    first = api("GET", f"{path}?limit=2").json()
    second = api("GET", f"{path}?limit=2&cursor={first['next_cursor']}").json()
    assert [item["id"] for item in first["items"] + second["items"]] == made[::-1]
    assert second["next_cursor"] is None


@pytest.mark.parametrize("change", [{"since": None}, {"instance__disabled": True}])
def test_what_can_not_be_compared_is_a_conflict(api: Api, watched: Watched, change: dict[str, Any]) -> None:
    Instance.objects.update(disabled=change.get("instance__disabled", False))
    ResourcePoll.objects.update(since=change.get("since", NOON))
    path = f"/v1/instances/{watched.instance.pk}/polls/{watched.poll.pk}/verifications"
    assert api("POST", path).status_code == 409
    assert not Verification.objects.exists()


def test_others_verifications_do_not_exist(api: Api, watched: Watched, foreign: Watched) -> None:
    theirs = Verification.objects.create(resource_poll=foreign.poll, asked_at=NOON).pk
    path = f"/v1/instances/{foreign.instance.pk}/polls/{foreign.poll.pk}/verifications"
    own = f"/v1/instances/{watched.instance.pk}/polls/{watched.poll.pk}/verifications"
    assert {api(method, path).status_code for method in ("GET", "POST")} == {404}
    assert {api("GET", f"{start}/{theirs}").status_code for start in (path, own)} == {404}


def test_a_selection_is_counted_first_and_then_sent_again(api: Api, tenant: Any, receiver: Receiver) -> None:
    reached = Watched(tenant, callback_url=receiver.url)
    for number in (1, 2, 3):
        reached.changed(number)
    deliver_these([reached.instance.pk])
    path = f"/v1/instances/{reached.instance.pk}/replays"
    counted = api("POST", path, {"object_id": "2", "count_only": True})
    assert (counted.status_code, counted.json()["total"], counted.json()["id"]) == (200, 1, None)
    begun = api("POST", path, {"kind": "UPDATED"})
    assert (begun.status_code, begun.json()["total"]) == (202, 3)
    deliver_these([reached.instance.pk])
    shown = api("GET", f"{path}/{begun.json()['id']}").json()
    assert (shown["delivered"], shown["left"]) == (3, 0)
    assert len(receiver.got) == 6
    assert all(got.headers["elements-webhook-replay"] == "true" for got in receiver.got[3:])


def test_one_delivery_is_sent_again(api: Api, tenant: Any, receiver: Receiver) -> None:
    reached = Watched(tenant, callback_url=receiver.url)
    (event,) = reached.changed(1)
    deliver_these([reached.instance.pk])
    assert api("POST", f"/v1/deliveries/{event.pk}/replay").json()["total"] == 1
    deliver_these([reached.instance.pk])
    assert len({got.webhook_id for got in receiver.got}) == 1
    assert len(receiver.got) == 2


def test_a_discarded_delivery_is_not_sent_again(api: Api, watched: Watched) -> None:
    (event,) = watched.changed(1)
    Notification.objects.update(state="discarded")
    assert api("POST", f"/v1/deliveries/{event.pk}/replay").status_code == 409


def test_others_replays_do_not_exist(api: Api, other_api: Api, foreign: Watched) -> None:
    (event,) = foreign.changed(1)
    path = f"/v1/instances/{foreign.instance.pk}/replays"
    begun = other_api("POST", path, {})
    assert begun.status_code == 202
    assert api("GET", f"{path}/{begun.json()['id']}").status_code == 404
    assert api("POST", path, {}).status_code == 404
    assert api("POST", f"/v1/deliveries/{event.pk}/replay").status_code == 404
