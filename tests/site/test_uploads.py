"""Nothing is uploaded: a long body is refused before it is read, and no file of a form reaches the disk."""

from __future__ import annotations

import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as ours
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from cwconnect.core.bounded_bodies import BoundedBodies
from cwconnect.management.commands.up import exposed
from tests.site.test_server_errors import HOST, send
from tests.site.test_smuggling import _is_up
from tests.support.services import wait_until

MULTIPART = "Content-Type: multipart/form-data; boundary=a\r\n"
FILE = b'--a\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'


@pytest.mark.processes
@pytest.mark.timeout(120)
def test_a_stranger_s_file_is_not_written_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    port: int = request.getfixturevalue("gunicorn_port")
    wait_until(lambda: _is_up(port), 60, "the web")
    before = set(folder.rglob("*"))
    for path in ("/app/signin", "/admin/login/", "/instances"):
        head = f"POST {path} HTTP/1.1\r\n{HOST}{MULTIPART}Content-Length: 60000000\r\n\r\n".encode()
        assert send(port, head + FILE + b"a" * 3_000_000)[0] == 413
        shorter = FILE + b"a" * 2_000_000 + b"\r\n--a--\r\n"
        line = f"POST {path} HTTP/1.1\r\n{HOST}{MULTIPART}Connection: close\r\nContent-Length: {len(shorter)}\r\n\r\n"
        assert 400 <= send(port, line.encode() + shorter)[0] < 500
    assert set(folder.rglob("*")) <= before | set(folder.glob("wgunicorn-*"))


def test_no_form_takes_a_file(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a temporary file was made")

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refuse)
    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    assert ours.FILE_UPLOAD_HANDLERS == []
    for path in ("/app/signin", "/admin/login/", "/instances"):
        answer = Client().post(path, {"username": "x", "f": SimpleUploadedFile("f", bytes(3_000_000))})
        assert answer.status_code in (200, 400, 401, 413, 415), path


def answered(pieces: list[bytes], headers: dict[bytes, bytes], path: str = "/instances") -> tuple[int, bytes, int]:
    """Return an ASGI application's status and body, and how many of the pieces were read."""
    sent: list[dict[str, Any]] = []
    waiting = list(pieces)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    async def note(message: dict[str, Any]) -> None:
        sent.append(message)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    scope = {"type": "http", "path": path, "headers": list(headers.items())}
    with ThreadPoolExecutor(1) as elsewhere:  # in a thread without a loop: a browser's tests leave theirs in this one
        elsewhere.submit(async_to_sync(BoundedBodies(application, longest=100)), scope, receive, note).result()
    return sent[0]["status"], sent[1]["body"], len(pieces) - len(waiting)


def test_an_asynchronous_server_reads_no_more_either() -> None:
    assert answered([b"a" * 50, b"a" * 50], {}) == (200, b"", 2)
    status, body, read = answered([b"a" * 50] * 9, {})
    assert (status, set(json.loads(body)), read) == (413, {"requestId", "message"}, 3)
    assert answered([b"a"] * 9, {b"content-length": b"101"})[::2] == (413, 0)
    assert answered([b"a" * 101], {}, "/app/signin")[:2] == (413, b"The body is longer than any route takes.\n")


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "192.168.1.7", "server.example"])  # noqa: S104  (not bound)
def test_a_host_that_others_reach_is_a_warning_that_says_what_to_put_before_it(host: str) -> None:
    words = exposed(host, "")
    assert words.startswith("Warning:")
    for what in ("proxy", "TLS", "nginx.conf", "127.0.0.1", "CWCONNECT_PUBLIC_URL"):
        assert what in words
    assert exposed(host, "https://events.example.com") == ""


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_a_host_of_this_machine_is_none(host: str) -> None:
    assert exposed(host, "") == ""
