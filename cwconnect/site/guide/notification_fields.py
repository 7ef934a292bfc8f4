"""What each field of a notification means, by its path; `R` stands for the resource's name.

Source: docs/wire-contract.md#5-the-notification. A test finds a field of a sample that is not here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

NOTIFICATION_FIELDS: Final[Mapping[str, str]] = {
    "id": "the notification’s number: it grows, so work in its order; that of its first event",
    "severity": "always low",
    "topic": "which instance’s events these are",
    "createdDate": "when the notification was made, in UTC",
    "message.elementKey": "the connector: always connectwisecrmrest",
    "message.accountId": "the organization",
    "message.companyId": "the organization, once more",
    "message.userId": "the API user that created the instance; 0 where a person did on a page",
    "message.instanceId": "the instance",
    "message.instance_id": "the instance, once more",
    "message.instanceName": "its name",
    "message.instanceTags": "its tags",
    "message.eventId": "the first event’s id, as text",
    "message.events[].objectType": "the resource",
    "message.events[].objectId": "the record’s id, always as text",
    "message.events[].date": "when the record changed, in UTC: of two events of a record the larger one is newer",
    "message.events[].pollDate": "when the poll saw it, in UTC",
    "message.events[].eventType": "CREATED, UPDATED or DELETED",
    "message.events[].elementKey": "the connector",
    "message.events[].hubKey": "always crm",
    "message.events[].changes": "with trackChanges: the fields that changed, each with from and to; [] where only the "
    "stamp moved, null where the earlier content was not kept",
    "message.raw.R": "the records, one for each of events, in the same order; of a deleted one the last that was known",
    "message.raw.instance_id": "the instance",
    "message.raw.eventId": "the first event’s id",
    "message.raw.objectType": "the resource: the name under which the records stand",
    "message.raw.events": "the same objects as message.events",
}


def field_paths(body: Mapping[str, Any], resource: str) -> Iterator[str]:
    """Return the paths of a notification's fields as the table has them; what records hold is the resource's own."""
    for name, value in body.items():
        if name == "message":
            yield from (f"message.{path}" for path in _paths_of_message(value, resource))
        else:
            yield name


def _paths_of_message(message: Mapping[str, Any], resource: str) -> Iterator[str]:
    for name, value in message.items():
        if name == "events":
            yield from (f"events[].{inner}" for event in value for inner in event)
        elif name == "raw":
            yield from (f"raw.{'R' if inner == resource else inner}" for inner in value)
        else:
            yield name
