"""Signs of life of the parts of the service."""

from __future__ import annotations

from django.db import models


class Heartbeat(models.Model):
    """When a part of the service last showed life; written by tasks, watched by the supervisor."""

    name = models.CharField(max_length=100, primary_key=True)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} at {self.seen_at}"
