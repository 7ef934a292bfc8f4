"""The list `/system/callbacks` of one site: what is registered there, by whomever, and what is written to it.

Source: ConnectWise's developer guide, "Callbacks", and exchanges recorded at a site.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from cwconnect.connectwise.answers import Record
from cwconnect.connectwise.client import LARGEST_PAGE, Client
from cwconnect.connectwise.errors import BadAnswer, ConnectWiseError, NotFound, Rejected

PATH = "/system/callbacks"
LONGEST_DESCRIPTION = 100
_LEVEL = "owner"  # of all records of a type, whoever's they are
_UNKNOWN = "ConnectWiseApi"  # the code that answers the deletion of what is not there


@dataclass(frozen=True)
class Entry:
    """One registration: of a type, in lower case, and where it calls, which may be a secret of somebody's."""

    id: int
    type: str
    url: str = field(repr=False)
    level: str = _LEVEL
    active: bool = True

    @property
    def of_all_records(self) -> bool:
        """Whether it is at the level at which we register."""
        return self.level == _LEVEL


@dataclass(frozen=True)
class EntryPage:
    """One page of the list; `is_last`: none follows."""

    entries: list[Entry]
    is_last: bool


class Registrations:
    """The registrations of one site; every method is one request, and raises ConnectWiseError."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def page(self, number: int) -> EntryPage:
        """Read a page of the list, whoever's entries they are; the first is 1."""
        params = {"orderBy": "id", "page": str(number), "pageSize": str(LARGEST_PAGE)}
        try:
            # Somebody else's entry that can't be read holds up nothing of ours.
            listing = self._client.list(PATH, params, readable_only=True)
        except BadAnswer as error:
            # In other words than the answer's, which may hold the URLs of others.
            raise BadAnswer("ConnectWise's list of callbacks can't be read.", status=error.status) from None
        full = len(listing.records) >= LARGEST_PAGE
        return EntryPage(_entries(listing.records), listing.next_params is None and not full)

    def create(self, type_: str, url: str, description: str) -> Entry:
        """Register for a type. AlreadyExists where a matching entry is there; sent once (Client.create)."""
        entry = self._client.create(
            PATH,
            {
                "url": url,
                "objectId": 1,
                "type": type_,
                "level": _LEVEL,
                "payloadVersion": "3.0.0",
                "inactiveFlag": False,
                "isSelfSuppressedFlag": False,
                "description": description[:LONGEST_DESCRIPTION],
            },
        )
        return _entry_of(entry, type_, url)

    def switch_on(self, entry: Entry) -> Entry:
        """Have an entry that ConnectWise switched off announce again; return it as it is then."""
        return _entry_of(self._client.change(PATH, entry.id, inactiveFlag=False), entry.type, entry.url)

    def delete(self, entry_id: int) -> None:
        """Delete an entry; one that is gone already is as good."""
        try:
            with suppress(NotFound):
                self._client.delete(PATH, entry_id)
        except ConnectWiseError as error:
            if not isinstance(error, Rejected) or error.code != _UNKNOWN:
                raise


def _entries(records: Iterable[Record]) -> list[Entry]:
    return [entry for record in records if (entry := _read(record)) is not None]


def _read(record: Record) -> Entry | None:
    """Return what counts of an entry; None for one without an id, which nothing could be done about."""
    number = record.get("id")
    if not isinstance(number, int) or isinstance(number, bool) or number <= 0:
        return None
    level = _text(record, "level").lower() or _LEVEL
    active = record.get("inactiveFlag") is not True
    return Entry(number, _text(record, "type").lower(), _text(record, "url"), level, active)


def _text(record: Record, name: str) -> str:
    value: Any = record.get(name)
    return value if isinstance(value, str) else ""


def _entry_of(record: Record, type_: str, url: str) -> Entry:
    """Return the entry that was written; what its answer leaves out of type and URL is as it was asked for."""
    entry = _read({"type": type_, "url": url} | record)
    if entry is None:
        raise BadAnswer("ConnectWise's answer names no id of the callback.")
    return entry
