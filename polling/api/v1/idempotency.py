"""POST with an Idempotency-Key: asked twice within a day, done once, and answered with the same words.

As in the IETF's draft "The Idempotency-Key HTTP Header Field": 409 while the first request is under way, 422 for a key
that came with another request. Only what succeeded is kept; a refusal has changed nothing and may be asked again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import orjson
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from cwconnect.core.errors import ConflictError, DomainError
from cwconnect.core.openapi import Parameter
from instances.api.authentication import Caller
from instances.secrets import Secret, SecretUnreadableError
from polling.api.v1.base import V1View
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
_KEY = re.compile(rf"[!-~]{{1,{LONGEST_KEY}}}")

View = TypeVar("View", bound=V1View)
Args = ParamSpec("Args")
Handler = Callable[Concatenate[View, Request, Args], Response]


class KeyMisusedError(DomainError):  # not a fault: an answer
    """The key came with another request."""

    status = 422


def idempotent(handler: Handler[View, Args]) -> Handler[View, Args]:
    """Make a POST handler honour the header; without it, nothing is kept."""

    @wraps(handler)
    def wrapped(view: View, request: Request, /, *args: Args.args, **kwargs: Args.kwargs) -> Response:
        key = request.headers.get(HEADER)
        if key is None:
            return handler(view, request, *args, **kwargs)
        if not _KEY.fullmatch(key):
            raise DomainError(f"{HEADER} must have 1 to {LONGEST_KEY} visible characters of ASCII.")
        row, stored = _claim(view.caller, key, request, timezone.now())
        if stored is not None:
            return stored
        try:
            response = handler(view, request, *args, **kwargs)
        except BaseException:
            row.delete()
            raise
        _keep(row, response)
        return response

    return wrapped


def _claim(caller: Caller, key: str, request: Request, now: datetime) -> tuple[IdempotentAnswer, Response | None]:
    """Return the key's row, and its answer if it has one."""
    IdempotentAnswer.objects.filter(created_at__lt=now - KEPT).delete()
    asked = [caller.instance and caller.instance.pk, request.path_info, request.query_params.urlencode()]
    asked.append(_canonical(request.data))
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
    lost = IdempotentAnswer.objects.filter(pk=row.pk, answer=None, created_at__lt=now - LOST_AFTER)
    if not lost.update(created_at=now):
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


def _keep(row: IdempotentAnswer, response: Response) -> None:
    if not 200 <= response.status_code < 300:
        row.delete()
        return
    row.status, row.answer = response.status_code, Secret.of(orjson.dumps(response.data).decode())
    row.save(update_fields=["status", "answer"])


def _replayed(row: IdempotentAnswer) -> Response:
    try:
        data = orjson.loads(row.answer.reveal())
    except SecretUnreadableError as error:
        raise ConflictError(str(error)) from None
    return Response(data, status=row.status, headers={REPLAYED: "true"})
