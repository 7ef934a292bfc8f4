"""Verifications: a poll's resource compared with what was told, by a worker, step by step."""

from __future__ import annotations

from django.db import models

from instances.models import ResourcePoll
from polling.models.leased import Leased, leased


class Verification(Leased):
    """A person's request to compare, how far it came, and what it found (see detection/verification.py)."""

    class Status(models.TextChoices):
        """How far it got."""

        OPEN = "open", "Open"
        COMPLETE = "complete", "Complete"
        FAILED = "failed", "Failed"

    resource_poll = models.ForeignKey(ResourcePoll, on_delete=models.CASCADE, related_name="verifications")
    asked_at = models.DateTimeField()
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.OPEN)
    next_try_at = models.DateTimeField(null=True, help_text="When it goes on. Empty once it has ended.")
    failures = models.PositiveSmallIntegerField(default=0, help_text="Failed tries since the last step.")
    error = models.TextField(blank=True)
    source = models.PositiveIntegerField(default=0, help_text="Rows of ConnectWise read so far.")
    comparison = models.JSONField(null=True, help_text="Where the comparison stands, for the worker that goes on.")
    finding = models.JSONField(null=True, help_text="What it found, once it is complete.")
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["resource_poll"], condition=models.Q(status="open"), name="one_open_verification"
            )
        ]
        indexes = [
            leased("verification_leased"),
            models.Index(fields=["resource_poll", "-id"], name="verification_newest"),
            models.Index(
                fields=["next_try_at"], name="verification_due", condition=models.Q(next_try_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"verification {self.pk} of {self.resource_poll}"
