"""Limits of keys and tokens as people and programs give them: read and judged, with the field at fault named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from cwconnect.core import networks
from cwconnect.core.errors import DomainError
from instances.credentials.limits import Limits
from instances.models import Organization
from instances.scopes import Scope

MOST_INSTANCES = 100  # of those that a key names


class LimitsError(DomainError):
    """A limit that is none; `field` is the one at fault: scope, writes, networks, instances or expires_at."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}.")
        self.field = field
        self.reason = f"This {reason}."


def read_networks(texts: Iterable[str]) -> tuple[str, ...]:
    """Return networks as they are kept; LimitsError."""
    try:
        return tuple(networks.read_networks(texts))
    except ValueError as error:
        raise LimitsError("networks", str(error)) from None


def with_writes(limits: Limits, *, wanted: bool) -> Limits:
    """Return the limits with the right to write to ConnectWise where it is wanted, or the scope says it by name.

    LimitsError for a key that may only read.
    """
    if wanted and limits.scope is Scope.READ:
        raise LimitsError("writes", "needs the scope write or manage: a key of the scope read writes nothing")
    return replace(limits, writes=wanted or limits.scope is Scope.WRITE)


def check_end(moment: datetime, now: datetime) -> None:
    """Raise LimitsError for an end that is not to come."""
    if moment <= now:
        raise LimitsError("expires_at", "must be a time to come")


def check_instances(organization: Organization, ids: Iterable[int]) -> tuple[int, ...]:
    """Return instances' ids, each once, in order; LimitsError for none, too many, or one that is another's."""
    wanted = sorted(set(ids))
    if not 0 < len(wanted) <= MOST_INSTANCES:
        raise LimitsError("instances", f"must name 1 to {MOST_INSTANCES} instances")
    there = set(organization.instances.filter(pk__in=wanted).values_list("pk", flat=True))
    if missing := [key for key in wanted if key not in there]:
        raise LimitsError("instances", f"names {missing[0]}, which is no instance of this organization")
    return tuple(wanted)


def check_within(inner: Limits, outer: Limits) -> None:
    """Raise LimitsError where a key would be wider than the one that makes it: nobody hands out more than they have."""
    if not outer.scope.covers(inner.scope):
        raise LimitsError("scope", f"must be no more than the calling key's own, {outer.scope.value}")
    if inner.writes and not outer.writes:
        raise LimitsError("writes", "must be no more than the calling key's own, which may not write to ConnectWise")
    if not networks.are_within(inner.networks, outer.networks):
        raise LimitsError("networks", f"must lie within the calling key's own: {', '.join(outer.networks)}")
    if outer.expires_at is not None and (inner.expires_at is None or inner.expires_at > outer.expires_at):
        until = outer.expires_at.isoformat(timespec="seconds")
        raise LimitsError("expires_at", f"must be no later than the calling key's own, {until}")
