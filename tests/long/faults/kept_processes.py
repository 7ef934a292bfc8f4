"""Processes that are started anew when they end, as an init system does; and a look at what lives, through /proc."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.services import ROOT, Seen

MARKER = "FAULTS_RUN"
_RESTART_AFTER = 1.0


class Kept:
    """One command; `tend` starts it when it is not there. To be used in the main thread, to which its life is tied."""

    def __init__(
        self, name: str, command: Sequence[str], *, environment: Mapping[str, str], log: Path, cwd: Path = ROOT
    ) -> None:
        self.name, self.starts = name, 0
        self._command, self._environment, self._log, self._cwd = command, environment, log, cwd
        self._process: subprocess.Popen[bytes] | None = None
        self._not_before = 0.0

    @property
    def pid(self) -> int | None:
        """The pid while it lives."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def tend(self) -> None:
        """Start it if it is not there, a second after it ended or when `hold` allows it."""
        now = time.monotonic()
        if self._process is not None and self._process.poll() is not None:
            self._process, self._not_before = None, max(self._not_before, now + _RESTART_AFTER)
        if self._process is None and now >= self._not_before:
            self._start()

    def hold(self, seconds: float) -> None:
        """Keep it from being started for so long."""
        self._not_before = max(self._not_before, time.monotonic() + seconds)

    def signal(self, number: int = signal.SIGKILL) -> int | None:
        """Send a signal; give the pid it went to, None if nothing lives."""
        if (pid := self.pid) is not None:
            os.kill(pid, number)
        return pid

    def end(self, number: int, grace: float = 10.0) -> None:
        """Ask it to end, for good; kill it after `grace` seconds."""
        self.hold(float("inf"))
        if self._process is None:
            return
        self.signal(signal.SIGCONT)
        self.signal(number)
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        self.starts += 1
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._cwd,
                env={**self._environment, "PARENT_TO_FOLLOW": str(os.getpid())},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )


def living(run: str) -> list[Seen]:
    """Return the living processes whose environment names this run, by pid."""
    marker = f"{MARKER}={run}\0".encode()
    return [seen for seen in _all() if _environment(seen.pid).find(marker) >= 0]


def children(pid: int) -> list[Seen]:
    """Return the living children of a process."""
    return [seen for seen in _all() if seen.parent == pid]


def state(pid: int) -> str:
    """Return a process's state in the kernel's letters: T for stopped, Z for a zombie; empty if there is none."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rsplit(") ", 1)[1][0]
    except OSError:
        return ""


def gone(pid: int) -> bool:
    """Whether a process is dead."""
    return state(pid) in ("", "Z", "X")


def _environment(pid: int) -> bytes:
    try:
        return (Path("/proc") / str(pid) / "environ").read_bytes()
    except OSError:
        return b""


def _all() -> list[Seen]:
    found = []
    for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            fields = (folder / "stat").read_text().rsplit(") ", 1)[1].split()
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it ended meanwhile
            continue
        if fields[0] not in "ZX":
            found.append(Seen(int(folder.name), int(fields[1]), int(fields[17]), command))
    return found
