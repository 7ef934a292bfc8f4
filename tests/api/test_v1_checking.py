"""Held deletes, the comparison with ConnectWise, and replays, by `/v1`."""

from __future__ import annotations

from typing import Any

import pytest

from cwconnect.sandbox import SandboxServer
from instances.models import ResourcePoll
from polling.delivery.deliverer import deliver_these
from polling.models import Absence, KnownRecord, Notification
from tests.api.conftest import Receiver, Watched
from tests.instances.conftest import Api

pytestmark = pytest.mark.django_db


def hold(watched: Watched, *ids: int) -> str:
    for record_id in ids:
        KnownRecord.objects.create(resource_poll=watched.poll, record_id=record_id, digest=b"\0")
        Absence.objects.create(resource_poll=watched.poll, record_id=record_id, standing=Absence.Standing.HELD)
    return f"/v1/instances/{watched.instance.pk}/polls/{watched.poll.pk}/held-deletes"


def test_held_deletes_are_listed_page_by_page(api: Api, watched: Watched) -> None:
    path = hold(watched, 5, 6, 7)
    first = api("GET", f"{path}?limit=2").json()
    assert first["items"] == [{"record_id": 5}, {"record_id": 6}]
    second = api("GET", f"{path}?limit=2&cursor={first['next_cursor']}").json()
    assert second == {"items": [{"record_id": 7}], "next_cursor": None}


@pytest.mark.parametrize(("decision", "standing"), [("release", "released"), ("dismiss", "dismissed")])
def test_held_deletes_are_decided_on_once(api: Api, watched: Watched, decision: str, standing: str) -> None:
    path = hold(watched, 5, 6)
    assert api("POST", f"{path}/{decision}").json() == {"count": 2}
    assert api("POST", f"{path}/{decision}").json() == {"count": 0}
    assert set(Absence.objects.values_list("standing", flat=True)) == {standing}
    assert api("GET", path).json()["items"] == []


def test_others_held_deletes_do_not_exist(api: Api, foreign: Watched) -> None:
    path = hold(foreign, 5)
    assert api("GET", path).status_code == api("POST", f"{path}/release").status_code == 404
    assert Absence.objects.get().standing == Absence.Standing.HELD


def test_the_comparison_with_connectwise_says_what_is_there(api: Api, sandbox: SandboxServer) -> None:
    instance = api.create(sandbox.url)["id"]
    poll = ResourcePoll.objects.get(instance=instance, name="contacts")
    answer = api("POST", f"/v1/instances/{instance}/polls/{poll.pk}/verify")
    assert answer.status_code == 200, answer.content
    assert (answer.json()["source"], answer.json()["missed"], answer.json()["whole"]) == (30, [], True)
    ResourcePoll.objects.update(since=None)
    assert api("POST", f"/v1/instances/{instance}/polls/{poll.pk}/verify").status_code == 409


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
