"""Tables as CSV: streamed a row at a time, in constant memory, and safe to open in a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from django.http import StreamingHttpResponse
from django.utils import timezone

Columns = Mapping[str, Callable[[Any], object]]
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class _Echo:
    """Has the csv writer give each line back in place of keeping it."""

    def write(self, line: str) -> str:
        """Give the line."""
        return line


def csv_response(name: str, columns: Columns, rows: Iterable[Any]) -> StreamingHttpResponse:
    """Give the rows as a file `name.csv`; each column is its head and what it shows of a row."""
    response = StreamingHttpResponse(csv_lines(columns, rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    response["Cache-Control"] = "no-store"
    return response


def csv_lines(columns: Columns, rows: Iterable[Any]) -> Iterator[str]:
    """Give the lines, the heads first."""
    writer = csv.writer(_Echo())
    yield writer.writerow(list(columns))
    for row in rows:
        yield writer.writerow([cell(show(row)) for show in columns.values()])


def cell(value: object) -> object:
    """Write one value: times as ISO 8601 in the current zone, and no text that a spreadsheet would take for a formula.

    Such a text gets an apostrophe before it, as OWASP advises: what ConnectWise holds is typed by anybody.
    """
    if value is None:
        return ""
    if isinstance(value, datetime):
        return timezone.localtime(value).isoformat(timespec="milliseconds")
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
