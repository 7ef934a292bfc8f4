"""Element tokens: replaced without a gap, and read again where the operator allows it."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from cwconnect.sandbox import SandboxServer
from instances.credentials.tokens import replace_token
from instances.models import AuditEntry, Instance, Membership, Role
from instances.secrets import Secret, hash_token
from instances.secrets.rotation import rotate
from tests.support.api_caller import Api


@pytest.fixture
def created(api: Api, sandbox: SandboxServer) -> dict[str, Any]:
    return api.create(sandbox.url)


@pytest.fixture
def operator(api: Api) -> Client:
    account = get_user_model().objects.create_user("ann")
    Membership.objects.create(account=account, organization=api.tenant.organization, role=Role.OPERATOR)
    client = Client()
    client.force_login(account)
    return client


@pytest.fixture
def readable(settings: Settings) -> None:
    settings.READABLE_TOKENS = True


def status(api: Api, token: str) -> int:
    """Call a route of the instance with this token."""
    auth = f"User {api.tenant.user_secret}, Element {token}"
    return int(api("GET", "/instances/events", auth=auth).status_code)


def ask(api: Api, created: dict[str, Any], body: Any = None, **options: Any) -> Any:
    return api("POST", f"/v1/instances/{created['id']}/token", {} if body is None else body, **options)


def test_the_former_token_is_good_for_a_day(api: Api, created: dict[str, Any]) -> None:
    answer = ask(api, created)
    assert answer.status_code == 201
    assert answer.json()["token"] != created["token"]
    assert status(api, answer.json()["token"]) == 200
    assert status(api, created["token"]) == 200
    until = Instance.objects.get().previous_token_until
    assert until is not None
    assert timedelta(hours=23, minutes=59) < until - timezone.now() <= timedelta(hours=24)
    Instance.objects.update(previous_token_until=timezone.now() - timedelta(seconds=1))
    assert status(api, created["token"]) == 401
    assert status(api, answer.json()["token"]) == 200


def test_it_may_end_at_once(api: Api, created: dict[str, Any]) -> None:
    answer = ask(api, created, {"until": "2020-01-01T00:00:00Z"})
    assert status(api, created["token"]) == 401
    assert status(api, answer.json()["token"]) == 200


def test_it_is_good_for_a_month_at_most(api: Api, created: dict[str, Any]) -> None:
    answer = ask(api, created, {"until": (timezone.now() + timedelta(days=31)).isoformat()})
    assert answer.status_code == 400
    assert answer.json()["message"] == "until: must be a time within the next 30 days."
    assert Instance.objects.get().token_hash == hash_token(created["token"])


def test_a_second_replacement_ends_the_first_token(api: Api, created: dict[str, Any]) -> None:
    second = ask(api, created).json()["token"]
    third = ask(api, created).json()["token"]
    assert [status(api, token) for token in (created["token"], second, third)] == [401, 200, 200]


def test_an_element_token_does_not_make_another(api: Api, created: dict[str, Any]) -> None:
    answer = ask(api, created, auth=f"User {api.tenant.user_secret}, Element {created['token']}")
    assert answer.status_code == 403
    assert Instance.objects.get().token_hash == hash_token(created["token"])


def test_another_organization_makes_none(other_api: Api, created: dict[str, Any]) -> None:
    assert ask(other_api, created).status_code == 404
    assert Instance.objects.get().token_hash == hash_token(created["token"])


def test_a_token_of_another_organization_stays_worthless_while_it_is_a_former_one(
    api: Api, other_api: Api, created: dict[str, Any]
) -> None:
    ask(api, created)
    auth = f"User {other_api.tenant.user_secret}, Element {created['token']}"
    assert other_api("GET", "/instances/events", auth=auth).status_code == 401


def test_a_deleted_instance_answers_to_none_of_its_tokens(api: Api, created: dict[str, Any]) -> None:
    token = ask(api, created).json()["token"]
    api("DELETE", f"/instances/{created['id']}")
    assert [status(api, each) for each in (created["token"], token)] == [401, 401]


def test_it_is_in_the_audit_log_and_the_token_is_not(api: Api, created: dict[str, Any]) -> None:
    token = ask(api, created).json()["token"]
    entry = AuditEntry.objects.latest("pk")
    assert entry.action == "token replaced"
    assert token not in json.dumps([entry.subject, entry.details, entry.actor])


def test_the_command_prints_it_once(api: Api, created: dict[str, Any]) -> None:
    out = io.StringIO()
    call_command("new_token", created["id"], "--json", "--hours", "0", stdout=out)
    made = json.loads(out.getvalue())
    assert status(api, made["token"]) == 200
    assert status(api, created["token"]) == 401


@pytest.mark.parametrize(("arguments", "words"), [(["0"], "no instance 0"), (["{id}", "--hours", "721"], "0 to 720")])
def test_the_command_refuses_what_it_cannot_do(created: dict[str, Any], arguments: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        call_command("new_token", *[argument.format(**created) for argument in arguments])
    assert Instance.objects.get().token_hash == hash_token(created["token"])


def test_the_page_asks_then_shows_it_once(api: Api, operator: Client, created: dict[str, Any]) -> None:
    path = f"/app/instances/{created['id']}/token"
    assert "shown this once" not in operator.get(path).content.decode()
    assert operator.post(path, {"hours": "5"}).status_code == 422
    assert Instance.objects.get().token_hash == hash_token(created["token"])
    page = operator.post(path, {"hours": "24"}).content.decode()
    token = page.split('<code id="token">')[1].split("</code>")[0]
    assert status(api, token) == 200
    assert "The former token is good until" in operator.get(f"/app/instances/{created['id']}/settings").content.decode()
    assert token not in operator.get(path).content.decode()


def test_a_token_is_not_readable_unless_the_operator_says_so(api: Api, created: dict[str, Any]) -> None:
    assert Instance.objects.get().token is None
    assert "token" not in api("GET", f"/instances/{created['id']}").json()


@pytest.mark.usefixtures("readable")
class TestReadable:
    """CWCONNECT_READABLE_TOKENS=true."""

    def test_get_gives_it_to_the_organization(self, api: Api, created: dict[str, Any]) -> None:
        assert api("GET", f"/instances/{created['id']}").json()["token"] == created["token"]
        assert [row["token"] for row in api("GET", "/instances").json()] == [created["token"]]

    @pytest.mark.parametrize("path", ["/instances/{id}", "/instances"])
    @pytest.mark.parametrize("form", ["User {0}, Element {2}", "User {0}, Organization {1}, Element {2}"])
    def test_get_does_not_give_it_to_an_element_token(
        self, api: Api, created: dict[str, Any], path: str, form: str
    ) -> None:
        auth = form.format(api.tenant.user_secret, api.tenant.organization_secret, created["token"])
        answer = api("GET", path.format(**created), auth=auth)
        assert answer.status_code == 200
        assert created["token"] not in answer.content.decode()

    def test_only_those_made_since_can_be_read(self, api: Api, created: dict[str, Any], settings: Settings) -> None:
        settings.READABLE_TOKENS = False
        replace_token(Instance.objects.get(), timezone.now())
        settings.READABLE_TOKENS = True
        assert "token" not in api("GET", f"/instances/{created['id']}").json()
        token = ask(api, created).json()["token"]
        assert api("GET", f"/instances/{created['id']}").json()["token"] == token

    def test_switched_off_it_is_not_shown_any_more(self, api: Api, created: dict[str, Any], settings: Settings) -> None:
        settings.READABLE_TOKENS = False
        assert "token" not in api("GET", f"/instances/{created['id']}").json()

    def test_it_stands_nowhere_in_clear(self, created: dict[str, Any]) -> None:
        row = Instance.objects.values().get()
        assert created["token"] not in str(row)

    def test_rotation_of_the_encryption_keys_covers_it(
        self, api: Api, created: dict[str, Any], settings: Settings
    ) -> None:
        settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *settings.ENCRYPTION_KEYS]
        rotate()
        settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]
        assert api("GET", f"/instances/{created['id']}").json()["token"] == created["token"]

    def test_a_token_no_key_opens_is_left_out(self, api: Api, created: dict[str, Any]) -> None:
        Instance.objects.update(token=Secret("v1:broken"))
        assert "token" not in api("GET", f"/instances/{created['id']}").json()
