"""Who changed what: one row for each thing a person or a program did, written in the transaction that did it.

The functions that change something call `record` themselves; who acts is known from the request that is being answered
or from the command that runs. A row names the fields that changed and never holds a secret, nor a URL with its query.
"""

from __future__ import annotations

import getpass
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from pathlib import Path
from typing import Any

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from cwconnect.core.request_ids import current_request_id
from instances.configuration.config_keys import KEYS, POLLS, InstanceConfig
from instances.models import AuditEntry, Instance, Organization

log = logging.getLogger(__name__)
_request: ContextVar[HttpRequest | None] = ContextVar("audit_request", default=None)
_asked_by: ContextVar[tuple[str, str] | None] = ContextVar("audit_asked_by", default=None)  # who, and the request's id


class Action(StrEnum):
    """What was done."""

    CREATE_INSTANCE = "instance created"
    CHANGE_INSTANCE = "instance changed"
    ENABLE = "instance enabled"
    DISABLE = "instance disabled"
    DELETE_INSTANCE = "instance deleted"
    PUT_TRANSFORMATION = "field mapping set"
    DELETE_TRANSFORMATION = "field mapping deleted"
    CREATE_SUBSCRIPTION = "subscription created"
    CHANGE_SUBSCRIPTION = "subscription changed"
    DELETE_SUBSCRIPTION = "subscription deleted"
    CREATE_RECORD = "record created in ConnectWise"
    CHANGE_RECORD = "record changed in ConnectWise"
    DELETE_RECORD = "record deleted in ConnectWise"
    SIGN_IN = "signed in"
    SIGN_IN_FAILED = "sign-in failed"
    SIGN_OUT = "signed out"
    END_SESSIONS = "sessions ended"
    CREATE_ACCOUNT = "account created"
    CHANGE_PASSWORD = "password changed"  # noqa: S105  (words, not a secret)
    ROTATE_SIGNATURE_KEY = "signature key rotated"
    INVITE = "person invited"
    REVOKE_INVITATION = "invitation revoked"
    JOIN = "person joined"
    CHANGE_ROLE = "role changed"
    REMOVE_PERSON = "person removed"
    LEAVE = "person left"
    CHANGE_ADDRESS = "mail address changed"
    LINK_ISSUER = "sign-in by issuer linked"
    UNLINK_ISSUER = "sign-in by issuer unlinked"
    ADD_FACTOR = "second factor added"
    RENAME_FACTOR = "passkey renamed"
    REMOVE_FACTOR = "second factor removed"
    MAKE_CODES = "recovery codes made"
    USE_CODE = "recovery code used"
    REQUIRE_FACTOR = "second factor required"
    LET_IN = "let in by a command"
    BACKFILL = "backfill asked for"
    ISSUE_SECRETS = "secrets issued"
    REPLACE_TOKEN = "token replaced"  # noqa: S105  (words, not a secret)
    REVOKE_SECRET = "secret revoked"  # noqa: S105  (words, not a secret)
    REFUSE_ADDRESS = "address refused"
    PAUSE = "delivery paused"
    RELEASE = "delivery released"
    REPLAY = "notifications replayed"
    DISMISS_GIVEN_UP = "given up notifications dismissed"
    REPAIR = "repair asked for"
    REMOVE_CALLBACKS = "callbacks removed"
    DECIDE_DELETES = "held deletes decided"
    START_JOB = "bulk job started"
    STOP_JOB = "bulk job stopped"
    START_COPY = "copy asked for"
    CANCEL_COPY = "copy cancelled"
    DOWNLOAD_COPY = "copy downloaded"
    ADD_ALERT_DESTINATION = "alert destination added"
    CHANGE_ALERT_DESTINATION = "alert destination changed"
    REMOVE_ALERT_DESTINATION = "alert destination removed"
    TEST_ALERT_DESTINATION = "test alert sent"
    MUTE_ALERTS = "alerts muted"
    UNMUTE_ALERTS = "alerts unmuted"
    ACKNOWLEDGE_ALERT = "alert acknowledged"
    ROTATE_KEYS = "encryption keys rotated"
    RESTORE = "database restored"
    ADMIN = "changed in the admin"


class AuditMiddleware:
    """Remembers the request that is being answered, so that `record` knows who asked for what is done."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer one request."""
        token = _request.set(request)
        try:
            return self.get_response(request)
        finally:
            _request.reset(token)


def record(
    action: Action, subject: object, *, organization: Organization | None, details: Mapping[str, Any] | None = None
) -> AuditEntry:
    """Write one row; to be called in the transaction that does what it describes."""
    return AuditEntry.objects.create(
        organization=organization,
        actor=who()[:200],
        action=action,
        subject=str(subject)[:300],
        details=dict(details or {}),
        request_id=asking_request_id(),
        instance_number=_number_of(subject),
    )


def end(entry: AuditEntry, **outcome: Any) -> None:
    """Say in a row what came of something whose row was written, and committed, before it was begun elsewhere.

    Where the database is away just then, the row stays as it was begun: what was done is done all the same.
    """
    try:
        AuditEntry.objects.filter(pk=entry.pk).update(details={**entry.details, **outcome})
    except (OperationalError, InterfaceError) as error:
        log.error("The audit entry %s keeps its beginning alone, of what ended as %s: %s", entry.pk, outcome, error)


@contextmanager
def on_behalf_of(who_asked: str, request_id: str) -> Iterator[None]:
    """Have what the block does recorded as done by who asked for it, in that request, although a worker does it."""
    token = _asked_by.set((who_asked, request_id))
    try:
        yield
    finally:
        _asked_by.reset(token)


def asking_request_id() -> str:
    """Return the id of the request by which what is done now was asked for; empty if it was by none."""
    if (asked := _asked_by.get()) is not None:
        return asked[1]
    return current_request_id() if _request.get() is not None else ""


def _number_of(subject: object) -> int | None:
    """Return the id of the instance that a subject is, or belongs to."""
    return subject.pk if isinstance(subject, Instance) else getattr(subject, "instance_id", None)


def named(username: str) -> str:
    """Return how the log calls a person, as who acts and as who something is done to."""
    return f"account {username}"


def who() -> str:
    """Give in words who acts: an API user, an account, a command and the login that runs it, or the service itself."""
    if (asked := _asked_by.get()) is not None:
        return asked[0]
    request = _request.get()
    if request is None:
        return _process()
    caller = getattr(request, "auth", None)
    if caller is not None:
        return f"API user {caller.user}"
    account = getattr(request, "user", None)
    if account is not None and account.is_authenticated:
        return named(str(account))
    return "somebody not signed in"


def _process() -> str:
    program = Path(sys.argv[0]).name
    if program not in ("manage.py", "cwconnect") or len(sys.argv) < 2:
        return "the service"
    try:
        login = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        login = "an unnamed login"
    return f"{program} {sys.argv[1]}, run by {login}"


def changes(before: InstanceConfig, after: InstanceConfig) -> dict[str, Any]:
    """Return which fields of a configuration differ: `[old, new]` where the values may be shown, else `"changed"`."""
    found: dict[str, Any] = {}
    for key in KEYS:
        old, new = getattr(before, key.field), getattr(after, key.field)
        if old != new and key.name != POLLS:
            found[key.field] = [old, new] if key.audited else "changed"
    for poll in sorted({*before.polls, *after.polls}):
        if before.polls.get(poll) != after.polls.get(poll):
            kind = "added" if poll not in before.polls else "removed" if poll not in after.polls else "changed"
            found[f"polls.{poll}"] = kind
    return found
