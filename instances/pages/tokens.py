"""The page *New token*: asks how long the present one should stay good, then shows the new one, once."""

from __future__ import annotations

from datetime import timedelta

from django import forms
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from instances.credentials.overlap import OVERLAP
from instances.credentials.tokens import replace_token
from instances.pages.access import PageRequest, operator_page

_CHOICES = (
    ("0", "Not at all: whoever has it gets 401 at once"),
    ("24", "For a day"),
    ("168", "For a week"),
    ("720", "For 30 days"),
)


class NewTokenForm(forms.Form):
    """How long the present token stays good."""

    hours = forms.ChoiceField(
        label="The present token stays good",
        choices=_CHOICES,
        initial=str(OVERLAP // timedelta(hours=1)),
        widget=forms.RadioSelect,
        error_messages={"required": "Choose how long.", "invalid_choice": "Choose one of these."},
    )


@sensitive_variables("token")
@operator_page
def new_token(request: PageRequest, number: int) -> HttpResponse:
    """Ask; then replace the token and show the new one, once."""
    instance = request.person.instance(number)
    form = NewTokenForm(request.POST if request.method == "POST" else None)
    context = {"instance": instance, "form": form, "tab": "settings", "here": "instances"}
    if not form.is_bound or not form.is_valid():
        return render(request, "instances/new_token.html", context, status=422 if form.is_bound else 200)
    now = timezone.now()
    until = now + timedelta(hours=int(form.cleaned_data["hours"]))
    token = replace_token(instance, now, until=until)
    shown = {"token": token, "until": until if until > now else None}
    return render(request, "instances/new_token.html", context | shown)
