"""One hub URL, read page by page: `/hubs/crm/contacts?where=…` as ConnectWise's paths and parameters.

The URL is the user's own and kept as text; what is read here is the poll it stands for. `orderBy` and `page` are
dropped, since a poll pages by id.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

from cwconnect.connectwise.answers import Page, Record
from cwconnect.connectwise.catalogue import find_resource
from cwconnect.connectwise.ceql.conditions import WhereError, parse_where
from cwconnect.connectwise.client import LARGEST_PAGE, LONGEST_URL, Client, encode_query
from cwconnect.connectwise.hub_query import HubUrlError, split_url
from cwconnect.connectwise.java_dates import (
    DEFAULT_PATTERN,
    PatternError,
    Template,
    ZoneError,
    render_templates,
    split_templates,
)
from cwconnect.connectwise.only_per_record import find_per_record
from cwconnect.connectwise.where import where_params

__all__ = ["HubUrl", "HubUrlError", "field_value", "read_page"]

_PREFIX = re.compile(r"(?:/elements/api-v2)?/hubs/[^/]+/(.+?)/*", re.IGNORECASE)
_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")
_KNOWN = ("where", "fields", "orderBy", "page", "pageSize", "childConditions", "customFieldConditions")
_PASSED_ON = ("childConditions", "customFieldConditions")
_RESERVED_FOR_BASE = 250  # of the longest URL: the site's base URL, pageSize and pageId
_SAMPLE_OPENING = datetime(2020, 2, 29, 23, 59, 59, tzinfo=UTC)


@dataclass(frozen=True)
class HubUrl:
    """What a poll's `url` asks for. `path` is ConnectWise's; texts are decoded, with templates as written.

    `zone` is that of `${date…}` templates, `date_format` the pattern of a plain `${date}`.
    """

    resource_key: str
    path: str
    where: str | None
    fields: tuple[str, ...]
    order_by: str | None
    page_size: int | None
    extra: tuple[tuple[str, str], ...]
    zone: tzinfo = UTC
    date_format: str = DEFAULT_PATTERN

    @classmethod
    def parse(cls, url: str, *, resource_key: str, zone: tzinfo = UTC, date_format: str = DEFAULT_PATTERN) -> HubUrl:
        """Read a URL as users write it; `resource_key` is its key in the poll configuration.

        Raises `HubUrlError`, also for a `where` that can't be put to ConnectWise: a mistake shows when the poll is
        set up and not when it runs.
        """
        path_text, pairs = split_url(url.strip())
        path = _path(path_text)
        values = _by_name(pairs)
        parsed = cls(
            resource_key=resource_key,
            path=path,
            where=values.get("where", "").strip() or None,
            fields=_fields(values.get("fields", "")),
            order_by=values.get("orderBy") or None,
            page_size=_page_size(values.get("pageSize", "")),
            extra=tuple((name, values[name]) for name in _PASSED_ON if values.get(name)),
            zone=zone,
            date_format=date_format,
        )
        parsed.check(needed_fields=())
        return parsed

    @property
    def windowed(self) -> bool:
        """Whether ConnectWise itself chooses by the window's opening: a template stands in what it is asked."""
        texts = (self.where or "", *(text for _, text in self.extra))
        return any(isinstance(part, Template) for text in texts for part in split_templates(text))

    def check(self, *, needed_fields: Sequence[str]) -> None:
        """Raise `HubUrlError` if a poll of it that reads these fields (dotted) can't be put to ConnectWise."""
        try:
            self.params(_SAMPLE_OPENING, needed_fields=needed_fields)
        except WhereError as error:
            raise HubUrlError(str(error)) from error

    def params(self, opening: datetime, *, needed_fields: Sequence[str]) -> dict[str, str]:
        """Make ConnectWise's parameters for a poll; `needed_fields` (dotted) are added to a `fields` that lacks them.

        Raises `HubUrlError` if they don't fit ConnectWise's longest URL.
        """
        params = self._rendered_extra(opening)
        chosen = _chosen(self.where, self.path, opening) if self.where else {}
        if params.keys() & chosen.keys():
            raise HubUrlError("The url asks for email, and has childConditions too; ConnectWise takes one of them.")
        params |= chosen
        if self.fields:
            params["fields"] = ",".join(_with_needed(self.fields, ("id", *needed_fields)))
        length = len(self.path) + len(encode_query(params))
        if length > LONGEST_URL - _RESERVED_FOR_BASE:
            raise HubUrlError(
                f"The query is {length} characters long for ConnectWise; {LONGEST_URL - _RESERVED_FOR_BASE} fit. "
                "Shorten where or fields."
            )
        return params

    def _rendered_extra(self, opening: datetime) -> dict[str, str]:
        """Return what is passed on as it is, with the text of its templates in it: ConnectWise reads them itself."""
        try:
            return {
                name: render_templates(text, opening, default_zone=self.zone, default_pattern=self.date_format)
                for name, text in self.extra
            }
        except (PatternError, ZoneError) as error:
            raise HubUrlError(f"The url's template can't be read: {error}") from error


