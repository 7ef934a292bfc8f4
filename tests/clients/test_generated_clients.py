"""Clients made by three generators live a whole life with the real service, and lose nothing of what it answers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cwconnect.sandbox import SandboxServer
from cwconnect.site.demo import free_port
from tests.clients.generated import MAKERS, TOOLS, Client, Maker, check_types
from tests.clients.life import Life
from tests.support.receivers import start_receiver
from tests.support.required import SERVICES_REQUIRED
from tests.support.sandboxes import start_sandbox
from tests.support.services import ask, manage, wait_until

READY = (TOOLS / "python").is_dir() and (TOOLS / "node_modules").is_dir() and shutil.which("node") is not None
pytestmark = [
    pytest.mark.processes,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        not READY and not SERVICES_REQUIRED,
        reason="needs node, and the generators installed in the folder that CWCONNECT_TEST_CLIENTS names",
    ),
]
LOCAL = {"CWCONNECT_PRIVATE_NETWORKS": "127.0.0.0/8", "CWCONNECT_CONNECTWISE_CLIENT_ID": "a-client"}


@dataclass(frozen=True)
class Running:
    """The service, where its data are, and its description."""

    url: str
    data: Path
    schema: Path

    def admit(self, organization: str) -> dict[str, str]:
        """Make an organization with a user; return both secrets."""
        made: dict[str, str] = json.loads(
            ask(self.data, "issue_secrets", "--organization", organization, "--user", "alice", "--may-write", "--json")
        )
        return made


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("service")
    data, port, schema = folder / "data", free_port(), folder / "schema.json"
    with manage(data, "up", "--port", str(port), environment=LOCAL) as service:
        wait_until(lambda: "cwconnect is up" in service.output or service.process.poll(), 180, "a start")
        assert "cwconnect is up" in service.output, service.output
        ask(data, "spectacular", "--format", "openapi-json", "--file", str(schema))
        yield Running(f"http://127.0.0.1:{port}", data, schema)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    with start_sandbox(records={"contacts": 30, "organizations": 5}) as server:
        yield server


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.name)
def test_a_generated_client_lives_a_whole_life(
    maker: Maker, running: Running, sandbox: SandboxServer, tmp_path: Path
) -> None:
    maker.make(running.schema, tmp_path)
    schema: dict[str, Any] = json.loads(running.schema.read_text(encoding="utf-8"))
    secrets = running.admit(maker.name)
    both = f"User {secrets['user']}, Organization {secrets['organization']}"
    command = (*maker.driver, tmp_path, running.url)
    with start_receiver() as receiver, Client(schema, both, command) as client:
        Life(client, secrets["user"], sandbox, receiver).live()
    described = {(method.upper(), path) for path, item in schema["paths"].items() for method in item}
    assert {(call.method, call.path) for call in client.calls} == described
    if maker.name == "openapi-typescript":
        check_types(client.calls, tmp_path)
