"""Models of the rows that a statement of our own reads, made for a quarter of what Django takes.

Django's way goes through `Model.__init__` and calls two converters for most of the columns. Here a model is made as
unpickling makes it, by putting its attributes in place; no signal is sent of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Generic, TypeVar

from django.db import connection, models
from django.db.models.base import ModelState

Row = TypeVar("Row", bound=models.Model)


class ModelReader(Generic[Row]):
    """Makes models of one kind, of all their columns."""

    def __init__(self, model: type[Row]) -> None:
        self._model = model
        self._fields = model._meta.concrete_fields  # noqa: SLF001  (documented: Django's model API)

    @cached_property
    def columns(self) -> str:
        """What to select of the model's table, by its own name."""
        names = [field.column for field in self._fields]
        return ", ".join(f'"{self._model._meta.db_table}"."{name}"' for name in names)  # noqa: SLF001  (as above)

    @cached_property
    def _readers(self) -> list[tuple[str, Callable[[Any], Any] | None]]:
        return [(field.attname, _reader(field)) for field in self._fields]

    def __len__(self) -> int:
        return len(self._fields)

    def made_of(self, values: Sequence[Any]) -> Row:
        """Return the model of a row's values: those of `columns`, and whatever follows them."""
        row, state = self._model.__new__(self._model), ModelState()
        state.adding, state.db = False, connection.alias
        vars(row)["_state"] = state
        for (name, read), value in zip(self._readers, values, strict=False):
            setattr(row, name, value if read is None or value is None else read(value))
        return row


def _reader(field: models.Field[Any, Any]) -> Callable[[Any], Any] | None:
    """Return what makes the field's value of what the database gives; None where that is the same."""
    if isinstance(field, models.JSONField):
        return json.loads
    if own := getattr(field, "from_db_value", None):
        return lambda value: own(value, None, connection)
    return _aware if isinstance(field, models.DateTimeField) and connection.vendor == "sqlite" else None


def _aware(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC)  # SQLite's are written in UTC, and say nothing of it
