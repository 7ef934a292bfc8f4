"""The page *API keys*."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from instances.api.authentication import find_caller
from instances.credentials.limits import Limits, limits_of_key, limits_of_token
from instances.credentials.user_secrets import create_whole_key
from instances.models import ApiUser, AuditEntry, Instance, Organization
from instances.scopes import Scope
from tests.api.conftest import Watched
from tests.conftest import Tenant
from tests.pages.conftest import sign_in, text_of

pytestmark = pytest.mark.django_db


def make(client: Client, **given: str) -> str:
    return text_of(client.post("/app/keys/new", {"name": "billing", "scope": "manage", "days": ""} | given))


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
    for words in ("billing", f"…{user.last_four}", "manage", "from anywhere", "never", "olga"):
        assert words in listed
    for secret in re.findall(r"[\w+/=]{44}", header):
        assert secret not in listed
        assert secret not in str([*AuditEntry.objects.values(), *ApiUser.objects.values()])
    entry = AuditEntry.objects.latest("pk")
    assert (entry.action, entry.details["scope"]) == ("secrets issued", "manage")


@pytest.mark.parametrize(
    ("scope", "given", "writes"),
    [
        ("manage", {}, False),
        ("manage", {"writes": "on"}, True),
        ("write", {}, True),
        ("write", {"writes": "on"}, True),
        ("read", {}, False),
    ],
)
def test_the_right_to_write_is_a_switch_of_its_own(
    operator: Client, scope: str, given: dict[str, str], writes: bool
) -> None:
    make(operator, scope=scope, **given)
    assert ApiUser.objects.get(name="billing").effective_writes is writes
    assert ("writes to ConnectWise</li>" in text_of(operator.get("/app/keys"))) is writes


def test_a_key_that_only_reads_is_refused_the_right_beside_its_switch(operator: Client) -> None:
    page = make(operator, scope="read", writes="on")
    assert 'id="id_writes_error">' in page
    assert not ApiUser.objects.filter(name="billing").exists()


def test_a_key_that_may_only_read_and_one_that_expires(operator: Client) -> None:
    header = header_in(make(operator, scope="read", days="30"))
    client = Client(headers={"Authorization": header})
    assert client.get("/instances").status_code == 200
    refused = client.post("/v1/secrets", {"name": "x"}, content_type="application/json")
    assert (refused.status_code, set(refused.json())) == (403, {"requestId", "message"})
    ApiUser.objects.filter(name="billing").update(expires_at=timezone.now() - timedelta(seconds=1))
    assert client.get("/instances").status_code == 401
    assert "expired" in text_of(operator.get("/app/keys"))


@pytest.mark.parametrize(
    "wrong",
    [
        *({"name": ""}, {"name": "alice"}, {"scope": "all"}, {"scope": ""}, {"days": "7"}, {"name": "a\u200bb"}),
        *({"networks": "10.0.0.1/8"}, {"networks": "10.0.0.0/8, fe80::1%eth0"}, {"networks": "home"}),
        *({"instances": "999999"}, {"instances": "No such"}, {"instances": "Twice"}, {"instances": "x" * 6001}),
    ],
)
def test_what_is_no_key_is_refused_beside_its_field(operator: Client, tenant: Tenant, wrong: dict[str, str]) -> None:
    for _ in range(2):
        instance = Watched(tenant).instance
        Instance.objects.filter(pk=instance.pk).update(name="Twice")
    answer = operator.post("/app/keys/new", {"name": "billing", "scope": "manage", "days": ""} | wrong)
    assert answer.status_code == 422
    assert f'id="id_{next(iter(wrong))}_error"' in text_of(answer)
    assert ApiUser.objects.count() == 1


def test_a_key_for_some_networks_and_instances(operator: Client, tenant: Tenant, other_tenant: Tenant) -> None:
    ours, theirs = Watched(tenant).instance, Watched(other_tenant).instance
    networks = "127.0.0.0/8\n2001:DB8::/32, ::1 192.0.2.0/24"
    header = header_in(make(operator, networks=networks, instances=f"API_Polling\r\n{ours.pk}"))
    limits = limits_of_key(ApiUser.objects.get(name="billing"))
    assert limits.networks == ("127.0.0.0/8", "2001:db8::/32", "::1/128", "192.0.2.0/24")
    assert limits.instance_ids == (ours.pk,)
    assert Client(headers={"Authorization": header}).get("/instances").status_code == 200
    abroad = Client(headers={"Authorization": header}, REMOTE_ADDR="203.0.113.9").get("/instances")
    assert abroad.status_code == 403
    listed = text_of(operator.get("/app/keys"))
    for words in ("127.0.0.0/8", "and 1 more", "1 instance<"):
        assert words in " ".join(listed.split()).replace(" <", "<")
    refused = make(operator, name="of others", instances=str(theirs.pk))
    assert "no instance of this organization" in refused
    entry = AuditEntry.objects.filter(action="secrets issued").latest("pk")
    assert entry.details["only_instances"] == str(ours.pk)


def test_a_key_that_ends_within_two_weeks_is_marked(operator: Client, tenant: Tenant) -> None:
    for days, words in ((15, ""), (13, "expires soon"), (-1, "expired")):
        ApiUser.objects.update(expires_at=timezone.now() + timedelta(days=days))
        listed = text_of(operator.get("/app/keys"))
        assert [word for word in ("expires soon", "</span> expired") if word in listed] == (
            [f"</span> {words}" if words == "expired" else words] if words else []
        )


def test_a_new_token_has_the_limits_that_are_chosen(operator: Client, tenant: Tenant) -> None:
    watched = Watched(tenant)
    path = f"/app/instances/{watched.instance.pk}/token"
    refused = operator.post(path, {"hours": "24", "scope": "read", "networks": "10.0.0.1/8", "days": ""})
    assert refused.status_code == 422
    assert "10.0.0.0/8 is that network" in text_of(refused)
    operator.post(path, {"hours": "24", "scope": "read", "networks": "10.0.0.0/8", "days": "30"})
    limits = limits_of_token(Instance.objects.get())
    assert (limits.scope, limits.networks) == (Scope.READ, ("10.0.0.0/8",))
    assert limits.ends_soon(timezone.now() + timedelta(days=20))
    settings = text_of(operator.get(f"/app/instances/{watched.instance.pk}/settings"))
    for words in ("10.0.0.0/8", "It expires"):
        assert words in settings
    operator.post(path, {"hours": "0"})  # the button alone
    assert limits_of_token(Instance.objects.get()) == Limits(Scope.READ, ("10.0.0.0/8",))


def test_revoking_asks_once_and_says_what_stops(operator: Client, tenant: Tenant) -> None:
    key = create_whole_key(tenant.organization, "billing", Limits())
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
    create_whole_key(other_tenant.organization, "of others", Limits())
    shown = text_of(viewer.get("/app/keys"))
    assert "alice" in shown
    for words in ("of others", "Revoke", "Make the key"):
        assert words not in shown


def test_secrets_are_on_no_page_that_is_kept_or_sent_elsewhere(organization: Organization) -> None:
    answer = sign_in("olga", organization).post("/app/keys/new", {"name": "billing", "scope": "read", "days": ""})
    assert "no-store" in answer.headers["Cache-Control"]
    assert answer.headers["Referrer-Policy"] == "same-origin"
