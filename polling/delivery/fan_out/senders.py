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


class Senders:
    """The ways of sending of some instances' subscriptions, as things stand when it is made."""

    def __init__(self, instances: Collection[Instance]) -> None:
        self._instances = {instance.pk: instance for instance in instances}

    def sender(self, instance_id: int, asks: Asks) -> Sent:
        """Return what makes of an event what is sent of it; UnreadableError."""
        if asks.form not in Form.values:
            raise UnreadableError(f"There is no form {asks.form}.")
        instance = self._instances[instance_id]
        shape = Shape.of(_fields(asks.fields), _mapping(instance, asks.mapping))
        shapes: dict[int | None, Shape] = {}

        def sent(read: LogEvent) -> NewEvent:
            if read.poll_id not in shapes:
                shapes[read.poll_id] = _of_poll(instance, shape, read)
            of_poll = shapes[read.poll_id]
            if of_poll == WHOLE and asks.form != Form.THIN and not read.event.changes_for_filters:
                return read.event
            return sent_of(read.event, asks.form, of_poll)

        return sent


def _of_poll(instance: Instance, shape: Shape, read: LogEvent) -> Shape:
    """Return the shape of what a poll recorded."""
    if shape.mapping is None:
        return shape
    poll = ResourcePoll.objects.filter(pk=read.poll_id or 0).first()
    if poll is None:  # it is gone: its list was that of its name
        known = find_resource(read.event.object_type)
        return shape.for_poll(known.path if known else "")
    try:
        path = plan_of(poll.name, poll.configuration).hub.path
    except PollConfigurationError:
        path = ""
    return shape.for_poll(path, mapping_named(instance, poll.name))


def _fields(text: str) -> tuple[str, ...]:
    names = orjson.loads(text)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UnreadableError("Its fields can't be read any more: they are no list of names.")
    return tuple(names)


def _mapping(instance: Instance, name: str) -> FieldMapping | None:
    if not name:
        return None
    try:
        found = mapping_named(instance, name)
    except (DomainError, KeyError, TypeError, ValueError) as error:
        raise UnreadableError(f"The field mapping {name} can't be read any more: {error}.") from None
    if found is None:
        raise UnreadableError(f"There is no field mapping {name} any more.")
    return found
