"""A test notification: one sample event, sent at once, marked as a test, and kept nowhere.

It goes the way of every notification, through the same door and signed with the same keys, so that what it shows is
what a receiver will see. `Elements-Webhook-Test: true` tells it apart; its id is 0, which no event has.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import datetime

from cwconnect.errors import Conflict, Refusal
from instances.connections import door
from instances.models import Instance, ResourcePoll
from instances.secrets import SecretUnreadableError
from polling.delivery.notifications import notification_of
from polling.delivery.parcels import Envelope, Outcome, Parcel, envelope_of, send
from polling.models import Event

TEST_HEADER = "Elements-Webhook-Test"
_LONGEST_LEASE = 3600.0


@dataclass(frozen=True)
class TrialParcel(Parcel):
    """A parcel that says of itself that it is a test."""

    def headers(self, timestamp: int) -> dict[str, str]:
        """Give the headers of an attempt, with the mark of a test."""
        return super().headers(timestamp) | {TEST_HEADER: "true"}


@dataclass(frozen=True)
class Trial:
    """What was sent, and what came of it."""

    url: str
    body: str
    outcome: Outcome


def send_test(instance: Instance, resource: str, now: datetime) -> Trial:
    """Send a sample event of a resource that is polled; Refusal or Conflict where nothing can be sent.

    The sample is the newest record of that resource that an event told of, and only an id where there is none yet.
    """
    poll = next((poll for poll in instance.resource_polls.all() if poll.name == resource), None)
    if poll is None:
        raise Refusal(f"resource: no resource {resource} is polled.")
    if not instance.callback_url:
        raise Conflict("The instance has no callback URL.")
    if instance.disabled:
        raise Conflict("The instance is disabled; PUT /instances/{id}/enabled lets it go on.")
    notification = notification_of(instance, resource, [_sample(poll, now)], now)
    parcel = TrialParcel(
        notification=notification,
        envelope=_envelope(instance, now),
        attempt_id=0,
        started_at=now,
        token="",
        lease_end=time.monotonic() + _LONGEST_LEASE,
        body=notification.body.encode(),
    )
    return Trial(parcel.envelope.url, notification.body, send(parcel, door()))


def _envelope(instance: Instance, now: datetime) -> Envelope:
    try:
        return envelope_of(instance, now)
    except SecretUnreadableError as error:
        raise Conflict(str(error)) from None


def _sample(poll: ResourcePoll, now: datetime) -> Event:
    newest = Event.objects.filter(resource_poll=poll).order_by("-record_id").first()  # by the head of an index
    return Event(
        id=0,
        instance_id=poll.instance_id,
        object_type=poll.name,
        object_id=newest.object_id if newest else "1",
        record_id=newest.record_id if newest else 1,
        kind=Event.Kind.UPDATED,
        occurred_at=now,
        polled_at=now,
        record=newest.record if newest else json.dumps({"id": 1}),
    )
