"""Element tokens: made, replaced without a gap, and read again where the operator allows it.

A new token leaves the one before it good until a given time (a day by default), so that every program may take up the
new one meanwhile. One former token is kept: a second replacement within that time ends the first one's. Where the new
one is narrower that holds for both from then on, and where it is wider for the new one alone.

Tokens are recognised by their hash. With CWCONNECT_READABLE_TOKENS those made from then on are kept encrypted as well,
for programs that read them in `GET /instances` (docs/wire-contract.md#2-instances).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from django.conf import settings
from django.db import transaction

from instances import audit
from instances.audit import Action
from instances.credentials.limits import Limits, changes, limits_of_token, put_token_limits
from instances.credentials.overlap import OVERLAP
from instances.models import Instance
from instances.secrets import Secret, SecretUnreadableError, hash_token, new_token

_LIMITS = ("token_scope", "token_networks", "token_expires_at")
_FORMER = ("previous_token_hash", "previous_token_until", "previous_token_scope", "previous_token_networks")


def put_token(instance: Instance) -> str:
    """Make a token and put it into the row, unsaved; return it, to be shown once."""
    token = new_token()
    instance.token_hash = hash_token(token)
    instance.token = Secret.of(token) if settings.READABLE_TOKENS else None
    return token


def replace_token(
    instance: Instance, now: datetime, *, until: datetime | None = None, limits: Limits | None = None
) -> str:
    """Give the instance a new token, and let the present one be good until `until`: a day from `now` unless given.

    Without `limits` the new one has those of the present one, but for when that ends. Returns the new token, to be
    shown once.
    """
    until = now + OVERLAP if until is None else until
    with transaction.atomic():
        current = Instance.objects.select_for_update(no_key=True).get(pk=instance.pk)
        before = limits_of_token(current)
        wanted = replace(before, expires_at=None) if limits is None else limits
        ends = until if before.expires_at is None else min(until, before.expires_at)
        current.previous_token_hash, current.previous_token_until = current.token_hash, ends
        current.previous_token_scope, current.previous_token_networks = current.token_scope, current.token_networks
        put_token_limits(current, wanted)
        token = put_token(current)
        current.save(update_fields=["token_hash", "token", *_LIMITS, *_FORMER, "updated_at"])
        details = {"former_until": ends.isoformat(timespec="seconds"), **changes(before, wanted)}
        audit.record(Action.REPLACE_TOKEN, current, organization=current.organization, details=details)
    return token


def readable_token(instance: Instance) -> str | None:
    """Return the token where it was kept and the operator lets it be read; None where not, or where no key opens it."""
    if not settings.READABLE_TOKENS or instance.token is None:
        return None
    try:
        return str(instance.token.reveal())
    except SecretUnreadableError:
        return None
