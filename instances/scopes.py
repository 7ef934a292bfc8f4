"""What a caller of the REST API may do: scopes, and the columns that limit API keys and Element tokens."""

from __future__ import annotations

from django.db import models


class Scope(models.TextChoices):
    """What a caller of the REST API may do; each may do what the ones before it may."""

    READ = "read", "Read"
    WRITE = "write", "Read, and write to ConnectWise"
    MANAGE = "manage", "Manage"

    @classmethod
    def known(cls, text: str) -> Scope:
        """Return the scope of that name; of one that a later version knows, or nobody, the narrowest."""
        return cls(text) if text in cls.values else cls.READ

    def covers(self, needed: Scope) -> bool:
        """Return whether what takes `needed` may be done with this."""
        order = list(Scope)
        return order.index(self) >= order.index(needed)


class KeyLimits(models.Model):
    """What an API user's key is limited to.

    What it may do stands in two columns as long as the version before may run beside this one, or again: that one
    writes and reads `may_write` alone. So each column can only narrow the other (`effective_scope`).
    """

    may_write = models.BooleanField(
        default=True, db_default=True, help_text="Whether it may manage: all that version 0.1 knows of its scope."
    )
    scope = models.CharField(
        max_length=10,
        choices=Scope.choices,
        default="",
        db_default="",
        blank=True,
        help_text="What its key may do; empty: what may_write says.",
    )
    networks = models.JSONField(null=True, blank=True, help_text="From where its key is good; none: from anywhere.")
    writes_to_connectwise = models.BooleanField(
        db_default=False,
        default=False,
        help_text="Whether a key that may manage also writes to ConnectWise; one of the scope write does in any case.",
    )
    instance_ids = models.JSONField(
        null=True, blank=True, help_text="The instances that its key reaches; null: all of the organization."
    )
    expires_at = models.DateTimeField(null=True, blank=True, help_text="When its key ends; empty: it doesn't.")

    class Meta:
        abstract = True

    @property
    def effective_scope(self) -> Scope:
        """What the key may do, whichever version wrote the row: the narrower of what both columns say."""
        scope = Scope.known(self.scope) if self.scope else Scope.MANAGE
        return Scope.READ if scope is Scope.MANAGE and not self.may_write else scope

    @property
    def effective_writes(self) -> bool:
        """Whether the key may write to ConnectWise: its scope says so by name, or it manages and has the right too.

        A key that may manage did not write when there were no writes, so that by itself it doesn't.
        """
        scope = self.effective_scope
        return scope is Scope.WRITE or (scope is Scope.MANAGE and self.writes_to_connectwise)


class TokenLimits(models.Model):
    """What an instance's Element token is limited to, and the former one beside that (see credentials/tokens.py)."""

    token_scope = models.CharField(
        max_length=10,
        choices=Scope.choices,
        default=Scope.MANAGE,
        db_default=Scope.MANAGE.value,
        help_text="What the token lets a key do, at most.",
    )
    token_networks = models.JSONField(null=True, blank=True, help_text="From where the token is good; none: anywhere.")
    token_expires_at = models.DateTimeField(null=True, blank=True, help_text="When the token ends; empty: it doesn't.")
    previous_token_scope = models.CharField(
        max_length=10, choices=Scope.choices, default=Scope.MANAGE, db_default=Scope.MANAGE.value, editable=False
    )
    previous_token_networks = models.JSONField(null=True, blank=True, editable=False)

    class Meta:
        abstract = True
