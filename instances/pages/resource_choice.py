"""The choice of resources on a page: by boxes and a few options, or by the wire's JSON for those who want it.

A resource whose JSON was opened is configured by that JSON alone, so that there is one place for each value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from cwconnect.connectwise.catalogue import (
    DEFAULT_RESOURCES,
    Resource,
    all_resources,
    default_configuration,
    find_resource,
)
from cwconnect.core.unseen import trim
from instances.configuration import values
from instances.configuration.config_keys import POLLS
from instances.configuration.values import ConfigurationError

ZONE_KEYS = ("updatedDateTimezone", "createdDateTimezone")
DEFAULT_ZONE = "GMT"


@dataclass(frozen=True)
class Choice:
    """One resource as a form shows it. `json` is its configuration as text; None where the options say all of it."""

    name: str
    path: str
    words: str
    chosen: bool = False
    detect_deletes: bool = False
    track_changes: bool = False
    page_size: str = ""
    time_zone: str = DEFAULT_ZONE
    json: str | None = None
    error: str = ""

    @property
    def opened(self) -> bool:
        """Whether its options should be seen at once."""
        return self.json is not None or bool(self.error)


def blank_choices(asked: str = "") -> list[Choice]:
    """Return the catalogue with the usual resources chosen, or that alone which was `asked` for by its name."""
    chosen = (asked,) if find_resource(asked) else DEFAULT_RESOURCES
    return [
        Choice(resource.name, resource.path, _words(resource), resource.name in chosen) for resource in all_resources()
    ]


def posted_choices(data: QueryDict, problems: Mapping[str, str] | None = None) -> list[Choice]:
    """Return the catalogue as it was sent, each resource with what is wrong with it."""
    found = _by_resource(problems or {})
    return [posted_choice(data, resource.name, error=found.get(resource.name, "")) for resource in all_resources()]


def posted_choice(data: QueryDict, name: str, *, error: str = "") -> Choice:
    """Return one resource as it was sent."""
    resource = find_resource(name)
    return Choice(
        name=name,
        path=resource.path if resource else "",
        words=_words(resource) if resource else name.lower(),
        chosen=name in data.getlist("watch"),
        detect_deletes=f"{name}.detectDeletes" in data,
        track_changes=f"{name}.trackChanges" in data,
        page_size=data.get(f"{name}.pageSize", ""),
        time_zone=data.get(f"{name}.timeZone", DEFAULT_ZONE),
        json=data.get(f"{name}.json"),
        error=error,
    )


def choice_of(name: str, configuration: Mapping[str, Any]) -> Choice:
    """Return a stored configuration as a form shows it: by options where they say all of it, else by its JSON."""
    resource = find_resource(name)
    dates = configuration.get("datesConfiguration") or {}
    choice = Choice(
        name=name,
        path=resource.path if resource else "",
        words=name.lower(),
        chosen=True,
        detect_deletes=bool(configuration.get("detectDeletes")),
        track_changes=bool(configuration.get("trackChanges")),
        page_size=str(configuration.get("pageSize") or ""),
        time_zone=str(dates.get(ZONE_KEYS[0]) or DEFAULT_ZONE),
    )
    plain = {key: value for key, value in configuration.items() if key != "enabled"}
    if resource is not None and by_options(choice) == plain:
        return choice
    return Choice(name=name, path=choice.path, words=choice.words, chosen=True, json=written(plain))


def by_options(choice: Choice) -> dict[str, Any]:
    """Return the configuration that the options stand for."""
    resource = find_resource(choice.name)
    configuration: dict[str, Any] = {} if resource is None else default_configuration(resource)
    if trim(choice.time_zone) not in ("", DEFAULT_ZONE):
        configuration["datesConfiguration"] |= dict.fromkeys(ZONE_KEYS, trim(choice.time_zone))
    if size := trim(choice.page_size):
        configuration["pageSize"] = int(size) if size.isdecimal() and len(size) < 10 else size
    if choice.detect_deletes:
        configuration["detectDeletes"] = True
    if choice.track_changes:
        configuration["trackChanges"] = True
    return configuration


def configuration_of(choice: Choice) -> dict[str, Any]:
    """Return the configuration that was typed; ConfigurationError if its JSON can't be read."""
    if choice.json is None:
        return by_options(choice)
    try:
        return values.json_object(choice.json)
    except ConfigurationError as error:
        raise ConfigurationError({f"{POLLS}.{choice.name}": error.problems[""]}) from None


def chosen_polls(choices: list[Choice]) -> dict[str, Any]:
    """Return the configurations of what was chosen; ConfigurationError, also when nothing was."""
    chosen = [choice for choice in choices if choice.chosen]
    if not chosen:
        raise ConfigurationError({POLLS: "Choose at least one resource."})
    return {choice.name: configuration_of(choice) for choice in chosen}


def written(configuration: Mapping[str, Any]) -> str:
    """Write a configuration as JSON for people."""
    return json.dumps(configuration, indent=2, ensure_ascii=False)


def _words(resource: Resource) -> str:
    return " ".join((resource.name, resource.path, *resource.aliases)).lower()


def _by_resource(problems: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for path, text in problems.items():
        name, _, key = path.removeprefix(f"{POLLS}.").partition(".")
        if path.startswith(f"{POLLS}."):
            found[name] = f"{found.get(name, '')} {key + ': ' if key else ''}{text}".strip()
    return found
