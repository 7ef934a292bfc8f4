"""Writes through an instance: a hub route's verb, path and body as ConnectWise's, sent once, and what came of it.

No POST is ever sent twice by us. A PATCH, PUT or DELETE is sent again where no connection was made, and where
ConnectWise asks to wait so shortly that it fits into the time of the request. An answer that was lost is said to be
lost: nobody knows whether the write was done. Source: docs/wire-contract.md#writes.

The audit entry is committed before ConnectWise is asked, so that a process that dies on the way leaves one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cwconnect.connectwise.client import Client, Record
from cwconnect.connectwise.errors import (
    BadAnswer,
    ConnectWiseError,
    RateLimited,
    Rejected,
    ServerFault,
    Unreachable,
)
from cwconnect.core.errors import DomainError
from instances import audit
from instances.audit import Action
from instances.hub.bodies import FIXED, Body, check_custom_fields, has_custom_fields, patch_of, read_body
from instances.hub.paths import HubPath
from instances.hub.reads import check_enabled, open_client, shown
from instances.interactive import interactive, wait
from instances.models import Instance

_PAUSES = (0.2, 1.0)  # seconds before a request is sent again that never left
_CONTACTS = "/company/contacts"
_TRANSFER = "transferContactId"
_ACTIONS = {"POST": Action.CREATE_RECORD, "DELETE": Action.DELETE_RECORD}
BEGUN, DONE, NOT_SENT, UNKNOWN = "begun", "done", "not sent", "unknown"


class WritingNotAllowedError(DomainError):  # not a fault: an answer
    """The API key or the instance lacks the right to write to ConnectWise; the message says which, or that both do."""

    status = 403


class OutcomeUnknownError(DomainError):  # as above
    """Nobody knows whether the write was done: ConnectWise's answer was lost, or is a failure of its own."""

    status = 500


@dataclass(frozen=True)
class Written:
    """What a write came to: the record as the instance shows it, None after a DELETE, and which one it is."""

    record: Record | None
    path: str
    record_id: int | None


@dataclass(frozen=True)
class _Call:
    """One request to ConnectWise."""

    method: str
    path: str
    body: Any = None
    params: Mapping[str, str] = field(default_factory=dict)


def check_right(instance: Instance, *, key_writes: bool) -> None:
    """Raise WritingNotAllowedError unless key and instance allow writes; InstanceDisabledError for a disabled one."""
    check_enabled(instance)
    missing = []
    if not key_writes:
        missing.append("the API key may not write to ConnectWise (make one that may: issue_secrets --may-write)")
    if not instance.writes_enabled:
        missing.append("the instance does not allow writes (hub.writes.enabled is false)")
    if missing:
        raise WritingNotAllowedError(f"Nothing was written: {', and '.join(missing)}.")


def write(instance: Instance, target: HubPath, method: str, data: object, query: Mapping[str, str]) -> Written:
    """Do what a hub route asks; whether it may be asked, `check_right` has said.

    `data` is the body as it came. DomainError for what can't be asked, ConnectWiseError for ConnectWise's refusals,
    and OutcomeUnknownError.
    """
    params = _params(query) if method == "DELETE" else {}
    body = {} if method == "DELETE" else _vendor_body(target, data)
    client = open_client(instance)
    place = target.path if target.record_id is None else f"{target.path}/{target.record_id}"
    details = {"record": place, "fields": ", ".join(sorted(body or params)), "outcome": BEGUN}
    action = _ACTIONS.get(method, Action.CHANGE_RECORD)
    entry = audit.record(action, instance, organization=instance.organization, details=details)
    asked = False
    try:
        with interactive(instance.organization_id):
            call = _call(client, target, method, body, params)
            asked = True
            record = _send(client, call)
    except (DomainError, ConnectWiseError) as error:
        outcome = _outcome(error) if asked else NOT_SENT
        audit.end(entry, outcome=outcome)
        raise _explained(error, target, outcome) from error
    record_id = record.get("id") if target.record_id is None else target.record_id
    audit.end(entry, outcome=DONE, **({"id": record_id} if method == "POST" else {}))
    answer = None if method == "DELETE" else shown(instance, target, record)
    return Written(answer, target.path, record_id if isinstance(record_id, int) else None)


