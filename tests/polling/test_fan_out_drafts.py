"""What of a page goes into which notification: by property, of random pages and random waits."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from polling.delivery.fan_out.order import Draft, drafts_of
from polling.delivery.fan_out.pages import LogEvent, Record
from polling.models import NewEvent
from tests.support.read_log import NOON

RECORDS = st.tuples(st.sampled_from([7, 8, None]), st.integers(1, 30))
WAITS = st.dictionaries(st.integers(1, 30), st.integers(1, 3), max_size=12)


def page_of(records: list[tuple[int | None, int]]) -> list[LogEvent]:
    """Return a page with an event of each of these records (poll, id), in order."""
    names = {7: "contacts", 8: "companies", None: "contacts"}
    return [
        LogEvent(
            NewEvent(names[poll], str(record), record, "UPDATED", NOON, NOON, '{"id":1}', id=100 + number), poll, None
        )
        for number, (poll, record) in enumerate(records)
    ]


@given(records=st.lists(RECORDS, max_size=80), of_seven=WAITS, of_eight=WAITS)
def test_drafts_carry_each_event_once_and_follow_what_their_records_wait_for(
    records: list[tuple[int | None, int]], of_seven: dict[int, int], of_eight: dict[int, int]
) -> None:
    page = page_of(records)
    waits: dict[Record, int] = {("contacts", key): value for key, value in of_seven.items()}
    waits |= {("companies", key): value for key, value in of_eight.items()}

    drafts = drafts_of(page, waits, lambda read: read.event)

    assert sorted(event.id for draft in drafts for event in draft.events) == [read.event.id for read in page]
    firsts = [draft.events[0].id for draft in drafts]
    assert firsts == sorted(firsts)
    by_event = {read.event.id: read for read in page}
    carriers: dict[Record, list[int]] = defaultdict(list)
    for place, draft in enumerate(drafts):
        ids = [event.id for event in draft.events]
        carried = [by_event[key].record for key in ids]
        assert ids == sorted(ids)
        assert len(ids) <= 10
        assert len(set(carried)) == len(carried)
        assert len({by_event[key].poll_id for key in ids}) == 1
        assert {event.object_type for event in draft.events} == {draft.object_type}
        for record in carried:
            carriers[record].append(place)
    for record, places in carriers.items():
        _check_chain(drafts, places, waits.get(record))


def _check_chain(drafts: list[Draft], places: list[int], wait: int | None) -> None:
    assert places == sorted(places)
    for place, before in zip(places, [None, *places], strict=False):
        assert drafts[place].after == before
        assert drafts[place].follows == (wait if before is None else None)


def test_a_batch_that_ends_late_goes_before_one_that_begins_later() -> None:
    page = page_of([(7, 1), (7, 20), *((7, key) for key in range(2, 14)), (7, 21)])
    drafts = drafts_of(page, {("contacts", 20): 5, ("contacts", 21): 5}, lambda read: read.event)
    assert [[event.record_id for event in draft.events] for draft in drafts] == [
        [1, *range(2, 11)],
        [20, 21],
        [11, 12, 13],
    ]
    assert [draft.follows for draft in drafts] == [None, 5, None]
