"""Polls: where each stands, its runs, and what was last read of every row."""

from __future__ import annotations

from django.db import models

from instances.models import ResourcePoll
from polling.models.leased import Leased, leased


class Health(models.TextChoices):
    """How a resource poll fares, in words for people."""

    HEALTHY = "healthy", "Healthy"
    RETRYING = "retrying", "Retrying"
    RATE_LIMITED = "rate limited", "Rate limited"
    REJECTED = "rejected", "Rejected"
    UNAUTHORIZED = "unauthorized", "Unauthorized"
    HELD = "held", "Held"
    PAUSED = "paused", "Paused"


class PollState(Leased):
    """Where a resource poll stands. `cursor` is ConnectWise's clock; every other time is ours."""

    resource_poll = models.OneToOneField(ResourcePoll, on_delete=models.CASCADE, primary_key=True, related_name="state")
    site = models.CharField(max_length=64, help_text="The ConnectWise company whose limits it shares.")
    host = models.CharField(max_length=255, help_text="The host that its requests go to.")
    next_poll_at = models.DateTimeField(null=True, help_text="Empty while the poll is paused or stopped.")
    next_sweep_at = models.DateTimeField(null=True, help_text="When deletes are looked for next.")
    woken_at = models.DateTimeField(null=True, help_text="When a callback last made it due.")
    cursor = models.DateTimeField(null=True, help_text="ConnectWise's clock when the last complete run began.")
    health = models.CharField(max_length=20, choices=Health.choices, default=Health.HEALTHY)
    failures = models.PositiveIntegerField(default=0, help_text="Failed runs since the last good one.")
    last_error = models.TextField(blank=True)
    last_good_at = models.DateTimeField(null=True)
    baseline_at = models.DateTimeField(null=True, help_text="When the first sweep for deletes was complete.")
    sweep_failures = models.PositiveIntegerField(default=0, help_text="Failed sweeps since the last good one.")
    sweep_error = models.TextField(blank=True, help_text="Why the last sweep failed.")

    class Meta:
        indexes = [
            leased("poll_leased"),
            models.Index(fields=["next_poll_at"], name="poll_due", condition=models.Q(next_poll_at__isnull=False)),
            models.Index(fields=["next_sweep_at"], name="sweep_due", condition=models.Q(next_sweep_at__isnull=False)),
            models.Index(  # few: so the overview finds what needs a person without reading all polls
                fields=["resource_poll"],
                name="poll_needing_a_person",
                condition=models.Q(health__in=["unauthorized", "rejected", "held"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.resource_poll}: {self.get_health_display()}"


class Site(models.Model):
    """A ConnectWise company as rate limits see it: one wait for all polls of it, whoever's instance they serve."""

    key = models.CharField(max_length=64, primary_key=True)
    blocked_until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.key[:12]} until {self.blocked_until}"


class PollRun(models.Model):
    """One run over a window, page by page; an open one is carried on by whoever claims its poll next."""

    class Kind(models.TextChoices):
        """What the run reads."""

        POLL = "poll", "Poll"
        BACKFILL = "backfill", "Backfill"
        SWEEP = "sweep", "Sweep for deletes"
        REPAIR = "repair", "Repair"
        ANNOUNCED = "announced", "Records that callbacks announced"

    class Status(models.TextChoices):
        """How far it got."""

        OPEN = "open", "Open"
        COMPLETE = "complete", "Complete"
        FAILED = "failed", "Failed"
        ABANDONED = "abandoned", "Abandoned"

    resource_poll = models.ForeignKey(ResourcePoll, on_delete=models.CASCADE, db_index=False, related_name="runs")
    kind = models.CharField(max_length=20, choices=Kind.choices, default=Kind.POLL)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.OPEN)
    opening = models.DateTimeField(null=True, help_text="The window's start, ConnectWise's clock.")
    first_date = models.DateTimeField(null=True, help_text="ConnectWise's Date at the first page: the next cursor.")
    newest_stamp = models.DateTimeField(null=True, help_text="The newest stamp read, for want of a Date.")
    page = models.PositiveIntegerField(default=0, help_text="Pages committed.")
    reached_id = models.BigIntegerField(default=0, help_text="The last id of the last page committed.")
    records = models.PositiveIntegerField(default=0)
    events = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0, help_text="Records that could not be used.")
    notes = models.TextField(blank=True, help_text="Noted of single records, skipped or not: the first few.")
    error = models.TextField(blank=True)
    held = models.JSONField(default=list, blank=True, help_text="Ids that a sweep found gone and holds back.")
    listed_at = models.DateTimeField(null=True, help_text="When a sweep had read the last id: the date of its deletes.")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    traceparent = models.CharField(max_length=55, null=True, help_text="Its span, where traces are on.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["resource_poll", "kind"], condition=models.Q(status="open"), name="one_open_run_of_a_kind"
            )
        ]
        indexes = [
            models.Index(fields=["-started_at"], name="run_newest"),
            models.Index(fields=["resource_poll", "-id"], name="run_newest_of_poll"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.pk}"


class RecordSnapshot(models.Model):
    """A row of ConnectWise as last read: kept narrow, for as long as its resource is polled.

    `stamp` is Unix seconds, of a tombstone those of its DELETED event; `digest` is a version byte and the content's
    hash, or a lone byte for a row that was met by its id alone, or found gone (see changes.py).
    """

    pk = models.CompositePrimaryKey("resource_poll_id", "record_id")
    resource_poll = models.ForeignKey(ResourcePoll, on_delete=models.CASCADE, db_index=False, related_name="+")
    record_id = models.BigIntegerField()
    stamp = models.BigIntegerField(null=True)
    digest = models.BinaryField(max_length=16)
    gone = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"record {self.record_id}"


class SnapshotBody(models.Model):
    """The last text of a snapshot's record, kept only where deletes or field changes are asked for."""

    pk = models.CompositePrimaryKey("resource_poll_id", "record_id")
    resource_poll = models.ForeignKey(ResourcePoll, on_delete=models.CASCADE, db_index=False, related_name="+")
    record_id = models.BigIntegerField()
    body = models.TextField()

    class Meta:
        verbose_name_plural = "snapshot bodies"

    def __str__(self) -> str:
        return f"body of record {self.record_id}"


class MissingRecord(models.Model):
    """A row known and not gone that a sweep did not find, and what becomes of it. It goes when the row is seen again.

    Or, as `back`, the other way round: a row recorded as deleted that a sweep found again, to be read and recorded.
    """

    class Status(models.TextChoices):
        """What becomes of the row."""

        MISSED = "missed", "Not found by the sweep under way"
        HELD = "held", "Held back for a person to decide"
        RELEASED = "released", "Released: recorded by the next sweep that does not find it either"
        DISMISSED = "dismissed", "Dismissed: not recorded, and not asked about again"
        BACK = "back", "Deleted, and found again"

    pk = models.CompositePrimaryKey("resource_poll_id", "record_id")
    resource_poll = models.ForeignKey(ResourcePoll, on_delete=models.CASCADE, db_index=False, related_name="+")
    record_id = models.BigIntegerField()
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.MISSED)

    class Meta:
        indexes = [models.Index(fields=["resource_poll", "status", "record_id"], name="missing_by_status")]

    def __str__(self) -> str:
        return f"record {self.record_id}: {self.status}"
