"""Who belongs to an organization, and as what: roles changed, people removed, people who leave.

An organization keeps somebody who operates it. Each change locks the organization first, so that two at a time are one
after the other, and only people who can sign in count: a deactivated account operates nothing.
"""

from __future__ import annotations

from django.db import transaction

from cwconnect.core.errors import ConflictError
from instances import audit
from instances.audit import Action
from instances.models import Membership, Organization, Role

_LAST = "This is the last operator of {organization}, and somebody has to be one. Make somebody else an operator first."

_BY_GROUP = "The group {group} of the issuer gives this role, at each sign-in. Change it there."


def change_role(membership: Membership, role: str) -> None:
    """Make a person a viewer or an operator. ConflictError where no operator would be left."""
    with transaction.atomic():
        current = _locked(membership)
        if current is None or current.role == role:
            return
        if current.group:
            raise ConflictError(_BY_GROUP.format(group=current.group))
        former, current.role = current.role, role
        if role != Role.OPERATOR:
            _check_others_operate(current)
        current.save(update_fields=["role"])
        audit.record(
            Action.CHANGE_ROLE,
            audit.named(current.account.get_username()),
            organization=current.organization,
            details={"role": [former, role]},
        )


def remove(membership: Membership, *, leaves: bool = False) -> None:
    """End a person's membership, by somebody else or because they leave. ConflictError where no operator is left."""
    with transaction.atomic():
        current = _locked(membership)
        if current is None:
            return
        _check_others_operate(current)
        audit.record(
            Action.LEAVE if leaves else Action.REMOVE_PERSON,
            audit.named(current.account.get_username()),
            organization=current.organization,
            details={"role": current.role},
        )
        current.delete()


def require_second_factor(organization: Organization, wanted: str) -> bool:
    """Say who of its people must have a second factor (one of SecondFactor); return whether that is a change."""
    with transaction.atomic():
        current = Organization.objects.select_for_update().get(pk=organization.pk)
        former, current.second_factor = current.second_factor, wanted
        if former == wanted:
            return False
        current.save(update_fields=["second_factor"])
        details = {"second_factor": [former, wanted]}
        audit.record(Action.REQUIRE_FACTOR, f"organization {current.name}", organization=current, details=details)
    return True


def is_last_operator(membership: Membership) -> bool:
    """Return whether nobody else who can sign in operates the organization."""
    operators = Membership.objects.filter(organization=membership.organization_id, role=Role.OPERATOR)
    others = operators.filter(account__is_active=True).exclude(pk=membership.pk)
    return not others.exists()


def _locked(membership: Membership) -> Membership | None:
    """Lock the organization and return the membership as it is by now; None if it is gone."""
    Organization.objects.select_for_update().get(pk=membership.organization_id)
    return Membership.objects.select_related("account", "organization").filter(pk=membership.pk).first()


def _check_others_operate(membership: Membership) -> None:
    """Raise ConflictError where the organization had an operator in this person alone."""
    operated = Membership.objects.filter(pk=membership.pk, role=Role.OPERATOR).exists()
    if operated and is_last_operator(membership):
        raise ConflictError(_LAST.format(organization=membership.organization))
