"""The action *replay* of bulk jobs: each instance's notifications of one selection are sent again.

Its arguments: `selection`, as JSON, and of how many `notifications` that was when they were counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from cwconnect.core.errors import DomainError
from cwconnect.core.text import counted
from instances.models import Instance
from polling.bulk.registry import Arguments, BulkAction
from polling.delivery.replay.replays import start_replay
from polling.delivery.replay.selection import select, selection_of

REPLAY = "replay"


def _title(count: int, arguments: Arguments) -> str:
    notifications = counted(arguments["notifications"], "notification")
    return f"Replay {notifications} of {counted(count, 'instance')}"


def _read(given: Mapping[str, str]) -> dict[str, Any]:
    raise DomainError("What is sent again is chosen on Deliveries or Events.")


def _replay(instance: Instance, arguments: Arguments) -> None:
    selection = selection_of(arguments["selection"])
    if selection.is_everything:
        raise DomainError("Nothing says what is to be sent again.")
    if not select(instance, selection).exists():
        raise DomainError("Nothing of it is left to be sent again.")
    start_replay(instance, selection, timezone.now())


REPLAYING = BulkAction(REPLAY, _title, _replay, read=_read)
