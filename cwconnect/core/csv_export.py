"""Tables as CSV: streamed a row at a time, in constant memory, and safe to open in a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, tzinfo
from typing import Any

from django.http import StreamingHttpResponse
from django.utils import timezone

Columns = Mapping[str, Callable[[Any], object]]
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class _Echo:
    """Has the csv writer give each line back in place of keeping it."""

    def write(self, line: str) -> str:
        """Return the line."""
        return line


def csv_response(name: str, columns: Columns, rows: Iterable[Any]) -> StreamingHttpResponse:
    """Return the rows as a file `name.csv`; each column is its head and what it shows of a row."""
    # A stream is written after the view has ended, when the zone that it showed times in is no longer the current one.
    lines = csv_lines(columns, rows, timezone.get_current_timezone())
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    response["Cache-Control"] = "no-store"
    return response


def csv_lines(columns: Columns, rows: Iterable[Any], zone: tzinfo | None = None) -> Iterator[str]:
    """Return the lines, the heads first, with times in `zone`."""
    writer = csv.writer(_Echo())
    yield writer.writerow(list(columns))
    for row in rows:
        yield writer.writerow([cell(show(row), zone) for show in columns.values()])


def cell(value: object, zone: tzinfo | None = None) -> object:
    """Write one value: times as ISO 8601 in `zone` (the current one), no text that a spreadsheet takes for a formula.

    Such a text gets an apostrophe before it, as OWASP advises: what ConnectWise holds is typed by anybody.
    """
    if value is None:
        return ""
    if isinstance(value, datetime):
        return timezone.localtime(value, zone).isoformat(timespec="milliseconds")
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
