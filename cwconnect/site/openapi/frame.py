"""What drf-spectacular calls: operations by table, paths as people write them, the header that authenticates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drf_spectacular.drainage import warn
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ComponentRegistry, ResolvedComponent
from pydantic import BaseModel

from cwconnect.core.openapi import Json, Operation, body_schema
from cwconnect.site.openapi.shapes import COMPONENTS
from cwconnect.site.openapi.webhooks import NOTIFICATIONS, PARTS, WEBHOOKS
from instances.api.permission import scope_of

Endpoint = tuple[str, str, str, Callable[..., Any]]
_REFERENCE = "#/components/schemas/{model}"
_NAMES = {"{number}": "{id}", "{event}": "{eventId}"}
_MODERN_NAMES = {"{number}": "{instance}"}
_HUB = "/hubs/{hub}/{resource}"
_OF_LISTS, _OF_RECORDS = ("GET", "POST"), ("GET", "PUT", "PATCH", "DELETE")
_UNNAMED_HUB = ("/{resource}", "/bulk")

_TAGS = {
    "Instances": "Connections to a ConnectWise site, and what each of them watches.",
    "Event history": "What was found, and how far the news of it has come.",
    "Deliveries": "Notifications that wait, and their release.",
    "Elements": "The one connector: its configuration keys, and what it can do.",
    "Hubs": "Live reads and writes of ConnectWise through an instance.",
    NOTIFICATIONS: "What a receiver is sent, in each form that there is.",
    "v1: polls": "What an instance polls, how that goes, and what is to be decided.",
    "v1: events": "Events across instances.",
    "v1: subscriptions": "The receivers of an instance: where, of what and in which form each is notified.",
    "v1: deliveries": "Notifications, and every attempt to deliver them.",
    "v1: secrets": "The organization's API users and their keys.",
    "v1: sending": "Sending again, test notifications, and the signature key.",
}

SECRETS_SCHEME: Json = {
    "type": "apiKey",
    "in": "header",
    "name": "Authorization",
    "description": (
        "`User <API key>, Organization <organization secret>`, or `User <API key>, Element <instance token>` "
        "for the calls of one instance; all three together are accepted, in any order."
    ),
}


class TableSchema(AutoSchema):
    """Describes a route by its row in a table, or by what its view says of itself (`/v1`)."""

    def get_operation(
        self, path: str, path_regex: str, path_prefix: str, method: str, registry: ComponentRegistry
    ) -> Json | None:
        """Return the operation; None for a route that is no part of the API, or that a table lacks."""
        self.path, self.method = path, method.upper()
        if self.is_excluded():
            return None
        row = _tables().get(f"{method.upper()} {path}")
        if row is None:
            warn(f"{method.upper()} {path} is described nowhere.")
            return None
        scope = scope_of(self.view, self.method)
        if scope is None:
            warn(f"{method.upper()} {path} declares no scope.")
        return row.build(method, path, lambda model, mode: _register(registry, model, mode), scope or "")


def _tables() -> dict[str, Operation]:
    # Not at import: the tables import the views' shapes, and views import this.
    from cwconnect.site.openapi.compatible import COMPATIBLE
    from cwconnect.site.openapi.modern import MODERN

    return {**COMPATIBLE, **MODERN}


def _register(registry: ComponentRegistry, model: type[BaseModel], mode: Any) -> Json:
    schema = model.model_json_schema(ref_template=_REFERENCE, mode=mode)
    inner = schema.pop("$defs", {})
    parts = inner | {model.__name__: body_schema(schema) if mode == "validation" else schema}
    for name, part in parts.items():
        # drf-spectacular's own classes are not annotated.
        component = ResolvedComponent(name, ResolvedComponent.SCHEMA, part, name)  # type: ignore[no-untyped-call]
        registry.register_on_missing(component)
    return {"$ref": _REFERENCE.format(model=model.__name__)}


def plain_paths(endpoints: list[Endpoint]) -> list[Endpoint]:
    """Write the routes as the contract does: without the optional slash, `{id}` for ids (a preprocessing hook)."""
    written = []
    for path, regex, method, callback in endpoints:
        if path.startswith(_UNNAMED_HUB):
            continue  # a second spelling; as a path of its own it would stand for every other route as well
        plain = path.rstrip("/")
        for name, shown in (_MODERN_NAMES if plain.startswith("/v1/") else _NAMES).items():
            plain = plain.replace(name, shown)
        if plain != _HUB or method in _OF_LISTS:
            written.append((plain, regex, method, callback))
        if plain == _HUB and method in _OF_RECORDS:
            written.append((f"{_HUB}/{{recordId}}", regex, method, callback))
    return written


def put_components(result: Json, **_: Any) -> Json:
    """Add the compatible part's bodies, notifications, and the tags (a postprocessing hook)."""
    schemas = {**result["components"].get("schemas", {}), **COMPONENTS, **PARTS}
    result["components"]["schemas"] = dict(sorted(schemas.items()))
    result["webhooks"] = dict(WEBHOOKS)
    result["components"]["securitySchemes"] = {"secrets": SECRETS_SCHEME}
    result["tags"] = [{"name": tag, "description": description} for tag, description in _TAGS.items()]
    return result
