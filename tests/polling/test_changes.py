"""What kind of change a record is: the table of docs/architecture.md, row by row."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polling.detection.changes import (
    CONTENT_UNKNOWN,
    REMEMBER,
    SILENCE,
    STAYS_TOMBSTONE,
    TOMBSTONE,
    UNREAD,
    Seen,
    Snapshot,
    UnstorableError,
    Verdict,
    Watch,
    digest,
    judge,
    record_text,
)
from polling.field_changes import field_changes

SINCE = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
BEFORE, AFTER = SINCE - timedelta(hours=1), SINCE + timedelta(hours=1)
WATCH = Watch(since=SINCE, high_water_id=100)
DELETED = Verdict("DELETED", remember=True, gone=True)
SAME, OTHER = digest({"name": "Ada"}), digest({"name": "Bob"})


def seen(
    record_id: int = 17, updated: datetime | None = AFTER, created: datetime | None = None, *, deleted: bool = False
) -> Seen:
    return Seen(record_id, updated, created, SAME, deleted)


def known(updated: datetime = AFTER, content: bytes = SAME, *, gone: bool = False) -> Snapshot:
    return Snapshot(int(updated.timestamp()), content, gone)


@pytest.mark.parametrize(
    ("record", "before", "verdict"),
    [
        (seen(101), None, Verdict("CREATED", remember=True)),
        (seen(101, BEFORE), None, Verdict("CREATED", remember=True)),
        (seen(100, BEFORE), None, REMEMBER),
        (seen(100, None), None, Verdict("UPDATED", remember=True)),  # ConnectWise's condition says that it changed
        (seen(100, None), Snapshot(None, UNREAD), Verdict("UPDATED", remember=True)),
        (seen(101, None), None, Verdict("CREATED", remember=True)),
        (seen(100, SINCE), None, Verdict("UPDATED", remember=True)),
        (seen(100, AFTER, created=BEFORE), None, Verdict("UPDATED", remember=True)),
        (seen(100, AFTER, created=SINCE), None, Verdict("CREATED", remember=True)),
        (seen(), known(content=OTHER), Verdict("UPDATED", remember=True)),
        (seen(), known(BEFORE, content=OTHER), Verdict("UPDATED", remember=True)),
        (seen(), known(BEFORE), Verdict("UPDATED", remember=True, same_content=True)),
        (seen(), known(), SILENCE),
        (seen(101), known(), SILENCE),
        (seen(), known(gone=True), Verdict("UPDATED", remember=True)),
        # Met by a sweep, by its id alone: as if never seen.
        (seen(101), Snapshot(None, UNREAD), Verdict("CREATED", remember=True)),
        (seen(100, BEFORE), Snapshot(None, UNREAD), REMEMBER),
        (seen(100, AFTER), Snapshot(None, UNREAD), Verdict("UPDATED", remember=True)),
        # The tombstone of a sweep, and a row whose content is not known any more.
        (seen(101), Snapshot(5, UNREAD, gone=True), Verdict("UPDATED", remember=True)),
        (seen(101), Snapshot(None, CONTENT_UNKNOWN), Verdict("UPDATED", remember=True)),
        (seen(), known(content=b"\x00" + SAME[1:]), REMEMBER),
        (seen(), known(BEFORE, content=b"\x00" + SAME[1:]), Verdict("UPDATED", remember=True)),
    ],
)
def test_a_record_is_judged_by_the_table(record: Seen, before: Snapshot | None, verdict: Verdict) -> None:
    assert judge(record, before, WATCH) == verdict


@pytest.mark.parametrize(
    ("record", "verdict"),
    [(seen(100, None), REMEMBER), (seen(100, None, deleted=True), TOMBSTONE), (seen(100, BEFORE), REMEMBER)],
)
def test_without_a_stamp_only_connectwises_condition_can_show_that_a_record_changed(
    record: Seen, verdict: Verdict
) -> None:
    assert judge(record, None, replace(WATCH, vouched=False)) == verdict


@pytest.mark.parametrize(
    ("record", "before", "verdict"),
    [
        (seen(101, deleted=True), None, SILENCE),  # never recorded
        (seen(101, deleted=True), Snapshot(None, UNREAD), SILENCE),
        (seen(100, BEFORE, deleted=True), None, TOMBSTONE),
        (seen(100, None, deleted=True), None, DELETED),
        (seen(100, BEFORE, deleted=True), Snapshot(None, UNREAD), TOMBSTONE),
        (seen(100, SINCE, deleted=True), None, DELETED),
        (seen(100, deleted=True), Snapshot(None, UNREAD), DELETED),
        (seen(101, deleted=True), known(), DELETED),
        (seen(deleted=True), known(BEFORE, content=OTHER), DELETED),
        (seen(deleted=True), Snapshot(None, CONTENT_UNKNOWN), DELETED),
        (seen(deleted=True), known(gone=True), STAYS_TOMBSTONE),
        (seen(deleted=True), known(BEFORE, content=OTHER, gone=True), STAYS_TOMBSTONE),
        (seen(deleted=True), Snapshot(5, UNREAD, gone=True), TOMBSTONE),  # recorded by a sweep before
    ],
)
def test_a_record_with_the_deleted_flag_is_recorded_once(
    record: Seen, before: Snapshot | None, verdict: Verdict
) -> None:
    assert judge(record, before, WATCH) == verdict


@pytest.mark.parametrize(("seconds", "kind"), [(3, "CREATED"), (4, "UPDATED")])
def test_the_tolerance_is_the_most_that_an_update_may_follow_its_creation(seconds: int, kind: str) -> None:
    watch = Watch(SINCE, 100, created_tolerance=timedelta(seconds=3))
    assert judge(seen(17, SINCE, created=SINCE - timedelta(seconds=seconds)), None, watch).kind == kind


def test_within_the_tolerance_of_its_creation_an_update_means_created() -> None:
    watch = Watch(SINCE, 100, created_tolerance=timedelta(seconds=3))
    moment = seen(17, SINCE + timedelta(seconds=1), created=SINCE - timedelta(seconds=2))
    assert judge(moment, None, watch).kind == "CREATED"


def test_a_moved_stamp_alone_is_silent_where_empty_changes_are_ignored() -> None:
    watch = Watch(SINCE, 100, ignore_empty_changes=True)
    assert judge(seen(), known(BEFORE), watch) == REMEMBER


def test_content_leaves_out_info_hrefs_and_nulls_at_every_depth() -> None:
    record = {"a": {"b": [{"c": 1}]}}
    noisy = {"_info": {"x": 1}, "n": None, "a": {"_info": {}, "b": [{"c": 1, "c_href": "u", "d": None}]}, "a_href": "v"}
    assert digest(record) == digest(noisy)


def test_only_what_ends_in_href_is_a_reference() -> None:
    assert digest({"a_href": 1}) == digest({})
    assert digest({"_hrefs": 1}) != digest({})


def test_a_field_that_becomes_an_object_changes_as_a_whole() -> None:
    assert field_changes({"company": 5}, {"company": {"id": 5}}) == [{"field": "company", "from": 5, "to": {"id": 5}}]
    assert field_changes({"company": {"id": 5}}, {}) == [{"field": "company", "from": {"id": 5}, "to": None}]


@given(st.dictionaries(st.text(), st.integers(-(2**53), 2**53) | st.text() | st.booleans()))
def test_the_order_of_members_is_no_content(record: dict[str, object]) -> None:
    assert digest(record) == digest(dict(reversed(record.items())))


@pytest.mark.parametrize("record", [{"a": 2**70}, {"a": "\ud800"}])
def test_what_has_no_json_text_is_said_to_be_unstorable(record: dict[str, object]) -> None:
    with pytest.raises(UnstorableError):
        digest(record)
    with pytest.raises(UnstorableError):
        record_text(record)


def test_endless_nesting_is_unstorable() -> None:
    deep: dict[str, object] = {}
    for _ in range(3000):
        deep = {"a": deep}
    with pytest.raises(UnstorableError):
        record_text(deep)
    with pytest.raises(UnstorableError):
        digest(deep)


def test_nulls_are_left_out_at_every_depth_on_demand() -> None:
    record = {"a": None, "b": {"c": None, "d": [{"e": None}]}}
    assert record_text(record, keep_nulls=False) == b'{"b":{"d":[{}]}}'
    assert record_text(record) == b'{"a":null,"b":{"c":null,"d":[{"e":null}]}}'


def test_changed_fields_are_named_by_dotted_name() -> None:
    before = {"name": "Ada", "company": {"id": 1, "name": "Old"}, "types": [1], "gone": 5, "_info": {"a": 1}}
    after = {"name": "Ada", "company": {"id": 1, "name": "New"}, "types": [1, 2], "new": 6, "_info": {"a": 2}}
    assert field_changes(before, after) == [
        {"field": "company.name", "from": "Old", "to": "New"},
        {"field": "gone", "from": 5, "to": None},
        {"field": "new", "from": None, "to": 6},
        {"field": "types", "from": [1], "to": [1, 2]},
    ]
