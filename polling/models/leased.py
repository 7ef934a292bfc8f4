"""What one worker at a time may work on."""

from __future__ import annotations

from django.db import models


class Leased(models.Model):
    """Something that one worker at a time may work on (see leases.py)."""

    lease_token = models.CharField(max_length=32, null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)

    class Meta:
        abstract = True


def leased(name: str) -> models.Index:
    """Return the index by which claimed rows are read back: of the few under a lease, however many there are."""
    return models.Index(fields=["lease_token"], name=name, condition=models.Q(lease_token__isnull=False))
