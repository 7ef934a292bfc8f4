"""What django-allauth asks of the service about issuers (setting SOCIALACCOUNT_ADAPTER): who is let in, as whom."""

from __future__ import annotations

from typing import Any

from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialLogin
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.utils import generate_unique_username
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from cwconnect.core.errors import ConflictError
from instances import audit
from instances.audit import Action
from instances.invitations import join_as, open_invitation
from instances.models import Invitation, Organization
from instances.openid.errors import IssuerError
from instances.openid.flow import SIGN_IN
from instances.openid.groups import apply_groups, given_by
from instances.openid.issuer import configured
from instances.openid.links import record_link

INVITATION = "invitation"  # in the session: the id of an invitation whose code was brought (pages/joining.py)


class IssuerAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """The service's answers."""

    def list_apps(
        self, request: HttpRequest, provider: str | None = None, client_id: str | None = None
    ) -> list[SocialApp]:
        """Return the issuer of the settings alone, for what a table of the database says nobody has vouched."""
        issuer = configured()
        if issuer is None or provider not in (None, issuer.provider_id, OpenIDConnectProvider.id):
            return []
        app = SocialApp(provider=OpenIDConnectProvider.id, provider_id=issuer.provider_id, name=issuer.name)
        app.client_id, app.settings = issuer.client_id, {"server_url": issuer.url}
        return [app]

    def get_requests_session(self) -> Any:
        """Refuse: what is asked of an issuer passes the outbound client (exchange.py), and nothing else is asked."""
        raise RuntimeError("allauth asks nobody outside by itself.")

    def can_authenticate_by_email(self, login: SocialLogin, email: str) -> bool:
        """Return whether a mail address tells whose account it is: never, it proves no one."""
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Note how somebody proved who they are; give, change and take what groups give to who is known already."""
        request.issuer_methods = sociallogin.methods  # type: ignore[attr-defined]  # second_factor.py reads it
        account = sociallogin.user
        if sociallogin.state["process"] == SIGN_IN and sociallogin.is_existing and account.is_active:
            apply_groups(account, sociallogin.groups, _mapping())

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        """Return that somebody new gets an account: invited in this browser, or let in by a group. Else IssuerError."""
        by_groups = Organization.objects.filter(name__in=given_by(sociallogin.groups, _mapping()))
        if _invitation(request) is not None or by_groups.exists():
            return True
        raise IssuerError(
            "neither invited nor in a group",
            "You are known to the issuer, but not here: none of your groups is let in, and nobody has invited you in "
            "this browser. Ask whoever runs this service. If you have a user name here, sign in by your password and "
            "link the two under your name there.",
        )

    def is_auto_signup_allowed(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        """Return whether no form is shown: the issuer has said all there is to know."""
        return True

    def save_user(self, request: HttpRequest, sociallogin: SocialLogin, form: Any = None) -> User:
        """Make an account without a password, its link to the issuer and its memberships. IssuerError."""
        try:
            with transaction.atomic():
                account = _make_account(sociallogin)
                _let_in(request, account, sociallogin)
        except (IntegrityError, ConflictError):
            raise IssuerError("lost a race", "Somebody was first with that name or invitation. Begin anew.") from None
        sociallogin.user = account
        return account

    def get_connect_redirect_url(self, request: HttpRequest, socialaccount: SocialAccount) -> str:
        """Return where a new link leads."""
        return reverse("own-issuer")


def _mapping() -> Any:
    issuer = configured()
    return issuer.groups if issuer else ()


def _invitation(request: HttpRequest) -> Invitation | None:
    return open_invitation(int(request.session.get(INVITATION) or 0), timezone.now())


def _make_account(login: SocialLogin) -> User:
    """Make the account by the name that the issuer suggests, or one like it; the link is by issuer and `sub`."""
    link: SocialAccount = login.account
    name = generate_unique_username([link.extra_data["name"], "person"])
    account = User.objects.create_user(username=name, email=login.user.email)
    link.user = account
    link.save()
    with audit.on_behalf_of(audit.named(name), audit.asking_request_id()):
        record_link(Action.LINK_ISSUER, account, link)
    return account


def _let_in(request: HttpRequest, account: User, login: SocialLogin) -> None:
    """Give the memberships of its groups, and that of an invitation."""
    apply_groups(account, login.groups, _mapping())
    if invitation := _invitation(request):
        with audit.on_behalf_of(audit.named(account.username), audit.asking_request_id()):
            join_as(account, invitation, timezone.now())
        del request.session[INVITATION]
        login.state["next"] = reverse("overview")
