"""What may be skipped: on a user's machine what its services are missing for, in CI nothing (`.ci/run`)."""

from __future__ import annotations

import os

import pytest

SERVICES_REQUIRED = os.environ.get("CWCONNECT_TEST_REQUIRE_SERVICES") == "1"

# What takes long on two cores: CI runs it, and a newcomer's run says that it left it out.
LENGTHY = SERVICES_REQUIRED or os.environ.get("CWCONNECT_TEST_LENGTHY") == "1"
lengthy = pytest.mark.skipif(
    not LENGTHY,
    reason="takes long: CI runs it, and CWCONNECT_TEST_LENGTHY=1",
)
