"""What is sent: the body of a callback, its signature, its URL, and what faults make of them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from cwconnect.sandbox.callbacks.faults import NO_FAULT, CallbackFault
from cwconnect.sandbox.callbacks.keys import Keyring
from cwconnect.sandbox.jsontext import Record, dumps

SIGNATURE = "x-content-signature"
POISON = "POISON"
"""Begins each text of a poisoned Entity; its numbers are `POISON_NUMBER`."""
POISON_NUMBER = 666_000_666
_TRUE = ("id", "recordType")  # what says which record it is; there is no other of the kind
_POISON_STAMP = "2066-06-06T06:06:06Z"
_ODD, _NO_UTF8 = "\ue0ff", b"\xff\xc3("
_PARTNER, _PRODUCT = "5eed0000-0000-4000-8000-00000000aaaa", "5eed0000-0000-4000-8000-00000000bbbb"


@dataclass(frozen=True)
class Notice:
    """A change as one registration is to hear of it. `site` is the sandbox's own address, without a path."""

    entry_id: int
    url: str
    site: str
    company: str
    kind: str
    action: str
    record_id: int
    entity: Record | None = field(repr=False)
    member: str
    message_id: str
    fault: CallbackFault = NO_FAULT


@dataclass(frozen=True)
class Message:
    """A request as it goes out: POST `url`, with `headers` and `body`."""

    url: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def new_message_id() -> str:
    """Return an id for a message."""
    return str(uuid.uuid4())


def signature(signing_key: str, body: bytes) -> str:
    """Return the value of `x-content-signature` (docs/connectwise.md#callbacks)."""
    key = hashlib.sha256(signing_key.encode()).digest()
    return base64.b64encode(hmac.new(key, body, hashlib.sha256).digest()).decode()


def build(notice: Notice, keyring: Keyring) -> Message:
    """Return the request that tells of a notice, signed with the company's key of this moment."""
    fault = notice.fault
    body = dumps(_members(notice, keyring) | dict(fault.members)).replace(_ODD.encode(), _NO_UTF8)
    signing = keyring.current(fault.sign_with or fault.sign_as or notice.company)
    headers = {"Content-Type": "application/json; charset=utf-8", SIGNATURE: signature(signing.key, body)}
    url = f"{notice.url}{notice.record_id}&action={notice.action}&memberId={quote(notice.member)}"
    return Message(url, headers, body)


def _members(notice: Notice, keyring: Keyring) -> dict[str, Any]:
    signer = notice.fault.sign_as or notice.company
    odd = _ODD if notice.fault.invalid_utf8 else ""
    key = f"companyName={quote(signer)}&id={keyring.current(signer).id}"
    return {
        "Action": notice.action,
        "CallbackObjectRecId": notice.entry_id,
        "CompanyId": notice.company,
        "Entity": _entity(notice),
        "FromUrl": urlsplit(notice.site).netloc,
        "ID": notice.record_id,
        "MemberId": notice.member + odd,
        "MessageId": notice.message_id,
        "Metadata": {"key_url": f"{notice.site}/v2025_1//system/callbackkey/index.rails?{key}"},
        "PartnerId": _PARTNER,
        "ProductInstanceId": _PRODUCT,
        "Type": notice.kind,
    }


def _entity(notice: Notice) -> str | None:
    if notice.entity is None:
        return None
    record = notice.entity
    if notice.fault.poison:
        record = {key: value if key in _TRUE else _poisoned(key, value) for key, value in record.items()}
    odd = {"odd": _ODD} if notice.fault.invalid_utf8 else {}
    return dumps(record | odd).decode()


def _poisoned(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _poisoned(name, member) for name, member in value.items()}
    if isinstance(value, list):
        return [_poisoned(key, item) for item in value]
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, str):
        return _POISON_STAMP if key == "lastUpdated" else f"{POISON} {key}"
    return POISON_NUMBER
