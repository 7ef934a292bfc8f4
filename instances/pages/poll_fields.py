"""The keys of a resource poll as fields of a form, beside the same as JSON; both are one configuration.

A key is a row of the table here, with its words. What a field shows (`shown_text`) is read from the configuration, and
what is typed (`with_text`) is written into it and leaves everything else as it was: a key that the form does not know
stays. `poll_fields.js` keeps fields and JSON in step by the same rules; without it the server does (`read_posted`).

Source: docs/wire-contract.md#4-configuration-keys-of-events.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cwconnect.core.unseen import trim
from instances.configuration import values
from instances.configuration.polls import LARGEST_PAGE, UPDATED_FORMAT, is_blank
from instances.configuration.values import ConfigurationError
from instances.plans import LOOK_BACK, OWN_STAMP

_DATES = "datesConfiguration"
TEXT, NUMBER, SWITCH = "text", "number", "switch"
_MOST_DIGITS = 9  # what is longer is no number of anything here, and is refused as it was typed


@dataclass(frozen=True)
class PollKey:
    """One key: `places` are the paths at which it may stand, the first of them where it is written.

    `default` is what counts where it is not given, as a field would show it; `unit` stands behind a number.
    `names_field`: its value is the name of a field, and those that are known are offered.
    """

    places: tuple[str, ...]
    kind: str
    label: str
    help: str = ""
    default: str = ""
    unit: str = ""
    wide: bool = False
    names_field: bool = False

    @property
    def name(self) -> str:
        """The field's name in the form."""
        return self.places[0]


# One row a key, which fits more readily into a table than into calls of many lines.
# fmt: off
GROUPS: tuple[tuple[str, tuple[PollKey, ...]], ...] = (
    ("What is read", (
        PollKey(("url",), TEXT, "URL (path)",
                "The list of ConnectWise that is read and, after where=, which of its records; ${…} stands for the "
                "time of the last poll. Default: the catalogue's list, by its update date.", wide=True),
        PollKey(("idField",), TEXT, "ID field",
                "Where a record's id stands; events carry it as objectId. Default: id.", "id", names_field=True),
        PollKey(("pageSize",), NUMBER, "Page size",
                f"Records asked for by one request. Default: {LARGEST_PAGE:,}, the most that ConnectWise gives.",
                f"{LARGEST_PAGE}", "records"),
    )),
    ("Dates", (
        PollKey((f"{_DATES}.updatedDateField",), TEXT, "Updated date: field",
                f"Where a record says when it was changed. Default: {OWN_STAMP}.", OWN_STAMP,
                names_field=True),
        PollKey((f"{_DATES}.createdDateField",), TEXT, "Created date: field",
                "Where a record says when it was made. Default: none; the id alone shows what is new.",
                names_field=True),
        PollKey((f"{_DATES}.updatedDateFormat",), TEXT, "Updated date: format",
                f"How it is written, as a pattern of Java's. Default: {UPDATED_FORMAT}.", UPDATED_FORMAT),
        PollKey((f"{_DATES}.createdDateFormat",), TEXT, "Created date: format",
                "How it is written, as a pattern of Java's. Default: as the updated date."),
        PollKey((f"{_DATES}.updatedDateTimezone",), TEXT, "Updated date: time zone",
                "Of dates that name none themselves. Default: UTC, which ConnectWise writes.", "UTC"),
        PollKey((f"{_DATES}.createdDateTimezone",), TEXT, "Created date: time zone",
                "Of dates that name none themselves. Default: as the updated date."),
        PollKey(("createdCheckTolerance", f"{_DATES}.createdCheckTolerance"), NUMBER, "Created check tolerance",
                "A record never seen counts as created if its two dates lie no further apart. Default: 0.", "0",
                "seconds"),
        PollKey(("pollDelay",), NUMBER, "Poll delay",
                "How far before the last poll each poll begins to look, for records that show late. At least "
                f"{LOOK_BACK.total_seconds():.0f} seconds are looked back at all times. Default: 0.", "0", "seconds"),
    )),
    ("What is recorded", (
        PollKey(("trackChanges",), SWITCH, "Record which fields changed",
                "From what to what; each record's last content is kept for that. Default: no.", "false"),
        PollKey(("ignoreEmptyChanges",), SWITCH, "Record nothing where only the date moved",
                "A note or a phone number may have been written beneath the record then. Default: no.", "false"),
        PollKey(("filterByUpdatedDate", "filterByUpdateDate"), SWITCH, "Leave out what was not updated since",
                "Records whose updated date lies before the poll's window. Default: yes.", "true"),
        PollKey(("filterByCurrentDate",), SWITCH, "Leave out what was updated after the poll began",
                "The next poll reads it again. Default: no.", "false"),
    )),
    ("Deletes", (
        PollKey(("detectDeletes",), SWITCH, "Look for deleted records",
                "Compares all ids now and then: a request for each 1,000 records. Default: no.", "false"),
        PollKey(("deleteSweepMinutes",), NUMBER, "Time between two looks for deletes",
                "Default: 1,440, a day.", "1440", "minutes"),
    )),
)
# fmt: on
POLL_KEYS = tuple(key for _, keys in GROUPS for key in keys)
KEY_AT = {place: key for key in POLL_KEYS for place in key.places}


