"""From when on what changed comes as an event, so that a copy and the events that follow it leave no gap.

A poll that is on when a copy begins has its next window open at what `Plan.opening` makes of its cursor, and its
windows follow one another without a gap. What was visible before has been read by the copy; whatever is written or
becomes visible later has a stamp from that opening on (docs/architecture.md#the-window), so the poll sees it.

A record that only the copy has read, since it was created after the last poll, may be gone before the next. So each
page has the poll meet its records by their ids, as a sweep does: then a sweep finds such a one gone, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from cwconnect.connectwise.catalogue import resource_for_path
from cwconnect.connectwise.ceql.conditions import Comparison, parse_where
from cwconnect.connectwise.ceql.tree import Instant
from cwconnect.connectwise.hub_url import HubUrl
from instances.models import Instance, ResourcePoll
from instances.plans import Plan
from polling.detection.jobs import plan_of_poll
from polling.models import Copy, PollState

_ANY_TIME = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Watching:
    """A poll of the list that a copy reads. `since`: what changed from then on, it will record, if it is on."""

    poll: ResourcePoll
    plan: Plan
    since: datetime
    on: bool

    @property
    def reads_all(self) -> bool:
        """Whether it leaves out nothing but what has not changed."""
        return _reads_all(self.plan.hub)


@dataclass(frozen=True)
class Watched:
    """What may be said of a copy: from when on changes are events, and what is not, in words; blank where all are."""

    since: datetime | None
    words: str


def watching_of(instance: Instance, path: str) -> Watching | None:
    """Return the poll of a list that sees most of it, None if there is none; read as stored now."""
    states = PollState.objects.filter(resource_poll__instance=instance).select_related("resource_poll")
    found = []
    for state in states:
        poll, plan = state.resource_poll, plan_of_poll(state.resource_poll)
        if poll.since is not None and plan.hub.path.lower() == path.lower():
            since = max(plan.opening(state.cursor or poll.since), poll.since)
            found.append(Watching(poll, plan, since, on=instance.watching and poll.enabled))
    return max(found, key=lambda each: (each.on, each.reads_all, each.plan.detect_deletes, -each.poll.pk), default=None)


def watched(copy: Copy) -> Watched:
    """Return what may be said of a copy as things stand now: a poll may be switched off, or begin anew, at any time."""
    if not copy.pages and copy.is_open:
        return Watched(None, "")  # it is known with the first page
    poll = copy.watched_poll
    if poll is None or copy.watched_from is None or poll.since is None:
        return Watched(None, _nothing_on(copy))
    if poll.since > copy.watched_from:
        return Watched(None, f"Watching of {poll.name} began anew after this copy was read. Start another one.")
    if not (copy.instance.watching and poll.enabled):
        which = f"the resource {poll.name} is" if copy.instance.watching else "the instance's events are"
        words = f"No event comes at present: {which} off. Switched on again, it goes on where it was."
        return Watched(copy.watched_from, words)
    return Watched(copy.watched_from, " ".join(_left_out(copy, poll, plan_of_poll(poll))))


def _nothing_on(copy: Copy) -> str:
    resource = resource_for_path(copy.path)
    name = resource.name if resource else copy.path.strip("/")
    return (
        f"No poll of {name} was on when this copy began, so no change of these records comes as an event. Add {name} "
        "to the instance's resources (event.poller.configuration) with events on, and start the copy after that."
    )


def _left_out(copy: Copy, poll: ResourcePoll, plan: Plan) -> list[str]:
    found = []
    if not _reads_all(plan.hub):
        which = f"The resource {poll.name} reads only what the where of its url selects"
        found.append(f"{which}; other changes are no events.")
    if not (copy.watches_deletes and plan.detect_deletes):
        found.append(
            f"Records that are deleted are no events: detectDeletes of {poll.name} is off."
            if not plan.detect_deletes
            else f"Deletes may be missing: detectDeletes of {poll.name} was off while this copy was read."
        )
    return found


def _reads_all(hub: HubUrl) -> bool:
    if hub.extra:
        return False
    if hub.where is None:
        return True
    node = parse_where(hub.where, instant=_ANY_TIME)
    if not isinstance(node, Comparison) or node.operator not in (">", ">="):
        return False
    return isinstance(node.value, Instant) and node.field.lower() in ("lastupdated", "_info.lastupdated")
