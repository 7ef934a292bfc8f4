"""A ConnectWise sandbox for a test, small unless it asks for more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cwconnect.sandbox import SandboxServer


@contextmanager
def start_sandbox(**options: Any) -> Iterator[SandboxServer]:
    """Run a sandbox on a free port of 127.0.0.1; `options` are SandboxServer's. 30 contacts if no records are named."""
    options.setdefault("records", {"contacts": 30})
    with SandboxServer(**options) as server:
        yield server
