"""The event log: one row for each change recorded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import models

from cwconnect.connectwise.titles import LONGEST_TITLE
from instances.models import Instance, ResourcePoll
from polling.models.deliveries import Notification
from polling.models.polls import PollRun


class LogPosition(models.Model):
    """The one row from which events take their ids on SQLite, which has one writer (see log/event_ids.py)."""

    last = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"event {self.last}"


@dataclass(slots=True)
class NewEvent:
    """An event on its way into the log, with the columns of `Event`; the log gives it its id.

    Building a model in its place would cost ten times as much.
    """

    object_type: str
    object_id: str
    record_id: int
    kind: str
    occurred_at: datetime
    polled_at: datetime
    record: str
    changes: str | None = None
    id: int = 0
    title: str = ""
    changes_for_filters: bool = False


class Event(models.Model):
    """One change of one record, as the receiver is notified of it."""

    class Kind(models.TextChoices):
        """What happened to the record (docs/wire-contract.md#5-the-notification)."""

        CREATED = "CREATED", "Created"
        UPDATED = "UPDATED", "Updated"
        DELETED = "DELETED", "Deleted"

    id = models.BigIntegerField(primary_key=True)
    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, db_index=False, related_name="events")
    resource_poll = models.ForeignKey(
        ResourcePoll, on_delete=models.SET_NULL, null=True, db_index=False, related_name="events"
    )
    run = models.ForeignKey(PollRun, on_delete=models.SET_NULL, null=True, related_name="event_set")
    notification = models.ForeignKey(Notification, on_delete=models.SET_NULL, null=True, related_name="events")
    object_type = models.CharField(max_length=200)
    object_id = models.CharField(max_length=200)
    record_id = models.BigIntegerField()
    title = models.CharField(
        max_length=LONGEST_TITLE,
        blank=True,
        default="",
        db_default="",
        help_text="What people call the record, as of this change; empty where it has no such field.",
    )
    kind = models.CharField(max_length=10, choices=Kind.choices)
    occurred_at = models.DateTimeField(help_text="When the record changed.")
    polled_at = models.DateTimeField(help_text="When the poll saw it.")
    record = models.TextField(help_text="The record as JSON text.")
    changes = models.TextField(null=True, help_text="The changed fields as JSON text, where they are tracked.")
    changes_for_filters = models.BooleanField(
        default=False, db_default=False, help_text="They are kept for filters alone: notifications do not have them."
    )

    class Meta:
        indexes = [
            models.Index(fields=["instance", "-id"], name="event_newest"),
            models.Index(fields=["resource_poll", "record_id"], name="event_of_record"),
            models.Index(fields=["instance", "object_id"], name="event_by_object"),
            models.Index(fields=["polled_at"], name="event_polled"),
            models.Index(  # what retention goes by where no notification does; the instance: it passes over some unread
                fields=["polled_at", "id", "instance"],
                name="event_not_carried",
                condition=models.Q(notification__isnull=True),
            ),
            models.Index(fields=["instance", "polled_at"], name="event_of_instance_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.called}"

    @property
    def called(self) -> str:
        """How the record is shown in plain text: `Ruth Lindqvist · contacts/17`, or `contacts/17` without a title."""
        key = f"{self.object_type}/{self.object_id}"
        return f"{self.title} · {key}" if self.title else key