@lru_cache(maxsize=1024)  # the polls of one configuration open their windows at whole seconds, many at the same
def _chosen(where: str, path: str, opening: datetime) -> Mapping[str, str]:
    return MappingProxyType(where_params(parse_where(where, instant=opening), path))


def read_page(
    client: Client,
    hub_url: HubUrl,
    *,
    opening: datetime,
    after_id: int = 0,
    page_size: int | None = None,
    needed_fields: Sequence[str] = (),
) -> Page:
    """Read the page behind `after_id`, in the order of ids.

    A list is complete only when a page comes whose `is_last` is true: a short one that names no next, or an empty one.
    `page_size` goes before the URL's own. Raises `ConnectWiseError`.
    """
    params = hub_url.params(opening, needed_fields=needed_fields)
    size = page_size or hub_url.page_size or LARGEST_PAGE
    return client.page(hub_url.path, params, after_id=after_id, page_size=size)


def field_value(record: Record, name: str) -> Any:
    """Look a dotted name up in a record; None if any part of it is missing."""
    value: Any = record
    for part in name.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


def _path(text: str) -> str:
    if "://" in text or text.startswith("//"):
        raise HubUrlError("The url must begin with /hubs/, without a host; the site is the instance's baseUrl.")
    match = _PREFIX.fullmatch(text)
    if not match:
        raise HubUrlError("The url must have the form /hubs/crm/contacts?where=…")
    segments = match[1].split("/")
    if not all(_SEGMENT.fullmatch(segment) for segment in segments):
        raise HubUrlError(f"The url's path {unquote(text)!r} holds something that is no resource.")
    if len(segments) > 1:
        return "/" + "/".join(segments)
    resource = find_resource(segments[0])
    if resource is None and (beneath := find_per_record(segments[0])):
        raise HubUrlError(f"{beneath.words}.")
    if resource is None:
        raise HubUrlError(
            f"There is no resource {segments[0]!r}. One that the catalogue lacks is written with its module, "
            "like /hubs/crm/finance/agreements."
        )
    return resource.path


def _by_name(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    known = {name.lower(): name for name in _KNOWN}
    values: dict[str, str] = {}
    for name, value in pairs:
        canonical = known.get(name.strip().lower())
        if canonical is None:
            raise HubUrlError(f"The url's parameter {name!r} is not known; known are {', '.join(_KNOWN)}.")
        if canonical in values:
            raise HubUrlError(f"The url has the parameter {canonical} twice.")
        values[canonical] = value
    return values


def _fields(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip().replace(".", "/") for name in text.split(",") if name.strip()))
    for name in names:
        if not re.fullmatch(r"\w+(/\w+)*", name):
            raise HubUrlError(f"The url's fields hold {name!r}, which is no field's name.")
    return names


def _page_size(text: str) -> int | None:
    if not text.strip():
        return None
    if not re.fullmatch(r"\d{1,9}", text.strip(), re.ASCII) or int(text) < 1:
        raise HubUrlError(f"The url's pageSize {text!r} is no number from 1 to {LARGEST_PAGE}.")
    return min(int(text), LARGEST_PAGE)


def _with_needed(fields: tuple[str, ...], needed: Sequence[str]) -> list[str]:
    """Add what is missing as whole top members: ConnectWise drops a name that it does not know without a word."""
    names = list(fields)
    for name in needed:
        parts = name.split(".")
        covering = {"/".join(parts[: length + 1]).lower() for length in range(len(parts))}
        if not covering & {field.lower() for field in names}:
            names.append(parts[0])
    return names
