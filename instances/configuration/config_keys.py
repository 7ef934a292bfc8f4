"""The table of the dotted wire keys: what each fills, how it is read and stored, what people read of it.

Answers, columns, forms, the audit log, the admin and the rule for secrets all go by this table; a key is added here,
with a column of its name on `Instance` and a field in a form.

Source: docs/wire-contract.md#4-configuration-keys-of-events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from instances.configuration import values
from instances.configuration.polls import PollConfigurationError, read_poll
from instances.configuration.values import ConfigurationError

POLLS = "event.poller.configuration"
CALLBACK_URL = "event.notification.callback.url"
CALLBACKS = "event.callbacks.enabled"
WRITES = "hub.writes.enabled"
REFRESH_INTERVAL = "event.poller.refresh_interval"
MOST_RESOURCES = 100


@dataclass(frozen=True)
class InstanceConfig:
    """Everything an instance's configuration says, in plain values; secrets are text here and never printed.

    `vendors` is no part of that: it reads of which resource each of the instance's field mappings is, by name.
    """

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
    callbacks_enabled: bool = False
    writes_enabled: bool = False
    polls: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    vendors: Callable[[], Mapping[str, str]] = field(default=dict, repr=False, compare=False)

    @property
    def connection(self) -> tuple[str, str, str, str, str]:
        """What ConnectWise is reached by: when it changes, it must be proven again."""
        return self.base_url, self.company, self.public_key, self.private_key, self.client_id

    @property
    def site(self) -> tuple[str, str]:
        """Which company on which site, in one spelling: when it changes, all snapshots are another company's."""
        return self.base_url.lower(), self.company.lower()


@dataclass(frozen=True)
class Key:
    """One wire key.

    `field` is what it fills: of `InstanceConfig`, of the row unless it is not `stored`, and of a form. `kind` is its
    type in the catalogue of keys. `audited`: the audit log shows its values, and else only that it changed. `sent_to`:
    the key of the URL that a secret is sent to, and stays with (destinations.py). `ours`: the product does not have it,
    so instances without it are shown as the product shows them.
    """

    name: str
    field: str
    kind: str
    read: Callable[[Any], Any]
    title: str
    description: str
    required: bool = False
    secret: bool = False
    spellings: tuple[str, ...] = ()
    stored: bool = True
    audited: bool = False
    sent_to: str = ""
    ours: bool = False

    @property
    def default(self) -> Any:
        """What counts when the key is not given."""
        return getattr(InstanceConfig(), self.field)


def _read_polls(given: Any) -> dict[str, dict[str, Any]]:
    given = values.json_object(given)
    if len(given) > MOST_RESOURCES:
        raise ConfigurationError({"": f"names more than {MOST_RESOURCES} resources"})
    problems: dict[str, str] = {}
    polls: dict[str, dict[str, Any]] = {}
    for spelled, configuration in given.items():
        name = values.resource_name(spelled)
        if name in polls:
            raise ConfigurationError({"": f"names the resource {name} twice"})
        try:
            polls[name] = read_poll(name, configuration)
        except PollConfigurationError as error:
            problems |= {f"{name}.{path}" if path else name: problem for path, problem in error.problems.items()}
    if problems:
        raise ConfigurationError(problems)
    return polls


# One row a key, which fits more readily into a table than into calls of many lines.
# fmt: off
_CONNECTION = (
    Key("baseUrl", "base_url", "string", values.base_url, "ConnectWise URL",
        "The URL of your ConnectWise site: https://api-na.myconnectwise.net/v4_6_release/apis/3.0, for example.",
        required=True, spellings=("baseURL",), audited=True),
    Key("company", "company", "string", values.header_text(200), "Company",
        "The company name that you use to log in.", required=True, audited=True),
    Key("public.key", "public_key", "password", values.header_text(1000), "Public Key",
        "The public key of a ConnectWise API member.", required=True, secret=True, sent_to="baseUrl"),
    Key("private.key", "private_key", "password", values.header_text(1000), "Private Key",
        "The private key of a ConnectWise API member.", required=True, secret=True, sent_to="baseUrl"),
    Key("connectwise.clientID", "client_id", "string", values.header_text(200), "Client ID",
        "The clientId of your integration; the service's own is sent where it is left out."),
    Key("filter.response.nulls", "filter_nulls", "boolean", values.boolean, "Filter null values from the response",
        "Leaves keys whose value is null out of responses and out of events' records.", audited=True),
)
_EVENTS = (
    Key("event.notification.enabled", "events_enabled", "boolean", values.boolean, "Events Enabled",
        "Whether resources are polled and changes are recorded, and sent where there is a callback URL.", audited=True),
    Key(CALLBACK_URL, "callback_url", "string", values.url, "Event Notification Callback URL",
        "Where notifications are sent. Without one nothing is: events are recorded, and pulled by GET /v1/events."),
    Key("event.notification.signature.key", "signature_key", "password", values.text(1000), "Signature key",
        "Signs every notification.", secret=True),
    Key("event.notification.callback.headers", "callback_headers", "json", values.headers, "Callback headers",
        "Further request headers of notifications: an object, or lines of the form Name: value.", secret=True,
        sent_to=CALLBACK_URL),
    Key("event.notification.basic.username", "basic_username", "string", values.basic_username, "Basic user",
        "The user for Basic authentication at the receiver."),
    Key("event.notification.basic.password", "basic_password", "password", values.text(1000), "Basic password",
        "The password for Basic authentication at the receiver.", secret=True, sent_to=CALLBACK_URL),
    Key("event.vendor.type", "vendor_type", "string", values.vendor_type, "Vendor event type",
        "How changes are found: by polling.", stored=False, audited=True),
    Key(REFRESH_INTERVAL, "refresh_interval", "number", values.minutes,
        "Event poller refresh interval (mins)", "How often ConnectWise is asked for changes, in minutes.",
        audited=True),
    Key(POLLS, "polls", "json", _read_polls, "Configure Polling",
        "The resources to poll, each with its url, idField and datesConfiguration.", stored=False),
    # The last, since a key's place in the table is its id.
    Key(CALLBACKS, "callbacks_enabled", "boolean", values.boolean, "ConnectWise's callbacks",
        "Whether ConnectWise announces changes, so that resources are polled at once. Polls go on all the same.",
        audited=True, ours=True),
    Key(WRITES, "writes_enabled", "boolean", values.boolean, "Writes to ConnectWise",
        "Whether hub routes may create, change and delete records of ConnectWise; the API key needs the right too.",
        audited=True, ours=True),
)
# fmt: on
KEYS: tuple[Key, ...] = (*_CONNECTION, *_EVENTS)
STORED_KEYS = tuple(key for key in KEYS if key.stored)
_BY_NAME = {spelling: key for key in KEYS for spelling in (key.name, *key.spellings)}


def find_key(name: str) -> Key | None:
    """Return the key of that name, in any of its spellings."""
    return _BY_NAME.get(name)
