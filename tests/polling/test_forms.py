"""Forms of a notification: their bytes, CloudEvents as the official SDK reads them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from instances.models import Instance
from polling.delivery.forms import Form, Shape, render, sent_of
from polling.delivery.notifications import MOST_BYTES, batches, notification_of
from polling.models import Event, NewEvent

AT = datetime(2018, 7, 31, 19, 40, 36, 999_999, tzinfo=UTC)
CHANGES = [{"field": "status.name", "from": None, "to": "Zürich 😀"}]
RECORD = {
    "id": 17,
    "name": 'Zürich 😀 \u2028 "quoted" \\ \u0007',
    "nothing": None,
    "yes": True,
    "no": False,
    "whole": 2**63 - 1,
    "part": -0.125,
    "status": {"id": 1, "name": "Zürich 😀", "_info": {"href": None}},
    "list": [1, "two", None, {"three": []}],
    "empty": "",
}
INSTANCE = Instance(id=523232, organization_id=81, created_by_id=2034, name="API_Polling", tags=["Test"])


def event(number: int = 35149, **columns: Any) -> NewEvent:
    made = NewEvent(
        object_type="contacts",
        object_id="17",
        record_id=17,
        kind="UPDATED",
        occurred_at=datetime(2018, 7, 31, 19, 39, 46, tzinfo=UTC),
        polled_at=datetime(2018, 7, 31, 19, 40, 36, tzinfo=UTC),
        record=json.dumps(RECORD, ensure_ascii=False),
        changes=json.dumps(CHANGES, ensure_ascii=False),
        id=number,
        title="Ruth",
    )
    return replace(made, **columns)


def read(body: bytes, content_type: str) -> list[CloudEvent]:
    """Return the events of a notification, as the SDK reads them."""
    if content_type == "application/cloudevents-batch+json":  # which the SDK has no reader for: an array of events
        bodies = [json.dumps(each, ensure_ascii=False).encode() for each in json.loads(body)]
        found = [JSONFormat().read(CloudEvent, each) for each in bodies]
    else:
        message = HTTPMessage(headers={"Content-Type": content_type}, body=body)
        found = [from_http_event(message, JSONFormat())]
    for each in found:
        assert isinstance(each, CloudEvent)
    return [each for each in found if isinstance(each, CloudEvent)]


def test_elements_has_the_bytes_that_it_always_had() -> None:
    sent = event(record='{"id":17,"firstName":"…"}', changes='[{"field":"firstName","from":null,"to":"…"}]')
    entry = (
        '{"objectType":"contacts","objectId":"17","date":"2018-07-31T19:39:46Z","pollDate":"2018-07-31T19:40:36Z",'
        '"eventType":"UPDATED","elementKey":"connectwisecrmrest","hubKey":"crm",'
        '"changes":[{"field":"firstName","from":null,"to":"…"}]}'
    )
    expected = (
        '{"id":35149,"severity":"low","topic":"instance-523232-connectwisecrmrest-events",'
        '"createdDate":"2018-07-31T19:40:36Z","message":{"elementKey":"connectwisecrmrest","accountId":81,'
        '"companyId":81,"userId":2034,"instanceId":523232,"instance_id":523232,"instanceName":"API_Polling",'
        f'"instanceTags":["Test"],"eventId":"35149","events":[{entry}],"raw":{{"contacts":[{{"id":17,"firstName":"…"}}],'
        f'"instance_id":523232,"eventId":"35149","objectType":"contacts","events":[{entry}]}}}}}}'
    )
    rendered = render(Form.ELEMENTS, INSTANCE, [sent_of(sent, Form.ELEMENTS)], created_at=AT)
    assert rendered == (expected.encode(), "")
    assert notification_of(INSTANCE, "contacts", [sent], AT).body == expected


def test_one_event_is_a_cloudevent_of_the_structured_mode(settings: Settings) -> None:
    settings.PUBLIC_URL = "https://events.example.com"
    body, content_type = render(Form.CLOUDEVENTS, INSTANCE, [sent_of(event(), Form.CLOUDEVENTS)], created_at=AT)
    assert content_type == "application/cloudevents+json"
    (found,) = read(body, content_type)
    assert found.get_attributes() == {
        "specversion": "1.0",
        "id": "35149",
        "source": "https://events.example.com/instances/523232",
        "type": "com.connectwise.psa.contact.updated",
        "subject": "contacts/17",
        "time": datetime(2018, 7, 31, 19, 39, 46, tzinfo=UTC),
        "datacontenttype": "application/json",
        "sequence": "0000000000000035149",
        "recordedtime": "2018-07-31T19:40:36Z",
    }
    assert found.get_data() == {"record": RECORD, "changes": CHANGES}


def test_several_are_a_batch_in_their_order(settings: Settings) -> None:
    settings.PUBLIC_URL = ""
    kinds = ["CREATED", "UPDATED", "DELETED"]
    sent = [
        sent_of(event(number, kind=kind, changes_for_filters=True), Form.CLOUDEVENTS)
        for number, kind in zip((9, 10, 2**63 - 1), kinds, strict=True)
    ]
    body, content_type = render(Form.CLOUDEVENTS, INSTANCE, sent, created_at=AT)
    assert content_type == "application/cloudevents-batch+json"
    found = read(body, content_type)
    assert [each.get_id() for each in found] == ["9", "10", "9223372036854775807"]
    assert {each.get_source() for each in found} == {"/instances/523232"}
    assert [each.get_type().rpartition(".")[2] for each in found] == ["created", "updated", "deleted"]
    sequences = [each.get_extension("sequence") for each in found]
    assert sequences == sorted(sequences)  # as text, which is how the extension has them compared
    assert [each.get_data() for each in found] == [{"record": RECORD}] * 3


def test_the_lines_of_the_document_read_one_and_a_batch() -> None:
    document = (Path(__file__).parents[2] / "docs" / "receivers.md").read_text()
    (lines,) = [each for each in re.findall(r"```python\n(.*?)```", document, re.DOTALL) if "cloudevents" in each]
    found: dict[str, Any] = {}
    exec(lines, found)  # noqa: S102  (the document's own lines)
    for events in ([event(1)], [event(1), event(2)]):
        body, content_type = render(Form.CLOUDEVENTS, INSTANCE, events, created_at=AT)
        assert [each.get_id() for each in found["events_of"](content_type, body)] == [str(each.id) for each in events]


@pytest.mark.parametrize("changes", ["null", "[]"])
def test_changes_that_are_not_known_are_null_and_none_are_an_empty_list(changes: str) -> None:
    (found,) = read(
        *render(Form.CLOUDEVENTS, INSTANCE, [sent_of(event(changes=changes), Form.CLOUDEVENTS)], created_at=AT)
    )
    assert found.get_data() == {"record": RECORD, "changes": json.loads(changes)}


@pytest.mark.parametrize(
    ("name", "object_id", "kind", "subject"),
    [
        ("VIP contacts (EU)", "a b/c", "vip-contacts-eu", "VIP contacts (EU)/a b/c"),
        ("time-entries", "-1", "time-entry", "time-entries/-1"),
        ("contacts", "one\ntwo\x85\ufffe\u2029😀\u00a0", "contact", "contacts/one%0Atwo%C2%85%EF%BF%BE\u2029😀\u00a0"),
    ],
)
def test_type_and_subject_hold_only_what_the_specification_lets_them(
    name: str, object_id: str, kind: str, subject: str
) -> None:
    sent = sent_of(event(object_type=name, object_id=object_id), Form.CLOUDEVENTS)
    (found,) = read(*render(Form.CLOUDEVENTS, INSTANCE, [sent], created_at=AT))
    assert (found.get_type(), found.get_subject()) == (f"com.connectwise.psa.{kind}.updated", subject)


@pytest.mark.parametrize("form", Form.values)
def test_changes_that_are_kept_for_filters_alone_are_not_sent(form: str) -> None:
    kept = event(changes_for_filters=True)
    for each in (kept, sent_of(kept, form)):  # whoever sends all of an event may spare the copy
        assert b"changes" not in render(form, INSTANCE, [each], created_at=AT).body


def test_thin_has_nothing_of_a_record() -> None:
    body, content_type = render(Form.THIN, INSTANCE, [sent_of(event(n), Form.THIN) for n in (1, 2)], created_at=AT)
    entry = {
        "objectType": "contacts",
        "objectId": "17",
        "recordId": 17,
        "eventType": "UPDATED",
        "date": "2018-07-31T19:39:46Z",
        "pollDate": "2018-07-31T19:40:36Z",
    }
    assert content_type == ""
    assert json.loads(body) == {"instanceId": 523232, "events": [{"eventId": "1"} | entry, {"eventId": "2"} | entry]}
    assert "Zürich".encode() not in body


def test_a_batch_is_measured_by_what_is_sent_of_its_events() -> None:
    large = [event(number, record=json.dumps({"id": 17, "text": "x" * MOST_BYTES})) for number in range(10)]
    for form, shape, expected in (
        (Form.ELEMENTS, Shape(), [1] * 10),
        (Form.CLOUDEVENTS, Shape(), [1] * 10),
        (Form.THIN, Shape(), [10]),
        (Form.CLOUDEVENTS, Shape.of(["id"]), [10]),
    ):
        sent = [sent_of(each, form, shape) for each in large]
        assert [len(batch) for batch in batches(sent)] == expected, form


@pytest.mark.parametrize("form", Form.values)
def test_equal_events_have_equal_bytes_of_a_row_and_of_an_event_on_its_way(form: str) -> None:
    made = event()
    row = Event(**{name: getattr(made, name) for name in NewEvent.__slots__})
    written = [render(form, INSTANCE, [sent_of(each, form)], created_at=AT) for each in (made, row)]
    assert written[0] == written[1]


def test_a_form_that_there_is_not_is_no_form_s() -> None:
    with pytest.raises(ValueError, match="xml"):
        render("xml", INSTANCE, [event()], created_at=AT)


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(texts, values, max_size=5), texts, texts, st.integers(0, 2**63 - 1), st.booleans())
def test_the_sdk_reads_whatever_a_record_holds(
    record: dict[str, Any], name: str, object_id: str, number: int, tracked: bool
) -> None:
    made = event(
        number,
        object_type=name,
        object_id=object_id,
        record=json.dumps(record),
        changes=json.dumps([record]) if tracked else None,
    )
    for events in ([made], [made, made]):
        found = read(*render(Form.CLOUDEVENTS, INSTANCE, [sent_of(e, Form.CLOUDEVENTS) for e in events], created_at=AT))
        assert len(found) == len(events)
        for each in found:
            assert each.get_data() == {"record": record} | ({"changes": [record]} if tracked else {})
            assert len(each.get_type().split(".")) == 5
            assert not any(ord(sign) < 32 or 127 <= ord(sign) < 160 for sign in each.get_subject() or "\x00")
