"""Whatever changes something leaves an entry in the audit log: every route of the API, every page, the admin's actions.

Routes are read from the site's own URLs: one that takes a body and has no row here fails.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.management import call_command
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from cwconnect.sandbox import SandboxServer
from instances import account_audit
from instances.accounts import first_start_code
from instances.admin import AuditedMixin
from instances.invitations import invite
from instances.models import ApiUser, AuditEntry, Instance, Membership, Role, SignIn
from instances.provisioning import set_enabled
from polling.alerts import delivery_alerts
from polling.alerts.destinations import mute, new_destination, save_destination
from polling.models import Alert, AlertMute, BulkJob, BulkRefusal, MissingRecord, Notification
from tests.api.test_table_of_answers import METHODS, OF_THE_TOKEN, ROUTES, ExampleRows
from tests.conftest import Tenant
from tests.support.api_caller import Api
from tests.support.routes import pages

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"
LONGER = f"{PASSWORD}, and more"
SAFE = {"GET"}
NOTHING_CHANGES = "it asks or sends, and changes nothing"
LEAVES_A_ROW = "it leaves a run or a verification, which anybody may ask for at any rate"

# Routes of the API whose answer is a success and that leave no entry, and why.
UNRECORDED = {
    "POST v1-poll-run": LEAVES_A_ROW,
    "POST v1-verifications": LEAVES_A_ROW,
    "POST v1-test-notification": NOTHING_CHANGES,
    "POST v1-subscription-test": NOTHING_CHANGES,
    "PUT queued-deliveries": "nothing was held back in this world; releasing is a page's row below",
}
CHANGES: dict[str, Any] = {
    "PATCH instance": {"name": "another"},
    "PATCH instances": {"name": "another"},
    "PATCH element-instance": {"name": "another"},
    "PATCH v1-poll": {"configuration": {"pageSize": 10}},
    "PATCH v1-subscription": {"name": "another"},
    "PATCH configuration-key": {"propertyValue": "7"},
    "PATCH own-configuration-key": {"propertyValue": "7"},
}


@pytest.fixture
def api(tenant: Tenant) -> Api:
    return Api(tenant)


@pytest.fixture
def world(tenant: Tenant, sandbox: SandboxServer) -> ExampleRows:
    world = ExampleRows(tenant, sandbox)
    world.arguments["key"] = "event.poller.refresh_interval"
    MissingRecord.objects.create(resource_poll=world.watched.poll, record_id=7, status=MissingRecord.Status.HELD)
    call_command("issue_secrets", organization=tenant.organization.name, user="another", verbosity=0)
    return world


def entries() -> list[str]:
    return list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))


def test_every_route_of_the_api_that_changes_something_is_recorded(
    api: Api, world: ExampleRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.api import test_table_of_answers as table

    ApiUser.objects.update(writes_to_connectwise=True)
    Instance.objects.update(writes_enabled=True)
    for route, body in CHANGES.items():
        monkeypatch.setitem(table.BODIES, route, body)
    unrecorded, refused = [], {}
    for route in (each for each in ROUTES if each.partition(" ")[0] not in SAFE):
        cache.clear()
        with transaction.atomic():
            if route in ("PUT enabled", "PUT own-enabled"):
                set_enabled(world.watched.instance, enabled=False)
            before = len(entries())
            auth = world.watched.auth if OF_THE_TOKEN.search(route) else api.tenant.auth
            status = world.ask(api, route, auth)
            if status >= 300:
                refused[route] = status
            elif len(entries()) == before and route not in UNRECORDED:
                unrecorded.append(route)
            transaction.set_rollback(True)
    assert unrecorded == []
    # Every other route was really gone through.
    assert {route for route in refused if route not in UNRECORDED} == set()


@pytest.fixture
def operator(tenant: Tenant) -> Client:
    account = User.objects.create_superuser("olga", password=PASSWORD)
    Membership.objects.create(account=account, organization=tenant.organization, role=Role.OPERATOR)
    client = Client()
    client.force_login(account)
    return client


READS = "it only shows"
ONES_OWN = "it is a person's own bookmark, and changes nothing that others see"
# Pages: what to POST and the entry it leaves, or why it leaves none.
PAGES: dict[str, tuple[dict[str, str], str] | str] = {
    "signin": "sign-ins are tried below",
    "account_login": "it is the sign-in, by the name that allauth knows",
    "sign-in-by-issuer": "it leads to the issuer; what comes of it is tried in tests of the page",
    "back-from-issuer": "tried in tests of the page: it takes an issuer",
    "own-issuer": "tried in tests of the page: it takes an issuer",
    "account_reauthenticate": "it asks for the password once more, and changes nothing",
    **dict.fromkeys(("mfa_authenticate", "mfa_login_webauthn"), "sign-ins are tried below and in test_factors.py"),
    **dict.fromkeys(("mfa_reauthenticate", "mfa_reauthenticate_webauthn"), "it asks once more, and changes nothing"),
    "mfa_index": READS,
    "mfa_view_recovery_codes": READS,
    **dict.fromkeys(
        (
            *("mfa_activate_totp", "mfa_deactivate_totp", "mfa_generate_recovery_codes"),
            *("mfa_add_webauthn", "mfa_edit_webauthn", "mfa_remove_webauthn"),
        ),
        "tried in tests/pages/test_factors.py: it takes factors, and a session that said once more who it is",
    ),
    "require-second-factor": ({"second_factor": "everybody"}, "second factor required"),
    "signout": ({}, "signed out"),
    "password": (
        {
            "old_password": PASSWORD,
            "new_password1": "another long password 7",
            "new_password2": "another long password 7",
        },
        "password changed",
    ),
    "sessions": READS,
    "copies-page": ({"resource": "contacts"}, "copy asked for"),
    "cancel-copy": ({}, "copy cancelled"),
    "copy-file": "tried in tests/pages/test_copies.py: it is a GET, and recorded all the same",
    "end-session": ({}, "sessions ended"),
    "end-other-sessions": ({}, "sessions ended"),
    "first-start": "tried below: it works only while there is no account",
    "own-address": ({"email": "olga@example.com", "old_password": PASSWORD}, "mail address changed"),
    "forgot-password": NOTHING_CHANGES,
    "new-password": "tried in tests of the page; whichever way a password is changed is tried below",
    "join": "tried in tests of the page: it takes an invitation",
    "people": READS,
    "invite-person": ({"role": "viewer", "days": "7"}, "person invited"),
    "revoke-invitation": ({}, "invitation revoked"),
    "change-role": ({"role": "operator"}, "role changed"),
    "remove-person": ({}, "person removed"),
    "leave": ({}, "person left"),
    "api-keys": READS,
    "audit-page": READS,
    "audit-csv": READS,
    "new-api-key": ({"name": "bob", "scope": "read", "days": ""}, "secrets issued"),
    "revoke-api-key": ({}, "secret revoked"),
    "choose-organization": "it changes what this browser looks at, and nothing else",
    "new-instance": "tried in tests of the page; it calls create_instance, as POST /instances does",
    "test-connection": NOTHING_CHANGES,
    "resource-counts": NOTHING_CHANGES,
    "resource-options": READS,
    "field-names": READS,
    "instance-settings": ({"part": "name", "name": "another", "tags": "", "filter_nulls": "on"}, "instance changed"),
    "test-stored-connection": NOTHING_CHANGES,
    "switch-events": ({"on": "false"}, "instance changed"),
    "switch-instance": ({"enabled": "false"}, "instance disabled"),
    "new-token": ({"hours": "24"}, "token replaced"),
    "delete-instance": ({"name": "one"}, "instance deleted"),
    "add-resource": "tried in tests of the page; it calls change_instance, as PATCH does",
    "edit-resource": ({"action": "pause"}, "instance changed"),
    "overview": READS,
    "engine-banner": READS,
    "save-view": ONES_OWN,
    "remove-view": ONES_OWN,
    "bulk-jobs": READS,
    "bulk-job": READS,
    "start-bulk-job": ({"action": "disable", "every": "1"}, "bulk job started"),
    "stop-bulk-job": ({}, "bulk job stopped"),
    "try-bulk-job-again": ({}, "bulk job started"),
    "instances-page": READS,
    "instance-page": READS,
    "instance-events": READS,
    "instance-callbacks": READS,
    "instance-stream": READS,
    "poll-page": READS,
    "poll-now": LEAVES_A_ROW,
    "poll-progress": READS,
    "backfill": ({"since": "2026-01-01T00:00"}, "backfill asked for"),
    "held-deletes": ({"decision": "dismiss"}, "held deletes decided"),
    "instance-delivery": READS,
    "held-back": READS,
    "add-subscription": (
        {"name": "Closed", "url": "http://127.0.0.1:9/", "form": "elements", "begin": "now"},
        "subscription created",
    ),
    "edit-subscription": (
        {"name": "another", "url": "http://127.0.0.1:9/", "form": "thin", "enabled": "on"},
        "subscription changed",
    ),
    "test-subscription": NOTHING_CHANGES,
    "pause-subscription": ({}, "delivery paused"),
    "delete-subscription": ({}, "subscription deleted"),
    "try-receiver": NOTHING_CHANGES,
    "release-delivery": ({}, "delivery released"),
    "release-progress": READS,
    "replay": ({"which": "all", "since": "2020-01-01T00:00"}, "notifications replayed"),
    "verify-page": READS,
    "verify-poll": LEAVES_A_ROW,
    "try-draft": NOTHING_CHANGES,
    "alerts-page": READS,
    "add-alert-destination": (
        {"kind": "webhook", "name": "On call", "url": "http://127.0.0.1:9/hook", "kinds": "paused", "enabled": "on"},
        "alert destination added",
    ),
    "alert-destination": ({"name": "Others", "kinds": "paused", "enabled": "on"}, "alert destination changed"),
    "test-alert-destination": ({}, "test alert sent"),
    "remove-alert-destination": ({}, "alert destination removed"),
    "mute-alerts": ({"hours": "4"}, "alerts muted"),
    "unmute-alerts": ({}, "alerts unmuted"),
    "acknowledge-alert": ({}, "alert acknowledged"),
    "deliveries-page": READS,
    "deliveries-csv": READS,
    "replay-these": ({}, "bulk job started"),
    "attempt-curl": READS,
    "dismiss-given-up": ({}, "given up notifications dismissed"),
    "receiver-page": READS,
    "replay-progress": READS,
    "search": READS,
    "events-page": READS,
    "events-csv": READS,
    "event-page": READS,
    "replay-event": ({}, "notifications replayed"),
    **dict.fromkeys(("help", "event-catalogue", "event-catalogue-resource", "watch-resource"), READS),
    **dict.fromkeys(("receiver-code", "instance-receiver-code"), READS),
}


ASKED = {"replay-these": "?of=deliveries&from=2020-01-01T00:00"}  # what pages are asked beside


def test_every_page_has_its_row() -> None:
    assert dict(pages()).keys() == PAGES.keys()


def alert_rows(world: ExampleRows) -> dict[str, int]:
    """Make a warning, a destination and a mute; return which of them each page about one is asked for."""
    instance, now = world.watched.instance, timezone.now()
    organization = instance.organization
    assert organization is not None
    destination = new_destination(organization, "webhook", now)
    save_destination(destination, name="Some", url="http://127.0.0.1:9/", now=now)
    mute(organization, instance=None, kind="", until=now + timedelta(hours=1), by="olga", now=now)
    delivery_alerts.warn(Alert.Kind.PAUSED, instance, "It is paused.", now)
    return {
        **dict.fromkeys(PAGES, destination.pk),
        "unmute-alerts": AlertMute.objects.latest("pk").pk,
        "acknowledge-alert": Alert.objects.latest("pk").pk,
    }


@pytest.mark.parametrize("name", [name for name, row in PAGES.items() if not isinstance(row, str)])
def test_what_a_page_changes_is_recorded(world: ExampleRows, operator: Client, name: str) -> None:
    row = PAGES[name]
    assert not isinstance(row, str)
    values = {"number": world.watched.instance.pk, "poll": world.watched.poll.pk, "name": "contacts"}
    values["copy"] = world.arguments["copy"]
    values["subscription"] = world.arguments["subscription"]
    if name == "replay-event":
        values["number"] = world.arguments["event"]
    if name == "dismiss-given-up":
        Notification.objects.update(state=Notification.State.FAILED, given_up_at=timezone.now())
    if name in ("stop-bulk-job", "try-bulk-job-again"):
        organization, at = Membership.objects.get().organization, timezone.now()
        job = BulkJob.objects.create(organization=organization, asked_at=at, action="enable", total=1)
        BulkRefusal.objects.create(job=job, instance_id=world.watched.instance.pk)
        values["number"] = job.pk
    if "session" in name:
        Client().force_login(User.objects.get(username="olga"))  # in another browser
        values["number"] = SignIn.objects.latest("pk").pk
    if "alert" in name:
        values["number"] = alert_rows(world)[name]
    ours, otto = world.watched.instance.organization, User.objects.create_user("otto")
    assert ours is not None
    of_otto = Membership.objects.create(account=otto, organization=ours)
    if name == "leave":
        Membership.objects.filter(pk=of_otto.pk).update(role=Role.OPERATOR)
    if name in ("change-role", "remove-person"):
        values["number"] = of_otto.pk
    if name == "revoke-api-key":
        values["number"] = ours.api_users.get(name="another").pk
    if name == "revoke-invitation":
        given: Any = {"email": "", "now": timezone.now(), "good_for": timedelta(days=1)}
        values["number"] = invite(ours, role=Role.VIEWER, **given)[0].pk
    Instance.objects.update(name="one", events_enabled=True, callback_url="http://127.0.0.1:9/")
    pattern = dict(pages())[name]
    url = reverse(name, kwargs={each: values[each] for each in pattern.pattern.converters})
    before = len(entries())
    answer = operator.post(url + ASKED.get(name, ""), row[0])
    assert answer.status_code < 400, answer.content.decode()[-3000:]
    assert row[1] in entries()[before:]


class TestAccounts:
    """Sign-ins, sign-outs, passwords: whichever way they come about."""

    def test_signing_in_and_out_is_recorded(self, operator: Client) -> None:
        client = Client()
        client.post(reverse("signin"), {"username": "olga", "password": PASSWORD})
        client.post(reverse("signout"))
        assert entries()[-2:] == ["signed in", "signed out"]
        assert AuditEntry.objects.latest("pk").details == {"address": "127.0.0.1"}

    @pytest.mark.parametrize("path", ["/app/signin", "/admin/login/"])
    def test_a_failure_names_the_account_and_never_what_was_typed(self, operator: Client, path: str) -> None:
        client = Client()
        client.post(path, {"username": "olga", "password": "a wrong password"})
        client.post(path, {"username": PASSWORD, "password": ""})
        client.post(path, {"username": PASSWORD, "password": "typed into the wrong field"})
        found = AuditEntry.objects.filter(action="sign-in failed").order_by("pk")
        assert [entry.subject for entry in found] == ["account olga", "an account that does not exist"]
        assert PASSWORD not in json.dumps([[entry.subject, entry.details] for entry in AuditEntry.objects.all()])

    def test_a_flood_of_failures_does_not_fill_the_log(self, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
        monkeypatch.setattr(account_audit, "MOST_FAILURES", 5)
        settings.AXES_ENABLED = False
        for _ in range(12):
            Client().post("/app/signin", {"username": "nobody", "password": "x"})
        found = AuditEntry.objects.filter(action="sign-in failed").order_by("pk").values_list("subject", flat=True)
        assert len(found) == 6
        assert found[5].startswith("further ones")

    def test_the_first_account_is_recorded(self) -> None:
        User.objects.all().delete()
        client = Client()
        given = {"code": first_start_code(), "username": "olga", "password": PASSWORD, "organization": "Acme"}
        client.post(reverse("first-start"), given)
        assert entries()[-2:] == ["account created", "signed in"]

    def test_a_password_changed_anywhere_is_recorded(self, operator: Client) -> None:
        account = User.objects.get(username="olga")
        account.set_password("yet another password")
        account.save()
        assert entries()[-1] == "password changed"
        before = len(entries())
        account.email = "olga@example.com"
        account.save()
        assert len(entries()) == before

    def test_nothing_of_a_password_is_in_the_log(self, operator: Client) -> None:
        account = User.objects.get(username="olga")
        text = json.dumps(list(AuditEntry.objects.values_list("subject", "details", "actor")))
        assert account.password not in text
        assert PASSWORD not in text


def test_whatever_can_be_edited_in_the_admin_is_recorded(rf: Any, operator: Client) -> None:
    """Models that can be added, changed or deleted there are of the audited kind."""
    request = rf.get("/admin/")
    request.user = User.objects.get(username="olga")
    editable = [
        model._meta.label
        for model, of_model in admin.site._registry.items()
        if of_model.has_add_permission(request)
        or of_model.has_change_permission(request)
        or of_model.has_delete_permission(request)
        if not isinstance(of_model, AuditedMixin)
    ]
    assert editable == []


def test_methods_are_those_of_the_tables() -> None:
    assert set(METHODS) - SAFE == {"POST", "PUT", "PATCH", "DELETE"}
