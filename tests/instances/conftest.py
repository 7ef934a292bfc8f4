"""Instances are made on a small sandbox."""

from __future__ import annotations

import pytest

from cwconnect.sandbox import SandboxServer


@pytest.fixture
def sandbox(small_sandbox: SandboxServer) -> SandboxServer:
    return small_sandbox
