"""A process that ends does not search for garbage first."""

from __future__ import annotations

import subprocess
import sys

from tests.support.services import ROOT

CYCLE = """
import gc
from cwconnect.core.starting import leave_quickly
gc.disable()
class Ring:
    def __init__(self): self.own = self
    def __del__(self): print("found", flush=True)
{before}
Ring()
"""


def test_no_search_for_garbage_at_the_end() -> None:
    for before, said in (("", "found\n"), ("leave_quickly()", "")):
        command = [sys.executable, "-c", CYCLE.format(before=before)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout, done.stderr) == (0, said, "")
