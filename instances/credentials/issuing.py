"""Secrets of the REST API's callers: made here, shown once, stored hashed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from django.db import transaction

from instances import audit
from instances.audit import Action
from instances.credentials.limits import Limits, changes, in_audit, limits_of_key, put_key_limits
from instances.models import ApiUser, Organization
from instances.secrets import hash_token, new_token


@dataclass(frozen=True)
class IssuedSecrets:
    """What was made; None is what exists already and can't be shown again."""

    user: str | None = field(repr=False)
    organization: str | None = field(repr=False)


@transaction.atomic
def issue_secrets(
    *, organization_name: str, user_name: str, rotate: bool = False, limits: Limits | None = None
) -> IssuedSecrets:
    """Make the organization and the user if they are missing, and the secrets that they lack.

    With `rotate` both secrets are replaced; the old ones answer 401 from then on, also for the organization's other
    users, but for those that have an organization secret of their own. A key that is made gets the `limits`; without
    any it has those of the one that it replaces, but for when that ends.
    """
    organization, _ = Organization.objects.select_for_update().get_or_create(name=organization_name)
    user, created = ApiUser.objects.select_for_update().get_or_create(organization=organization, name=user_name)
    before = limits_of_key(user)
    wanted = replace(before, expires_at=None) if limits is None else limits
    made_key = new_token() if rotate or not user.secret_hash else None
    if made_key:
        put_key(user, made_key, wanted)
        user.save()
    issued = IssuedSecrets(user=made_key, organization=_issue(organization, rotate=rotate))
    made = {"user": issued.user is not None, "organization": issued.organization is not None}
    if any(made.values()):
        said = {} if not made_key else in_audit(wanted) if created else changes(before, wanted)
        audit.record(Action.ISSUE_SECRETS, user, organization=organization, details={**made, **said})
    return issued


def _issue(organization: Organization, *, rotate: bool) -> str | None:
    if organization.secret_hash and not rotate:
        return None
    secret = new_token()
    organization.secret_hash = hash_token(secret)
    organization.save()
    return secret


def put_key(user: ApiUser, key: str, limits: Limits) -> None:
    """Put a new key into an API user's row, unsaved, with what people know it by; what went with the old one ends."""
    user.secret_hash, user.last_four, user.made_by = hash_token(key), key[-4:], audit.who()[:200]
    user.organization_secret_hash = user.last_used_at = None
    put_key_limits(user, limits)
