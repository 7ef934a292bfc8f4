"""What the admin of both apps shares: tables to look at, what may not be done to their rows, and how JSON is shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from instances.templatetags.cw import ago, number, pretty_json

NOTHING = "–"
Column = Callable[[Any, Any], object]  # of an admin and a row


def json_column(field: str, description: str) -> Column:
    """Return a column of a row's page that shows a field's JSON (text, or what it says) indented, for reading."""

    @admin.display(description=description)
    def column(site: object, row: object) -> SafeString | str:
        value = getattr(row, field)
        text = value if isinstance(value, str | None) else json.dumps(value)
        return format_html('<pre tabindex="0">{}</pre>', pretty_json(text)) if text else NOTHING

    return column


@cache  # Django asks whether a column may be sorted by looking for the very same function
def _for_people(field: models.Field[Any, Any]) -> Column:
    """Return a list's column of times or numbers as the pages write them: the exact time is in the title."""
    written = ago if isinstance(field, models.DateTimeField) else number

    @admin.display(description=field.verbose_name, ordering=field.name)
    def column(row: models.Model) -> SafeString | str:
        return written(getattr(row, field.name))

    column.__name__ = field.name  # its cells keep the class that style sheets name
    return column  # type: ignore[return-value]  # of a row alone: Django hands it no admin


class LookedAt:
    """How tables are looked at: few rows a page, nothing counted that may be a million, times as people read them."""

    list_per_page = 25
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # a count for each choice of each filter

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Return the columns, those of times and of numbers as people read them. An id is a name, and stays."""
        columns = super().get_list_display(request)  # type: ignore[misc]  # ModelAdmin's, mixed in
        fields = {field.name: field for field in self.opts.concrete_fields}  # type: ignore[attr-defined]  # likewise
        return [_for_people(fields[name]) if _is_for_people(fields.get(name)) else name for name in columns]


def _is_for_people(field: models.Field[Any, Any] | None) -> bool:
    return isinstance(field, models.DateTimeField | models.IntegerField) and not field.primary_key and not field.choices


class UneditedMixin:
    """Rows that only the service itself writes."""

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:  # Django's signature
        """Nobody adds one by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # Django's signature
        """Nobody edits one by hand."""
        return False


class ReadOnlyMixin(UneditedMixin):
    """Rows that only the service itself deletes, too: by retention, and with their instance."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # Django's signature
        """Nobody deletes one by hand."""
        return False


def as_key(text: str) -> int | None:
    """Read a row's id, as an address or a search holds it; None if it is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None
