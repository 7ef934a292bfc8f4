"""How instances fare, a row each: what the pages show of many at a time, asked by one statement.

None counts without a bound: an instance's events of a day are counted as they come (event_hours.py), and what is
undelivered is read from an index that holds nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min

from cwconnect.core.one_statement import Question, Questions, Row, time_of
from instances.models import Instance
from polling.models import Health, PollState
from polling.reports.delivery_issues import DeliveryIssue, issue_questions, issues_of
from polling.reports.event_hours import counted_upto, event_questions, events_of, hours_until
from polling.reports.waiting import undelivered_of

DAY = timedelta(days=1)
# The first of these that holds for one of its resources is an instance's state.
_WORST = (Health.UNAUTHORIZED, Health.REJECTED, Health.HELD, Health.RATE_LIMITED, Health.RETRYING, Health.HEALTHY)


@dataclass(frozen=True)
class InstanceRow:
    """One instance in a table. `known_to` is the time of ConnectWise's clock up to which its changes are known."""

    pk: int
    name: str
    state: str
    last_good_at: datetime | None
    known_to: datetime | None
    undelivered: int
    next_retry_at: datetime | None
    events: int


def instance_rows(keys: Sequence[int], now: datetime) -> list[InstanceRow]:
    """Return the rows of these instances, in their order: two statements."""
    found = _ROWS.ask(keys=list(keys), day=hours_until(now)[0], upto=counted_upto())
    return rows_of(keys, found)


def row_questions(keys: Collection[int], day: datetime, upto: int | None) -> dict[str, Question]:
    """Return the queries that `rows_of` reads; the day begins at the time `day`."""
    states = PollState.objects.filter(resource_poll__instance__in=keys)
    waiting = undelivered_of(instance__in=keys).values("instance_id").order_by()
    return {
        "instances": (Instance.objects.filter(pk__in=keys), ("pk", "name", "disabled", "events_enabled")),
        "states": (states, ("resource_poll__instance_id", "health", "last_good_at", "cursor")),
        "waiting": (waiting.annotate(n=Count("pk"), first=Min("next_attempt_at")), ("instance_id", "n", "first")),
        **issue_questions(keys),
        **event_questions(keys, day, upto),
    }


_ROWS = Questions(row_questions)


def rows_of(keys: Iterable[int], found: Mapping[str, Sequence[Row]]) -> list[InstanceRow]:
    """Return the rows of these instances, in their order, but for those that are no more."""
    instances = {row["pk"]: row for row in found["instances"]}
    states: dict[int, list[Row]] = {key: [] for key in instances}
    for row in found["states"]:
        states[row["resource_poll__instance_id"]].append(row)
    issues, events = issues_of(found), events_of(found)
    waiting = {row["instance_id"]: row for row in found["waiting"]}
    return [
        _row(instances[key], states[key], issues.get(key), waiting.get(key, {}), events.get(key, 0))
        for key in keys
        if key in instances
    ]


def _row(
    instance: Row, states: Sequence[Row], issue: DeliveryIssue | None, waiting: Mapping[str, Any], events: int
) -> InstanceRow:
    good = [at for row in states if (at := time_of(row["last_good_at"]))]
    cursors = [at for row in states if (at := time_of(row["cursor"])) and row["health"] != Health.PAUSED]
    return InstanceRow(
        pk=instance["pk"],
        name=instance["name"],
        state=state_in_words(
            [row["health"] for row in states],
            issue,
            disabled=instance["disabled"],
            events_enabled=instance["events_enabled"],
        ),
        last_good_at=max(good, default=None),
        known_to=min(cursors, default=None),
        undelivered=waiting.get("n", 0),
        next_retry_at=time_of(waiting.get("first")),
        events=events,
    )


def state_of(instance: Instance, healths: Iterable[str], issue: DeliveryIssue | None) -> str:
    """Return an instance's state in a word or two: what stops it or needs a person, else the worst of its resources."""
    return state_in_words(healths, issue, disabled=instance.disabled, events_enabled=instance.events_enabled)


def state_in_words(healths: Iterable[str], issue: DeliveryIssue | None, *, disabled: bool, events_enabled: bool) -> str:
    """Return the state of an instance that is switched like that (see `state_of`)."""
    found = set(healths)
    if disabled:
        return "disabled"
    if not events_enabled:
        return "events off"
    stopped = next((health for health in _WORST[:3] if health in found), None)
    if stopped is None and issue is not None:
        return issue.word
    return str(stopped or next((health for health in _WORST if health in found), "off"))
