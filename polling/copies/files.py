"""A complete copy as a file: CSV, a JSON array, or lines of JSON; written page by page, in constant memory.

In CSV, text that a spreadsheet would take for a formula has an apostrophe before it, as in every other export
(cwconnect/core/csv_export.py); JSON has all values as ConnectWise has them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from functools import partial
from itertools import islice
from typing import Any

import orjson
from django.http import StreamingHttpResponse

from cwconnect.core.csv_export import cell, csv_lines
from cwconnect.core.errors import ConflictError
from instances import audit
from instances.audit import Action
from polling.copies.page_bodies import MOST_COLUMNS, columns_of_file, flatten, unpack
from polling.models import Copy, CopyPage

_LINES = 200  # of CSV, written at once


class Kind(StrEnum):
    """A file's media type."""

    JSON = "application/json"
    CSV = "text/csv"
    LINES = "application/x-ndjson"

    @property
    def ending(self) -> str:
        """What a file's name ends with."""
        return {Kind.JSON: "json", Kind.CSV: "csv", Kind.LINES: "ndjson"}[self]


_NOT_YET = "The copy is not complete yet: {} of its records are read. Ask for its status."
_WHY_NOT: Mapping[str, str] = {
    Copy.Status.CREATED: _NOT_YET,
    Copy.Status.RUNNING: _NOT_YET,
    Copy.Status.CANCELLED: "The copy was cancelled; its records are gone.",
    Copy.Status.FAILED: "The copy failed, and what was read of it is gone. Its status says why.",
}


def download(copy: Copy, kind: Kind) -> StreamingHttpResponse:
    """Return a copy as a file, and note in the audit log who has it. ConflictError for one that is not complete."""
    if words := _WHY_NOT.get(copy.status):
        raise ConflictError(words.format(f"{copy.records:,}"))
    if kind == Kind.CSV and len(copy.columns) > MOST_COLUMNS:
        raise ConflictError(f"The records have more than {MOST_COLUMNS:,} columns; ask for JSON or NDJSON.")
    details = {"format": kind.ending, "records": copy.records}
    audit.record(Action.DOWNLOAD_COPY, copy, organization=copy.instance.organization, details=details)
    charset = "; charset=utf-8" if kind == Kind.CSV else ""
    response = StreamingHttpResponse(_WRITERS[kind](copy), content_type=kind.value + charset)
    name = "".join(each if each.isalnum() and each.isascii() else "-" for each in copy.resource)[:100]
    response["Content-Disposition"] = f'attachment; filename="{name}-{copy.pk}.{kind.ending}"'
    response["Cache-Control"] = "no-store"
    return response


def lines_of(copy: Copy) -> Iterator[bytes]:
    """Return a copy's records as lines of JSON, a page at a time."""
    for number in range(1, copy.pages + 1):
        yield unpack(bytes(CopyPage.objects.values_list("body", flat=True).get(copy=copy, number=number)))


def array_of(copy: Copy) -> Iterator[bytes]:
    """Return a copy's records as one JSON array, a page at a time."""
    before = b"["
    for page in lines_of(copy):
        yield before + page.rstrip(b"\n").replace(b"\n", b",\n")  # no text of JSON holds a line feed
        before = b",\n"
    yield b"[]\n" if before == b"[" else b"]\n"


def table_of(copy: Copy) -> Iterator[bytes]:
    """Return a copy's records as CSV, some lines at a time."""
    names = columns_of_file(dict(copy.columns), copy.fields)
    columns = {str(cell(name)): partial(_value_of, name) for name in names}
    lines = csv_lines(columns, _rows(copy))
    while chunk := "".join(islice(lines, _LINES)):
        yield chunk.encode()


def _rows(copy: Copy) -> Iterator[dict[str, Any]]:
    for page in lines_of(copy):
        for line in page.splitlines():
            yield dict(flatten(orjson.loads(line)))


def _value_of(name: str, row: Mapping[str, Any]) -> object:
    value = row.get(name)
    return ("true" if value else "false") if isinstance(value, bool) else value


_WRITERS: Mapping[Kind, Callable[[Copy], Iterator[bytes]]] = {
    Kind.JSON: array_of,
    Kind.CSV: table_of,
    Kind.LINES: lines_of,
}
