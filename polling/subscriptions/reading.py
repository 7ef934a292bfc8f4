"""What a subscription is to be, read from JSON; every mistake names its member.

Source: docs/wire-contract.md#subscriptions. What goes for an instance's `event.notification` keys goes here too: how
URL, headers, Basic login and signature key are read, that a mask keeps what is stored, and that what is sent to a URL
stays with its scheme, host and port (instances/configuration/destinations.py). A null is as if the member were left
out, since programs made from the description send it so; an empty value takes away.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from cwconnect.core.unseen import find_unseen, find_unseen_in_name, trim
from instances.configuration import values
from instances.configuration.destinations import GIVE_ANEW, is_elsewhere
from instances.configuration.values import ConfigurationError
from instances.secrets import MASK
from polling.filters.reading import FilterError, parse_filter
from polling.models import Subscription

MOST_FIELDS: Final = 100
LONGEST_FIELD: Final = 100  # characters
MOST_TRIES: Final = 50
LONGEST_WAIT: Final = 7 * 86_400  # seconds before one try
LONGEST_RETENTION: Final = 3650  # days
OF_THE_INSTANCE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "enabled": "event.notification.enabled",
        "url": "event.notification.callback.url",
        "headers": "event.notification.callback.headers",
        "basic": "event.notification.basic.username and event.notification.basic.password",
        "signature_key": "event.notification.signature.key",
    }
)
"""What is the instance's own of its first subscription: the configuration keys that change it."""


@dataclass(frozen=True)
class Settings:
    """Everything that may be said of a subscription, in plain values; secrets are text here and never printed.

    `filter` is JSON text, and empty where every event is wanted; `fields` and `retry_schedule` (seconds) are empty, and
    `retention_days` 0, where nothing is said of them.
    """

    name: str = ""
    enabled: bool = True
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    basic_username: str = ""
    basic_password: str = field(default="", repr=False)
    signature_key: str = field(default="", repr=False)
    filter: str = ""
    form: str = Subscription.Form.ELEMENTS.value
    fields: tuple[str, ...] = ()
    mapping: str = ""
    retry_schedule: tuple[float, ...] = ()
    retention_days: int = 0


Found = dict[str, Any]  # fields of Settings
_NO_MASK = "is a mask, and nothing is stored that it could stand for"


def read_settings(given: Mapping[str, Any], *, base: Settings, mappings: Collection[str], first: bool) -> Settings:
    """Return what is wanted: `base`, what is stored or nothing yet, with the given members in it, whole and valid.

    `mappings` are the names of the instance's field mappings; `first` says whether it is the instance's first one.
    Raises ConfigurationError that names every member at fault.
    """
    found: Found = {}
    anew: set[str] = set()
    problems: dict[str, str] = {}
    for member, value in given.items():
        if value is None:
            continue
        try:
            if first and member in OF_THE_INSTANCE:
                raise _wrong(f"is the instance's own of its first subscription: change {OF_THE_INSTANCE[member]}")
            if member not in _READERS:
                raise _wrong("is not known here")
            found |= _READERS[member](value, base)
            anew |= _given_anew(member, value)
        except ConfigurationError as error:
            named = member[:50]
            problems |= {f"{named}.{path}" if path else named: text for path, text in error.problems.items()}
    wanted = replace(base, **found)
    problems = _lacking(wanted, base, mappings, first=first) | _kept_elsewhere(wanted, base, anew) | problems
    if problems:
        raise ConfigurationError(problems)
    return wanted


def _wrong(text: str) -> ConfigurationError:
    return ConfigurationError({"": text})


def _lacking(wanted: Settings, base: Settings, mappings: Collection[str], *, first: bool) -> dict[str, str]:
    lacking = {} if wanted.name else {"name": "is required"}
    if not (wanted.url or first):
        lacking["url"] = "is required"
    if wanted.basic_username and any(name.lower() == "authorization" for name in wanted.headers):
        lacking["headers"] = "holds Authorization beside a Basic user; choose one"
    if wanted.mapping not in ("", base.mapping, *mappings):
        lacking["mapping"] = f"names no transformation of this instance: there is no {wanted.mapping}"
    if wanted.mapping and wanted.fields:
        lacking["mapping"] = "can't stand beside fields: a mapping says itself what is sent; choose one"
    return lacking


def _kept_elsewhere(wanted: Settings, base: Settings, anew: Collection[str]) -> dict[str, str]:
    """Return what is wrong with secrets that would go to another URL's host than they were given for."""
    if not is_elsewhere(wanted.url, base.url):
        return {}
    kept = {"headers": base.headers and wanted.headers, "basic.password": base.basic_password and wanted.basic_password}
    return {member: GIVE_ANEW.format("url") for member, value in kept.items() if value and member not in anew}


def _given_anew(member: str, value: Any) -> set[str]:
    """Return the member, if it is given whole without a mask; of `basic`, its password."""
    if member == "headers":
        return set() if MASK in value.values() else {member}
    return {"basic.password"} if member == "basic" and value.get("password") not in (None, MASK) else set()


