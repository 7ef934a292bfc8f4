"""Clients that pull events over real connections, and a database for a real web server to read them from."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.services import ROOT, environment_of

_PREPARE = """
import django
django.setup()
from instances.credentials.issuing import issue_secrets
from tests.conftest import make_tenant
from tests.api.conftest import Watched
watched = Watched(make_tenant("Alpha"))
print(watched.tenant.auth)
issued = issue_secrets(organization_name="Alpha", user_name="bob")
print(f"User {issued.user}, Organization {watched.tenant.organization_secret}")
"""
# Records so many changes of the only instance, each in a transaction of its own, then prints their ids.
_RECORD = """
import sys, time
import django
django.setup()
from instances.models import Instance, ResourcePoll
from tests.api.conftest import Watched
watched = Watched.__new__(Watched)
watched.instance, watched.poll = Instance.objects.get(), ResourcePoll.objects.get()
count, pause = int(sys.argv[1]), float(sys.argv[2])
made = []
for number in range(count):
    made += [event.pk for event in watched.changed(1000 + number)]
    time.sleep(pause)
print(*made)
"""


def prepare(data: Path) -> tuple[str, str]:
    """Make a database with one instance; return the Authorization headers of alice's and bob's keys."""
    command = [sys.executable, "-c", _PREPARE]
    done = subprocess.run(command, cwd=ROOT, env=environment_of(data), check=True, stdout=subprocess.PIPE, text=True)
    alice, bob = done.stdout.splitlines()
    return alice, bob


def start_recording(data: Path, count: int, pause: float = 0.0) -> subprocess.Popen[str]:
    """Begin to record so many events, a pause of seconds apart."""
    command = [sys.executable, "-c", _RECORD, str(count), str(pause)]
    return subprocess.Popen(command, cwd=ROOT, env=environment_of(data), stdout=subprocess.PIPE, text=True)


def recorded(process: subprocess.Popen[str]) -> list[int]:
    """Return the ids of what was recorded, once all is."""
    output, _ = process.communicate(timeout=120)
    return [int(word) for word in output.split()]


def get(port: int, path: str, auth: str, timeout: float = 90) -> tuple[int, Any]:
    """Return status and JSON of a GET."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)) as connection:
        connection.request("GET", path, headers={"Authorization": auth})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


@dataclass
class StreamClient:
    """Reads a stream as browsers do: it comes again after the last id that it had, wherever the server then is."""

    port: Callable[[], int]
    auth: str
    query: str = ""
    had: list[int] = field(default_factory=list)
    comments: int = 0
    last: str = ""
    statuses: list[int] = field(default_factory=list)
    ended_cleanly: int = 0
    stop: bool = False

    def run(self) -> None:
        """Read until it is to stop, or is refused."""
        while not self.stop:
            try:
                self._read_once()
            except (OSError, http.client.HTTPException):
                continue
            if self.statuses and self.statuses[-1] != 200:
                return

    def _read_once(self) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port(), timeout=15)) as connection:
            sent = {"Authorization": self.auth, "Accept": "text/event-stream"}
            connection.request(
                "GET", f"/v1/events?{self.query}", headers=sent | ({"Last-Event-ID": self.last} if self.last else {})
            )
            answer = connection.getresponse()
            self.statuses.append(answer.status)
            if answer.status == 200:
                for block in _blocks(answer):
                    self._take(block)
                    if self.stop:
                        return
                self.ended_cleanly += 1

    def _take(self, block: list[str]) -> None:
        for line in block:
            name, _, value = line.partition(": ")
            if name == "id":
                self.last = value
            elif name == "data":
                self.had.append(json.loads(value)["id"])
            elif not name:
                self.comments += 1


def _blocks(answer: http.client.HTTPResponse) -> Iterator[list[str]]:
    block: list[str] = []
    while line := answer.readline():
        text = line.decode().rstrip("\n")
        if text:
            block.append(text)
        else:
            yield block
            block = []
