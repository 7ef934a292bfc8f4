"""The bodies of the compatible part, as docs/wire-contract.md has them."""

from __future__ import annotations

from cwconnect.core.openapi import Json


def referred(name: str) -> Json:
    """Return a reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def listed(schema: Json) -> Json:
    """Return the schema of a list."""
    return {"type": "array", "items": schema}


def objects(required: dict[str, Json], optional: dict[str, Json] | None = None) -> Json:
    """Return the schema of an object that has these members, and may have the optional ones."""
    return {"type": "object", "properties": required | (optional or {}), "required": list(required)}


TEXT: Json = {"type": "string"}
WHOLE: Json = {"type": "integer"}
YES_NO: Json = {"type": "boolean"}
TIME: Json = {"type": "string", "format": "date-time"}
ANY_TIME: Json = {"type": "string", "description": "ISO 8601; UTC unless it says otherwise."}
TEXTS: Json = listed(TEXT)
_TIME_OR_NONE: Json = {"type": ["string", "null"], "format": "date-time"}
# Said outright: without it, generators take an object for one that has nothing in it, and drop what comes.
ANYTHING: Json = {"type": "object", "additionalProperties": True}

_ELEMENT = objects(
    {
        "id": WHOLE,
        "name": TEXT,
        "key": TEXT,
        "hub": TEXT,
        "active": YES_NO,
        "deleted": YES_NO,
        "typeOauth": YES_NO,
        "authentication": ANYTHING,
        "protocolType": TEXT,
    }
)
_INSTANCE = objects(
    {
        "id": WHOLE,
        "name": TEXT,
        "createdDate": TIME,
        "element": referred("Element"),
        "elementId": WHOLE,
        "tags": TEXTS,
        "provisionInteractions": listed(ANYTHING),
        "valid": YES_NO,
        "disabled": YES_NO,
        "configuration": {
            "type": "object",
            "additionalProperties": TEXT,
            "description": "All values are strings; secrets are ********, which keeps what is stored if sent back.",
        },
        "eventsEnabled": YES_NO,
        "eventsNotificationCallbackUrl": TEXT,
        "traceLoggingEnabled": YES_NO,
        "cachingEnabled": YES_NO,
        "externalAuthentication": TEXT,
        "user": objects({"id": {"type": ["integer", "null"]}}),
    },
    {
        "token": {**TEXT, "description": "The instance's token, in the answer of POST only."},
        "warnings": {**TEXTS, "description": "Fields that the poll configuration names and no record has, if any."},
    },
)
_MAPPED_FIELD = objects({"path": TEXT, "vendorPath": TEXT})
_WAY = objects(
    {
        "type": {"type": "string", "enum": ["remove", "passThrough"]},
        "properties": {"type": "object", "additionalProperties": YES_NO},
    }
)
_TRANSFORMATION = objects(
    {
        "name": TEXT,
        "level": TEXT,
        "vendorName": TEXT,
        "fields": listed(_MAPPED_FIELD),
        "configuration": listed(_WAY),
    }
)
_TRANSFORMATION_BODY = objects({"vendorName": TEXT, "fields": listed(_MAPPED_FIELD)}, {"configuration": listed(_WAY)})
_KEY_ROW = {
    "id": WHOLE,
    "key": TEXT,
    "name": TEXT,
    "description": TEXT,
    "active": YES_NO,
    "required": YES_NO,
    "type": TEXT,
}
EVENT_KIND: Json = {"type": "string", "enum": ["CREATED", "UPDATED", "DELETED"]}
EVENT = objects(
    {
        "objectType": TEXT,
        "objectId": TEXT,
        "date": TIME,
        "pollDate": TIME,
        "eventType": EVENT_KIND,
        "elementKey": TEXT,
        "hubKey": TEXT,
    },
    {"changes": {"type": ["array", "null"], "items": ANYTHING}},
)
STATUSES: Json = {"type": "string", "enum": ["NEW", "RECEIVED", "DISPATCHED", "CONSUMED", "NOTIFIED"]}
COMPONENTS: dict[str, Json] = {
    "Error": objects(
        {"requestId": {"type": "string", "pattern": "^[0-9a-f]{24}$"}, "message": TEXT},
        {"providerMessage": {**TEXT, "description": "What ConnectWise said."}},
    ),
    "Element": _ELEMENT,
    "Instance": _INSTANCE,
    "Transformation": _TRANSFORMATION,
    "TransformationBody": _TRANSFORMATION_BODY,
    "ConfigurationRow": objects({**_KEY_ROW, "propertyValue": {"type": ["string", "null"]}}),
    "KeyRow": objects({**_KEY_ROW, "defaultValue": {"type": ["string", "null"]}}),
    "HistoryRow": objects(
        {
            "id": TEXT,
            "eventDate": TIME,
            "status": STATUSES,
            "providerData": {**TEXT, "description": "The record as JSON text."},
            "notifiedData": listed(EVENT),
        }
    ),
    "Hub": objects({"id": WHOLE, "key": TEXT, "name": TEXT, "description": TEXT, "active": YES_NO}),
    "Ping": objects({"endpoint": TEXT, "valid": YES_NO}),
    "Fields": objects(
        {
            "fields": listed(
                objects(
                    {
                        "type": {
                            "type": "string",
                            "enum": ["string", "integer", "number", "boolean", "date", "object", "array"],
                        },
                        "vendorPath": TEXT,
                        "vendorDisplayName": TEXT,
                        "vendorNativeType": TEXT,
                        "vendorRequired": YES_NO,
                        "vendorReadOnly": YES_NO,
                        "hidden": YES_NO,
                        "method": listed(objects({"name": TEXT, "request": YES_NO, "response": YES_NO})),
                        "filterable": YES_NO,
                        "createable": YES_NO,
                        "updateable": YES_NO,
                        "custom": YES_NO,
                    }
                )
            )
        }
    ),
    "Metadata": objects(
        {
            "id": WHOLE,
            "name": TEXT,
            "key": TEXT,
            "description": TEXT,
            "events": objects(
                {
                    "supported": YES_NO,
                    "methods": TEXTS,
                    "polling": {
                        "type": "object",
                        "additionalProperties": ANYTHING,
                        "description": "How each resource is polled by default, by its name.",
                    },
                }
            ),
        }
    ),
    "Count": objects({"count": {"type": "integer", "minimum": 0}, "timestamp": TIME}),
    "QueuedDelivery": objects(
        {
            "id": WHOLE,
            "channel": {"const": "webhook"},
            "status": {"const": "queued"},
            "webhookId": TEXT,
            "instanceId": WHOLE,
            "objectType": TEXT,
            "events": WHOLE,
            "createdDate": TIME,
            "url": TEXT,
            "config": objects({"url": TEXT}),
            "tries": WHOLE,
            "nextTryDate": {"type": ["string", "null"], "format": "date-time"},
            "lastError": {"type": ["string", "null"]},
            "paused": YES_NO,
            "pauseReason": {"type": ["string", "null"]},
        }
    ),
    "CopyBegun": objects({"instanceId": WHOLE, "id": TEXT, "status": TEXT}),
    "Copy": objects(
        {
            "instanceId": WHOLE,
            "id": TEXT,
            "status": {"type": "string", "enum": ["CREATED", "RUNNING", "COMPLETED", "CANCELLED", "FAILED"]},
            "query": TEXT,
            "objectName": TEXT,
            "recordsCount": WHOLE,
            "recordsFailedCount": WHOLE,
            "recordsTotal": {"type": ["integer", "null"], "description": "As ConnectWise counted when it began."},
            "progress": {"type": ["integer", "null"], "description": "In percent."},
            "watchedFrom": _TIME_OR_NONE,
            "notWatched": {"type": ["string", "null"], "description": "What changes come as no events, in words."},
            "createdDate": TIME,
            "startedDate": _TIME_OR_NONE,
            "finishedDate": _TIME_OR_NONE,
            "expiresDate": _TIME_OR_NONE,
            "error": {"type": ["string", "null"], "description": "Why it failed, or waits."},
            "recordErrors": TEXTS,
        }
    ),
    "Released": objects({"released": {"type": "integer", "minimum": 0}}),
    # The plainest of the forms that are taken. Where a field may be null or another type, generated clients
    # send null for what was not set, or want a wrapper.
    "InstanceBody": {
        **ANYTHING,
        "properties": {
            "element": ANYTHING | {"properties": {"key": TEXT}},
            "name": {**TEXT, "maxLength": 200, "description": "The connector's name where it is blank."},
            "tags": {**TEXTS, "maxItems": 100},
            "configuration": {
                **ANYTHING,
                "description": "Values may be JSON types or strings; what is blank counts as not given.",
            },
        },
    },
    "RecordBody": {
        **ANYTHING,
        "description": "The fields of a record, by ConnectWise's names or by those of a field mapping.",
        "minProperties": 1,
        "maxProperties": 500,
        "propertyNames": {"pattern": r"^[A-Za-z_][A-Za-z0-9_-]{0,99}$"},
        "properties": {
            "customFields": {**listed(ANYTHING), "description": "Each with its id or its caption, and its value."}
        },
    },
    "PropertyValue": {"type": "object", "properties": {"propertyValue": {}}, "required": ["propertyValue"]},
}