def _vendor_body(target: HubPath, data: object) -> Body:
    body = read_body(data)
    if target.mapping is not None:
        body = target.mapping.written(body)
        if not body:
            raise DomainError(f"The body names no field of the transformation {target.mapping.name}.")
    if target.record_id is not None and body.get("id", target.record_id) != target.record_id:
        raise DomainError(f"id: is that of another record than the address, {target.record_id}.")
    if target.record_id is not None and not body.keys() - {*FIXED}:
        raise DomainError("The body names no field that can be changed.")
    check_custom_fields(body)
    if target.given:
        body = {**target.given, **_as_member(body)}
    return body


def _as_member(body: Body) -> Body:
    """Return a new member of a ticket as the schedule entry that makes one."""
    if "member" in body or not body.keys() & {"id", "identifier"}:
        return body
    member = {name: body[name] for name in ("id", "identifier") if name in body}
    return {name: value for name, value in body.items() if name not in member} | {"member": member}


def _params(query: Mapping[str, str]) -> dict[str, str]:
    if _TRANSFER not in query:
        return {}
    if not re.fullmatch(r"[0-9]{1,18}", query[_TRANSFER]):
        raise DomainError(f"{_TRANSFER} must be the id of a contact.")
    return {_TRANSFER: query[_TRANSFER]}


def _call(client: Client, target: HubPath, method: str, body: Body, params: Mapping[str, str]) -> _Call:
    """Return the request to send, after the record was read where its custom fields have to be in it."""
    if target.record_id is None:
        # A PUT of what is attached to a ticket attaches it, which is a POST of ConnectWise's.
        return _Call("POST", target.path, body)
    path = f"{target.path}/{target.record_id}"
    # ConnectWise refuses a PUT of a contact with communicationItems.
    as_patch = target.path.lower() == _CONTACTS and "communicationitems" in map(str.lower, body)
    if method == "PATCH" or (method == "PUT" and as_patch):
        there = client.get(target.path, target.record_id) if has_custom_fields(target.path, body) else {}
        return _Call("PATCH", path, patch_of(target.path, body, there))
    return _Call(method, path, body or None, params)


def _send(client: Client, call: _Call) -> Record:
    pauses = iter(_PAUSES)
    while True:
        try:
            return client.write(call.method, call.path, body=call.body, params=call.params)
        except ConnectWiseError as error:
            pause = _pause(call, error, next(pauses, None))
            if pause is None or not wait(pause):
                raise


def _pause(call: _Call, error: ConnectWiseError, pause: float | None) -> float | None:
    """Return after how many seconds a request is sent again; None where it is not. A POST never is."""
    if call.method == "POST" or pause is None:
        return None
    if isinstance(error, RateLimited):
        return error.retry_after
    return pause if isinstance(error, Unreachable) and not error.sent else None


def _outcome(error: DomainError | ConnectWiseError) -> str:
    if isinstance(error, DomainError) or not error.sent:
        return NOT_SENT
    if isinstance(error, Unreachable | ServerFault) or (isinstance(error, BadAnswer) and not _is_redirect(error)):
        return UNKNOWN
    return f"refused ({error.status})" if error.status else NOT_SENT


def _is_redirect(error: ConnectWiseError) -> bool:
    return error.status is not None and 300 <= error.status < 400


def _explained(error: DomainError | ConnectWiseError, target: HubPath, outcome: str) -> Exception:
    """Return what to raise: the error itself, or in its place one that names fields or says that nobody knows."""
    if isinstance(error, DomainError):
        return error
    if outcome == UNKNOWN:
        words = f"Whether this was done is unknown: {error.message} {how_to_look(target)}"
        return OutcomeUnknownError(words, provider_message=error.message if error.status else "")
    if isinstance(error, Rejected) and error.fields:
        own = target.mapping.own_name if target.mapping else str
        names = ", ".join(dict.fromkeys(own(name) for name in error.fields))
        return DomainError(f"ConnectWise refuses {names}; nothing was written.", provider_message=error.message)
    return error


def how_to_look(target: HubPath) -> str:
    """Say how to find out whether a write was done, in a sentence."""
    name = target.mapping.name if target.mapping else target.path.strip("/")
    if target.record_id is not None:
        return f"Look with GET /hubs/crm/{name}/{target.record_id} before you send it again."
    return f"Look with GET /hubs/crm/{name}?orderBy=id desc before you send it again: it may be there."
