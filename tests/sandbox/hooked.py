"""A registration that a test receives for, and the check of what came."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.sandbox.caller import Caller
from tests.support.receivers import Got, Receiver


def register(caller: Caller, receiver: Receiver, kind: str = "contact", **more: object) -> int:
    """Register the receiver for all records of a type; return the registration's id."""
    wanted = {"url": f"{receiver.url}/c/{kind}?recordId=", "objectId": 1, "type": kind, "level": "owner"} | more
    answer = caller.post("/system/callbacks", wanted)
    assert answer.status == 201, answer.body
    number: int = answer.json["id"]
    return number


def arrivals(caller: Caller, receiver: Receiver) -> list[Got]:
    """Wait until all is sent; return what came."""
    assert caller.server.store.callbacks.wait_idle(10)
    return receiver.got


def said(got: Got) -> tuple[str, str, int]:
    """Return type, action and id of a callback."""
    return got.json["Type"], got.json["Action"], got.json["ID"]


def entity(got: Got) -> Any:
    """Return the record in a callback."""
    return json.loads(got.json["Entity"])


def query(got: Got) -> dict[str, list[str]]:
    """Return the query that a callback came with."""
    return parse_qs(urlsplit(got.target).query)


def key_of(caller: Caller, got: Got) -> str:
    """Fetch the key that a callback names, as a receiver does: without a login, from the host it names."""
    text = got.body.decode("utf-8", "replace")
    where = urlsplit(json.loads(text)["Metadata"]["key_url"])
    assert where.netloc == f"127.0.0.1:{caller.server.port}"
    answer = caller.send("GET", f"{where.path}?{where.query}", headers={"Authorization": None, "clientId": None})
    key: str = answer.json["signing_key"]
    return key


def signed_by(key: str, got: Got) -> bool:
    """Return whether a callback is signed with a key."""
    made = hmac.new(hashlib.sha256(key.encode()).digest(), got.body, hashlib.sha256).digest()
    return base64.b64encode(made).decode() == got.headers["x-content-signature"]
