"""The server itself: connections, threads, changes by themselves, the command."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from cwconnect.management.commands.sandbox import read_records
from cwconnect.sandbox import SandboxServer
from cwconnect.sandbox.parts import PROBLEMS, TITLES
from tests.sandbox.caller import CONTACTS, Caller
from tests.sandbox.speed import measure
from tests.support.receivers import Receiver
from tests.support.sandboxes import start_sandbox


def wait_for(met: object, seconds: float = 10) -> None:
    """Wait until the callable gives something true."""
    assert callable(met)
    end = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


def test_one_connection_serves_many_requests(caller: Caller) -> None:
    caller.get()
    first = caller.connection.sock
    caller.post(CONTACTS, {"firstName": "Quinn"})
    caller.get("/company/nothing")
    assert caller.connection.sock is first


def test_a_connection_is_closed_when_asked(caller: Caller) -> None:
    assert caller.get(headers={"Connection": "close"}).headers["Connection"] == "close"


def test_requests_works_with_it(sandbox: SandboxServer) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.auth = ("acme+PUB", "PRIV")
        session.headers["clientId"] = "any"
        answer = session.get(f"{sandbox.url}/company/contacts", params={"conditions": "id > 20"}, timeout=5)
        assert [record["id"] for record in answer.json()] == [*range(21, 31)]
        assert session.get(f"{sandbox.url}/company/contacts?pageSize=20", timeout=5).links["next"]["url"].endswith("=2")


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nno header\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 300 + b"\r\n",
    ],
)
def test_what_is_no_request_answers_400_and_ends_the_connection(sandbox: SandboxServer, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=5) as line:
        line.sendall(sent)
        line.shutdown(socket.SHUT_WR)
        received = b""
        while part := line.recv(4096):
            received += part
    assert received.startswith(b"HTTP/1.1 400 ")


def test_many_callers_are_served_at_once(sandbox: SandboxServer) -> None:
    sandbox.store.fail_next(8, delay=1)
    callers = [Caller(sandbox) for _ in range(8)]
    threads = [threading.Thread(target=caller.get) for caller in callers]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began < 5
    for caller in callers:
        caller.close()


def sandbox_threads() -> set[threading.Thread]:
    """Return the threads of all sandboxes in this process: a fixture of the session may keep one running."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("sandbox-")}


def test_stopping_hangs_up_and_leaves_no_thread() -> None:
    others = sandbox_threads()
    server = SandboxServer(records={"contacts": 3}).start()
    with socket.create_connection(("127.0.0.1", server.port)) as idle, Caller(server) as busy:
        server.store.fail_next(1, delay=30)

        def ask_in_vain() -> None:
            with pytest.raises((http.client.HTTPException, OSError)):
                busy.get()

        slow = threading.Thread(target=ask_in_vain)
        slow.start()
        wait_for(lambda: server.store.requests)
        assert sandbox_threads() - others
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 5  # the busy one would take 30
        assert idle.recv(1) == b""
        slow.join(5)
    assert not sandbox_threads() - others


def test_stopping_what_never_started_is_fine() -> None:
    SandboxServer(records={}).stop()


def test_an_address_that_is_taken_is_an_error(sandbox: SandboxServer) -> None:
    with pytest.raises(OSError, match="in use"):
        SandboxServer(records={}, port=sandbox.port).start()


def test_records_change_by_themselves_at_the_rate_asked_for() -> None:
    with start_sandbox(records={"contacts": 200, "incidents": 200}, changes_per_minute=6000) as server:
        began = server.store.now()

        def moved() -> set[str]:
            lists = {"contacts", "incidents"}
            return {
                name
                for name in lists
                for number in server.store.ids(name)[-40:]
                if (record := server.store.get(name, number)) and number > 200 and record["_info"]
            }

        wait_for(lambda: moved() == {"contacts", "incidents"})
        wait_for(lambda: len(server.store.ids("contacts")) + len(server.store.ids("incidents")) != 400)
        assert server.store.now() >= began


def titles(server: SandboxServer) -> dict[int, object]:
    return {number: (server.store.get("contacts", number) or {})["title"] for number in server.store.ids("contacts")}


