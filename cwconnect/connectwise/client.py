"""One ConnectWise site: lists by id, records, counts, and single writes. Knows the paging, and no hub URLs.

How a request is sent, answered and refused is `site_requests`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from requests.utils import parse_header_links

from cwconnect import outbound
from cwconnect.connectwise.answers import (
    Listing,
    NoUsableIdError,
    Page,
    Record,
    make_page,
    read_date,
)
from cwconnect.connectwise.errors import BadAnswer, BrokenList, BrokenRecord, NotFound
from cwconnect.connectwise.iso8601 import read_iso
from cwconnect.connectwise.isolation import Piece, Pieces
from cwconnect.connectwise.json_lists import Mended, Unreadable
from cwconnect.connectwise.site_requests import LONGEST_URL, NO_CONTENT, Elements, SiteRequests, encode_query

__all__ = ["LARGEST_PAGE", "LONGEST_URL", "Client", "Listing", "Page", "Record", "encode_query"]

LARGEST_PAGE = 1000


class Client(SiteRequests):
    """Reads from one site through an outbound client, whose connections stay open; threads may share it.

    `path` is a list's path below the base URL, like `/company/contacts`; `params` are ConnectWise's own
    (`conditions`, `fields`, …), not yet encoded. Every method raises `ConnectWiseError`. Links in answers are read for
    their parameters, never followed.
    """

    def page(self, path: str, params: Mapping[str, str], *, after_id: int = 0, page_size: int = LARGEST_PAGE) -> Page:
        """Read the page of a list that follows the record `after_id`, in the order of ids ("forward-only").

        Where one record makes it unreadable it is read around that record, and is shorter. Takes no longer than one
        request may. Raises `BadAnswer` if it was cut off, or if the ids don't grow: the site has then not paged by id,
        and rows would be lost.
        """
        pieces = Pieces(partial(self._piece, path), params, seconds=self._limits.total)
        return pieces.read_page(after_id=after_id, size=min(page_size, LARGEST_PAGE))

    def _piece(self, path: str, piece: Piece, params: Mapping[str, str], seconds: float | None) -> Page:
        query = {**params, "pageSize": str(piece.size)}
        if piece.after_id:
            query["pageId"] = str(piece.after_id)
        reply = self._get(path, query, {"pagination-type": "forward-only"}, seconds=seconds)
        elements, date = self._list_of(reply), read_date(reply.headers.get("Date"))
        # Shorter than asked for may be a site's own cap: then it names a next page.
        ends = len(elements) < piece.size and _next_params(reply) is None
        return _page_of(elements, path, reply, after_id=piece.after_id, date=date, ends=ends)

    def list(self, path: str, params: Mapping[str, str], *, readable_only: bool = False) -> Listing:
        """Read one page of a list as asked for (`page`, `pageSize`, `orderBy`), for a reader who wants no more.

        BadAnswer where a record can't be read, unless `readable_only`: then it is left out.
        """
        reply = self._get(path, params)
        elements = [_value_of(element) for element in self._list_of(reply)]
        broken = next((element for element in elements if isinstance(element, Unreadable)), None)
        if broken and not readable_only:
            raise BadAnswer(f"A record ({broken.record_id or 'its id too'}) of {path} can't be read: {broken.reason}")
        records = [element for element in elements if isinstance(element, dict)]
        return Listing(records, _next_params(reply), read_date(reply.headers.get("Date")))

    def newest_id(self, path: str) -> tuple[int, datetime | None]:
        """Return the largest id of a list, 0 if it is empty, and ConnectWise's clock."""
        page = self.newest(path)
        return page.last_id, page.date

    def newest(self, path: str, fields: str = "id") -> Page:
        """Read the record of the largest id, with these fields of it, as a page of one; empty if the list is.

        Where it can't be read the page has its id alone, as the last one.
        """
        try:
            return self._newest(path, fields)
        except BrokenList as broken:
            if fields == "id":
                raise
            return replace(self._newest(path, "id"), records=[], skipped=[broken.why])

    def _newest(self, path: str, fields: str) -> Page:
        reply = self._get(path, {"orderBy": "id desc", "pageSize": "1", "fields": fields})
        return _page_of(self._list_of(reply)[:1], path, reply, after_id=0, date=read_date(reply.headers.get("Date")))

    def newest_stamp(self, path: str, *, latest: datetime) -> datetime | None:
        """Return the newest `_info.lastUpdated` of a list up to `latest` (UTC); None if no record has one."""
        params = {
            "conditions": f"lastUpdated <= [{latest:%Y-%m-%dT%H:%M:%SZ}]",
            "orderBy": "lastUpdated desc",
            "pageSize": "1",
            "fields": "id,_info",
        }
        for element in map(_value_of, self._list_of(self._get(path, params))):
            info = element.get("_info") if isinstance(element, dict) else None
            if isinstance(info, dict) and isinstance(info.get("lastUpdated"), str):
                with suppress(ValueError):
                    return read_iso(info["lastUpdated"])
        return None

    def get(self, path: str, record_id: int) -> Record:
        """Read one record; raises `NotFound` with `of_record` if ConnectWise says that it does not exist."""
        return self._object_of(self._get(f"{path}/{record_id}", {}, by_id=True))

    def exists(self, path: str, record_id: int, *, whole: bool = False) -> bool:
        """Ask if a record exists, whether it can be read or not; `whole`: only one that can counts as an answer.

        Raises what `get` raises, where the answer is another than that the record does not exist, and `BrokenRecord`.
        """
        try:
            reply = self._get(f"{path}/{record_id}", {}, by_id=True)
        except NotFound as error:
            if error.of_record:
                return False
            raise
        if whole:
            try:
                self._object_of(reply)
            except BadAnswer as error:
                ends = reply.body.strip()[-1:] == b"}"
                raise BrokenRecord(error.message, status=error.status) if ends else error from None
        return True

    def count(self, path: str, conditions: str | None = None, child_conditions: str | None = None) -> int:
        """Count a list's records that meet both conditions, where there are any."""
        asked = {"conditions": conditions, "childConditions": child_conditions}
        reply = self._get(f"{path}/count", {name: text for name, text in asked.items() if text})
        number = self._object_of(reply).get("count")
        if isinstance(number, bool) or not isinstance(number, int):
            raise BadAnswer(f"ConnectWise's count of {path} is no number.", status=reply.status)
        return number

    def system_info(self) -> Record:
        """Read version and place of the site. It may answer without a login: no proof of credentials."""
        return self._object_of(self._get("/system/info", {}))

    def create(self, path: str, record: Record) -> Record:
        """Add a record to a list, and return it as ConnectWise has it now.

        Sent once, whatever comes of it: after an error nobody knows if it is there, unless it is one of ConnectWise's.
        """
        return self._object_of(self._send("POST", path, body=record, by_id=True))

    def change(self, path: str, record_id: int, **members: Any) -> Record:
        """Set members of a record, and return it as it is now; NotFound as by `get`."""
        operations = [{"op": "replace", "path": name, "value": value} for name, value in members.items()]
        return self._object_of(self._send("PATCH", f"{path}/{record_id}", body=operations, by_id=True))

    def write(self, method: str, path: str, *, body: Any = None, params: Mapping[str, str] | None = None) -> Record:
        """Send a POST, PUT, PATCH or DELETE as it is, and return the record as it is now; empty where none is answered.

        Sent once. After an error whose `sent` is true nobody knows whether it was done, unless it is one of
        ConnectWise's own refusals.
        """
        reply = self._send(method, path, params, body=body, by_id=True)
        return self._object_of(reply) if reply.status != NO_CONTENT and reply.body.strip() else {}

    def delete(self, path: str, record_id: int) -> None:
        """Delete a record; NotFound where there is none of that id."""
        self._send("DELETE", f"{path}/{record_id}", by_id=True)


def _value_of(element: Any) -> Any:
    return element.value if isinstance(element, Mended) else element


def _page_of(
    elements: Elements, path: str, reply: outbound.Reply, *, after_id: int, date: datetime | None, ends: bool = False
) -> Page:
    try:
        return make_page(elements, after_id=after_id, date=date, ends=ends)
    except ValueError as error:
        words = f"ConnectWise's page of {path} can't be used: {error}"
        if not isinstance(error, NoUsableIdError):
            raise BadAnswer(words, status=reply.status) from None
        raise BrokenList(words, status=reply.status, why=str(error), guess=error.guess) from None


def _next_params(reply: outbound.Reply) -> dict[str, str] | None:
    """Read the parameters of `Link: <…>; rel="next"`; its host may differ from ours and does not count."""
    for link in parse_header_links(reply.headers.get("Link", "")):
        if link.get("rel") == "next":
            query = (
                link["url"].partition("?")[2].partition("#")[0]
            )  # whatever stands before it, and if it is a URL at all
            return dict(parse_qsl(query, keep_blank_values=True))
    return None
