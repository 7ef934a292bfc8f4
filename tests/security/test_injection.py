"""Words of another language in what callers and ConnectWise say: none is ever executed, by whatever reads it."""

from __future__ import annotations

import csv
import io
import json
import logging
import re
from typing import Any
from urllib.parse import quote

import pytest

from cwconnect.connectwise.ceql.conditions import to_conditions
from cwconnect.connectwise.ceql.parser import parse_where
from cwconnect.connectwise.ceql.tree import WhereError
from cwconnect.core.csv_export import csv_lines
from cwconnect.core.logs import JsonFormatter, LineFormatter
from cwconnect.core.terminal import LiteralOutput
from instances.models import ApiUser, Instance
from tests.support.api_caller import Api
from tests.support.rows import make_instance

SQL = (
    *(
        "'",
        '"',
        "';",
        "' OR 1=1 --",
        "' OR '1'='1",
        '" OR ""="',
        "1; DROP TABLE instances_instance --",
        "1' AND SLEEP(5)#",
    ),
    *("' UNION SELECT token_hash FROM instances_instance --", "%' OR '%'='", "\\' OR 1=1 --", "0x27"),
    *(
        "1)) OR ((1=1",
        "'||pg_sleep(5)||'",
        "'; VACUUM; --",
        "%",
        "_",
        "%%%",
        "[a-z]",
        "NULL",
        "1e309",
        "-1",
        "99999999999999999999",
    ),
)
PLACES = (
    *("/instances?searchText={0}", "/instances?tags[]={0}", "/instances?nextPage={0}", "/instances?pageSize={0}"),
    *("/instances/{1}/events?objectId={0}", "/instances/{1}/events?objectType={0}", "/instances/{1}/events?from={0}"),
    *("/v1/events?resource={0}", "/v1/events?object_id={0}", "/v1/deliveries?cursor={0}", "/v1/events?after={0}"),
)


@pytest.mark.django_db
@pytest.mark.parametrize("text", SQL)
def test_sql_in_a_query_finds_nobody_and_breaks_nothing(api: Api, other_tenant: Any, text: str) -> None:
    own = make_instance(api.tenant.organization, name="ours", tags=["ours"])
    make_instance(other_tenant.organization, name=f"theirs {text}", tags=[text])
    before = (Instance.objects.count(), ApiUser.objects.count())
    for place in PLACES:
        answer = api("GET", place.format(quote(text, safe=""), own.pk))
        assert answer.status_code in (200, 400), (place, answer.content)
        assert b"theirs" not in answer.content, place
        assert b"ours" not in answer.content or "searchText" not in place, place
    assert (Instance.objects.count(), ApiUser.objects.count()) == before


CONDITIONS = (
    *(
        "x' OR id > 0",
        'x" OR id > 0 OR name = "',
        'x\\" or id>0 or name=\\"',
        "x]",
        "[2020-01-01T00:00:00Z]",
        "x' AND 'a'='a",
    ),
    *('"', '""', "\\", 'x" and company/id = 1 and name = "', "x\r\nid > 0", "%' or '%", "x) or (id > 0"),
)


@pytest.mark.parametrize("text", CONDITIONS)
@pytest.mark.parametrize("operator", ["=", "!=", "LIKE", "IN"])
def test_a_literal_of_a_where_stays_one(text: str, operator: str) -> None:
    literal = "'" + text.replace("'", "''") + "'"
    where = f"name {operator} ({literal})" if operator == "IN" else f"name {operator} {literal}"
    try:
        said = to_conditions(parse_where(where), field_types={"name": "text"})
    except WhereError:
        return  # one that ConnectWise might read in another way is refused
    found = re.fullmatch(r"""name (?:=|!=|like|in) \(?(?:"([^"]*)"|'([^']*)')\)?""", said)
    assert found is not None, said
    assert (found[1] or found[2]) == text


