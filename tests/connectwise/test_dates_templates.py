"""`${…}` templates: found, checked and rendered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwconnect.connectwise.java_dates import (
    PatternError,
    Template,
    ZoneError,
    parse_zone,
    render_templates,
    split_templates,
)

MOMENT = datetime(2018, 7, 31, 19, 39, 46, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("no template", "no template"),
        ("", ""),
        ("where=lastUpdated>'${gmtDate:yyyy-MM-dd'T'HH:mm:ss'Z'}'", "where=lastUpdated>'2018-07-31T19:39:46Z'"),
        ("${date:yyyy-MM-dd HH:mm}", "2018-07-31 13:39"),
        ("${dateTimeZone:EST:HH:mmz}", "14:39EST"),
        ("${dateTimeZone:-6:00:HH:mm:ssXXX}", "13:39:46-06:00"),
        ("${dateTimeZone:GMT+2:HH:mm}", "21:39"),
        ("${dateTimeZone:GMT+02:00:HH:mm}", "21:39"),
        ("${dateTimeZone:america/denver:HH:mmz}", "13:39MDT"),
        ("${DATETIMEZONE:Est:HH}", "14"),
        ("${date}", "2018-07-31T13:39:46-06:00"),
        ("${epoch} ${epoch:ms} ${epoch:s} ${epoch:us}", "1533065986000 1533065986000 1533065986 1533065986000000"),
        ("${gmtDate:milliseconds}", "1533065986000"),
        ("a${date:'}'}b", "a}b"),
        ("$ {date} $", "$ {date} $"),
    ],
)
def test_templates_are_rendered(text: str, rendered: str) -> None:
    assert render_templates(text, MOMENT, default_zone=parse_zone("America/Denver")) == rendered


def test_a_plain_date_has_the_default_pattern() -> None:
    assert render_templates("<${date}>", MOMENT, default_pattern="MM/dd/yyyy") == "<07/31/2018>"


def test_a_text_is_split_into_parts_and_templates() -> None:
    template = Template("dateTimeZone", "HH:mm", timezone(timedelta(hours=-6)), "${dateTimeZone:-6:00:HH:mm}")
    assert split_templates("a ${dateTimeZone:-6:00:HH:mm} b") == ["a ", template, " b"]


@pytest.mark.parametrize(
    ("text", "error", "named"),
    [
        ("${today}", PatternError, "'today'"),
        ("${}", PatternError, "no template ''"),
        ("${gmtDate}", PatternError, "no pattern"),
        ("${gmtDate:}", PatternError, "no pattern"),
        ("${gmtDate:yyyy-bb}", PatternError, "'b'"),
        ("${date:yyyy", PatternError, "not closed"),
        ("${date:yyyy'T}", PatternError, "quote"),
        ("${dateTimeZone:EST}", PatternError, "no pattern"),
        ("${dateTimeZone:Mars/Base:yyyy}", ZoneError, "Mars/Base"),
        ("${dateTimeZone::yyyy}", ZoneError, "''"),
        ("${epoch:days}", PatternError, "days"),
    ],
)
def test_a_bad_template_is_refused_by_name(text: str, error: type[ValueError], named: str) -> None:
    with pytest.raises(error) as caught:
        split_templates(text)
    assert named in str(caught.value)


@given(
    st.text()
    | st.lists(st.sampled_from(["${", "}", "date", "gmtDate", "dateTimeZone", ":", "'", "yyyy", "-6:00", "$"])).map(
        "".join
    )
)
def test_split_templates_lose_nothing(text: str) -> None:
    try:
        parts = split_templates(text)
    except (PatternError, ZoneError) as error:
        parts = [text] if str(error) else []
    assert "".join(part if isinstance(part, str) else part.source for part in parts) == text
