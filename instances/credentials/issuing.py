"""Secrets of the REST API's callers: made here, shown once, stored hashed."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db import transaction

from instances import audit
from instances.audit import Action
from instances.models import ApiUser, Organization
from instances.secrets import hash_token, new_token


@dataclass(frozen=True)
class IssuedSecrets:
    """What was made; None is what exists already and can't be shown again."""

    user: str | None = field(repr=False)
    organization: str | None = field(repr=False)


@transaction.atomic
def issue_secrets(*, organization_name: str, user_name: str, rotate: bool = False) -> IssuedSecrets:
    """Make the organization and the user if they are missing, and the secrets that they lack.

    With `rotate` both secrets are replaced; the old ones answer 401 from then on, also for the organization's other
    users, but for those that have an organization secret of their own.
    """
    organization, _ = Organization.objects.select_for_update().get_or_create(name=organization_name)
    user, _ = ApiUser.objects.select_for_update().get_or_create(organization=organization, name=user_name)
    issued = IssuedSecrets(user=_issue(user, rotate=rotate), organization=_issue(organization, rotate=rotate))
    made = {"user": issued.user is not None, "organization": issued.organization is not None}
    if any(made.values()):
        audit.record(Action.ISSUE_SECRETS, user, organization=organization, details=made)
    return issued


def _issue(owner: ApiUser | Organization, *, rotate: bool) -> str | None:
    if owner.secret_hash and not rotate:
        return None
    secret = new_token()
    if isinstance(owner, ApiUser):
        put_key(owner, secret)
    else:
        owner.secret_hash = hash_token(secret)
    owner.save()
    return secret


def put_key(user: ApiUser, key: str) -> None:
    """Put a new key into an API user's row, unsaved, with what people know it by; what went with the old one ends."""
    user.secret_hash, user.last_four, user.made_by = hash_token(key), key[-4:], audit.who()[:200]
    user.organization_secret_hash = user.expires_at = user.last_used_at = None
