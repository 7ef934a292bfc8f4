"""What the sandbox sends as callbacks is what the connector takes for ConnectWise's: two readings of the same facts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cwconnect.connectwise.callbacks.announcements import Announcement, read_announcement
from cwconnect.connectwise.callbacks.signatures import KeyRefusedError, check_key_url, is_signed, read_signing_key
from cwconnect.connectwise.callbacks.types import TYPES, type_of_path
from cwconnect.sandbox import CATALOGUE, SandboxServer
from cwconnect.sandbox.callbacks import Message
from cwconnect.sandbox.callbacks.entries import TYPES as SANDBOX_TYPES
from tests.sandbox.caller import Caller
from tests.support.sandboxes import start_sandbox

HOOK = {"url": "https://hooks.example/c/1?recordId=", "objectId": 1, "type": "ticket", "level": "owner"}


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    """With a registration for tickets, whose callbacks are held."""
    with start_sandbox(records={"incidents": 3, "project-tickets": 3}) as server:
        with Caller(server) as caller:
            assert caller.post("/system/callbacks", HOOK).status == 201
        server.store.callbacks.settings.hold = True
        yield server


def held(sandbox: SandboxServer) -> tuple[Message, Announcement]:
    """Return the one callback that is held, and what the connector reads in it."""
    (message,) = sandbox.store.callbacks.take_held()
    return message, read_announcement(message.body)


def key_of(sandbox: SandboxServer, announcement: Announcement) -> str:
    """Return the key that a callback names, from where it says."""
    with Caller(sandbox) as caller:
        return read_signing_key(caller.send("GET", announcement.key_url.removeprefix(sandbox.root_url)).body)


def test_both_know_the_same_lists_by_the_same_types() -> None:
    assert set(SANDBOX_TYPES.values()) == TYPES
    paths = {*SANDBOX_TYPES, *(spec.path for spec in CATALOGUE)}
    assert {path: type_of_path(path) for path in paths} == {path: SANDBOX_TYPES.get(path) for path in paths}


@pytest.mark.parametrize(("tickets", "kind"), [("incidents", "ServiceTicket"), ("project-tickets", "ProjectTicket")])
def test_a_callback_is_read_pinned_and_verified(sandbox: SandboxServer, tickets: str, kind: str) -> None:
    sandbox.store.touch(tickets, 2)
    message, announcement = held(sandbox)
    assert announcement == Announcement("ticket", "updated", 2, "acme", 1, announcement.key_url, kind)
    check_key_url(announcement.key_url, base_url=sandbox.url, company="ACME")
    assert is_signed(message.body, message.headers["x-content-signature"], key_of(sandbox, announcement))


def test_a_delete_has_no_record(sandbox: SandboxServer) -> None:
    sandbox.store.delete("incidents", 2)
    _, announcement = held(sandbox)
    assert (announcement.deleted, announcement.record_type) == (True, None)


def test_bytes_that_are_no_utf8_change_nothing_of_it(sandbox: SandboxServer) -> None:
    sandbox.store.callbacks.fail(invalid_utf8=True, poison=True)
    sandbox.store.touch("incidents", 2)
    message, announcement = held(sandbox)
    assert (announcement.record_id, announcement.record_type) == (2, "ServiceTicket")
    assert is_signed(message.body, message.headers["x-content-signature"], key_of(sandbox, announcement))


def test_what_another_company_signs_is_refused(sandbox: SandboxServer) -> None:
    sandbox.store.callbacks.fail(sign_as="Neighbour")
    sandbox.store.touch("incidents", 2)
    message, announcement = held(sandbox)
    assert is_signed(message.body, message.headers["x-content-signature"], key_of(sandbox, announcement))
    with pytest.raises(KeyRefusedError, match="another company"):
        check_key_url(announcement.key_url, base_url=sandbox.url, company="acme")
    sandbox.store.callbacks.fail(sign_with="Neighbour")
    sandbox.store.touch("incidents", 2)
    message, announcement = held(sandbox)
    check_key_url(announcement.key_url, base_url=sandbox.url, company="acme")
    assert not is_signed(message.body, message.headers["x-content-signature"], key_of(sandbox, announcement))
