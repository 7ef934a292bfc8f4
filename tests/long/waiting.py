"""What clients that wait for events cost the web: `python -m tests.long.waiting [--clients 200] [--seconds 30]`.

A real web server on SQLite, with so many streams open, then with so many long polls. Measured are the CPU seconds of
its processes: while nothing happens, while an event a second goes to all of them, and for views of pages, one after
another. Bar: a client that waits costs less in a second than a view of a page, and each stream had each event once.
"""

from __future__ import annotations

import argparse
import http.client
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from tests.site.conftest import serving
from tests.support.pull_clients import get, prepare, recorded, start_recording
from tests.support.services import ask, wait_until

_COOKIE = """
from instances.models import Organization
from tests.support.page_views import onlooker
print(onlooker(Organization.objects.get()).cookies["sessionid"].value)
"""
_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--views", type=int, default=40)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        auth, _ = prepare(Path(folder))
        cookie = ask(Path(folder), "shell", "-v0", "-c", _COOKIE).strip()
        (newest,) = recorded(start_recording(Path(folder), 1))
        with serving(Path(folder)) as port:
            wait_until(lambda: _is_up(port, auth), 60, "the web")
            page = min(_view_cost(port, cookie, chosen.views, path) for path in ("/", "/app/events"))
            idle_before, alone = _cost_of(lambda: time.sleep(5)) / 5, _latency(port, auth)
            stream = f"GET /v1/events?after={newest} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {auth}\r\n"
            with _waiting(port, f"{stream}Accept: text/event-stream\r\n\r\n", chosen.clients) as clients:
                _read_for(clients, 3)
                idle = _cost_of(lambda: _read_for(clients, chosen.seconds)) / chosen.seconds / chosen.clients
                recording = start_recording(Path(folder), chosen.seconds, 1.0)
                busy = _cost_of(lambda: _read_for(clients, chosen.seconds + 5)) / chosen.seconds / chosen.clients
                made = recorded(recording)
                for _ in range(60):
                    had = {text.count(b"data: ") for text in clients.values()}
                    if had == {len(made)}:
                        break
                    _read_for(clients, 1)
                beside = _latency(port, auth)
            polls = stream.replace(f"after={newest}", f"after={made[-1]}&wait=60")
            with _waiting(port, f"{polls}\r\n", chosen.clients) as clients:
                _read_for(clients, 3)
                polling = _cost_of(lambda: _read_for(clients, chosen.seconds)) / chosen.seconds / chosen.clients
    rows = {
        "CPU ms of a page view": page,
        "CPU ms a second of the server before": idle_before,
        f"CPU ms a client and second, {chosen.clients} streams, nothing happens": idle,
        f"CPU ms a client and second, {chosen.clients} streams, an event a second to all": busy,
        f"CPU ms a client and second, {chosen.clients} long polls, nothing happens": polling,
    }
    for name, seconds in rows.items():
        sys.stdout.write(f"{seconds * 1000:10.3f}  {name}\n")
    sys.stdout.write(f"{alone * 1000:10.1f}  ms until a call is answered; beside them {beside * 1000:.1f}\n")
    sys.stdout.write(f"{len(made)} events; each stream had {had}\n")
    raise SystemExit(not (max(idle, polling, busy) < page and had == {len(made)}))


def _is_up(port: int, auth: str) -> bool:
    try:
        return get(port, "/v1/events?limit=1", auth)[0] == 200
    except OSError:
        return False


def _cost_of(work: Callable[[], object]) -> float:
    """Return the CPU seconds that the web server takes meanwhile."""
    before = _cpu()
    work()
    return _cpu() - before


def _cpu() -> float:
    """Return the CPU seconds of this process's children that live, and of theirs: the web server."""
    found = subprocess.run(["pgrep", "-f", "cwconnect.gunicorn_settings"], capture_output=True, text=True, check=False)
    total = 0
    for pid in found.stdout.split():
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
        family = {int(fields[1]), int(Path(f"/proc/{fields[1]}/stat").read_text().rsplit(") ", 1)[1].split()[1])}
        if os.getpid() in family:
            total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def _view_cost(port: int, cookie: str, times: int, path: str) -> float:
    def view() -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
            connection.request("GET", path, headers={"Cookie": f"sessionid={cookie}"})
            answer = connection.getresponse()
            body = answer.read()
            assert (answer.status, b"</html>" in body) == (200, True), (path, answer.status, body[:300])

    def views() -> None:
        for _ in range(times):
            view()

    view()
    return _cost_of(views) / times


def _latency(port: int, auth: str) -> float:
    began = time.monotonic()
    for _ in range(10):
        assert get(port, "/v1/events?limit=1", auth)[0] == 200
    return (time.monotonic() - began) / 10


@contextmanager
def _waiting(port: int, request: str, count: int) -> Iterator[dict[socket.socket, bytearray]]:
    with ExitStack() as stack:
        clients: dict[socket.socket, bytearray] = {}
        for _ in range(count):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            client.sendall(request.encode())
            clients[client] = bytearray()
        yield clients


def _read_for(clients: dict[socket.socket, bytearray], seconds: float) -> None:
    """Take what comes; none of the connections may end."""
    until = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client, selectors.EVENT_READ)
        while (left := until - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                reader = key.fileobj
                assert isinstance(reader, socket.socket)
                data = reader.recv(65536)
                assert data, clients[reader][-500:]
                clients[reader] += data


if __name__ == "__main__":
    main()
