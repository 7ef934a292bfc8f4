"""Live reads through an instance: a hub route's query as ConnectWise's, one page of a list or one record.

`nextPage` is ConnectWise's own query of the next page, so that it needs nothing repeated.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cwconnect.connectwise.ceql.conditions import Comparison, WhereError, map_comparisons, parse_where
from cwconnect.connectwise.client import Client
from cwconnect.connectwise.where import where_params
from cwconnect.core.errors import DomainError
from cwconnect.core.paging import page_size
from instances.connections import client_for
from instances.hub import mappings
from instances.hub.paths import HubPath
from instances.interactive import interactive
from instances.models import Instance
from instances.secrets import SecretUnreadableError

_PASSED_ON = {
    "conditions",
    "childConditions",
    "customFieldConditions",
    "orderBy",
    "fields",
    "page",
    "pageSize",
    "pageId",
}
_NAMES = re.compile(r"\s*[\w.`/]+(?:\s+(?:asc|desc))?\s*", re.IGNORECASE)
_LONGEST_TOKEN = 8000
_TOTALS = {"returntotalcount", "returncount"}
Record = dict[str, Any]


class InstanceDisabledError(DomainError):  # not a fault: an answer
    """The instance is switched off."""

    status = 403


class KeysUnreadableError(DomainError):  # as above
    """The instance's ConnectWise keys can't be opened: the operator's encryption keys have changed."""

    status = 500


@dataclass(frozen=True)
class HubPage:
    """One page of a list; `next_page` is the token of the next one, None on the last.

    `total` is how many records the whole list has, None unless it was asked for.
    """

    records: list[Record]
    next_page: str | None
    total: int | None = None


def read_list(instance: Instance, target: HubPath, query: Mapping[str, str]) -> HubPage:
    """Read one page. DomainError for a query that ConnectWise can't be asked, ConnectWiseError for its answers."""
    check_enabled(instance)
    path = target.path
    params = _next_params(query["nextPage"]) if query.get("nextPage") else _params(target, query)
    client = open_client(instance)
    with interactive(instance.organization_id):
        listing = client.list(path, params)
        # In any case, as docs/wire-contract.md#live-reads has it.
        asked = any(name.lower() in _TOTALS and text.strip().lower() == "true" for name, text in query.items())
        total = _count(client, path, params) if asked else None
    following = listing.next_params
    written = None if following is None else base64.urlsafe_b64encode(json.dumps(dict(following)).encode())
    token = None if written is None else written.decode().rstrip("=")
    return HubPage([shown(instance, target, record) for record in listing.records], token, total)


def read_record(instance: Instance, target: HubPath, record_id: int) -> Record:
    """Read one record. Raises ConnectWiseError: NotFound when there is none."""
    check_enabled(instance)
    client = open_client(instance)
    with interactive(instance.organization_id):
        record: Record = shown(instance, target, client.get(target.path, record_id))
    return record


def _count(client: Client, path: str, params: Mapping[str, str]) -> int:
    return client.count(path, params.get("conditions"), params.get("childConditions"))


def open_client(instance: Instance) -> Client:
    """Return a client for the instance's site; KeysUnreadableError where its keys can't be opened."""
    try:
        return client_for(instance)
    except SecretUnreadableError as error:
        raise KeysUnreadableError(str(error)) from None


def check_enabled(instance: Instance) -> None:
    """Raise InstanceDisabledError for an instance that is switched off."""
    if instance.disabled:
        raise InstanceDisabledError("The instance is disabled; PUT /instances/{id}/enabled lets it go on.")


def _params(target: HubPath, query: Mapping[str, str]) -> dict[str, str]:
    params = {"pageSize": str(page_size(query)), "page": _page(query.get("page", ""))}
    return params | selection(target, query)


def selection(target: HubPath, query: Mapping[str, str]) -> dict[str, str]:
    """Return a query's `where`, `fields` and `orderBy` as ConnectWise's parameters. DomainError where they can't be."""
    where = query.get("where", "").strip()
    params = _conditions(target, where) if where else {}
    if target.condition:
        asked = params.get("conditions")
        params["conditions"] = f"{target.condition} and ({asked})" if asked else target.condition
    for name in ("fields", "orderBy"):
        if text := query.get(name, "").strip():
            params[name] = _field_names(target, name, text)
    return params


def _conditions(target: HubPath, where: str) -> dict[str, str]:
    try:
        node = parse_where(where)
        if (mapping := target.mapping) is not None:
            node = map_comparisons(node, lambda comparison: _vendors(comparison, mapping))
        return where_params(node, target.path)
    except WhereError as error:
        raise DomainError(str(error)) from None


def _vendors(comparison: Comparison, mapping: mappings.Mapping) -> Comparison:
    return replace(comparison, field=mapping.vendor_name(comparison.field))


def _page(text: str) -> str:
    if text and not re.fullmatch(r"0*[0-9]{1,9}", text):
        raise DomainError("page must be a whole number from 0.")
    return str(max(int(text or "1"), 1))  # 0 is the first page too: published programs always send it


def _field_names(target: HubPath, name: str, text: str) -> str:
    names = text.split(",")
    if not all(_NAMES.fullmatch(part) for part in names):
        raise DomainError(f"{name} must hold names of fields, separated by commas.")
    words = [part.replace("`", "").split() for part in names]
    if target.mapping is not None:
        words = [[each, *rest] for first, *rest in words for each in _vendor_names(target.mapping, name, first)]
    return ",".join(" ".join(part).replace(".", "/") for part in words)


def _vendor_names(mapping: mappings.Mapping, parameter: str, name: str) -> list[str]:
    return mapping.vendor_names(name) if parameter == "fields" else [mapping.vendor_name(name)]


def _next_params(token: str) -> dict[str, str]:
    try:
        params = json.loads(base64.urlsafe_b64decode(token[:_LONGEST_TOKEN] + "=" * (-len(token) % 4)))
        if not all(name in _PASSED_ON and isinstance(value, str) for name, value in params.items()):
            raise ValueError(token)
    except (ValueError, AttributeError, RecursionError):
        raise DomainError("nextPage must be the Elements-Next-Page-Token of an earlier answer.") from None
    return dict(params)


def shown(instance: Instance, target: HubPath, record: Any) -> Any:
    """Return a record as the instance shows it: without nulls where it wants none, and as the path's mapping has it."""
    return shown_as(record, target.mapping, keep_nulls=not instance.filter_nulls)


def shown_as(record: Any, mapping: mappings.Mapping | None, *, keep_nulls: bool) -> Any:
    """Return a record as callers are shown it: by a mapping if there is one, without nulls unless they are kept."""
    kept = record if keep_nulls else _without_nulls(record)
    return mapping.shown(kept) if mapping and isinstance(kept, dict) else kept


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value
