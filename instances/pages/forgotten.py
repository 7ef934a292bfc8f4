"""The pages of a forgotten password: a link by mail, and the new password for whoever brings its code.

Nobody learns from them which addresses are somebody's: the answer is the same, mail leaves from a thread, and each
address is counted whether it is known or not. The code is allauth's, good once and until the account signs in or
changes its password; it stands behind the link's `#`, which browsers send to nobody.
"""

from __future__ import annotations

from datetime import datetime

from allauth.account.forms import UserTokenForm
from allauth.account.internal import flows
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.forms import PasswordResetForm
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters

from cwconnect.core.client_ip import client_network
from instances import audit, guesses, mails
from instances.account_audit import organization_of
from instances.audit import Action
from instances.pages.access import AccountRequest, account_page, open_page
from instances.pages.people_forms import NewPasswordForm, OwnAddressForm
from instances.sign_in_lock import too_many_guesses

_MOST_ACCOUNTS = 5  # of one address


@open_page
def forgot_password(request: HttpRequest) -> HttpResponse:
    """Ask for a mail address and send a link there; where no mail is sent, say whom to ask."""
    if not mails.sends_mail():
        return render(request, "instances/forgot_ask.html")
    form = PasswordResetForm(request.POST if request.method == "POST" else None)
    if not form.is_bound or not form.is_valid():
        return render(request, "instances/forgot.html", {"form": form}, status=422 if form.is_bound else 200)
    now = timezone.now()
    key = guesses.key_of(guesses.RESET_ASKED, client_network(request))
    if wait := guesses.take_turn(key, now):
        return too_many_guesses(request, wait)
    guesses.note_failure(key, now)
    _send_links(request, form, now)
    return render(request, "instances/forgot_sent.html", {"email": form.cleaned_data["email"]})


def _send_links(request: HttpRequest, form: PasswordResetForm, now: datetime) -> None:
    """Send a link for each account of the address, unless it was written to often of late."""
    email = form.cleaned_data["email"]
    key = guesses.key_of(guesses.MAILED, email.lower())
    if guesses.take_turn(key, now):
        return
    guesses.note_failure(key, now)
    if accounts := list(form.get_users(email))[:_MOST_ACCOUNTS]:
        flows.password_reset.request_password_reset(request, email, accounts, None)


@sensitive_post_parameters()
@open_page
def new_password(request: HttpRequest) -> HttpResponse:
    """Take the code and a new password; every session of the account ends."""
    if request.method != "POST":
        return render(request, "instances/new_password.html", {"form": NewPasswordForm(User())})
    now, key = timezone.now(), guesses.key_of(guesses.RESET, client_network(request))
    if wait := guesses.take_turn(key, now):
        return too_many_guesses(request, wait)
    account = _account_of(request.POST.get("code", ""))
    if account is None and (wait := guesses.note_failure(key, now)):
        return too_many_guesses(request, wait)
    form = NewPasswordForm(account or User(), request.POST)
    if form.is_valid() and account is not None:
        form.save()
        flows.password_reset.finalize_password_reset(request, account)
        return redirect("signin")
    if account is None:
        form.add_error("code", "This link is not good any more: used, or too old. Ask for another one.")
    return render(request, "instances/new_password.html", {"form": form}, status=422)


def _account_of(code: str) -> User | None:
    """Return whose code it is; None where it is nobody's any more."""
    number, _, key = code.strip().partition("-")
    form = UserTokenForm({"uidb36": number, "key": key})
    account: User | None = form.reset_user if form.is_valid() else None
    return account if account is not None and account.is_active else None


@sensitive_post_parameters()
@account_page
def own_address(request: AccountRequest) -> HttpResponse:
    """Change one's mail address; the one before gets a mail of it, for by mail a password can be changed."""
    former = request.account.email
    form = OwnAddressForm(request.account, request.POST if request.method == "POST" else None, request=request)
    if not form.is_bound or not form.is_valid():
        return render(request, "instances/own_address.html", {"form": form}, status=422 if form.is_bound else 200)
    account = form.save()
    if account.email != former:
        subject = audit.named(account.get_username())
        audit.record(
            Action.CHANGE_ADDRESS, subject, organization=organization_of(account), details={"email": "changed"}
        )
        if former and mails.sends_mail():
            mails.send_later(former, "Your mail address at cwconnect is changed", _farewell(account))
    messages.success(request, "Your mail address is changed.")
    return redirect("sessions")


def _farewell(account: User) -> str:
    return (
        f"The mail address of {account.get_username()} at {settings.PUBLIC_URL} is another one now. If it was not you, "
        "change your password there, and ask whoever runs the service.\n"
    )