def _name(value: Any, _: Settings) -> Found:
    name = trim(value) if isinstance(value, str) else value
    if not isinstance(name, str) or not 0 < len(name) <= 200:
        raise _wrong("must be a text of 1 to 200 characters")
    if unseen := find_unseen_in_name(name):
        raise _wrong(f"holds {unseen}")
    return {"name": name}


def _enabled(value: Any, _: Settings) -> Found:
    if not isinstance(value, bool):
        raise _wrong("must be true or false")
    return {"enabled": value}


def _headers(value: Any, base: Settings) -> Found:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise _wrong("must be an object of texts")
    kept = {name.lower(): text for name, text in base.headers.items()}
    read = values.headers(
        {name: kept.get(name.lower(), text) if text == MASK else text for name, text in value.items()}
    )
    if MASK in read.values():
        raise _wrong("holds a mask, and nothing is stored that it could stand for")
    return {"headers": read}


def _basic(value: Any, base: Settings) -> Found:
    """Read the Basic login: what is null of it stays, and a password that is left out; without a user, none."""
    if not isinstance(value, dict):
        raise _wrong('must be an object: {"username": …, "password": …}')
    if unknown := [member for member in value if member not in ("username", "password")]:
        raise ConfigurationError({unknown[0][:50]: "is not known here"})
    username = value.get("username", "")
    username = base.basic_username if username is None else _read("username", values.basic_username, username)
    password = value.get("password")
    if password == MASK and not base.basic_password:
        raise ConfigurationError({"password": _NO_MASK})
    if password in (None, MASK):
        read = base.basic_password if username else ""
    else:
        read = _read("password", values.text(1000), password)
    if read and not username:
        raise ConfigurationError({"username": "is required beside a password"})
    return {"basic_username": username, "basic_password": read}


def _read(member: str, reader: Callable[[Any], str], value: Any) -> str:
    try:
        return reader(value)
    except ConfigurationError as error:
        raise ConfigurationError({member: error.problems[""]}) from None


def _signature_key(value: Any, base: Settings) -> Found:
    if value != MASK:
        return {"signature_key": values.text(1000)(value)}
    if not base.signature_key:
        raise _wrong(_NO_MASK)
    return {}


def _filter(value: Any, _: Settings) -> Found:
    """Read a filter as it is stored: JSON text, without the members that ask for nothing."""
    if isinstance(value, dict):
        value = {member: wanted for member, wanted in value.items() if wanted is not None}
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        parse_filter(text)
    except FilterError as error:
        member, words = f"{error}: ".split(": ", 1)
        if member.startswith("it "):  # of the whole, and whatever stands behind a colon is part of it
            raise _wrong(str(error).removeprefix("it ")) from None
        raise ConfigurationError({member: words.removesuffix(": ")}) from None
    except RecursionError:
        raise _wrong("is nested too deeply") from None
    return {"filter": "" if text == "{}" else text}


def _form(value: Any, _: Settings) -> Found:
    if value not in Subscription.Form.values:
        raise _wrong(f"must be one of {', '.join(Subscription.Form.values)}")
    return {"form": value}


def _fields(value: Any, _: Settings) -> Found:
    if not isinstance(value, list) or len(value) > MOST_FIELDS:
        raise _wrong(f"must be a list of at most {MOST_FIELDS} names; an empty one is of all")
    names: dict[str, str] = {}
    for place, item in enumerate(value):
        name = trim(item) if isinstance(item, str) else ""
        if not 0 < len(name) <= LONGEST_FIELD or find_unseen(name):
            words = f"must be a text of 1 to {LONGEST_FIELD} characters that can be seen"
            raise ConfigurationError({str(place): words})
        if "." in name:
            words = f"must be a top field, like {name.partition('.')[0] or 'company'}, not {name}"
            raise ConfigurationError({str(place): words})
        names.setdefault(name.lower(), name)
    return {"fields": tuple(names.values())}


def _mapping(value: Any, _: Settings) -> Found:
    return {"mapping": values.text(200)(values.trimmed(value))}


def _retry_schedule(value: Any, _: Settings) -> Found:
    if not isinstance(value, list) or len(value) > MOST_TRIES:
        raise _wrong(f"must be a list of 1 to {MOST_TRIES} numbers of seconds; an empty one is the service's")
    for place, seconds in enumerate(value):
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= LONGEST_WAIT:
            raise ConfigurationError({str(place): f"must be a number of seconds from 0 to {LONGEST_WAIT:,}"})
    return {"retry_schedule": tuple(value)}


def _retention_days(value: Any, _: Settings) -> Found:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LONGEST_RETENTION:
        raise _wrong(f"must be a whole number of days from 1 to {LONGEST_RETENTION:,}; 0 is the service's")
    return {"retention_days": value}


_READERS: Final[Mapping[str, Callable[[Any, Settings], Found]]] = MappingProxyType(
    {
        "name": _name,
        "enabled": _enabled,
        "url": lambda value, _: {"url": values.url(value)},
        "headers": _headers,
        "basic": _basic,
        "signature_key": _signature_key,
        "filter": _filter,
        "form": _form,
        "fields": _fields,
        "mapping": _mapping,
        "retry_schedule": _retry_schedule,
        "retention_days": _retention_days,
    }
)
