"""Samples of the compatible part's bodies, as docs/wire-contract.md has them."""

from __future__ import annotations

from typing import Any

ELEMENT_EXAMPLE: dict[str, Any] = {
    "id": 3012,
    "name": "ConnectWise CRM REST",
    "key": "connectwisecrmrest",
    "hub": "crm",
    "active": True,
    "deleted": False,
    "typeOauth": False,
    "authentication": {"type": "custom"},
    "protocolType": "http",
}
_CONFIGURATION_EXAMPLE = {
    "baseUrl": "https://api-na.myconnectwise.net/v4_6_release/apis/3.0",
    "company": "acme",
    "public.key": "********",
    "private.key": "********",
    "event.notification.enabled": "true",
    "event.notification.callback.url": "http://mycoolapp.com",
    "event.poller.refresh_interval": "15",
    "event.poller.configuration": "{…}",
}
INSTANCE_EXAMPLE: dict[str, Any] = {
    "id": 12345,
    "name": "API_Polling",
    "createdDate": "2017-08-07T18:46:38Z",
    "element": ELEMENT_EXAMPLE,
    "elementId": 3012,
    "tags": ["Test"],
    "provisionInteractions": [],
    "valid": True,
    "disabled": False,
    "configuration": _CONFIGURATION_EXAMPLE,
    "eventsEnabled": True,
    "eventsNotificationCallbackUrl": "http://mycoolapp.com",
    "traceLoggingEnabled": False,
    "cachingEnabled": False,
    "externalAuthentication": "none",
    "user": {"id": 1},
}
_POLLS_EXAMPLE = {
    "contacts": {
        "url": "/hubs/crm/contacts?where=lastUpdated>'${gmtDate:yyyy-MM-dd'T'HH:mm:ss'Z'}'",
        "idField": "id",
        "datesConfiguration": {
            "updatedDateField": "_info.lastUpdated",
            "updatedDateFormat": "yyyy-MM-dd'T'HH:mm:ss'Z'",
            "updatedDateTimezone": "GMT",
            "createdDateField": "_info.lastUpdated",
            "createdDateFormat": "yyyy-MM-dd'T'HH:mm:ss'Z'",
            "createdDateTimezone": "GMT",
        },
    }
}
CREATE_EXAMPLES: dict[str, Any] = {
    "plain": {
        "element": {"key": "connectwisecrmrest"},
        "configuration": {
            "baseUrl": "https://api-na.myconnectwise.net/v4_6_release/apis/3.0",
            "company": "acme",
            "public.key": "<PUBLIC_KEY>",
            "private.key": "<PRIVATE_KEY>",
        },
        "tags": ["Docs"],
        "name": "API Instance",
    },
    "with polling": {
        "element": {"key": "connectwisecrmrest"},
        "configuration": {
            "baseUrl": "https://api-na.myconnectwise.net/v4_6_release/apis/3.0",
            "company": "acme",
            "public.key": "<PUBLIC_KEY>",
            "private.key": "<PRIVATE_KEY>",
            "event.notification.enabled": True,
            "event.notification.callback.url": "http://mycoolapp.com",
            "event.notification.signature.key": "<SIGNATURE_KEY>",
            "event.poller.refresh_interval": "15",
            "event.poller.configuration": _POLLS_EXAMPLE,
        },
        "tags": ["Test"],
        "name": "API_Polling",
    },
}
TRANSFORMATION_BODY_EXAMPLE: dict[str, Any] = {
    "vendorName": "contacts",
    "fields": [
        {"path": "givenName", "vendorPath": "firstName"},
        {"path": "employer.label", "vendorPath": "company.name"},
        {"path": "phones[*].number", "vendorPath": "communicationItems[*].value"},
    ],
    "configuration": [{"type": "remove", "properties": {"fromVendor": True}}],
}
TRANSFORMATION_EXAMPLE: dict[str, Any] = {"name": "myContacts", "level": "instance", **TRANSFORMATION_BODY_EXAMPLE}
PATCH_EXAMPLES: dict[str, Any] = {"interval": {"configuration": {"event.poller.refresh_interval": "5"}}}
KEY_EXAMPLE: dict[str, Any] = {
    "id": 14,
    "key": "event.poller.refresh_interval",
    "name": "Event poller refresh interval (mins)",
    "description": "How often ConnectWise is asked for changes, in minutes.",
    "propertyValue": "15",
    "active": True,
    "required": False,
    "type": "number",
}
_DEFAULT = {key: value for key, value in KEY_EXAMPLE.items() if key != "propertyValue"}
KEY_ROW_EXAMPLE: dict[str, Any] = _DEFAULT | {"defaultValue": "15"}
METADATA_EXAMPLE: dict[str, Any] = {
    "id": 3012,
    "name": "ConnectWise CRM REST",
    "key": "connectwisecrmrest",
    "description": "Reads ConnectWise PSA and tells of changes, found by polling.",
    "events": {"supported": True, "methods": ["polling"], "polling": _POLLS_EXAMPLE},
}
HUB_EXAMPLE: dict[str, Any] = {
    "id": 1,
    "key": "crm",
    "name": "CRM",
    "description": "Customers, contacts and what is done for them.",
    "active": True,
}
FIELDS_EXAMPLE: dict[str, Any] = {
    "fields": [
        {
            "type": "string",
            "vendorPath": "firstName",
            "vendorDisplayName": "First Name",
            "vendorNativeType": "string",
            "vendorRequired": True,
            "vendorReadOnly": False,
            "hidden": False,
            "method": [
                {"name": "GET", "response": True, "request": False},
                {"name": "POST", "request": True, "response": False},
            ],
            "filterable": True,
            "createable": True,
            "updateable": True,
            "custom": False,
        }
    ]
}
RECORD_EXAMPLE: dict[str, Any] = {"id": 17, "firstName": "…", "_info": {"lastUpdated": "2018-07-31T19:39:46Z"}}
DELIVERY_EXAMPLE: dict[str, Any] = {
    "id": 1047001,
    "channel": "webhook",
    "status": "queued",
    "webhookId": "msg_16037f3a-5cd5-4edc-97e8-b1c217430357",
    "instanceId": 523232,
    "objectType": "contacts",
    "events": 10,
    "createdDate": "2018-07-31T19:40:36Z",
    "url": "http://mycoolapp.com",
    "config": {"url": "http://mycoolapp.com"},
    "tries": 10,
    "nextTryDate": None,
    "lastError": "The receiver answered 503.",
    "paused": True,
    "pauseReason": "The receiver was away.",
}
HISTORY_EXAMPLE: dict[str, Any] = {
    "id": "35149",
    "eventDate": "2018-07-31T19:40:36Z",
    "status": "NOTIFIED",
    "providerData": '{"id":17,"firstName":"…","_info":{"lastUpdated":"2018-07-31T19:39:46Z"}}',
    "notifiedData": [
        {
            "objectType": "contacts",
            "objectId": "17",
            "date": "2018-07-31T19:39:46Z",
            "pollDate": "2018-07-31T19:40:36Z",
            "eventType": "UPDATED",
            "elementKey": "connectwisecrmrest",
            "hubKey": "crm",
        }
    ],
}
