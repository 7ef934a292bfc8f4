"""A sample notification of each resource, kind of event and form, made by what makes, signs and sends all of them.

The record is one that the sandbox makes up; instance, times and ids are of docs/wire-contract.md#5-the-notification.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any

import orjson

from cwconnect.connectwise.catalogue import find_resource
from cwconnect.sandbox.catalogue import CATALOGUE, ListSpec
from cwconnect.sandbox.records import make_record
from cwconnect.sandbox.served_lists import spec_at
from instances.models import Instance
from polling.delivery.adaptive_limits import Batch
from polling.delivery.claims import Claimed
from polling.delivery.delivery_request import DeliveryRequest, DeliveryTarget
from polling.delivery.forms import Form, Rendered, render, sent_of
from polling.detection.changes import record_text
from polling.field_changes import field_changes
from polling.models import Event, NewEvent, Notification, Subscription

SAMPLE_KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
_CHANGED, _POLLED = (datetime(2018, 7, 31, 19, minute, second, tzinfo=UTC) for minute, second in ((39, 46), (40, 36)))
_RECORD, _SEED, _EVENT = 17, 1, 35149
_WEBHOOK_ID = "msg_16037f3a-5cd5-4edc-97e8-b1c217430357"
_SPECS: Mapping[str, ListSpec] = {spec.name: spec for spec in CATALOGUE}


@dataclass(frozen=True)
class Sample:
    """A notification as it is sent: its headers, and its body byte for byte."""

    headers: Mapping[str, str]
    body: str


def sample_record(resource: str) -> dict[str, Any]:
    """Return the record that a resource's samples carry; KeyError for a resource that the catalogue lacks."""
    return make_record(_spec(resource), _SEED, _RECORD, int(_CHANGED.timestamp()))


@lru_cache(maxsize=512)
def sample_of(resource: str, kind: Event.Kind, form: Form = Form.ELEMENTS) -> Sample:
    """Return the notification of one event of a resource, in a form."""
    record = sample_record(resource)
    event = NewEvent(
        object_type=resource,
        object_id=str(_RECORD),
        record_id=_RECORD,
        kind=kind,
        occurred_at=_CHANGED,
        polled_at=_POLLED,
        record=record_text(record).decode(),
        changes=_changes(resource, record) if kind == Event.Kind.UPDATED else None,
        id=_EVENT,
    )
    instance = Instance(pk=523232, name="API_Polling", tags=["Test"], organization_id=81, created_by_id=2034)
    written = render(form, instance, [sent_of(event, form)], created_at=_POLLED)
    return Sample(_request(instance, written).headers(int(_POLLED.timestamp())), written.body.decode())


@cache
def _spec(name: str) -> ListSpec:
    """Return how the sandbox makes a resource's records: by their kind, or as ConnectWise describes the list."""
    resource = find_resource(name)
    found = _SPECS.get(name) or (spec_at(resource.path) if resource else None)
    if found is None:
        raise KeyError(name)
    return found


def _request(instance: Instance, written: Rendered) -> DeliveryRequest:
    """Return what a worker would send, to a receiver that has a signature key and no headers of its own."""
    now = _POLLED.isoformat()
    state = Notification.State.PENDING
    body, content_type = written
    claimed = Claimed(
        _EVENT, instance.pk, _WEBHOOK_ID, "", state, 0, now, now, replay_id=None, content_type=content_type
    )
    target = DeliveryTarget(instance.pk, "http://mycoolapp.com", (SAMPLE_KEY,), extra_headers={}, auth=None)
    batch = Batch(instance.pk, "mycoolapp.com")
    subscription = Subscription(pk=instance.pk, instance=instance)
    return DeliveryRequest(claimed, subscription, target, token="", lease_end=0, body=body, batch=batch)


def _changes(resource: str, record: Mapping[str, Any]) -> str:
    """Return what `trackChanges` has in the event: of the field that people edit most, from what another record has."""
    spec = _spec(resource)
    fields = [spec.edit, *(name for name in record if name not in ("id", "_info"))]
    others = (
        (field, make_record(spec, _SEED, number, 0).get(field))
        for field in fields
        for number in range(_RECORD + 1, _RECORD + 99)
    )
    # Where all records are alike, as in a list of mere flags, nothing was there before.
    field, value = next((pair for pair in others if pair[1] != record.get(pair[0])), (fields[-1], None))
    before = {**record, field: value}
    return orjson.dumps(field_changes(before, record)).decode()
