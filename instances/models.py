"""Who we connect to, and what they asked for."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from instances.scopes import KeyLimits, TokenLimits
from instances.secrets import HoldsSecrets, SecretField
from instances.transformation import Transformation as Transformation  # a model too, in a module of its own


class SecondFactor(models.TextChoices):
    """Who must have a second factor, from fewest to most (see factors/rule.py)."""

    OPTIONAL = "optional", "Whoever wants one"
    OPERATORS = "operators", "Operators must have one"
    EVERYBODY = "everybody", "Everybody must have one"


class Organization(models.Model):
    """A tenant: everything belongs to one, and nobody reads another's."""

    name = models.CharField(max_length=200, unique=True)
    second_factor = models.CharField(
        max_length=10,
        choices=SecondFactor.choices,
        default=SecondFactor.OPTIONAL,
        db_default=SecondFactor.OPTIONAL.value,
        help_text="Who of its people must have one, besides what CWCONNECT_SECOND_FACTOR asks of all.",
    )
    secret_hash = models.CharField(max_length=64, unique=True, null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class ApiUser(KeyLimits):
    """A caller of the REST API: the `User` half of an Authorization header."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="api_users")
    name = models.CharField(max_length=200)
    secret_hash = models.CharField(max_length=64, unique=True, null=True, editable=False)
    organization_secret_hash = models.CharField(
        max_length=64,
        null=True,
        editable=False,
        help_text="Of an organization secret that is good with this key alone.",
    )
    last_four = models.CharField(max_length=4, db_default="", blank=True, help_text="The last characters of its key.")
    made_by = models.CharField(max_length=200, db_default="", blank=True, help_text="Who made its key.")
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="To the minute.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "API user"
        constraints = [models.UniqueConstraint(fields=["organization", "name"], name="api_user_once_per_organization")]

    def __str__(self) -> str:
        return f"{self.name} ({self.organization})"


class Role(models.TextChoices):
    """What a person may do in an organization."""

    VIEWER = "viewer", "Viewer"
    OPERATOR = "operator", "Operator"


class Membership(models.Model):
    """A Django account's place in an organization."""

    account = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role.choices, default=Role.VIEWER)
    group = models.CharField(
        max_length=200,
        db_default="",
        blank=True,
        editable=False,
        help_text="The issuer's group that gives the role, and takes it; empty: somebody gave it.",
    )
    role_by_hand = models.CharField(
        max_length=20, db_default="", blank=True, editable=False, help_text="What is left when the group goes."
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "organization"], name="membership_once")]

    def __str__(self) -> str:
        return f"{self.account} in {self.organization}: {self.role}"


