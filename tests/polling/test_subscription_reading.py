"""What a subscription is to be, read from JSON: what is taken, and what each mistake is called."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from instances.configuration.values import ConfigurationError
from instances.secrets import MASK
from polling.filters.reading import parse_filter
from polling.subscriptions.reading import OF_THE_INSTANCE, Settings, read_settings

URL = "https://receiver.example/hook"
NEW: dict[str, Any] = {"name": "Tickets", "url": URL}
STORED = Settings(
    name="Tickets",
    url=URL,
    headers={"X-Token": "the token", "X-Plain": "plain"},
    basic_username="user",
    basic_password="the password",
    signature_key="the key",
    fields=("id",),
)


def read(given: dict[str, Any], base: Settings | None = None, *, first: bool = False) -> Settings:
    return read_settings(given, base=base or Settings(), mappings=("people",), first=first)


def mistakes(given: dict[str, Any], base: Settings | None = None, *, first: bool = False) -> dict[str, str]:
    with pytest.raises(ConfigurationError) as refused:
        read(given, base, first=first)
    return dict(refused.value.problems)


def test_a_new_one_takes_a_name_and_a_url_and_has_the_usual_beside() -> None:
    assert read(NEW) == Settings(name="Tickets", url=URL)
    assert mistakes({}) == {"name": "is required", "url": "is required"}


def test_everything_that_may_be_said_is_read() -> None:
    wanted = read(
        {
            "name": "  Closed tickets ",
            "enabled": False,
            "url": f" {URL} ",
            "headers": {"X-Token": " abc "},
            "basic": {"username": "user", "password": "secret"},
            "signature_key": "whsec_abc",
            "filter": {"resources": ["incidents"], "where": "status.name = 'Closed'", "kinds": None},
            "form": "cloudevents",
            "fields": ["id", " status ", "ID"],
            "retry_schedule": [0, 5, 0.5, 604_800],
            "retention_days": 7,
        }
    )
    assert wanted == Settings(
        name="Closed tickets",
        enabled=False,
        url=URL,
        headers={"X-Token": " abc "},
        basic_username="user",
        basic_password="secret",
        signature_key="whsec_abc",
        filter='{"resources":["incidents"],"where":"status.name = \'Closed\'"}',
        form="cloudevents",
        fields=("id", "status"),
        retry_schedule=(0, 5, 0.5, 604_800),
        retention_days=7,
    )
    assert read(NEW | {"mapping": "people"}).mapping == "people"


def test_no_secret_is_printed() -> None:
    assert not any(secret in repr(STORED) for secret in ("the token", "the password", "the key", "plain"))


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"name": ""}, "name", "must be a text of 1 to 200 characters"),
    ({"name": "x" * 201}, "name", "must be a text of 1 to 200 characters"),
    ({"name": 5}, "name", "must be a text of 1 to 200 characters"),
    ({"name": "a\u200bb"}, "name", "holds U+200B ZERO WIDTH SPACE"),
    ({"name": "a\x00b"}, "name", "holds U+0000"),
    ({"enabled": "yes"}, "enabled", "must be true or false"),
    ({"enabled": 1}, "enabled", "must be true or false"),
    ({"url": "ftp://receiver.example"}, "url", "can't be used"),
    ({"url": "http://169.254.169.254/latest"}, "url", "can't be used"),
    ({"url": "http://10.0.0.1/"}, "url", "can't be used"),
    ({"url": 7}, "url", "can't be used"),
    ({"url": "https://receiver.example/" + "x" * 2000}, "url", "is longer than 2,000 characters"),
    ({"headers": "X-Token: a"}, "headers", "must be an object of texts"),
    ({"headers": {"X-Token": 5}}, "headers", "must be an object of texts"),
    ({"headers": {"webhook-id": "x"}}, "headers", "can't be used"),
    ({"headers": {"X Y": "x"}}, "headers", "can't be used"),
    ({"headers": {f"X-{n}": "x" for n in range(51)}}, "headers", "holds more than 50 headers"),
    ({"headers": {"X-Token": MASK}}, "headers", "holds a mask"),
    ({"headers": {"Authorization": "x"}, "basic": {"username": "u"}}, "headers", "holds Authorization beside"),
    ({"basic": "user:password"}, "basic", "must be an object"),
    ({"basic": {"username": "a:b"}}, "basic.username", "must not hold a colon"),
    ({"basic": {"password": "x"}}, "basic.username", "is required beside a password"),
    ({"basic": {"username": "u", "password": MASK}}, "basic.password", "is a mask"),
    ({"basic": {"username": "u", "password": "x" * 1001}}, "basic.password", "is longer than 1,000 characters"),
    ({"basic": {"user": "u"}}, "basic.user", "is not known here"),
    ({"signature_key": MASK}, "signature_key", "is a mask"),
    ({"signature_key": "a\nb"}, "signature_key", "holds U+000A"),
    ({"signature_key": []}, "signature_key", "must be a text"),
    ({"filter": []}, "filter", "must be a JSON object"),
    ({"filter": {"where": "status.name ="}}, "filter.where", ""),
    ({"filter": {"where": ""}}, "filter.where", "must be a text that is not empty"),
    ({"filter": {"kinds": ["GONE"]}}, "filter.kinds.0", "must be one of"),
    ({"filter": {"changed": ["a..b"]}}, "filter.changed.0", "must be the name of a field"),
    ({"filter": {"from": {"status.name": {}}}}, "filter.from.status.name", "must be a text"),
    ({"filter": {"when": 1}}, "filter.when", "is not known here"),
    ({"filter": {"where": "x" * 5000}}, "filter", "is longer than 4,096 bytes"),
    ({"filter": {"changed": ["\ud800"]}}, "filter", "holds half of a surrogate pair"),
    ({"filter": {"to": {"a": float("nan")}}}, "filter", "is no valid JSON"),
    ({"form": "xml"}, "form", "must be one of elements, cloudevents, thin"),
    ({"form": ["thin"]}, "form", "must be one of"),
    ({"fields": "id"}, "fields", "must be a list of at most 100 names"),
    ({"fields": [f"f{n}" for n in range(101)]}, "fields", "must be a list of at most 100 names"),
    ({"fields": ["id", "status.name"]}, "fields.1", "must be a top field, like status"),
    ({"fields": ["id", " "]}, "fields.1", "must be a text of 1 to 100 characters"),
    ({"fields": [5]}, "fields.0", "must be a text of 1 to 100 characters"),
    ({"fields": ["a\x00"]}, "fields.0", "must be a text of 1 to 100 characters that can be seen"),
    ({"mapping": "nobody"}, "mapping", "names no transformation of this instance: there is no nobody"),
    ({"mapping": "people", "fields": ["id"]}, "mapping", "can't stand beside fields"),
    ({"mapping": 5.5}, "mapping", "must be a text"),
    ({"retry_schedule": 5}, "retry_schedule", "must be a list of 1 to 50 numbers"),
    ({"retry_schedule": [1] * 51}, "retry_schedule", "must be a list of 1 to 50 numbers"),
    ({"retry_schedule": [0, -1]}, "retry_schedule.1", "must be a number of seconds from 0 to 604,800"),
    ({"retry_schedule": [604_801]}, "retry_schedule.0", "must be a number of seconds"),
    ({"retry_schedule": [True]}, "retry_schedule.0", "must be a number of seconds"),
    ({"retry_schedule": [float("nan")]}, "retry_schedule.0", "must be a number of seconds"),
    ({"retention_days": -1}, "retention_days", "must be a whole number of days"),
    ({"retention_days": 3651}, "retention_days", "must be a whole number of days"),
    ({"retention_days": 1.5}, "retention_days", "must be a whole number of days"),
    ({"retention_days": True}, "retention_days", "must be a whole number of days"),
    ({"colour": "red"}, "colour", "is not known here"),
    ({"x" * 300: 1}, "x" * 50, "is not known here"),
]


@pytest.mark.parametrize(("given", "member", "words"), WRONG)
def test_every_mistake_names_its_member(given: dict[str, Any], member: str, words: str) -> None:
    found = mistakes(NEW | given)
    assert list(found) == [member]
    assert words in found[member]


def test_a_filter_nested_without_end_is_refused() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = {"a": deep}
    assert mistakes(NEW | {"filter": {"to": deep}}) == {"filter": "is nested too deeply"}


def test_several_mistakes_are_all_named() -> None:
    found = mistakes({"name": "", "url": "x", "fields": [""], "retention_days": -1})
    assert list(found) == ["name", "url", "fields.0", "retention_days"]


def test_what_is_null_or_left_out_stays_and_an_empty_value_takes_away() -> None:
    assert read({}, STORED) == STORED
    assert read(dict.fromkeys(("name", "url", "headers", "basic", "signature_key", "fields")), STORED) == STORED
    gone = {"headers": {}, "basic": {}, "signature_key": "", "fields": [], "filter": {"where": None}}
    assert read(gone, replace(STORED, filter='{"kinds":["DELETED"]}')) == Settings(name="Tickets", url=URL)
    schedules = replace(STORED, retry_schedule=(1, 2), retention_days=3, mapping="", fields=())
    assert read({"retry_schedule": [], "retention_days": 0}, schedules) == replace(STORED, fields=())
    assert "can't be used" in mistakes({"url": ""}, STORED)["url"]


class TestMasks:
    """Answers mask secrets; what is sent back as it was shown changes nothing."""

    def test_what_an_answer_showed_keeps_what_is_stored(self) -> None:
        shown = {
            "headers": {"x-token": MASK, "X-Plain": "other"},
            "basic": {"username": "user", "password": MASK},
            "signature_key": MASK,
        }
        wanted = read(shown, STORED)
        assert wanted == replace(STORED, headers={"x-token": "the token", "X-Plain": "other"})

    def test_a_password_stays_where_none_is_said(self) -> None:
        assert read({"basic": {"username": "another"}}, STORED).basic_password == "the password"
        assert read({"basic": {"username": "user", "password": ""}}, STORED).basic_password == ""

    def test_without_a_user_there_is_no_password(self) -> None:
        assert read({"basic": {"username": ""}}, STORED).basic_password == ""
        assert read({"basic": {"username": None, "password": None}}, STORED) == STORED
        assert read({"basic": {"username": None, "password": "new"}}, STORED).basic_username == "user"
        assert mistakes({"basic": {"username": "", "password": "x"}}, STORED) == {
            "basic.username": "is required beside a password"
        }


class TestDestinations:
    """Secrets stay with the scheme, host and port that they were given for, as of an instance."""

    @pytest.mark.parametrize(
        "elsewhere", ["https://other.example/hook", "http://receiver.example/hook", "https://receiver.example:444/hook"]
    )
    @pytest.mark.parametrize(
        "masked",
        [
            {},
            {"headers": {"X-Token": MASK, "X-Plain": "p"}, "basic": {"username": "user", "password": MASK}},
            {"basic": {"username": "user"}},
        ],
    )
    def test_they_go_nowhere_else(self, elsewhere: str, masked: dict[str, Any]) -> None:
        found = mistakes({"url": elsewhere} | masked, STORED)
        assert set(found) == {"headers", "basic.password"}
        assert all(
            words == "must be given anew, since url names another scheme, host or port than it was given for"
            for words in found.values()
        )

    def test_given_anew_or_taken_away_they_do(self) -> None:
        anew = {"headers": {"X-Token": "new"}, "basic": {"username": "user", "password": "new"}}
        assert read({"url": "https://other.example"} | anew, STORED).basic_password == "new"
        gone: dict[str, Any] = {"headers": {}, "basic": {}}
        assert read({"url": "https://other.example"} | gone, STORED).headers == {}

    def test_another_path_keeps_them_and_the_signature_key_is_not_sent(self) -> None:
        assert read({"url": "https://receiver.example/other"}, STORED).basic_password == "the password"
        bare = replace(STORED, headers={}, basic_username="", basic_password="")
        assert read({"url": "https://other.example"}, bare).signature_key == "the key"


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("enabled", False),
        ("url", "https://other.example"),
        ("headers", {}),
        ("basic", {"username": "u"}),
        ("signature_key", "x"),
    ],
)
def test_what_the_first_one_has_of_its_instance_names_the_key(member: str, value: Any) -> None:
    found = mistakes({member: value}, Settings(name="Main"), first=True)
    assert list(found) == [member]
    assert f"change {OF_THE_INSTANCE[member]}" in found[member]


def test_of_the_first_one_all_else_is_read() -> None:
    wanted = read({"name": "Everything", "fields": ["id"], "form": "thin"}, Settings(name="Main"), first=True)
    assert wanted == Settings(name="Everything", fields=("id",), form="thin")


def test_a_mapping_that_is_gone_holds_up_nothing_else() -> None:
    stored = replace(STORED, fields=(), mapping="gone")
    assert read({"name": "Another"}, stored).name == "Another"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=8,
)
MEMBERS = [*(name for name in OF_THE_INSTANCE), "name", "filter", "form", "fields", "mapping", "retry_schedule"]


@hypothesis_settings(max_examples=50)
@given(st.dictionaries(st.sampled_from([*MEMBERS, "retention_days"]), JSON))
def test_whatever_is_sent_is_read_or_refused_by_its_member(given: dict[str, Any]) -> None:
    problems, wanted = {}, Settings()
    try:
        wanted = read(NEW | given)
    except ConfigurationError as error:
        problems = dict(error.problems)
    assert {path.partition(".")[0] for path in problems} <= {*MEMBERS, "retention_days"}
    assert not wanted.filter or parse_filter(wanted.filter)
