"""Who must have a second factor, and who has one.

An account must where CWCONNECT_SECOND_FACTOR says so of the whole service, or an organization says so of its people;
wherever it is looked at from, since a session is one for all of its organizations. *Operators* are those of an
organization, and whoever gets into Django's admin. Recovery codes alone are no factor: they stand in for a lost one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.models import User

from instances.models import Membership, Organization, Role, SecondFactor

PROPER = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
_ORDER: Sequence[str] = SecondFactor.values  # from fewest to most


@dataclass(frozen=True)
class Concerned:
    """The people of an organization who must have a second factor, by name, and which of them have none yet."""

    names: tuple[str, ...]
    without: tuple[str, ...]


def stricter(one: str, other: str) -> str:
    """Return which of the two asks more people."""
    return max(one, other, key=_ORDER.index)


def is_required(account: User, memberships: Iterable[Membership]) -> bool:
    """Return whether the account must have a second factor; its memberships are given with their organizations."""
    runs_service = account.is_staff or account.is_superuser
    if _asks(settings.SECOND_FACTOR, operates=runs_service):
        return True
    return any(_must(membership) for membership in memberships)


def has_factor(account: User) -> bool:
    """Return whether the account has a second factor: one query."""
    found: bool = Authenticator.objects.filter(user_id=account.pk, type__in=PROPER).exists()
    return found


def concerned(organization: Organization) -> Concerned:
    """Return who of the organization's active people must have a second factor, and who has none: two queries."""
    found = organization.memberships.filter(account__is_active=True).select_related("account", "organization")
    must = [each for each in found.order_by("account__username") if _must(each)]
    accounts = [each.account_id for each in must]
    having = set(Authenticator.objects.filter(user_id__in=accounts, type__in=PROPER).values_list("user_id", flat=True))
    without = tuple(each.account.get_username() for each in must if each.account_id not in having)
    return Concerned(tuple(each.account.get_username() for each in must), without)


def _must(membership: Membership) -> bool:
    asked = stricter(settings.SECOND_FACTOR, membership.organization.second_factor)
    return _asks(asked, operates=membership.role == Role.OPERATOR)


def _asks(asked: str, *, operates: bool) -> bool:
    return asked == SecondFactor.EVERYBODY or (asked == SecondFactor.OPERATORS and operates)
