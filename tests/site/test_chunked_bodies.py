"""Chunked request bodies at the real web server: read like any other on every route, bounded, never taken for empty."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.site.conftest import serving
from tests.site.test_smuggling import _is_up
from tests.support.routes import VALUES, filled, templates
from tests.support.services import ask, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(200)]

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
PASSWORD = "a long enough password"
OF_THE_TOKEN = re.compile(r"(PUT|PATCH) (/elements/api-v2)?/instances($|/configuration|/transformations)")
LONGEST = 2 * 1024 * 1024

# An instance with a poll and one notification, that an operator looks at.
_ROWS = f"""
import json
from django.contrib.auth.models import User
from django.utils import timezone
from instances.credentials.issuing import issue_secrets
from instances.secrets import hash_token, new_token
from instances.models import Membership, Organization, Role
from polling.models import Event
from tests.support.rows import make_instance, make_notification, make_poll
secrets = issue_secrets(organization_name="Acme", user_name="program")
organization = Organization.objects.get()
account = User.objects.create_user("olga", password="{PASSWORD}")
Membership.objects.create(account=account, organization=organization, role=Role.OPERATOR)
token = new_token()
instance = make_instance(organization, token_hash=hash_token(token))
poll, now = make_poll(instance, due_at=None), timezone.now()
poll.since, poll.high_water_id = now, 1  # watching has begun: a change asks ConnectWise nothing
poll.save()
notification = make_notification(instance, 1, now)
Event.objects.create(id=1, instance=instance, resource_poll=poll, notification=notification, object_type="contacts",
    object_id="1", record_id=1, kind="CREATED", occurred_at=now, polled_at=now, record="{{}}")
auth = f"User {{secrets.user}}, Organization {{secrets.organization}}"
made = {{"auth": auth, "token": token, "instance": instance.pk, "poll": poll.pk}}
print(json.dumps(made | {{"secret": organization.api_users.get().pk}}))
"""


@dataclass(frozen=True)
class Site:
    """A running web server, and whom it knows."""

    port: int
    auth: str
    token: str
    ids: dict[str, int]

    def send(
        self, method: str, path: str, body: bytes, kind: str = JSON, *, size: int = 7, **headers: str
    ) -> tuple[int, str, Message]:
        """Send a body in chunks of so many bytes; return status, text and headers of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.putrequest(method, path)
            for name, value in {"Transfer-Encoding": "chunked", "Content-Type": kind, **headers}.items():
                connection.putheader(name, value)
            connection.endheaders()
            for start in range(0, len(body), size):
                piece = body[start : start + size]
                connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            connection.send(b"0\r\n\r\n")
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), answer.headers
        finally:
            connection.close()

    def call(self, method: str, path: str, body: bytes, *, size: int = 7) -> tuple[int, Any]:
        """Call the API by chunks; return status and body."""
        auth = f"{self.auth}, Element {self.token}" if OF_THE_TOKEN.search(f"{method} {path}") else self.auth
        status, text, _ = self.send(method, path, body, size=size, Authorization=auth)
        return status, json.loads(text)

    def get(self, path: str, **headers: str) -> tuple[str, dict[str, str]]:
        """Return the text of what answers 200 and its headers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", path, headers={"Authorization": self.auth, **headers})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        assert answer.status == 200, text
        return text, dict(answer.getheaders())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site_in(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture
def site_for_forms(tmp_path: Path) -> Iterator[Site]:
    """Yield a site for whoever sends every form: keys are revoked by some, and people removed."""
    with site_in(tmp_path) as site:
        yield site


@contextmanager
def site_in(data: Path) -> Iterator[Site]:
    """Run a web server on a database of its own with those rows."""
    made = json.loads(ask(data, "shell", "-v0", "-c", _ROWS).splitlines()[-1])
    with serving(data) as port:
        wait_until(lambda: _is_up(port), 60, "the web server")
        yield Site(port, made.pop("auth"), made.pop("token"), made)


def routes_with_a_body(site: Site) -> list[tuple[str, str]]:
    """Return method and path of each API route that takes a body, by the service's own description, ids filled in."""
    described = json.loads(site.get("/api/schema", Accept="application/vnd.oai.openapi+json")[0])
    values = (
        dict.fromkeys(("id", "subscription"), site.ids["instance"])
        | {"element": "connectwisecrmrest", "key": "company", "recordId": 1}
        | VALUES
        | site.ids
    )
    return [
        (method.upper(), re.sub(r"\{(\w+)\}", lambda name: str(values[name[1]]), path))
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
        if "requestBody" in operation
    ]