def test_changes_are_mostly_edits_that_change_the_content() -> None:
    edited = created = deleted = 0
    with start_sandbox(records={"contacts": 50}) as server:
        for _ in range(100):
            before = titles(server)
            server.changer.change_something()
            after = titles(server)
            created += len(after.keys() - before.keys())
            deleted += len(before.keys() - after.keys())
            edited += sum(after[number] != before[number] for number in before.keys() & after.keys())
    assert edited + created + deleted == 100
    assert edited > 50
    assert edited > created > deleted > 0


def test_tickets_have_summaries_and_people_have_titles() -> None:
    with start_sandbox(records={"contacts": 20, "incidents": 20}) as server:
        for _ in range(100):
            server.changer.change_something()
        found = {
            name: [server.store.get(name, number) for number in server.store.ids(name)]
            for name in ("incidents", "contacts")
        }
    assert {(record or {})["summary"] for record in found["incidents"]} <= set(PROBLEMS)
    assert {(record or {})["title"] for record in found["contacts"]} <= set(TITLES)


def test_nothing_changes_by_itself_in_an_empty_sandbox() -> None:
    with start_sandbox(records={}) as server:
        server.changer.change_something()
        assert set(server.store.lists().values()) == {0}


def test_the_rate_can_be_changed_while_it_runs(caller: Caller, sandbox: SandboxServer) -> None:
    before = [sandbox.store.get("contacts", number) for number in range(1, 31)]
    caller.control("settings", changes_per_minute=60_000)
    wait_for(lambda: [sandbox.store.get("contacts", number) for number in range(1, 31)] != before)
    caller.control("settings", changes_per_minute=0)
    assert sandbox.changer.rate == 0


def test_records_are_read_from_the_command_line() -> None:
    assert read_records("contacts=1000, /company/notes=5,") == {"contacts": 1000, "/company/notes": 5}


@pytest.mark.processes
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_a_signal_ends_it(ending: signal.Signals) -> None:
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "manage.py", "sandbox", "--port", "0", "--records", "contacts=7", "--client-id", "me"]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        answer = requests.get(
            f"{url}/company/contacts/count", auth=("acme+PUB", "PRIV"), headers={"clientId": "me"}, timeout=5
        )
        process.send_signal(ending)
        assert process.wait(10) == 0
    assert answer.json()["count"] in range(5, 10)


@pytest.mark.processes
def test_the_command_sends_callbacks_to_what_stands_behind_the_registered_name(receiver: Receiver) -> None:
    root = Path(__file__).resolve().parents[2]
    options = ["--port", "0", "--records", "contacts=7", "--changes-per-minute", "0", "--callbacks-via", receiver.url]
    options += ["--more-companies", "beta", "gamma"]
    command = [sys.executable, "manage.py", "sandbox", *options]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    wanted = {"url": "https://hooks.example/c?recordId=", "objectId": 1, "type": "contact", "level": "owner"}
    login: dict[str, Any] = {"auth": ("beta+PUB", "PRIV"), "headers": {"clientId": "me"}}
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        assert requests.post(f"{url}/system/callbacks", json=wanted, timeout=5, **login).status_code == 201
        requests.delete(f"{url}/company/contacts/3", timeout=5, **login)
        wait_for(lambda: receiver.got)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    (got,) = receiver.got
    assert got.headers["host"] == "hooks.example"
    assert (got.json["CompanyId"], got.json["Action"], got.json["ID"]) == ("beta", "deleted", 3)
    assert got.json["Metadata"]["key_url"].startswith(url.removesuffix("/v4_6_release/apis/3.0"))


@pytest.mark.processes
@pytest.mark.parametrize("records", ["contacts", "nothing=5"])
def test_the_command_refuses_records_it_can_not_read(records: str) -> None:
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "manage.py", "sandbox", "--port", "0", "--records", records]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60)
    assert ended.returncode != 0
    assert records.partition("=")[0] in ended.stderr


def test_it_starts_and_serves_faster_than_what_is_measured_with_it() -> None:
    began = time.monotonic()
    with start_sandbox(records={"contacts": 20_000}) as server:
        assert time.monotonic() - began < 5
        pace = measure(server.port, "lastUpdated > [2016-08-20T18:04:26Z]")
    assert pace.records == 20_000
    assert pace.records / pace.seconds > 30_000
