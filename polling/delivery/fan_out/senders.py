"""How subscriptions send the events of an instance: in which form, which fields, by which mapping, of which poll."""

from __future__ import annotations

from collections.abc import Collection

import orjson

from cwconnect.connectwise.catalogue import find_resource
from cwconnect.core.errors import DomainError
from instances.configuration.polls import PollConfigurationError, plan_of
from instances.hub.mappings import Mapping as FieldMapping
from instances.hub.mappings import mapping_named
from instances.models import Instance, ResourcePoll
from polling.delivery.fan_out.claims import Asks
from polling.delivery.fan_out.judged import UnreadableError
from polling.delivery.fan_out.order import Sent
from polling.delivery.fan_out.pages import LogEvent
from polling.delivery.forms import WHOLE, Form, Shape, sent_of
from polling.models import NewEvent

_Of = tuple[int | None, str]  # a poll, none where it is gone, and what its events are of


class Senders:
    """The ways of sending of some instances' subscriptions, as things stand when it is made.

    What mappings and polls say is read once, however many subscriptions ask for it.
    """

    def __init__(self, instances: Collection[Instance]) -> None:
        self._instances = {instance.pk: instance for instance in instances}
        self._mappings: dict[tuple[int, str], FieldMapping | None] = {}
        self._polls: dict[_Of, tuple[str, FieldMapping | None]] = {}

    def sender(self, instance_id: int, asks: Asks) -> Sent:
        """Return what makes of an event what is sent of it; UnreadableError."""
        if asks.form not in Form.values:
            raise UnreadableError(f"There is no form {asks.form}.")
        instance = self._instances[instance_id]
        shape = Shape.of(_fields(asks.fields), self._mapping(instance, asks.mapping))
        shapes: dict[_Of, Shape] = {}

        def sent(read: LogEvent) -> NewEvent:
            of = read.poll_id, read.event.object_type
            if of not in shapes:
                shapes[of] = shape if shape.mapping is None else shape.for_poll(*self._poll(instance, of))
            of_poll = shapes[of]
            if of_poll == WHOLE and asks.form != Form.THIN and not read.event.changes_for_filters:
                return read.event
            return sent_of(read.event, asks.form, of_poll)

        return sent

    def _mapping(self, instance: Instance, name: str) -> FieldMapping | None:
        key = instance.pk, name
        if key not in self._mappings:
            self._mappings[key] = _read_mapping(instance, name)
        return self._mappings[key]

    def _poll(self, instance: Instance, of: _Of) -> tuple[str, FieldMapping | None]:
        if of not in self._polls:
            self._polls[of] = _read_poll(instance, *of)
        return self._polls[of]


def _read_poll(instance: Instance, poll_id: int | None, object_type: str) -> tuple[str, FieldMapping | None]:
    """Return the path of what a poll recorded, and the mapping that it goes by itself."""
    poll = ResourcePoll.objects.filter(pk=poll_id or 0).first()
    if poll is None:  # it is gone: its list was that of its name
        known = find_resource(object_type)
        return known.path if known else "", None
    try:
        path = plan_of(poll.name, poll.configuration).hub.path
    except PollConfigurationError:
        path = ""
    return path, mapping_named(instance, poll.name)


def _fields(text: str) -> tuple[str, ...]:
    names = orjson.loads(text)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UnreadableError("Its fields can't be read any more: they are no list of names.")
    return tuple(names)


def _read_mapping(instance: Instance, name: str) -> FieldMapping | None:
    if not name:
        return None
    try:
        found = mapping_named(instance, name)
    except (DomainError, KeyError, TypeError, ValueError) as error:
        raise UnreadableError(f"The field mapping {name} can't be read any more: {error}.") from None
    if found is None:
        raise UnreadableError(f"There is no field mapping {name} any more.")
    return found
