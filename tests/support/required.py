"""What may be skipped: on a user's machine what its services are missing for, in CI nothing (`.ci/run`)."""

from __future__ import annotations

import os

import pytest

SERVICES_REQUIRED = os.environ.get("CWCONNECT_TEST_REQUIRE_SERVICES") == "1"

# Tests that take long on two cores: CI runs them, and a newcomer's run says that it left them out.
lengthy = pytest.mark.skipif(
    not SERVICES_REQUIRED and os.environ.get("CWCONNECT_TEST_LENGTHY") != "1",
    reason="takes long: CI runs it, and CWCONNECT_TEST_LENGTHY=1",
)
