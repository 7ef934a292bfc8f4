"""One trace from a poll, or the callback that woke it, to the receiver; across transactions and processes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from cwconnect.tracing import provider
from polling.delivery.delivery_loop import deliver_due
from polling.delivery.fan_out.step import FanOut
from polling.detection.poll_loop import poll_due
from polling.models import DeliveryAttempt, Notification, PollRun, PollState, SubscriptionEvent
from tests.support.callbacks import enable_callbacks, keep_known_key
from tests.support.collector import Collector, SentSpan
from tests.support.polled_instance import PolledInstance
from tests.support.read_log import subscribe
from tests.support.receivers import Receiver

pytestmark = pytest.mark.django_db(transaction=True)


def path_to(span: SentSpan, spans: list[SentSpan]) -> list[str]:
    """Return the names of the spans above one, from the first of its trace to itself."""
    by_id = {one.span_id: one for one in spans}
    path = [span]
    while path[0].parent_id:
        path.insert(0, by_id[path[0].parent_id])
    return [one.name for one in path]


@pytest.fixture
def delivered(world: PolledInstance, receiver: Receiver, collector: Collector) -> Receiver:
    """A change that was polled, recorded and delivered, each step for itself as in processes of their own."""
    world.watch(callback_url=receiver.url)
    world.poll()
    world.change(17, "Owner")
    world.poll()
    deliver_due(deadline=float("inf"))
    provider.flush()
    return receiver


def test_a_change_is_one_trace_from_its_poll_to_the_receiver(delivered: Receiver, collector: Collector) -> None:
    spans = collector.spans()
    [attempt] = collector.named("deliver")
    assert path_to(attempt, spans) == ["poll", "record events", "notification", "deliver"]
    asked = [span for span in collector.named("ask ConnectWise") if span.trace_id == attempt.trace_id]
    assert [path_to(span, spans) for span in asked] == [["poll", "ask ConnectWise"]]
    assert delivered.got[0].headers["traceparent"].startswith(f"00-{attempt.trace_id}-{attempt.span_id}-")
    assert attempt.attributes["http.response.status_code"] == 204
    assert attempt.attributes["cwconnect.webhook_id"] == delivered.got[0].webhook_id


def test_what_is_made_of_the_log_is_in_the_trace_of_the_polls_that_found_it(
    world: PolledInstance, receiver: Receiver, collector: Collector
) -> None:
    world.watch()
    world.poll()
    further = subscribe(world.instance, callback_url=receiver.url)
    for record_id in (17, 18):
        world.change(record_id, "Owner")
        world.poll()
    deliver_due(deadline=float("inf"))
    provider.flush()
    spans, [attempt] = collector.spans(), [got for got in collector.named("deliver") if not got.failed]
    assert path_to(attempt, spans) == ["poll", "notification", "deliver"]
    [made] = [span for span in spans if span.span_id == attempt.parent_id]
    first, second = (span.trace_id for span in collector.named("record events"))
    assert (made.trace_id, made.links) == (second, (first,))
    carried = SubscriptionEvent.objects.order_by("event").values_list("event", flat=True)
    assert made.attributes == {
        "cwconnect.instance_id": world.instance.pk,
        "cwconnect.subscription_id": further.pk,
        "cwconnect.resource": "contacts",
        "cwconnect.notification_id": Notification.objects.get(subscription=further).pk,
        "cwconnect.webhook_id": receiver.got[0].webhook_id,
        "cwconnect.event_id": carried[0],
        "cwconnect.events": 2,
    }


def test_what_could_not_be_written_of_the_log_leaves_no_span(
    world: PolledInstance, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.watch(callback_url="")
    world.poll()
    subscribe(world.instance)
    world.change(17, "Owner")
    world.poll()
    fan = FanOut()
    with monkeypatch.context() as patch:
        patch.setattr("polling.delivery.fan_out.writing.insert", lambda *given: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            fan.step(timezone.now())
    provider.flush()
    assert not collector.named("notification")


def test_what_nobody_is_notified_of_ends_where_it_is_recorded(world: PolledInstance, collector: Collector) -> None:
    world.watch(callback_url="")
    world.poll()
    world.change(17, "Owner")
    world.change(18, "Owner")
    world.poll()
    provider.flush()
    [recorded] = collector.named("record events")
    assert path_to(recorded, collector.spans()) == ["poll", "record events"]
    assert recorded.attributes["cwconnect.events"] == 2
    assert not collector.named("notification")


def test_an_idle_poll_is_a_trace_of_its_own(delivered: Receiver, collector: Collector) -> None:
    polls = collector.named("poll")
    assert len({span.trace_id for span in polls}) == len(polls) > 1


def test_what_a_callback_woke_goes_on_in_its_trace(
    world: PolledInstance, receiver: Receiver, collector: Collector
) -> None:
    world.watch(callback_url=receiver.url)
    world.poll()
    announcer = enable_callbacks(world.instance)
    keep_known_key(announcer)
    world.change(17, "Owner")
    announcer.announce(17)
    announcer.announce(17, MemberId="another")
    poll_due(deadline=float("inf"))
    deliver_due(deadline=float("inf"))
    provider.flush()
    route = "POST /callbacks/connectwise/<token>"
    [attempt] = collector.named("deliver")
    assert path_to(attempt, collector.spans()) == [route, "poll", "record events", "notification", "deliver"]
    [earlier] = [span for span in collector.named(route) if span.trace_id != attempt.trace_id]
    [woken] = [span for span in collector.named("poll") if span.trace_id == attempt.trace_id]
    assert woken.links == (earlier.trace_id,)
    assert {span.attributes["cwconnect.outcome"] for span in collector.named("judge callback")} == {"verified"}


def test_a_run_that_another_worker_carries_on_stays_in_its_trace(world: PolledInstance, collector: Collector) -> None:
    world.watch()
    world.poll()
    begun_by = f"00-{'ab' * 16}-{'cd' * 8}-01"
    state = world.state
    PollRun.objects.create(
        resource_poll=state.resource_poll,
        opening=timezone.now() - timedelta(minutes=5),
        started_at=timezone.now(),
        traceparent=begun_by,
    )
    world.change(17, "Owner")
    world.poll()
    [notification] = Notification.objects.all()
    assert (notification.traceparent or "")[:35] == begun_by[:35]


def test_a_later_attempt_and_a_replay_are_in_the_trace_too(
    world: PolledInstance, receiver: Receiver, collector: Collector
) -> None:
    receiver.answer = lambda got: (500 if len(receiver.got) == 1 else 204, {})
    world.watch(callback_url=receiver.url)
    world.poll()
    world.change(17, "Owner")
    world.poll()
    for _ in range(2):
        Notification.objects.filter(state="pending").update(next_attempt_at=timezone.now())
        deliver_due(deadline=float("inf"))
    provider.flush()
    first, second = collector.named("deliver")
    assert (first.trace_id, first.parent_id) == (second.trace_id, second.parent_id)
    assert (first.failed, second.failed) == (True, False)
    assert first.attributes["error.type"] == "status"


def test_a_users_own_traceparent_is_left_alone(world: PolledInstance, receiver: Receiver, collector: Collector) -> None:
    world.watch(callback_url=receiver.url, event__notification__callback__headers='{"Traceparent": "mine"}')
    world.poll()
    world.change(17, "Owner")
    world.poll()
    deliver_due(deadline=float("inf"))
    assert [got.headers["traceparent"] for got in receiver.got] == ["mine"]


def test_events_that_were_rolled_back_leave_no_span(
    world: PolledInstance, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.watch()
    world.poll()
    world.change(17, "Owner")
    with monkeypatch.context() as patch:
        patch.setattr("polling.detection.event_log.insert", lambda *given: 1 / 0)
        world.poll()
    provider.flush()
    assert not collector.named("record events")
    assert [span.attributes["error.type"] for span in collector.named("poll") if span.failed] == ["ZeroDivisionError"]
    PollState.objects.update(health="healthy")
    world.poll()
    provider.flush()
    assert len(collector.named("notification")) == 1


def test_with_traces_off_no_row_carries_any_and_no_header_is_sent(world: PolledInstance, receiver: Receiver) -> None:
    world.watch(callback_url=receiver.url)
    world.poll()
    subscribe(world.instance)
    world.change(17, "Owner")
    world.poll()
    deliver_due(deadline=float("inf"))
    assert Notification.objects.count() == 2
    assert "traceparent" not in receiver.got[0].headers
    assert not PollRun.objects.exclude(traceparent=None).exists()
    assert not Notification.objects.exclude(traceparent=None).exists()
    assert not [attempt for attempt in DeliveryAttempt.objects.all() if "traceparent" in attempt.request_headers]
