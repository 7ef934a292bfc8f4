"""The API users of an organization and their keys: made, shown once, limited, expired, revoked.

A key made on the pages comes with an organization secret of its own, so that its Authorization header is whole where
the organization's first one was shown long ago: that one, too, is good with it, and either ends with the key.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from cwconnect.core.errors import ConflictError
from instances import audit
from instances.audit import Action
from instances.credentials.issuing import put_key
from instances.credentials.limits import Limits, in_audit, limits_of_key
from instances.models import ApiUser, Organization
from instances.scopes import Scope
from instances.secrets import hash_token, new_token


@dataclass(frozen=True)
class NewKey:
    """An API user just made, and what its callers send; shown once."""

    user: ApiUser
    secret: str = field(repr=False)
    organization_secret: str = field(repr=False)

    @property
    def authorization(self) -> str:
        """The whole Authorization header (docs/wire-contract.md#1-authorization-header)."""
        return f"User {self.secret}, Organization {self.organization_secret}"


@transaction.atomic
def create_user(organization: Organization, name: str, limits: Limits) -> tuple[ApiUser, str]:
    """Make an API user with a key, which can't be read again; ConflictError if there is one of that name."""
    made = _create(organization, name, limits)
    _record(made[0], own_organization_secret=False)
    return made


@transaction.atomic
def create_whole_key(organization: Organization, name: str, limits: Limits) -> NewKey:
    """Make an API user as `create_user` does, with an organization secret that is good with this key alone."""
    user, secret = _create(organization, name, limits)
    organization_secret = new_token()
    user.organization_secret_hash = hash_token(organization_secret)
    user.save(update_fields=["organization_secret_hash"])
    _record(user, own_organization_secret=True)
    return NewKey(user, secret, organization_secret)


def revoke_user(user: ApiUser, *, even_last: bool = False) -> None:
    """Remove an API user: its key answers 401 from now on.

    ConflictError for the last one that may manage the organization, unless `even_last`: whoever has the API alone would
    lock all out.
    """
    with transaction.atomic():
        organization = Organization.objects.select_for_update().get(pk=user.organization_id)
        others = organization.api_users.filter(secret_hash__isnull=False, instance_ids__isnull=True).exclude(pk=user.pk)
        alive = others.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()))
        if not even_last and not any(other.effective_scope is Scope.MANAGE for other in alive):
            raise ConflictError("This is the organization's last API key that may manage; create another one first.")
        audit.record(Action.REVOKE_SECRET, user, organization=organization)
        user.delete()


def _create(organization: Organization, name: str, limits: Limits) -> tuple[ApiUser, str]:
    user, created = ApiUser.objects.get_or_create(organization=organization, name=name)
    if not created:
        raise ConflictError(f"There is an API key {name} already; revoke that one first, or choose another name.")
    secret = new_token()
    put_key(user, secret, limits)
    user.save()
    return user, secret


def _record(user: ApiUser, *, own_organization_secret: bool) -> None:
    made = {"user": True, "organization": own_organization_secret}
    details = {**made, **in_audit(limits_of_key(user))}
    audit.record(Action.ISSUE_SECRETS, user, organization=user.organization, details=details)
