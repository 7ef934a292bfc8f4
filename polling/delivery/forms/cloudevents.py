"""The form `cloudevents`: CloudEvents 1.0 as JSON in the structured mode, several of them as a batch.

Source: https://github.com/cloudevents/spec, spec.md, formats/json-format.md, bindings/http-protocol-binding.md, and the
extensions sequence.md and recordedtime.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

import orjson
from django.conf import settings

from cwconnect.connectwise.singular import singular_of
from cwconnect.core.time import utc_text
from polling.models import NewEvent

ONE: Final = "application/cloudevents+json"
SEVERAL: Final = "application/cloudevents-batch+json"
_TYPE: Final = "com.connectwise.psa"
_DIGITS: Final = 19  # of the largest id: a sequence is compared as text
# What a String of the specification may not hold. Surrogates are in no text of the database.
_NOT_ALLOWED: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef"
    + "".join(f"{chr(plane + 0xFFFE)}-{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000))
    + "]"
)


def source_of(instance_id: int) -> str:
    """Return the URI-reference of an instance: its route, below the address of the service where that is known.

    With the event's id it is how receivers know an event again, so it changes when CWCONNECT_PUBLIC_URL does.
    """
    return f"{settings.PUBLIC_URL}/instances/{instance_id}"


def write(instance_id: int, events: Sequence[NewEvent]) -> tuple[bytes, str]:
    """Return the body of a notification, and its content type."""
    source = source_of(instance_id)
    if len(events) == 1:
        return orjson.dumps(_event(source, events[0])), ONE
    return orjson.dumps([_event(source, event) for event in events]), SEVERAL


def _event(source: str, event: NewEvent) -> dict[str, Any]:
    data = {"record": orjson.Fragment(event.record)}
    if event.changes is not None and not event.changes_for_filters:
        data["changes"] = orjson.Fragment(event.changes)
    return {
        "specversion": "1.0",
        "id": str(event.id),
        "source": source,
        "type": f"{_TYPE}.{singular_of(event.object_type)}.{event.kind.lower()}",
        "subject": _allowed(f"{event.object_type}/{event.object_id}"),
        "time": utc_text(event.occurred_at),
        "datacontenttype": "application/json",
        "sequence": f"{event.id:0{_DIGITS}}",
        "recordedtime": utc_text(event.polled_at),
        "data": data,
    }


def _allowed(text: str) -> str:
    return text if text.isprintable() else _NOT_ALLOWED.sub(lambda found: quote(found[0]), text)
