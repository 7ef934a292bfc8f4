"""`/v1/instances/{id}/token`: a new Element token. The rules are in `instances.credentials.tokens`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from cwconnect.core.errors import DomainError
from cwconnect.core.openapi import Operation, described
from instances.api.permission import MANAGES
from instances.credentials.limits import Limits, limits_of_token
from instances.credentials.limits_given import check_end, read_networks
from instances.credentials.overlap import LONGEST_OVERLAP, OVERLAP
from instances.credentials.tokens import replace_token
from instances.models import Instance
from instances.scopes import Scope
from polling.api.v1.base import SECRETS, Moment, Networks, ScopeName, Shape, Strict, answer, read_body
from polling.api.v1.idempotency import ONCE, POSTED, idempotent
from polling.api.v1.secrets import OrganizationView


class TokenRequest(Strict):
    """How long the present token stays good: a day if not given, the present moment ends it; and the new one's limits.

    Where those are narrower they hold for both at once, where they are wider for the new one alone.
    """

    until: Moment | None = None
    scope: ScopeName | None = Field(None, description="What it lets a key do at most: as before unless said.")
    networks: Networks | None = Field(None, description="From where it is good, in CIDR form: as before unless said.")
    expires_at: Moment | None = Field(None, description="When it ends: never unless said.")


class TokenShape(Shape):
    """What the present token is limited to, beside the API key that it comes with; and when the former one ends."""

    scope: ScopeName
    networks: list[str] = Field(description="From where it is good; empty: from anywhere.")
    expires_at: datetime | None
    previous_token_until: datetime | None


class NewTokenShape(TokenShape):
    """The new token, shown here only."""

    token: str
    previous_token_until: datetime


class TokenView(OrganizationView):
    """`/v1/instances/{id}/token`."""

    scopes = MANAGES

    @described(Operation(SECRETS, "Show what the Element token is limited to", TokenShape, errors=(400, 403)))
    def get(self, request: Request, number: str) -> Response:
        """Show the limits of the token, which itself is shown to nobody."""
        self.no_query()
        return answer(TokenShape(**_columns(self.instance(number))))

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
            body_examples={
                "for a day": {},
                "for a while": {"until": "2026-02-01T12:00:00Z"},
                "narrow": {"scope": "read", "networks": ["203.0.113.0/24"], "expires_at": "2027-01-31T12:00:00Z"},
            },
        )
    )
    @idempotent
    def post(self, request: Request, number: str) -> Response:
        """Replace the token; 201."""
        instance, body, now = self.instance(number), read_body(TokenRequest, request.data), timezone.now()
        until = now + OVERLAP if body.until is None else body.until
        if until > now + LONGEST_OVERLAP:
            raise DomainError("until: must be a time within the next 30 days.")
        token = replace_token(instance, now, until=until, limits=_limits(body, instance, now))
        instance.refresh_from_db()
        return answer(NewTokenShape(token=token, **_columns(instance)), 201)


def _limits(asked: TokenRequest, instance: Instance, now: datetime) -> Limits:
    """Return the limits of the token that is asked for; DomainError."""
    before = limits_of_token(instance)
    if asked.expires_at is not None:
        check_end(asked.expires_at, now)
    return Limits(
        scope=Scope(asked.scope or before.scope),
        networks=before.networks if asked.networks is None else read_networks(asked.networks),
        expires_at=asked.expires_at,
    )


def _columns(instance: Instance) -> dict[str, Any]:
    limits = limits_of_token(instance)
    return {
        "scope": limits.scope.value,
        "networks": list(limits.networks),
        "expires_at": limits.expires_at,
        "previous_token_until": instance.previous_token_until,
    }
