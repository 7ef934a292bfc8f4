"""ConnectWise's callbacks: where they arrive, what is registered for them, what arrived and what came of it."""

from __future__ import annotations

from django.db import models

from instances.models import Instance, ResourcePoll
from instances.secrets import HoldsSecrets, SecretField
from polling.models.leased import Leased, leased


class CallbackEndpoint(HoldsSecrets, Leased):
    """Where the callbacks of one instance arrive: its token in our URL, and how its registrations stand.

    It is there from the first time callbacks are switched on until nothing of the instance's is registered any more.
    """

    instance = models.OneToOneField(
        Instance, on_delete=models.CASCADE, primary_key=True, related_name="callback_endpoint"
    )
    token = SecretField(help_text="The part of the URL that nobody else knows.")
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    site = models.CharField(max_length=64, default="", help_text="The ConnectWise company whose limits it shares.")
    url = models.CharField(max_length=500, blank=True, help_text="Our address when registrations were last compared.")
    next_compare_at = models.DateTimeField(null=True, help_text="When registrations are compared with what is wanted.")
    compared_at = models.DateTimeField(null=True, help_text="When that last went well.")
    failures = models.PositiveIntegerField(default=0, help_text="Failed comparisons since the last good one.")
    error = models.TextField(blank=True, help_text="Why the last comparison failed, or what ConnectWise refuses.")
    key_error = models.TextField(blank=True, help_text="Why ConnectWise's signing key can't be had.")
    next_key_at = models.DateTimeField(null=True, help_text="No signing key is asked for before this.")
    examined_upto = models.BigIntegerField(default=0, help_text="The last event looked at for its announcement.")

    class Meta:
        indexes = [
            leased("callbacks_leased"),
            models.Index(
                fields=["next_compare_at"], name="callbacks_due", condition=models.Q(next_compare_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"callbacks of {self.instance}"


class CallbackRegistration(models.Model):
    """One entry of ours in ConnectWise's `/system/callbacks`: wanted, made, or refused.

    Source: ConnectWise's developer guide, "Callbacks".
    """

    class Status(models.TextChoices):
        """How it stands at ConnectWise."""

        WANTED = "wanted", "To be registered"
        ACTIVE = "active", "Registered"
        REFUSED = "refused", "Refused by ConnectWise"

    instance = models.ForeignKey(
        Instance, on_delete=models.CASCADE, db_constraint=False, related_name="callback_registrations"
    )  # no foreign key in the database: a comparison holds its endpoint, who changes the instance wants both
    type = models.CharField(max_length=40, help_text="ConnectWise's word for what it announces: contact, ticket.")
    entry_id = models.BigIntegerField(null=True, help_text="Its id at ConnectWise.")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.WANTED)
    error = models.TextField(blank=True, help_text="Why ConnectWise refuses it.")
    active_since = models.DateTimeField(null=True)
    unannounced = models.JSONField(default=list, help_text="When its last changes were recorded that none announced.")
    silent_since = models.DateTimeField(null=True, help_text="The first change of several that none announced.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["instance", "type"], name="callback_once_a_type")]
        indexes = [  # few: so the overview finds them without reading all
            models.Index(fields=["instance"], name="callback_silent", condition=models.Q(silent_since__isnull=False))
        ]

    def __str__(self) -> str:
        return f"{self.type}: {self.status}"


class CallbackHint(models.Model):
    """One callback as it arrived. Until it is judged it has its body; then what little it said, for a week.

    Nothing that it says becomes part of an event: it only has the resource polled.
    """

    class Status(models.TextChoices):
        """What came of it."""

        WAITING = "waiting", "Not judged yet"
        VERIFIED = "verified", "Signed by ConnectWise"
        REFUSED = "refused", "Refused"

    instance = models.ForeignKey(
        Instance, on_delete=models.CASCADE, db_index=False, db_constraint=False, related_name="callback_hints"
    )  # no foreign key in the database, which would lock the instance against who works on it
    received_at = models.DateTimeField()
    signature = models.CharField(max_length=100, blank=True, help_text="The header x-content-signature.")
    body = models.BinaryField(null=True, help_text="As it arrived; empty once it is judged.")
    judge_at = models.DateTimeField(help_text="When it is judged; later again where a signing key is asked for.")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.WAITING)
    reason = models.CharField(max_length=40, blank=True, help_text="Why it was refused.")
    digest = models.CharField(max_length=64, blank=True, help_text="The SHA-256 of a verified body, to know it again.")
    type = models.CharField(max_length=40, blank=True)
    action = models.CharField(max_length=40, blank=True)
    record_id = models.BigIntegerField(null=True)
    traceparent = models.CharField(max_length=55, null=True, help_text="The span of its request, where traces are on.")

    class Meta:
        indexes = [
            models.Index(fields=["judge_at"], name="hint_due", condition=models.Q(status="waiting")),
            models.Index(fields=["instance"], name="hint_waiting", condition=models.Q(status="waiting")),
            models.Index(
                fields=["instance", "type", "record_id", "received_at"],
                name="hint_of_record",
                condition=models.Q(status="verified"),
            ),
            models.Index(
                fields=["instance", "type", "received_at"], name="hint_of_type", condition=models.Q(status="verified")
            ),
            models.Index(fields=["instance", "digest"], name="hint_by_digest", condition=models.Q(status="verified")),
            models.Index(fields=["received_at"], name="hint_oldest"),
        ]

    def __str__(self) -> str:
        return f"{self.action or 'callback'} of {self.type or 'something'} {self.record_id or ''}".strip()


class AnnouncedRecord(models.Model):
    """A record that a verified callback announced, until the poll has brought it or it was read by its id."""

    pk = models.CompositePrimaryKey("resource_poll_id", "record_id")
    resource_poll = models.ForeignKey(
        ResourcePoll, on_delete=models.CASCADE, db_index=False, db_constraint=False, related_name="+"
    )  # no foreign key in the database, as above
    record_id = models.BigIntegerField()
    announced_at = models.DateTimeField(help_text="When the last callback about it arrived.")
    deleted = models.BooleanField(default=False, help_text="Whether that one said that it was deleted.")
    not_found = models.PositiveSmallIntegerField(default=0, help_text="How often it was asked for and not found.")
    tries = models.PositiveSmallIntegerField(default=0, help_text="How often it was asked for.")
    next_read_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["next_read_at"], name="announced_due")]

    def __str__(self) -> str:
        return f"record {self.record_id}"


class CallbackCount(models.Model):
    """How often something happened with an instance's callbacks of one type within an hour.

    `name` says what: see polling/callbacks/counts.py. No foreign key in the database, as in InstanceHour; and the
    counts of a deleted instance stay as long as others, so that those of `/metrics` never shrink.
    """

    pk = models.CompositePrimaryKey("instance_id", "hour", "type", "name")
    instance = models.ForeignKey(
        Instance, on_delete=models.DO_NOTHING, db_index=False, db_constraint=False, related_name="+"
    )
    hour = models.DateTimeField(help_text="When it began.")
    type = models.CharField(max_length=40, help_text="Blank where nobody knows.")
    name = models.CharField(max_length=60)
    count = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["hour"], name="callback_count_oldest")]

    def __str__(self) -> str:
        return f"{self.count} {self.name} of {self.type} in {self.hour:%d %b %H}h"
