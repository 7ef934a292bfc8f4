"""Child processes that never outlive whoever started them: one group each, ended as a whole.

Whoever starts a process (`Child`) hands its own pid down in the environment; the process calls `follow_parent` first
thing, and hears from the kernel (Linux: PR_SET_PDEATHSIG) or from a thread that looks (elsewhere) when that parent is
gone, however it went. Knows nothing of Django or of what the processes do.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_PARENT = "PARENT_TO_FOLLOW"
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_ROOT = Path(__file__).resolve().parents[2]
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class Child:
    """A process in a group of its own, and all the processes that it starts in turn.

    A terminal's Ctrl-C does not reach it: whoever started it ends it, in the order that suits. To be made in the main
    thread, for Linux ties a child's life to the thread that started it.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        quiet: bool = False,
    ) -> None:
        path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH", "")]))
        handed_down = {"PYTHONPATH": path, **(environment or {}), _PARENT: str(os.getpid())}
        self._process = subprocess.Popen(  # noqa: S603  (the arguments are our own, no shell reads them)
            [sys.executable, *arguments],
            env=os.environ | handed_down,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if quiet else None,
            pass_fds=pass_fds,
            process_group=0,
        )
        self.pid = self._process.pid

    def exit_code(self) -> int | None:
        """Return the exit code (minus the signal's number if one killed it), None while it runs."""
        return self._process.poll()

    def ask_to_stop(self) -> None:
        """Send SIGTERM to the process itself, not to those it started: it ends them in its own order."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def stop(self, grace: float) -> int:
        """Ask it to stop, wait `grace` seconds, kill what is left of its group; give the exit code."""
        self.ask_to_stop()
        return self.join(time.monotonic() + grace)

    def join(self, deadline: float) -> int:
        """Wait until `deadline` (monotonic seconds), then kill what is left of its group; give the exit code."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, deadline - time.monotonic()))
        return self.kill()

    def kill(self) -> int:
        """Kill the whole group at once, frozen members too, and wait until none is left; give the exit code."""
        with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
            os.killpg(self.pid, signal.SIGKILL)
        code = self._process.wait()
        _reap_group(self.pid)
        return code


def _reap_group(group: int) -> None:
    """Take leave of the group's other members, which are ours once their parent has died (`adopt_orphans`)."""
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        try:
            reaped, _ = os.waitpid(-group, os.WNOHANG)
        except ChildProcessError:
            return
        if not reaped:
            time.sleep(0.01)


def adopt_orphans() -> None:
    """Make this process the parent of its descendants whose own parent dies, so that it can reap them (Linux)."""
    if _libc is not None:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def follow_parent(on_death: signal.Signals = signal.SIGKILL) -> None:
    """Have `on_death` sent to this process when the one that started it as a `Child` is gone; to be called once.

    Without such a parent (a command typed by a person, or started by an init system) it does nothing.
    """
    parent = os.environ.pop(_PARENT, "")
    if parent:
        follow(int(parent), lambda: os.kill(os.getpid(), on_death), on_death)


def follow(parent: int, act: Callable[[], None], on_death: signal.Signals = signal.SIGKILL) -> None:
    """Tie this process to `parent`: on Linux the kernel sends `on_death`, elsewhere a thread calls `act`."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(on_death), 0, 0, 0)
        if os.getppid() != parent:  # it was gone before the kernel was asked
            act()
    else:
        threading.Thread(target=watch_parent, args=(parent, act), name="parent-watch", daemon=True).start()


def watch_parent(parent: int, act: Callable[[], None], every: float = 1.0) -> None:
    """Look every so many seconds whether `parent` is still our parent; call `act` once when it is not."""
    while os.getppid() == parent:
        time.sleep(every)
    act()


def tie_forks() -> None:
    """From now on a process forked from this one, or from its forks, is killed when the one it came from dies."""
    forker = os.getpid()

    def remember() -> None:
        nonlocal forker
        forker = os.getpid()

    os.register_at_fork(
        before=remember, after_in_child=lambda: follow(forker, lambda: os.kill(os.getpid(), signal.SIGKILL))
    )
