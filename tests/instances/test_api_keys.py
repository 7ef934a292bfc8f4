"""API keys: what they come with, when they end, and when their use is noted."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cwconnect.core.errors import ConflictError
from instances.api import key_use
from instances.api.authentication import find_caller
from instances.credentials.issuing import issue_secrets
from instances.credentials.limits import Limits
from instances.credentials.user_secrets import create_user, create_whole_key, revoke_user
from instances.models import ApiUser, AuditEntry
from instances.scopes import Scope
from tests.conftest import Tenant

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_noted() -> None:
    key_use._noted.clear()


def test_a_whole_key_has_a_whole_header_and_the_organizations_first_secret_is_good_with_it_too(tenant: Tenant) -> None:
    key = create_whole_key(tenant.organization, "bob", Limits())
    assert find_caller(key.authorization) is not None
    assert find_caller(f"User {key.secret}, Organization {tenant.organization_secret}") is not None
    assert find_caller(tenant.auth) is not None


def test_its_organization_secret_is_good_with_no_other_key(tenant: Tenant, other_tenant: Tenant) -> None:
    key = create_whole_key(tenant.organization, "bob", Limits())
    other = create_whole_key(tenant.organization, "carol", Limits())
    for user in (tenant.user_secret, other_tenant.user_secret, other.secret):
        assert find_caller(f"User {user}, Organization {key.organization_secret}") is None


def test_revoked_both_end(tenant: Tenant) -> None:
    key = create_whole_key(tenant.organization, "bob", Limits())
    revoke_user(key.user)
    assert find_caller(key.authorization) is None
    assert find_caller(f"User {key.secret}, Organization {tenant.organization_secret}") is None


def test_rotated_by_the_command_both_are_replaced(tenant: Tenant) -> None:
    key = create_whole_key(tenant.organization, "bob", Limits(Scope.READ))
    issued = issue_secrets(organization_name="Alpha", user_name="bob", rotate=True)
    assert find_caller(f"User {issued.user}, Organization {key.organization_secret}") is None
    assert find_caller(f"User {issued.user}, Organization {issued.organization}") is not None
    assert ApiUser.objects.get(name="bob").effective_scope is Scope.READ


def test_a_key_ends_when_it_expires_with_an_element_token_too(tenant: Tenant) -> None:
    now = timezone.now()
    for ends, good in ((now + timedelta(hours=1), True), (now - timedelta(seconds=1), False)):
        _, secret = create_user(tenant.organization, f"until {ends}", Limits(expires_at=ends))
        assert (find_caller(f"User {secret}, Organization {tenant.organization_secret}") is not None) is good


@pytest.mark.parametrize(
    "other",
    [
        Limits(Scope.READ),
        Limits(Scope.WRITE),
        Limits(expires_at=timezone.now() - timedelta(days=1)),
        Limits(instance_ids=(1,)),
    ],
)
def test_the_last_key_that_may_write_can_be_revoked_on_the_pages_alone(tenant: Tenant, other: Limits) -> None:
    create_user(tenant.organization, "bob", other)
    with pytest.raises(ConflictError):
        revoke_user(tenant.user)
    revoke_user(tenant.user, even_last=True)
    assert find_caller(tenant.auth) is None


def test_nothing_of_a_key_but_its_end_is_kept(tenant: Tenant) -> None:
    key = create_whole_key(tenant.organization, "bob", Limits())
    stored = str([*ApiUser.objects.values(), *AuditEntry.objects.values()])
    assert key.user.last_four == key.secret[-4:]
    assert key.secret not in stored
    assert key.organization_secret not in stored
    assert key.secret not in repr(key)
    assert key.organization_secret not in repr(key)


def test_use_is_noted_once_a_minute_and_never_waits_for_the_row(tenant: Tenant) -> None:
    client = Client(headers={"Authorization": tenant.auth})
    with CaptureQueriesContext(
        connection,
    ) as first:
        client.get("/elements")
    noted = ApiUser.objects.get().last_used_at
    with CaptureQueriesContext(connection) as second:
        client.get("/elements")
    assert noted is not None
    assert ApiUser.objects.get().last_used_at == noted
    writes = [[query["sql"] for query in each if query["sql"].startswith("UPDATE")] for each in (first, second)]
    assert [len(each) for each in writes] == [1, 0]
    assert not any("FOR UPDATE" in query["sql"] for query in first)


def test_two_processes_write_one_minute_once(tenant: Tenant) -> None:
    now = timezone.now()
    key_use.note_use(tenant.user, now)
    key_use._noted.clear()  # another process
    key_use.note_use(tenant.user, now + timedelta(seconds=30))
    assert ApiUser.objects.get().last_used_at == now
    key_use._noted.clear()
    key_use.note_use(tenant.user, now + timedelta(seconds=61))
    assert ApiUser.objects.get().last_used_at == now + timedelta(seconds=61)


def test_wrong_secrets_note_nothing(tenant: Tenant) -> None:
    Client(headers={"Authorization": f"User {tenant.user_secret}, Organization wrong"}).get("/elements")
    assert ApiUser.objects.get().last_used_at is None
