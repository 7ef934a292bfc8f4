"""The pages about deliveries and Verify, against a real receiver and sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from instances.provisioning import set_enabled
from polling.delivery.delivery_loop import deliver_these
from polling.delivery.first_subscriptions import first_subscription
from polling.delivery.pausing import pause_delivery
from polling.detection.poll_loop import poll_due
from polling.models import Event, Notification, PollState, RecordSnapshot, Replay
from tests.conftest import Tenant
from tests.pages.conftest import sign_in, text_of
from tests.support.polled_instance import PolledInstance
from tests.support.receivers import Receiver, start_receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with start_receiver() as server:
        yield server


@pytest.fixture
def delivered(world: PolledInstance, receiver: Receiver, operator: Client) -> PolledInstance:
    """A world of which one change was recorded."""
    world.watch(callback_url=receiver.url, event__notification__signature__key="s3cret")
    world.poll()
    world.change(3, "Engineer")
    world.poll()
    deliver_these([world.instance.pk])
    return world


def url(world: PolledInstance, rest: str) -> str:
    return f"/app/instances/{world.instance.pk}{rest}"


def test_a_test_is_sent_and_shown(delivered: PolledInstance, operator: Client, receiver: Receiver) -> None:
    html = text_of(operator.post(url(delivered, "/delivery/test")))
    assert "the receiver answered 204" in html
    assert "s3cret" not in html
    assert receiver.got[-1].headers["elements-webhook-test"] == "true"


def test_a_test_that_fails_says_why(delivered: PolledInstance, operator: Client, receiver: Receiver) -> None:
    receiver.answer = lambda got: (500, {})
    assert "The receiver answered 500." in text_of(operator.post(url(delivered, "/delivery/test")))


def typed(receiver: Receiver, **changes: str) -> dict[str, str]:
    """Return the form of the settings as it is shown, its callback URL first, with changes."""
    return {"callback_url": receiver.url, "refresh_interval": "15"} | changes


def test_a_test_uses_what_is_typed_into_the_settings(
    delivered: PolledInstance, operator: Client, receiver: Receiver
) -> None:
    stored, before = delivered.instance.callback_url, len(receiver.got)
    with start_receiver() as other:
        html = text_of(operator.post(url(delivered, "/delivery/test"), typed(other, callback_headers="X-Key: hush")))
        (got,) = other.got
    assert "not saved yet (Callback URL, Further headers); all else is as stored" in html
    assert (got.headers["x-key"], got.headers["elements-webhook-test"]) == ("hush", "true")
    assert "elements-webhook-signature" in got.headers
    assert "hush" not in html
    assert len(receiver.got) == before
    delivered.instance.refresh_from_db()
    assert (delivered.instance.callback_url, delivered.instance.callback_headers) == (stored, None)


def test_a_key_that_is_typed_signs_the_test_beside_the_stored_one(
    delivered: PolledInstance, operator: Client, receiver: Receiver
) -> None:
    html = text_of(operator.post(url(delivered, "/delivery/test"), typed(receiver, signature_key="another")))
    assert "not saved yet (Signature key)" in html
    assert len(receiver.got[-1].headers["webhook-signature"].split()) == 2
    html = text_of(operator.post(url(delivered, "/delivery/test"), typed(receiver, drop_signature_key="on")))
    assert "not saved yet (Signature key)" in html
    assert "webhook-signature" not in receiver.got[-1].headers


def test_a_test_of_settings_that_were_not_changed_says_so(
    delivered: PolledInstance, operator: Client, receiver: Receiver
) -> None:
    html = text_of(operator.post(url(delivered, "/delivery/test"), typed(receiver, refresh_interval="60")))
    assert "Sent as it is stored" in html
    assert "elements-webhook-signature" in receiver.got[-1].headers


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"callback_url": ""}, "has no callback URL: its events are pulled"),
        ({"callback_url": "http://10.0.0.1/"}, "can&#x27;t be used"),
        ({"callback_headers": "no colon"}, '<a href="#id_callback_headers">'),
    ],
)
def test_a_test_of_settings_that_can_not_be_used_names_the_field(
    delivered: PolledInstance, operator: Client, receiver: Receiver, change: dict[str, str], words: str
) -> None:
    before = len(receiver.got)
    html = text_of(operator.post(url(delivered, "/delivery/test"), typed(receiver, **change)))
    assert "Not sent yet." in html
    assert words in html
    assert len(receiver.got) == before


def test_a_viewer_sends_no_test(delivered: PolledInstance, viewer: Client, receiver: Receiver) -> None:
    before = len(receiver.got)
    assert viewer.post(url(delivered, "/delivery/test"), typed(receiver)).status_code == 403
    assert len(receiver.got) == before


def test_a_failed_attempt_is_listed(delivered: PolledInstance, operator: Client, receiver: Receiver) -> None:
    receiver.answer = lambda got: (500, {})
    delivered.change(4, "Engineer")
    delivered.poll()
    deliver_these([delivered.instance.pk])
    html = text_of(operator.get("/app/deliveries"))
    assert 'data-label="Answer">500' in html
    assert "waiting" in html


def test_bulk_replay_counts_asks_and_sends(delivered: PolledInstance, operator: Client, receiver: Receiver) -> None:
    counted = text_of(operator.get(url(delivered, "/replay?kind=UPDATED")))
    assert "Replay 1 notification" in counted
    answer = operator.post(url(delivered, "/replay"), {"kind": "UPDATED"}, follow=True)
    assert "0 of 1 delivered" in text_of(answer)
    deliver_these([delivered.instance.pk])
    assert "1 of 1 delivered" in text_of(operator.get(f"/app/replays/{Replay.objects.get().pk}"))
    assert len(receiver.got) == 2


def test_a_replay_of_everything_has_to_be_narrowed_down(delivered: PolledInstance, operator: Client) -> None:
    assert "Narrow it down" in text_of(operator.post(url(delivered, "/replay"), {"kind": "rubbish"}))
    assert not Replay.objects.exists()


def test_a_release_is_followed_to_its_end(delivered: PolledInstance, operator: Client) -> None:
    pause_delivery(first_subscription(delivered.instance), "Because.", timezone.now())
    delivered.change(4, "Engineer")
    delivered.poll()
    answer = operator.post(url(delivered, "/release"), follow=True)
    assert "0 of 1 delivered" in text_of(answer)
    deliver_these([delivered.instance.pk])
    assert "1 notification is delivered." in text_of(operator.get(answer.redirect_chain[-1][0]))


def test_what_others_have_does_not_exist(delivered: PolledInstance, other_tenant: Tenant) -> None:
    stranger = sign_in("stranger", other_tenant.organization)
    poll = delivered.state.pk
    for path in ("/delivery", "/release", "/release/progress", "/replay", "/verify", f"/polls/{poll}/held"):
        assert stranger.get(url(delivered, path)).status_code == 404, path
    for path in ("/delivery/test", "/release", "/replay", f"/verify/{poll}", f"/polls/{poll}/held"):
        assert stranger.post(url(delivered, path), {"kind": "UPDATED"}).status_code == 404, path
    replay = Replay.objects.create(instance=delivered.instance, asked_at=timezone.now(), what="x")
    assert stranger.get(f"/app/replays/{replay.pk}").status_code == 404
    assert "API_Polling" not in text_of(stranger.get("/app/deliveries"))


def test_a_viewer_releases_nothing(delivered: PolledInstance, viewer: Client) -> None:
    poll = delivered.state.pk
    for path in ("/delivery/test", "/release", "/replay", f"/verify/{poll}", f"/polls/{poll}/backfill"):
        assert viewer.post(url(delivered, path)).status_code == 403, path


def test_the_delivery_tab_shows_what_was_sent(delivered: PolledInstance, operator: Client) -> None:
    html = text_of(operator.get(url(delivered, "/delivery")))
    assert f"/app/events/{Notification.objects.get().pk}" in html
    assert "Nothing waits" in text_of(operator.get(url(delivered, "/delivery?state=undelivered")))


def compare(world: PolledInstance) -> None:
    """Do as a worker does: whatever is asked for, and is due."""
    PollState.objects.update(next_poll_at=None)
    poll_due(deadline=float("inf"), stopping=lambda: False)


def test_verify_is_followed_to_its_end(delivered: PolledInstance, operator: Client) -> None:
    assert "not compared yet" in text_of(operator.get(url(delivered, "/verify")))
    html = text_of(operator.post(url(delivered, "/verify"), follow=True))
    assert "0 of about" in html
    row = url(delivered, f"/verify/{delivered.state.pk}")
    assert f'hx-get="{row}"' in html
    compare(delivered)
    ended = text_of(operator.get(row, headers={"HX-Request": "true"}))
    assert "complete" in ended
    assert "hx-get" not in ended
    assert "Verify again" in ended
    assert "complete" in text_of(operator.get(url(delivered, "/verify")))


def test_verify_finds_what_is_missing_and_repair_records_it(delivered: PolledInstance, operator: Client) -> None:
    Event.objects.all().delete()
    RecordSnapshot.objects.filter(record_id=3).delete()
    PollState.objects.update(cursor=timezone.now() + timedelta(minutes=1))  # as if polls had gone on since
    row = url(delivered, f"/verify/{delivered.state.pk}")
    operator.post(row)
    compare(delivered)
    html = text_of(operator.get(row))
    assert "Something is missing" in html
    assert "contacts/3</small>" in html
    repairing = text_of(operator.post(row, {"repair": "yes"}, follow=True))
    assert "Repairing: 0 of 1 record read again" in repairing
    assert f'hx-get="{row}"' in repairing
    compare(delivered)
    repaired = text_of(operator.get(row))
    assert "Repaired: 1 record was read again, 1 event was recorded, 0 events sent again." in repaired
    assert "hx-get" not in repaired
    assert Event.objects.get().object_id == "3"


def test_nothing_is_repaired_before_it_is_known_what_is_missing(delivered: PolledInstance, operator: Client) -> None:
    html = text_of(operator.post(url(delivered, f"/verify/{delivered.state.pk}"), {"repair": "yes"}, follow=True))
    assert "what is missing is not known yet" in html


def test_a_repair_that_connectwise_refuses_says_so(delivered: PolledInstance, operator: Client) -> None:
    RecordSnapshot.objects.filter(record_id=3).delete()
    Event.objects.all().delete()
    PollState.objects.update(cursor=timezone.now() + timedelta(minutes=1))
    row = url(delivered, f"/verify/{delivered.state.pk}")
    operator.post(row)
    compare(delivered)
    delivered.store.fail_next(status=400, body={"code": "Bad", "message": "No such column"})
    operator.post(row, {"repair": "yes"})
    compare(delivered)
    html = text_of(operator.get(row))
    assert "The repair failed." in html
    assert "No such column" in html
    assert 'name="repair"' in html


def test_a_verify_that_connectwise_refuses_says_so(delivered: PolledInstance, operator: Client) -> None:
    row = url(delivered, f"/verify/{delivered.state.pk}")
    operator.post(row)
    delivered.store.fail_next(status=400, body={"code": "Bad", "message": "No such column"})
    compare(delivered)
    html = text_of(operator.get(row))
    assert "No such column" in html
    assert "Verify again" in html


def test_a_disabled_instance_is_not_compared(delivered: PolledInstance, operator: Client) -> None:
    set_enabled(delivered.instance, enabled=False)
    assert "The instance is disabled" in text_of(operator.post(url(delivered, "/verify"), follow=True))


def test_a_backfill_is_asked_for(delivered: PolledInstance, operator: Client) -> None:
    path = url(delivered, f"/polls/{delivered.state.pk}/backfill")
    assert "is read again" in text_of(operator.post(path, {"since": "2026-01-01T00:00"}, follow=True))


@pytest.mark.parametrize("since", ["2999-01-01T00:00", "rubbish", ""])
def test_a_backfill_without_a_time_in_the_past_says_so_beside_its_field(
    delivered: PolledInstance, operator: Client, since: str
) -> None:
    answer = operator.post(url(delivered, f"/polls/{delivered.state.pk}/backfill"), {"since": since})
    assert answer.status_code == 422
    assert 'id="since_error"' in text_of(answer)
    assert f'value="{since}"' in text_of(answer)


def test_what_waits_refreshes_itself(delivered: PolledInstance, operator: Client, receiver: Receiver) -> None:
    assert 'hx-trigger="every 5s, refresh"' in text_of(operator.get("/app/deliveries"))
    receiver.answer = lambda got: (500, {})
    delivered.change(4, "Engineer")
    delivered.poll()
    deliver_these([delivered.instance.pk])
    part = text_of(operator.get("/app/deliveries", headers={"HX-Request": "true"}))
    assert "API_Polling" in part
    assert "<html" not in part
