"""What counters store (see polling/reports/counters.py): counts of rows that retention may have deleted since."""

from __future__ import annotations

from django.db import models


class StoredCounter(models.Model):
    """The counts of one table's rows up to the id `upto`; `open` lists those among them that had not ended yet."""

    name = models.CharField(max_length=40, primary_key=True)
    upto = models.BigIntegerField(default=0)
    open = models.JSONField(default=list)
    counts = models.JSONField(default=dict)

    class Meta:
        app_label = "polling"

    def __str__(self) -> str:
        return f"{self.name} up to {self.upto}"