class Invitation(models.Model):
    """A place in an organization that is kept for whoever brings its code (see invitations.py); deleted once taken."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="invitations")
    role = models.CharField(max_length=20, choices=Role.choices, default=Role.VIEWER)
    email = models.CharField(max_length=254, blank=True, help_text="Where the invitation was sent, if it was.")
    code_hash = models.CharField(max_length=64, unique=True, editable=False)
    made_by = models.CharField(max_length=200, help_text="Who invites.")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"invitation {self.pk} to {self.organization}: {self.role}"


class NotificationSettings(models.Model):
    """Where notifications go, how they are signed, and what is sent along: of an instance, or of a subscription."""

    callback_url = models.CharField(max_length=2000, blank=True)
    signature_key = SecretField(null=True, blank=True)
    previous_signature_key = SecretField(null=True, blank=True, help_text="Signs beside the new one for a while.")
    previous_key_until = models.DateTimeField(null=True, blank=True)
    callback_headers = SecretField(null=True, blank=True, help_text="A JSON object; values may be credentials.")
    basic_username = models.CharField(max_length=200, blank=True)
    basic_password = SecretField(null=True, blank=True)

    class Meta:
        abstract = True


class Instance(HoldsSecrets, TokenLimits, NotificationSettings):
    """One authenticated connection to a ConnectWise company, and where its events go.

    One without an organization is deleted: nobody's, so that nobody sees it or its events, until its rows are gone.
    """

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, null=True, db_index=False, related_name="instances"
    )  # in an index below
    created_by = models.ForeignKey(ApiUser, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    name = models.CharField(max_length=200)
    tags = models.JSONField(default=list, blank=True)
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    token = SecretField(null=True, blank=True, help_text="Kept only where tokens may be read again.")
    previous_token_hash = models.CharField(max_length=64, unique=True, null=True, editable=False)
    previous_token_until = models.DateTimeField(null=True, blank=True, help_text="When the former token ends.")
    disabled = models.BooleanField(default=False, help_text="Polling and delivery pause; nothing is lost.")

    base_url = models.CharField(max_length=500)
    company = models.CharField(max_length=200)
    public_key = SecretField()
    private_key = SecretField()
    client_id = models.CharField(max_length=200, blank=True)
    filter_nulls = models.BooleanField(default=True, help_text="Leave keys with null out of records.")

    events_enabled = models.BooleanField(default=False)
    callbacks_enabled = models.BooleanField(
        db_default=False, help_text="ConnectWise's callbacks have resources polled at once."
    )
    writes_enabled = models.BooleanField(
        db_default=False, help_text="Hub routes may create, change and delete records of ConnectWise."
    )
    refresh_interval = models.PositiveIntegerField(default=15, help_text="Minutes between polls.")

    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [
            models.Index(fields=["organization", "-id"], name="instance_newest"),
            models.Index(
                fields=["organization", "token_expires_at"],
                name="instance_token_ends",
                condition=models.Q(token_expires_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.pk})" + (", being deleted" if self.organization_id is None else "")

    @property
    def watching(self) -> bool:
        """Whether its resources are polled at present."""
        return self.events_enabled and not self.disabled


class ResourcePoll(models.Model):
    """One resource of an instance to poll: how (the wire's configuration), and from when on.

    `since` (ConnectWise's clock) and `high_water_id` (the largest id) are taken when watching begins; without a `since`
    it has not begun yet.
    """

    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, related_name="resource_polls")
    name = models.CharField(max_length=200, help_text="The key in the configuration: the events' objectType.")
    configuration = models.JSONField(default=dict, help_text="As in event.poller.configuration of the contract.")
    enabled = models.BooleanField(default=True)
    since = models.DateTimeField(null=True, blank=True)
    high_water_id = models.BigIntegerField(default=0)
    missing_fields = models.JSONField(
        default=list, blank=True, help_text="Keys of the configuration that name a field which no record read has."
    )
    tracks_for_filters = models.BooleanField(
        default=False, db_default=False, editable=False, help_text="A receiver's filter asks which fields changed."
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["instance", "name"], name="resource_poll_once_per_instance")]

    def __str__(self) -> str:
        return f"{self.name} of {self.instance}"


class AuditEntry(models.Model):
    """Something that somebody did (see audit.py). It outlives what it describes, and is never pruned.

    Nor is it changed, but for the outcome of what it was written before (`audit.end`).
    """

    at = models.DateTimeField(auto_now_add=True)
    organization = models.ForeignKey(Organization, on_delete=models.SET_NULL, null=True, related_name="audit_entries")
    actor = models.CharField(max_length=200, help_text="Who did it.")
    action = models.CharField(max_length=40, help_text="What was done.")
    subject = models.CharField(max_length=300, help_text="To what.")
    details = models.JSONField(default=dict, help_text="Which fields changed; secrets by name alone.")
    request_id = models.CharField(max_length=32, blank=True, help_text="The request's id, as in its log lines.")
    instance_number = models.BigIntegerField(null=True, help_text="The id of the instance that it was done to, if any.")

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["organization", "-id"], name="audit_newest"),
            models.Index(fields=["request_id"], condition=~models.Q(request_id=""), name="audit_by_request"),
            models.Index(fields=["at"], name="audit_time"),
            models.Index(fields=["organization", "actor", "-id"], name="audit_actor"),
            models.Index(fields=["organization", "action", "-id"], name="audit_action"),
            models.Index(fields=["organization", "actor", "action", "-id"], name="audit_actor_action"),
            models.Index(
                fields=["organization", "instance_number", "-id"],
                name="audit_instance",
                condition=models.Q(instance_number__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.actor}: {self.action}: {self.subject}"


class SignIn(models.Model):
    """A sign-in to the pages, and the session it began (see sign_ins.py). It outlives that for a while."""

    account = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="sign_ins")
    session_key = models.CharField(max_length=40, unique=True, help_text="The session's, as the session table has it.")
    at = models.DateTimeField()
    last_seen_at = models.DateTimeField(help_text="To the minute.")
    address = models.CharField(max_length=45, help_text="The client's.")
    network = models.CharField(max_length=45, help_text="By what guesses from there are counted.")
    browser = models.CharField(max_length=300, help_text="Its User-Agent.")

    class Meta:
        indexes = [models.Index(fields=["account", "network"], name="sign_in_known_network")]

    def __str__(self) -> str:
        return f"{self.account} from {self.address}, {self.at:%Y-%m-%d %H:%M}"


class FailureCount(models.Model):
    """How often something was guessed wrong of late, by what is counted (see guesses.py)."""

    key = models.CharField(max_length=100, primary_key=True, help_text="The kind, and a hash of what is counted.")
    failures = models.PositiveIntegerField()
    last_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.failures} of {self.key}"


class FactorSecret(HoldsSecrets):
    """The secret of an authenticator app, or the seed of recovery codes: the factor's own row names it by its number.

    It goes with that row (see factors/adapter.py).
    """

    account = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    text = SecretField()

    def __str__(self) -> str:
        return f"secret {self.pk} of a factor of {self.account}"


class SavedView(models.Model):
    """A person's own name for what a list was narrowed to and sorted by (see saved_views.py)."""

    account = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_views")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+")
    page = models.CharField(max_length=20, help_text="The list: instances, events or deliveries.")
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=2000, help_text="That of the list's URL.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "organization", "page", "name"], name="saved_view_once")
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.page})"
