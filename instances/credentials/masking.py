"""What of an instance may be shown nowhere, so that it is masked in the answers of those who were sent it."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl, urlsplit

from cwconnect.core.redact import parts_of
from instances.credentials.signature_keys import PREFIX
from instances.models import Instance, NotificationSettings
from instances.secrets import SecretField, SecretUnreadableError

HEADERS = "callback_headers"


def secrets_of(instance: Instance) -> tuple[str, ...]:
    """Return every secret of an instance: of all its secret fields, what programs may make of them, and of its URL.

    One that no encryption key opens was sent to nobody, and is left out.
    """
    login = (_opened(instance, "public_key"), _opened(instance, "private_key"))
    found = {*secrets_of_settings(instance), f"{instance.company}+{login[0]}:{login[1]}"}
    return tuple(sorted(found))


def secrets_of_settings(settings: NotificationSettings) -> tuple[str, ...]:
    """Return every secret of a row that says where notifications go: an instance's, or a subscription's."""
    found: set[str] = set()
    for field in settings._meta.get_fields():  # noqa: SLF001  (documented API of models)
        if isinstance(field, SecretField):
            found |= _parts(field.name, _opened(settings, field.name))
    if settings.basic_username:
        found.add(f"{settings.basic_username}:{_opened(settings, 'basic_password')}")  # as Basic encodes it
    found |= {value for _, value in parse_qsl(urlsplit(settings.callback_url).query)}
    return tuple(sorted(found - {""}))


def _opened(row: NotificationSettings, name: str) -> str:
    secret = getattr(row, name)
    try:
        return secret.reveal() if secret is not None else ""
    except SecretUnreadableError:
        return ""


def _parts(name: str, text: str) -> set[str]:
    if name == HEADERS:
        return {part for value in json.loads(text or "{}").values() for part in parts_of(str(value))}
    return {text, text.removeprefix(PREFIX)}