FORMULAS = (
    *("=1+1", "+1", "-1+1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "=cmd|' /C calc'!A0", '=HYPERLINK("http://a.example")'),
    *("＝1", "＋1", "－1", "＠SUM(1)", '=1","=2', "=1\n=2"),
    *("=1", "-1", "@SUM(A1)", "\t=1+1", "＠A"),
)


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_of_an_export_is_a_formula(text: str) -> None:
    written = "".join(csv_lines({"name": str, "twice": str}, [text]))
    (_, row) = csv.reader(io.StringIO(written, newline=""))
    assert row == [f"'{text}"] * 2


HEADERS = (
    *("a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\rX-Evil: 1", "a\x00", "a\x0b", "a\x7f", "a\x1b[31m", "a\u2028X-Evil: 1"),
    *("a\u0085X-Evil: 1", "\r\n\r\nGET / HTTP/1.1"),
)


@pytest.mark.django_db
@pytest.mark.parametrize("value", HEADERS)
@pytest.mark.parametrize("place", ["value", "name", "basic"])
def test_no_header_of_ours_is_split(api: Api, value: str, place: str) -> None:
    own = make_instance(api.tenant.organization)
    key = "event.notification.callback.headers"
    change: dict[str, Any] = {key: {"X-Key": value} if place == "value" else {value: "a"}}
    if place == "basic":
        change = {"event.notification.basic.username": value, "event.notification.basic.password": "word"}
    before = Instance.objects.filter(pk=own.pk).values().get()
    refused = api("PATCH", f"/instances/{own.pk}", {"configuration": change})
    assert refused.status_code == 400, refused.content
    assert Instance.objects.filter(pk=own.pk).values().get() == before


@pytest.mark.django_db
@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "%0d%0aX-Evil:1", "a%0aSet-Cookie: a=b", "\x1b]0;evil\x07"])
def test_no_header_of_an_answer_is_split(api: Api, value: str) -> None:
    for path in ("/instances?searchText=", "/v1/events?resource=", "/app/signin?next=/", "/x"):
        answer = api("GET", path + value.replace("\r", "%0d").replace("\n", "%0a").replace("\x1b", "%1b"))
        assert "X-Evil" not in answer.headers
        assert all("\n" not in each and "\r" not in each and "\x1b" not in each for each in answer.headers.values())


LINES = (
    "a\nlevel=ERROR forged",
    "a\r\nforged",
    'a","level":"ERROR',
    "a\x1b[2J",
    "a\u2028forged",
    "a\x00",
    "\x9b31m",
    "a\x08\x08b",
    "a\rforged",
    "a\x85forged",
    "a\x1b]0;owned\x07",
    "a\u202egnp.exe",
)


@pytest.mark.parametrize("text", LINES)
def test_a_log_line_stays_one(text: str) -> None:
    record = logging.LogRecord("polling", logging.WARNING, "", 0, "%s", (text,), None)
    line = JsonFormatter().format(record)
    assert json.loads(line)["level"] == "warning"
    assert len(line.splitlines()) == 1
    first, *others = LineFormatter().format(record).split("\n")
    assert "WARNING polling: " in first
    assert all(other.startswith("  ") for other in others)
    for shown in (line, first, *others):
        assert not any(ord(each) < 32 or 127 <= ord(each) < 160 for each in shown), repr(shown)
        assert not re.search(r"[\u2028\u2029\u202a-\u202e]", shown), repr(shown)


@pytest.mark.parametrize("text", [*LINES, "[red]a[/red]", "[/x]", "\x1b]52;c;ZXZpbA==\x07"])
def test_a_terminal_gets_words_alone(text: str) -> None:
    stream = io.StringIO()
    LiteralOutput(stream).write(text, ending="")
    shown = stream.getvalue().replace("\n", "")
    assert not any(ord(each) < 32 or 127 <= ord(each) < 160 for each in shown), repr(shown)
    assert (shown == text) is text.isprintable(), "what is harmless is shown as it stands"
