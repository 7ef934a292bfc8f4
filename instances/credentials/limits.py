"""What an API key or an Element token is limited to: what it may do, from where, until when, and with which instances.

A request passes the limits of both its key and its token, so that neither raises the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from instances.models import ApiUser, Instance
from instances.scopes import Scope

SOON = timedelta(days=14)  # from when on it is said that something expires


@dataclass(frozen=True)
class Limits:
    """The limits of one key or token. Without any it may manage, from anywhere, for ever, in its organization.

    `writes`: whether a key may write to ConnectWise, which managing does not include; nothing in a token's.
    """

    scope: Scope = Scope.MANAGE
    networks: tuple[str, ...] = ()
    instance_ids: tuple[int, ...] | None = None
    expires_at: datetime | None = None
    writes: bool = False

    def has_ended(self, now: datetime) -> bool:
        """Return whether it has expired."""
        return self.expires_at is not None and self.expires_at <= now

    def ends_soon(self, now: datetime) -> bool:
        """Return whether it expires within two weeks."""
        return self.expires_at is not None and now < self.expires_at <= now + SOON

    def reaches(self, instance_id: int) -> bool:
        """Return whether it reaches an instance of its organization."""
        return self.instance_ids is None or instance_id in self.instance_ids


def limits_of_key(user: ApiUser) -> Limits:
    """Return what an API user's key is limited to."""
    ids = user.instance_ids
    return Limits(
        scope=user.effective_scope,
        networks=tuple(user.networks or ()),
        instance_ids=None if ids is None else tuple(ids),
        expires_at=user.expires_at,
        writes=user.effective_writes,
    )


def put_key_limits(user: ApiUser, limits: Limits) -> None:
    """Write a key's limits into its row, unsaved: for the version before, whatever may not manage only reads."""
    user.scope, user.may_write = limits.scope, limits.scope is Scope.MANAGE
    user.writes_to_connectwise = limits.writes and limits.scope is Scope.MANAGE
    user.networks, user.expires_at = list(limits.networks) or None, limits.expires_at
    user.instance_ids = None if limits.instance_ids is None else list(limits.instance_ids)


def limits_of_token(instance: Instance) -> Limits:
    """Return what an instance's present token is limited to."""
    return Limits(
        scope=Scope.known(instance.token_scope),
        networks=tuple(instance.token_networks or ()),
        expires_at=instance.token_expires_at,
    )


def limits_of_former_token(instance: Instance) -> Limits:
    """Return what the former token is limited to beside the present one's limits: what narrows holds for both."""
    return Limits(
        scope=Scope.known(instance.previous_token_scope), networks=tuple(instance.previous_token_networks or ())
    )


def put_token_limits(instance: Instance, limits: Limits) -> None:
    """Write a token's limits into its instance's row, unsaved."""
    instance.token_scope, instance.token_networks = limits.scope, list(limits.networks) or None
    instance.token_expires_at = limits.expires_at


def in_audit(limits: Limits) -> dict[str, Any]:
    """Return what the audit log says of limits that are new; what is not limited is left out."""
    said: dict[str, Any] = {"scope": limits.scope.value}
    if limits.writes:
        said["writes_to_connectwise"] = True
    if limits.networks:
        said["networks"] = ", ".join(limits.networks)
    if limits.instance_ids is not None:
        said["only_instances"] = ", ".join(str(key) for key in limits.instance_ids)
    if limits.expires_at is not None:
        said["expires_at"] = limits.expires_at.isoformat(timespec="seconds")
    return said


def changes(before: Limits, after: Limits) -> dict[str, Any]:
    """Return what the audit log says of limits that were replaced: `[old, new]` where they differ."""
    old, new = in_audit(before), in_audit(after)
    return {name: [old.get(name), new.get(name)] for name in {**old, **new} if old.get(name) != new.get(name)}
