"""What must hold whatever is sent, and whatever goes wrong half-way."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from cwconnect.core.errors import ConflictError, DomainError
from cwconnect.core.request_ids import RequestIdFilter, current_request_id, new_request_id
from cwconnect.sandbox import SandboxServer
from instances.api.serializers import read_body
from instances.configuration.config_keys import KEYS, InstanceConfig
from instances.configuration.wire import config_of, read_configuration
from instances.models import Instance, ResourcePoll
from instances.provisioning import change_instance
from instances.signals import watching_changed
from tests.instances.test_change import RICH, snapshot
from tests.seed import example_body
from tests.support.api_caller import Api

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_KEYS = st.sampled_from([key.name for key in KEYS])


@given(st.dictionaries(_KEYS, _JSON, max_size=5))
def test_any_configuration_is_read_or_refused(configuration: dict[str, Any]) -> None:
    base = InstanceConfig(base_url="https://example.com", company="a", public_key="b", private_key="c")
    try:
        config = read_configuration(configuration, base=base, stored=base)
    except DomainError:
        return
    assert config.polls


@given(st.dictionaries(st.sampled_from(["element", "name", "tags", "configuration"]), _JSON) | _JSON)
def test_any_body_is_read_or_refused(body: Any) -> None:
    try:
        read = read_body(body)
    except DomainError:
        return
    assert isinstance(read.configuration, dict)


def test_plain_secrets_are_not_printed() -> None:
    assert "word" not in repr(InstanceConfig(private_key="word", basic_password="word", callback_headers={"X": "word"}))


def test_a_change_on_top_of_another_is_a_conflict_and_does_nothing(api: Api, sandbox: SandboxServer) -> None:
    number = api.create(sandbox.url)["id"]
    stale = Instance.objects.get(pk=number)
    api("PATCH", f"/instances/{number}", {"name": "first"})
    before = snapshot(number)
    with pytest.raises(ConflictError):
        change_instance(stale, config=config_of(stale), name="second")
    assert snapshot(number) == before


def test_a_failure_while_storing_leaves_nothing_behind(api: Api, sandbox: SandboxServer) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("the receiver failed")

    watching_changed.connect(fail)
    try:
        assert api("POST", "/instances", example_body(sandbox.url)).status_code == 500
    finally:
        watching_changed.disconnect(fail)
    assert not Instance.objects.exists()
    assert not ResourcePoll.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_connectwise_is_never_asked_inside_a_transaction(
    api: Api, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cwconnect.outbound import OutboundClient

    seen: list[bool] = []
    ask = OutboundClient.request

    def watch(self: OutboundClient, *args: Any, **kwargs: Any) -> Any:
        seen.append(connection.in_atomic_block)
        return ask(self, *args, **kwargs)

    monkeypatch.setattr(OutboundClient, "request", watch)
    number = api.create(sandbox.url)["id"]
    api("PATCH", f"/instances/{number}", {"configuration": {"event.poller.configuration": {"incidents": {}}}})
    assert seen == [False, False]


def test_secrets_that_no_key_opens_are_asked_for_again_by_name(
    api: Api, sandbox: SandboxServer, settings: Settings
) -> None:
    created = api.create(sandbox.url, **RICH)
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    path = f"/instances/{created['id']}"
    assert api("GET", path).json()["configuration"]["private.key"] == "********"
    refused = api("PATCH", path, {"name": "x"})
    assert refused.status_code == 400
    assert "private.key" in refused.json()["message"]
    element = f"User {api.tenant.user_secret}, Element {created['token']}"
    unread = api("GET", "/hubs/crm/contacts", auth=element)
    assert unread.status_code == 500
    assert "CWCONNECT_ENCRYPTION_KEYS" in unread.json()["message"]
    keys = {"public.key": "PUB", "private.key": "PRIV"}
    assert api("PATCH", path, {"configuration": keys}).status_code == 200


def test_log_lines_carry_the_requests_id() -> None:
    record = logging.LogRecord("a", logging.INFO, "a.py", 1, "text", (), None)
    with new_request_id() as request_id:
        assert current_request_id() == request_id
        RequestIdFilter().filter(record)
    assert record.request_id == request_id  # type: ignore[attr-defined]  # set by the filter
    RequestIdFilter().filter(record)
    assert record.request_id == "-"  # type: ignore[attr-defined]  # as above
