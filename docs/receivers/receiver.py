"""A receiver of cwconnect's notifications, with Python's standard library alone: verify, keep, answer, then work.

    SIGNATURE_KEY="the instance's signature key" PORT=8080 python receiver.py

A notification that is genuine is written to the folder `inbox` before it is answered, so a crash loses none. A repeat,
known by its webhook-id, is answered and not worked on again. What is in the inbox is worked on in order.
"""

import base64
import binascii
import hashlib
import hmac
import json
import os
import re
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

KEY = os.environ["SIGNATURE_KEY"]
INBOX = Path(os.environ.get("INBOX", "inbox"))
DONE = INBOX / "done"
LARGEST_BODY = 64 * 1024 * 1024
OLDEST = 300  # seconds: an older signature may be a recorded one, played again

arrived = threading.Event()


def secret_of(key: str) -> bytes:
    """Return the bytes that sign: of `whsec_<base64>` what it encodes, else the key's UTF-8."""
    if key.startswith("whsec_"):
        try:
            return base64.b64decode(key.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            pass  # a key that only looks like one
    return key.encode()


def is_genuine(headers: Mapping[str, str], body: bytes) -> bool:
    """Return whether one of the signatures is right, and of the last five minutes."""
    webhook_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not re.fullmatch(r"[0-9]{1,12}", timestamp) or abs(time.time() - int(timestamp)) > OLDEST:
        return False
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    digest = base64.b64encode(hmac.digest(secret_of(KEY), signed, hashlib.sha256))
    # Several while the key is being rotated.
    signatures = headers.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(b"v1," + digest, signature.encode()) for signature in signatures)


def keep(webhook_id: str, body: bytes, *, replay: bool) -> None:
    """Write a notification to the inbox, whole or not at all, unless it is a repeat."""
    name = f"{webhook_id}.json"
    if not replay and ((INBOX / name).exists() or (DONE / name).exists()):
        return
    part = INBOX / f"{name}.{threading.get_ident()}.part"
    with part.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    part.replace(INBOX / name)
    arrived.set()


def work_through_inbox() -> None:
    """Work on what is in the inbox, in the order of the notifications' ids; then put it aside."""
    waiting = [(json.loads(path.read_bytes()), path) for path in INBOX.glob("*.json")]
    for notification, path in sorted(waiting, key=lambda pair: pair[0]["id"]):
        message = notification["message"]
        for event, record in zip(message["events"], message["raw"][message["raw"]["objectType"]], strict=True):
            handle(event, record)
        path.replace(DONE / path.name)


def handle(event: dict[str, str], record: dict[str, object]) -> None:
    """Do what your program does with a change. May be called again for one after a crash, so do it by `objectId`."""
    print(event["eventType"], f"{event['objectType']}/{event['objectId']}", record.get("name", ""), flush=True)


class Handler(BaseHTTPRequestHandler):
    """Answers 204 to a notification that is kept, 401 to one that is not genuine."""

    timeout = 30

    def do_POST(self) -> None:
        """Take one notification."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > LARGEST_BODY:
            self._answer(413)
            return
        body = self.rfile.read(int(length))
        webhook_id = self.headers.get("webhook-id", "")
        if not re.fullmatch(r"msg_[A-Za-z0-9-]{1,60}", webhook_id) or not is_genuine(dict(self._lower()), body):
            self._answer(401)
            return
        keep(webhook_id, body, replay=self.headers.get("Elements-Webhook-Replay") == "true")
        self._answer(204)

    def _lower(self) -> list[tuple[str, str]]:
        return [(name.lower(), value) for name, value in self.headers.items()]

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


def main() -> None:
    """Listen, and work on what arrives."""
    DONE.mkdir(parents=True, exist_ok=True)
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8080"))), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while True:
        work_through_inbox()
        arrived.wait(timeout=60)
        arrived.clear()


if __name__ == "__main__":
    main()
