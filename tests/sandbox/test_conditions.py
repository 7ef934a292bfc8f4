"""The grammar of `conditions`, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cwconnect.sandbox import Store
from tests.sandbox.caller import CONTACTS, Caller
from tests.support.sandboxes import start_sandbox

ROWS: list[dict[str, Any]] = [
    {"firstName": "Alice", "title": "Owner", "inactiveFlag": False, "company": {"id": 250, "name": "Acme"}},
    {"firstName": "Bob", "title": 'The "Boss"', "inactiveFlag": True, "company": {"id": 251, "name": "Beta*Co"}},
    {"firstName": "Chloé", "title": "O'Brien's aide", "inactiveFlag": False, "company": None},
    {"firstName": "dora", "title": None, "inactiveFlag": True, "company": {"id": 250, "name": "Acme"}},
]
STAMPS = ["2016-08-20T18:04:25Z", "2016-08-20T18:04:26Z", "2016-08-20T18:04:27Z", "2018-01-01T00:00:00Z"]


@pytest.fixture(scope="module")
def people() -> Iterator[Caller]:
    with start_sandbox(records={}) as server:
        for fields, stamp in zip(ROWS, STAMPS, strict=True):
            server.store.create("contacts", fields, stamp=stamp)
        with Caller(server) as caller:
            yield caller


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        ("id = 2", [2]),
        ("id != 2", [1, 3, 4]),
        ("id<3", [1, 2]),
        ("id <= 3 and id >= 2", [2, 3]),
        ("ID > 3", [4]),
        ('firstName = "Alice"', [1]),
        ("firstName = 'alice'", [1]),
        ("FIRSTNAME = 'DORA'", [4]),
        ('title = "The ""Boss"""', [2]),
        (r'title = "The \"Boss\""', [2]),
        ("title = 'The \"Boss\"'", [2]),
        ("title = \"O'Brien's aide\"", [3]),
        ("title = 'O''Brien''s aide'", [3]),
        ('firstName like "a*"', [1]),
        ('firstName like "%o%"', [2, 3, 4]),
        ('firstName like "alice"', [1]),
        ('firstName like "lic"', []),
        ('firstName not like "*o*"', [1]),
        ('firstName contains "LIC"', [1]),
        ('company/name contains "a*c"', [2]),
        ("firstName not contains 'o'", [1]),
        ("id in (1, 3,99)", [1, 3]),
        ('firstName in ("bob","Alice")', [1, 2]),
        ("id not in (1,3)", [2, 4]),
        ("title = null", [4]),
        ("title != NULL", [1, 2, 3]),
        ("company = null", [3]),
        ("company/id = null", [3]),
        ("company/id = 250", [1, 4]),
        ("company/id != 250", [2]),
        ("not company/id = 250", [2]),
        ("inactiveFlag = true", [2, 4]),
        ("inactiveFlag=False", [1, 3]),
        ("not (inactiveFlag = true or id = 1)", [3]),
        ("id = 1 or id = 2 and inactiveFlag = false", [1]),
        ("(id = 1 OR id = 2) AND inactiveFlag = true", [2]),
        ("lastUpdated > [2016-08-20T18:04:26Z]", [3, 4]),
        ("lastUpdated >= [2016-08-20T18:04:26Z]", [2, 3, 4]),
        ("_info/lastUpdated < [2016-08-20T18:04:26Z]", [1]),
        ("LASTUPDATED = [2016-08-20T18:04:26]", [2]),
        ("lastupdated > [2017-01-01]", [4]),
        ("lastUpdated > [2016-08-20T18:04:26Z] and lastUpdated < [2017-01-01T00:00:00Z]", [3]),
        ("id = -1", []),
        ("", [1, 2, 3, 4]),
        ("  ", [1, 2, 3, 4]),
    ],
)
def test_conditions_find_what_they_say(people: Caller, conditions: str, found: list[int]) -> None:
    assert people.ids(conditions) == found
    assert people.get("/company/contacts/count", conditions=conditions).json == {"count": len(found)}


@pytest.mark.parametrize("name", ["x/y", "nothing", "company/nothing", "_info/dateEntered", "communicationItems/value"])
def test_a_name_no_record_has_is_refused_in_connectwises_words(people: Caller, name: str) -> None:
    answer = people.get(conditions=f"{name} = 1")
    assert answer.status == 400
    assert answer.json == {"code": "ApiFindCondition", "message": f"{name} is not a recognized name."}


@pytest.mark.parametrize(
    "conditions",
    [
        *("id", "id =", "= 1", "id = 1 and", "(id = 1", "id = 1)", "id in 1", "id in (1", "id == 1", "id = one"),
        *('firstName = "open', "id = 1 id = 2", "not", "id like 5", "title > null", "id ? 1", "and id = 1", "id = 5x"),
    ],
)
def test_what_can_not_be_read_is_refused(people: Caller, conditions: str) -> None:
    answer = people.get(conditions=conditions)
    assert (answer.status, answer.json["code"]) == (400, "ApiFindCondition")


@pytest.mark.parametrize(
    "value",
    ['"2016-08-20T18:04:26Z"', "2016", "[2016-08-20T18:04:26+02:00]", "[2016-08-20T18:04:26.Z]", "[yesterday]", "[]"],
)
def test_a_date_that_is_unsafe_or_without_brackets_is_refused(people: Caller, value: str) -> None:
    assert people.get(conditions=f"lastUpdated > {value}").status == 400


