"""What is stored of a subscription, as plain values, and plain values into its row."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from instances.configuration.wire import opened
from instances.credentials.overlap import OVERLAP
from instances.credentials.signature_keys import replace_key
from instances.secrets import Secret
from polling.models import Subscription
from polling.subscriptions.reading import Settings

COLUMNS = (
    *("name", "enabled", "filter", "form", "fields", "mapping", "retry_schedule", "retention_days", "updated_at"),
    *("callback_url", "callback_headers", "basic_username", "basic_password"),
    *("signature_key", "previous_signature_key", "previous_key_until"),
)
"""What people say of a subscription. The others are written by workers beside it."""
# What the audit log shows with what it was and what it is; of the rest it says that it changed.
_SHOWN = ("name", "enabled", "filter", "form", "fields", "mapping", "retry_schedule", "retention_days")
_UNSHOWN = {  # by the names that it has for those of an instance
    "url": "callback_url",
    "headers": "callback_headers",
    "basic_username": "basic_username",
    "basic_password": "basic_password",
    "signature_key": "signature_key",
}


def settings_of(subscription: Subscription) -> Settings:
    """Return what is stored of a subscription, its secrets opened; one that no key opens counts as not given."""
    row = subscription.notification_settings
    return Settings(
        name=subscription.name,
        enabled=subscription.enabled,
        url=row.callback_url,
        headers=json.loads(opened(row.callback_headers) or "{}"),
        basic_username=row.basic_username,
        basic_password=opened(row.basic_password),
        signature_key=opened(row.signature_key),
        filter=subscription.filter,
        form=subscription.form,
        fields=tuple(subscription.fields),
        mapping=subscription.mapping,
        retry_schedule=tuple(subscription.retry_schedule or ()),
        retention_days=subscription.retention_days or 0,
    )


def fill(subscription: Subscription, wanted: Settings, stored: Settings, now: datetime) -> None:
    """Put the plain values into the row, unsaved: of the first one what is its own, of secrets what is another.

    A signature key that is replaced signs beside the new one for a while, as an instance's does.
    """
    subscription.name, subscription.filter, subscription.form = wanted.name, wanted.filter, wanted.form
    subscription.fields, subscription.mapping = list(wanted.fields), wanted.mapping
    subscription.retry_schedule = list(wanted.retry_schedule) or None
    subscription.retention_days = wanted.retention_days or None
    if subscription.is_first:
        return
    subscription.enabled = wanted.enabled
    subscription.callback_url, subscription.basic_username = wanted.url, wanted.basic_username
    if wanted.headers != stored.headers:
        subscription.callback_headers = Secret.of(json.dumps(dict(wanted.headers))) if wanted.headers else None
    if wanted.basic_password != stored.basic_password:
        subscription.basic_password = Secret.of(wanted.basic_password) if wanted.basic_password else None
    if wanted.signature_key != stored.signature_key:
        replace_key(subscription, wanted.signature_key, now + OVERLAP)


def changes_of(before: Settings, after: Settings) -> dict[str, Any]:
    """Return what the audit log says of a change: `[old, new]` of what may be shown, of the rest that it changed."""
    differ = {member for member in (*_SHOWN, *_UNSHOWN) if getattr(before, member) != getattr(after, member)}
    shown = {
        member: [_plain(getattr(each, member)) for each in (before, after)] for member in _SHOWN if member in differ
    }
    return shown | {name: "changed" for member, name in _UNSHOWN.items() if member in differ}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
