"""The pages of a sign-in by an issuer: on the way there, back, and what of it belongs to one's own account.

A link between an account and an issuer's person comes about in two ways alone: somebody new is let in by an invitation
or a group, or somebody who is signed in asks for it here, with the password.
"""

from __future__ import annotations

import logging

from allauth.account.adapter import get_adapter
from allauth.socialaccount.helpers import complete_social_login
from allauth.socialaccount.models import SocialAccount
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_GET, require_POST

from instances import account_audit, mails
from instances.audit import Action
from instances.invitations import open_invitation
from instances.openid.adapter import INVITATION
from instances.openid.errors import IssuerError
from instances.openid.flow import LINK, SIGN_IN, way_back, way_out
from instances.openid.issuer import Issuer, configured
from instances.openid.links import record_link
from instances.pages.access import ORGANIZATION_KEY, AccountRequest, account_page, open_page
from instances.pages.people_forms import PasswordAgainForm

log = logging.getLogger(__name__)


@require_POST
@open_page
def sign_in_by_issuer(request: HttpRequest) -> HttpResponse:
    """Begin a sign-in at the issuer."""
    given = request.POST.get("next", "")
    return _leave(request, SIGN_IN, given if given and get_adapter().is_safe_url(given) else reverse("overview"))


@require_GET
@open_page
def back_from_issuer(request: HttpRequest) -> HttpResponse:
    """Take what the issuer sends along, and sign in, let in or link whom it proves; else say why not."""
    issuer = _issuer()
    invited = open_invitation(int(request.session.get(INVITATION) or 0), timezone.now())
    try:
        answer: HttpResponse = complete_social_login(request, way_back(request, issuer))
    except IssuerError as error:
        return _refuse(request, issuer, error)
    if invited is not None and INVITATION not in request.session and request.user.is_authenticated:
        request.session[ORGANIZATION_KEY] = invited.organization_id
        messages.success(request, f"Welcome to {invited.organization.name}.")
    return answer


@sensitive_post_parameters()
@account_page
def own_issuer(request: AccountRequest) -> HttpResponse:
    """Show by which issuers one signs in; link the one of the settings, or take a link away, with the password."""
    issuer, form = configured(), PasswordAgainForm(request.account, request.POST or None, request=request)
    links = list(SocialAccount.objects.filter(user=request.account).order_by("pk"))
    if issuer is None and not links:
        raise Http404
    current = next((link for link in links if issuer and link.provider == issuer.provider_id), None)
    if form.is_bound and form.is_valid():
        if "unlink" in request.POST:
            return _unlink(request, links)
        if issuer is not None and current is None:
            return _leave(request, LINK, reverse("own-issuer"))
    shown = {"form": form, "issuer": issuer, "links": links, "current": current}
    return render(request, "instances/own_issuer.html", shown, status=422 if form.errors else 200)


def _issuer() -> Issuer:
    issuer = configured()
    if issuer is None:
        raise Http404
    return issuer


@sensitive_variables("address")
def _leave(request: HttpRequest, process: str, next_url: str) -> HttpResponse:
    """Lead to the issuer by a page of ours: no form may be sent elsewhere, by the Content-Security-Policy."""
    issuer = _issuer()
    back = mails.link_to(reverse("back-from-issuer"), request)
    try:
        address = way_out(request, issuer, process=process, next_url=next_url, redirect_uri=back)
    except IssuerError as error:
        return _refuse(request, issuer, error)
    answer = render(request, "instances/to_issuer.html", {"issuer": issuer, "address": address})
    answer.headers["Refresh"] = f"0; url={address}"
    return answer


def _refuse(request: HttpRequest, issuer: Issuer, error: IssuerError) -> HttpResponse:
    log.warning("A sign-in by the issuer failed: %s", error.kind)
    if error.status != 400:  # what nobody began is no failure of anybody's
        account_audit.record_failure(f"a sign-in by {issuer.name}: {error.kind.partition(':')[0]}", None, request)
    context = {"issuer": issuer, "error": error}
    return render(request, "instances/issuer_error.html", context, status=error.status)


def _unlink(request: AccountRequest, links: list[SocialAccount]) -> HttpResponse:
    """Take a link of one's own away; 404 for any other."""
    link = next((each for each in links if str(each.pk) == request.POST["unlink"]), None)
    if link is None:
        raise Http404
    record_link(Action.UNLINK_ISSUER, request.account, link)
    link.delete()
    messages.success(request, "The link is taken away: you sign in by your password from now on.")
    return redirect("sessions")
