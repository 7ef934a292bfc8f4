"""How the events of a notification are written: `elements`, `cloudevents` or `thin`. Pure: no database, no request.

First each event is made what is sent of it (`sent_of`), then they are cut into batches (notifications.py), then each
batch is written (`render`), so that batches are measured by what is sent:

    sent = [sent_of(event, form, shape.for_poll(…)) for event in events]
    for batch in batches(sent):
        rendered = render(form, instance, batch, created_at=…)

The forms are those of docs/wire-contract.md#forms. The signature is over the body, whatever its form.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from instances.models import Instance
from polling.delivery.forms import cloudevents, thin
from polling.delivery.forms.shapes import WHOLE, Shape
from polling.delivery.notifications import body_of
from polling.models import Event, NewEvent, Subscription

__all__ = [
    "WHOLE",
    "Form",
    "Rendered",
    "Shape",
    "render",
    "sent_of",
]

Form = Subscription.Form


class Rendered(NamedTuple):
    """A notification's bytes, and their content type; empty: application/json."""

    body: bytes
    content_type: str = ""


def sent_of(event: Event | NewEvent, form: str, shape: Shape = WHOLE) -> NewEvent:
    """Return an event as a subscription sends it, of the shape for its poll."""
    return thin.without_record(event) if form == Form.THIN else shape.sent(event)


def render(form: str, instance: Instance, events: Sequence[NewEvent], *, created_at: datetime) -> Rendered:
    """Write a notification of these events: one to ten, of one resource, as `sent_of` made them. ValueError: no form.

    Equal arguments give equal bytes. `created_at` is said by `elements` alone: what reads the log takes a time of the
    events', so that subscriptions of one form share their bytes whenever each of them was served.
    """
    match Form(form):
        case Form.CLOUDEVENTS:
            return Rendered(*cloudevents.write(instance.pk, events))
        case Form.THIN:
            return Rendered(thin.write(instance.pk, events))
        case Form.ELEMENTS:
            return Rendered(body_of(instance, events[0].object_type, events, created_at))
