"""The first process of a container: signals reach the program, whatever has died is taken leave of, codes are kept.

In a namespace of its own, where it is process 1 to the kernel, if this machine lets us make one.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence

import pytest

from tests.support.services import ROOT

INIT = [sys.executable, "-m", "cwconnect.core.init"]
NAMESPACE = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc"]
LOUD = (
    "import signal, sys, time\nsignal.signal({signal}, lambda *_: sys.exit(7))\nprint('up', flush=True)\ntime.sleep(60)"
)
# A child that dies before its own child, which ends later: nobody but process 1 can take leave of that.
ORPHAN = """
import os, pathlib, sys, time
if not os.fork():
    if not os.fork():
        time.sleep(0.2)
    os._exit(0)
os.wait()
end = time.monotonic() + 30
while any(file.read_text().rpartition(")")[2].split()[1] == "1" for file in pathlib.Path("/proc").glob("[0-9]*/stat")
          if file.parent.name not in ("1", str(os.getpid()))):
    if time.monotonic() > end:
        sys.exit("an orphan is left")
    time.sleep(0.05)
"""


def _namespaces() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode == 0


FIRST = pytest.param(NAMESPACE, id="process 1", marks=pytest.mark.skipif(not _namespaces(), reason="no namespaces"))


def run(before: Sequence[str], program: str) -> subprocess.CompletedProcess[str]:
    command = [*before, *INIT, sys.executable, "-c", program]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("before", [pytest.param([], id="any process"), FIRST])
def test_the_exit_code_is_the_programs(before: list[str]) -> None:
    assert run(before, "raise SystemExit(5)").returncode == 5
    assert run(before, "import os; os.kill(os.getpid(), 9)").returncode == 128 + 9


def test_a_program_that_is_not_there_is_said_by_name() -> None:
    done = subprocess.run([*INIT, "no-such-program"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (127, "no-such-program can't be started: No such file or directory.\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_reaches_the_program(number: signal.Signals) -> None:
    command = [*INIT, sys.executable, "-c", LOUD.format(signal=int(number))]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(number)
        assert process.wait(60) == 7


def test_a_program_that_catches_nothing_is_ended_too() -> None:
    command = [*INIT, sys.executable, "-c", "import time\nprint('up', flush=True)\ntime.sleep(60)"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM


@pytest.mark.parametrize("before", [FIRST])
def test_no_orphan_is_left_a_zombie(before: list[str]) -> None:
    done = run(before, ORPHAN)
    assert (done.returncode, done.stderr) == (0, "")
