"""A sandbox of 30 contacts, and a caller of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cwconnect.sandbox import SandboxServer, Store
from tests.sandbox.caller import Caller
from tests.support.receivers import Receiver, start_receiver
from tests.support.sandboxes import start_sandbox


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with start_sandbox() as server:
        yield server


@pytest.fixture
def store(sandbox: SandboxServer) -> Store:
    return sandbox.store


@pytest.fixture
def caller(sandbox: SandboxServer) -> Iterator[Caller]:
    with Caller(sandbox) as caller:
        yield caller


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Where callbacks go."""
    with start_receiver() as receiver:
        receiver.url = receiver.url.removesuffix("/events")
        yield receiver
