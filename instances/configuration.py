"""The dotted wire keys and what they stand for, both ways (contract §2 and §4).

One table, `KEYS`. Values arrive as JSON types or strings, blanks count as not given, `"********"` keeps what is
stored; in answers every value is a string and every secret a mask. Keys that nobody knows are ignored, as in the
product; a value that can't be used is a `ConfigurationError` that names its key.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from cwconnect.connectwise.resources import DEFAULT_RESOURCES, default_configuration, find_resource
from instances import values
from instances.models import Instance
from instances.poll_configuration import PollConfigurationError, is_blank, read_poll
from instances.secrets import MASK
from instances.values import ConfigurationError

POLLS = "event.poller.configuration"
MOST_RESOURCES = 100
_NO_POLLS: Mapping[str, Mapping[str, Any]] = {}


@dataclass(frozen=True)
class Wanted:
    """Everything an instance's configuration says, in plain values; secrets are text here and never printed."""

    base_url: str = ""
    company: str = ""
    public_key: str = field(default="", repr=False)
    private_key: str = field(default="", repr=False)
    client_id: str = ""
    filter_nulls: bool = True
    events_enabled: bool = False
    callback_url: str = ""
    signature_key: str = field(default="", repr=False)
    callback_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    basic_username: str = ""
    basic_password: str = field(default="", repr=False)
    vendor_type: str = "polling"
    refresh_interval: int = 15
    polls: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: _NO_POLLS)

    @property
    def connection(self) -> tuple[str, str, str, str, str]:
        """What ConnectWise is reached by: when it changes, it must be proven again."""
        return self.base_url, self.company, self.public_key, self.private_key, self.client_id

    @property
    def site(self) -> tuple[str, str]:
        """Which company on which site, in one spelling: when it changes, all known records are another company's."""
        return self.base_url.lower(), self.company.lower()


@dataclass(frozen=True)
class Key:
    """One wire key: the field of `Wanted` it fills, how it is read, and what people are told about it."""

    name: str
    field: str
    kind: str
    title: str
    read: Callable[[Any], Any]
    required: bool = False
    secret: bool = False
    description: str = ""
    spellings: tuple[str, ...] = ()

    @property
    def default(self) -> Any:
        """What counts when the key is not given."""
        return getattr(Wanted(), self.field)


def _read_polls(given: Any) -> dict[str, dict[str, Any]]:
    given = values.json_object(given)
    if len(given) > MOST_RESOURCES:
        raise ConfigurationError({"": f"names more than {MOST_RESOURCES} resources"})
    problems: dict[str, str] = {}
    polls: dict[str, dict[str, Any]] = {}
    for name, configuration in given.items():
        try:
            polls[values.resource_name(name)] = read_poll(name, configuration)
        except PollConfigurationError as error:
            problems |= {f"{name}.{path}" if path else name: problem for path, problem in error.problems.items()}
    if problems:
        raise ConfigurationError(problems)
    return polls


KEYS: tuple[Key, ...] = (
    Key("baseUrl", "base_url", "string", "ConnectWise URL", values.base_url, required=True, spellings=("baseURL",)),
    Key("company", "company", "string", "Company", values.header_text(200), required=True),
    Key("public.key", "public_key", "password", "Public Key", values.header_text(1000), required=True, secret=True),
    Key("private.key", "private_key", "password", "Private Key", values.header_text(1000), required=True, secret=True),
    Key("connectwise.clientID", "client_id", "string", "Client ID", values.header_text(200)),
    Key("filter.response.nulls", "filter_nulls", "boolean", "Filter null values from the response", values.boolean),
    Key("event.notification.enabled", "events_enabled", "boolean", "Events Enabled", values.boolean),
    Key("event.notification.callback.url", "callback_url", "string", "Event Notification Callback URL", values.url),
    Key(
        "event.notification.signature.key",
        "signature_key",
        "password",
        "Signature key of notifications",
        values.text(1000),
        secret=True,
    ),
    Key(
        "event.notification.callback.headers",
        "callback_headers",
        "json",
        "Further headers of notifications",
        values.headers,
        secret=True,
    ),
    Key("event.notification.basic.username", "basic_username", "string", "Basic user", values.basic_username),
    Key(
        "event.notification.basic.password",
        "basic_password",
        "password",
        "Basic password",
        values.text(1000),
        secret=True,
    ),
    Key("event.vendor.type", "vendor_type", "string", "How events are found", values.vendor_type),
    Key(
        "event.poller.refresh_interval",
        "refresh_interval",
        "number",
        "Event poller refresh interval (mins)",
        values.minutes,
    ),
    Key(POLLS, "polls", "json", "Configure Polling", _read_polls),
)
_BY_NAME = {spelling: key for key in KEYS for spelling in (key.name, *key.spellings)}


