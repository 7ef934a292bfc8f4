"""The overview of an organization: is everything well, and if not, who is needed where?

It is asked every few seconds for every tab that shows it, mostly to find nothing new. So it is two statements,
whatever the number of instances, and a value that says all that the page shows: the same value, the same page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, OuterRef, Subquery

from cwconnect.core.one_statement import Question, Questions, Row
from instances.credentials.limits import SOON
from instances.models import Instance, Organization, ResourcePoll
from polling.delivery.given_up import DAYS
from polling.reports.action_causes import DELIVERY_PAUSED, cause_questions, causes_of
from polling.reports.action_items import ActionGroup, ActionItem, action_groups, item_questions, shown_of
from polling.reports.engine import POLLS_LATE, Engine, engine_of, engine_question
from polling.reports.event_hours import HourCount, counter_question, hour_questions, hours_from, hours_until
from polling.reports.expiring import Expiring, expiring_of, expiring_questions
from polling.reports.given_up import GivenUp, given_up_of, given_up_question
from polling.reports.hours import hours_of
from polling.reports.instance_rows import InstanceRow, row_questions, rows_of

SHOWN = 20


@dataclass(frozen=True)
class Overview:
    """All that the page shows, but for what depends on who looks.

    An instance counts once, in the group of its worst cause; what was given up is no cause of an instance's.
    """

    engine: Engine
    groups: list[ActionGroup]
    given_up: GivenUp | None
    expiring: list[Expiring]
    rows: list[InstanceRow]
    hours: list[HourCount]
    instances: int
    resources: int

    @property
    def needing(self) -> int:
        """How many instances need somebody."""
        return sum(group.instances for group in self.groups)

    @property
    def action_items(self) -> list[ActionItem]:
        """What is shown of those, one after another."""
        return [item for group in self.groups for item in group.items]


def overview_of(organization: Organization, now: datetime) -> Overview:
    """Look how an organization's instances fare: two statements."""
    times = {"late": now - POLLS_LATE, "days_ago": now - DAYS, "now": now, "soon": now + SOON}
    found = _FIRST.ask(organization=organization.pk, **times)
    causes = causes_of(found)
    needing, paused = shown_of(causes), causes.get(DELIVERY_PAUSED, [])
    shown = _shown([*needing, *(key for keys in causes.values() for key in keys)], found["newest"])
    upto, day = _upto(found), hours_until(now)[0]
    keys = {"keys": list({*shown, *needing}), "needing": needing, "paused": paused}
    more = _THEN.ask(organization=organization.pk, **keys, day=day, upto=upto)
    return Overview(
        engine=engine_of(found["engine"][0], organization, now),
        groups=action_groups(found, more),
        given_up=given_up_of(found),
        expiring=expiring_of(found),
        rows=rows_of(shown, more),
        hours=hours_of(organization, now) if upto is None else hours_from(more, now),
        instances=found["counts"][0]["instances_there"] or 0,
        resources=found["counts"][0]["resources_there"] or 0,
    )


def _upto(found: Mapping[str, Sequence[Row]]) -> int | None:
    return next((row["upto"] for row in found["counter"]), None)


def _first_questions(
    organization: int, late: datetime, days_ago: datetime, now: datetime, soon: datetime
) -> dict[str, Question]:
    newest = Instance.objects.filter(organization=organization).order_by("-pk")
    return {
        **engine_question(organization, late),
        **counter_question(),
        "counts": _counts(organization),
        "newest": (newest[: 2 * SHOWN], ("pk",)),
        **cause_questions(organization),
        **given_up_question(organization, days_ago),
        **expiring_questions(organization, now, soon),
    }


def _then_questions(
    organization: int,
    keys: Sequence[int],
    needing: Sequence[int],
    paused: Sequence[int],
    day: datetime,
    upto: int | None,
) -> dict[str, Question]:
    of_hours = {} if upto is None else hour_questions(organization, day, upto)
    return row_questions(keys, day, upto) | item_questions(needing, paused) | of_hours


_FIRST, _THEN = Questions(_first_questions), Questions(_then_questions)


def _counts(organization: int) -> Question:
    instances = Instance.objects.filter(organization=OuterRef("pk")).values("organization")
    resources = ResourcePoll.objects.filter(instance__organization=OuterRef("pk")).values("instance__organization")
    counted = Organization.objects.filter(pk=organization).annotate(
        instances_there=Subquery(instances.annotate(n=Count("pk")).values("n").order_by()),
        resources_there=Subquery(resources.annotate(n=Count("pk")).values("n").order_by()),
    )
    return counted, ("instances_there", "resources_there")


def _shown(needing: Sequence[int], newest: Sequence[Row]) -> list[int]:
    """Return the instances that need somebody, then the newest, as many as fit."""
    needed = list(dict.fromkeys(needing))[:SHOWN]
    rest = sorted({row["pk"] for row in newest} - set(needed), reverse=True)
    return [*needed, *rest][:SHOWN]
