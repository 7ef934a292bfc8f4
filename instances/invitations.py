"""Invitations to an organization: made with a role and an end, sent or handed over as a link, accepted once, revoked.

The link holds a code behind its `#`, which browsers send to nobody: it stands in no log, no Referer, and the page's
script takes it out of the history. What is stored is the code's hash; an invitation that is accepted is deleted.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from cwconnect.core.errors import ConflictError
from instances import audit
from instances.audit import Action
from instances.models import Invitation, Membership, Organization, Role
from instances.secrets import hash_token

MOST_OPEN = 100
KEPT_AFTER_ITS_END = timedelta(days=30)


def invite(
    organization: Organization, *, role: str, email: str, now: datetime, good_for: timedelta
) -> tuple[Invitation, str]:
    """Keep a place for somebody; return the invitation with its code, which can't be read again.

    Raises ConflictError where a hundred are open already. Those that ended a month ago are forgotten with this.
    """
    code = secrets.token_urlsafe(32)
    with transaction.atomic():
        Organization.objects.select_for_update().get(pk=organization.pk)
        organization.invitations.filter(expires_at__lt=now - KEPT_AFTER_ITS_END).delete()
        if organization.invitations.count() >= MOST_OPEN:
            raise ConflictError(f"{MOST_OPEN} invitations are open already. Revoke some of them first.")
        invitation = Invitation.objects.create(
            organization=organization,
            role=role,
            email=email,
            code_hash=hash_token(code),
            made_by=audit.who()[:200],
            expires_at=now + good_for,
        )
        details = {"role": role, "until": invitation.expires_at.isoformat(timespec="seconds")}
        audit.record(Action.INVITE, _named(invitation), organization=organization, details=details)
    return invitation, code


def revoke(invitation: Invitation) -> None:
    """End an invitation: its link opens nothing from now on."""
    with transaction.atomic():
        if Invitation.objects.filter(pk=invitation.pk).delete()[0]:
            audit.record(Action.REVOKE_INVITATION, _named(invitation), organization=invitation.organization)


def find_invitation(code: str, now: datetime) -> Invitation | None:
    """Return the invitation of a code, unless it has ended."""
    return _good(now).filter(code_hash=hash_token(code.strip())).select_related("organization").first()


def open_invitation(number: int, now: datetime) -> Invitation | None:
    """Return an invitation by its id, unless it has been accepted or revoked, or has ended."""
    return _good(now).filter(pk=number).select_related("organization").first()


def join_anew(invitation: Invitation, *, username: str, password: str, email: str, now: datetime) -> User:
    """Accept an invitation as somebody new: make the account and its membership.

    Raises ConflictError where the invitation has gone meanwhile, or the name is taken.
    """
    try:
        with transaction.atomic():
            taken = _take(invitation, now)
            account = User.objects.create_user(username=username, password=password, email=email)
            # Nobody is signed in yet, and still it is this person who joins.
            with audit.on_behalf_of(audit.named(username), audit.asking_request_id()):
                _belong(account, taken)
    except IntegrityError:
        raise ConflictError("There is somebody of that name already. Choose another, or sign in.") from None
    return account


def join_as(account: User, invitation: Invitation, now: datetime) -> None:
    """Accept an invitation as somebody who is known already; who operates the organization goes on doing so."""
    with transaction.atomic():
        _belong(account, _take(invitation, now))


def _good(now: datetime) -> QuerySet[Invitation]:
    return Invitation.objects.filter(expires_at__gt=now)


def _take(invitation: Invitation, now: datetime) -> Invitation:
    """Delete the invitation, so that nobody else accepts it; ConflictError where somebody was first."""
    current = _good(now).select_for_update().filter(pk=invitation.pk).first()
    if current is None or not Invitation.objects.filter(pk=current.pk).delete()[0]:
        raise ConflictError("This invitation is not good any more: it was used or revoked, or its time is over.")
    return current


def _belong(account: User, invitation: Invitation) -> None:
    membership, created = Membership.objects.get_or_create(
        account=account, organization_id=invitation.organization_id, defaults={"role": invitation.role}
    )
    if not created:
        _add_by_hand(membership, invitation.role)
    details = {"role": membership.role, "invited by": invitation.made_by}
    subject = audit.named(account.get_username())
    audit.record(Action.JOIN, subject, organization=invitation.organization, details=details)


def _add_by_hand(membership: Membership, role: str) -> None:
    """Give a role by hand to who belongs already: no less than there is, and what a group gives stays a group's."""
    if membership.group and membership.role_by_hand != Role.OPERATOR:
        membership.role_by_hand = role
    if role == Role.OPERATOR or membership.role == membership.role_by_hand:
        membership.role, membership.group, membership.role_by_hand = role, "", ""
    membership.save(update_fields=["role", "group", "role_by_hand"])


def _named(invitation: Invitation) -> str:
    """Return how the log calls an invitation: by where it was sent, or by its number."""
    return f"invitation {invitation.pk}" + (f" to {invitation.email}" if invitation.email else "")
