"""The Authorization header, in every form that clients send."""

from __future__ import annotations

import pytest

from instances.api.authentication import find_caller, parse_header
from instances.credentials.issuing import issue_secrets
from instances.models import Instance
from instances.secrets import Secret, hash_token, new_token
from tests.conftest import Tenant


def make_instance(tenant: Tenant) -> tuple[Instance, str]:
    token = new_token()
    instance = Instance(organization=tenant.organization, name="one", token_hash=hash_token(token))
    instance.public_key = instance.private_key = Secret.of("x")
    instance.save()
    return instance, token


@pytest.mark.parametrize(
    "form",
    [
        "User {user}, Organization {organization}",
        "User {user},Organization {organization}",
        "Organization {organization} , User {user}",
        "  user {user},   ORGANIZATION {organization} ",
        "User: {user}, Organization: {organization}",
    ],
)
def test_user_and_organization_in_any_order_and_spacing(tenant: Tenant, form: str) -> None:
    caller = find_caller(form.format(user=tenant.user_secret, organization=tenant.organization_secret))
    assert caller is not None
    assert (caller.organization, caller.user, caller.instance) == (tenant.organization, tenant.user, None)


@pytest.mark.parametrize(
    "form",
    [
        "User {user}, Element {token}",
        "Element {token}, User {user}",
        "User {user}, Element: {token}",
        "User {user}, Element:{token}",
        "User {user}, Organization {organization}, Element {token}",
    ],
)
def test_an_element_token_names_its_instance(tenant: Tenant, form: str) -> None:
    instance, token = make_instance(tenant)
    header = form.format(user=tenant.user_secret, organization=tenant.organization_secret, token=token)
    caller = find_caller(header)
    assert caller is not None
    assert caller.instance == instance


@pytest.mark.parametrize(
    "form",
    [
        "User {user}",
        "Organization {organization}",
        "Element {token}",
        "Organization {organization}, Element {token}",
        "User {organization}, Organization {user}",
        "User {user}, Organization {organization}, Element AAAA",
        "User {user}, Organization AAAA",
        "User {user}, Organization AAAA, Element {token}",
        "User {user}, User {user}, Organization {organization}",
        "User {user}, Organization {organization}, ",
        "User {user}, Organization {organization}, Company x",
        "User{user}, Organization{organization}",
        "Basic YTpi",
        "Bearer {token}",
        ",",
    ],
)
def test_anything_else_proves_nobody(tenant: Tenant, form: str) -> None:
    _, token = make_instance(tenant)
    header = form.format(user=tenant.user_secret, organization=tenant.organization_secret, token=token)
    assert find_caller(header) is None


def test_secrets_of_two_organizations_do_not_mix(tenant: Tenant, other_tenant: Tenant) -> None:
    _, token = make_instance(tenant)
    assert find_caller(f"User {tenant.user_secret}, Organization {other_tenant.organization_secret}") is None
    assert find_caller(f"User {other_tenant.user_secret}, Element {token}") is None


def test_a_deleted_instances_token_proves_nobody(tenant: Tenant) -> None:
    instance, token = make_instance(tenant)
    instance.delete()
    assert find_caller(f"User {tenant.user_secret}, Element {token}") is None


def test_rotated_secrets_end_at_once(tenant: Tenant) -> None:
    issue_secrets(organization_name="Alpha", user_name="alice", rotate=True)
    assert find_caller(tenant.auth) is None


def test_secrets_may_hold_the_whole_alphabet() -> None:
    assert parse_header("User a+/Z9==, Organization ==") == {"user": "a+/Z9==", "organization": "=="}


def test_no_secret_holds_a_comma_or_a_foreign_letter() -> None:
    assert parse_header("User abc, Organization d\u00e9f") is None
