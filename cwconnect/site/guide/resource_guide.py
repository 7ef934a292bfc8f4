"""What the event catalogue says of a resource: its events, its fields, its poll, and whether it is called back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.utils.text import Truncator

from cwconnect.connectwise.callbacks.types import type_of_path
from cwconnect.connectwise.catalogue import UPDATED_FIELD, default_configuration
from cwconnect.connectwise.field_table import fields_of
from cwconnect.connectwise.resource import Resource
from cwconnect.site.guide.samples import sample_record
from polling.models import Event

_MEANINGS = {
    "id": "ConnectWise’s own id: by it the record is known; the event’s objectId unless idField says otherwise",
    UPDATED_FIELD: "when it last changed: by it the resource is polled, and it becomes the event’s date",
    "_info.updatedBy": "who changed it",
    "customFields": "the custom fields of your ConnectWise, as a list",
}
_DESCRIBED = {"string": "text", "integer": "number", "object": "reference", "array": "list"}
_CREATED = "when it was made (createdDateField)"


@dataclass(frozen=True)
class RecordField:
    """A field of a resource's records: its dotted name, what it holds, an example, and what it means to a poll."""

    name: str
    holds: str
    example: str
    words: str = ""


@dataclass(frozen=True)
class KindOfEvent:
    """When a resource has an event of a kind."""

    kind: Event.Kind
    words: str


@dataclass(frozen=True)
class ResourceGuide:
    """One resource of the catalogue, explained."""

    resource: Resource
    kinds: tuple[KindOfEvent, ...]
    fields: tuple[RecordField, ...]
    configuration: str
    callback_type: str | None

    def kind(self, name: str) -> KindOfEvent:
        """Return one kind of event by its name, in any case; UPDATED, the usual one, for any other."""
        return next((each for each in self.kinds if each.kind == name.upper()), self.kinds[1])


@cache
def guide_of(resource: Resource) -> ResourceGuide:
    """Explain one resource."""
    return ResourceGuide(
        resource=resource,
        kinds=tuple(KindOfEvent(Event.Kind(kind), words) for kind, words in _kinds(resource).items()),
        fields=tuple(_fields(resource)),
        configuration=json.dumps({resource.name: default_configuration(resource)}, indent=2),
        callback_type=type_of_path(resource.path),
    )


def _kinds(resource: Resource) -> Mapping[str, str]:
    """Say when there is an event of each kind (docs/architecture.md#what-kind-of-change)."""
    created = "A record was made since watching began: its id is above the largest one of that moment."
    if resource.created_field is None:
        created += " ConnectWise gives these records no date of creation."
    deleted = "It is gone. Only with detectDeletes, which compares all ids once a day, or as often as you say"
    deleted += "; or it has ConnectWise’s deletedFlag." if "deletedFlag" in resource.field_types else "."
    updated = "A record that was there before has changed. With trackChanges the event says which fields."
    return {"CREATED": created, "UPDATED": updated, "DELETED": deleted}


def _fields(resource: Resource) -> Iterator[RecordField]:
    """Yield the fields of the sample, then those that ConnectWise describes besides, of which there is no example."""
    meanings = {**_MEANINGS, **({resource.created_field: _CREATED} if resource.created_field else {})}
    seen = dict(_flat(sample_record(resource.name)))
    for name, value in seen.items():
        holds = resource.field_types.get(name) or _form_of(value)
        example = Truncator(json.dumps(value, ensure_ascii=False)).chars(80)
        yield RecordField(name, holds, example, meanings.get(name, ""))
    if resource.own_types is None:
        for field in fields_of(resource.path):
            if field.name not in seen and field.name != "_info":
                yield RecordField(field.name, _DESCRIBED.get(field.type, field.type), "", meanings.get(field.name, ""))


def _flat(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Return each field with its value; those of `_info` by their dotted names, references as what they are."""
    for name, value in record.items():
        if name == "_info":
            yield from ((f"_info.{inner}", part) for inner, part in value.items())
        else:
            yield name, value


def _form_of(value: Any) -> str:
    """Say what a value is, as somebody who reads it in a program would."""
    if isinstance(value, Mapping):
        return f"reference: {', '.join(value)}"
    if isinstance(value, list):
        return "list"
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else "text"
