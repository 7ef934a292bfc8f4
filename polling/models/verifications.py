"""Verifications, and repairs of what they found: carried out by a worker, step by step."""

from __future__ import annotations

from django.db import models

from instances.models import ResourcePoll
from polling.models.leased import Leased, leased


class Asked(models.Model):
    """What a person asked the workers for, and whether it has ended."""

    class Status(models.TextChoices):
        """How far it got."""

        OPEN = "open", "Open"
        COMPLETE = "complete", "Complete"
        FAILED = "failed", "Failed"

    asked_at = models.DateTimeField()
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.OPEN)
    next_try_at = models.DateTimeField(null=True, help_text="When it goes on. Empty once it has ended.")
    failures = models.PositiveSmallIntegerField(default=0, help_text="Failed tries since the last step.")
    error = models.TextField(blank=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True


class Verification(Asked, Leased):
    """A person's request to compare, how far it came, and what it found (see detection/verification.py)."""

    resource_poll = models.ForeignKey(ResourcePoll, on_delete=models.CASCADE, related_name="verifications")
    source = models.PositiveIntegerField(default=0, help_text="Rows of ConnectWise read so far.")
    comparison = models.JSONField(null=True, help_text="Where the comparison stands, for the worker that goes on.")
    finding = models.JSONField(null=True, help_text="What it found, once it is complete.")

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


class Repair(Asked):
    """A person's request to repair what a verification found, and how far it came (see detection/repair_job.py).

    It has no lease of its own: who repairs a resource holds the lease of its poll, so that nobody polls it meanwhile.
    """

    verification = models.ForeignKey(Verification, on_delete=models.CASCADE, related_name="repairs")
    resource_poll = models.ForeignKey(ResourcePoll, on_delete=models.CASCADE, related_name="repairs")
    total = models.PositiveIntegerField(default=0, help_text="Rows that are to be read again.")
    done = models.PositiveIntegerField(default=0, help_text="Of these, rows asked for so far.")
    rows = models.PositiveIntegerField(default=0, help_text="Rows that ConnectWise gave.")
    events = models.PositiveIntegerField(default=0, help_text="Events recorded.")
    resent = models.PositiveIntegerField(default=0, help_text="Events that had not arrived and were made due again.")
    swept_from = models.DateTimeField(null=True, help_text="Since when a sweep records the deletes that were lost.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["resource_poll"], condition=models.Q(status="open"), name="one_open_repair")
        ]
        indexes = [
            models.Index(fields=["resource_poll", "-id"], name="repair_newest"),
            models.Index(fields=["next_try_at"], name="repair_due", condition=models.Q(next_try_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"repair {self.pk} of {self.resource_poll}"
