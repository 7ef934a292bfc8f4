"""What a copy is asked for by: `select * from contacts where …`, read and put to ConnectWise once and for all.

Source: docs/wire-contract.md#first-load. The `where` is that of live reads, and so are the names of fields.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cwconnect.connectwise.client import LONGEST_URL, encode_query
from cwconnect.core.errors import DomainError
from cwconnect.core.unseen import find_unseen
from instances.hub import paths, reads
from instances.models import Instance, Transformation

LONGEST = 25_000  # characters; a where alone may have 20,000
MOST_FIELDS = 500
_RESERVED_FOR_BASE = 250  # of the longest URL: the site's base URL, pageSize and pageId
# Word by word, and nothing is given back: `.+?` before a run of blanks would take the cube of its length.
_QUERY = re.compile(
    r"select\s++(?P<fields>\S++(?:\s++\S++)*?)\s++from\s++`?(?P<resource>[^\s`;]+)`?(?:\s++where\s++(?P<where>.+))?",
    re.IGNORECASE | re.DOTALL,
)
_ORDERED = re.compile(r"\b(?:order\s+by\s+[\w./]+(?:\s+(?:asc|desc))?|limit\s+\d+|offset\s+\d+)\s*;?\s*", re.IGNORECASE)


@dataclass(frozen=True)
class CopyQuery:
    """A query, compiled: what stands in a row of `Copy`."""

    query: str
    resource: str
    path: str
    params: Mapping[str, str]
    fields: list[str]
    mapping: dict[str, Any] | None


def read_query(instance: Instance, text: object) -> CopyQuery:
    """Read a query of an instance's records. DomainError that says what is wrong with it."""
    if not isinstance(text, str) or not text.strip():
        raise DomainError("q is needed: select * from contacts where lastUpdated > '2026-01-01T00:00:00Z'.")
    if len(text) > LONGEST:
        raise DomainError(f"q has {len(text):,} characters; {LONGEST:,} are the most.")
    if unseen := find_unseen(text):
        raise DomainError(f"q holds {unseen}.")
    match = _QUERY.fullmatch(text.strip().removesuffix(";").rstrip())
    if match is None or _ends_in_an_order(text):
        why = "a copy holds all records in the order of their ids, so order by, limit and offset are not taken"
        form = "it must have the form: select * from contacts where …, or select id, firstName from contacts"
        raise DomainError(f"Error parsing query: {why if _ends_in_an_order(text) else form}.")
    target = paths.find_path(instance, match["resource"])
    if target.record_id is not None:
        raise DomainError(f"from must name a list, and {match['resource']} is one record; ask for it by where id = …")
    fields = _fields(match["fields"])
    asked = {"where": match["where"] or "", "fields": ",".join(fields)}
    params = _with_id(reads.selection(target, asked))
    length = len(target.path) + len(encode_query(params))
    if length > LONGEST_URL - _RESERVED_FOR_BASE:
        most = LONGEST_URL - _RESERVED_FOR_BASE
        raise DomainError(f"The query is {length:,} characters long for ConnectWise; {most:,} fit. Shorten it.")
    name = target.mapping.name if target.mapping else ""
    stored = Transformation.objects.filter(instance=instance, name=name).values(*_KEPT).first() if name else None
    return CopyQuery(text.strip(), match["resource"], target.path, params, fields, stored)


_KEPT = ("name", "vendor_name", "fields", "configuration")


def _ends_in_an_order(text: str) -> bool:
    found = [*_ORDERED.finditer(text)]
    return bool(found) and found[-1].end() == len(text)


def _fields(text: str) -> list[str]:
    """Return the names that a query selects, none for all of them."""
    names = [name.strip().replace("`", "") for name in text.split(",")]
    if names == ["*"]:
        return []
    if len(names) > MOST_FIELDS:
        raise DomainError(f"A query names {MOST_FIELDS} fields at most.")
    if not all(re.fullmatch(r"\w+(?:[./]\w+)*", name) for name in names):
        raise DomainError("select must be followed by * or by names of fields, separated by commas.")
    return list(dict.fromkeys(name.replace("/", ".") for name in names))


def _with_id(params: dict[str, str]) -> dict[str, str]:
    """Have the id among the fields: a copy is read by it."""
    names = params.get("fields", "").split(",")
    if "fields" in params and "id" not in {name.strip().lower() for name in names}:
        return params | {"fields": ",".join(["id", *names])}
    return params
