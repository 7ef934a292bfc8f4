"""Discovery through an instance: whether its keys work, which resources there are, and which fields each has.

What ConnectWise showed of a list's fields is kept for an hour, by the instance and its connection: a change of either
is a question anew, and none shows what another one's keys saw. Names and kinds of fields are kept, no
value and no secret. Where Redis is away, ConnectWise is asked each time.

Source: docs/wire-contract.md#discovery.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import astuple
from typing import Any

from django.core.cache import cache
from django.http import Http404

from cwconnect.connectwise.catalogue import all_resources, find_resource
from cwconnect.connectwise.client import Client
from cwconnect.connectwise.errors import Forbidden, NotFound, Rejected
from cwconnect.core.errors import DomainError
from cwconnect.core.plain_cache import RedisError
from instances.connector import KEY
from instances.hub.known_fields import KnownField, custom_fields, merged, record_fields, table_fields
from instances.hub.mappings import mapping_named, names_of
from instances.hub.paths import parse_path
from instances.hub.reads import check_enabled, open_client
from instances.interactive import interactive
from instances.models import Instance

KEPT_SECONDS = 3600
_PROBE = "/company/contacts"
_DEFINITIONS = "/system/userDefinedFields"
_MOST_DEFINITIONS = "1000"
_LONGEST_KEPT = 64 * 1024  # characters; what one list shows has a few thousand


def ping(instance: Instance) -> dict[str, Any]:
    """Ask ConnectWise for one contact's id, and say that the keys work. Raises ConnectWiseError where they don't."""
    check_enabled(instance)
    client = open_client(instance)
    with interactive(instance.organization_id), suppress(Forbidden):  # a role without contacts: the keys are right
        client.list(_PROBE, {"pageSize": "1", "fields": "id"}, readable_only=True)
    return {"endpoint": KEY, "valid": True}


def object_names(instance: Instance) -> list[str]:
    """Return what the hub reads by name: the catalogue, then the instance's mappings. Asks ConnectWise nothing."""
    check_enabled(instance)
    names = [resource.name for resource in all_resources()]
    return names + [name for name in names_of(instance) if name not in names]


def metadata(instance: Instance, name: str, *, custom_only: bool = False) -> dict[str, Any]:
    """Describe the fields of a resource by its name, a mapping's, or a path that the table of fields knows.

    Of a mapping they are those of the records that it maps, by ConnectWise's names.

    Raises Http404 for an unknown one, ConnectWiseError where ConnectWise refuses the keys or the list.
    """
    check_enabled(instance)
    mapping = mapping_named(instance, name)
    fields = fields_for(instance, mapping.vendor_path if mapping else list_path(name))
    return {"fields": [described(field) for field in fields if field.custom or not custom_only]}


def list_path(name: str) -> str:
    """Return ConnectWise's path of a resource; Http404 where neither the catalogue nor the table of fields has it."""
    try:
        target = parse_path(name)
    except DomainError as error:
        raise Http404 from error
    if target.record_id is not None or not (find_resource(name) or table_fields(target.path)):
        raise Http404
    return target.path


def fields_for(instance: Instance, path: str) -> list[KnownField]:
    """Return the fields of a list: the table's, what a record shows besides, and custom fields.

    Raises ConnectWiseError, and DomainError where too much is asked at once; neither is kept.
    """
    key = _key(instance, path)
    found = _known(key)
    if found is None:
        found = _ask(instance, path)
        _keep(key, found)
    return merged(table_fields(path), found)


def described(field: KnownField) -> dict[str, Any]:
    """Return a field as the contract shows it."""
    writable = not field.read_only
    methods = [{"name": "GET", "response": True, "request": False}]
    if writable:
        methods.append({"name": "POST", "request": True, "response": False})
    return {
        "type": field.type,
        "vendorPath": field.name,
        "vendorDisplayName": field.title,
        "vendorNativeType": field.native_type,
        "vendorRequired": field.required,
        "vendorReadOnly": field.read_only,
        "hidden": field.hidden,
        "method": methods,
        "filterable": field.filterable,
        "createable": writable,
        "updateable": writable,
        "custom": field.custom,
    }


def _ask(instance: Instance, path: str) -> list[KnownField]:
    client = open_client(instance)
    with interactive(instance.organization_id):
        # The newest one: what was added to records lately, it has.
        newest = {"pageSize": "1", "orderBy": "id desc"}
        records = client.list(path, newest, readable_only=True).records
        record: Mapping[str, Any] = records[0] if records else {}
        customs = custom_fields(record, _definitions(client) if record.get("customFields") else [])
    return merged(record_fields(record), customs)


def _definitions(client: Client) -> list[dict[str, Any]]:
    """Return the definitions of custom fields; none where the role may not read them: the record shows enough."""
    try:
        return client.list(_DEFINITIONS, {"pageSize": _MOST_DEFINITIONS}, readable_only=True).records
    except (Forbidden, NotFound, Rejected):
        return []


def _known(key: str) -> list[KnownField] | None:
    """Return what is kept; None for nothing, for what does not read as fields, and where Redis is away."""
    try:
        text = cache.get(key)
        rows = None if text is None else json.loads(str(text))
    except (RedisError, ValueError):
        return None
    if not isinstance(rows, list) or not all(map(_is_sound, rows)):
        return None
    return [KnownField(*row) for row in rows]


def _is_sound(row: object) -> bool:
    kinds = (str, str, str, bool, bool, bool, bool)
    return isinstance(row, list) and len(row) == len(kinds) and all(map(isinstance, row, kinds))


def _keep(key: str, fields: list[KnownField]) -> None:
    text = json.dumps([astuple(field) for field in fields])
    if len(text) <= _LONGEST_KEPT:
        with suppress(RedisError):  # it is away: asked anew next time
            cache.set(key, text, KEPT_SECONDS)


def _key(instance: Instance, path: str) -> str:
    """Name what is kept by the instance, its connection and the list; sealed keys count as they are stored."""
    keys = (instance.public_key.ciphertext, instance.private_key.ciphertext)
    connection = (instance.created_at.isoformat(), instance.base_url, instance.company, instance.client_id, *keys)
    digest = hashlib.sha256(json.dumps([*connection, path]).encode()).hexdigest()
    return f"fields-{instance.pk}-{digest}"
