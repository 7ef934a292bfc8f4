"""A worker killed again and again while it delivers: everything arrives, repeats are what was in flight."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.required import lengthy
from tests.support.services import ROOT, environment_of

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]

KILLS = int(os.environ.get("KILLS", "10"))
NOTIFICATIONS = int(os.environ.get("NOTIFICATIONS", "400"))


@lengthy
def test_all_arrive_and_repeats_are_no_more_than_were_in_flight_at_the_kills(data: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.killed_workers", str(KILLS), str(NOTIFICATIONS)],
        cwd=ROOT,
        env=environment_of(data) | {"CWCONNECT_PRIVATE_NETWORKS": "127.0.0.0/8"},
        capture_output=True,
        text=True,
        timeout=560,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["kills"] == KILLS
    assert figures["missing"] == 0
    assert figures["repeats"] <= figures["in flight at kills"]
    assert figures["changed bytes"] == 0
