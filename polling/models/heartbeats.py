"""Signs of life of the parts of the service."""

from __future__ import annotations

from django.db import models


class Heartbeat(models.Model):
    """When a part of the service last showed life; written by tasks, watched by the supervisor (see heartbeats.py)."""

    class Part(models.TextChoices):
        """What showed life."""

        CLUSTER = "cluster", "A worker of the cluster"
        ANSWER = "answer", "The cluster's queue, from end to end"
        PROBE = "probe", "The database, which takes writes"

    part = models.CharField(max_length=20, choices=Part.choices)
    name = models.CharField(max_length=100, help_text="Of the cluster, say.")
    seen_at = models.DateTimeField()
    version = models.CharField(
        max_length=40, blank=True, db_default="", help_text="The version that the part is of; empty: one before 0.2.0."
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["part", "name"], name="heartbeat_once_a_part")]

    def __str__(self) -> str:
        return f"{self.part} {self.name} at {self.seen_at}"
