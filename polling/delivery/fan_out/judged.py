"""What a filter makes of a page of the log: which events pass, by what the others are held, what was not judged."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from polling.delivery.fan_out.pages import LogEvent
from polling.filters.judging import PASSES, Facts, Judgement, judge
from polling.filters.reading import Filter, FilterError, parse_filter

log = logging.getLogger(__name__)

EVERYTHING = Filter()


class UnreadableError(Exception):
    """What a subscription asks for can't be read any more; the message is a sentence for people."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The events that pass; by id those that are held, with the condition, and what was let pass unjudged, with why."""

    passed: Sequence[LogEvent]
    held: Mapping[int, str]
    unjudged: Mapping[int, str]


def filter_of(text: str) -> Filter:
    """Return the filter that a subscription keeps as JSON text, read once; UnreadableError."""
    if not text:
        return EVERYTHING
    try:
        return _parsed(text)
    except FilterError as error:
        raise UnreadableError(f"Its filter can't be read any more: {error}.") from None


_parsed = lru_cache(maxsize=1000)(parse_filter)


def judge_page(events: Sequence[LogEvent], wanted: Filter) -> Judged:
    """Judge each event of a page."""
    if wanted == EVERYTHING:
        return Judged(events, {}, {})
    judgements = [(read, _judge(wanted, read)) for read in events]
    return Judged(
        [read for read, judgement in judgements if judgement.passes],
        {read.event.id: judgement.held_by for read, judgement in judgements if not judgement.passes},
        {read.event.id: judgement.unknown for read, judgement in judgements if judgement.passes and judgement.unknown},
    )


def _judge(wanted: Filter, read: LogEvent) -> Judgement:
    event = read.event
    try:
        return judge(wanted, Facts(event.object_type, event.kind, event.record, event.changes))
    except Exception:  # a fault of ours with one event must not keep back all that follow: it passes, and says so
        log.exception("Event %s could not be judged", event.id)
        return Judgement(PASSES.passes, unknown="a fault of cwconnect itself")
