"""All that runs: the service, what it stands on, the ConnectWise it watches, the receiver it notifies, and the load."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cryptography.fernet import Fernet

from tests.long.faults.connectwise import ORDER, Source
from tests.long.faults.kept_processes import MARKER, Kept, living
from tests.long.faults.ports import free_port
from tests.long.faults.receiver import FURTHER, Taken
from tests.long.faults.storage import Embedded, Servers, Storage
from tests.seed import example_body
from tests.support.services import ROOT, Seen

KEY = "a signature key"
# The first five retries are over within 12 s; the whole of it outlasts any fault by far.
RETRIES = "0, 1s, 1s, 2s, 3s, 5s, 5s, 5s, 10s, 10s, 10s, 20s, 20s, 30s, 30s, 60s, 60s, 60s, 120s, 120s, 120s, 120s"
FIRST_FIVE_RETRIES = 1.2 * (1 + 1 + 2 + 3 + 5)
_START_SECONDS = 120


@dataclass(frozen=True)
class Load:
    """How much goes on: instances, changes a second over all lists, records in each list at the start."""

    instances: int = 10
    changes: float = 5.0
    records: int = 20
    press_every: float = 2.0

    @property
    def lists(self) -> int:
        """How many lists are watched: one for each instance, while there are enough."""
        return min(self.instances, 16)


class BesiegedService:
    """The processes and the load; use it with `with`. `pause` lets time pass, in which all is tended."""

    def __init__(self, *, embedded: bool, load: Load, seed: int) -> None:
        self.load, self._chance = load, random.Random(seed)
        self.run = Path(tempfile.mkdtemp(prefix="cwconnect-faults-"))
        self.run.chmod(0o755)  # PostgreSQL may run as another user
        self.environment = _environment(self.run)
        self.storage: Storage = (Embedded if embedded else Servers)(self.run, self.environment)
        self.port, self.sandbox_port, self.receiver_port = free_port(), free_port(), free_port()
        self.source = Source(self.run / "journal", load.lists, load.records)
        self.taken = Taken(self.run / "taken")
        self.mode, self.spoilt = self.run / "mode", self.run / "spoilt"
        self.mode.touch()
        self.spoilt.touch()
        self.kept = self.storage.kept | self._processes()
        self.watched: dict[int, str] = {}
        self.polls: list[str] = []  # the routes that make them due
        self.presses = self.missed_presses = 0
        self.keep = False
        self._numbers, self._orders = itertools.count(1), set[str]()
        self._authorization = ""
        self._done = threading.Event()
        self._presser = threading.Thread(target=self._press, name="presser", daemon=True)
        self.watching_since = self._written_until = 0.0

    def _processes(self) -> dict[str, Kept]:
        def module(name: str, *arguments: object) -> Kept:
            command = [sys.executable, "-m", *(str(argument) for argument in arguments)]
            return Kept(name, command, environment=self.environment, log=self.run / f"{name}.log")

        journal, taken = self.run / "journal", self.run / "taken"
        return {
            "connectwise": module(
                "connectwise", "tests.long.faults.connectwise", self.sandbox_port, journal, self.run / "spoilt"
            ),
            "receiver": module(
                "receiver", "tests.long.faults.receiver", self.receiver_port, taken, self.run / "mode", KEY
            ),
            "up": module("up", "cwconnect.core.run_with_parent", "up", "--port", self.port),
            "work": module("work", "cwconnect.core.run_with_parent", "work"),
        }

    # -- life --------------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.keep = True
            self.close()
            raise
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.keep = self.keep or kind is not None
        self.close()

    def _start(self) -> None:
        for name in (*self.storage.kept, "connectwise", "receiver", "up"):
            self.kept[name].tend()
        self.wait(lambda: self.ask("GET", "/healthz")[0] == 200, _START_SECONDS, "the web")
        made = json.loads(self.manage("issue_secrets", "--organization=A", "--user=B", "--json"))
        self._authorization = f"User {made['user']}, Organization {made['organization']}"
        for number in range(self.load.instances):
            self._watch(self.source.lists[number % len(self.source.lists)], number)
        self.watching_since = self._written_until = time.monotonic()
        self._presser.start()

    def _watch(self, name: str, number: int) -> None:
        base = f"http://127.0.0.1:{self.sandbox_port}/v4_6_release/apis/3.0"
        body = example_body(
            base,
            event__notification__callback__url=f"http://127.0.0.1:{self.receiver_port}/",
            event__notification__signature__key=KEY,
            event__poller__refresh_interval="1",
            connectwise__clientID="faults",
        )
        poll = body["configuration"]["event.poller.configuration"].pop("contacts")
        poll["url"] = poll["url"].replace("/contacts?", f"/{name}?")
        body["configuration"]["event.poller.configuration"][name] = poll
        status, made = self.ask("POST", "/instances", body | {"name": f"{name} {number}"})
        assert status == 200, made
        self.watched[made["id"]] = name
        self._subscribe(made["id"], name)
        status, polls = self.ask("GET", f"/v1/instances/{made['id']}/polls")
        assert status == 200, polls
        self.polls += [f"/v1/instances/{made['id']}/polls/{poll['id']}/run" for poll in polls["items"]]

    def _subscribe(self, instance: int, name: str) -> None:
        """Have a further receiver of the instance's events, which is held against the source as another instance is."""
        url = f"http://127.0.0.1:{self.receiver_port}{FURTHER}"
        body = {"name": "further", "url": url, "signature_key": KEY}
        status, made = self.ask("POST", f"/v1/instances/{instance}/subscriptions", body)
        assert status in (200, 201), made
        self.watched[-instance] = name

    def close(self) -> None:
        """End everything, orphans too, and remove the folder; if it is to `keep` them, logs and what was taken stay."""
        self._done.set()
        if self._presser.ident is not None:
            self._presser.join()
        for kept in (self.kept["up"], self.kept["work"]):
            kept.signal(signal.SIGCONT)
            kept.end(signal.SIGTERM, 15)
        for kept in (self.kept["connectwise"], self.kept["receiver"]):
            kept.end(signal.SIGKILL)
        for seen in living(str(self.run)):
            seen.kill()
        self.source.close()
        self.taken.close()
        self.storage.close()
        for folder in (self.run / "postgresql", self.run / "data") if self.keep else (self.run,):
            shutil.rmtree(folder, ignore_errors=True)

    # -- time --------------------------------------------------------------------------------------------------------

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        end = time.monotonic() + seconds
        while True:
            self.tick()
            if time.monotonic() >= end:
                return
            time.sleep(0.05)

    def wait(self, true: Callable[[], object], seconds: float, what: str) -> float:
        """Let time pass until something is true; give for how long. AssertionError after `seconds`."""
        begun = time.monotonic()
        while not true():
            assert time.monotonic() < begun + seconds, f"not within {seconds} s: {what} (logs are in {self.run})"
            self.pause(0.1)
        return time.monotonic() - begun

    def tick(self) -> None:
        """Tend the processes, and write what is to be written by now."""
        for kept in self.kept.values():
            kept.tend()
        while self._written_until and self._written_until < time.monotonic():
            self._written_until += self._chance.expovariate(self.load.changes)
            self._write()
        self.taken.read_on()

    def stop_writing(self) -> None:
        """Have nothing change any more."""
        self._written_until = 0.0

    def _write(self) -> None:
        name = self._chance.choice(self.source.lists)
        if self._chance.random() < 0.2:
            self.source.create(name)
        else:
            self.source.change(name, self._chance.randint(1, self.source.count(name)))

    def lag(self, limit: float) -> float:
        """Let time pass until all that was written before now is taken; give the seconds, `limit` at most."""
        newest = dict(self.source.newest)
        config = [
            ((instance, name, number), version)
            for (name, number), version in newest.items()
            for instance, watched in self.watched.items()
            if watched == name
        ]
        begun = time.monotonic()
        while config and time.monotonic() < begun + limit:
            self.pause(0.1)
            config = [(key, version) for key, version in config if self.taken.newest.get(key, 0) < version]
        return time.monotonic() - begun

    # -- the service -------------------------------------------------------------------------------------------------

    def service(self, part: str = "") -> list[Seen]:
        """Return the living processes of web and workers whose command has `part` in it."""
        ours = ("cwconnect.core.run_with_parent", "gunicorn", "polling.workers.cluster")
        processes = living(str(self.run))
        return [
            seen
            for seen in processes
            if any(high_water_id in seen.command for high_water_id in ours) and part in seen.command
        ]

    def ask(self, method: str, path: str, body: object = None, *, port: int | None = None) -> tuple[int, Any]:
        """Ask the service (or what listens on `port`); give status and JSON, 0 if it can't be reached."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=5)
        headers = {"Content-Type": "application/json", "Authorization": self._authorization}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read() or b"null")
        except (OSError, http.client.HTTPException, ValueError):
            return 0, None
        finally:
            connection.close()

    def control(self, operation: str, **members: object) -> bool:
        """Have the sandbox do something; whether it did."""
        return self.ask("POST", f"/_sandbox/{operation}", members, port=self.sandbox_port)[0] == 200

    def order_fault(self, number: int, fault: dict[str, Any]) -> str | None:
        """Have ConnectWise treat its next requests so; give the order's name, None if it can't be reached."""
        order = f"{next(self._numbers)}"
        headers = {**fault.get("headers", {}), ORDER: order}
        if not self.control("fail_next", n=number, **{**fault, "headers": headers}):
            return None
        self._orders.add(order)
        return order

    def end_order(self, order: str) -> None:
        """End an order. What is left of it stands until the last one ends: the sandbox forgets all or none."""
        self._orders.discard(order)
        if not self._orders:
            self.control("clear_faults")

    def spoilt_requests(self, order: str) -> int:
        """Return how many requests met an order."""
        return self.spoilt.read_text().split().count(order)

    def manage(self, *arguments: str, may_fail: bool = False) -> str:
        """Run a command to its end; give what it prints. AssertionError if it fails, unless it may."""
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=120)
        assert may_fail or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _press(self) -> None:
        """Have every instance polled at once, again and again."""
        while not self._done.wait(self.load.press_every):
            for poll in self.polls:
                self.presses += 1
                self.missed_presses += self.ask("POST", poll, {})[0] != 202
                if self._done.is_set():
                    return


def _environment(run: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CWCONNECT_", "DJANGO_"))}
    return kept | {
        MARKER: str(run),
        "CWCONNECT_DATA_DIR": str(run / "data"),
        "CWCONNECT_SECRET_KEY": "a key for tests alone, of a length that Django's checks accept",
        "CWCONNECT_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "CWCONNECT_PRIVATE_NETWORKS": "127.0.0.0/8",
        "CWCONNECT_RETRY_SCHEDULE": RETRIES,
        "CWCONNECT_LOG_FORMAT": "line",
        "DJANGO_SETTINGS_MODULE": "cwconnect.settings",
        "PYTHONUNBUFFERED": "1",
    }
