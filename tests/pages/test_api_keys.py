"""The page *API keys*."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from instances.api.authentication import find_caller
from instances.credentials.user_secrets import create_whole_key
from instances.models import ApiUser, AuditEntry, Organization
from tests.conftest import Tenant
from tests.pages.conftest import sign_in, text_of

pytestmark = pytest.mark.django_db


def make(client: Client, **given: str) -> str:
    return text_of(client.post("/app/keys/new", {"name": "billing", "may": "write", "days": ""} | given))


def header_in(page: str) -> str:
    found = re.search(r"Authorization: (User [\w+/=]+, Organization [\w+/=]+)", page)
    assert found
    return found[1]


def test_a_key_is_shown_once_with_a_header_that_works(operator: Client, tenant: Tenant) -> None:
    page = make(operator)
    header = header_in(page)
    assert f"curl -H 'Authorization: {header}' 'http://testserver/instances'" in page
    assert Client(headers={"Authorization": header}).get("/instances").status_code == 200
    listed = text_of(operator.get("/app/keys"))
    user = ApiUser.objects.get(name="billing")
    for words in ("billing", f"…{user.last_four}", "read and write", "never", "olga"):
        assert words in listed
    for secret in re.findall(r"[\w+/=]{44}", header):
        assert secret not in listed
        assert secret not in str([*AuditEntry.objects.values(), *ApiUser.objects.values()])
    entry = AuditEntry.objects.latest("pk")
    assert (entry.action, entry.details["may_write"]) == ("secrets issued", True)


def test_a_key_that_may_only_read_and_one_that_expires(operator: Client) -> None:
    header = header_in(make(operator, may="read", days="30"))
    client = Client(headers={"Authorization": header})
    assert client.get("/instances").status_code == 200
    refused = client.post("/v1/secrets", {"name": "x"}, content_type="application/json")
    assert (refused.status_code, set(refused.json())) == (403, {"requestId", "message"})
    ApiUser.objects.filter(name="billing").update(expires_at=timezone.now() - timedelta(seconds=1))
    assert client.get("/instances").status_code == 401
    assert "expired" in text_of(operator.get("/app/keys"))


@pytest.mark.parametrize(
    "wrong", [{"name": ""}, {"name": "alice"}, {"may": "all"}, {"days": "7"}, {"name": "a\u200bb"}]
)
def test_what_is_no_key_is_refused_beside_its_field(operator: Client, wrong: dict[str, str]) -> None:
    answer = operator.post("/app/keys/new", {"name": "billing", "may": "write", "days": ""} | wrong)
    assert answer.status_code == 422
    assert f'id="id_{next(iter(wrong))}_error"' in text_of(answer)
    assert ApiUser.objects.count() == 1


def test_revoking_asks_once_and_says_what_stops(operator: Client, tenant: Tenant) -> None:
    key = create_whole_key(tenant.organization, "billing", may_write=True)
    ApiUser.objects.filter(pk=key.user.pk).update(last_used_at=timezone.now() - timedelta(hours=3))
    path = f"/app/keys/{key.user.pk}/revoke"
    asked = text_of(operator.get(path))
    assert "gets 401 from then on" in asked
    assert "last used 3 h ago" in asked
    operator.post(path)
    assert find_caller(key.authorization) is None
    assert AuditEntry.objects.latest("pk").action == "secret revoked"


def test_a_leaked_key_can_be_revoked_though_it_is_the_last(operator: Client, tenant: Tenant) -> None:
    operator.post(f"/app/keys/{tenant.user.pk}/revoke")
    assert "No API user has a key yet" in text_of(operator.get("/app/keys"))


def test_a_viewer_sees_keys_and_no_way_to_change_them(viewer: Client, tenant: Tenant, other_tenant: Tenant) -> None:
    create_whole_key(other_tenant.organization, "of others", may_write=True)
    shown = text_of(viewer.get("/app/keys"))
    assert "alice" in shown
    for words in ("of others", "Revoke", "Make the key"):
        assert words not in shown


def test_secrets_are_on_no_page_that_is_kept_or_sent_elsewhere(organization: Organization) -> None:
    answer = sign_in("olga", organization).post("/app/keys/new", {"name": "billing", "may": "read", "days": ""})
    assert "no-store" in answer.headers["Cache-Control"]
    assert answer.headers["Referrer-Policy"] == "same-origin"
