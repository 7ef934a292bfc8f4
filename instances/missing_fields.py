"""Configured fields that records turn out not to have, by the key that names them: a warning on the poll that lasts.

Nothing is lost by such a mistake (ConnectWise's own stamp and id stand in), but its owner is to learn of it: when the
poll is set up, as far as a record can be looked at, and by what later polls read. One record may lack what others have,
so nothing is refused for it, and the warning goes as soon as a record has the field.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cwconnect.connectwise.client import Record
from cwconnect.connectwise.hub_url import field_value
from instances.configuration.polls import plan_of
from instances.models import ResourcePoll
from instances.plans import OWN_STAMP, Plan

UPDATED, CREATED, ID = "datesConfiguration.updatedDateField", "datesConfiguration.createdDateField", "idField"


@dataclass(frozen=True)
class FieldsFound:
    """Of some records: the keys whose field at least one of them has, and those whose field none has."""

    present: frozenset[str]
    absent: frozenset[str]


def fields_found(records: Sequence[Record], plan: Plan) -> FieldsFound:
    """Look for the plan's fields in records; without a record nothing is known of any."""
    checks: dict[str, Callable[[Record], bool]] = {
        UPDATED: lambda record: not plan.stamp(record).problem,
        ID: lambda record: not isinstance(field_value(record, plan.id_field), dict | list | None),
    }
    if plan.created is not None:
        checks[CREATED] = lambda record: _has_created(record, plan)
    present = frozenset(key for key, has in checks.items() if any(map(has, records)))
    return FieldsFound(present, frozenset(checks) - present if records else frozenset())


def _has_created(record: Record, plan: Plan) -> bool:
    try:
        return plan.created is not None and plan.created.read(record) is not None
    except ValueError:
        return False


def still_missing(missing: Collection[str], found: FieldsFound) -> list[str]:
    """Return the keys whose fields are missing now: those of before that were not found, and those found absent."""
    return sorted((set(missing) - found.present) | found.absent)


def fields_named(configuration: Mapping[str, Any], name: str) -> dict[str, object]:
    """Return what a configuration of resource `name` says of its fields, to see whether it was changed."""
    plan = plan_of(name, configuration)
    return {UPDATED: plan.updated, CREATED: plan.created, ID: plan.id_field}


def warnings_of(poll: ResourcePoll) -> list[str]:
    """Return a sentence for each configured field that no record had when last records were read."""
    if not poll.missing_fields:
        return []
    plan = plan_of(poll.name, poll.configuration)
    created = plan.created.field if plan.created else ""
    instead = f"{OWN_STAMP} is used in its place"
    if plan.updated.field == OWN_STAMP:
        instead = "what ConnectWise's condition selects is recorded, and compared by its content from then on"
    words = {
        UPDATED: f"No record read has {plan.updated.field} as a readable date ({UPDATED}): {instead}.",
        CREATED: f"No record read has {created} as a readable date ({CREATED}): only the id shows what is new.",
        ID: f"No record read has {plan.id_field} ({ID}): events bear the record's id as objectId.",
    }
    return [words[key] for key in poll.missing_fields if key in words]
