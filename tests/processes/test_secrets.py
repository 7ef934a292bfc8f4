"""A whole run leaves no secret in the clear, nor encoded, in any place there is.

The places are found, not listed: every column of every table, every file of the data folder, a backup and the temporary
folder, every route of the site, every process, and all that the service prints, mails and sends.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from cwconnect.core.paths import is_page
from cwconnect.sandbox import SandboxServer
from cwconnect.site.demo import free_port
from tests.security.test_redaction import holds
from tests.seed import example_body
from tests.support.mail_servers import MailServer
from tests.support.raw_servers import RawServer
from tests.support.receivers import Got, Receiver, start_receiver
from tests.support.required import lengthy
from tests.support.sandboxes import start_sandbox
from tests.support.services import Service, ask, manage, poll_now, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]

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
RESOURCES = ("contacts", "incidents", "organizations")
ROTATED = "a-newer-signature-key-of-the-receiver"
PASSWORD = "a-password-of-a-person"
METRICS = "a-token-of-the-metrics"
CHAT = "a-token-in-the-path-of-the-chats-webhook"
HEARTBEAT = "a-token-in-the-path-of-the-heartbeat"
MAIL = "a-password-of-the-mail-server"


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
        del answer.headers["Set-Cookie"]  # the one place where a session's cookie may stand
        self.said.append(f"{answer.headers}\n{text}")
        return answer.status, text

    def submit(self, page: str, path: str, **given: str) -> str:
        """Send a form that stands on a page; give the answer."""
        token = re.search(r'csrfmiddlewaretoken" value="([^"]+)', self.ask("GET", page)[1])
        assert token is not None
        form = urlencode(given | {"csrfmiddlewaretoken": token[1]})
        return self.ask("POST", path, form, **{"Content-Type": "application/x-www-form-urlencoded"})[1]

    def sign_in(self) -> None:
        _, page = self.ask("GET", "/admin/login/")
        token = re.search(r'csrfmiddlewaretoken" value="([^"]+)', page)
        assert token is not None
        for password in ("wrong", PASSWORD):
            form = urlencode({"username": "admin", "password": password, "csrfmiddlewaretoken": token[1]})
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            status, _ = self.ask("POST", "/admin/login/", form, **kind)
        assert status == 302


def secrets_of(made: dict[str, str], browser: Browser, token: str, data: Path) -> dict[str, str]:
    """Return every secret that the run has used, by what it is."""
    basic = f"acme+{CONFIGURED['public.key']}:{CONFIGURED['private.key']}"
    return {
        **{key: value for key, value in CONFIGURED.items() if isinstance(value, str) and len(value) > 11},
        "header": "a-header-of-the-receiver",
        "user": made["user"],
        "organization": made["organization"],
        "token": token,
        "password": PASSWORD,
        "metrics": METRICS,
        "the signature key after the rotation": ROTATED,
        "the chat's webhook": CHAT,
        "the heartbeat": HEARTBEAT,
        "the mail server's password": MAIL,
        "ConnectWise's refused key": "another-private-key",
        "the session's cookie": browser.cookies["sessionid"].value,
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
    rotated = {"configuration": {"event.notification.signature.key": ROTATED}}
    assert browser.ask("PATCH", f"/instances/{created['id']}", json.dumps(rotated), **headers)[0] == 200
    for path in (
        f"/instances/{created['id']}",
        f"/instances/{created['id']}/configuration",
        "/v1/secrets",
        "/api/schema",
    ):
        assert browser.ask("GET", path, **headers)[0] == 200, path
    test = json.dumps({"resource": "contacts"})
    assert browser.ask("POST", f"/v1/instances/{created['id']}/test-notification", test, **headers)[0] == 200
    browser.ask("GET", "/instances", Authorization=headers["Authorization"][:-4])
    browser.ask("GET", "/metrics", Authorization=f"Bearer {METRICS}")
    browser.ask("GET", "/readyz")
    browser.sign_in()
    return str(created["token"])


def let_people_in(browser: Browser) -> dict[str, str]:
    """Invite somebody who joins after a wrong code, and make an API key that is used; give what was handed out."""
    invitation = browser.submit("/app/people", "/app/people/invite", role="viewer", days="7")
    key = browser.submit("/app/keys", "/app/keys/new", name="export", scope="read", days="")
    del browser.said[-3], browser.said[-1]  # the two answers that show them
    link = re.search(r"http://[^\s<\"]+/app/join#([\w-]+)", invitation)
    header = re.search(r"User ([\w+/=]+), Organization ([\w+/=]+)", key)
    assert link is not None
    assert header is not None
    assert browser.ask("GET", "/elements", Authorization=header[0])[0] == 200
    assert browser.ask("DELETE", "/instances/1", Authorization=header[0])[0] == 403
    guest = Browser(browser.port, browser.said)
    for code in (f"{link[1]}x", link[1]):
        guest.submit("/app/join", "/app/join", code=code)
    assert "You are invited as" in guest.submit("/app/join", "/app/join", username="", password="")
    return {"an invitation": link[1], "an API key": header[1], "its organization secret": header[2]}


PATHS = "import json; from tests.security.shown import every_path; print(json.dumps(every_path()))"


def look_at_every_route(browser: Browser, data: Path, authorization: str) -> None:
    """Ask every route that the site has for all that its arguments may mean."""
    paths: list[str] = json.loads(ask(data, "shell", "-v0", "-c", PATHS))
    assert len(paths) > 100
    for path in paths:
        status, _ = browser.ask("GET", path, **({} if is_page(path) else {"Authorization": authorization}))
        assert status < 500, path


def columns_of(file: Path) -> dict[str, str]:
    """Return what each column of each table holds."""
    found = {}
    with closing(sqlite3.connect(file)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            rows = database.execute(f'SELECT * FROM "{table}"')  # noqa: S608  (a name of the database's own)
            names = [column[0] for column in rows.description]
            for name, values in zip(names, zip(*rows.fetchall(), strict=True), strict=False):
                found[f"{file.name}: {table}.{name}"] = "\n".join(_text(value) for value in values)
    return found


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def files_in(folder: Path) -> dict[str, str]:
    """Return what each file holds, keys and the folders of others' aside."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("_key", "_keys"))]
    return {str(path.relative_to(folder)): path.read_bytes().decode("latin-1") for path in files}


