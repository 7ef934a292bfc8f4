"""A test notification: one sample event, sent at once, marked as a test, and kept nowhere.

It goes the way of every notification, through the same outbound client and signed with the same keys, so that what it
shows is what a receiver will see. `Elements-Webhook-Test: true` distinguishes it; its id is 0, which no event has.
"""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from datetime import datetime

from cwconnect.core.errors import ConflictError, DomainError
from instances.configuration.polls import plan_of
from instances.connections import outbound_client
from instances.hub.mappings import mapping_of
from instances.interactive import interactive
from instances.models import Instance, ResourcePoll, Transformation
from instances.secrets import SecretUnreadableError
from polling.delivery.adaptive_limits import Batch
from polling.delivery.breaker import host_of
from polling.delivery.claims import Claimed
from polling.delivery.delivery_request import (
    DeliveryRequest,
    DeliveryTarget,
    Outcome,
    delivery_target_of,
    send,
)
from polling.delivery.forms import Form, Shape, render, sent_of
from polling.models import Event, NewEvent, Notification, Subscription

TEST_HEADER = "Elements-Webhook-Test"
_LONGEST_LEASE = 3600.0


@dataclass(frozen=True)
class SampleDeliveryRequest(DeliveryRequest):
    """A delivery request that says of itself that it is a test."""

    def headers(self, timestamp: int, *, traceparent: str | None = None) -> dict[str, str]:
        """Return the headers of an attempt, with the mark of a test."""
        return super().headers(timestamp, traceparent=traceparent) | {TEST_HEADER: "true"}


@dataclass(frozen=True)
class SampleResult:
    """What was sent, and what came of it."""

    url: str
    body: str
    outcome: Outcome


def send_test(subscription: Subscription, resource: str, now: datetime) -> SampleResult:
    """Send a sample event of a resource that is polled; DomainError or ConflictError where nothing can be sent.

    The sample is the newest record of that resource that has an event, and only an id where there is none yet. It is
    sent in the subscription's form, whatever its filter asks, also while it is off or paused.
    """
    instance = subscription.instance
    poll = next((poll for poll in instance.resource_polls.all() if poll.name == resource), None)
    if poll is None:
        raise DomainError(f"resource: no resource {resource} is polled.")
    if not subscription.notification_settings.callback_url:
        raise ConflictError("The instance has no callback URL: its events are pulled, and nothing is sent.")
    if instance.disabled:
        raise ConflictError("The instance is disabled; PUT /instances/{id}/enabled lets it go on.")
    sent = sent_of(_sample(poll, now), subscription.form, _shape(subscription, poll))
    return _send(subscription, sent, now)


def send_draft_test(draft: Instance, resource: str, now: datetime) -> SampleResult:
    """Send a sample event as an instance would that is not stored yet. ConflictError where it has no callback URL."""
    if not draft.callback_url:
        raise ConflictError("Give a callback URL first.")
    return _send(Subscription(pk=draft.pk, instance=draft), sent_of(_made_up(resource, now), Form.ELEMENTS), now)


def _shape(subscription: Subscription, poll: ResourcePoll) -> Shape:
    """Return what a subscription is sent of a poll's records, which the poll may have mapped already."""
    names = {subscription.mapping, poll.name} - {""}
    rows = Transformation.objects.filter(instance=poll.instance_id, name__in=names)
    mappings = {row.name: mapping_of(row) for row in rows}
    whole = Shape.of(subscription.fields, mappings.get(subscription.mapping))
    return whole.for_poll(plan_of(poll.name, poll.configuration).hub.path, mappings.get(poll.name))


def _send(subscription: Subscription, sample: NewEvent, now: datetime) -> SampleResult:
    body, content_type = render(subscription.form, subscription.instance, [sample], created_at=now)
    delivery_request = SampleDeliveryRequest(
        notification=Claimed(
            pk=sample.id,
            subscription_id=subscription.pk,
            webhook_id=f"msg_{uuid.uuid4()}",
            body=body.decode(),
            state=Notification.State.PENDING,
            step=0,
            due_text=now.isoformat(),
            first_text=now.isoformat(),
            replay_id=None,
            content_type=content_type,
        ),
        subscription=subscription,
        delivery_target=_delivery_target(subscription, now),
        token="",
        lease_end=time.monotonic() + _LONGEST_LEASE,
        body=body,
        batch=Batch(subscription.pk, host_of(subscription.notification_settings.callback_url)),
    )
    with interactive(subscription.instance.organization_id):
        outcome = send(delivery_request, outbound_client())
    return SampleResult(delivery_request.delivery_target.url, body.decode(), outcome)


def _delivery_target(subscription: Subscription, now: datetime) -> DeliveryTarget:
    try:
        return delivery_target_of(subscription, now)
    except SecretUnreadableError as error:
        raise ConflictError(str(error)) from None


def _sample(poll: ResourcePoll, now: datetime) -> Event:
    sample = _made_up(poll.name, now)
    newest = Event.objects.filter(resource_poll=poll).order_by("-record_id").first()  # by the head of an index
    if newest is not None:
        sample.object_id, sample.record_id, sample.record = newest.object_id, newest.record_id, newest.record
    return sample


def _made_up(resource: str, now: datetime) -> Event:
    return Event(
        id=0,
        object_type=resource,
        object_id="1",
        record_id=1,
        kind=Event.Kind.UPDATED,
        occurred_at=now,
        polled_at=now,
        record=json.dumps({"id": 1}),
    )
