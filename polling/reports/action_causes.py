"""Why instances need a person: each instance by the one cause that matters most, which is its state on every page.

All that need somebody are counted, however many. The queries read what is wrong alone, by indexes that hold nothing
else, so they cost as much as there is trouble.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import BooleanField, QuerySet
from django.db.models.expressions import RawSQL

from cwconnect.core.one_statement import Question, Row
from polling.models import Alert, CallbackRegistration, Health, PollState
from polling.reports.delivery_issues import PAUSED, RECEIVER_FAILS, RUNNING_OUT, SILENT, states_of_instances

REFUSED, REJECTED, HELD = Health.UNAUTHORIZED.value, Health.REJECTED.value, Health.HELD.value
DELIVERY_PAUSED, DELIVERY_FAILING, CALLBACKS_SILENT = "delivery paused", "delivery failing", "callbacks silent"
CAUSES = (REFUSED, REJECTED, HELD, DELIVERY_PAUSED, DELIVERY_FAILING, CALLBACKS_SILENT)
"""In the order in which they are shown; of several an instance has the first (see `state_in_words`)."""
# Written out: SQLite takes a partial index for constants only, never for bound values.
NEEDING_A_PERSON = RawSQL(
    "polling_pollstate.health IN ('unauthorized', 'rejected', 'held')", [], output_field=BooleanField()
)


def cause_questions(organization: int) -> dict[str, Question]:
    """Return the queries that `causes_of` reads: of every instance that needs somebody, its id and since when."""
    polls = _of_watching(PollState.objects.filter(NEEDING_A_PERSON), "resource_poll__instance", organization)
    instance = "subscription__instance"
    paused = _of_watching(states_of_instances().filter(PAUSED), instance, organization)
    failing = states_of_instances().filter(RECEIVER_FAILS, receiver__organization=organization)
    alerts = _of_watching(Alert.objects.filter(RUNNING_OUT, organization=organization), "instance", organization)
    silent = CallbackRegistration.objects.filter(SILENT, instance__organization=organization)
    return {
        "needing_polls": (polls.order_by().distinct(), ("resource_poll__instance_id", "health")),
        "paused": (paused, ("instance_id", "paused_at")),
        "receivers": (
            _of_watching(failing, instance, organization),
            ("instance_id", "receiver__opened_at"),
        ),
        "alerts": (alerts.order_by(), ("instance_id", "created_at")),
        "silent": (silent, ("instance_id", "silent_since")),
    }


def _of_watching(rows: QuerySet[Any], way: str, organization: int) -> QuerySet[Any]:
    """Return those of instances that are switched on: all others have no state but that they are off."""
    on = {f"{way}__organization": organization, f"{way}__disabled": False, f"{way}__events_enabled": True}
    return rows.filter(**on)


def causes_of(found: Mapping[str, Sequence[Row]]) -> dict[str, list[int]]:
    """Return the instances of each cause, those longest in trouble first; each instance once, under its worst."""
    taken: set[int] = set()
    causes: dict[str, list[int]] = {}
    for cause, keys in all_causes_of(found).items():
        causes[cause] = [key for key in keys if key not in taken]
        taken.update(keys)
    return {cause: keys for cause, keys in causes.items() if keys}


def all_causes_of(found: Mapping[str, Sequence[Row]]) -> dict[str, list[int]]:
    """Return the instances that each cause holds for, those longest in trouble first: an instance may have several."""
    by_health: dict[str, set[int]] = {}
    for row in found["needing_polls"]:
        by_health.setdefault(row["health"], set()).add(row["resource_poll__instance_id"])
    failing = [*_by_time(found["receivers"], "receiver__opened_at"), *_by_time(found["alerts"], "created_at")]
    return {
        **{health: sorted(by_health.get(health, ())) for health in CAUSES[:3]},
        DELIVERY_PAUSED: _by_time(found["paused"], "paused_at"),
        DELIVERY_FAILING: list(dict.fromkeys(failing)),
        CALLBACKS_SILENT: _by_time(found["silent"], "silent_since"),
    }


def _by_time(rows: Sequence[Row], column: str) -> list[int]:
    ordered = sorted(rows, key=lambda row: (str(row[column]), row["instance_id"]))
    return list(dict.fromkeys(row["instance_id"] for row in ordered))
