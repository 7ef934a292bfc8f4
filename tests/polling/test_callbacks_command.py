"""`manage.py callbacks`: compared, listed and removed in the foreground; and how registrations stand, for people."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from instances.models import AuditEntry, Instance
from instances.provisioning import delete_instance, set_enabled
from polling.callbacks import foreground
from polling.callbacks.report import report_registrations
from polling.models import CallbackEndpoint, CallbackRegistration
from tests.pages.conftest import text_of
from tests.support.callback_registry import HERE, KEY, THERE, Registry, spoil

pytestmark = pytest.mark.django_db
LOST = "L" * 43


def run(registry: Registry, *options: str) -> str:
    out = StringIO()
    call_command("callbacks", registry.instance.pk, *options, stdout=out, verbosity=0)
    return out.getvalue()


def test_it_compares_now_and_says_what_was_done(registry: Registry) -> None:
    assert run(registry) == "contact: registered\nticket: registered\n"
    assert registry.ours() == registry.right()
    assert run(registry) == "Nothing was to be done.\n"


def test_what_is_refused_is_said_in_words_and_ends_in_an_error(registry: Registry) -> None:
    spoil(skip=1, method="POST", status=403)(registry)
    with pytest.raises(CommandError, match=r"ticket: .*System › Table Setup"):
        run(registry)
    spoil(status=404)(registry)
    with pytest.raises(CommandError, match="has no callbacks"):
        run(registry)
    spoil(status=401)(registry)
    with pytest.raises(CommandError, match="Incorrect public/private key"):
        run(registry)


def test_what_a_worker_has_under_way_is_waited_for(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    CallbackEndpoint.objects.update(lease_token="another's", lease_until=timezone.now() + timedelta(seconds=2))
    assert "contact: registered" in run(registry)
    CallbackEndpoint.objects.update(lease_token="another's", lease_until=timezone.now() + timedelta(minutes=2))
    monkeypatch.setattr(foreground, "PATIENCE", 0.0)
    with pytest.raises(CommandError, match="A worker compares it just now"):
        run(registry)


@pytest.mark.parametrize("option", ["--list", "--remove"])
def test_a_login_that_is_refused_is_said(registry: Registry, option: str) -> None:
    spoil(n=2, status=401)(registry)
    with pytest.raises(CommandError, match="401"):
        run(registry, option)


def test_it_says_why_nothing_can_be_compared(registry: Registry) -> None:
    spoil(status=429)(registry)
    with pytest.raises(CommandError, match="Too many requests"):
        run(registry)
    with pytest.raises(CommandError, match="asked for a pause"):
        run(registry)
    registry.configure(**{KEY: "false"})
    registry.settle(hours=1)
    with pytest.raises(CommandError, match="not switched on"):
        run(registry)
    with pytest.raises(CommandError, match="no instance 4711"):
        call_command("callbacks", 4711)


def test_the_list_says_whose_each_is_and_shows_no_secret(registry: Registry) -> None:
    registry.settle()
    other = registry.endpoint.token.reveal()
    registry.watch(event__callbacks__enabled="true")
    registry.settle()
    registry.put("https://[::", "contact")
    listed = run(registry, "--list")
    assert "contact  on  this instance's  https://in.example.com/…" in listed
    assert "ticket  on  another instance's  https://in.example.com/…" in listed
    assert "contact  on  left behind  https://in.example.com/…" in listed
    assert "contact  on  somebody else's  https://example.org/…" in listed
    assert "somebody else's  no URL" in listed
    assert "hush" not in listed
    assert other not in listed
    assert registry.endpoint.token.reveal() not in listed


def test_it_removes_its_own_and_what_was_left_behind_once_that_is_confirmed(registry: Registry) -> None:
    registry.settle()
    # Of the table's others all that call just this address are of no instance here.
    for start in (f"{HERE}/prefix", THERE, f"{HERE}.example", HERE.replace("https", "http")):
        registry.put(f"{start}/callbacks/connectwise/{LOST}?recordId=", "contact")
    registry.put(f"{HERE}/callbacks/connectwise/{LOST}/more", "contact")
    kept = [entry for entry in registry.foreign if "example.org" in entry[0]]
    before = registry.listed()
    with pytest.raises(CommandError, match="They stay"):
        run(registry, "--remove")
    assert set(before) - set(registry.listed()) == set(registry.right())
    registry.settle(hours=1.01)
    assert set(registry.right()) <= set(registry.listed())
    said = run(registry, "--remove", "--yes")
    assert "another installation" in said
    assert "registered again within the hour" in said
    assert "2 callbacks removed." in said
    assert len(registry.listed()) == len(kept) + 5
    assert set(kept) <= set(registry.listed())
    assert AuditEntry.objects.filter(action="callbacks removed").count() == 1
    assert "Nothing was left behind." in run(registry, "--remove", "--yes")


def test_a_deleted_instances_are_removed_at_once_on_demand(registry: Registry) -> None:
    registry.settle()
    delete_instance(registry.instance)
    assert "contact: deleted" in run(registry)
    assert not CallbackEndpoint.objects.exists()
    with pytest.raises(CommandError, match="There is no instance"):
        run(registry)
    assert Instance.objects.get().private_key.reveal() == ""


def test_how_they_stand_is_shown_by_resource(registry: Registry) -> None:
    registry.change_polls({"contacts": {}, "incidents": {}, "project-tickets": {}, "campaigns": {}})
    spoil(skip=1, method="POST", status=403)(registry)
    registry.settle()
    report = report_registrations(registry.instance)
    assert report is not None
    assert [(row.type, row.resources, row.status) for row in report.rows] == [
        ("contact", ["contacts"], CallbackRegistration.Status.ACTIVE),
        ("ticket", ["incidents", "project-tickets"], CallbackRegistration.Status.REFUSED),
    ]
    assert report.rows[0].since is not None
    assert "Table Setup" in report.rows[1].problem
    assert report.problem == report.rows[1].problem
    assert (report.without, report.all_active) == (["campaigns"], False)
    assert report.compared_at is not None
    assert report.next_compare_at is not None


def test_an_address_that_is_gone_is_a_problem_in_words(registry: Registry) -> None:
    registry.settle()
    registry.settings.CALLBACK_URL = ""
    report = report_registrations(registry.instance)
    assert report is not None
    assert "CWCONNECT_CALLBACK_URL" in report.problem
    set_enabled(registry.instance, enabled=False)
    registry.configure(**{KEY: "false"})
    registry.settle()
    assert report_registrations(registry.instance) is None


def test_the_admin_shows_them_without_the_token(registry: Registry, admin_client: Client) -> None:
    registry.settle()
    number = registry.instance.pk
    first = CallbackRegistration.objects.earliest("pk")
    pages = [f"callbackendpoint/{number}/change/", f"callbackregistration/{first.pk}/change/"]
    for path in ("callbackendpoint/", f"callbackregistration/?instance={number}", *pages):
        answer = admin_client.get(f"/admin/polling/{path}")
        assert answer.status_code == 200
        assert registry.endpoint.token.reveal() not in text_of(answer)
        assert registry.endpoint.token_hash not in text_of(answer)
    assert f"callbackregistration/?instance={number}" in text_of(admin_client.get(f"/admin/polling/{pages[0]}"))