def find_key(name: str) -> Key | None:
    """Give the key of that name, in any of its spellings."""
    return _BY_NAME.get(name)


def read_configuration(given: Mapping[str, Any], *, base: Wanted, stored: Wanted | None = None) -> Wanted:
    """Give what is wanted: `base` with the given keys in it, whole and valid.

    `base` is an empty `Wanted()` where the configuration replaces, the stored one where it is merged into that.
    Masks take what `stored` holds. Raises ConfigurationError that names every key at fault.
    """
    found: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for name, value in given.items():
        key = find_key(name)
        if key is None or (key.spellings and name != key.name and not is_blank(given.get(key.name))):
            continue
        try:
            found[key.field] = _read(key, value, base=base, stored=stored)
        except ConfigurationError as error:
            problems |= {f"{key.name}.{path}" if path else key.name: text for path, text in error.problems.items()}
    wanted = replace(base, **found)
    if not wanted.polls:
        wanted = replace(wanted, polls=default_polls())
    problems |= {name: text for name, text in _lacking(wanted).items() if name not in problems}
    if problems:
        raise ConfigurationError(problems)
    return wanted


def _read(key: Key, value: Any, *, base: Wanted, stored: Wanted | None) -> Any:
    if is_blank(value):
        # A blank must not silently drop what is watched; the other keys fall back to their default.
        return base.polls if key.name == POLLS else key.default
    if key.secret and stored is not None:
        value = _unmask(value, getattr(stored, key.field))
    if key.secret and value == MASK:
        raise ConfigurationError({"": "is a mask, and nothing is stored that it could stand for"})
    return key.read(value)


def _unmask(value: Any, stored: Any) -> Any:
    """Put what is stored in the place of masks: of a whole value, or of single headers."""
    if value == MASK and stored:
        return stored
    if not isinstance(stored, Mapping):
        return value
    kept = {name.lower(): text for name, text in stored.items()}
    given = values.header_items(value)
    return {name: kept.get(name.lower(), text) if text == MASK else text for name, text in given.items()}


def _lacking(wanted: Wanted) -> dict[str, str]:
    lacking = {key.name: "is required" for key in KEYS if key.required and not getattr(wanted, key.field)}
    if wanted.events_enabled and not wanted.callback_url:
        lacking["event.notification.callback.url"] = "is required when events are enabled"
    if wanted.basic_username and any(name.lower() == "authorization" for name in wanted.callback_headers):
        lacking["event.notification.callback.headers"] = "holds Authorization beside a Basic user; choose one"
    return lacking


def default_polls() -> dict[str, dict[str, Any]]:
    """Give the configuration of the resources that are polled when none are named."""
    return {
        name: default_configuration(resource)
        for name in DEFAULT_RESOURCES
        if (resource := find_resource(name)) is not None
    }


def wanted_of(instance: Instance) -> Wanted:
    """Give what is stored of an instance, its secrets opened; SecretUnreadableError when no key opens one."""
    plain: dict[str, Any] = {}
    for column in fields(Wanted):
        if column.name in ("polls", "vendor_type"):
            continue
        value = getattr(instance, column.name)
        plain[column.name] = value.reveal() if hasattr(value, "reveal") else "" if value is None else value
    plain["callback_headers"] = json.loads(plain["callback_headers"] or "{}")
    return Wanted(**plain, polls=polls_of(instance))


def polls_of(instance: Instance) -> dict[str, dict[str, Any]]:
    """Give the stored poll configuration by resource; `enabled` stands in it only where it is false."""
    return {
        poll.name: poll.configuration | ({} if poll.enabled else {"enabled": False})
        for poll in sorted(instance.resource_polls.all(), key=lambda poll: poll.pk)
    }


def to_wire(instance: Instance) -> dict[str, str]:
    """Give an instance's configuration for an answer: strings only, secrets masked, keys without a value left out."""
    wire: dict[str, str] = {}
    for key in KEYS:
        if key.name == POLLS:
            value: Any = polls_of(instance)
        elif key.field == "vendor_type":
            value = key.default
        else:
            value = getattr(instance, key.field)
        if value not in (None, ""):
            wire[key.name] = _wire_value(key, value)
    return wire


def _wire_value(key: Key, value: Any) -> str:
    if key.field == "callback_headers":
        return json.dumps(dict.fromkeys(json.loads(value.reveal()), MASK))
    if key.secret:
        return MASK
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