def test_every_api_route_reads_what_comes_in_chunks_and_no_more_than_it_may(site: Site) -> None:
    routes = routes_with_a_body(site)
    assert len(routes) >= 18
    for method, path in routes:
        for base in ("", "/elements/api-v2"):
            status, body = site.call(method, base + path, b'{"name": "cut short')
            assert (status, body["message"][:26]) == (400, "The body is no valid JSON:"), (method, path, body)
            too_long = b'{"name": "' + b"x" * LONGEST + b'"}'
            assert site.call(method, base + path, too_long, size=60_000)[0] == 413, (method, path)


def test_a_change_that_comes_in_chunks_is_made(site: Site) -> None:
    path = f"/instances/{site.ids['instance']}"
    for name in ("By chunks", "Ünïcode"):
        status, body = site.call("PATCH", path, json.dumps({"name": name}).encode())
        assert (status, body.get("name")) == (200, name), body
        assert json.loads(site.get(path)[0])["name"] == name


def test_what_is_only_to_be_counted_is_not_sent_and_what_is_too_long_is_not_either(site: Site) -> None:
    path = f"/v1/instances/{site.ids['instance']}/replays"
    before, began = site.call("POST", path, b"{}")  # whatever other tests have begun here
    status, counted = site.call("POST", path, b'{"count_only": true}')
    assert (status, counted["total"], counted["queued"], counted["id"]) == (200, 1, 0, None)
    filled = b'{"count_only": true, "resource": "' + b"x" * LONGEST + b'"}'
    for size in (1000, 60_000, len(filled)):
        assert site.call("POST", path, filled, size=size)[0] == 413
    sent, started = site.call("POST", path, b"{}")
    assert (before, sent, started["id"]) == (202, 202, began["id"] + 1), "none was begun between"


def test_malformed_chunks_are_refused_in_the_contracts_form(site: Site) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
    connection.putrequest("POST", "/instances")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    connection.send(b"zz\r\n{}\r\n0\r\n\r\n")
    answer = connection.getresponse()
    body: dict[str, Any] = json.loads(answer.read())
    connection.close()
    assert (answer.status, body["message"]) == (400, "The chunks of the request's body are malformed.")


def sign_in(site: Site, password: str, *, with_token: bool = True) -> tuple[int, str, Message]:
    """Send the form of the sign-in by chunks: what stands against forgery is in the body."""
    page, headers = site.get("/app/signin")
    cookie = headers["Set-Cookie"].partition(";")[0]
    fields = {"username": "olga", "password": password} | (
        {"csrfmiddlewaretoken": token_of(page)} if with_token else {}
    )
    return site.send("POST", "/app/signin", urlencode(fields).encode(), FORM, Cookie=cookie)


def token_of(page: str) -> str:
    found = re.search(r'csrfmiddlewaretoken" value="([^"]+)', page)
    assert found
    return found[1]


def test_a_sign_in_by_chunks_is_let_in_and_a_wrong_one_reads_what_is_wrong(site: Site) -> None:
    status, _, headers = sign_in(site, PASSWORD)
    assert (status, headers["Location"]) == (302, "/")
    assert "sessionid" in str(headers)
    status, page, _ = sign_in(site, "wrong")
    assert status == 200
    assert "olga" in page, "the form has what was typed"
    assert sign_in(site, PASSWORD, with_token=False)[0] == 403, "as an empty body would be"


def session_of(site: Site) -> tuple[str, str]:
    """Return a signed-in person's cookies, and the token that forms carry."""
    cookies = [cookie.partition(";")[0] for cookie in sign_in(site, PASSWORD)[2].get_all("Set-Cookie", [])]
    (token,) = [cookie.partition("=")[2] for cookie in cookies if cookie.startswith("csrftoken=")]
    return "; ".join(cookies), token


def test_every_page_reads_the_form_that_comes_in_chunks(site_for_forms: Site) -> None:
    site = site_for_forms
    cookies, token = session_of(site)
    answered = 0
    for path in page_paths(site):
        form = urlencode({"csrfmiddlewaretoken": token}).encode()
        status, text, _ = site.send("POST", path, form, FORM, Cookie=cookies)
        assert status != 403, (path, "the token in the body was not read")
        assert status < 500, (path, text)
        answered += status != 405
        assert site.send("POST", path, b"", FORM, Cookie=cookies)[0] in (403, 405), (path, "and without it")
    assert answered >= 15


def page_paths(site: Site) -> list[str]:
    """Return the paths of people's pages, ids filled in; those that end the session come last."""
    values = {"number": site.ids["instance"], "poll": site.ids["poll"], "name": "contacts", "copy": 1}
    values |= {"subscription": site.ids["instance"], **VALUES}
    found = {filled(template, values.__getitem__) for template in templates() if template.startswith("/app/")}
    return sorted(found, key=lambda path: "sign" in path)
