"""What counters store (see polling/reports/counters.py): counts of rows that retention may have deleted since."""

from __future__ import annotations

from django.db import models

from instances.models import Instance, Organization
from polling.models.deliveries import Receiver


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


class InstanceHour(models.Model):
    """How many events of an instance were seen in one hour of the last day (see polling/reports/event_hours.py).

    The database holds no foreign key, here and below: to check it would lock the instance against who works on it.
    """

    pk = models.CompositePrimaryKey("instance_id", "hour")
    instance = models.ForeignKey(
        Instance, on_delete=models.CASCADE, db_index=False, db_constraint=False, related_name="+"
    )
    hour = models.DateTimeField(help_text="When it began.")
    events = models.PositiveIntegerField()

    class Meta:
        app_label = "polling"
        indexes = [models.Index(fields=["hour"], name="instance_hour_oldest")]

    def __str__(self) -> str:
        return f"{self.events} events of {self.hour:%d %b %H}h"


class OrganizationHour(models.Model):
    """How many events of each kind an organization's instances had in one hour of the last day."""

    pk = models.CompositePrimaryKey("organization_id", "hour")
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, db_index=False, db_constraint=False, related_name="+"
    )
    hour = models.DateTimeField(help_text="When it began.")
    created = models.PositiveIntegerField()
    updated = models.PositiveIntegerField()
    deleted = models.PositiveIntegerField()

    class Meta:
        app_label = "polling"

    def __str__(self) -> str:
        return f"{self.created + self.updated + self.deleted} events of {self.hour:%d %b %H}h"


class ReceiverHour(models.Model):
    """What tries at a receiver came to in one hour of the last day (see polling/reports/receiver_hours.py)."""

    pk = models.CompositePrimaryKey("receiver_id", "hour")
    receiver = models.ForeignKey(
        Receiver, on_delete=models.CASCADE, db_index=False, db_constraint=False, related_name="+"
    )
    hour = models.DateTimeField(help_text="When it began.")
    delivered = models.PositiveIntegerField()
    failed = models.PositiveIntegerField(help_text="Tries that failed and were followed by others.")
    given_up = models.PositiveIntegerField(help_text="Tries that failed and were the last.")
    took = models.TextField(help_text="How many tries took how long: counts by bucket of time, as JSON text.")

    class Meta:
        app_label = "polling"
        indexes = [models.Index(fields=["hour"], name="receiver_hour_oldest")]

    def __str__(self) -> str:
        return f"{self.delivered + self.failed + self.given_up} tries of {self.hour:%d %b %H}h"
