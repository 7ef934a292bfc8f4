"""Work killed at each of its steps: a child is ended by SIGKILL at its n-th call of the system, for every n."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable

# What changes files, or opens them to change them; of sqlite3 itself a progress callback is a step.
_STEPS = ("open", "os.", "sqlite3.connect", "shutil.", "fcntl.")


def kill_at_each_step(work: Callable[[], object], after: Callable[[int], None], *, most: int = 400) -> int:
    """Do `work` in children, killed at their first step, their second, and so on until one is through.

    `after` is called once each is dead, with the number of the step; returns how many were killed.
    """
    for step in range(1, most):
        pid = _fork()
        if pid == 0:
            _work_until(step, work)
        _, status = os.waitpid(pid, 0)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0, "the work failed by itself"
            return step - 1
        after(step)
    raise AssertionError(f"not through after {most} steps")


def do_in_child(work: Callable[[], object]) -> None:
    """Do work in a child of ours, whose limits may be narrowed for good; it has to go well."""
    pid = _fork()
    if pid == 0:
        _work_until(0, work)
    assert os.waitpid(pid, 0)[1] == 0, "the work failed by itself"


def _fork() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads: the child uses none
        return os.fork()


def _work_until(step: int, work: Callable[[], object]) -> None:
    left = step

    def count(event: str, _: object) -> None:
        nonlocal left
        if event.startswith(_STEPS):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    code = 1
    try:
        sys.addaudithook(count)
        work()
        code = 0
    finally:
        os._exit(code)
