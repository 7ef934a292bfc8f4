"""Tests that take long on two cores: CI runs them, and a newcomer's run says that it left them out."""

from __future__ import annotations

import os

import pytest

lengthy = pytest.mark.skipif(
    os.environ.get("CWCONNECT_TEST_REQUIRE_SERVICES") != "1" and os.environ.get("CWCONNECT_TEST_LENGTHY") != "1",
    reason="takes long: CI runs it, and CWCONNECT_TEST_LENGTHY=1",
)
