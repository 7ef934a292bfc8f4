"""Locks of what one place at a time does, for all machines."""

from __future__ import annotations

from django.db import models


class Lock(models.Model):
    """Something that is done in one place at a time, or once in a while: since when it is taken (see locks.py)."""

    class Kind(models.TextChoices):
        """What it is that is taken."""

        SLOT = "slot", "A place of a cluster for a task of a kind"
        WAKE_UP = "wake-up", "The wake-up call of a kind that is under way"
        JOB = "job", "A periodic job"
        SCHEDULE = "schedule", "The queue's schedule"

    kind = models.CharField(max_length=20, choices=Kind.choices)
    name = models.CharField(max_length=150)
    owner = models.CharField(max_length=100, blank=True, help_text="The cluster whose death frees it, if any.")
    taken_at = models.DateTimeField(help_text="When it was taken, or last confirmed. It ends by itself after a while.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "name"], name="lock_once_a_kind")]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}, taken at {self.taken_at}"
