"""A pause and its release: by call, by the contract's route, by command; the exhausted ones first."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from instances.models import Instance
from instances.secrets import hash_token
from polling.delivery.first_subscriptions import first_subscription
from polling.delivery.pausing import pause_delivery, rearm_stranded, release_all_of
from polling.models import DeliveryState, Notification
from tests.conftest import Tenant
from tests.support.deliveries import deliver
from tests.support.notifications import make_instance, make_notifications
from tests.support.receivers import Receiver

QUEUED = "channel='webhook' and status='queued'"
ROUTE = "/notifications/subscriptions/deliveries"
State = Notification.State


@pytest.fixture
def paused(tenant: Tenant, receiver: Receiver) -> Instance:
    """An instance with thirty notifications waiting behind a pause, the last two exhausted."""
    instance = make_instance(tenant.organization, receiver.url)
    made = make_notifications(instance, [[record] for record in range(30)])
    Notification.objects.filter(pk__in=[row.pk for row in made[-2:]]).update(state=State.EXHAUSTED, step=10)
    pause_delivery(first_subscription(instance), "A test.", timezone.now())
    return instance


def call(method: str, tenant: Tenant, where: str | None = QUEUED, *, auth: str = "", more: str = "") -> Any:
    query = "" if where is None else f"?where={quote(where)}{more}"
    headers = {"Authorization": auth or tenant.auth}
    return Client(raise_request_exception=False).generic(method, ROUTE + query, headers=headers)


def test_the_exhausted_ones_are_sent_first(paused: Instance, receiver: Receiver) -> None:
    assert release_all_of(paused, timezone.now()) == 30
    deliver(now_due=False)
    assert {event["objectId"] for got in receiver.got[:2] for event in got.json["message"]["events"]} == {"28", "29"}
    assert len(receiver.got) == 30


def test_the_route_lists_what_is_queued(paused: Instance, tenant: Tenant) -> None:
    answer = call("GET", tenant, more="&pageSize=20")
    rows = answer.json()
    assert (answer.status_code, len(rows), answer.headers["Elements-Returned-Count"]) == (200, 20, "20")
    assert rows[0]["status"] == "queued"
    assert rows[0]["pauseReason"] == "A test."
    following = call("GET", tenant, more=f"&nextPage={answer.headers['Elements-Next-Page-Token']}")
    assert [row["tries"] for row in following.json()][-2:] == [10, 10]


@pytest.mark.parametrize("prefix", ["", "/elements/api-v2"])
def test_the_route_releases(paused: Instance, tenant: Tenant, prefix: str) -> None:
    answer = Client().put(f"{prefix}{ROUTE}?where={quote(QUEUED)}", headers={"Authorization": tenant.auth})
    assert answer.json() == {"released": 30}
    assert DeliveryState.objects.get().paused_at is None


def test_one_instance_can_be_released_alone(paused: Instance, tenant: Tenant) -> None:
    other = make_instance(tenant.organization, "http://127.0.0.1:9/", "Other")
    pause_delivery(first_subscription(other), "A test.", timezone.now())
    assert call("PUT", tenant, f"{QUEUED} and instanceId={paused.pk}").json() == {"released": 30}
    assert list(DeliveryState.objects.filter(paused_at__isnull=False).values_list("pk", flat=True)) == [other.pk]


def test_one_receiver_can_be_listed_and_released_alone(paused: Instance, tenant: Tenant) -> None:
    other = make_instance(tenant.organization, "http://127.0.0.1:9/", "Other")
    pause_delivery(first_subscription(other), "A test.", timezone.now())
    elsewhere, here = (f"{QUEUED} and config.url='{each.callback_url}'" for each in (other, paused))
    assert call("GET", tenant, elsewhere).json() == []
    assert {row["config"]["url"] for row in call("GET", tenant, here).json()} == {paused.callback_url}
    assert call("PUT", tenant, f"{QUEUED} and config.url='{paused.callback_url}x'").json() == {"released": 0}
    assert call("PUT", tenant, here).json() == {"released": 30}
    assert list(DeliveryState.objects.filter(paused_at__isnull=False).values_list("pk", flat=True)) == [other.pk]


def test_with_an_element_token_it_is_that_instance(paused: Instance, tenant: Tenant) -> None:
    other = make_instance(tenant.organization, "http://127.0.0.1:9/", "Other")
    Instance.objects.filter(pk=other.pk).update(token_hash=hash_token("TOKEN"))
    auth = f"User {tenant.user_secret}, Element TOKEN"
    assert call("PUT", tenant, auth=auth).json() == {"released": 0}
    assert call("GET", tenant, auth=auth).json() == []


def test_other_organizations_neither_see_nor_release_it(paused: Instance, other_tenant: Tenant) -> None:
    assert call("GET", other_tenant).json() == []
    assert call("PUT", other_tenant).json() == {"released": 0}
    assert call("PUT", other_tenant, f"{QUEUED} and instanceId={paused.pk}").status_code == 404


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (None, "A where is needed"),
        ("", "A where is needed"),
        ("channel='webhook'", "status must be 'queued'"),
        ("status='delivered'", "status must be 'queued'"),
        ("channel='email' and status='queued'", "channel must be 'webhook'"),
        ("status='queued' or channel='webhook'", "Only comparisons with ="),
        ("status!='queued'", "Only comparisons with ="),
        ("status='queued' and colour='red'", "colour can't be asked for"),
        ("status='queued' and instanceId='x'", "instanceId must be"),
        ("status='queued' and instanceId is null", "Only comparisons with ="),
        ("status=", "Error parsing query"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_any_other_where_is_refused(
    paused: Instance, tenant: Tenant, where: str | None, words: str, method: str
) -> None:
    answer = call(method, tenant, where)
    assert answer.status_code == 400
    assert words in answer.json()["message"]
    assert DeliveryState.objects.get().paused_at is not None


def test_what_a_worker_left_without_a_due_time_is_found_again(paused: Instance, receiver: Receiver) -> None:
    release_all_of(paused, timezone.now())
    Notification.objects.update(next_attempt_at=None)  # as one does that saw the pause just before the release
    assert rearm_stranded(timezone.now()) == 1
    assert deliver(now_due=False) == 30
    assert rearm_stranded(timezone.now()) == 0


def test_what_waits_for_a_reason_is_not_forgotten(paused: Instance) -> None:
    assert rearm_stranded(timezone.now()) == 0
    assert deliver() == 0


def test_the_command_releases_and_delivers(paused: Instance, receiver: Receiver) -> None:
    out = io.StringIO()
    call_command("release", paused.pk, stdout=out, verbosity=0)
    assert out.getvalue().splitlines() == [
        f"30 notifications of {paused} are to be sent.",
        "30 delivered, 0 attempts failed; 0 still to be delivered.",
    ]
    assert len(receiver.got) == 30


def test_the_command_can_leave_it_to_the_workers(paused: Instance, receiver: Receiver) -> None:
    call_command("release", paused.pk, "--leave", stdout=io.StringIO(), verbosity=0)
    assert receiver.got == []
    assert Notification.objects.filter(next_attempt_at__lte=timezone.now() + timedelta(seconds=1)).count() == 30
