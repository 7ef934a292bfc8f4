"""Rotation of the keys that encrypt secrets at rest: every stored secret is written anew under the first key.

Safe to interrupt and to run again, beside everything else: each value is replaced only if it is still the one that was
read, and what stands under the first key already is left alone. Until it is done, older keys must stay in
CWCONNECT_ENCRYPTION_KEYS, for reading. The upgrade that bound secrets to their places is a rotation too: what is bound
to nothing does not count as standing under the first key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.apps.registry import Apps
from django.db import models, transaction

from instances.secrets import Secret, SecretField, SecretMisplacedError, SecretUnreadableError

BATCH = 200

Progress = Callable[[int], None]


@dataclass
class Rotated:
    """How many secrets were written anew, how many stood under the first key already, and which can't be opened.

    Those are `unreadable` where no key opens them, `misplaced` where they don't belong to the place they stand at.
    """

    rewritten: int = 0
    current: int = 0
    unreadable: list[str] = field(default_factory=list)
    misplaced: list[str] = field(default_factory=list)


def secret_columns(registry: Apps = apps) -> Iterator[tuple[type[models.Model], list[str]]]:
    """Return each model that stores secrets, with the names of those columns; a migration gives its own `registry`."""
    for model in registry.get_models():
        names = [column.name for column in model._meta.fields if isinstance(column, SecretField)]  # noqa: SLF001
        if names:
            yield model, names


def count_rows() -> int:
    """Return how many rows there are to look at."""
    return sum(model._default_manager.count() for model, _ in secret_columns())  # noqa: SLF001


def rotate(*, registry: Apps = apps, progress: Progress = lambda count: None) -> Rotated:
    """Write every stored secret anew under the first key; `progress` hears of each batch of rows."""
    rotated = Rotated()
    for model, names in secret_columns(registry):
        last: Any = None
        while rows := _batch(model, names, last):
            with transaction.atomic():
                for row in rows:
                    _rotate_row(model, names, row, rotated)
            progress(len(rows))
            last = rows[-1].pk
    return rotated


def _batch(model: type[models.Model], names: Sequence[str], last: Any) -> list[Any]:
    rows = model._default_manager.order_by("pk").only("pk", *names)  # noqa: SLF001  (documented API of models)
    return list(rows[:BATCH] if last is None else rows.filter(pk__gt=last)[:BATCH])


def _rotate_row(model: type[models.Model], names: Sequence[str], row: Any, rotated: Rotated) -> None:
    for name in names:
        secret: Secret | None = getattr(row, name)
        if secret is None:
            continue
        try:
            fresh = secret.rotated()
        except SecretUnreadableError as error:
            lost = rotated.misplaced if isinstance(error, SecretMisplacedError) else rotated.unreadable
            lost.append(f"{model._meta.label} {row.pk}, {name}")  # noqa: SLF001  (documented API of models)
            continue
        if fresh is None:
            rotated.current += 1
            continue
        # Only if it is still what was read: a change made meanwhile is under the first key anyway.
        rows = model._default_manager.filter(**{"pk": row.pk, name: secret})  # noqa: SLF001
        rotated.rewritten += rows.update(**{name: fresh})
