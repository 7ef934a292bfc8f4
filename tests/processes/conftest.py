"""Data folders for real processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cwconnect.site.demo import free_port
from tests.support.databases import drop_storage
from tests.support.services import Service, manage, wait_until


@pytest.fixture(scope="session", autouse=True)
def _storage() -> Iterator[None]:
    """Leave no database behind."""
    yield
    drop_storage()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running demo, its first notification arrived; shared by the tests of a module, which all leave it running."""
    port = free_port()
    with manage(tmp_path_factory.mktemp("demo"), "up", "--demo", "--port", str(port)) as service:
        wait_until(service.verified, 90, "the first notification", lambda: service.output)
        yield service
