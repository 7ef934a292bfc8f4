"""Log lines: their forms, their ids, and that no secret passes."""

from __future__ import annotations

import json
import logging
import logging.config
import sys
from collections.abc import Iterator

import pytest
from django.core.exceptions import ImproperlyConfigured

from cwconnect.core import env
from cwconnect.core.logs import (
    MASK,
    AboutFilter,
    JsonFormatter,
    LineFormatter,
    about,
    configuration,
    redact,
)
from cwconnect.core.request_ids import RequestIdFilter, new_request_id

KEY = "ZmDfcTF7_60GrrY167zsiPd67pEvs0aGOv2oasOM1Pg="


class Lines(logging.Handler):
    """Keeps what was formatted."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.setFormatter(formatter)
        self.addFilter(RequestIdFilter())
        self.addFilter(AboutFilter())

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    logger = logging.getLogger("tests.site.lines")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    yield logger
    logger.handlers.clear()


def written(log: logging.Logger, formatter: logging.Formatter) -> Lines:
    log.addHandler(lines := Lines(formatter))
    return lines


def test_a_json_line_has_time_level_logger_message_and_ids(log: logging.Logger) -> None:
    lines = written(log, JsonFormatter())
    with new_request_id() as request_id, about(instance_id=7, run_id=None), about(run_id=31):
        log.warning("The run of %s failed.", "contacts")
    line = json.loads(lines.lines[0])
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "warning",
        "logger": "tests.site.lines",
        "message": "The run of contacts failed.",
        "request_id": request_id,
        "instance_id": 7,
        "run_id": 31,
    }


def test_ids_end_with_their_block(log: logging.Logger) -> None:
    lines = written(log, JsonFormatter())
    with about(instance_id=7):
        pass
    log.info("x")
    assert not {"instance_id", "request_id"} & set(json.loads(lines.lines[0]))


def test_ids_may_be_given_by_the_call(log: logging.Logger) -> None:
    lines = written(log, JsonFormatter())
    with about(instance_id=7):
        log.info("x", extra={"instance_id": 8})
    assert json.loads(lines.lines[0])["instance_id"] == 8


def test_a_traceback_stands_in_the_same_json_line_and_is_clean(log: logging.Logger) -> None:
    lines = written(log, JsonFormatter([KEY]))
    try:
        raise ValueError(f"could not use {KEY}")
    except ValueError:
        log.exception("failed")
    assert "ValueError" in json.loads(lines.lines[0])["exception"]
    assert KEY not in lines.lines[0]
    assert "\n" not in lines.lines[0]


def test_a_line_for_people_can_not_be_forged(log: logging.Logger) -> None:
    lines = written(log, LineFormatter())
    with about(instance_id=7):
        log.info("name %s", "x\n2026-01-01 00:00:00 INFO root: all is well\r")
    text = lines.lines[0]
    assert text.endswith("[instance_id=7]")
    assert all(line.startswith("  ") for line in text.split("\n")[1:])
    assert "\r" not in text


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (
            "Authorization: User abcdefghijklmnopqrstuvwxyz012345=, Element ABCDEFGHIJKLMNOPQRSTUVWXYZ0123=",
            "abcdefghij",
        ),
        ("User abcdefghijklmnopqrstuvwxyz012345=, Element: ABCDEFGHIJKLMNOPQRSTUVWXYZ0123=", "ABCDEFGHIJ"),
        ("sent Basic YWNtZStQVUI6UFJJVg== to it", "YWNtZS"),
        ("bearer eyJhbGciOiJIUzI1NiJ9.e30.abc", "eyJhbGci"),
        ("no answer from redis://:s3cret-word@10.0.0.2/0", "s3cret-word"),
        ("postgres://cwconnect:hunter22@db/x", "hunter22"),
        ("key whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ9"),
        ("row v1:gAAAAABnQ_x-9", "gAAAAABn"),
        (f"the key {KEY} itself", KEY),
    ],
)
def test_credentials_are_masked_by_their_form(text: str, secret: str) -> None:
    clean = redact(text, [KEY])
    assert secret not in clean
    assert MASK in clean


@pytest.mark.parametrize(
    "text", ["User bob changed Organization Alpha", "https://example.com:8080/x?y=1", "Basic user", "at 12:30:45 UTC"]
)
def test_ordinary_words_stay(text: str) -> None:
    assert redact(text) == text


def test_both_configurations_are_sound(capsys: pytest.CaptureFixture[str]) -> None:
    root, before = logging.getLogger(), logging.getLogger().handlers[:]
    level = root.level
    try:
        for form in ("json", "line"):
            logging.config.dictConfig(configuration(form, [KEY]))
            for handler in root.handlers:
                assert isinstance(handler, logging.StreamHandler)
                handler.setStream(sys.stderr)
            logging.getLogger("polling").info("by %s: %s", form, KEY)
    finally:
        root.handlers, root.level = before, level
    written_lines = capsys.readouterr().err
    assert f'"message": "by json: {MASK}"' in written_lines
    assert f"INFO polling: by line: {MASK}" in written_lines


def test_an_unknown_form_is_an_error_that_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CWCONNECT_LOG_FORMAT", "xml")
    with pytest.raises(ImproperlyConfigured, match="CWCONNECT_LOG_FORMAT must be one of auto, json, line"):
        env.choice("CWCONNECT_LOG_FORMAT", "auto", ("auto", "json", "line"))
