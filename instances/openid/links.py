"""The link between an account and an issuer's person, in the audit log."""

from __future__ import annotations

from allauth.socialaccount.models import SocialAccount, SocialLogin
from allauth.socialaccount.signals import social_account_added
from django.contrib.auth.models import User
from django.dispatch import receiver

from instances import audit
from instances.account_audit import organization_of
from instances.audit import Action


@receiver(social_account_added)
def _linked(sender: object, sociallogin: SocialLogin, **_: object) -> None:
    record_link(Action.LINK_ISSUER, sociallogin.user, sociallogin.account)


def record_link(action: Action, account: User, link: SocialAccount) -> None:
    """Record that a link was made or taken away: by which issuer, and the name there; no `sub`."""
    details = {name: str(link.extra_data.get(name, "")) for name in ("issuer", "name")}
    organization = organization_of(account)
    audit.record(action, audit.named(account.get_username()), organization=organization, details=details)
