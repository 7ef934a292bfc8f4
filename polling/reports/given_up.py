"""How many notifications were given up within the last days, and nobody has replayed, discarded or dismissed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min

from cwconnect.core.one_statement import Question, Questions, Row, time_of
from instances.models import Instance, Organization
from polling.delivery.given_up import DAYS, MOST_COUNTED, given_up_since


@dataclass(frozen=True)
class GivenUp:
    """How many notifications of how many instances were given up, the first of them when; `made_at`: the oldest."""

    count: int
    instances: int
    since: datetime
    made_at: datetime

    @property
    def is_many(self) -> bool:
        """Whether there are more than are counted."""
        return self.count > MOST_COUNTED


def given_up(organization: Organization, now: datetime, instance: Instance | None = None) -> GivenUp | None:
    """Return what an organization, or one of its instances, has given up and not dismissed: one query."""
    of_one = None if instance is None else instance.pk
    return given_up_of(_ASKED.ask(organization=organization.pk, days_ago=now - DAYS, instance=of_one))


def given_up_question(organization: int, days_ago: datetime, instance: int | None = None) -> dict[str, Question]:
    """Return the query that `given_up_of` reads: a row for each instance."""
    found = given_up_since(organization, days_ago)
    found = found if instance is None else found.filter(instance=instance)
    rows = found.values("owner").annotate(n=Count("pk"), since=Min("given_up_at"), made=Min("created_at")).order_by()
    return {"given_up": (rows, ("owner", "n", "since", "made"))}


_ASKED = Questions(given_up_question)


def given_up_of(found: Mapping[str, Sequence[Row]]) -> GivenUp | None:
    """Return what was given up; None if nothing was."""
    rows = found["given_up"]
    if not rows:
        return None
    since, made = (time_of(min(str(row[column]) for row in rows)) for column in ("since", "made"))
    return GivenUp(sum(row["n"] for row in rows), len(rows), since, made)
