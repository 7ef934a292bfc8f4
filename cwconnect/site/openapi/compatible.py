"""The product's routes (docs/wire-contract.md), which answer under `/elements/api-v2` too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from cwconnect.core.openapi import Operation, Parameter
from cwconnect.site.openapi.bulk import BULK
from cwconnect.site.openapi.examples import (
    CREATE_EXAMPLES,
    DELIVERY_EXAMPLE,
    ELEMENT_EXAMPLE,
    HISTORY_EXAMPLE,
    HUB_EXAMPLE,
    INSTANCE_EXAMPLE,
    KEY_EXAMPLE,
    KEY_ROW_EXAMPLE,
    METADATA_EXAMPLE,
    PATCH_EXAMPLES,
    TRANSFORMATION_BODY_EXAMPLE,
    TRANSFORMATION_EXAMPLE,
)
from cwconnect.site.openapi.hub_routes import HUB_ROUTES, HUBS, NEXT_PAGE, OWN, PAGE_SIZE
from cwconnect.site.openapi.shapes import ANY_TIME, STATUSES, TEXT, TEXTS, listed, referred

INSTANCES, EVENTS, DELIVERIES, ELEMENTS = "Instances", "Event history", "Deliveries", "Elements"
_LIST = (
    PAGE_SIZE,
    NEXT_PAGE,
    Parameter("searchText", TEXT, "What the name contains."),
    Parameter("tags[]", TEXTS, "Tags that an instance must have, all of them."),
)
_BOUNDS = (
    Parameter("from", ANY_TIME, "From this time on."),
    Parameter("to", ANY_TIME, "Before this time."),
)
_HISTORY = (
    PAGE_SIZE,
    NEXT_PAGE,
    *_BOUNDS,
    Parameter("status", STATUSES),
    Parameter("eventType", {"type": "string", "enum": ["CREATED", "UPDATED", "DELETED"]}),
    Parameter("objectType", TEXT),
    Parameter("objectId", TEXT),
)
_ANALYTICS = (
    *_BOUNDS,
    Parameter("interval", {"type": "string", "enum": ["minute", "hour", "day"]}, "The width of a bucket: hour."),
)
_INSTANCE = referred("Instance")
_BODY = referred("InstanceBody")
_ROW = referred("ConfigurationRow")
_EVENT = referred("HistoryRow")
_COUNTS = [{"count": 12, "timestamp": "2018-07-31T19:00:00Z"}]

_ANSWER = Operation(INSTANCES, "", _INSTANCE, example=INSTANCE_EXAMPLE)
_CHANGE = replace(_ANSWER, body=_BODY, errors=(403, 409, 500))
_CREATED = INSTANCE_EXAMPLE | {"token": "ABC/Dxxxxxxxx"}
_CREATE = replace(
    _CHANGE,
    summary="Prove the credentials and create an instance; 200",
    body_examples=CREATE_EXAMPLES,
    example=_CREATED,
)
_REPLACE = replace(_CHANGE, summary="Replace configuration, name and tags", body_examples=CREATE_EXAMPLES)
_PATCH = replace(
    _CHANGE,
    summary="Merge the configuration; replace name and tags",
    body_required=False,
    body_examples=PATCH_EXAMPLES,
)
_DELETE = Operation(INSTANCES, "Delete the instance; 200")
_CONFIGURATION = Operation(
    INSTANCES, "List the configuration's keys with their values", listed(_ROW), example=[KEY_EXAMPLE]
)
_KEY = Operation(INSTANCES, "Show one key", _ROW, example=KEY_EXAMPLE)
_KEY_CHANGE = replace(
    _KEY,
    summary="Change one key",
    body=referred("PropertyValue"),
    body_examples={"interval": {"propertyValue": "5"}},
    errors=(403, 409, 500),
)
_TRANSFORMATIONS = Operation(
    INSTANCES,
    "List the instance's field mappings",
    listed(referred("Transformation")),
    example=[TRANSFORMATION_EXAMPLE],
)
_TRANSFORMATION = Operation(
    INSTANCES, "Show one field mapping", referred("Transformation"), example=TRANSFORMATION_EXAMPLE
)
_PUT_TRANSFORMATION = replace(
    _TRANSFORMATION,
    summary="Set a field mapping, in the place of the former of its name",
    body=referred("TransformationBody"),
    body_examples={"contacts": TRANSFORMATION_BODY_EXAMPLE},
    errors=(400, 409),
)
_DELETE_TRANSFORMATION = Operation(INSTANCES, "Delete a field mapping; 200", errors=(409,))
_ENABLE = replace(_ANSWER, summary="Let polling and delivery go on")
_DISABLE = replace(_ANSWER, summary="Pause polling and delivery; nothing is lost")
_HISTORY_LIST = Operation(
    EVENTS, "List events, newest first", listed(_EVENT), query=_HISTORY, paged=True, example=[HISTORY_EXAMPLE]
)
_HISTORY_ONE = Operation(EVENTS, "Show one event", _EVENT, example=HISTORY_EXAMPLE)
_HISTORY_COUNTS = Operation(
    EVENTS, "Count events by time", listed(referred("Count")), query=_ANALYTICS, example=_COUNTS
)
_WAITING = Parameter(
    "where",
    TEXT | {"examples": ["channel='webhook' and status='queued'"]},
    "status='queued' is needed; instanceId=523232 and config.url='http://mycoolapp.com' narrow it down.",
    required=True,
)
_ONE_OR_ALL = "Of the Element token's instance, or of all instances of the organization."
_ELEMENT = referred("Element")


def _own(row: Operation) -> Operation:
    """Return the twin of a row that takes the Element token in place of an id; 400 without one."""
    return replace(row, description=OWN, errors=(*row.errors, 400))


_LISTING = Operation(
    INSTANCES,
    "List instances, newest first",
    listed(_INSTANCE),
    query=_LIST,
    paged=True,
    example=[INSTANCE_EXAMPLE],
)

COMPATIBLE: Mapping[str, Operation] = {
    "GET /instances": _LISTING,
    "POST /instances": _CREATE,
    "PUT /instances": _own(_REPLACE),
    "PATCH /instances": _own(_PATCH),
    "DELETE /instances": _own(_DELETE),
    "GET /instances/{id}": replace(_ANSWER, summary="Show an instance"),
    "PUT /instances/{id}": _REPLACE,
    "PATCH /instances/{id}": _PATCH,
    "DELETE /instances/{id}": _DELETE,
    "GET /instances/{id}/configuration": _CONFIGURATION,
    "GET /instances/{id}/configuration/{key}": _KEY,
    "PATCH /instances/{id}/configuration/{key}": _KEY_CHANGE,
    "GET /instances/{id}/transformations": _TRANSFORMATIONS,
    "GET /instances/{id}/transformations/{transformation}": _TRANSFORMATION,
    "PUT /instances/{id}/transformations/{transformation}": _PUT_TRANSFORMATION,
    "DELETE /instances/{id}/transformations/{transformation}": _DELETE_TRANSFORMATION,
    "GET /instances/transformations": _own(_TRANSFORMATIONS),
    "GET /instances/transformations/{transformation}": _own(_TRANSFORMATION),
    "PUT /instances/transformations/{transformation}": _own(_PUT_TRANSFORMATION),
    "DELETE /instances/transformations/{transformation}": _own(_DELETE_TRANSFORMATION),
    "PUT /instances/{id}/enabled": _ENABLE,
    "DELETE /instances/{id}/enabled": _DISABLE,
    "GET /instances/configuration": _own(_CONFIGURATION),
    "GET /instances/configuration/{key}": _own(_KEY),
    "PATCH /instances/configuration/{key}": _own(_KEY_CHANGE),
    "PUT /instances/enabled": _own(_ENABLE),
    "DELETE /instances/enabled": _own(_DISABLE),
    "GET /instances/{id}/events": _HISTORY_LIST,
    "GET /instances/{id}/events/{eventId}": _HISTORY_ONE,
    "GET /instances/{id}/events/analytics": _HISTORY_COUNTS,
    "GET /instances/events": _own(_HISTORY_LIST),
    "GET /instances/events/{eventId}": _own(_HISTORY_ONE),
    "GET /instances/events/analytics": replace(_HISTORY_COUNTS, description=_ONE_OR_ALL),
    "GET /notifications/subscriptions/deliveries": Operation(
        DELIVERIES,
        "List the notifications that wait to be delivered, oldest first",
        listed(referred("QueuedDelivery")),
        query=(_WAITING, PAGE_SIZE, NEXT_PAGE),
        paged=True,
        example=[DELIVERY_EXAMPLE],
        errors=(404,),
        description=_ONE_OR_ALL,
    ),
    "PUT /notifications/subscriptions/deliveries": Operation(
        DELIVERIES,
        "Release what waits behind a pause, what was given up first",
        referred("Released"),
        query=(_WAITING,),
        example={"released": 214},
        errors=(404,),
        description=_ONE_OR_ALL,
    ),
    "GET /elements": Operation(
        ELEMENTS, "List the connectors: there is one", listed(_ELEMENT), example=[ELEMENT_EXAMPLE]
    ),
    "GET /elements/{element}": Operation(ELEMENTS, "Show the connector", _ELEMENT, example=ELEMENT_EXAMPLE),
    "GET /elements/{element}/configuration": Operation(
        ELEMENTS,
        "List the configuration keys with types and defaults",
        listed(referred("KeyRow")),
        example=[KEY_ROW_EXAMPLE],
    ),
    "GET /elements/{element}/metadata": Operation(
        ELEMENTS, "Say what the connector can do", referred("Metadata"), example=METADATA_EXAMPLE
    ),
    "GET /elements/keys": Operation(ELEMENTS, "List the keys of the connectors", TEXTS, example=["connectwisecrmrest"]),
    "GET /elements/metadata": Operation(
        ELEMENTS, "Say what each connector can do", listed(referred("Metadata")), example=[METADATA_EXAMPLE]
    ),
    "GET /elements/{element}/instances/{id}": replace(_ANSWER, summary="Show an instance"),
    "PUT /elements/{element}/instances/{id}": _REPLACE,
    "PATCH /elements/{element}/instances/{id}": _PATCH,
    "DELETE /elements/{element}/instances/{id}": _DELETE,
    "GET /hubs": Operation(HUBS, "List the hubs: there is one", listed(referred("Hub")), example=[HUB_EXAMPLE]),
    "GET /hubs/keys": Operation(HUBS, "List the keys of the hubs", TEXTS, example=["crm"]),
    "GET /hubs/{hub}": Operation(HUBS, "Show the hub", referred("Hub"), example=HUB_EXAMPLE),
    "GET /hubs/{hub}/elements": Operation(
        HUBS, "List the hub's connectors", listed(_ELEMENT), example=[ELEMENT_EXAMPLE]
    ),
    "GET /elements/{element}/instances": _LISTING,
    "POST /elements/{element}/instances": replace(_CREATE, description="The body need not name the connector."),
    **BULK,
    **HUB_ROUTES,
}
