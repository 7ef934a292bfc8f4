"""The first account: while there is none at all, whoever holds the code may make it.

The code is derived from the service's secret key, so that every process knows it and nothing is stored. `manage.py up`
prints it; a request from this machine proves nothing, since behind a proxy all of them come from it.
"""

from __future__ import annotations

import hmac

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.crypto import salted_hmac

from cwconnect.core.errors import ConflictError
from instances.models import Membership, Organization, Role


def account_exists() -> bool:
    """Whether anybody can sign in already."""
    return User.objects.exists()


def first_start_code() -> str:
    """Return the code that the first account takes: 20 hex digits, of no use once an account exists."""
    return salted_hmac("cwconnect first start", "", algorithm="sha256").hexdigest()[:20]


def is_first_start_code(given: str) -> bool:
    """Compare in a time that shows nothing."""
    return hmac.compare_digest(first_start_code().encode(), given.strip().encode())


@transaction.atomic
def create_first_account(*, username: str, password: str, organization_name: str) -> User:
    """Make the first account: administrator, and operator of its organization. ConflictError if there is one."""
    if account_exists():
        raise ConflictError("Somebody can sign in here already, and lets others in.")
    account = User.objects.create_superuser(username=username, password=password)
    organization, _ = Organization.objects.get_or_create(name=organization_name)
    Membership.objects.create(account=account, organization=organization, role=Role.OPERATOR)
    return account
