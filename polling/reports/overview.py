"""The overview of an organization: is everything well, and if not, who is needed where?

It is asked every few seconds for every tab that shows it, mostly to find nothing new. So it is two statements,
whatever the number of instances, and a value that says all that the page shows: the same value, the same page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import Count, OuterRef, Subquery

from cwconnect.core.one_statement import Question, Questions, Row
from instances.models import Instance, Organization, ResourcePoll
from polling.reports.action_items import ActionItem, action_items, item_questions
from polling.reports.engine import POLLS_LATE, Engine, engine_of, engine_question
from polling.reports.event_hours import HourCount, counter_question, hour_questions, hours_from, hours_until
from polling.reports.hours import hours_of
from polling.reports.instance_rows import InstanceRow, row_questions, rows_of

SHOWN = 20


@dataclass(frozen=True)
class Overview:
    """All that the page shows, but for what depends on who looks."""

    engine: Engine
    action_items: list[ActionItem]
    rows: list[InstanceRow]
    hours: list[HourCount]
    instances: int
    resources: int


def overview_of(organization: Organization, now: datetime) -> Overview:
    """Look how an organization's instances fare: two statements."""
    found = _FIRST.ask(organization=organization.pk, late=now - POLLS_LATE)
    items = action_items(found)
    shown = _shown(items, found["newest"])
    paused = [item.instance_id for item in items if item.action == "paused"]
    upto, day = _upto(found), hours_until(now)[0]
    more = _THEN.ask(organization=organization.pk, keys=list({*shown, *paused}), day=day, upto=upto)
    waiting = {row["instance_id"]: row["n"] for row in more["waiting"]}
    return Overview(
        engine=engine_of(found["engine"][0], organization, now),
        action_items=[_with_count(item, waiting) for item in items],
        rows=rows_of(shown, more),
        hours=hours_of(organization, now) if upto is None else hours_from(more, now),
        instances=found["counts"][0]["instances_there"] or 0,
        resources=found["counts"][0]["resources_there"] or 0,
    )


def _upto(found: Mapping[str, Sequence[Row]]) -> int | None:
    return next((row["upto"] for row in found["counter"]), None)


def _first_questions(organization: int, late: datetime) -> dict[str, Question]:
    newest = Instance.objects.filter(organization=organization).order_by("-pk")
    return {
        **engine_question(organization, late),
        **counter_question(),
        "counts": _counts(organization),
        "newest": (newest[: 2 * SHOWN], ("pk",)),
        **item_questions(organization),
    }


def _then_questions(organization: int, keys: Sequence[int], day: datetime, upto: int | None) -> dict[str, Question]:
    of_hours = {} if upto is None else hour_questions(organization, day, upto)
    return row_questions(keys, day, upto) | of_hours


_FIRST, _THEN = Questions(_first_questions), Questions(_then_questions)


def _counts(organization: int) -> Question:
    instances = Instance.objects.filter(organization=OuterRef("pk")).values("organization")
    resources = ResourcePoll.objects.filter(instance__organization=OuterRef("pk")).values("instance__organization")
    counted = Organization.objects.filter(pk=organization).annotate(
        instances_there=Subquery(instances.annotate(n=Count("pk")).values("n").order_by()),
        resources_there=Subquery(resources.annotate(n=Count("pk")).values("n").order_by()),
    )
    return counted, ("instances_there", "resources_there")


def _shown(items: Sequence[ActionItem], newest: Sequence[Row]) -> list[int]:
    """Return the instances that need somebody, then the newest, as many as fit."""
    needed = list(dict.fromkeys(item.instance_id for item in items))[:SHOWN]
    rest = sorted({row["pk"] for row in newest} - set(needed), reverse=True)
    return [*needed, *rest][:SHOWN]


def _with_count(item: ActionItem, waiting: dict[int, int]) -> ActionItem:
    return replace(item, count=waiting.get(item.instance_id, 0)) if item.action == "paused" else item
