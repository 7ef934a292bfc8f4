"""What a caller of the REST API may do: the scopes of API keys and Element tokens. Pure."""

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
