"""What an event records of a record: ConnectWise's own, or the shape of a field mapping that the poll goes by.

What is compared and remembered is always ConnectWise's record, so a mapping changes what is recorded of a change and
never whether there is one (docs/architecture.md#what-kind-of-change).
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from instances.hub.mappings import Mapping, mapping_of
from instances.models import ResourcePoll, Transformation
from instances.plans import Plan
from polling.field_changes import field_changes


@dataclass(frozen=True)
class EventShape:
    """How a poll's events hold records; without a mapping they are ConnectWise's own."""

    mapping: Mapping | None = None

    def text(self, text: str) -> str:
        """Return the text of a record as events have it; ConnectWise's own where the shape is too deep for JSON."""
        if self.mapping is None:
            return text
        with suppress(orjson.JSONEncodeError):
            return orjson.dumps(self.mapping.shown(orjson.loads(text))).decode()
        return text

    def changes(self, before: dict[str, Any], after: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the fields that differ, by the names that they have in the event."""
        if self.mapping is None:
            return field_changes(before, after)
        return field_changes(self.mapping.shown(before), self.mapping.shown(after))


AS_IT_IS = EventShape()


def shapes_of(polls: Iterable[tuple[ResourcePoll, Plan]]) -> dict[int, EventShape]:
    """Return the shapes of those of these polls that go by a mapping of the list that they read, by poll id."""
    wanted = {(poll.instance_id, poll.name): (poll.pk, plan) for poll, plan in polls}
    if not wanted:
        return {}
    instances, names = {instance for instance, _ in wanted}, {name for _, name in wanted}
    found = {}
    for row in Transformation.objects.filter(instance_id__in=instances, name__in=names):
        key, plan = wanted.get((row.instance_id, row.name), (0, None))
        mapping = mapping_of(row)
        if plan is not None and mapping.vendor_path.lower() == plan.hub.path.lower():
            found[key] = EventShape(mapping)
    return found


def shape_of(poll: ResourcePoll, plan: Plan) -> EventShape:
    """Return how one poll's events hold records."""
    return shapes_of([(poll, plan)]).get(poll.pk, AS_IT_IS)
