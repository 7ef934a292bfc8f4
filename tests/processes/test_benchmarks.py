"""What the everyday poll costs, by small runs of what measures it: counts hold, times are nobody's promise."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.support.required import lengthy
from tests.support.services import ROOT

TIMED = "polls/s, of idle ones"  # what a busy machine decides

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240), lengthy]


def test_a_poll_that_finds_one_change_asks_once_and_its_database_at_most_four_times() -> None:
    printed = _measured("changes", "--instances", "12", "--rounds", "2")
    for figure in printed["figures"]:
        assert figure["units"] == 12 * 3 * 2
        assert figure["more"]["requests"] == 1
        assert 0 < figure["more"]["idle statements"] <= figure["more"]["statements"]


def test_a_poll_that_finds_less_than_a_page_asks_connectwise_once() -> None:
    cases = ("nothing", "one change", "three changes", "now and then a change")
    printed = _measured("requests", "--cases", *cases)
    assert [figure["more"]["a poll"] for figure in printed["figures"]] == [1] * len(cases)


def _measured(benchmark: str, *options: str) -> dict[str, Any]:
    """Run a benchmark and give what it printed; every bar must hold that is no matter of time."""
    done = subprocess.run(
        [sys.executable, "-m", f"tests.long.benchmarks.{benchmark}", "--json", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=220,
    )
    assert done.returncode == 0, done.stderr
    printed: dict[str, Any] = json.loads(done.stdout)
    missed = [bar for bar in printed["bars"] if not bar["met"] and not bar["what"].endswith(TIMED)]
    assert not missed
    return printed
