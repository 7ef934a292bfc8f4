"""The admin: everything can be found and read, no secret is shown, nothing can be edited past the rules."""

from __future__ import annotations

import pytest
from django.test import Client

from cwconnect.sandbox import SandboxServer
from instances.models import Instance
from tests.instances.test_change import RICH
from tests.support.api_caller import Api

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("model", ["organization", "apiuser", "instance"])
def test_lists_can_be_searched(admin_client: Client, api: Api, sandbox: SandboxServer, model: str) -> None:
    api.create(sandbox.url)
    answer = admin_client.get(f"/admin/instances/{model}/?q=a")
    assert answer.status_code == 200
    assert "1 " in answer.content.decode()


def test_an_instances_page_shows_no_secret(admin_client: Client, api: Api, sandbox: SandboxServer) -> None:
    created = api.create(sandbox.url, **RICH)
    page = admin_client.get(f"/admin/instances/instance/{created['id']}/change/").content.decode()
    assert "API_Polling" in page
    assert "lastUpdated" in page
    stored = Instance.objects.get(pk=created["id"])
    for secret in ("PRIV", "whsec_", created["token"], stored.private_key.ciphertext, stored.token_hash):
        assert secret not in page


def test_an_organizations_page_shows_no_hash(admin_client: Client, api: Api) -> None:
    organization = api.tenant.organization
    page = admin_client.get(f"/admin/instances/organization/{organization.pk}/change/").content.decode()
    assert str(organization.secret_hash) not in page


def test_an_instance_can_not_be_added_or_edited_but_deleted(
    admin_client: Client, api: Api, sandbox: SandboxServer
) -> None:
    number = api.create(sandbox.url)["id"]
    assert admin_client.get("/admin/instances/instance/add/").status_code == 403
    assert admin_client.post(f"/admin/instances/instance/{number}/change/", {"name": "x"}).status_code == 403
    answer = admin_client.post(f"/admin/instances/instance/{number}/delete/", {"post": "yes"})
    assert answer.status_code == 302
    assert Instance.objects.get().organization is None


def test_an_api_user_can_not_be_moved_to_another_organization(admin_client: Client, api: Api, other_api: Api) -> None:
    user, elsewhere = api.tenant.user, other_api.tenant.organization
    change = {"name": "renamed", "organization": elsewhere.pk}
    assert admin_client.post(f"/admin/instances/apiuser/{user.pk}/change/", change).status_code == 302
    user.refresh_from_db()
    assert (user.name, user.organization) == ("renamed", api.tenant.organization)
