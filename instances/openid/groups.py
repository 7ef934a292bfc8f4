"""Groups of the issuer become memberships: at each sign-in those that a group gives come, change and go.

What was given by hand stays beneath: where a group gives more that counts as long as the group does, then the hand's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db import transaction

from cwconnect.core.env import GroupRole
from instances import audit
from instances.audit import Action
from instances.models import Membership, Organization, Role

_RANK = {"": 0, Role.VIEWER: 1, Role.OPERATOR: 2}


@dataclass(frozen=True)
class Held:
    """A membership: the role that counts, the group that gives it (empty: a hand), and the hand's role beneath that."""

    role: str
    group: str = ""
    role_by_hand: str = ""

    @property
    def by_hand(self) -> str:
        """The role that a hand gave; empty if none did."""
        return self.role_by_hand if self.group else self.role


def held(by_hand: str, by_group: tuple[str, str] | None) -> Held | None:
    """Return the membership of a hand's role and a group's (role, group): the greater, a hand's if they are equal."""
    role, group = by_group or ("", "")
    if _RANK[role] > _RANK[by_hand]:
        return Held(role, group, by_hand)
    return Held(by_hand) if by_hand else None


def given_by(groups: Collection[str], mapping: Iterable[GroupRole]) -> dict[str, tuple[str, str]]:
    """Return which role, and by which group, each organization's name is given by; the greater where several give."""
    found: dict[str, tuple[str, str]] = {}
    for row in mapping:
        if row.group in groups and _RANK[row.role] > _RANK[found.get(row.organization, ("", ""))[0]]:
            found[row.organization] = (row.role, row.group)
    return found


def apply_groups(account: User, groups: Collection[str], mapping: Iterable[GroupRole]) -> None:
    """Give, change and take memberships, as the groups of this sign-in say. The last operator may go by it."""
    wanted = given_by(groups, mapping)
    with transaction.atomic(), audit.on_behalf_of(audit.named(account.username), audit.asking_request_id()):
        own = Organization.objects.filter(memberships__account=account).exclude(memberships__group="")
        touched = Organization.objects.filter(name__in=wanted) | Organization.objects.filter(pk__in=own.values("pk"))
        for organization in Organization.objects.select_for_update().filter(pk__in=touched.values("pk")).order_by("pk"):
            _apply(account, organization, wanted.get(organization.name))


def _apply(account: User, organization: Organization, by_group: tuple[str, str] | None) -> None:
    current = Membership.objects.filter(account=account, organization=organization).first()
    before = None if current is None else Held(current.role, current.group, current.role_by_hand)
    after = held(before.by_hand if before else "", by_group)
    if after == before:
        return
    if after is None and current is not None:
        current.delete()
    elif after is not None:
        values = {"role": after.role, "group": after.group, "role_by_hand": after.role_by_hand}
        Membership.objects.update_or_create(account=account, organization=organization, defaults=values)
    _record(account, organization, before, after)


def _record(account: User, organization: Organization, before: Held | None, after: Held | None) -> None:
    if before and after and before.role == after.role and before.group and after.group:
        return  # another group gives the same
    action = Action.CHANGE_ROLE if before and after else Action.JOIN if after else Action.REMOVE_PERSON
    group = (after.group if after else "") or (before.group if before else "")
    roles = [before.role, after.role] if before and after else (after or before or Held("")).role
    details = {"role": roles, "group": group}
    audit.record(action, audit.named(account.username), organization=organization, details=details)
