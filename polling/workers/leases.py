"""Leases: one worker at a time works on a row, and a worker that was overtaken writes nothing.

A claim is one conditional UPDATE that writes a random token and an end. The token *fences*: whoever writes a result
first updates the row `WHERE lease_token = mine`, inside the transaction of that result, and gives up when no row
matches. A lease that ran out is free for the next; the former holder learns of it at its fence. Ends are by our clock;
a clock that is off costs a double start at worst, never a double result. A token begins with the signature of the
cluster that took it, so that the supervisor of a cluster that was killed can free what it held.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db import InterfaceError, OperationalError
from django.db.models import Q, QuerySet

from cwconnect.core.bulk_sql import update_returning
from polling.models import Leased
from polling.models.leased import LeasedQuerySet
from polling.workers.heartbeats import lease_signature

log = logging.getLogger(__name__)

DATABASE_DOWN = (OperationalError, InterfaceError)

Row = TypeVar("Row", bound=Leased)


class LeaseLostError(Exception):
    """The row is no longer ours: another worker took it, or its settings changed. Nothing of ours may be written."""


def free(now: datetime) -> Q:
    """Return the condition of rows that nobody holds at `now`."""
    return Q(lease_until=None) | Q(lease_until__lt=now)


def new_token() -> str:
    """Return a new lease's token, which names the cluster that takes it."""
    return lease_signature() + secrets.token_hex(10)


def claim(rows: QuerySet[Row], keys: Iterable[Any], *, now: datetime, length: timedelta) -> tuple[str, list[Any]]:
    """Claim those of `keys` that still are in `rows` and free; give the token and the keys that are ours now.

    `rows` states again what made them due, so that a row which changed between look and claim is left alone.
    """
    token = new_token()
    wanted = rows.filter(free(now), pk__in=list(keys))
    return token, update_returning(wanted, {"lease_token": token, "lease_until": now + length})


def fence(row: type[Row], key: Any, token: str, **changes: Any) -> None:
    """Write `changes` to the row if it still is ours, else raise LeaseLostError; to be the first statement of a result.

    With at least `lease_until` among the changes the row stays locked to the end of the transaction where the database
    has row locks, so nobody can claim it between this look and the commit.
    """
    if not _held(row, token).filter(pk=key).update(**changes):
        raise _lost(row, key)


def end_lease(row: type[Row], key: Any, token: str, **changes: Any) -> None:
    """Write `changes` to the row and free it, if it still is ours, else raise LeaseLostError: a fence, and the last."""
    if not _held(row, token).filter(pk=key).end_leases(**changes):
        raise _lost(row, key)


def _held(row: type[Row], token: str) -> LeasedQuerySet[Row]:
    return LeasedQuerySet(row).filter(lease_token=token)


def _lost(row: type[Leased], key: Any) -> LeaseLostError:
    return LeaseLostError(f"{row.__name__} {key} was taken over.")


# Leases of this process that could not be released, since the database was away.
_owed: list[tuple[type[Leased], list[Any], str]] = []


def release_or_owe(row: type[Row], keys: Iterable[Any], token: str) -> None:
    """Free rows that are still ours; while the database is away, `release_owed` does so later, before their end."""
    owed = list(keys)
    try:
        release(row, owed, token)
    except DATABASE_DOWN as error:
        log.warning("Leases can't be released now: %s", error)
        _owed.append((row, owed, token))


def release_owed() -> None:
    """Free what this process could not free before; raises what a database that still is away raises."""
    while _owed:
        release(*_owed[0])
        _owed.pop(0)


def release(row: type[Row], keys: Iterable[Any], token: str) -> None:
    """Free rows that are still ours; those taken over are left alone."""
    _held(row, token).filter(pk__in=list(keys)).end_leases()