def command_lines() -> str:
    """Return how every process of this machine was called."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("latin-1"))
    return "\n".join(found)


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
    assert len(seen) > 30
    assert any(re.fullmatch(r"/app/instances/\d+", path) for path in seen)


@contextmanager
def alert_receivers() -> Iterator[tuple[dict[str, str], MailServer, Receiver]]:
    """Run whom the operator hears from; give the settings that name them, and both."""
    mail = MailServer()
    with RawServer(mail.handle) as server, start_receiver() as chat:
        place = chat.url.removesuffix("/events")
        yield (
            {
                "CWCONNECT_EMAIL_URL": f"smtp://bob:{MAIL}@127.0.0.1:{server.port}/?to=ops@example.com",
                "CWCONNECT_OPERATOR_WEBHOOK_URL": f"{place}/{CHAT}",
                "CWCONNECT_HEARTBEAT_URL": f"{place}/{HEARTBEAT}",  # refused: the receiver takes no GET
            },
            mail,
            chat,
        )


PERSON = f"""
from django.contrib.auth.models import User
from instances.models import Membership, Organization, Role
account = User.objects.create_superuser("admin", password="{PASSWORD}")
Membership.objects.create(account=account, organization=Organization.objects.get(), role=Role.OPERATOR)
"""
RAISE_ALERT = """
from django.utils import timezone
from polling.alerts.auth_alerts import raise_auth_alerts
from cwconnect.site.healthcheck_ping import ping_healthcheck
from cwconnect.site.alert_sender import send_alerts
now = timezone.now()
raise_auth_alerts(now), send_alerts(now), ping_healthcheck(now)
"""


def break_and_look(browser: Browser, data: Path) -> None:
    """Have pages fail, each with a traceback in the log."""
    with closing(sqlite3.connect(data / "cwconnect.sqlite3", timeout=20)) as database:
        database.execute("ALTER TABLE polling_event RENAME TO gone")
    assert browser.ask("GET", "/admin/polling/event/")[0] == 503  # to SQLite, a missing table is as bad as none
    assert browser.ask("GET", "/")[0] == 503


def export(browser: Browser) -> None:
    """Take what the admin gives as files."""
    for table in ("event", "notification", "deliveryattempt", "pollrun"):
        status, _ = browser.ask("GET", f"/admin/polling/{table}/export/")
        assert status in (200, 404), table  # not every table has one
    assert any("text/csv" in said for said in browser.said)


def echo(got: Got) -> bytes:
    """Answer with all that was sent, and with the credentials decoded."""
    basic = got.headers.get("authorization", "").removeprefix("Basic ")
    return f"{json.dumps(got.headers)} {base64.b64decode(basic).decode()}".encode()


@lengthy
@pytest.mark.parametrize("form", ["json", "line"])
def test_no_secret_of_a_run_is_found_in_the_clear(data: Path, receiver: Receiver, form: str) -> None:
    port, temporary = free_port(), data.parent / "temporary"
    temporary.mkdir()
    keys = {"public_key": CONFIGURED["public.key"], "private_key": CONFIGURED["private.key"]}
    receiver.answer, receiver.body = lambda got: (503 if len(receiver.got) == 2 else 200, {}), echo  # 1 is a test
    with alert_receivers() as (operator, mail, chat), ExitStack() as running:
        environment = EMBEDDED | {"CWCONNECT_METRICS_TOKEN": METRICS, "CWCONNECT_LOG_FORMAT": form} | operator
        environment |= {"TMPDIR": str(temporary)}
        sandbox = running.enter_context(start_sandbox(records=dict.fromkeys(RESOURCES, 5), **keys))
        service = running.enter_context(manage(data, "up", "--port", str(port), environment=environment))
        wait_until(lambda: "cwconnect is up" in service.output, 60, "up", lambda: service.output)
        made = json.loads(ask(data, "issue_secrets", "--organization=A", "--user=B", "--json"))
        ask(data, "shell", "-v0", "-c", PERSON)
        browser = Browser(port)
        token = work_through(browser, made, sandbox.url, receiver)
        handed_out = let_people_in(browser)
        deliver_after_a_failure(data, sandbox, receiver, service)
        printed = ask(data, "verify", "1", "--json", check=False) + ask(data, "licences")
        have_polls_refused(data, sandbox, service)
        printed += ask(data, "shell", "-v0", "-c", RAISE_ALERT, environment=environment)
        wait_until(lambda: mail.mails and chat.got, 90, "the operator notified", lambda: service.output)
        look_at_pages(browser)
        if form == "json":  # the other run is for what its lines hold
            look_at_every_route(browser, data, f"User {made['user']}, Organization {made['organization']}")
        export(browser)
        printed += ask(data, "backup", str(data / "copy.sqlite3"), environment=environment)
        processes = command_lines()
        stored = columns_of(data / "copy.sqlite3")
        break_and_look(browser, data)
        kept = files_in(data) | files_in(temporary)
    assert {"cwconnect.sqlite3", "copy.sqlite3"} <= kept.keys()
    assert len(stored) > 150
    assert "manage.py up" in processes
    places = {"the log": service.output, "answers and pages": "\n".join(browser.said), "commands": printed}
    places |= {"mails": "\n".join(mail.mails), "the chat": "\n".join(got.body.decode() for got in chat.got)}
    places |= {"the process list": processes} | stored | kept
    assert any("acme" in places[name] for name in kept), "what is no secret is found"
    check_that_what_is_there_is_found(places, receiver)
    secrets = secrets_of(made, browser, token, data) | handed_out
    if form == "line":
        places = {"the log": places["the log"], "commands": printed}
    found = {(what, where): holds(places[where], secrets[what]) for what in secrets for where in places}
    assert {place: names for place, names in found.items() if names} == {}
    if form == "json":
        check_lines(service)


def deliver_after_a_failure(data: Path, sandbox: SandboxServer, receiver: Receiver, service: Service) -> None:
    """Have a change delivered that the receiver refuses at first."""
    sandbox.store.change("contacts", 3, {"title": "Chief"})
    poll_now(data)
    wait_until(lambda: len(receiver.got) > 2, 60, "a second try", lambda: service.output)


def have_polls_refused(data: Path, sandbox: SandboxServer, service: Service) -> None:
    """Have ConnectWise refuse the keys."""
    sandbox.store.fail_next(50, status=401)
    poll_now(data)
    wait_until(lambda: " failed: " in service.output, 30, "a failed poll in the log", lambda: service.output)


def check_that_what_is_there_is_found(places: dict[str, str], receiver: Receiver) -> None:
    """See that the places hold what the run had to leave there, an echo of the receiver's among it."""
    assert "acme" in places["answers and pages"], "what is no secret is found"
    assert "refuses the keys" in places["mails"]
    assert "refuses the keys" in places["the chat"]
    assert "Traceback" in places["the log"]
    echoed = "\n".join(echo(got).decode() for got in receiver.got)
    assert holds(echoed, str(CONFIGURED["event.notification.basic.password"])), "what is there is found"
    (responses,) = (text for name, text in places.items() if name.endswith("polling_deliveryattempt.response"))
    assert '"webhook-id"' in responses, "the echo was kept"
    assert "********" in responses


def check_lines(service: Service) -> None:
    """See that the log's lines are JSON."""
    lines = [json.loads(line) for line in service.lines if line.startswith("{")]
    assert {"time", "level", "logger", "message"} <= set(lines[0])
    assert any("instance_id" in line for line in lines)
