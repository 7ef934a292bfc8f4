"""Which API keys and Element tokens of an organization expire within two weeks, for the overview."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cwconnect.core.one_statement import Question, Row, time_of
from instances.models import ApiUser, Instance

MOST = 5  # of either, those that end first


@dataclass(frozen=True)
class Expiring:
    """A key by its name, or the token of an instance, and when it ends."""

    name: str
    ends: datetime
    instance_id: int | None = None


def expiring_questions(organization: int, now: datetime, soon: datetime) -> dict[str, Question]:
    """Return the queries that `expiring_of` reads; `soon` is the end of what is near."""
    keys = ApiUser.objects.filter(organization=organization, secret_hash__isnull=False)
    keys = keys.filter(expires_at__gt=now, expires_at__lte=soon).order_by("expires_at")
    tokens = Instance.objects.filter(organization=organization, token_expires_at__gt=now, token_expires_at__lte=soon)
    return {
        "ending_keys": (keys[:MOST], ("name", "expires_at")),
        "ending_tokens": (tokens.order_by("token_expires_at")[:MOST], ("pk", "name", "token_expires_at")),
    }


def expiring_of(found: Mapping[str, Sequence[Row]]) -> list[Expiring]:
    """Return what expires soon, in the order in which it ends."""
    keys = [Expiring(row["name"], time_of(str(row["expires_at"]))) for row in found["ending_keys"]]
    tokens = [Expiring(row["name"], time_of(str(row["token_expires_at"])), row["pk"]) for row in found["ending_tokens"]]
    return sorted([*keys, *tokens], key=lambda each: (each.ends, each.name))
