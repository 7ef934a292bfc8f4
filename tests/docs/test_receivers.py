"""The receivers of `docs/receivers` do what `docs/receivers.md` says of them, each run by its own interpreter."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from polling.delivery.signing import signature_headers

RECEIVERS = Path(settings.BASE_DIR) / "docs" / "receivers"
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PATIENCE = 60.0  # seconds: a busy machine starts and stops slowly

pytestmark = [pytest.mark.processes]


@dataclass(frozen=True)
class Language:
    """How a receiver is started, given its port and folder; `work` begins what works through the inbox by itself."""

    name: str
    interpreter: str
    command: Callable[[str, int, Path], Sequence[str]]
    work: Callable[[str], Sequence[str]] | None = None


def _dotnet(dotnet: str, port: int, folder: Path) -> Sequence[str]:
    project = folder / "receiver"
    if not project.exists():
        subprocess.run([dotnet, "new", "web", "--output", project], check=True, timeout=300, capture_output=True)
        shutil.copy(RECEIVERS / "Receiver.cs", project / "Program.cs")
    return [dotnet, "run", "--project", str(project)]


LANGUAGES = [
    Language("Python", "python3", lambda python, port, folder: [python, str(RECEIVERS / "receiver.py")]),
    Language("JavaScript", "node", lambda node, port, folder: [node, str(RECEIVERS / "receiver.mjs")]),
    Language(
        "PHP",
        "php",
        lambda php, port, folder: [php, "-S", f"127.0.0.1:{port}", str(RECEIVERS / "receiver.php")],
        work=lambda php: [php, str(RECEIVERS / "receiver.php")],
    ),
    Language("C#", "dotnet", _dotnet),
    Language("PowerShell", "pwsh", lambda pwsh, port, folder: [pwsh, "-File", str(RECEIVERS / "receiver.ps1")]),
]


class Running:
    """A receiver that runs, and what it printed."""

    def __init__(self, language: Language, folder: Path, key: str) -> None:
        self.inbox = folder / "inbox"
        self._language = language
        self._interpreter = shutil.which(language.interpreter) or ""
        self._output = folder / "output"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port: int = free.getsockname()[1]
        self._environment = os.environ | {"SIGNATURE_KEY": key, "PORT": str(self._port), "INBOX": str(self.inbox)}
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                language.command(self._interpreter, self._port, folder),
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_it_listens(self) -> None:
        self._wait(self._listens, "did not listen")

    def _listens(self) -> bool:
        assert self._process.poll() is None, self.output
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=5).close()
        except OSError:
            return False
        return True

    def post(self, body: bytes, headers: dict[str, str]) -> int:
        """Send a notification; give the status of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        try:
            connection.request("POST", "/events", body, {"Content-Type": "application/json", **headers})
            return connection.getresponse().status
        finally:
            connection.close()

    @property
    def output(self) -> str:
        return self._output.read_text(encoding="utf-8", errors="replace")

    def events(self, count: int) -> list[str]:
        """Return the first two words of the lines about events, once there are `count` of them."""
        if self._language.work is not None:
            command = self._language.work(self._interpreter)
            ran = subprocess.run(command, env=self._environment, capture_output=True, timeout=PATIENCE, check=True)
            with self._output.open("ab") as output:
                output.write(ran.stdout)
        self._wait(lambda: len(self._handled()) >= count, f"did not work on {count} events")
        return self._handled()

    def _handled(self) -> list[str]:
        lines = [line.split() for line in self.output.splitlines()]
        return [" ".join(line[:2]) for line in lines if line and line[0] in ("CREATED", "UPDATED", "DELETED")]

    def _wait(self, ready: Callable[[], bool], problem: str) -> None:
        until = time.monotonic() + PATIENCE
        while not ready():
            assert time.monotonic() < until, f"{self._language.name} {problem}: {self.output}"
            time.sleep(0.05)

    def wait_for(self, file: Path) -> None:
        self._wait(file.exists, f"did not put {file.name} aside")

    def kill(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(timeout=PATIENCE)


@contextmanager
def running(language: Language, folder: Path, key: str = KEY) -> Iterator[Running]:
    receiver = Running(language, folder, key)
    try:
        receiver.wait_until_it_listens()
        yield receiver
    finally:
        receiver.kill()


@pytest.fixture(params=LANGUAGES, ids=lambda language: language.name)
def language(request: pytest.FixtureRequest) -> Language:
    found: Language = request.param
    if shutil.which(found.interpreter) is None:
        pytest.skip(f"{found.interpreter} is not on this machine")
    return found


def notification(number: int, kind: str = "UPDATED", name: str = "Zoë") -> bytes:
    """Make a notification with two events, as docs/wire-contract.md#5-the-notification has it."""
    numbers = (str(number), str(number + 1))
    events = [{"eventType": kind, "objectType": "organizations", "objectId": each} for each in numbers]
    raw: dict[str, Any] = {"objectType": "organizations", "events": events}
    raw["organizations"] = [{"id": int(each), "name": name} for each in numbers]
    body = {"id": number, "message": {"eventId": str(number), "events": events, "raw": raw}}
    return json.dumps(body, ensure_ascii=False).encode()


def signed(body: bytes, webhook_id: str, *, keys: Sequence[str] = (KEY,), age: int = 0) -> dict[str, str]:
    return signature_headers(keys, webhook_id, int(time.time()) - age, body)


def test_what_is_genuine_is_answered_and_worked_on_once_whatever_is_sent_again(
    language: Language, tmp_path: Path
) -> None:
    first, second = notification(10, "CREATED"), notification(20)
    with running(language, tmp_path) as receiver:
        assert receiver.post(first, signed(first, "msg_1")) == 204
        assert receiver.events(2) == ["CREATED organizations/10", "CREATED organizations/11"]
        assert receiver.post(first, signed(first, "msg_1")) == 204
        assert receiver.post(second, signed(second, "msg_2")) == 204
        assert receiver.events(4)[2:] == ["UPDATED organizations/20", "UPDATED organizations/21"]


def test_a_replay_that_somebody_asked_for_is_worked_on_again(language: Language, tmp_path: Path) -> None:
    body = notification(10)
    with running(language, tmp_path) as receiver:
        assert receiver.post(body, signed(body, "msg_1")) == 204
        assert len(receiver.events(2)) == 2
        assert receiver.post(body, signed(body, "msg_1") | {"Elements-Webhook-Replay": "true"}) == 204
        assert len(receiver.events(4)) == 4


def test_what_is_not_genuine_is_refused_and_not_kept(language: Language, tmp_path: Path) -> None:
    body, other = notification(10), notification(30)
    forged = [
        (body, {}),
        (other, signed(body, "msg_1")),
        (body, signed(body, "msg_1") | {"webhook-id": "msg_2"}),
        (body, signed(body, "msg_1") | {"webhook-timestamp": str(int(time.time()) - 1)}),
        (body, signed(body, "msg_1") | {"webhook-timestamp": "yesterday"}),
        (body, signed(body, "msg_1") | {"webhook-signature": ""}),
        (body, signed(body, "msg_1") | {"webhook-signature": "v1,"}),
        (body, signed(body, "msg_1", keys=["another key"])),
        (body, signed(body, "msg_1", age=600)),
        (body, signed(body, "msg_1", age=-600)),
        (body, signed(body, "../../msg_1")),
    ]
    with running(language, tmp_path) as receiver:
        assert [receiver.post(sent, headers) for sent, headers in forged] == [401] * len(forged)
        assert [path.name for path in receiver.inbox.rglob("*") if path.is_file()] == []


def test_while_a_key_is_rotated_either_key_verifies(language: Language, tmp_path: Path) -> None:
    body = notification(10)
    with running(language, tmp_path, key="an old key, ä ö ü") as receiver:
        headers = signed(body, "msg_1", keys=[KEY, "an old key, ä ö ü"])
        assert receiver.post(body, headers) == 204
        assert len(receiver.events(2)) == 2


def test_a_key_that_only_looks_encoded_is_taken_as_it_stands(language: Language, tmp_path: Path) -> None:
    body, key = notification(10), "whsec_not base64!"
    with running(language, tmp_path, key=key) as receiver:
        assert receiver.post(body, signed(body, "msg_1", keys=[key])) == 204


def test_what_was_answered_before_a_crash_is_worked_on_after_it(language: Language, tmp_path: Path) -> None:
    body = notification(10)
    with running(language, tmp_path) as receiver:
        assert receiver.post(body, signed(body, "msg_1")) == 204
        receiver.events(2)
        receiver.wait_for(receiver.inbox / "done" / "msg_1.json")
    # As if it had been killed between the answer and the work.
    (tmp_path / "inbox" / "done" / "msg_1.json").rename(tmp_path / "inbox" / "msg_1.json")
    (tmp_path / "inbox" / "msg_9.json.1.part").write_bytes(b'{"cut off')
    with running(language, tmp_path) as receiver:
        assert len(receiver.events(4)) == 4
        assert receiver.post(body, signed(body, "msg_1")) == 204
        assert len(receiver.events(4)) == 4
