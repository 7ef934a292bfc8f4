"""`/v1/instances/{id}/token`: a new Element token. The rules are in `instances.credentials.tokens`."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from cwconnect.core.errors import DomainError
from cwconnect.core.openapi import Operation, described
from instances.credentials.overlap import LONGEST_OVERLAP, OVERLAP
from instances.credentials.tokens import replace_token
from polling.api.v1.base import SECRETS, Moment, Shape, Strict, answer, read_body
from polling.api.v1.idempotency import ONCE, POSTED, idempotent
from polling.api.v1.secrets import OrganizationView


class TokenRequest(Strict):
    """How long the present token stays good: a day if not given; the present moment ends it."""

    until: Moment | None = None


class NewTokenShape(Shape):
    """The new token, shown here only, and when the former one ends."""

    token: str
    previous_token_until: datetime


class TokenView(OrganizationView):
    """`/v1/instances/{id}/token`."""

    @described(
        Operation(
            SECRETS,
            "Make a new Element token, and keep the present one good for a day",
            NewTokenShape,
            201,
            body=TokenRequest,
            body_required=False,
            headers=ONCE,
            errors=(403, *POSTED),
            body_examples={"for a day": {}, "for a while": {"until": "2026-02-01T12:00:00Z"}},
        )
    )
    @idempotent
    def post(self, request: Request, number: str) -> Response:
        """Replace the token; 201."""
        instance, body, now = self.instance(number), read_body(TokenRequest, request.data), timezone.now()
        until = now + OVERLAP if body.until is None else body.until
        if until > now + LONGEST_OVERLAP:
            raise DomainError("until: must be a time within the next 30 days.")
        token = replace_token(instance, now, until=until)
        return answer(NewTokenShape(token=token, previous_token_until=until), 201)
