"""A whole run leaves no secret in the clear: not in logs, answers, pages or the database's files."""

from __future__ import annotations

import base64
import http.client
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from cwconnect.demo import free_port
from tests.polling.receivers import Receiver, start_receiver
from tests.processes.services import ask, manage, poll_now, wait_until
from tests.sandboxes import start_sandbox
from tests.seed import example_body

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

EMBEDDED = {"CWCONNECT_PRIVATE_NETWORKS": "127.0.0.0/8", "CWCONNECT_DATABASE_URL": "", "CWCONNECT_REDIS_URL": ""}
CONFIGURED = {
    "public.key": "a-public-key-of-connectwise",
    "private.key": "a-private-key-of-connectwise",
    "connectwise.clientID": "a-client-id",
    "event.notification.signature.key": "a-signature-key-of-the-receiver",
    "event.notification.basic.username": "bob",
    "event.notification.basic.password": "a-basic-password-of-the-receiver",
    "event.notification.callback.headers": {"X-Api-Key": "a-header-of-the-receiver"},
}
PASSWORD = "a-password-of-a-person"
METRICS = "a-token-of-the-metrics"


@dataclass
class Browser:
    """Asks the service and keeps every answer."""

    port: int
    said: list[str] = field(default_factory=list)
    cookies: SimpleCookie = field(default_factory=SimpleCookie)

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> tuple[int, str]:
        sent = {"Cookie": "; ".join(f"{name}={one.value}" for name, one in self.cookies.items())} | headers
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        for value in answer.headers.get_all("Set-Cookie") or ():
            self.cookies.load(value)
        self.said.append(f"{answer.headers}\n{text}")
        return answer.status, text

    def sign_in(self) -> None:
        _, page = self.ask("GET", "/admin/login/")
        token = re.search(r'csrfmiddlewaretoken" value="([^"]+)', page)
        assert token is not None
        for password in ("wrong", PASSWORD):
            form = urlencode({"username": "admin", "password": password, "csrfmiddlewaretoken": token[1]})
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            status, _ = self.ask("POST", "/admin/login/", form, **kind)
        assert status == 302


def secrets_of(made: dict[str, str], token: str, data: Path) -> dict[str, str]:
    """Give every secret that the run has used, by what it is."""
    basic = f"acme+{CONFIGURED['public.key']}:{CONFIGURED['private.key']}"
    return {
        **{key: value for key, value in CONFIGURED.items() if isinstance(value, str) and len(value) > 11},
        "header": "a-header-of-the-receiver",
        "user": made["user"],
        "organization": made["organization"],
        "token": token,
        "password": PASSWORD,
        "metrics": METRICS,
        "ConnectWise's Authorization": base64.b64encode(basic.encode()).decode(),
        "receiver's Authorization": base64.b64encode(b"bob:a-basic-password-of-the-receiver").decode(),
        "secret key": (data / "secret_key").read_text(),
        "encryption key": (data / "encryption_keys").read_text(),
    }


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with start_receiver() as running:
        yield running


def work_through(browser: Browser, made: dict[str, str], url: str, receiver: Receiver) -> str:
    """Create, change, deliver, fail, look at every page; give the instance's token."""
    authorization = f"User {made['user']}, Organization {made['organization']}"
    headers = {"Authorization": authorization, "Content-Type": "application/json"}
    body: dict[str, Any] = example_body(url, **{"event.notification.callback.url": receiver.url} | CONFIGURED)
    status, text = browser.ask("POST", "/instances", json.dumps(body), **headers)
    assert status == 200, text
    created = json.loads(browser.said.pop().partition("\n\n")[2])  # the one answer that shows the token
    wrong = {"configuration": {"private.key": "another-private-key"}}
    assert browser.ask("PATCH", f"/instances/{created['id']}", json.dumps(wrong), **headers)[0] in (400, 401)
    for path in ("", "/configuration"):
        assert browser.ask("GET", f"/instances/{created['id']}{path}", **headers)[0] == 200
    browser.ask("GET", "/instances", Authorization=headers["Authorization"][:-4])
    browser.ask("GET", "/metrics", Authorization=f"Bearer {METRICS}")
    browser.ask("GET", "/readyz")
    browser.sign_in()
    return str(created["token"])


def look_at_pages(browser: Browser) -> None:
    """Follow every link of the admin, two deep, and of the pages."""
    seen: set[str] = set()
    waiting = ["/admin/", "/"]
    for _ in range(2):
        found: set[str] = set()
        for path in waiting:
            seen.add(path)
            found |= set(re.findall(r'href="(/[^"#]*)"', browser.ask("GET", path)[1]))
        waiting = [path for path in sorted(found - seen) if "logout" not in path and not path.startswith("/static/")]
    assert len(seen) > 10


def test_no_secret_of_a_run_is_found_in_the_clear(data: Path, receiver: Receiver) -> None:
    port = free_port()
    environment = EMBEDDED | {"CWCONNECT_METRICS_TOKEN": METRICS}
    keys = {"public_key": CONFIGURED["public.key"], "private_key": CONFIGURED["private.key"]}
    receiver.answer = lambda got: (503 if len(receiver.got) == 1 else 204, {})
    with (
        start_sandbox(records={"contacts": 5, "incidents": 5, "organizations": 5}, **keys) as sandbox,
        manage(data, "up", "--port", str(port), environment=environment) as service,
    ):
        wait_until(lambda: "cwconnect is up" in service.output, 60, "up", lambda: service.output)
        made = json.loads(ask(data, "issue_secrets", "--organization=A", "--user=B", "--json"))
        person = f"User.objects.create_superuser('admin', password='{PASSWORD}')"
        ask(data, "shell", "-v0", "-c", f"from django.contrib.auth.models import User; {person}")
        browser = Browser(port)
        token = work_through(browser, made, sandbox.url, receiver)
        sandbox.store.change("contacts", 3, {"title": "Chief"})
        poll_now(data)
        wait_until(lambda: len(receiver.got) > 1, 60, "a second try", lambda: service.output)
        look_at_pages(browser)
        sandbox.store.fail_next(50, status=401)
        poll_now(data)
        wait_until(lambda: " failed: " in service.output, 30, "a failed poll in the log", lambda: service.output)
        kept = {path.name: path.read_bytes() for path in data.iterdir() if not path.name.endswith(("_key", "_keys"))}
    assert any(name.endswith(".sqlite3") for name in kept)
    places = {"the log": service.output, "answers and pages": "\n".join(browser.said)}
    places |= {name: content.decode("latin-1") for name, content in kept.items()}
    assert "acme" in places["answers and pages"], "what is no secret is found"
    assert any("acme" in places[name] for name in kept), "what is no secret is found"
    secrets = secrets_of(made, token, data)
    found = [(what, where) for what in secrets for where in places if secrets[what] in places[where]]
    assert found == []
    lines = [json.loads(line) for line in service.lines if line.startswith("{")]
    assert {"time", "level", "logger", "message"} <= set(lines[0])
    assert any("instance_id" in line for line in lines)