def written(configuration: Mapping[str, Any]) -> str:
    """Write a configuration as JSON for people."""
    return json.dumps(configuration, indent=2, ensure_ascii=False)


def shown_text(configuration: Mapping[str, Any], key: PollKey) -> str:
    """Return what the field of a key shows: `true` or `false` of a switch, else the value as text; "" if not given."""
    given = _given(configuration, key)
    if key.kind == SWITCH:
        return key.default if given is None else _switched(given, key)
    if given is None or isinstance(given, str):
        return given or ""
    return json.dumps(given, ensure_ascii=False)


def with_text(configuration: Mapping[str, Any], key: PollKey, typed: str) -> dict[str, Any]:
    """Return the configuration with what was typed into the field of a key; empty takes the key out."""
    if is_blank(typed):
        found = dict(configuration)
        for place in key.places:
            found = _without(found, place.split("."))
        return found
    place = next((place for place in key.places if _at(configuration, place) is not None), key.name)
    return _with(configuration, place.split("."), _value(key, trim(typed)))


def read_posted(given: Mapping[str, str], base: Mapping[str, Any]) -> tuple[dict[str, Any], ConfigurationError | None]:
    """Return the configuration that was sent, and what is wrong with its JSON, if anything.

    `given` are the fields by name, `json` as it was sent, and `was`, the JSON that all of them showed first. The JSON
    counts, and in it each field that was changed by itself: without a script nothing has kept them in step. Without
    `was` nobody knows what was changed, and the JSON counts alone; without JSON the fields are those of `base`.
    """
    was, wrong = _read_json(given.get("was"), base)[0], None
    configuration = dict(base)
    if "json" in given:
        configuration, wrong = _read_json(given["json"], was)
    for key in POLL_KEYS if "was" in given or "json" not in given else ():
        typed = given.get(key.name)
        if typed is not None and trim(typed) not in (shown_text(was, key), shown_text(configuration, key)):
            configuration = with_text(configuration, key, typed)
    return configuration, wrong


def _read_json(text: str | None, instead: Mapping[str, Any]) -> tuple[dict[str, Any], ConfigurationError | None]:
    try:
        return dict(instead) if text is None else values.json_object(text if trim(text) else "{}"), None
    except ConfigurationError as error:
        return dict(instead), error


def _given(configuration: Mapping[str, Any], key: PollKey) -> Any:
    """Return what is given of a key, at the first of its places that is not blank; None if nothing is."""
    found = (_at(configuration, place) for place in key.places)
    return next((value for value in found if not is_blank(value)), None)


def _at(configuration: Any, place: str) -> Any:
    for part in place.split("."):
        configuration = configuration.get(part) if isinstance(configuration, Mapping) else None
    return configuration


def _switched(given: Any, key: PollKey) -> str:
    try:
        return "true" if values.boolean(given) else "false"
    except ConfigurationError:
        return key.default


def _value(key: PollKey, typed: str) -> Any:
    if key.kind == SWITCH:
        return typed in ("true", "on")
    if key.kind == NUMBER and typed.isascii() and typed.isdigit() and len(typed) <= _MOST_DIGITS:
        return int(typed)
    return typed


def _with(configuration: Any, way: list[str], value: Any) -> dict[str, Any]:
    found = dict(configuration) if isinstance(configuration, Mapping) else {}
    found[way[0]] = _with(found.get(way[0]), way[1:], value) if way[1:] else value
    return found


def _without(configuration: dict[str, Any], way: list[str]) -> dict[str, Any]:
    found = {name: value for name, value in configuration.items() if name != way[0] or way[1:]}
    if way[1:] and isinstance(found.get(way[0]), Mapping):
        found[way[0]] = _without(dict(found[way[0]]), way[1:])
    return found
