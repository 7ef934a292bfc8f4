"""System checks of the settings: what would go wrong in silence is an error at start, with an id."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register


def least_retry(queue: Mapping[str, Any]) -> int:
    """Give the seconds that `retry` must exceed, or django-q2 runs tasks again that are still waiting their turn.

    It counts from the moment a task is prefetched, not from the start of its work: a task may wait for all that the
    cluster holds (`queue_limit` and one `bulk` more), spread over its workers, each of them taking up to `timeout`.
    """
    ahead: int = math.ceil((queue["queue_limit"] + queue["bulk"]) / queue["workers"])
    return int(queue["timeout"]) * (1 + ahead)


@register()
def check_queue(**_: object) -> list[CheckMessage]:
    """Hold the queue's settings against the retry rule and the length of a wake-up."""
    queue = settings.Q_CLUSTER
    problems: list[CheckMessage] = []
    if queue["retry"] <= (least := least_retry(queue)):
        problems.append(
            Error(
                f"Q_CLUSTER['retry'] is {queue['retry']} s, and tasks may wait {least} s before they are done.",
                hint="Set it above timeout × (1 + ceil((queue_limit + bulk) / workers)).",
                id="cwconnect.E001",
            )
        )
    if queue["catch_up"] or queue["save_limit"] != -1:
        problems.append(
            Error(
                "Q_CLUSTER must have catch_up False and save_limit -1.",
                hint="Wake-ups missed are not to be replayed, and those that succeeded are not worth a row.",
                id="cwconnect.E002",
            )
        )
    return problems
