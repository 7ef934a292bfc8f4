"""What follows `/hubs/{hub}/`: a list of ConnectWise or a record of it, and by which verbs it may be asked.

Beside the hub names of the catalogue any `/{module}/{resource}` of ConnectWise is taken as given. Some lists below a
record have names of the hub's own. Source: docs/wire-contract.md#writes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cwconnect.connectwise.catalogue import find_resource
from cwconnect.connectwise.only_per_record import find_per_record
from cwconnect.core.errors import DomainError
from instances.hub import mappings
from instances.models import Instance

FIELDS, _FIELDS_PATH = "fields", "/system/userDefinedFields"
TICKETS = {"/service/tickets": "ServiceTicket", "/project/tickets": "ProjectTicket"}
_TYPE_OF_TICKETS = {"/service/tickets": "S", "/project/tickets": "P"}  # of schedule entries, by ConnectWise's key
_READ = ("GET", "HEAD", "OPTIONS")
_LIST = ("GET", "POST", "HEAD", "OPTIONS")
_ATTACHED = ("GET", "POST", "PUT", "HEAD", "OPTIONS")
_RECORD = ("GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_NUMBER = re.compile(r"[0-9]+")
_MOST_DIGITS = 18
# So that no path becomes another one on its way (`..`, `%73ystem`), nor a query, nor holds what no database takes.
_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")


class NoRecordError(DomainError):  # not a fault: an answer
    """An id that no record can have."""

    status = 404


@dataclass(frozen=True)
class HubPath:
    """What a hub route's path means: a list of ConnectWise, or one record of it; `mapping` has its fields' names.

    `condition` is ConnectWise's own, for a list that is a part of another; `given` are the members that make a new
    record one of that part. `verbs` are those that it may be asked by.
    """

    path: str
    record_id: int | None
    mapping: mappings.Mapping | None = None
    condition: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)
    verbs: tuple[str, ...] = _LIST


def find_path(instance: Instance, text: str) -> HubPath:
    """Read what follows `/hubs/{hub}/`, where a list, or a record of it, may go by a mapping's name. DomainError."""
    match = re.fullmatch(r"/*([^/]+)(?:/+([0-9]+))?/*", text)
    mapping = mappings.mapping_named(instance, match[1]) if match else None
    if match is None or mapping is None:
        return parse_path(text)
    path, record_id = mapping.vendor_path, _id(match[2]) if match[2] else None
    return HubPath(path, record_id, mapping, verbs=_verbs(path, record_id))


def parse_path(text: str) -> HubPath:
    """Read what follows `/hubs/{hub}/`; a number at the end is a record's id. Raises DomainError."""
    segments = [segment for segment in text.split("/") if segment]
    if not all(map(_SEGMENT.fullmatch, segments)):
        raise DomainError(f"There is no resource {text[:200]!r}: names hold letters, digits, - and _ alone.")
    record_id = _id(segments.pop()) if len(segments) > 1 and _NUMBER.fullmatch(segments[-1]) else None
    if [segment.lower() for segment in segments] == [FIELDS]:
        return HubPath(_FIELDS_PATH, record_id, verbs=_RECORD if record_id is not None else _LIST)
    resource = find_resource(segments[0]) if segments else None
    if resource is not None and len(segments) == 3 and resource.path in TICKETS and _NUMBER.fullmatch(segments[1]):
        return _of_ticket(resource.path, int(segments[1]), segments[2], record_id)
    if resource is None and len(segments) < 2:
        beneath = find_per_record(segments[0]) if segments else None
        raise DomainError(
            f"{beneath.words}."
            if beneath
            else f"There is no resource {text!r}; one that the catalogue lacks is written with its module: "
            "finance/taxCodes."
        )
    path = "/".join((resource.path, *segments[1:])) if resource else "/" + "/".join(segments)
    return HubPath(path, record_id, verbs=_verbs(path, record_id))


def allowed_verbs(text: str) -> tuple[str, ...]:
    """Return the verbs by which a path may be asked, as far as its text says; all of a list where it is none."""
    try:
        return parse_path(text).verbs
    except DomainError:  # a mapping's name maybe, or nothing: that is said where it is read
        return _RECORD if re.fullmatch(r"/*[^/].*/[0-9]+/*", text) else _LIST


def lists_of(path: str, record_id: int | None) -> dict[str, int | None]:
    """Return the lists that a write to a record of `path` may change, in small letters, each with its record.

    That is its own, and those of the records above it: a note changes its ticket.
    """
    found = {path.lower(): record_id}
    while match := re.fullmatch(r"(/.+)/([0-9]{1,18})/[^/]+", path):
        path = match[1]
        found[path.lower()] = int(match[2])
    return found


def _id(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise NoRecordError("There is no record of that id.")
    return int(text)


def _verbs(path: str, record_id: int | None) -> tuple[str, ...]:
    """Nothing below /system is written by its path: whoever may write tickets is not to make members and roles."""
    if path.lower().startswith("/system/"):
        return _READ
    return _LIST if record_id is None else _RECORD


def _of_ticket(tickets: str, ticket: int, child: str, record_id: int | None) -> HubPath:
    """Read a list below a ticket. ConnectWise keeps time and members in lists of their own, by the ticket's id."""
    verbs: tuple[str, ...] = _LIST if record_id is None else _RECORD
    match child.lower():
        case "comments":
            return HubPath(f"{tickets}/{ticket}/notes", record_id, verbs=verbs)
        case "configurations":
            verbs = _ATTACHED if record_id is None else _RECORD
            return HubPath(f"{tickets}/{ticket}/configurations", record_id, verbs=verbs)
        case "time-entries":
            mine = f'chargeToId={ticket} and chargeToType="{TICKETS[tickets]}"'
            return HubPath("/time/entries", record_id, condition=mine, verbs=_READ)
        case "members":
            kind = _TYPE_OF_TICKETS[tickets]
            mine = f'objectId={ticket} and type/identifier="{kind}"'
            given = {"objectId": ticket, "type": {"identifier": kind}}
            return HubPath("/schedule/entries", record_id, condition=mine, given=given, verbs=verbs)
    return HubPath(f"{tickets}/{ticket}/{child}", record_id, verbs=verbs)
