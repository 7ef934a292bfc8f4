"""`manage.py up`: all of it starts, all of it ends, however it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from pathlib import Path
from urllib.request import urlopen

import pytest
from django.core.management import CommandError, call_command

from cwconnect.site.demo import free_port
from tests.support.required import lengthy
from tests.support.services import Service, manage, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]


STARTS_IN = 5  # seconds that a start takes on two cores with nothing else to do


@pytest.fixture
def up(data: Path) -> Service:
    """A running service without a demo; the test ends it."""
    began = time.monotonic()
    service = manage(data, "up", "--port", str(free_port()), tables=False)  # a first start
    wait_until(lambda: "cwconnect is up" in service.output, 150, "up", lambda: service.output)
    service.wait_for_roles()
    service.slower = max(1.0, (time.monotonic() - began) / STARTS_IN)
    return service


def test_a_port_in_use_is_said_in_a_sentence(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with manage(data, "up", "--port", str(port)) as service:
            assert service.ends_within(100) == 1
    assert f"Port {port} of 127.0.0.1 is in use." in service.output
    assert "Traceback" not in service.output


@pytest.mark.parametrize("command", ["up", "sandbox"])
def test_a_port_that_there_is_not_is_said_in_a_sentence(data: Path, command: str) -> None:
    with manage(data, command, "--port", "99999") as service:
        assert service.ends_within(100) == 1
    assert "There is no port 99999" in service.output
    assert "Traceback" not in service.output


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=lengthy)])
def test_a_signal_ends_everything_within_ten_seconds_without_an_error_or_a_warning(up: Service, number: int) -> None:
    with up:
        up.process.send_signal(number)

        assert up.ends_within(10 * up.slower) == 0
    assert [line for line in up.output.splitlines() if '"error"' in line or '"warning"' in line] == []


@lengthy
@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("gunicorn", "The web server"),
        ("cwconnect.core.run_with_parent work", "The worker"),
    ],
)
def test_the_death_of_one_part_ends_the_other_with_exit_code_1(up: Service, part: str, name: str) -> None:
    with up:
        next(seen for seen in up.those(part) if seen.parent == up.process.pid).kill()

        assert up.ends_within(75) == 1
        assert f"{name} was killed by signal 9" in up.output


def test_the_web_alone_leaves_the_work_to_others(data: Path) -> None:
    port = free_port()
    with manage(data, "up", "--web", "--port", str(port)) as service:
        wait_until(lambda: "cwconnect is up" in service.output, 150, "up", lambda: service.output)
        assert service.those("cwconnect.core.run_with_parent work") == []
        assert json.load(urlopen(f"http://127.0.0.1:{port}/readyz?exclude=worker"))["status"] == "ok"
        service.process.send_signal(signal.SIGTERM)
        assert service.ends_within(50) == 0


@lengthy
def test_nothing_is_left_when_up_itself_is_killed(up: Service) -> None:
    with up:
        up.process.kill()

        assert up.ends_within(60) == -signal.SIGKILL


@lengthy
def test_the_process_list_shows_no_secret_of_the_demo(data: Path) -> None:
    with manage(data, "up", "--demo", "--port", str(free_port())) as service:
        wait_until(lambda: "checked there" in service.output, 150, "the demo", lambda: service.output)
        service.wait_for_news(150)
        labels = ("password", "User", "Organization", "Signature key", "public key", "private key")
        secrets = {name: re.search(rf"{name} +([^\s,]+)", service.output) for name in labels}
        shown = {name: found[1] for name, found in secrets.items() if found}
        assert shown.keys() == set(labels)
        seen = {process.pid: process.command + _environment(process.pid) for process in service.alive()}
        assert len(seen) > 8
        found = {(pid, name) for pid, text in seen.items() for name, secret in shown.items() if secret in text}
        service.process.send_signal(signal.SIGTERM)
        service.ends_within(100)
    assert found == set()


def _environment(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/environ").read_text(errors="replace")
    except OSError:  # it ended meanwhile
        return ""


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"public": "a"}', "no JSON"])
def test_keys_that_are_not_there_are_said_in_a_sentence(content: str) -> None:
    reading, writing = os.pipe()
    os.write(writing, content.encode())
    os.close(writing)
    with pytest.raises(CommandError, match="holds no keys"):
        call_command("sandbox", f"--keys-fd={reading}", "--port=0")
