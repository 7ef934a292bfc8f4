"""What a web request asks outside: in a short time altogether, few at once of an organization, always bounded."""

from __future__ import annotations

import ast
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as ours
from django.test import Client

from cwconnect.core.request_ids import new_request_id
from cwconnect.outbound import CONNECTWISE_LIMITS, NOTIFICATION_LIMITS, TimedOut
from cwconnect.sandbox import SandboxServer
from instances import interactive
from instances.connections import outbound_client
from instances.interactive import TooManyCallsError, UnboundedCallError, bounded, side_by_side
from instances.models import ApiUser, Instance
from tests.api.conftest import Watched
from tests.conftest import Tenant
from tests.pages.conftest import sign_in, text_of
from tests.seed import example_body
from tests.support.api_caller import Api
from tests.support.raw_servers import RawServer, answer, read_request

ROOT = Path(__file__).resolve().parents[2]


class Holder:
    """Requests of organizations that are under way until the end of the block."""

    def __init__(self) -> None:
        self._end = threading.Event()
        self._threads: list[threading.Thread] = []

    def hold(self, organization: int, number: int) -> None:
        for _ in range(number):
            begun = threading.Event()
            self._threads.append(threading.Thread(target=self._hold, args=(organization, begun)))
            self._threads[-1].start()
            assert begun.wait(20)

    def _hold(self, organization: int, begun: threading.Event) -> None:
        with interactive.interactive(organization):
            bounded(CONNECTWISE_LIMITS)
            begun.set()
            self._end.wait(60)

    def release(self) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def holder() -> Iterator[Holder]:
    found = Holder()
    yield found
    found.release()
    assert not interactive._under_way, "all places are free again"


def test_two_of_an_organization_and_half_of_the_threads_in_all(holder: Holder) -> None:
    holder.hold(1, 2)
    with pytest.raises(TooManyCallsError, match="of this organization"), interactive.interactive(1):
        bounded(CONNECTWISE_LIMITS)
    holder.hold(2, 2)
    with pytest.raises(TooManyCallsError, match="just now"), interactive.interactive(3):
        bounded(CONNECTWISE_LIMITS)
    assert interactive.MOST_IN_ALL == 4 < ours.WEB_THREADS
    holder.release()
    with interactive.interactive(1):
        assert bounded(CONNECTWISE_LIMITS).total <= interactive.SECONDS


def test_one_request_has_one_place_and_one_time_for_all_its_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interactive, "SECONDS", 0.5)
    with interactive.interactive(1), interactive.interactive(1):
        limits = bounded(CONNECTWISE_LIMITS)
        assert max(limits.total, limits.connect, limits.read) <= 0.5
        assert side_by_side(lambda _: bounded(NOTIFICATION_LIMITS).total <= 0.5, range(5), 3) == [True] * 5
        assert interactive._under_way == {1: 1}
        time.sleep(0.6)
        with pytest.raises(TimedOut):
            bounded(CONNECTWISE_LIMITS)
    assert not interactive._under_way


def test_who_asks_nothing_takes_no_place(holder: Holder) -> None:
    holder.hold(1, 2)
    with interactive.interactive(1):
        assert interactive._under_way == {1: 2}


def test_a_web_request_asks_nothing_without_a_bound_and_a_worker_keeps_its_own_limits() -> None:
    assert bounded(CONNECTWISE_LIMITS) == CONNECTWISE_LIMITS
    with new_request_id(), pytest.raises(UnboundedCallError):
        outbound_client().request("GET", "http://127.0.0.1:9/", headers={}, limits=NOTIFICATION_LIMITS)


