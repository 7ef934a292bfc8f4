"""The page of one's own second factors, what is done there, and the second step of a sign-in.

The steps are django-allauth's views, in our looks: each change asks who it is once more, unless that was asked within
five minutes (allauth's ACCOUNT_REAUTHENTICATION_TIMEOUT).
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from allauth.account.internal.stagekit import clear_login
from allauth.account.models import Login
from allauth.account.utils import get_next_redirect_url
from allauth.mfa.base.views import AuthenticateView, ReauthenticateView
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.views import GenerateRecoveryCodesView, ViewRecoveryCodesView
from allauth.mfa.totp.views import ActivateTOTPView, DeactivateTOTPView
from allauth.mfa.webauthn.internal import auth as passkeys
from allauth.mfa.webauthn.internal import flows
from allauth.mfa.webauthn.views import (
    AddWebAuthnView,
    EditWebAuthnView,
    LoginWebAuthnView,
    ReauthenticateWebAuthnView,
    RemoveWebAuthnView,
)
from django.contrib import messages
from django.core.cache import cache
from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_safe

from cwconnect.core.client_ip import client_network
from cwconnect.core.plain_cache import RedisError
from instances.factors.codes import note_step
from instances.factors.rule import PROPER, is_required
from instances.pages.access import AccountRequest, account_page, memberships_of
from instances.pages.account_forms import BEGUN_BY
from instances.pages.factor_forms import (
    ActivateForm,
    AddPasskeyForm,
    CodeForm,
    ConfirmCodeForm,
    ConfirmPasskeyForm,
    PasskeyForm,
    RenamePasskeyForm,
    SignInPasskeyForm,
)
from instances.sign_in_lock import too_many_guesses

_INDEX = reverse_lazy("mfa_index")
_CHALLENGES_A_MINUTE = 20  # to one address (IPv6: one /64), of each process where there is no Redis


@require_safe
@account_page
def factors(request: AccountRequest) -> HttpResponse:
    """Show one's second factors, how many recovery codes are left, and whether one must have a factor."""
    found = list(Authenticator.objects.filter(user_id=request.account.pk).order_by("pk"))
    codes = next((each for each in found if each.type == Authenticator.Type.RECOVERY_CODES), None)
    context = {
        "factors": [each for each in found if each.type in PROPER],
        "has_app": any(each.type == Authenticator.Type.TOTP for each in found),
        "codes_left": None if codes is None else len(codes.wrap().get_unused_codes()),
        "required": is_required(request.account, memberships_of(request)),
        "can_confirm": bool(found) or request.account.has_usable_password(),
    }
    return render(request, "mfa/index.html", context)


class _Options:
    """Hands the page what its script asks the browser's passkeys for."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Return allauth's context, with that as JSON."""
        context: dict[str, Any] = super().get_context_data(**kwargs)  # type: ignore[misc]  # a view's, mixed in
        data = context.get("js_data", {})
        options = data.get("request_options") or data.get("creation_options")
        return {**context, "passkey_options": json.dumps(options, cls=DjangoJSONEncoder)}


class SecondStepView(_Options, AuthenticateView):  # type: ignore[misc]  # allauth has no types
    """The second step of a sign-in, by a code or a passkey; it lapses ten minutes after the first."""

    template_name = "mfa/authenticate.html"
    form_class = CodeForm
    webauthn_form_class = PasskeyForm

    def form_valid(self, form: CodeForm | PasskeyForm) -> HttpResponse:
        """Let in, unless the password that began it was changed meanwhile."""
        login = self.stage.login
        if login.state.get(BEGUN_BY) not in (None, login.user.get_session_auth_hash()):
            clear_login(self.request)
            return redirect("signin")
        answer: HttpResponse = super().form_valid(form)
        return answer

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Say which ways there are, and show what was wrong with the one that was tried."""
        context = super().get_context_data(**kwargs)
        kinds = set(Authenticator.objects.filter(user=self.stage.login.user).values_list("type", flat=True))
        return {**context, "has_passkey": Authenticator.Type.WEBAUTHN in kinds, "has_app": "totp" in kinds}


class ConfirmCodeView(ReauthenticateView):  # type: ignore[misc]  # as above
    """A code once more, before a change."""

    form_class = ConfirmCodeForm


class ConfirmPasskeyView(_Options, ReauthenticateWebAuthnView):  # type: ignore[misc]  # as above
    """A passkey once more, before a change."""

    form_class = ConfirmPasskeyForm

    def form_invalid(self, form: Any) -> HttpResponse:
        """Show the page again, with what was wrong."""
        messages.error(self.request, " ".join(form.errors.get("credential", [])))
        return redirect(self.request.get_full_path())


class AddAppView(ActivateTOTPView):  # type: ignore[misc]  # as above
    """An app that shows codes: the secret as a picture and as text, and a first code."""

    form_class = ActivateForm

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Show the secret in groups of four, for whoever types it."""
        context: dict[str, Any] = super().get_context_data(**kwargs)
        secret = context["form"].secret
        return {**context, "secret": secret, "groups": [secret[at : at + 4] for at in range(0, len(secret), 4)]}

    def form_valid(self, form: ActivateForm) -> HttpResponse:
        """Add it; the code that showed it is used up."""
        answer: HttpResponse = super().form_valid(form)
        app = Authenticator.objects.get(user=self.request.user, type=Authenticator.Type.TOTP)
        assert form.step is not None  # noqa: S101  (a valid form has one)
        note_step(app, form.step)
        return answer


