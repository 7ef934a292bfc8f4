"""The page *New token*: asks how long the present one should stay good, then shows the new one, once."""

from __future__ import annotations

from datetime import datetime, timedelta

from django import forms
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from instances.credentials.limits import Limits, limits_of_token
from instances.credentials.overlap import OVERLAP
from instances.credentials.tokens import replace_token
from instances.pages.access import PageRequest, operator_page
from instances.pages.limit_fields import ENDS, NetworksField, ScopeField, end_of
from instances.scopes import Scope

_CHOICES = (
    ("0", "Not at all: whoever has it gets 401 at once"),
    ("24", "For a day"),
    ("168", "For a week"),
    ("720", "For 30 days"),
)


class NewTokenForm(forms.Form):
    """How long the present token stays good, and what the new one is limited to: as the present one, unless changed."""

    hours = forms.ChoiceField(
        label="The present token stays good",
        choices=_CHOICES,
        initial=str(OVERLAP // timedelta(hours=1)),
        widget=forms.RadioSelect,
        error_messages={"required": "Choose how long.", "invalid_choice": "Choose one of these."},
    )
    scope = ScopeField(label="The new one may", required=False)  # without it, as the present one: the button alone
    networks = NetworksField()
    days = forms.ChoiceField(label="It expires", choices=ENDS, required=False)
    days.hide_optional = True  # type: ignore[attr-defined]  # ours: parts/field.html reads it

    def limits(self, now: datetime) -> Limits | None:
        """Return the limits that the valid form says; None where the button alone was pressed: as the present one."""
        given = self.cleaned_data
        if not given["scope"]:
            return None
        return Limits(Scope(given["scope"]), given["networks"], expires_at=end_of(given["days"], now))


@sensitive_variables("token")
@operator_page
def new_token(request: PageRequest, number: int) -> HttpResponse:
    """Ask; then replace the token and show the new one, once."""
    instance = request.person.instance(number)
    present = limits_of_token(instance)
    first = {"scope": present.scope.value, "networks": "\n".join(present.networks)}
    form = NewTokenForm(request.POST if request.method == "POST" else None, initial=first)
    context = {"instance": instance, "form": form, "tab": "settings", "here": "instances"}
    if not form.is_bound or not form.is_valid():
        return render(request, "instances/new_token.html", context, status=422 if form.is_bound else 200)
    now = timezone.now()
    until = now + timedelta(hours=int(form.cleaned_data["hours"]))
    token = replace_token(instance, now, until=until, limits=form.limits(now))
    ends = min(until, instance.token_expires_at or until)
    shown = {"token": token, "until": ends if ends > now else None}
    return render(request, "instances/new_token.html", context | shown)
