"""Real processes of the service, in a data folder of their own, seen through /proc."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.databases import storage_of

ROOT = Path(__file__).resolve().parents[2]


def wait_until(
    true: Callable[[], object], seconds: float, what: str, evidence: Callable[[], object] = lambda: ""
) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} s: {what}\n{evidence()}"
        time.sleep(0.1)


@dataclass(frozen=True)
class Seen:
    """A living process of the service."""

    pid: int
    parent: int
    threads: int
    command: str

    def kill(self, number: int = signal.SIGKILL) -> None:
        os.kill(self.pid, number)


def environment_of(data: Path, *, tables: bool = True) -> dict[str, str]:
    """Return the environment of a process with this data folder; without `tables` its database is a first start's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CWCONNECT_")}
    own = {"CWCONNECT_DATA_DIR": str(data), "DJANGO_SETTINGS_MODULE": "cwconnect.settings", "PYTHONUNBUFFERED": "1"}
    return kept | own | storage_of(data, tables=tables)


class Service:
    """A command of the service with all that it starts; leaves nothing behind, even if a test fails."""

    def __init__(
        self,
        data: Path,
        *arguments: str,
        environment: dict[str, str] | None = None,
        root: Path = ROOT,
        tables: bool = True,
    ) -> None:
        self._marker = f"CWCONNECT_DATA_DIR={data}\0".encode()
        self.lines: list[str] = []
        self.slower = 1.0  # than on a machine with nothing else to do, where a test has measured it
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=root,
            env=environment_of(data, tables=tables) | (environment or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for seen in self.alive():
            seen.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def alive(self) -> list[Seen]:
        """Return the service's living processes, orphans too, by pid; zombies don't live."""
        found = []
        for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
            try:
                if self._marker in (folder / "environ").read_bytes():
                    found.append(_scan(folder))
            except OSError:  # it ended meanwhile
                continue
        return [seen for seen in found if seen.command]

    def those(self, part: str) -> list[Seen]:
        return [seen for seen in self.alive() if part in seen.command]

    def roles(self) -> dict[str, Seen]:
        """Return the cluster's processes by what they are; empty unless it is complete."""
        cluster = self.those("polling.workers.cluster")
        pids = {seen.pid for seen in cluster}
        main = [seen for seen in cluster if seen.parent not in pids]
        if len(main) != 1 or len(cluster) != 6:
            return {}
        sentinel, *rest = [seen for seen in cluster if seen is not main[0]]  # forked in this order
        names = ("worker 1", "worker 2", "monitor", "pusher")
        return {"cluster": main[0], "sentinel": sentinel} | dict(zip(names, rest, strict=True))

    def wait_for_roles(self, seconds: float = 150) -> dict[str, Seen]:
        wait_until(self.roles, seconds, "a complete cluster", lambda: self.output)
        return self.roles()

    def verified(self) -> list[str]:
        """Return the lines of notifications that arrived and were verified."""
        return [line for line in self.lines if line.endswith(" verified")]

    def wait_for_news(self, seconds: float, of: str = "") -> None:
        """Wait until a further notification arrives, of a resource if one is named."""

        def count() -> int:
            return sum(of in line for line in self.verified())

        before = count()
        wait_until(lambda: count() > before, seconds, f"a notification {of}", lambda: self.output)

    def busy_workers(self) -> list[Seen]:
        """Return the workers at work: threads of its heartbeat and its requests are there only then."""
        return [seen for name, seen in self.roles().items() if name.startswith("worker") and seen.threads > 3]

    def fail_next(self, **fault: object) -> None:
        """Have the demo's sandbox treat its next requests so (its control API says how)."""
        sandbox = re.search(r"Sandbox +http://127\.0\.0\.1:(\d+)", self.output)
        assert sandbox is not None
        connection = http.client.HTTPConnection("127.0.0.1", int(sandbox[1]), timeout=5)
        connection.request("POST", "/_sandbox/fail_next", json.dumps(fault))
        assert connection.getresponse().status == 200
        connection.close()

    def ends_within(self, seconds: float) -> int:
        """Wait for the end of the command and of all that it started; give the exit code."""
        wait_until(lambda: self.process.poll() is not None and not self.alive(), seconds, "the end of all", self.alive)
        return self.process.wait()


def _scan(folder: Path) -> Seen:
    fields = (folder / "stat").read_text().rsplit(") ", 1)[1].split()
    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return Seen(int(folder.name), int(fields[1]), int(fields[17]), command if fields[0] != "Z" else "")


def manage(data: Path, *arguments: str, environment: dict[str, str] | None = None, tables: bool = True) -> Service:
    return Service(data, "manage.py", *arguments, environment=environment, tables=tables)


def ask(data: Path, *arguments: str, environment: dict[str, str] | None = None, check: bool = True) -> str:
    """Run a command to its end beside what runs already; give what it prints. It must not fail, if that is to check."""
    command = [sys.executable, "manage.py", *arguments]
    env = environment_of(data) | (environment or {})
    done = subprocess.run(command, cwd=ROOT, env=env, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 or not check, f"{arguments[0]} ended with {done.returncode}: {done.stderr[-3000:]}"
    return done.stdout


def poll_now(data: Path) -> None:
    """Make all polls due, beside what runs already."""
    model, make_due = "from polling.models import PollState", "from polling.workers.due import make_due"
    ask(data, "shell", "-v0", "-c", f"{model}; {make_due}; make_due(PollState.objects.all())")
