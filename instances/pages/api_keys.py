"""The page *API keys*: what programs call the API with. Made, shown once with its whole header, revoked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST, require_safe

from cwconnect.core.errors import ConflictError
from cwconnect.core.form_fields import NameField
from instances.credentials.limits import Limits, limits_of_key
from instances.credentials.limits_given import LimitsError, with_writes
from instances.credentials.user_secrets import create_whole_key, revoke_user
from instances.mails import link_to
from instances.models import ApiUser, Organization
from instances.pages.access import PageRequest, operator_page, page
from instances.pages.limit_fields import (
    ENDS,
    SCOPES,
    InstancesField,
    NetworksField,
    ScopeField,
    WritesField,
    chosen_instances,
    end_of,
)
from instances.scopes import Scope
from instances.templatetags.cw import in_words


class NewKeyForm(forms.Form):
    """What the key is for, what it may do, from where, with which instances, and when it ends."""

    name = NameField(label="Name", max_length=200, help_text="What calls with it: “billing export”, for example.")
    days = forms.ChoiceField(label="It expires", choices=ENDS, required=False)
    days.hide_optional = True  # type: ignore[attr-defined]  # ours: parts/field.html reads it
    scope = ScopeField(initial=Scope.MANAGE.value)
    writes = WritesField()
    networks = NetworksField()
    instances = InstancesField()

    def limits(self, organization: Organization, now: datetime) -> Limits:
        """Return the limits that the valid form says; LimitsError."""
        given = self.cleaned_data
        limits = Limits(
            scope=Scope(given["scope"]),
            networks=given["networks"],
            instance_ids=chosen_instances(organization, given["instances"]),
            expires_at=end_of(given["days"], now),
        )
        return with_writes(limits, wanted=given["writes"])


@dataclass(frozen=True)
class KeyRow:
    """An API user and what its key is limited to, as the list shows it; `soon`: it ends within two weeks."""

    user: ApiUser
    limits: Limits
    soon: bool
    ended: bool

    @property
    def scope_words(self) -> str:
        """What the scope allows, for the title of its chip."""
        return dict(SCOPES)[self.limits.scope.value]


def _row(user: ApiUser, now: datetime) -> KeyRow:
    limits = limits_of_key(user)
    return KeyRow(user, limits, soon=limits.ends_soon(now), ended=limits.has_ended(now))


@require_safe
@page
def api_keys(request: PageRequest) -> HttpResponse:
    """Show the organization's API keys, and to operators how to make one."""
    return _show(request, NewKeyForm())


def _show(request: PageRequest, form: NewKeyForm, status: int = 200) -> HttpResponse:
    now = timezone.now()
    rows = [_row(user, now) for user in request.person.organization.api_users.order_by("name")]
    return render(request, "instances/api_keys.html", {"rows": rows, "form": form, "here": "api-keys"}, status=status)


@sensitive_variables("key")
@require_POST
@operator_page
def new_api_key(request: PageRequest) -> HttpResponse:
    """Make a key, and show it and its whole header, once."""
    form = NewKeyForm(request.POST)
    if not form.is_valid():
        return _show(request, form, 422)
    organization = request.person.organization
    try:
        limits = form.limits(organization, timezone.now())
        key = create_whole_key(organization, form.cleaned_data["name"], limits)
    except LimitsError as error:
        form.add_error(error.field, error.reason)
        return _show(request, form, 422)
    except ConflictError as error:
        form.add_error("name", error.message)
        return _show(request, form, 422)
    context = {
        "key": key,
        "row": _row(key.user, timezone.now()),
        "url": link_to(reverse("instances"), request),
        "here": "api-keys",
    }
    return render(request, "instances/api_key_made.html", context)


@operator_page
def revoke_api_key(request: PageRequest, number: int) -> HttpResponse:
    """Ask, and say what stops; then revoke a key."""
    user = request.person.organization.api_users.filter(pk=number).first()
    if user is None:
        raise Http404
    if request.method == "POST":
        revoke_user(user, even_last=True)
        messages.success(request, f"The API key {user.name} is revoked.")
        return redirect("api-keys")
    unused = None if user.last_used_at is None else (timezone.now() - user.last_used_at).total_seconds()
    last = "Its use has not been noted yet." if unused is None else f"It was last used {in_words(unused)} ago."
    words = [
        f"Whatever calls the API with it gets 401 from then on, calls with an Element token too. {last}",
        "Instances that were created with it stay, and go on polling and delivering.",
        "A key that is lost can’t be shown again: make the new one first, if something still needs it.",
    ]
    context = {"question": f"Revoke the API key {user.name}?", "words": words, "button": f"Revoke {user.name}"}
    context |= {"back": reverse("api-keys"), "here": "api-keys"}
    return render(request, "instances/ask.html", context)
