"""A process hardly searches for garbage while it starts, as usual while it works, and not at its end."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.services import ROOT, environment_of

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


BEGIN = """
import gc, os
os.environ["DJANGO_SETTINGS_MODULE"] = "cwconnect.settings"
def say(): print("threshold", gc.get_threshold()[0], gc.get_freeze_count() > 0, flush=True)
"""
STARTS = {
    "a command": """
from cwconnect.command import main
main(["manage.py", "migrate", "--check", "-v0"])
""",
    "a command without checks": """
from cwconnect.command import main
main(["manage.py", "licences"])
""",
    "a web server": """
from cwconnect import gunicorn_settings
say()
gunicorn_settings.post_worker_init(None)
""",
    "a cluster": """
import django; django.setup()
from django_q import cluster
cluster.Cluster.start = lambda self: None
from polling.workers.cluster import main
main("any", "signature")
""",
}


@pytest.mark.parametrize("start", STARTS)
def test_searches_for_garbage_are_as_usual_once_it_has_started(tmp_path: Path, start: str) -> None:
    command = [sys.executable, "-c", BEGIN + STARTS[start] + "say()"]
    environment = environment_of(tmp_path)
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    said = [line for line in done.stdout.splitlines() if line.startswith("threshold")]
    before = ["threshold 50000 False"] if start == "a web server" else []
    assert said == [*before, f"threshold {gc.get_threshold()[0]} True"], done.stderr
