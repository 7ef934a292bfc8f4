"""CEQL read into trees, and trees translated for ConnectWise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwconnect.connectwise.ceql.conditions import (
    And,
    Boolean,
    Comparison,
    Instant,
    Literal,
    Node,
    Null,
    Number,
    Or,
    Text,
    WhereError,
    Word,
    fields_of,
    map_comparisons,
    parse_where,
    to_conditions,
)
from tests.connectwise.trees import FIELDS, INSTANT, evaluate, records, spell, trees

A, B, C = (Comparison(name, "=", Number(Decimal(1))) for name in "abc")

LITERALS: list[tuple[str, Literal]] = [
    ("'text'", Text("text")),
    ("''", Text("")),
    ("'O''Hara'", Text("O'Hara")),
    ('"text"', Text("text")),
    ('"it\'s"', Text("it's")),
    ('"a""b"', Text('a"b')),
    ("'a) and b=1'", Text("a) and b=1")),
    ("12", Number(Decimal(12))),
    ("-1.50", Number(Decimal("-1.50"))),
    ("007", Word("007")),
    ("1e5", Word("1e5")),
    ("TRUE", Boolean(True)),
    ("false", Boolean(False)),
    ("Acme", Word("Acme")),
    ("a,b", Word("a,b")),
    ("Zürich", Word("Zürich")),
    ("2018-07-31T19:39:46Z", Word("2018-07-31T19:39:46Z")),
    ("2018-07-31 19:39:46", Word("2018-07-31 19:39:46")),
    ("2018-07-31T19:39:46+02:00", Word("2018-07-31T19:39:46+02:00")),
    ("'${gmtDate:yyyy-MM-dd'T'HH:mm:ss'Z'}'", Instant(INSTANT)),
    ("\"${date:yyyy-MM-dd'T'HH:mm}\"", Instant(INSTANT)),
    ("'${dateTimeZone:-6:00:MM/dd/yyyy HH:mm:ss}'", Instant(INSTANT)),
    ("${epoch:us}", Instant(INSTANT)),
    ("${date}", Instant(INSTANT)),
    ("'${date:yyyy-MM-dd}T${date:HH:mm}Z'", Instant(INSTANT)),
    ("before${date}after", Instant(INSTANT)),
]


@pytest.mark.parametrize(("text", "literal"), LITERALS)
def test_each_form_of_literal_is_read(text: str, literal: Literal) -> None:
    assert parse_where(f"a = {text}", instant=INSTANT) == Comparison("a", "=", literal)
    assert parse_where(f"(a={text})", instant=INSTANT) == Comparison("a", "=", literal)
    assert parse_where(f"a>{text} and b=1", instant=INSTANT) == And((Comparison("a", ">", literal), B))


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("a=1", A),
        (" a  =  1 ", A),
        ("`a`=1", A),
        ("`odd name`=1", Comparison("odd name", "=", Number(Decimal(1)))),
        ("`like` = 1", Comparison("like", "=", Number(Decimal(1)))),
        ("company.id=1", Comparison("company.id", "=", Number(Decimal(1)))),
        ("company/id=1", Comparison("company/id", "=", Number(Decimal(1)))),
        ("a!=1", Comparison("a", "!=", Number(Decimal(1)))),
        ("a<>1", Comparison("a", "!=", Number(Decimal(1)))),
        ("a<=1", Comparison("a", "<=", Number(Decimal(1)))),
        ("a>=1", Comparison("a", ">=", Number(Decimal(1)))),
        ("a like 'x%'", Comparison("a", "LIKE", Text("x%"))),
        ("a LIKE'x%'", Comparison("a", "LIKE", Text("x%"))),
        ("a Not Like x%", Comparison("a", "NOT LIKE", Word("x%"))),
        ("a in (1,'b', c )", Comparison("a", "IN", (Number(Decimal(1)), Text("b"), Word("c")))),
        ("a IN(1)", Comparison("a", "IN", (Number(Decimal(1)),))),
        ("a not in (true)", Comparison("a", "NOT IN", (Boolean(True),))),
        ("a is null", Comparison("a", "IS NULL", Null())),
        ("a IS NOT NULL", Comparison("a", "IS NOT NULL", Null())),
        ("a = null", Comparison("a", "IS NULL", Null())),
        ("a != NULL", Comparison("a", "IS NOT NULL", Null())),
        ("a=1 and b=1 or c=1", Or((And((A, B)), C))),
        ("a=1 or b=1 AND c=1", Or((A, And((B, C))))),
        ("(a=1 Or b=1)and c=1", And((Or((A, B)), C))),
        ("a='1'and b=1", And((Comparison("a", "=", Text("1")), B))),
        ("((a=1))", A),
        ("not a=1", Comparison("a", "!=", Number(Decimal(1)))),
        (
            "not (a<1 and b is null)",
            Or((Comparison("a", ">=", Number(Decimal(1))), Comparison("b", "IS NOT NULL", Null()))),
        ),
        ("not not a=1", A),
    ],
)
def test_each_form_of_a_where_is_read(text: str, node: Node) -> None:
    assert parse_where(text) == node


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the name of a field was expected, not the end"),
        ("a", "an operator"),
        ("a=", "a value was expected, not the end"),
        ("a==1", "a value was expected, not '=1'"),
        ("a=1 b=2", "AND, OR or the end was expected, not 'b=2' at character 5"),
        ("a=1 and", "the name of a field"),
        ("and a=1", "the name of a field was expected, not 'and a=1'"),
        ("(a=1", "')' was expected"),
        ("a=1)", "AND, OR or the end"),
        ("a='x", "a text that ends in its quote was expected, not"),
        ("a in ()", "a value"),
        ("a in (1 2)", "')' was expected"),
        ("a in (null)", "NULL can't stand in the list"),
        ("a is 1", "NULL was expected"),
        ("a < null", "can't be compared with NULL"),
        ("`a=1", "a name that ends in a backtick"),
        ("1=1", "the name of a field"),
        ("a='${gmtDate:yyyy-bb}'", "'b'"),
        ("a='${today}'", "today"),
        ("a='${dateTimeZone:Mars/Base:yyyy}'", "Mars/Base"),
        ("a='${date:yyyy", "not closed"),
        ("a='${date}'", "no poll time"),
        ("(" * 60 + "a=1" + ")" * 60, "deeper than 50"),
        ("not " * 60 + "a=1", "deeper than 50"),
        ("a=" + "x" * 20_000, "20000 is the most"),
    ],
)
def test_what_is_no_ceql_is_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(WhereError, match=r"^Error parsing query: ") as caught:
        parse_where(text)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("text", "conditions"),
    [
        ("lastUpdated>'2016-08-20T18:04:26Z'", "lastUpdated > [2016-08-20T18:04:26Z]"),
        ("_info.lastUpdated >= 2016-08-20", "lastUpdated >= [2016-08-20T00:00:00Z]"),
        ("_INFO/LASTUPDATED < '2016-08-20 20:04:26+02:00'", "lastUpdated < [2016-08-20T18:04:26Z]"),
        ("_info.dateEntered > 2016-08-20", "_info/dateEntered > [2016-08-20T00:00:00Z]"),
        ("d > '2016-08-20T18:04:26.5Z'", "d > [2016-08-20T18:04:26Z]"),
        ("d <= '2016-08-20T18:04:26.5Z'", "d <= [2016-08-20T18:04:26Z]"),
        ("d >= '2016-08-20T18:04:26.5Z'", "d >= [2016-08-20T18:04:27Z]"),
        ("d < '2016-08-20T18:04:26.5Z'", "d < [2016-08-20T18:04:27Z]"),
        ("d in ('2016-08-20', 2016-08-21)", "d in ([2016-08-20T00:00:00Z], [2016-08-21T00:00:00Z])"),
        ("lastUpdated>'${gmtDate:yyyy-MM-dd'T'HH:mm:ss'Z'}'", "lastUpdated > [2018-07-31T19:39:46Z]"),
        ("company.id = 250", "company/id = 250"),
        ("x = -1.50", "x = -1.50"),
        ("flag = TRUE and other != false", "flag = true and other != false"),
        ("name = 'Acme'", 'name = "Acme"'),
        ("name = Acme", 'name = "Acme"'),
        ("name = '250'", 'name = "250"'),
        ("name = 'say \"hi\"'", "name = 'say \"hi\"'"),
        ("name = 'O''Hara'", 'name = "O\'Hara"'),
        ("name like 'Acme%'", 'name like "Acme%"'),
        ("name like 2018-07-31", 'name like "2018-07-31"'),
        ("name not like A*", 'name not like "A*"'),
        ("a is null or b is not null", "a = null or b != null"),
        ("a in (1, 'x', true)", 'a in (1, "x", true)'),
        ("a not in (1)", "a not in (1)"),
        ("a=1 and b=1 or c=1", "a = 1 and b = 1 or c = 1"),
        ("(a=1 or b=1) and c=1", "(a = 1 or b = 1) and c = 1"),
        ("a=1 and (b=1 or (a=1 and c=1))", "a = 1 and (b = 1 or a = 1 and c = 1)"),
    ],
)
def test_a_where_is_translated_to_conditions(text: str, conditions: str) -> None:
    assert to_conditions(parse_where(text, instant=INSTANT)) == conditions


@pytest.mark.parametrize(
    ("text", "kind", "conditions"),
    [
        ("Company.ID = '250'", "number", "Company/ID = 250"),
        ("company.id in ('1', +2)", "number", "company/id in (1, 2)"),
        ("company.id = 33602", "text", 'company/id = "33602"'),
        ("company.id = '2018-07-31'", "text", 'company/id = "2018-07-31"'),
        ("company.id = true", "text", 'company/id = "true"'),
        ("company.id = 'True'", "boolean", "company/id = true"),
        ("company.id = '2018-07-31'", "date", "company/id = [2018-07-31T00:00:00Z]"),
        ("company/id is null", "date", "company/id = null"),
    ],
)
def test_the_fields_type_comes_before_the_literals_form(text: str, kind: str, conditions: str) -> None:
    assert to_conditions(parse_where(text), field_types={"company.Id": kind}) == conditions


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("x = abc", "number"),
        ("x = 5", "boolean"),
        ("x = 5", "date"),
        ("x = 'yesterday'", "date"),
        ("x = '2018-02-31'", "date"),
        ("x = '''\"'", "text"),
        ("x = 'C:\\'", "text"),
        ("x like '${date}'", "text"),
        ("`x = 1 or y` = 5", "number"),
        ("`a b` = 5", "number"),
        ("`a//b` is null", "number"),
    ],
)
def test_what_connectwise_cannot_be_asked_is_refused(text: str, kind: str) -> None:
    with pytest.raises(WhereError, match=r"^Error parsing query: "):
        to_conditions(parse_where(text, instant=INSTANT), field_types={"x": kind})


def test_the_last_second_of_the_calendar_is_written_without_an_overflow() -> None:
    assert to_conditions(parse_where("d < '9999-12-31T23:59:59.9Z'")) == "d < [9999-12-31T23:59:59Z]"
    assert to_conditions(parse_where("d < '0001-01-01T00:00:00Z'")) == "d < [0001-01-01T00:00:00Z]"


def test_an_instant_in_another_zone_is_kept_in_utc() -> None:
    local = INSTANT.astimezone(timezone(timedelta(hours=-6)))
    assert parse_where("a>${epoch}", instant=local) == Comparison("a", ">", Instant(INSTANT))


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(WhereError, match="no zone"):
        parse_where("a>${epoch}", instant=datetime(2018, 7, 31))  # noqa: DTZ001  (what the test is about)


def test_a_tree_made_by_hand_may_compare_with_null() -> None:
    assert to_conditions(Comparison("a", "=", Null())) == "a = null"


def test_fields_are_listed_as_written() -> None:
    assert fields_of(parse_where("a.B=1 and (c=2 or c=3)")) == {"a.B", "c"}


def test_comparisons_can_be_replaced_one_by_one() -> None:
    def later(node: Comparison) -> Comparison:
        moved = Instant(datetime(2020, 1, 1, tzinfo=UTC))
        return Comparison(node.field, node.operator, moved) if isinstance(node.value, Instant) else node

    tree = parse_where("lastUpdated>${date} and (a=1 or b=1)", instant=INSTANT)
    assert to_conditions(map_comparisons(tree, later)) == "lastUpdated > [2020-01-01T00:00:00Z] and (a = 1 or b = 1)"


@given(trees())
def test_every_tree_is_read_back_from_its_spelling(tree: Node) -> None:
    assert parse_where(spell(tree), instant=INSTANT) == tree


@given(trees(), records())
def test_not_selects_no_record_that_the_tree_selects(tree: Node, record: dict[str, object]) -> None:
    opposite = parse_where(f"not ({spell(tree)})", instant=INSTANT)
    assert not (evaluate(tree, record) and evaluate(opposite, record))
    assert parse_where(f"not (not ({spell(tree)}))", instant=INSTANT) == tree


def translated(text: str, instant: datetime | None = None) -> str:
    """What ConnectWise is asked, or the sentence of the WhereError."""
    try:
        return to_conditions(parse_where(text, instant=instant), field_types=FIELDS)
    except WhereError as error:
        return str(error)


@given(trees())
def test_every_tree_is_translated_or_refused(tree: Node) -> None:
    assert translated(spell(tree), INSTANT)


PIECES = (
    *("a", "1", "=", "<", "(", ")", "'", '"', "`", " ", ",", "}", ":", "%", "\x00", "é", "null", "2018-07-31"),
    *("not ", " and ", " or ", " in ", " like ", " is ", "${", "${date}", "${gmtDate:yyyy'T'}", "${epoch:"),
)


@given(st.text() | st.lists(st.sampled_from(PIECES)).map("".join), st.sampled_from([None, INSTANT]))
def test_no_text_raises_anything_but_a_where_error(text: str, instant: datetime | None) -> None:
    assert translated(text, instant)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 20_000,
        "not " * 5_000,
        "a=1 and " * 2_400 + "a=1",
        "a='" + "'" * 19_000,
        "a=" + "${date}" * 2_800,
        "a=" + "9" * 9_000,
    ],
)
def test_texts_at_the_limit_are_answered_in_time(text: str) -> None:
    started = process_time()
    assert translated(text, INSTANT)
    assert process_time() - started < 5
