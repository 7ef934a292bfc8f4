"""The actions on instances: each calls the function that changes one instance, wherever that is asked for.

Rules stay where they are: what a change of one instance refuses, these refuse in the same words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.utils import timezone

from cwconnect.core.errors import DomainError
from cwconnect.core.text import counted
from cwconnect.core.unseen import find_unseen_in_name, trim
from instances.configuration.config_keys import CALLBACKS, REFRESH_INTERVAL
from instances.configuration.values import ConfigurationError, minutes
from instances.configuration.wire import config_of, read_configuration
from instances.models import Instance
from instances.provisioning import change_instance, delete_instance, set_enabled, set_tags
from polling.bulk.registry import Arguments, BulkAction, register_action
from polling.bulk.replaying import REPLAYING
from polling.delivery.pausing import release_all_of
from polling.models import DeliveryState
from polling.workers.due import poll_now
from polling.workers.queue import wake_on_commit
from polling.workers.wakeups import Kind

MOST_TAGS = 100  # of an instance, as the API has it
LONGEST_TAG = 200
Title = Callable[[int, Arguments], str]


def register_actions() -> None:
    """Register what can be done to many instances."""
    for action in (
        BulkAction("enable", _titled("Enable {}"), lambda instance, _: set_enabled(instance, enabled=True)),
        BulkAction("disable", _titled("Disable {}"), lambda instance, _: set_enabled(instance, enabled=False)),
        BulkAction("poll", _titled("Poll {} now"), _poll),
        BulkAction("interval", _interval_title, _set_interval, read=_read_interval),
        BulkAction("add-tags", _tags_title("Add {} to {}"), _add_tags, read=_read_tags),
        BulkAction("remove-tags", _tags_title("Remove {} from {}"), _remove_tags, read=_read_tags),
        BulkAction("callbacks-on", _titled("Callbacks on for {}"), lambda each, _: _set(each, {CALLBACKS: True})),
        BulkAction("callbacks-off", _titled("Callbacks off for {}"), lambda each, _: _set(each, {CALLBACKS: False})),
        BulkAction("release", _titled("Release delivery of {}"), _release),
        REPLAYING,
        BulkAction("delete", _titled("Delete {}"), lambda each, _: delete_instance(each), warning=_what_goes),
    ):
        register_action(action)


def _titled(words: str) -> Title:
    return lambda count, _: words.format(counted(count, "instance"))


def _what_goes(count: int) -> str:
    one = count == 1
    return (
        f"{counted(count, 'instance')} and all that is known for {'it' if one else 'them'} will be gone: events, "
        f"what waits to be delivered, settings, keys and tokens. ConnectWise keeps its data. This can’t be undone."
    )


def _poll(instance: Instance, _: Arguments) -> None:
    if not instance.watching:
        raise DomainError("It is disabled." if instance.disabled else "Its events are off.")
    if not poll_now(instance):
        raise DomainError("None of its resources is polled.")
    wake_on_commit(Kind.POLL)


def _read_interval(given: Mapping[str, str]) -> dict[str, Any]:
    try:
        return {"minutes": minutes(given.get("minutes", ""))}
    except ConfigurationError as error:
        raise DomainError(f"The interval {error.problems['']}.") from None


def _interval_title(count: int, arguments: Arguments) -> str:
    return f"Interval of {counted(count, 'instance')} → {arguments['minutes']:,} min"


def _set_interval(instance: Instance, arguments: Arguments) -> None:
    _set(instance, {REFRESH_INTERVAL: arguments["minutes"]})


def _set(instance: Instance, given: Mapping[str, Any]) -> None:
    """Change an instance's configuration, as PATCH of it does; one that is so already is left alone."""
    stored = config_of(instance)
    config = read_configuration(given, base=stored, stored=stored)
    if config != stored:
        change_instance(instance, config=config)


def _read_tags(given: Mapping[str, str]) -> dict[str, Any]:
    tags = list(dict.fromkeys(trim(tag) for tag in given.get("tags", "").split(",") if trim(tag)))
    if not tags:
        raise DomainError("No tag was named.")
    for tag in tags:
        if unseen := find_unseen_in_name(tag):
            raise DomainError(f"A tag holds {unseen}.")
        if len(tag) > LONGEST_TAG:
            raise DomainError(f"A tag is longer than {LONGEST_TAG} characters.")
    return {"tags": tags}


def _tags_title(words: str) -> Title:
    return lambda count, arguments: words.format(_named(arguments["tags"]), counted(count, "instance"))


def _named(tags: list[str]) -> str:
    named = "tag " + ", ".join(tags[:3]) if len(tags) < 4 else counted(len(tags), "tag")
    return named if len(named) < 200 else counted(len(tags), "tag")


def _add_tags(instance: Instance, arguments: Arguments) -> None:
    _tag(instance, list(dict.fromkeys([*instance.tags, *arguments["tags"]])))


def _remove_tags(instance: Instance, arguments: Arguments) -> None:
    _tag(instance, [tag for tag in instance.tags if tag not in arguments["tags"]])


def _tag(instance: Instance, tags: list[str]) -> None:
    if len(tags) > MOST_TAGS:
        raise DomainError(f"It would have more than {MOST_TAGS} tags.")
    set_tags(instance, tags)


def _release(instance: Instance, _: Arguments) -> None:
    if not DeliveryState.objects.filter(subscription__instance=instance, paused_at__isnull=False).exists():
        raise DomainError("Its delivery is not paused.")
    release_all_of(instance, timezone.now())
