"""The API users of an organization and their secrets: made, shown once, revoked."""

from __future__ import annotations

from django.db import transaction

from cwconnect.core.errors import ConflictError
from instances import audit
from instances.audit import Action
from instances.models import ApiUser, Organization
from instances.secrets import hash_token, new_token


@transaction.atomic
def create_user(organization: Organization, name: str) -> tuple[ApiUser, str]:
    """Make an API user with a secret, which can't be read again; ConflictError if there is one of that name."""
    secret = new_token()
    user, created = ApiUser.objects.get_or_create(
        organization=organization, name=name, defaults={"secret_hash": hash_token(secret)}
    )
    if not created:
        raise ConflictError(f"There is a user {name} already; revoke that secret first, or choose another name.")
    audit.record(Action.ISSUE_SECRETS, user, organization=organization, details={"user": True, "organization": False})
    return user, secret


def revoke_user(user: ApiUser) -> None:
    """Remove an API user: its secret answers 401 from now on. ConflictError for the last, which would lock all out."""
    with transaction.atomic():
        Organization.objects.select_for_update().get(pk=user.organization_id)
        others = ApiUser.objects.filter(organization=user.organization_id, secret_hash__isnull=False)
        if not others.exclude(pk=user.pk).exists():
            raise ConflictError("This is the organization's last secret; create another one first.")
        audit.record(Action.REVOKE_SECRET, user, organization=user.organization)
        user.delete()
