"""How far walks through old rows have come (see polling/maintenance/unhurried.py)."""

from __future__ import annotations

from django.db import models


class StoredWalk(models.Model):
    """A walk through a table by time and id, that is too long for one task: where the next task goes on."""

    name = models.CharField(max_length=40, primary_key=True)
    begun_at = models.DateTimeField(help_text="When it last began at the head.")
    reached_at = models.DateTimeField(help_text="The time of the last row that was looked at.")
    reached_id = models.BigIntegerField(help_text="Its id.")
    ended = models.BooleanField(default=False, help_text="Whether it came to the last of the rows that were old.")

    def __str__(self) -> str:
        return f"{self.name} up to {self.reached_at}"
