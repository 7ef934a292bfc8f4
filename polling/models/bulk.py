"""Bulk jobs: one change that is made to many instances, one after another, by a worker."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from instances.models import Organization
from polling.models.leased import Leased, leased
from polling.models.verifications import Asked


class BulkJob(Asked, Leased):
    """A change that a person asked for of many instances, and how far it came (see bulk/bulk_job.py)."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="bulk_jobs")
    account = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+", help_text="Who asked for it."
    )
    actor = models.CharField(max_length=200, help_text="Who asked for it, as the audit log says it.")
    request_id = models.CharField(max_length=32, blank=True, help_text="The id of the request that asked for it.")
    action = models.CharField(max_length=40, help_text="What is done to each (see bulk/actions.py).")
    arguments = models.JSONField(default=dict, help_text="What the action needs to know.")
    title = models.CharField(max_length=300, help_text="What it is called on the pages.")
    instances = models.JSONField(default=list, help_text="The ids of the instances, in their order.")
    total = models.PositiveIntegerField(help_text="How many these are.")
    done = models.PositiveIntegerField(default=0, help_text="Of these, how many it has come by, the refused included.")
    refused = models.PositiveIntegerField(default=0, help_text="Of these, how many were left as they are.")

    class Meta:
        indexes = [
            leased("bulk_job_leased"),
            models.Index(fields=["organization", "-id"], name="bulk_job_newest"),
            models.Index(fields=["next_try_at"], name="bulk_job_due", condition=models.Q(next_try_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"job {self.pk}: {self.title}"

    @property
    def is_open(self) -> bool:
        """Whether a worker is to go on with it."""
        return self.status == self.Status.OPEN

    @property
    def changed(self) -> int:
        """How many instances it was done to."""
        return self.done - self.refused


class BulkRefusal(models.Model):
    """An instance that a job left as it is, and why. It outlives the instance."""

    job = models.ForeignKey(BulkJob, on_delete=models.CASCADE, related_name="refusals", db_index=False)  # see below
    instance_id = models.BigIntegerField()
    name = models.CharField(max_length=200, blank=True, help_text="The instance's, at the time; blank if it was gone.")
    reason = models.TextField(help_text="In a sentence.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "instance_id"], name="bulk_refusal_once")]

    def __str__(self) -> str:
        return f"{self.name or self.instance_id}: {self.reason}"
