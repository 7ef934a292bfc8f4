"""Pages about accounts: sign in, the first start, the choice of an organization."""

from __future__ import annotations

from typing import Any, cast

from allauth.account.views import LoginView, LogoutView, PasswordChangeView
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from cwconnect.core.client_ip import client_network
from cwconnect.core.errors import ConflictError
from cwconnect.core.layout import PROGRAM
from instances import guesses
from instances.accounts import account_exists, create_first_account, is_first_start_code
from instances.models import Membership
from instances.openid.issuer import configured
from instances.pages.access import (
    ORGANIZATION_KEY,
    PageRequest,
    person_of,
)
from instances.pages.account_forms import (
    FirstAccountForm,
    OwnPasswordForm,
    SignInForm,
)
from instances.sign_in_adapter import BACKEND
from instances.sign_in_lock import too_many_guesses


class SignInView(LoginView):  # type: ignore[misc]  # allauth has no types
    """Sign in; as long as there is no account at all, on to the first start."""

    template_name = "instances/signin.html"
    form_class = SignInForm

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the form."""
        return super().get(request, *args, **kwargs) if account_exists() else redirect("first-start")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Offer the issuer's sign-in too, where there is one."""
        return {**super().get_context_data(**kwargs), "issuer": configured()}


class AdminSignInView(SignInView):
    """The same, where Django's admin leads; whoever is signed in and is no administrator reads that."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Refuse whom the admin has sent back: signed in they are."""
        if request.user.is_authenticated and not request.user.is_staff:
            raise PermissionDenied
        answer: HttpResponseBase = super().dispatch(request, *args, **kwargs)
        return answer

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the form, also where there is no account yet: the first one is made elsewhere."""
        answer: HttpResponse = LoginView.get(self, request, *args, **kwargs)
        return answer


class SignOutView(LogoutView):  # type: ignore[misc]  # as above
    """Sign out; by a button alone, so that no link or picture of elsewhere does it."""

    http_method_names = ["post", "options"]


class PasswordView(PasswordChangeView):  # type: ignore[misc]  # as above
    """Change one's own password; other sessions of the account end."""

    template_name = "instances/password.html"
    form_class = OwnPasswordForm

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Show the form, where there is a password to change: whom an issuer signs in may have none."""
        account = request.user
        if account.is_authenticated and not account.has_usable_password():
            messages.info(request, "You have no password here: you sign in by your organization's own sign-in.")
            return redirect("sessions")
        answer: HttpResponseBase = super().dispatch(request, *args, **kwargs)
        return answer

    def get_form_kwargs(self) -> dict[str, Any]:
        """Hand the request to the form, by which guesses are counted."""
        return {**super().get_form_kwargs(), "request": self.request}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Show the bar too, where the account has an organization."""
        person = person_of(self.request)
        if person is not None:
            cast(PageRequest, self.request).person = person
        context: dict[str, Any] = super().get_context_data(**kwargs)
        return context


@sensitive_post_parameters()
@never_cache
def first_start(request: HttpRequest) -> HttpResponse:
    """Make the first account, with the code that `manage.py up` printed."""
    if account_exists():
        return redirect("signin")
    form = FirstAccountForm(request.POST or None, initial={"code": request.GET.get("code", "")})
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        key, now = guesses.key_of(guesses.FIRST_START, client_network(request)), timezone.now()
        wait = guesses.take_turn(key, now)
        if not wait and is_first_start_code(given["code"]):
            return _make_first_account(request, given)
        wait = wait or guesses.note_failure(key, now)
        if wait:
            return too_many_guesses(request, wait)
        form.add_error("code", f"This is not the code. `{PROGRAM} up` prints it when it starts.")
    return render(request, "instances/first_start.html", {"form": form})


def _make_first_account(request: HttpRequest, given: dict[str, str]) -> HttpResponse:
    try:
        account = create_first_account(
            username=given["username"], password=given["password"], organization_name=given["organization"]
        )
    except ConflictError:
        return redirect("signin")
    login(request, account, backend=BACKEND)
    return redirect("overview")


@require_POST
@login_required
def choose_organization(request: HttpRequest) -> HttpResponse:
    """Look at another of one's organizations from now on."""
    chosen = request.POST.get("organization", "")
    own = Membership.objects.filter(account_id=request.user.pk)
    if chosen.isdecimal() and len(chosen) < 19 and own.filter(organization_id=chosen).exists():
        request.session[ORGANIZATION_KEY] = int(chosen)
    return redirect("overview")
