"""`/v1/deliveries`, the test notification and the signature key's rotation."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest
from django.utils import timezone
from standardwebhooks import Webhook

from instances.models import Instance
from instances.secrets import MASK, Secret
from polling.delivery.delivery_loop import deliver_these
from polling.models import DeliveryAttempt, Event, Notification
from tests.api.conftest import Watched
from tests.support.api_caller import Api
from tests.support.receivers import Receiver
from tests.support.rows import further_subscription, make_notification

pytestmark = pytest.mark.django_db


@pytest.fixture
def reached(tenant: Any, receiver: Receiver) -> Watched:
    """An instance whose notifications reach a receiver."""
    return Watched(tenant, callback_url=receiver.url, signature_key=Secret.of("a signature key"))


def send_test(api: Api, watched: Watched, resource: str = "contacts", **options: Any) -> Any:
    path = f"/v1/instances/{watched.instance.pk}/test-notification"
    return api("POST", path, {"resource": resource}, **options)


def test_a_delivery_shows_its_events_its_body_and_its_attempts(api: Api, reached: Watched, receiver: Receiver) -> None:
    made = reached.changed(1, 2)
    receiver.answer = lambda got: (500, {})
    deliver_these([reached.instance.pk])
    shown = api("GET", f"/v1/deliveries/{made[0].pk}").json()
    assert shown["state"] == "pending"
    assert shown["events"] == [event.pk for event in made]
    assert shown["error"] == "The receiver answered 500."
    assert shown["body"]["message"]["eventId"] == str(made[0].pk)
    (attempt,) = [attempt for attempt in shown["attempts"] if attempt["status"] == 500][:1]
    assert attempt["url"] == receiver.url
    assert attempt["request_headers"]["webhook-id"] == shown["webhook_id"]


def test_the_newest_deliveries_come_first_page_by_page(api: Api, watched: Watched) -> None:
    made = [watched.changed(number)[0].pk for number in range(5)]
    seen, cursor = [], ""
    while True:
        page = api("GET", f"/v1/deliveries?limit=2{cursor}").json()
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == made[::-1]


@pytest.mark.parametrize(
    ("query", "count"), [("state=failed", 1), ("state=pending", 1), ("resource=contacts", 2), ("resource=x", 0)]
)
def test_filters_narrow_the_deliveries(api: Api, watched: Watched, query: str, count: int) -> None:
    watched.changed(1)
    Notification.objects.update(state="failed")
    watched.changed(2)
    query += f"&instance={watched.instance.pk}"
    assert len(api("GET", f"/v1/deliveries?{query}").json()["items"]) == count


def test_they_are_narrowed_to_a_subscription(api: Api, watched: Watched, foreign: Watched) -> None:
    further, theirs = further_subscription(watched.instance), further_subscription(foreign.instance, 2)
    (event,) = watched.changed(1)
    make_notification(watched.instance, 10**6, timezone.now(), subscription=further)

    def found(subscription: int, status: int = 200) -> Any:
        answer = api("GET", f"/v1/deliveries?subscription={subscription}")
        assert answer.status_code == status
        return [(item["id"], item["subscription_id"]) for item in answer.json().get("items", ())]

    assert found(watched.instance.pk) == [(event.pk, watched.instance.pk)]
    assert found(further.pk) == [(10**6, further.pk)]
    for other in (foreign.instance.pk, theirs.pk, 10**15):
        assert found(other, status=404) == []


@pytest.mark.parametrize("query", ["state=sent", "cursor=!", "cursor=YWJj", "limit=x", "where=1"])
def test_a_query_that_is_not_understood_is_400(api: Api, query: str) -> None:
    assert api("GET", f"/v1/deliveries?{query}").status_code == 400


def test_others_deliveries_do_not_exist(api: Api, foreign: Watched) -> None:
    (event,) = foreign.changed(1)
    assert api("GET", "/v1/deliveries").json()["items"] == []
    assert api("GET", f"/v1/deliveries/{event.notification_id}").status_code == 404
    assert send_test(api, foreign).status_code == 404
    assert api("POST", f"/v1/instances/{foreign.instance.pk}/signature-key/rotate", {}).status_code == 404


def test_a_test_notification_goes_out_signed_and_marked_and_is_kept_nowhere(
    api: Api, reached: Watched, receiver: Receiver
) -> None:
    answer = send_test(api, reached)
    assert answer.status_code == 200, answer.content
    shown, (got,) = answer.json(), receiver.got
    assert (shown["delivered"], shown["response"], shown["error"]) == (True, {"status": 204, "body": ""}, None)
    assert shown["request"]["url"] == receiver.url
    assert shown["request"]["body"] == got.json
    assert shown["request"]["headers"]["Elements-Webhook-Test"] == got.headers["elements-webhook-test"] == "true"
    assert got.json["message"]["events"][0]["objectType"] == "contacts"
    Webhook(base64.b64encode(b"a signature key").decode()).verify(got.body, got.headers)
    mac = base64.b64encode(hmac.new(b"a signature key", got.body, hashlib.sha256).digest()).decode()
    assert got.headers["elements-webhook-signature"] == f"sha256={mac}"
    assert not Event.objects.exists()
    assert not Notification.objects.exists()
    assert not DeliveryAttempt.objects.exists()


def test_the_sample_is_a_record_that_has_an_event(api: Api, reached: Watched) -> None:
    reached.changed(17)
    assert send_test(api, reached).json()["request"]["body"]["message"]["raw"]["contacts"] == [{"id": 17}]


def test_a_test_shows_what_went_wrong(api: Api, reached: Watched, receiver: Receiver, watched: Watched) -> None:
    receiver.answer = lambda got: (500, {})
    refused = send_test(api, reached).json()
    assert (refused["delivered"], refused["response"]["status"]) == (False, 500)
    assert refused["error"] == "The receiver answered 500."
    unreached = send_test(api, watched).json()
    assert (unreached["delivered"], unreached["response"]) == (False, None)
    assert unreached["error"]


def test_a_test_masks_headers_that_may_be_secret(api: Api, tenant: Any, receiver: Receiver) -> None:
    watched = Watched(tenant, callback_url=receiver.url, callback_headers=Secret.of('{"X-Key":"hidden"}'))
    shown = send_test(api, watched)
    assert receiver.got[0].headers["x-key"] == "hidden"
    assert shown.json()["request"]["headers"]["X-Key"] == MASK
    assert b"hidden" not in shown.content


@pytest.mark.parametrize(
    ("columns", "resource", "status"),
    [({}, "members", 400), ({"callback_url": ""}, "contacts", 409), ({"disabled": True}, "contacts", 409)],
)
def test_a_test_that_cannot_be_sent_is_refused(
    api: Api, tenant: Any, columns: dict[str, Any], resource: str, status: int
) -> None:
    assert send_test(api, Watched(tenant, **columns), resource).status_code == status


def test_a_rotated_key_is_shown_once_and_signs_beside_the_former(
    api: Api, reached: Watched, receiver: Receiver
) -> None:
    answer = api("POST", f"/v1/instances/{reached.instance.pk}/signature-key/rotate", {})
    assert answer.status_code == 200, answer.content
    key = answer.json()["key"]
    assert key.startswith("whsec_")
    assert answer.json()["previous_key_until"]
    send_test(api, reached)
    got = receiver.got[0]
    Webhook(key).verify(got.body, got.headers)
    Webhook(base64.b64encode(b"a signature key").decode()).verify(got.body, got.headers)


def test_a_key_of_ones_own_may_be_given(api: Api, reached: Watched) -> None:
    path = f"/v1/instances/{reached.instance.pk}/signature-key/rotate"
    assert api("POST", path, {"key": "mine"}).json()["key"] == "mine"
    stored = Instance.objects.get(pk=reached.instance.pk).signature_key
    assert stored.reveal() == "mine"


@pytest.mark.parametrize(
    "body",
    [{"key": ""}, {"key": "a\nb"}, {"until": "2020-01-01T00:00:00Z"}, {"until": "2999-01-01T00:00:00Z"}, {"x": 1}],
)
def test_a_rotation_that_makes_no_sense_is_400(api: Api, reached: Watched, body: Any) -> None:
    assert api("POST", f"/v1/instances/{reached.instance.pk}/signature-key/rotate", body).status_code == 400