class _RemovedOne:
    """Asks before a factor goes, and says what follows."""

    template_name = "mfa/remove.html"
    success_url = _INDEX
    request: HttpRequest

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Say which it is, and whether it is the last."""
        context: dict[str, Any] = super().get_context_data(**kwargs)  # type: ignore[misc]  # a view's, mixed in
        account: Any = self.request.user
        last = Authenticator.objects.filter(user=account, type__in=PROPER).count() == 1
        required = last and is_required(account, memberships_of(self.request))
        return {**context, "factor": self.factor, "last": last, "required": required}

    @property
    def factor(self) -> Authenticator:
        """Return the factor that is about to go."""
        return getattr(self, "authenticator", None) or self.object  # type: ignore[attr-defined]  # the view's


class RemoveAppView(_RemovedOne, DeactivateTOTPView):  # type: ignore[misc]  # as above
    """Remove the app."""


class RemovePasskeyView(_RemovedOne, RemoveWebAuthnView):  # type: ignore[misc]  # as above
    """Remove a passkey; 404 for anybody else's."""


class AddPasskeyView(_Options, AddWebAuthnView):  # type: ignore[misc]  # as above
    """A new passkey."""

    form_class = AddPasskeyForm

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Have the passkey kept where it can sign in by itself, if the device does that."""
        context = super().get_context_data(**kwargs)
        options = json.loads(context["passkey_options"])
        options["publicKey"]["authenticatorSelection"]["residentKey"] = "preferred"
        return {**context, "form": kwargs.get("form") or context["form"], "passkey_options": json.dumps(options)}


class RenamePasskeyView(EditWebAuthnView):  # type: ignore[misc]  # as above
    """Another name for a passkey; 404 for anybody else's."""

    form_class = RenamePasskeyForm
    success_url = _INDEX


class RecoveryCodesView(ViewRecoveryCodesView):  # type: ignore[misc]  # as above
    """The recovery codes, once."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Return them as a file too: it is made of the page, so that they are asked for once alone."""
        context: dict[str, Any] = super().get_context_data(**kwargs)
        shown = context["can_view_codes"]
        text = f"Recovery codes of {self.request.user} at {self.request.get_host()}, each good once:\n\n"
        text += "".join(f"{code}\n" for code in context["unused_codes"])
        return {**context, "file": _as_link(text) if shown else ""}


def _as_link(text: str) -> SafeString:
    return mark_safe(f"data:text/plain;charset=utf-8,{quote(text, safe='')}")  # noqa: S308  (quoted whole)


class NewRecoveryCodesView(GenerateRecoveryCodesView):  # type: ignore[misc]  # as above
    """Recovery codes made anew; those before them end."""


def _asked_too_often(request: HttpRequest) -> bool:
    """Count a challenge for whoever comes: each leaves a session. A cache that is away stops nobody."""
    key = f"passkey-challenges:{client_network(request)}:{int(time.time()) // 60}"
    with suppress(RedisError, ValueError):  # the latter: it has run out between the two
        cache.add(key, 0, 60)
        return cache.incr(key) > _CHALLENGES_A_MINUTE
    return False


@method_decorator(never_cache, name="dispatch")
class PasskeySignInView(LoginWebAuthnView):  # type: ignore[misc]  # as above
    """A sign-in by a passkey alone."""

    form_class = SignInPasskeyForm

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Return what the page's script asks the browser's passkeys for; 429 where that is asked for all the time."""
        if _asked_too_often(request):
            return too_many_guesses(request, timedelta(minutes=1))
        return JsonResponse(passkeys.begin_authentication(None), encoder=DjangoJSONEncoder)

    def form_valid(self, form: SignInPasskeyForm) -> HttpResponse:
        """Let the passkey's account in, and lead it where it wanted to go."""
        factor = form.cleaned_data["credential"]
        login = Login(user=factor.user, redirect_url=get_next_redirect_url(self.request))
        answer: HttpResponse = flows.perform_passwordless_login(self.request, factor, login)
        return answer


second_step = sensitive_post_parameters()(SecondStepView.as_view())
confirm_code = sensitive_post_parameters()(account_page(ConfirmCodeView.as_view()))
confirm_passkey = account_page(ConfirmPasskeyView.as_view())
add_app = sensitive_post_parameters()(account_page(AddAppView.as_view()))
remove_app = account_page(RemoveAppView.as_view())
add_passkey = account_page(AddPasskeyView.as_view())
remove_passkey = account_page(RemovePasskeyView.as_view())
rename_passkey = account_page(RenamePasskeyView.as_view())
recovery_codes = account_page(RecoveryCodesView.as_view())
new_recovery_codes = account_page(NewRecoveryCodesView.as_view())
