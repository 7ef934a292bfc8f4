"""What one worker at a time may work on, and the one place where a lease ends."""

from __future__ import annotations

from typing import Any, TypeVar

from django.apps import apps
from django.db import models

FREED: dict[str, None] = {"lease_token": None, "lease_until": None}
"""What a row holds that nobody holds."""

Row = TypeVar("Row", bound="Leased", covariant=True)


class LeasedQuerySet(models.QuerySet[Row]):
    """Rows that may be under a lease."""

    def end_leases(self, **changes: Any) -> int:
        """Free the rows, whoever holds them, and write `changes` along; give how many."""
        return self.update(**FREED, **changes)


class Leased(models.Model):
    """Something that one worker at a time may work on (see leases.py)."""

    lease_token = models.CharField(max_length=32, null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)

    objects = LeasedQuerySet.as_manager()

    class Meta:
        abstract = True


def leased(name: str) -> models.Index:
    """Return the index by which claimed rows are read back: of the few under a lease, however many there are."""
    return models.Index(fields=["lease_token"], name=name, condition=models.Q(lease_token__isnull=False))


def leased_rows() -> list[LeasedQuerySet[Leased]]:
    """Return the rows of every model that may be under a lease, a query set each."""
    return [LeasedQuerySet(model) for model in apps.get_models() if issubclass(model, Leased)]
