"""What receivers are sent, as OpenAPI's `webhooks`: a notification in each of its forms.

Source: docs/wire-contract.md#forms. A test holds the samples against what is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cwconnect.core.openapi import Json
from cwconnect.site.openapi.examples import HISTORY_EXAMPLE, RECORD_EXAMPLE
from cwconnect.site.openapi.shapes import (
    ANYTHING,
    EVENT,
    EVENT_KIND,
    TEXT,
    TEXTS,
    TIME,
    WHOLE,
    listed,
    objects,
    referred,
)

NOTIFICATIONS: Final = "Notifications"
_CHANGES: Final[Json] = EVENT["properties"]["changes"]
_RECORD: Final[Json] = ANYTHING | {"description": "As the poll read it, or what the subscription sends of it."}

PARTS: Final[Mapping[str, Json]] = {
    "Notification": objects(
        {
            "id": {**WHOLE, "description": "It grows: work in its order."},
            "severity": {"const": "low"},
            "topic": TEXT,
            "createdDate": TIME,
            "message": objects(
                {
                    "elementKey": TEXT,
                    "accountId": WHOLE,
                    "companyId": WHOLE,
                    "userId": WHOLE,
                    "instanceId": WHOLE,
                    "instance_id": WHOLE,
                    "instanceName": TEXT,
                    "instanceTags": TEXTS,
                    "eventId": TEXT,
                    "events": listed(EVENT) | {"minItems": 1, "maxItems": 10},
                    "raw": ANYTHING
                    | {"description": "The records under the resource's name, one for each of events, in their order."},
                }
            ),
        }
    ),
    "CloudEvent": objects(
        {
            "specversion": {"const": "1.0"},
            "id": {**TEXT, "description": "The event's id; sent again, it is the same."},
            "source": {**TEXT, "format": "uri-reference", "description": "The instance's route."},
            "type": {
                **TEXT,
                "description": "com.connectwise.psa., the resource in the singular, .created, .updated or .deleted.",
            },
            "subject": {**TEXT, "description": "objectType/objectId."},
            "time": {**TIME, "description": "When the record changed."},
            "datacontenttype": {"const": "application/json"},
            "sequence": {
                **TEXT,
                "pattern": "^[0-9]{19}$",
                "examples": ["0000000000000035149"],
                "description": "The event's id in 19 digits, in order as text.",
            },
            "recordedtime": {**TIME, "description": "When the poll saw it."},
            "data": objects({"record": _RECORD}, {"changes": _CHANGES}),
        }
    ),
    "ThinNotification": objects(
        {
            "instanceId": WHOLE,
            "events": listed(
                objects(
                    {
                        "eventId": TEXT,
                        "objectType": TEXT,
                        "objectId": TEXT,
                        "recordId": {**WHOLE, "description": "ConnectWise's own id."},
                        "eventType": EVENT_KIND,
                        "date": TIME,
                        "pollDate": TIME,
                    }
                )
            )
            | {"minItems": 1, "maxItems": 10},
        }
    ),
}

_CHANGED: Final = [{"field": "firstName", "from": "Rut", "to": "…"}]
_EVENT: Final[Json] = {**HISTORY_EXAMPLE["notifiedData"][0], "changes": _CHANGED}
_CLOUD_EVENT: Final[Json] = {
    "specversion": "1.0",
    "id": "35149",
    "source": "https://events.example.com/instances/523232",
    "type": "com.connectwise.psa.contact.updated",
    "subject": "contacts/17",
    "time": "2018-07-31T19:39:46Z",
    "datacontenttype": "application/json",
    "sequence": "0000000000000035149",
    "recordedtime": "2018-07-31T19:40:36Z",
    "data": {"record": RECORD_EXAMPLE, "changes": _CHANGED},
}
_NEXT: Final[Json] = {**_CLOUD_EVENT, "id": "35150", "sequence": "0000000000000035150"}
_ELEMENTS: Final[Json] = {
    "id": 35149,
    "severity": "low",
    "topic": "instance-523232-connectwisecrmrest-events",
    "createdDate": "2018-07-31T19:40:36Z",
    "message": {
        "elementKey": "connectwisecrmrest",
        "accountId": 81,
        "companyId": 81,
        "userId": 2034,
        "instanceId": 523232,
        "instance_id": 523232,
        "instanceName": "API_Polling",
        "instanceTags": ["Test"],
        "eventId": "35149",
        "events": [_EVENT],
        "raw": {
            "contacts": [RECORD_EXAMPLE],
            "instance_id": 523232,
            "eventId": "35149",
            "objectType": "contacts",
            "events": [_EVENT],
        },
    },
}
_THIN: Final[Json] = {
    "instanceId": 523232,
    "events": [
        {
            "eventId": "35149",
            "objectType": "contacts",
            "objectId": "17",
            "recordId": 17,
            "eventType": "UPDATED",
            "date": "2018-07-31T19:39:46Z",
            "pollDate": "2018-07-31T19:40:36Z",
        }
    ],
}

_SIGNED: Final = "where there is a signature key"
_HEADERS: Final[Mapping[str, str]] = {
    "webhook-id": "The notification, the same on every try: keep it to know a repeat.",
    "webhook-timestamp": "When this try was made, in Unix seconds.",
    "webhook-signature": f"That of Standard Webhooks, {_SIGNED}; two while the key is being rotated.",
    "Elements-Webhook-Id": "As webhook-id.",
    "Elements-Webhook-Signature": f"The vendor's, by the newest key, {_SIGNED}.",
    "Elements-Webhook-Replay": "true: it was sent again on request, and you may have it already.",
    "Elements-Webhook-Test": "true: it was sent to try the receiver, and is no event.",
}
_ALWAYS: Final = ("webhook-id", "webhook-timestamp", "Elements-Webhook-Id")
_ANSWERS: Final[Mapping[str, str]] = {
    "2XX": "It is the receiver's now, if this came within 15 seconds; the body does not matter.",
    "410": "The receiver wants no more: its delivery is paused until a person releases it.",
    "4XX": "It is sent again by the retry schedule; after 429 and 503 when Retry-After says.",
    "5XX": "It is sent again by the retry schedule.",
}


def _sent(form: str, words: str, content: Json) -> Json:
    headers = [
        {"name": name, "in": "header", "schema": TEXT, "required": name in _ALWAYS, "description": said}
        for name, said in _HEADERS.items()
    ]
    return {
        "post": {
            "operationId": f"notify_{form}",
            "summary": f"A notification in the form {form}",
            "description": words,
            "tags": [NOTIFICATIONS],
            "security": [],
            "parameters": headers,
            "requestBody": {"required": True, "content": content},
            "responses": {status: {"description": said} for status, said in _ANSWERS.items()},
        }
    }


def _content(schema: Json, **examples: Any) -> Json:
    return {"schema": schema, "examples": {name: {"value": value} for name, value in examples.items()}}


WEBHOOKS: Final[Mapping[str, Json]] = {
    "elements": _sent(
        "elements",
        "What a receiver is sent unless its subscription has another form: one to ten events of one resource.",
        {"application/json": _content(referred("Notification"), elements=_ELEMENTS)},
    ),
    "cloudevents": _sent(
        "cloudevents",
        "CloudEvents 1.0 in the structured mode: one event, or two to ten of one resource as a batch.",
        {
            "application/cloudevents+json": _content(referred("CloudEvent"), one=_CLOUD_EVENT),
            "application/cloudevents-batch+json": _content(
                listed(referred("CloudEvent")) | {"minItems": 2, "maxItems": 10}, batch=[_CLOUD_EVENT, _NEXT]
            ),
        },
    ),
    "thin": _sent(
        "thin",
        "Which records changed, one to ten of one resource, for receivers that read them back.",
        {"application/json": _content(referred("ThinNotification"), thin=_THIN)},
    ),
}
