"""The issuer that the settings name, if they name one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from django.conf import settings

from cwconnect.core.env import GroupRole


@dataclass(frozen=True)
class Issuer:
    """An issuer and this service's registration with it."""

    url: str
    client_id: str
    secret: str = field(repr=False)
    name: str
    groups_claim: str
    groups: tuple[GroupRole, ...]

    @property
    def provider_id(self) -> str:
        """Return what stands for the issuer in links of accounts: another issuer's people are others, whatever it says.

        A `sub` is unique within one issuer alone, so a link must not outlive a change of the issuer in the settings.
        """
        return f"oidc-{hashlib.sha256(self.url.encode()).hexdigest()[:24]}"


def configured() -> Issuer | None:
    """Return the issuer of the settings; None where people sign in by password alone."""
    if not settings.OIDC_ISSUER:
        return None
    return Issuer(
        url=settings.OIDC_ISSUER,
        client_id=settings.OIDC_CLIENT_ID,
        secret=settings.OIDC_CLIENT_SECRET,
        name=settings.OIDC_NAME,
        groups_claim=settings.OIDC_GROUPS_CLAIM,
        groups=tuple(settings.OIDC_GROUPS),
    )