# Whoever makes a client of its own, or opens sockets by itself, goes past the bound: these alone, and why.
_OWN_WAY = {
    "cwconnect/outbound/": "the client itself",
    "cwconnect/sandbox/": "a program of its own",
    "cwconnect/web/": "the web server's own sockets",
    "cwconnect/core/hosts.py": "reads addresses, asks nobody",
    "cwconnect/core/ask_readyz.py": "a command of the image: asks whether the web beside it answers",
    "cwconnect/tracing/exporter.py": "a thread of its own: sends traces to the one address of a setting",
    "polling/workers/heartbeats.py": "the machine's name",
    "polling/workers/supervisor.py": "the machine's name",
    "cwconnect/management/commands/up.py": "a command: asks whether its own web answers",
    "cwconnect/site/demo.py": "a command: calls its own web",
    "cwconnect/site/demo_receiver.py": "a program of its own",
    "polling/alerts/sending.py": "mail, which asks for its bound itself: see tests/pages/test_alerts.py",
    "instances/connections.py": "makes the bounded client",
    "instances/mails.py": "mail, within what its caller bounds, or from a thread: see tests/pages/test_people.py",
}
_NETWORK = {"socket", "http", "urllib", "urllib3", "requests", "smtplib", "ftplib", "httpx", "aiohttp", "asyncio"}
_HARMLESS = {"urllib.parse", "requests.utils", "http"}  # http: its statuses


