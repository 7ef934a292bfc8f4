"""A callback's body → what it announces. Pure; nothing in it counts before its signature was verified.

Source: ConnectWise's developer guide, "Callbacks", and exchanges recorded at a site.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cwconnect.connectwise.answers import JsonError, parse_json

_LARGEST_ID = 2**63 - 1
_LONGEST_WORD = 40
_LONGEST_URL = 2000


class UnreadableBodyError(ValueError):
    """A body that announces nothing which could be understood."""


@dataclass(frozen=True)
class Announcement:
    """What a body says: which record of which company changed, by which registration, and where its key is.

    `action` is ConnectWise's word in lower case: added, updated, deleted, or one that is not known yet. `record_type`
    is a ticket's kind, where the body has the record.
    """

    type: str
    action: str
    record_id: int
    company: str
    entry_id: int
    key_url: str
    record_type: str | None

    @property
    def deleted(self) -> bool:
        """Whether the record is said to be gone."""
        return self.action == "deleted"


def read_announcement(body: bytes) -> Announcement:
    """Read a body, also one with bytes that are no UTF-8; UnreadableBodyError."""
    try:
        found = parse_json(body.decode("utf-8", "replace").encode())
    except JsonError as error:
        raise UnreadableBodyError(f"it is no JSON ({error})") from None
    if not isinstance(found, dict):
        raise UnreadableBodyError("it is no object")
    metadata = found.get("Metadata")
    return Announcement(
        type=_word(found, "Type"),
        action=_word(found, "Action"),
        record_id=_number(found, "ID"),
        company=_text(found.get("CompanyId"), "CompanyId", 200),
        entry_id=_number(found, "CallbackObjectRecId"),
        key_url=_text(metadata.get("key_url") if isinstance(metadata, dict) else None, "key_url", _LONGEST_URL),
        record_type=_record_type(found.get("Entity")),
    )


def _word(found: dict[str, Any], name: str) -> str:
    """Return a word in lower case, which may be longer than as it was written."""
    return _text(_text(found.get(name), name, _LONGEST_WORD).lower(), name, _LONGEST_WORD)


def _text(value: Any, name: str, longest: int) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= longest or "\x00" in value:
        raise UnreadableBodyError(f"it has no {name} that could be one")
    return value


def _number(found: dict[str, Any], name: str) -> int:
    value = found.get(name)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(_LARGEST_ID)):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= _LARGEST_ID:
        raise UnreadableBodyError(f"it has no {name} that could be one")
    return value


def _record_type(entity: Any) -> str | None:
    """Return what the record, JSON text within the body, says of its kind; None where that can't be read."""
    if not isinstance(entity, str):
        return None
    try:
        record = parse_json(entity.encode("utf-8", "replace"))
    except JsonError:
        return None
    kind = record.get("recordType") if isinstance(record, dict) else None
    return kind if isinstance(kind, str) else None
