"""A request with an Idempotency-Key: asked twice within a day, done once, and answered with the same words.

As in the IETF's draft "The Idempotency-Key HTTP Header Field": 409 while the first request is under way, 422 for a key
that came with another request. Only what succeeded is kept; a refusal has changed nothing and may be asked again. A
write to ConnectWise whose answer was lost is not done again under its key: 409 says that nobody knows.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import orjson
from django.db import InterfaceError, OperationalError
from django.http import Http404
from django.utils import timezone
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response

from cwconnect.connectwise.errors import ConnectWiseError
from cwconnect.core.errors import ConflictError, DomainError
from cwconnect.core.openapi import Parameter
from instances.api.authentication import Caller
from instances.api.instances import ApiView
from instances.hub.writes import OutcomeUnknownError
from instances.secrets import Secret, SecretUnreadableError
from polling.models.idempotency import IdempotentAnswer

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
KEPT = timedelta(hours=24)
LOST_AFTER = timedelta(minutes=5)  # a request still without an answer died with its process
LONGEST_KEY = 255
# What the OpenAPI description says of an idempotent POST: its header, and how it can be refused.
ONCE = (
    Parameter(
        HEADER,
        {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[!-~]+$"},
        "A POST with the same key is done once within 24 hours, and answered with the same words.",
        place="header",
    ),
)
POSTED = (400, 409, 415, 422)
UNKNOWN = (
    f"Whether the request with this {HEADER} was done is unknown: its answer was lost. Look whether the record is as "
    "it should be, by a GET of it, or of its list with orderBy=id desc; then send what is missing with another key."
)
_KEY = re.compile(rf"[!-~]{{1,{LONGEST_KEY}}}")

log = logging.getLogger(__name__)
View = TypeVar("View", bound=ApiView)
Args = ParamSpec("Args")
Handler = Callable[Concatenate[View, Request, Args], Response]


class KeyMisusedError(DomainError):  # not a fault: an answer
    """The key came with another request."""

    status = 422


def idempotent(handler: Handler[View, Args]) -> Handler[View, Args]:
    """Make a POST handler honour the header; without it, nothing is kept."""

    @wraps(handler)
    def wrapped(view: View, request: Request, /, *args: Args.args, **kwargs: Args.kwargs) -> Response:
        row, stored = _begin(view, request, again=True)
        if stored is not None:
            return stored
        try:
            response = handler(view, request, *args, **kwargs)
        except BaseException:
            _forget(row)
            raise
        _keep(row, response)
        return response

    return wrapped


def idempotent_write(handler: Handler[View, Args]) -> Handler[View, Args]:
    """Make a handler that writes to ConnectWise honour the header: what may have been done is not done again.

    A key is freed by a refusal alone. Where the answer was lost, or the process died, it answers 409 until it is
    forgotten. What was done is answered also where the database can't keep that: then its key says 409.
    """

    @wraps(handler)
    def wrapped(view: View, request: Request, /, *args: Args.args, **kwargs: Args.kwargs) -> Response:
        row, stored = _begin(view, request, again=False)
        if stored is not None:
            return stored
        try:
            response = handler(view, request, *args, **kwargs)
        except OutcomeUnknownError as error:
            if row is not None:
                IdempotentAnswer.objects.filter(pk=row.pk).update(status=error.status)
            raise
        except (DomainError, ConnectWiseError, APIException, Http404):
            _forget(row)
            raise
        try:
            _keep(row, response)
        except (OperationalError, InterfaceError) as error:
            log.error("What a write was answered can't be kept under its %s: %s", HEADER, error)
        return response

    return wrapped


def _begin(view: ApiView, request: Request, *, again: bool) -> tuple[IdempotentAnswer | None, Response | None]:
    """Return the row of the request's key, and its answer if it has one; neither without the header."""
    key = request.headers.get(HEADER)
    if key is None:
        return None, None
    if not _KEY.fullmatch(key):
        raise DomainError(f"{HEADER} must have 1 to {LONGEST_KEY} visible characters of ASCII.")
    return _claim(view.caller, key, request, timezone.now(), again=again)


def _claim(
    caller: Caller, key: str, request: Request, now: datetime, *, again: bool
) -> tuple[IdempotentAnswer, Response | None]:
    """Return the key's row, and its answer if it has one; `again`: one that lost its answer may be done once more."""
    IdempotentAnswer.objects.filter(created_at__lt=now - KEPT).delete()
    asked = [caller.instance and caller.instance.pk, request.path_info, request.query_params.urlencode()]
    asked.append(_canonical(request.data))
    if request.method != "POST":
        asked.append(request.method)
    fingerprint = _hash(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS).decode())
    row, created = IdempotentAnswer.objects.get_or_create(
        organization=caller.organization,
        key_hash=_hash(f"{caller.user.pk}:{key}"),
        defaults={"fingerprint": fingerprint, "created_at": now},
    )
    if created:
        return row, None
    if row.fingerprint != fingerprint:
        raise KeyMisusedError(f"This {HEADER} came with another request before; use a new one for each request.")
    if row.answer is not None:
        return row, _replayed(row)
    if not again and (row.status is not None or row.created_at < now - LOST_AFTER):
        raise ConflictError(UNKNOWN)
    lost = IdempotentAnswer.objects.filter(pk=row.pk, answer=None, created_at__lt=now - LOST_AFTER)
    if not again or not lost.update(created_at=now):
        raise ConflictError(f"A request with this {HEADER} is still under way; ask again in a moment.")
    return row, None


def _canonical(data: Any) -> Any:
    try:
        orjson.dumps(data)
    except orjson.JSONEncodeError:
        return repr(data)  # numbers beyond 64 bits
    return data


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _forget(row: IdempotentAnswer | None) -> None:
    if row is not None:
        row.delete()


def _keep(row: IdempotentAnswer | None, response: Response) -> None:
    if row is None or not 200 <= response.status_code < 300:
        _forget(row)
        return
    row.status, row.answer = response.status_code, Secret.of(orjson.dumps(response.data).decode())
    row.save(update_fields=["status", "answer"])


def _replayed(row: IdempotentAnswer) -> Response:
    try:
        data = orjson.loads(row.answer.reveal())
    except SecretUnreadableError as error:
        raise ConflictError(str(error)) from None
    return Response(data, status=row.status, headers={REPLAYED: "true"})
