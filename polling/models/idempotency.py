"""What is kept of requests with an Idempotency-Key: their answers."""

from __future__ import annotations

from django.db import models

from instances.models import Organization
from instances.secrets import HoldsSecrets, SecretField


class IdempotentAnswer(HoldsSecrets):
    """The answer that a request with an Idempotency-Key was given; without one, the request is still under way.

    A `status` without an answer: a write to ConnectWise whose answer was lost, so that nobody knows if it was done.

    Encrypted, since an answer may hold a secret that is shown once.
    """

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+")
    key_hash = models.CharField(max_length=64)
    fingerprint = models.CharField(max_length=64, help_text="The hash of the caller, the address and the body.")
    status = models.PositiveSmallIntegerField(null=True)
    answer = SecretField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        app_label = "polling"
        constraints = [
            models.UniqueConstraint(fields=["organization", "key_hash"], name="idempotency_key_once_per_organization")
        ]
        indexes = [models.Index(fields=["created_at"], name="idempotent_answer_oldest")]

    def __str__(self) -> str:
        return f"answer {self.pk}"
