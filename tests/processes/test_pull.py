"""Clients that wait at the real web server: none misses or doubles an event, whatever becomes of the server."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.site.conftest import serving
from tests.support.pull_clients import StreamClient, get, prepare, recorded, start_recording
from tests.support.required import lengthy
from tests.support.services import ask, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]


@dataclass(frozen=True)
class Prepared:
    """A database with one instance, and the Authorization headers of two API keys."""

    data: Path
    alice: str
    bob: str


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    data = tmp_path_factory.mktemp("pull")
    return Prepared(data, *prepare(data))


def is_up(port: int, auth: str) -> bool:
    try:
        return get(port, "/v1/events?limit=1", auth)[0] == 200
    except OSError:
        return False


def have_more_than(clients: list[StreamClient], counts: list[int]) -> bool:
    return all(len(client.had) > count for client, count in zip(clients, counts, strict=True))


@lengthy
def test_a_stream_has_every_event_once_across_a_restart_of_the_web_and_ends_with_its_key(prepared: Prepared) -> None:
    data, auth, ports = prepared.data, prepared.bob, [0]
    queries = ("instance=1&limit=3", "filter=%7B%22where%22:%22id%3E=1000%22%7D")
    clients = [StreamClient(lambda: ports[0], auth, query=query) for query in queries]
    threads = [threading.Thread(target=client.run) for client in clients]
    try:
        with start_recording(data, 100, 0.1) as recording:
            with serving(data) as ports[0]:
                wait_until(lambda: is_up(ports[0], auth), 60, "the web")
                for thread in threads:
                    thread.start()
                wait_until(lambda: have_more_than(clients, [5, 5]), 60, "events")
            with serving(data) as ports[0]:
                made = recorded(recording)
                wait_until(
                    lambda: all(client.had and client.had[-1] == made[-1] for client in clients), 60, "all events"
                )
                before = [client.had.index(made[0]) for client in clients]
                assert [client.had[start:] for client, start in zip(clients, before, strict=True)] == [made, made]
                assert all(client.ended_cleanly >= 1 for client in clients), "a server that stops ends its streams"
                revoke = "from instances.models import ApiUser; ApiUser.objects.get(name='bob').delete()"
                ask(data, "shell", "-v0", "-c", revoke)
                wait_until(lambda: not any(thread.is_alive() for thread in threads), 20, "the end of a revoked key")
                assert [client.statuses[-1] for client in clients] == [401, 401]
    finally:
        for client in clients:
            client.stop = True
        for thread in threads:
            if thread.is_alive():
                thread.join()


def test_a_long_poll_is_answered_when_there_is_an_event_and_holds_no_thread(prepared: Prepared) -> None:
    auth = prepared.alice
    with serving(prepared.data) as port:
        wait_until(lambda: is_up(port, auth), 60, "the web")
        newest = get(port, "/v1/events?limit=1000", auth)[1]["next_after"]
        answers: list[tuple[int, int]] = []

        def wait() -> None:
            status, page = get(port, f"/v1/events?wait=60&after={newest}", auth)
            answers.append((status, len(page["items"])))

        threads = [threading.Thread(target=wait) for _ in range(20)]
        for thread in threads:
            thread.start()
        assert statuses_in_one_go(port, auth, newest) == [200, 200], "more wait than there are threads"
        assert not answers
        (event,) = recorded(start_recording(prepared.data, 1))
        began = time.monotonic()
        for thread in threads:
            thread.join()
        assert answers == [(200, 1)] * 20
        assert time.monotonic() - began < 30
        assert get(port, f"/v1/events?wait=1&after={event}", auth)[1]["next_after"] == event


def statuses_in_one_go(port: int, auth: str, after: int) -> list[int]:
    """Send a request that waits, and another right behind it."""
    head = f"Host: localhost\r\nAuthorization: {auth}\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(f"GET /v1/events?wait=2&after={after} HTTP/1.1\r\n{head}\r\n".encode())
        time.sleep(0.5)
        connection.sendall(f"GET /v1/events HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode())
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    return [int(part[:3]) for part in received.split(b"HTTP/1.1 ")[1:]]
