"""Who changed what is on record, without any secret, and nobody can change the record."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from cwconnect.sandbox import SandboxServer
from instances import audit
from instances.audit import Action
from instances.configuration.config_keys import InstanceConfig
from instances.models import AuditEntry, Instance, Organization
from tests.support.api_caller import Api

pytestmark = pytest.mark.django_db


def entries(action: str = "") -> list[AuditEntry]:
    found = AuditEntry.objects.exclude(action=Action.ISSUE_SECRETS).order_by("pk")
    return list(found.filter(action=action) if action else found)


def test_an_instances_whole_life_is_on_record(api: Api, sandbox: SandboxServer) -> None:
    created = api.create(sandbox.url)
    path = f"/instances/{created['id']}"
    api("PATCH", path, {"name": "Renamed", "configuration": {"event.poller.refresh_interval": 30}})
    api("DELETE", path + "/enabled")
    api("PUT", path + "/enabled")
    answer = api("DELETE", path)
    made, changed, disabled, enabled, deleted = entries()
    assert [entry.action for entry in (made, disabled, enabled, deleted)] == [
        "instance created",
        "instance disabled",
        "instance enabled",
        "instance deleted",
    ]
    assert changed.details == {"refresh_interval": [15, 30], "name": ["API_Polling", "Renamed"]}
    assert {entry.actor for entry in entries()} == {"API user alice (Alpha)"}
    assert {entry.organization for entry in entries()} == {api.tenant.organization}
    assert deleted.subject == f"Renamed ({created['id']})"
    assert deleted.request_id == answer.headers["Elements-Request-Id"]


def test_what_is_refused_is_not_on_record(api: Api, sandbox: SandboxServer) -> None:
    created = api.create(sandbox.url)
    answer = api("PATCH", f"/instances/{created['id']}", {"configuration": {"private.key": "wrong"}})
    assert answer.status_code == 401 or answer.status_code == 400
    assert [entry.action for entry in entries()] == ["instance created"]


def test_pausing_what_is_paused_is_no_deed(api: Api, sandbox: SandboxServer) -> None:
    path = f"/instances/{api.create(sandbox.url)['id']}/enabled"
    api("DELETE", path)
    api("DELETE", path)
    assert len(entries(Action.DISABLE)) == 1


def test_no_secret_is_on_record(api: Api, sandbox: SandboxServer) -> None:
    created = api.create(sandbox.url)
    secrets = {
        "event.notification.signature.key": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "event.notification.basic.username": "bob",
        "event.notification.basic.password": "a-basic-password",
        "event.notification.callback.url": "https://receiver.example/?token=a-url-token",
        "event.notification.callback.headers": {"X-Key": "a-header-value"},
    }
    assert api("PATCH", f"/instances/{created['id']}", {"configuration": secrets}).status_code == 200
    (entry,) = entries(Action.CHANGE_INSTANCE)
    assert set(entry.details) == {
        *("signature_key", "basic_username", "basic_password", "callback_url", "callback_headers")
    }
    assert set(entry.details.values()) == {"changed"}
    rows = json.dumps(list(AuditEntry.objects.values("actor", "subject", "details")))
    for secret in (*api.tenant.auth.split(), "PRIV", "a-url-token", "a-header-value", created["token"]):
        assert len(secret) < 4 or secret.strip(",") in ("User", "Organization") or secret not in rows


def test_polls_are_named() -> None:
    before = InstanceConfig(polls={"contacts": {"url": "/a"}, "incidents": {}})
    after = InstanceConfig(polls={"contacts": {"url": "/b"}, "invoices": {}})
    assert audit.changes(before, after) == {
        "polls.contacts": "changed",
        "polls.incidents": "removed",
        "polls.invoices": "added",
    }


@pytest.mark.parametrize("program", ["manage.py", "cwconnect"])
def test_issuing_is_on_record_once_with_the_command_and_its_login(
    program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [f"bin/{program}", "issue_secrets"])
    monkeypatch.setenv("LOGNAME", "carol")
    call_command("issue_secrets", organization="Gamma", user="dave", verbosity=0)
    (entry,) = AuditEntry.objects.all()
    assert entry.actor == f"{program} issue_secrets, run by carol"
    assert (entry.action, entry.subject) == ("secrets issued", "dave (Gamma)")
    assert entry.details == {"user": True, "organization": True, "scope": "manage"}


def test_the_service_itself_acts_under_its_own_name(organization: Organization) -> None:
    audit.record(Action.RELEASE, "x", organization=organization)
    assert entries()[0].actor == "the service"


def test_what_is_done_in_the_admin_is_on_record(admin_client: Client) -> None:
    form: dict[str, Any] = {"name": "Delta", "second_factor": "optional"}
    form |= {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
    assert admin_client.post("/admin/instances/organization/add/", form).status_code == 302
    made = Organization.objects.get(name="Delta")
    assert (
        admin_client.post(f"/admin/instances/organization/{made.pk}/change/", form | {"name": "Echo"}).status_code
        == 302
    )
    assert admin_client.post(f"/admin/instances/organization/{made.pk}/delete/", {"post": "yes"}).status_code == 302
    assert [(entry.actor, entry.details["how"], entry.subject) for entry in entries(Action.ADMIN)] == [
        ("account admin", "added", "organization Delta"),
        ("account admin", "changed", "organization Echo"),
        ("account admin", "deleted", "organization Echo"),
    ]
    assert entries(Action.ADMIN)[1].details["fields"] == [{"changed": {"fields": ["Name"]}}]


def test_deleting_many_in_the_admin_is_on_record(admin_client: Client, api: Api, sandbox: SandboxServer) -> None:
    ids = [api.create(sandbox.url)["id"] for _ in range(2)]
    form = {"action": "delete_selected", "_selected_action": ids, "post": "yes"}
    assert admin_client.post("/admin/instances/instance/", form).status_code == 302
    assert not Instance.objects.filter(organization__isnull=False).exists()
    assert len(entries(Action.ADMIN)) == 2


def test_a_new_account_is_on_record_without_its_password(admin_client: Client) -> None:
    form = {
        "username": "erin",
        "password1": "a-Long-passw0rd",
        "password2": "a-Long-passw0rd",
        "usable_password": "true",
    }
    assert admin_client.post("/admin/auth/user/add/", form).status_code == 302
    assert User.objects.filter(username="erin").exists()
    (entry,) = entries(Action.ADMIN)
    assert entry.subject == "user erin"
    assert "passw0rd" not in json.dumps(entry.details)


def test_the_record_can_be_read_and_searched_but_not_changed(admin_client: Client, organization: Organization) -> None:
    audit.record(Action.RELEASE, "an instance", organization=organization, details={"sent": 3})
    (entry,) = entries(Action.RELEASE)
    assert "an instance" in admin_client.get("/admin/instances/auditentry/?q=service").content.decode()
    page = admin_client.get(f"/admin/instances/auditentry/{entry.pk}/change/").content.decode()
    assert "&quot;sent&quot;: 3" in page
    assert 'name="_save"' not in page
    for path in ("add/", f"{entry.pk}/delete/"):
        assert admin_client.post(f"/admin/instances/auditentry/{path}", {"post": "yes"}).status_code == 403
    assert admin_client.post(f"/admin/instances/auditentry/{entry.pk}/change/", {"actor": "x"}).status_code == 403


def test_the_record_outlives_the_organization(organization: Organization) -> None:
    audit.record(Action.RELEASE, "an instance", organization=organization)
    organization.delete()
    assert entries()[0].organization is None