def opened(file: Path) -> Iterator[str]:
    """Return what of a module may open a connection past the bounded client."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.partition(".")[0] in _NETWORK)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in _NETWORK:
            yield node.module
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "OutboundClient":
            yield "OutboundClient()"


def test_nothing_opens_a_connection_past_the_bounded_client() -> None:
    found = {
        str(file.relative_to(ROOT)): what
        for app in ("cwconnect", "instances", "polling")
        for file in sorted((ROOT / app).rglob("*.py"))
        if not str(file.relative_to(ROOT)).startswith(tuple(_OWN_WAY))
        and (what := sorted(set(opened(file)) - _HARMLESS))
    }
    # checks.py makes a client to read URLs with, and asks nothing of it.
    assert found == {"cwconnect/site/checks.py": ["OutboundClient()"]}
    for way in _OWN_WAY:
        assert (ROOT / way).exists()


Ask = Callable[[Api, Watched, SandboxServer], Any]
CREDENTIALS = {"public.key": "other", "private.key": "other"}


def written(method: str, path: str, body: Any = None) -> Ask:
    """Return a write through the hub, by a key and an instance that may."""

    def ask(api: Api, own: Watched, _: SandboxServer) -> Any:
        ApiUser.objects.update(writes_to_connectwise=True)
        Instance.objects.update(writes_enabled=True)
        return api(method, path, body, auth=own.auth)

    return ask


ROUTES: dict[str, Ask] = {
    "create": lambda api, _, sandbox: api("POST", "/instances", example_body(sandbox.url)),
    "create under the element": lambda api, _, sandbox: api(
        "POST", "/elements/connectwisecrmrest/instances", example_body(sandbox.url)
    ),
    "PATCH": lambda api, own, _: api("PATCH", f"/instances/{own.instance.pk}", {"configuration": CREDENTIALS}),
    "PUT": lambda api, own, sandbox: api("PUT", f"/instances/{own.instance.pk}", example_body(sandbox.url)),
    "PUT by token": lambda api, own, sandbox: api("PUT", "/instances", example_body(sandbox.url), auth=own.auth),
    "PATCH of a key": lambda api, own, _: api(
        "PATCH", f"/instances/{own.instance.pk}/configuration/public.key", {"propertyValue": "other"}
    ),
    "a live read": lambda api, own, _: api("GET", "/hubs/crm/contacts", auth=own.auth),
    "a live read, counted": lambda api, own, _: api("GET", "/contacts?returnTotalCount=true", auth=own.auth),
    "a live read of one": lambda api, own, _: api("GET", "/hubs/crm/contacts/1", auth=own.auth),
    "a record created": written("POST", "/hubs/crm/contacts", {"firstName": "Ada"}),
    "a record replaced": written("PUT", "/contacts/3", {"firstName": "Ada"}),
    "a record changed": written("PATCH", "/hubs/crm/contacts/3", {"firstName": "Ada", "customFields": []}),
    "a record deleted": written("DELETE", "/hubs/crm/contacts/3"),
    "a ping": lambda api, own, _: api("GET", "/ping", auth=own.auth),
    "the fields of a resource": lambda api, own, _: api("GET", "/objects/contacts/metadata", auth=own.auth),
    "a resource more": lambda api, own, _: api(
        "POST", f"/v1/instances/{own.instance.pk}/polls", {"resource": "incidents"}
    ),
    "a test notification": lambda api, own, _: api(
        "POST", f"/v1/instances/{own.instance.pk}/test-notification", {"resource": "contacts"}
    ),
}


@pytest.fixture
def own(tenant: Tenant, sandbox: SandboxServer) -> Watched:
    return Watched(tenant, base_url=sandbox.url)


@pytest.mark.django_db
@pytest.mark.parametrize("name", ROUTES)
def test_every_route_that_asks_outside_is_429_in_words_when_too_many_do(
    api: Api, own: Watched, sandbox: SandboxServer, holder: Holder, name: str
) -> None:
    holder.hold(api.tenant.organization.pk, 2)
    before = Instance.objects.count()
    refused = ROUTES[name](api, own, sandbox)
    assert refused.status_code == 429, refused.content
    assert refused.headers["Retry-After"] == "2"
    assert refused.json()["message"].endswith("Try again in a moment.")
    assert set(refused.json()) == {"requestId", "message"}
    assert Instance.objects.count() == before
    holder.release()
    assert ROUTES[name](api, own, sandbox).status_code != 429


@pytest.mark.django_db
def test_what_asks_nothing_outside_is_answered_meanwhile(api: Api, own: Watched, holder: Holder) -> None:
    holder.hold(api.tenant.organization.pk, 2)
    assert api("GET", "/instances").status_code == 200
    assert api("PATCH", f"/instances/{own.instance.pk}", {"name": "Other"}).json()["name"] == "Other"
    assert api("PUT", f"/instances/{own.instance.pk}/enabled").status_code == 200
    poll = f"/v1/instances/{own.instance.pk}/polls/{own.poll.pk}"
    assert api("PATCH", poll, {"configuration": {"idField": "x"}}).status_code == 200, "a look that may be left out"


@pytest.mark.django_db
def test_pages_say_it_in_words(own: Watched, sandbox: SandboxServer, holder: Holder) -> None:
    holder.hold(own.instance.organization_id or 0, 2)
    person: Client = sign_in("olga", own.tenant.organization)
    connection = {"site": "own", "base_url": sandbox.url, "company": "acme", "public_key": "PUB", "private_key": "PRIV"}
    notify = {"events_enabled": "on", "callback_url": "http://127.0.0.1:9/", "refresh_interval": "5"}
    number = own.instance.pk
    for path, form in {
        "/app/instances/new": connection | notify | {"watch": ["contacts"], "name": "Acme"},
        "/app/instances/new/test": connection,
        f"/app/instances/{number}/settings": connection | {"part": "connection"},
        f"/app/instances/{number}/settings/test": {},
        f"/app/instances/{number}/resources/add": {"name": "incidents"},
        f"/app/instances/{number}/delivery/test": {},
        f"/app/instances/{number}/subscriptions/{number}/test": {},
        f"/app/instances/{number}/subscriptions/add": {"do": "test", "name": "Other", "url": "http://127.0.0.1:9/"}
        | {"form": "elements", "begin": "now"},
    }.items():
        answer = person.post(path, form)
        assert answer.status_code in (200, 422), (path, answer.status_code)
        assert "Try again in a moment." in text_of(answer), path
    counts = person.post("/app/instances/new/counts", connection)
    assert "not counted: too much at once" in text_of(counts)


def trickling(piece: bytes) -> Callable[[socket.socket], None]:
    """Make a ConnectWise that never comes to an end."""

    def handle(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(piece)
        while True:
            connection.sendall(b"a")
            time.sleep(0.05)

    return handle


def silent(connection: socket.socket) -> None:
    """Take a request, and say nothing."""
    read_request(connection)
    connection.recv(1)


HANGING: dict[str, Callable[[socket.socket], None]] = {
    "says nothing": silent,
    "a head without an end": trickling(b"HTTP/1.1 200 OK\r\nX: "),
    "a body without an end": trickling(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"),
    "interim answers without an end": trickling(b"HTTP/1.1 102 Processing\r\n\r\n" * 100 + b"HTTP/1.1 200 OK\r\nX: "),
}


@pytest.mark.django_db
@pytest.mark.parametrize("name", HANGING)
def test_a_site_that_hangs_is_given_up_after_one_time_for_all(
    api: Api, monkeypatch: pytest.MonkeyPatch, holder: Holder, name: str
) -> None:
    monkeypatch.setattr(interactive, "SECONDS", 1.0)
    with RawServer(HANGING[name]) as server:
        began = time.monotonic()
        refused = api("POST", "/instances", example_body(server.url()))
        took = time.monotonic() - began
    assert (refused.status_code, took < 10) == (400, True), (took, refused.content)
    assert refused.json()["message"].startswith("Nothing was stored: ConnectWise can't be reached: ")
    del holder  # sees to it that the place is free again


@pytest.mark.django_db
def test_many_resources_of_a_slow_site_are_proven_side_by_side(api: Api) -> None:
    under_way, most = [0], [0]
    lock = threading.Lock()

    def handle(connection: socket.socket) -> None:
        while read_request(connection):
            with lock:
                under_way[0] += 1
                most[0] = max(most[0], under_way[0])
            time.sleep(0.2)
            with lock:
                under_way[0] -= 1
            connection.sendall(answer(b"[]", headers=("Date: Sun, 01 Mar 2026 12:00:00 GMT",)))

    names = ("contacts", "incidents", "organizations", "opportunities", "activities", "agreements")
    body = example_body("", **{"event.poller.configuration": {name: {} for name in names}})
    with RawServer(handle) as server:
        body["configuration"]["baseUrl"] = server.url().rstrip("/")
        made = api("POST", "/instances", body)
    assert made.status_code == 200, made.content
    assert most[0] == 3


def test_after_a_fault_nothing_more_is_begun() -> None:
    begun: list[int] = []

    def act(number: int) -> int:
        begun.append(number)
        if number == 1:
            raise ValueError("the second")
        time.sleep(0.05)
        return number

    with pytest.raises(ValueError, match="the second"):
        side_by_side(act, range(50), 2)
    assert begun[:2] == [0, 1]
    assert len(begun) < 10


def test_a_fault_is_not_waited_for_behind_one_that_is_slow() -> None:
    begun: list[int] = []

    def act(number: int) -> None:
        begun.append(number)
        if number == 1:
            raise ValueError("the second")
        time.sleep(0.5)

    with pytest.raises(ValueError, match="the second"):
        side_by_side(lambda number: act(number) if number < 2 else begun.append(number), range(50), 2)
    assert begun == [0, 1]


@pytest.mark.django_db
def test_refused_keys_are_not_tried_with_every_resource(api: Api) -> None:
    asked: list[bytes] = []

    def handle(connection: socket.socket) -> None:
        while request := read_request(connection):
            asked.append(request)
            connection.sendall(answer(b'{"code":"Unauthorized"}', status="401 Unauthorized"))

    polls = {f"list{number}": {"url": f"/hubs/crm/finance/list{number}"} for number in range(30)}
    body = example_body("", **{"event.poller.configuration": polls})
    with RawServer(handle) as server:
        body["configuration"]["baseUrl"] = server.url().rstrip("/")
        refused = api("POST", "/instances", body)
    assert "refuses the credentials" in refused.json()["message"]
    assert 1 <= len(asked) <= 9
