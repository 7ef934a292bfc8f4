"""The switch for ConnectWise's callbacks: what it needs, and where that is said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from cwconnect.core import env
from cwconnect.sandbox import SandboxServer
from instances.configuration.callback_address import callback_base
from instances.models import AuditEntry, Instance
from tests.site.test_every_setting import KEYS, settings_of
from tests.support.api_caller import Api

KEY = "event.callbacks.enabled"


@pytest.mark.parametrize(
    ("callback", "public", "found"),
    [
        ("", "", ""),
        ("", "http://events.example.com", ""),
        ("", "https://events.example.com", "https://events.example.com"),
        ("https://in.example.com:8443", "https://events.example.com", "https://in.example.com:8443"),
        ("http://127.0.0.1:8000", "https://events.example.com", "http://127.0.0.1:8000"),
        ("", "http://localhost:8000", "http://localhost:8000"),
        ("", "http://[::1]:8000", "http://[::1]:8000"),
        ("", "http://localhost.example.com", ""),
        ("", "http://127.0.0.1.example.com", ""),
        ("", "http://10.0.0.1", ""),
    ],
)
def test_connectwise_calls_https_or_this_machine_itself(
    settings: Settings, callback: str, public: str, found: str
) -> None:
    settings.CALLBACK_URL, settings.PUBLIC_URL = callback, public
    assert callback_base() == found


@pytest.mark.parametrize("url", ["http://events.example.com", "http://10.0.0.1:8000", "https://a.example/path"])
def test_another_address_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("CWCONNECT_CALLBACK_URL", url)
    with pytest.raises(ImproperlyConfigured, match="CWCONNECT_CALLBACK_URL"):
        env.called_url("CWCONNECT_CALLBACK_URL")


@pytest.mark.django_db
def test_without_an_address_the_switch_is_refused_by_name(api: Api, sandbox: SandboxServer, settings: Settings) -> None:
    settings.CALLBACK_URL = settings.PUBLIC_URL = ""
    made = api.create(sandbox.url)
    assert KEY not in made["configuration"]
    path = f"/instances/{made['id']}"
    for answer in (
        api("PATCH", path, {"configuration": {KEY: "true"}}),
        api("PATCH", f"{path}/configuration/{KEY}", {"propertyValue": "true"}),
    ):
        assert answer.status_code == 400
        assert f"{KEY} needs an https address" in answer.json()["message"]
        assert "CWCONNECT_CALLBACK_URL" in answer.json()["message"]
    assert not Instance.objects.get().callbacks_enabled


@pytest.mark.django_db
def test_it_is_switched_on_and_what_is_on_holds_nothing_else_up(
    api: Api, sandbox: SandboxServer, settings: Settings
) -> None:
    settings.CALLBACK_URL = "https://in.example.com"
    path = f"/instances/{api.create(sandbox.url)['id']}"
    assert api("PATCH", path, {"configuration": {KEY: True}}).json()["configuration"][KEY] == "true"
    assert AuditEntry.objects.latest("pk").details == {"callbacks_enabled": [False, True]}
    settings.CALLBACK_URL = ""  # an operator took it away
    assert api("PATCH", path, {"name": "Another"}).status_code == 200
    assert api("PATCH", path, {"configuration": {KEY: "no"}}).status_code == 200
    assert not Instance.objects.get().callbacks_enabled


def test_the_way_in_is_not_redirected_and_its_host_answered(tmp_path: Path) -> None:
    found = settings_of(
        tmp_path, **KEYS, CWCONNECT_PUBLIC_URL="https://a.example", CWCONNECT_CALLBACK_URL="https://B.example:8443/"
    )
    exempt = re.compile("|".join(found["SECURE_REDIRECT_EXEMPT"]))
    assert exempt.search("callbacks/connectwise/a-token")
    assert not exempt.search("app/callbacks/connectwise/a-token")
    assert found["ALLOWED_HOSTS"][-2:] == ["a.example", "b.example"]
