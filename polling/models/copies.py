"""Copies: all records of a resource that a program or a person asked for at once, and how far they were read."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from instances.models import Instance, ResourcePoll
from polling.models.leased import Leased, leased


class Copy(Leased):
    """A copy of a resource's records, read page by page by a worker (see copies/copy_job.py).

    What it asks of ConnectWise was compiled when it was asked for, so that a change of a field mapping half-way does
    not change its shape.
    """

    class Status(models.TextChoices):
        """How far it got, as the wire says it (docs/wire-contract.md#first-load)."""

        CREATED = "CREATED", "Waiting"
        RUNNING = "RUNNING", "Being read"
        COMPLETED = "COMPLETED", "Complete"
        CANCELLED = "CANCELLED", "Cancelled"
        FAILED = "FAILED", "Failed"

    OPEN: ClassVar = (Status.CREATED, Status.RUNNING)

    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, db_index=False, related_name="copies")  # see below
    actor = models.CharField(max_length=200, help_text="Who asked for it, as the audit log says it.")
    query = models.TextField(help_text="What was asked for, in the language of the hub.")
    resource = models.CharField(max_length=300, help_text="The resource as the query calls it.")
    path = models.CharField(max_length=300, help_text="ConnectWise's path of the list.")
    params = models.JSONField(default=dict, help_text="ConnectWise's parameters: conditions, fields.")
    fields = models.JSONField(default=list, help_text="The fields that the query names, in its order; none: all.")
    mapping = models.JSONField(null=True, help_text="The field mapping that it goes by, as it was then.")
    site = models.CharField(max_length=64, help_text="The ConnectWise company whose limits it shares.")
    host = models.CharField(max_length=255, help_text="The host that its requests go to.")

    status = models.CharField(max_length=10, choices=Status.choices, default=Status.CREATED)
    asked_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True, help_text="When it is deleted. Empty as long as it is read.")
    next_try_at = models.DateTimeField(null=True, help_text="When it goes on. Empty once it has ended.")
    failures = models.PositiveSmallIntegerField(default=0, help_text="Failed tries since the last page.")
    error = models.TextField(blank=True, help_text="Why the last try failed.")

    total = models.BigIntegerField(null=True, help_text="How many records ConnectWise counted when it began.")
    records = models.BigIntegerField(default=0, help_text="Records read so far.")
    failed = models.BigIntegerField(default=0, help_text="Records that could not be read, and are left out.")
    notes = models.TextField(blank=True, help_text="Why, of the first few.")
    pages = models.PositiveIntegerField(default=0, help_text="Pages kept.")
    size = models.BigIntegerField(default=0, help_text="Bytes of the pages, as they are kept.")
    reached_id = models.BigIntegerField(default=0, help_text="The last id of the last page committed.")
    columns = models.JSONField(  # pairs, since PostgreSQL keeps no order of an object's members
        default=list, help_text="The columns in the order met, each with whether any record fills it."
    )

    watched_poll = models.ForeignKey(ResourcePoll, on_delete=models.SET_NULL, null=True, related_name="+")
    watched_from = models.DateTimeField(
        null=True, help_text="ConnectWise's clock: what changed from then on, and is not in the copy, is an event."
    )
    watches_deletes = models.BooleanField(
        default=False, help_text="Whether each of its records is known to the poll that looks for deletes."
    )

    class Meta:
        verbose_name_plural = "copies"
        indexes = [
            leased("copy_leased"),
            models.Index(fields=["instance", "-id"], name="copy_newest"),
            models.Index(fields=["next_try_at"], name="copy_due", condition=models.Q(next_try_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"copy {self.pk} of {self.resource}"

    @property
    def is_open(self) -> bool:
        """Whether a worker is to go on with it."""
        return self.status in self.OPEN

    @property
    def progress(self) -> int | None:
        """How much of it is read, in percent; None where nobody knows how much there is."""
        if self.status == self.Status.COMPLETED:
            return 100
        done = self.records + self.failed
        return None if self.total is None else min(99, done * 100 // max(self.total, 1))


class CopyPage(models.Model):
    """A page of a copy: up to 1,000 records, a line of JSON each, compressed by zlib."""

    copy = models.ForeignKey(Copy, on_delete=models.CASCADE, db_index=False, related_name="+")  # in the constraint
    number = models.PositiveIntegerField(help_text="From 1.")
    body = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["copy", "number"], name="copy_page_once")]

    def __str__(self) -> str:
        return f"page {self.number} of copy {self.copy_id}"
