"""The page of one's own sessions: where one is signed in, and how to end that."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from instances.models import SignIn
from instances.openid.issuer import configured
from instances.pages.access import AccountRequest, account_page
from instances.sign_ins import end_sessions, is_this_browser, live_sign_ins, sign_in_before


@require_safe
@account_page
def sessions(request: AccountRequest) -> HttpResponse:
    """Show the sessions of the account that are good still, this browser's first, and the sign-in before."""
    live = live_sign_ins(request.account)
    this = [each for each in live if is_this_browser(each, request)]
    others = [each for each in live if each not in this]
    context = {
        "issuer": configured(),
        "this": this,
        "others": others,
        "before": sign_in_before(request.account, request),
    }
    return render(request, "instances/sessions.html", context)


@require_POST
@account_page
def end_session(request: AccountRequest, number: int) -> HttpResponse:
    """End another session of the account; 404 for anybody else's, and for this browser's: that is a sign-out."""
    chosen = [each for each in _others(request) if each.pk == number]
    if not chosen:
        raise Http404
    end_sessions(request.account, chosen)
    messages.success(request, "The session has ended: that browser has to sign in again.")
    return redirect("sessions")


@require_POST
@account_page
def end_other_sessions(request: AccountRequest) -> HttpResponse:
    """End all of the account's sessions but this."""
    others = _others(request)
    if others:
        end_sessions(request.account, others)
    messages.success(request, "You are signed in nowhere else now.")
    return redirect("sessions")


def _others(request: AccountRequest) -> list[SignIn]:
    return [each for each in live_sign_ins(request.account) if not is_this_browser(each, request)]