def test_conditions_may_be_long_but_not_deep(caller: Caller) -> None:
    many = [f"id = {number}" for number in range(1, 900)]
    assert len(caller.ids(" or ".join(many))) == 30
    assert caller.ids(" and ".join(["id = 3"] * 900)) == [3]
    assert caller.ids("(" * 40 + "id = 3" + ")" * 40) == [3]
    for deep in ("(" * 900 + "id = 3" + ")" * 900, "not " * 900 + "id = 3"):
        assert caller.get(conditions=deep).json["code"] == "ApiFindCondition"


@pytest.mark.parametrize(
    ("conditions", "met"),
    [
        ("title = null and shoeSize > 1", None),
        ("shoeSize > 1 and id = 8", False),
        ("shoeSize > 1 or id = 7", True),
        ("shoeSize > 1 or id = 8", None),
        ("not (shoeSize > 1 or id = 8)", None),
        ("not (shoeSize > 1 and id = 8)", True),
        ("id = 7 and id < 8 and shoeSize > 1", None),
    ],
)
def test_what_is_not_there_neither_meets_nor_misses(
    caller: Caller, store: Store, conditions: str, met: bool | None
) -> None:
    store.change("contacts", 7, {"title": None})
    store.change("contacts", 9, {"shoeSize": 43})
    assert [7] * (met is True) + [7] * (met is not True) == [7]
    assert (7 in caller.ids(conditions)) is (met is True)


@pytest.mark.parametrize(
    ("conditions", "met"),
    [
        ("lastUpdated > [2018-07-31T19:39:45.999Z]", True),
        ("lastUpdated >= [2018-07-31T19:39:46.000Z]", True),
        ("lastUpdated = [2018-07-31T19:39:46.0Z]", True),
        ("lastUpdated > [2018-07-31T19:39:46.0000001Z]", False),
        ("_info/lastUpdated < [2018-07-31T19:39:46.5Z]", True),
        ("lastUpdated = [2018-07-31T19:39:46.5Z]", False),
    ],
)
def test_a_fraction_of_a_second_counts(caller: Caller, store: Store, conditions: str, met: bool) -> None:
    store.touch("contacts", 7, stamp="2018-07-31T19:39:46Z")
    assert (caller.ids(f"id = 7 and {conditions}") == [7]) is met


def test_a_field_first_met_in_a_change_is_known_from_then_on(caller: Caller, store: Store) -> None:
    assert caller.get(conditions="shoeSize = 43").status == 400
    store.change("contacts", 7, {"shoeSize": 43})
    assert caller.ids("shoeSize = 43") == [7]


def test_a_record_without_a_stamp_meets_no_comparison_of_it(caller: Caller, store: Store) -> None:
    store.change("contacts", 7, {"_info": {"lastUpdated": None}})
    store.change("contacts", 8, {}, remove=["_info/lastUpdated"])
    assert caller.ids("lastUpdated = null") == [7, 8]
    assert {7, 8}.isdisjoint(caller.ids("lastUpdated > [1990-01-01]"))
    assert caller.get("/company/contacts/7").json["_info"]["lastUpdated"] is None
    assert "lastUpdated" not in caller.get("/company/contacts/8").json["_info"]


def test_tickets_know_date_entered_by_its_short_name() -> None:
    with start_sandbox(records={"incidents": 5}) as server, Caller(server) as caller:
        assert len(caller.ids("dateEntered > [1990-01-01]", "/service/tickets")) == 5


@pytest.mark.parametrize(
    ("part", "text", "found"),
    [
        ("childConditions", 'communicationItems/value like "a@*"', [1]),
        ("childConditions", 'communicationItems/value = "a@x" and communicationItems/type/id = 1', [1]),
        ("childConditions", 'communicationItems/value = "a@x" and communicationItems/type/id = 2', []),
        ("childConditions", "types/id = 3 or communicationItems/type/id = 2", [1, 2]),
        ("customFieldConditions", 'caption = "Colour" and value = "red"', [2]),
        ("customFieldConditions", 'caption = "Colour" and value != null', [1, 2]),
    ],
)
def test_child_conditions_are_met_by_one_item_alone(part: str, text: str, found: list[int]) -> None:
    first = {
        "communicationItems": [{"type": {"id": 1}, "value": "a@x"}, {"type": {"id": 2}, "value": "5"}],
        "customFields": [{"id": 1, "caption": "Size", "value": "red"}, {"id": 2, "caption": "Colour", "value": "blue"}],
    }
    second = {"communicationItems": [], "types": [{"id": 3}], "customFields": [{"caption": "Colour", "value": "red"}]}
    with start_sandbox(records={}) as server, Caller(server) as caller:
        server.store.create("contacts", first)
        server.store.create("contacts", second)
        answer = caller.get(CONTACTS, None, **{part: text, "fields": "id"})
        assert answer.json == [{"id": number} for number in found]
        both = caller.get(CONTACTS, None, **{part: text, "fields": "id", "conditions": "id = 2"})
        assert both.json == [{"id": number} for number in found if number == 2]


@pytest.mark.parametrize("name", ["value", "firstName", "communicationItems/colour", "id"])
def test_child_conditions_know_only_what_stands_in_arrays(caller: Caller, name: str) -> None:
    assert caller.get(childConditions=f"{name} = 1").json["message"] == f"{name} is not a recognized name."


@pytest.mark.parametrize("conditions", ["inactiveFlag = 5", "inactiveFlag in (true, 0)"])
def test_a_number_for_a_flag_is_refused_in_connectwises_words(people: Caller, conditions: str) -> None:
    answer = people.get(conditions=conditions)
    assert (answer.status, answer.json["code"]) == (400, "ApiFindCondition")
    assert answer.json["message"].startswith(
        "Expected a boolean value, not a numeric. String values should be enclosed"
    )
