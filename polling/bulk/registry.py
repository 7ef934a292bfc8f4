"""The actions that bulk jobs carry out, by name. Whoever has another registers it when the apps are ready."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cwconnect.core.errors import DomainError
from instances.models import Instance

Arguments = Mapping[str, Any]
"""What an action needs to know, as it is stored: JSON."""


def no_arguments(given: Mapping[str, str]) -> dict[str, Any]:
    """Read nothing: the action is the same each time."""
    return {}


@dataclass(frozen=True)
class BulkAction:
    """What a job does to each of its instances.

    `apply` does it to one, within a transaction that is the job's as well: so it is done once, however often a worker
    dies. It asks nothing outside, and raises DomainError for an instance that it leaves as it is. `title` says of how
    many instances what is done; `read` reads its arguments from a form's fields (DomainError). `warning` says of how
    many what is lost: such an action is asked about once before it begins.
    """

    name: str
    title: Callable[[int, Arguments], str]
    apply: Callable[[Instance, Arguments], object]
    read: Callable[[Mapping[str, str]], dict[str, Any]] = no_arguments
    warning: Callable[[int], str] | None = None


_actions: dict[str, BulkAction] = {}


def register_action(action: BulkAction) -> None:
    """Let jobs carry out an action, in place of the one of that name if there is one."""
    _actions[action.name] = action


def find_action(name: str) -> BulkAction:
    """Return the action of that name; DomainError if there is none."""
    try:
        return _actions[name]
    except KeyError:
        raise DomainError("There is no such action.") from None
