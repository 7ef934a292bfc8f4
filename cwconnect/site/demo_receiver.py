"""A receiver of notifications, as an integrator would write one: verifies both signatures, answers, shows.

It is the demo's, and shares no code with what signs: what it calls verified, a program of yours will call verified.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from standardwebhooks import Webhook, WebhookVerificationError

_MAX_BODY = 16 * 1024 * 1024
_NAMES = ("name", "summary", "firstName", "lastName", "identifier")


@dataclass(frozen=True)
class Arrival:
    """One event of a notification that arrived; `verified` only if both signatures are right."""

    webhook_id: str
    kind: str
    resource: str
    object_id: str
    title: str
    verified: bool

    def __str__(self) -> str:
        """Return the event as a readable line."""
        verdict = "verified" if self.verified else "NOT VERIFIED"
        return f"{self.kind:<8} {f'{self.resource}/{self.object_id}':<18} {self.title[:60]:<46} {verdict}"


def verify(key: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Check both signatures: Elements' by hand, the other with the Standard Webhooks project's own package.

    That also sees to it that the attempt is at most five minutes old.
    """
    elements = "sha256=" + base64.b64encode(hmac.digest(key.encode(), body, hashlib.sha256)).decode()
    if not hmac.compare_digest(elements.encode(), headers.get("Elements-Webhook-Signature", "").encode()):
        return False
    try:
        Webhook(_standard_secret(key)).verify(body, dict(headers.items()), json_parse=False)
    except (WebhookVerificationError, ValueError):
        return False
    return True


def _standard_secret(key: str) -> bytes:
    try:
        return base64.b64decode(key.removeprefix("whsec_"), validate=True) if key.startswith("whsec_") else key.encode()
    except binascii.Error:
        return key.encode()


def read_arrivals(body: bytes, *, webhook_id: str, verified: bool) -> list[Arrival]:
    """Return a notification's events with the names of their records; ValueError if it has not the contract's shape."""
    try:
        message = json.loads(body)["message"]
        records = message["raw"][message["raw"]["objectType"]]
        titles = [" ".join(str(record[name]) for name in _NAMES if record.get(name)) for record in records]
        return [
            Arrival(webhook_id, event["eventType"], event["objectType"], event["objectId"], title, verified)
            for event, title in list(zip(message["events"], titles, strict=True))
        ]
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a notification: {error}") from error


class Receiver:
    """An HTTP server in threads of its own at `url`, that calls `show` for each event; use it with `with`."""

    def __init__(self, key: str, show: Callable[[Arrival], None], host: str = "127.0.0.1", port: int = 0) -> None:
        self._server = ThreadingHTTPServer((host, port), _handler(key, show))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="receiver", daemon=True)
        self.url = f"http://{host}:{self._server.server_port}/notifications"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(key: str, show: Callable[[Arrival], None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answers 204 to what it could read, 401 to a wrong signature, 400 to the rest."""

        timeout = 30

        def do_POST(self) -> None:
            """Take one notification."""
            length = int(self.headers.get("Content-Length", "0"))
            body = self.rfile.read(min(length, _MAX_BODY))
            verified = verify(key, self.headers, body)  # type: ignore[arg-type]  # reads any case
            try:
                arrivals = read_arrivals(body, webhook_id=self.headers.get("webhook-id", ""), verified=verified)
            except ValueError:
                arrivals = []
            for arrival in arrivals:
                show(arrival)
            self._answer((204 if verified else 401) if arrivals else 400)

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the base class's name)
            """Stay silent: `show` has what arrives."""

    return Handler
