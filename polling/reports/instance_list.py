"""The instances of an organization as the list shows them: filtered, counted by state.

An instance's state follows from its switches, its resources and its delivery, and is stored nowhere. So one statement
reads what it follows from for all of an organization's instances, and the rest is reckoned here: 1,000 instances with
10 resources each take some 20 ms.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import Max, Min, Q
from django.http import QueryDict

from cwconnect.core.one_statement import Question, Questions, Row, time_of
from instances.models import Instance, Organization, ResourcePoll
from polling.models import Health, PollState
from polling.reports.delivery_issues import issue_questions, issues_of
from polling.reports.instance_rows import state_in_words

GROUPS: Mapping[str, tuple[str, ...]] = {
    "well": ("healthy",),
    "needs you": ("unauthorized", "rejected", "held", "delivery paused", "delivery failing", "callbacks silent"),
    "waiting": ("rate limited", "retrying"),
    "off": ("off", "disabled", "events off"),
}
"""The groups that states fall into: every state into one."""
GROUP_OF = {state: group for group, states in GROUPS.items() for state in states}
STATES = tuple(GROUP_OF)
_LONGEST = 200


@dataclass(frozen=True)
class InstanceFilter:
    """What the list is narrowed to. `state` is a state or a group of them; all of `tags` must be there."""

    state: str = ""
    tags: tuple[str, ...] = ()
    resource: str = ""
    text: str = ""

    def query(self, **changes: Any) -> str:
        """Return the query of a URL that asks for this, with `changes`; blank where it asks for everything."""
        asked = replace(self, **changes)
        named = {"state": asked.state, "tag": asked.tags, "resource": asked.resource, "q": asked.text}
        return urlencode({name: value for name, value in named.items() if value}, doseq=True)


def read_filter(query: QueryDict) -> InstanceFilter:
    """Read what a URL, or a form that starts a bulk job, narrows the list to; what is no state is no filter."""
    state = query.get("state", "")
    tags = (_text(tag) for tag in query.getlist("tag")[:20])
    return InstanceFilter(
        state=state if state in GROUPS or state in GROUP_OF else "",
        tags=tuple(dict.fromkeys(tag for tag in tags if tag)),
        resource=_text(query.get("resource", "")),
        text=_text(query.get("q", "")),
    )


def _text(given: str) -> str:
    return given.strip().replace("\x00", "")[:_LONGEST]


@dataclass(frozen=True)
class ListedInstance:
    """An instance with what it is filtered and sorted by."""

    pk: int
    name: str
    tags: tuple[str, ...]
    state: str
    last_good_at: datetime | None
    known_to: datetime | None

    @property
    def group(self) -> str:
        """The group that its state falls into."""
        return GROUP_OF.get(self.state, "waiting")


def listed_instances(organization: Organization, asked: InstanceFilter) -> list[ListedInstance]:
    """Return the instances that an organization has by tag, resource and text, whatever their state; newest first.

    One statement, and one more for each of text and resource.
    """
    found = _STATES.ask(organization=organization.pk)
    chosen = _chosen(organization, asked)
    listed = [each for each in _listed(found) if chosen is None or each.pk in chosen]
    tags = set(asked.tags)
    return sorted((each for each in listed if tags <= set(each.tags)), key=lambda each: -each.pk)


def in_state(listed: Iterable[ListedInstance], state: str) -> list[ListedInstance]:
    """Return those in a state, or in one of a group's; blank: all."""
    wanted = GROUPS.get(state, (state,))
    return [each for each in listed if not state or each.state in wanted]


def matching_keys(organization: Organization, asked: InstanceFilter) -> list[int]:
    """Return the ids of the instances that a filter asks for, newest first."""
    return [each.pk for each in in_state(listed_instances(organization, asked), asked.state)]


def _chosen(organization: Organization, asked: InstanceFilter) -> set[int] | None:
    """Return the ids that text and resource leave; None where neither is asked for."""
    chosen: set[int] | None = None
    if asked.text:
        text = asked.text
        by_id = Q(pk=int(text)) if text.isdecimal() and len(text) < 19 else Q()
        named = Q(name__icontains=text) | Q(company__icontains=text) | by_id
        chosen = set(Instance.objects.filter(named, organization=organization).values_list("pk", flat=True))
    if asked.resource:
        polls = ResourcePoll.objects.filter(instance__organization=organization, name=asked.resource)
        watching = set(polls.values_list("instance_id", flat=True))
        chosen = watching if chosen is None else chosen & watching
    return chosen


def _state_questions(organization: int) -> dict[str, Question]:
    ours = Instance.objects.filter(organization=organization)
    states = PollState.objects.filter(resource_poll__instance__organization=organization)
    grouped = states.values("resource_poll__instance_id", "health").order_by()
    return {
        "instances": (ours, ("pk", "name", "tags", "disabled", "events_enabled")),
        "states": (
            grouped.annotate(good=Max("last_good_at"), known=Min("cursor")),
            ("resource_poll__instance_id", "health", "good", "known"),
        ),
        **issue_questions(ours.values("pk")),
    }


_STATES = Questions(_state_questions)


def _listed(found: Mapping[str, Sequence[Row]]) -> list[ListedInstance]:
    states: dict[int, list[Row]] = {}
    for row in found["states"]:
        states.setdefault(row["resource_poll__instance_id"], []).append(row)
    issues = issues_of(found)
    return [_one(row, states.get(row["pk"], ()), issues.get(row["pk"])) for row in found["instances"]]


def _one(row: Row, states: Sequence[Row], issue: Any) -> ListedInstance:
    tags = json.loads(row["tags"]) if isinstance(row["tags"], str) else row["tags"]
    good = max((state["good"] for state in states if state["good"]), default=None)
    known = (state["known"] for state in states if state["known"] and state["health"] != Health.PAUSED)
    return ListedInstance(
        pk=row["pk"],
        name=row["name"],
        tags=tuple(tags),
        state=state_in_words(
            [state["health"] for state in states],
            issue,
            disabled=row["disabled"],
            events_enabled=row["events_enabled"],
        ),
        last_good_at=time_of(good),
        known_to=time_of(min(known, default=None)),
    )
