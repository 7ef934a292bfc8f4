"""Chunked request bodies at the real web server: read like any other, bounded, and never taken for empty."""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from typing import Any

import pytest

from tests.processes.services import wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]


def by_chunks(port: int, method: str, path: str, body: bytes, content_type: str, size: int = 7) -> tuple[int, str]:
    """Send a body in chunks of so many bytes; return the answer's status and text."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.putrequest(method, path)
    connection.putheader("Transfer-Encoding", "chunked")
    connection.putheader("Content-Type", content_type)
    connection.endheaders()
    for start in range(0, len(body), size):
        piece = body[start : start + size]
        connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
    connection.send(b"0\r\n\r\n")
    answer = connection.getresponse()
    found = answer.status, answer.read().decode()
    connection.close()
    return found


@pytest.fixture
def port(gunicorn_port: int) -> int:
    def answers() -> bool:
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", gunicorn_port, timeout=10)) as connection:
                connection.request("GET", "/healthz")
                return connection.getresponse().status == 200
        except OSError:
            return False

    wait_until(answers, 60, "the web server")
    return gunicorn_port


def test_one_is_read_to_its_end_and_malformed_chunks_are_refused_in_the_contracts_form(port: int) -> None:
    form = "application/x-www-form-urlencoded"
    assert by_chunks(port, "POST", "/app/signin", b"username=x&password=y", form)[0] == 403

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.putrequest("POST", "/instances")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    connection.send(b"zz\r\n{}\r\n0\r\n\r\n")
    answer = connection.getresponse()
    body: dict[str, Any] = json.loads(answer.read())
    connection.close()
    assert (answer.status, body["message"]) == (400, "The chunks of the request's body are malformed.")
