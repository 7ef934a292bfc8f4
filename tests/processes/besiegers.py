"""Those who hold a web server up, in a process of their own, so that who measures shares no interpreter with them.

`python -m tests.processes.besiegers PORT AUTHORIZATION CONNECTWISE_URL TOKEN`: ten creations to a ConnectWise that
hangs, ten slow headers, ten slow bodies, ten slow readers and 40 calls of the schema, each begun anew as soon as it
ends, and callbacks to the endpoint of that token, ten at a time. Prints `under way` once all have begun, and goes on
until it is killed.
"""

from __future__ import annotations

import http.client
import json
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

EACH = 10
SCHEMAS = 40
Siege = Callable[[int, str, str], None]


def create(port: int, auth: str, url: str) -> None:
    """Have the service ask a ConnectWise that never answers."""
    keys = {"baseUrl": url, "company": "acme", "public.key": "a", "private.key": "b"}
    polls = {"event.notification.enabled": True, "event.notification.callback.url": "http://127.0.0.1:9/"}
    body = {"element": {"key": "connectwisecrmrest"}, "name": "x", "configuration": keys | polls}
    ask(port, "POST", "/instances", json.dumps(body), {"Authorization": auth, "Content-Type": "application/json"})


def read_schema(port: int, auth: str, url: str) -> None:
    """Read the description of the API."""
    del auth, url
    ask(port, "GET", "/api/schema", None, {"Accept": "application/json"})


def ask(port: int, method: str, path: str, body: str | None, headers: dict[str, str]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=150)
    try:
        connection.request(method, path, body, headers)
        connection.getresponse().read()
    finally:
        connection.close()


def trickle(port: int, head: bytes) -> None:
    """Send a head, then a byte each half second until the server has enough of it."""
    with socket.create_connection(("127.0.0.1", port), timeout=150) as connection:
        connection.sendall(head)
        while True:
            time.sleep(0.5)
            connection.sendall(b"a")


def slow_header(port: int, auth: str, url: str) -> None:
    """Never come to the end of the head."""
    del auth, url
    trickle(port, b"GET /instances HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")


def slow_body(port: int, auth: str, url: str) -> None:
    """Never come to the end of the body."""
    del auth, url
    trickle(port, b"POST /app/signin HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")


def slow_reader(port: int, auth: str, url: str) -> None:
    """Ask for what is large, and take next to nothing of it."""
    del auth, url
    path = b"/static/admin/js/vendor/xregexp/xregexp.js"
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(150)
        connection.connect(("127.0.0.1", port))
        connection.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while connection.recv(64):
            time.sleep(0.5)


def announce(port: int, auth: str, url: str) -> None:
    """Send a callback."""
    del auth, url
    path = f"/callbacks/connectwise/{sys.argv[4]}?recordId=17"
    ask(port, "POST", path, json.dumps({"Type": "contact", "ID": 17, "Entity": "x" * 4000}), {})


ALL: list[tuple[Siege, int]] = [
    (create, EACH),
    (slow_header, EACH),
    (slow_body, EACH),
    (slow_reader, EACH),
    (read_schema, SCHEMAS),
    (announce, EACH),
]


def again_and_again(siege: Siege, port: int, auth: str, url: str) -> None:
    while True:
        with suppress(OSError, http.client.HTTPException):
            siege(port, auth, url)
        time.sleep(0.05)


def main() -> None:
    port, auth, url = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    for siege, number in ALL:
        for _ in range(number):
            threading.Thread(target=again_and_again, args=(siege, port, auth, url), daemon=True).start()
    time.sleep(2)
    print("under way", flush=True)  # noqa: T201  (whoever started it reads this)
    time.sleep(600)


if __name__ == "__main__":
    main()
