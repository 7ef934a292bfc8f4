"""The page *Join*: an invitation accepted, by somebody new or by somebody who is signed in.

The code comes once, in a POST that the page's script makes of the link; from then on the browser's session remembers
the invitation by its number, through a sign-in too.
"""

from __future__ import annotations

from datetime import datetime

from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters

from cwconnect.core.client_ip import client_network
from cwconnect.core.errors import ConflictError
from instances import guesses
from instances.invitations import find_invitation, join_anew, join_as, open_invitation
from instances.models import Invitation, Membership
from instances.openid.adapter import INVITATION
from instances.openid.issuer import configured
from instances.pages.access import ORGANIZATION_KEY, open_page
from instances.pages.people_forms import CodeForm, JoinForm
from instances.sign_in_adapter import BACKEND
from instances.sign_in_lock import too_many_guesses


@sensitive_post_parameters()
@open_page
def join(request: HttpRequest) -> HttpResponse:
    """Take the code; then ask who joins, and let them in."""
    now = timezone.now()
    if request.method == "POST" and "code" in request.POST:
        return _take_code(request, now)
    invitation = open_invitation(int(request.session.get(INVITATION) or 0), now)
    if invitation is None:
        return render(request, "instances/join_code.html", {"form": CodeForm()})
    if request.user.is_authenticated:
        return _join_as_known(request, request.user, invitation, now)
    return _join_anew(request, invitation, now)


def _take_code(request: HttpRequest, now: datetime) -> HttpResponse:
    form, key = CodeForm(request.POST), guesses.key_of(guesses.INVITATION, client_network(request))
    if form.is_valid():
        if wait := guesses.take_turn(key, now):
            return too_many_guesses(request, wait)
        if invitation := find_invitation(form.cleaned_data["code"], now):
            request.session[INVITATION] = invitation.pk
            return redirect("join")
        if wait := guesses.note_failure(key, now):
            return too_many_guesses(request, wait)
        form = CodeForm({"code": ""})
        form.errors["code"] = form.error_class(
            ["This invitation is not good any more: used, revoked or too old. Ask whoever invited you for another."]
        )
    return render(request, "instances/join_code.html", {"form": form}, status=422)


def _join_as_known(request: HttpRequest, account: User, invitation: Invitation, now: datetime) -> HttpResponse:
    if request.method != "POST":
        own = Membership.objects.filter(account=account, organization=invitation.organization_id)
        context = {"invitation": invitation, "membership": own.first()}
        return render(request, "instances/join_known.html", context)
    try:
        join_as(account, invitation, now)
    except ConflictError as error:
        messages.error(request, error.message)
        return redirect("join")
    return _welcome(request, invitation)


def _join_anew(request: HttpRequest, invitation: Invitation, now: datetime) -> HttpResponse:
    form = JoinForm(request.POST if request.method == "POST" else None, initial={"email": invitation.email})
    if form.is_bound and form.is_valid():
        given = form.cleaned_data
        try:
            account = join_anew(
                invitation,
                username=given["username"],
                password=given["password"],
                email=given["email"],
                now=now,
            )
        except ConflictError as error:
            form.add_error(None, error.message)
        else:
            login(request, account, backend=BACKEND)
            return _welcome(request, invitation)
    context = {"form": form, "invitation": invitation, "issuer": configured()}
    return render(request, "instances/join.html", context, status=422 if form.is_bound else 200)


def _welcome(request: HttpRequest, invitation: Invitation) -> HttpResponse:
    request.session.pop(INVITATION, None)
    request.session[ORGANIZATION_KEY] = invitation.organization_id
    messages.success(request, f"Welcome to {invitation.organization.name}.")
    return redirect("overview")
