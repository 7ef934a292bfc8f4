"""Pages with elements that are no clean JSON: their neighbours are read, and what was cut off is no page."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwconnect.connectwise.answers import JsonError, NoUsableIdError, Page, make_page, parse_list

DEEP = b'{"id": 2, "a": ' + b"[" * 900 + b'"\\ud83d"' + b"]" * 900 + b"}"
READ_ALL_THE_SAME = {
    "a raw line break": (b'{"id": 2, "name": "ODD\nONE"}', {"id": 2, "name": "ODD\nONE"}),
    "a raw NUL": (b'{"id": 2, "name": "a\x00b"}', {"id": 2, "name": "a\x00b"}),
    "an escape sequence": (b'{"id": 2, "name": "\x1b[31m"}', {"id": 2, "name": "\x1b[31m"}),
    "a byte that is no UTF-8": (b'{"id": 2, "name": "caf\xe9"}', {"id": 2, "name": "caf\ufffd"}),
    "a surrogate in UTF-8": (b'{"id": 2, "name": "\xed\xa0\xbd"}', {"id": 2, "name": "\ufffd\ufffd\ufffd"}),
}
LEFT_OUT = {
    "900 brackets with half a surrogate pair": DEEP,
    "90,000 brackets": b'{"id": 2, "a": ' + b"[" * 90_000 + b"]" * 90_000 + b"}",
    "NaN": b'{"id": 2, "a": NaN}',
    "-Infinity": b'{"a": -Infinity, "id": 2}',
    "a number beyond all bounds": b'{"id": 2, "a": 1e999}',
    "an unknown escape": b'{"id": 2, "a": "\\x41"}',
    "a word that is no value": b'{"id": 2, "a": undefined}',
    "a comma too many": b'{"id": 2, "a": 1,}',
    "a member without a colon": b'{"id": 2, "a" 1}',
    "a nested id before its own": b'{"company": {"id": 77}, "a": NaN, "id": 2}',
}


def page_of(*elements: bytes, after_id: int = 0, ends: bool = False) -> Page:
    return make_page(parse_list(b"[" + b",".join(elements) + b"]"), after_id=after_id, date=None, ends=ends)


@pytest.mark.parametrize("odd", READ_ALL_THE_SAME)
def test_what_can_be_read_is_read_and_noted(odd: str) -> None:
    text, record = READ_ALL_THE_SAME[odd]
    page = page_of(b'{"id": 1}', text, b'{"id": 3}')
    assert page.records == [{"id": 1}, record, {"id": 3}]
    assert (page.skipped, len(page.notes), page.last_id) == ([], 1, 3)
    assert "record 2" in page.notes[0]


@pytest.mark.parametrize("odd", LEFT_OUT)
@pytest.mark.parametrize(("before", "behind"), [([], [3]), ([1], [3]), ([1], [])])
def test_what_can_not_be_read_is_left_out_by_name(odd: str, before: list[int], behind: list[int]) -> None:
    elements = [b'{"id": %d}' % number for number in before], [b'{"id": %d}' % number for number in behind]
    page = page_of(*elements[0], LEFT_OUT[odd], *elements[1], ends=True)
    assert [record["id"] for record in page.records] == before + behind
    assert len(page.skipped) == 1
    assert "record 2" in page.skipped[0]
    assert page.last_id == max(before + behind)


@pytest.mark.parametrize("odd", LEFT_OUT)
def test_where_the_next_page_begins_hangs_on_nothing_that_can_not_be_read(odd: str) -> None:
    page = page_of(b'{"id": 1}', LEFT_OUT[odd])
    assert (page.records, page.skipped, page.last_id) == ([{"id": 1}], [], 1)  # it is the next page's first
    with pytest.raises(NoUsableIdError):
        page_of(LEFT_OUT[odd])


@pytest.mark.parametrize(
    ("text", "record_id"),
    [
        (b'{"\\u0069d": 2, "a": NaN}', 2),
        (b'{"\\u0069\\u0064": 2, "a": NaN}', 2),
        (b'{"id": 2.0, "a": NaN}', 2),
        (b'{"id": "2", "a": NaN}', 2),
        (b'{"id" : 2 , "a": NaN}', 2),
        (b'{"id": 2, "a": NaN, "id": 2}', 2),
        (b'{"id": 2, "a": NaN "id": 77}', None),
        (b'{"ids": 2, "a": NaN}', None),
        (b'{"id": 2.5, "a": NaN}', None),
        (b'{"id": NaN}', None),
        (b'{"id": 99999999999999999999, "a": NaN}', None),
    ],
)
def test_an_id_is_made_out_where_there_is_no_doubt(text: bytes, record_id: int | None) -> None:
    (element,) = parse_list(b"[" + text + b"]")
    assert element.record_id == record_id


def test_two_point_nought_is_the_id_two() -> None:
    page = page_of(b'{"id": 2.0, "a": 1}')
    assert (page.records, page.last_id) == ([{"id": 2, "a": 1}], 2)


@pytest.mark.parametrize(
    "element", [b'"text"', b"7", b"null", b"[]", b'{"name": "x"}', b'{"id": "2"}', b'{"id": 2.5}', b'{"id": true}',
                b'{"id": -2}', b'{"id": 99999999999999999999}', b'{"a": NaN}', b"{}"]
)  # fmt: skip
def test_what_has_no_id_is_left_out_and_the_next_page_begins_behind_the_others(element: bytes) -> None:
    page = page_of(b'{"id": 1}', element, b'{"id": 3}')
    assert [record["id"] for record in page.records] == [1, 3]
    assert (len(page.skipped), page.last_id) == (1, 3)


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_page_that_was_cut_off_is_no_page(cut: int) -> None:
    whole = b'[{"id": 1, "name": "x\n"}, {"id": 2}]'
    with pytest.raises(JsonError):
        parse_list(whole[:-cut])


@pytest.mark.parametrize(
    "elements",
    [
        [b'{"id": 1}', b'{"id": 2, "a": "5" pipe"}', b'{"id": 3}'],
        [b'{"id": 1}', b'{"id": 2, "a": "C:\\dir\\"}', b'{"id": 3}'],
        [b'{"id": 1}', b'{"id": 2, "a": "5" pipe"}', b'{"id": 3, "a": "6" pipe"}', b'{"id": 4}'],
        [b'{"id": 2, "a": "5" pipe"}', b'{"id": 3}', b'{"id": 4}'],
        [b'{"id": 1}', b'{"id": 2, "a": "5" pipe"}'],
        [b'{"id": 1}', b'{"id": 2, "a": [1}', b'{"id": 3}'],
        [b'{"id": 1}', b'{"id": 2, "a": 1]}', b'{"id": 3}'],
        [b'{"id": 1}', b'{"id": 2, "a": 1}}', b'{"id": 3}'],
        [b'{"id": 1}', b'{"id": 2, "a": [1}', b'{"id": 3}', b'{"id": 4, "a": 1]}'],
        [b'{"id": 1}', b'{"id": 2, "a": 1', b'{"id": 3}', b'{"id": 4}}'],
        [b'{"id": 1}', b'{"id": 2, "a": [1', b'{"id": 3}', b'{"id": 4]}'],
    ],
)
def test_where_quotes_or_brackets_do_not_match_no_neighbour_is_swallowed(elements: list[bytes]) -> None:
    with pytest.raises(JsonError):
        parse_list(b"[" + b",".join(elements) + b"]")


@pytest.mark.parametrize("more", [b"x", b"]", b"[]", b"{}", b"<html>"])
def test_a_page_with_something_behind_its_end_is_no_page(more: bytes) -> None:
    with pytest.raises(JsonError):
        parse_list(b'[{"id": 1, "name": "x\n"}]' + more)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_page_in_another_form_of_unicode_is_read(encoding: str) -> None:
    records = [{"id": 1, "name": "Ünï"}, {"id": 2, "name": "x\ny"}]
    assert make_page(parse_list(json.dumps(records).encode(encoding)), after_id=0, date=None).records == records


@pytest.mark.parametrize("body", [b"null", b"[]", b" [ ] ", b"\xef\xbb\xbf[]"])
def test_an_empty_page_is_an_empty_list(body: bytes) -> None:
    assert parse_list(body) == []


_LEAVES = st.none() | st.integers(-5, 5) | st.text('ab"\\,[]{}\n\x00é', max_size=6)
_VALUES = st.recursive(
    _LEAVES,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text('ab"\\,[]{}', max_size=3), below, max_size=3),
    max_leaves=8,
)


@given(st.lists(_VALUES, max_size=5))
def test_cut_at_its_commas_an_array_is_what_it_was(elements: list[Any]) -> None:
    # One element that orjson refuses makes it go the long way.
    found = parse_list(json.dumps([*elements, float("nan")], ensure_ascii=False).encode())
    assert found[:-1] == elements
