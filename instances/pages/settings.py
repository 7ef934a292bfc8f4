"""An instance's *Settings*, and its switches: events on and off, disable, delete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings as site_settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from cwconnect.core.errors import DomainError
from instances.configuration.config_keys import InstanceConfig
from instances.configuration.values import ConfigurationError
from instances.configuration.wire import config_of, read_configuration
from instances.connection_test import Finding, check_connection, explain_refused_keys
from instances.credentials.limits import limits_of_token
from instances.hub.transformations import list_transformations
from instances.models import Instance
from instances.pages.access import PageRequest, operator_page
from instances.pages.forms import (
    DeleteForm,
    EditConnectionForm,
    EditNameForm,
    EditNotifyForm,
    EditPollingForm,
    EditWritesForm,
)
from instances.pages.refusals import links_of, mark_fields, show_refusal, words_of
from instances.pages.wire_form import WireForm, blame, say_above
from instances.provisioning import change_instance, delete_instance, set_enabled
from instances.signals import login_refused

MakeForm = Callable[[Any, Instance, InstanceConfig], WireForm]

_FORMS: dict[str, MakeForm] = {
    "connection": lambda data, instance, stored: EditConnectionForm(data, stored=stored),
    "notify": lambda data, instance, stored: EditNotifyForm(data, stored=stored),
    "polling": lambda data, instance, stored: EditPollingForm(data, stored=stored),
    "writes": lambda data, instance, stored: EditWritesForm(data, stored=stored),
    "name": lambda data, instance, stored: EditNameForm(data, name=instance.name, tags=instance.tags, stored=stored),
}


@sensitive_post_parameters()
@operator_page
def instance_settings(request: PageRequest, number: int) -> HttpResponse:
    """Show and change an instance's connection, where its events go, and its name; each part for itself."""
    instance = request.person.instance(number)
    stored = config_of(instance)
    sent = request.POST.get("part", "") if request.method == "POST" else ""
    forms = {part: make(request.POST if part == sent else None, instance, stored) for part, make in _FORMS.items()}
    if sent in forms and _saved(request, instance, stored, forms, sent):
        messages.success(request, _said(request.person.instance(number), stored))
        return redirect("instance-settings", number)
    context = {"instance": instance, "forms": forms, "tab": "settings", "here": "instances"}
    context |= {"sent": forms.get(sent), "form": forms.get(sent)}
    context["others"] = [form for part, form in forms.items() if part != sent]
    if instance.previous_key_until and instance.previous_key_until > timezone.now():
        context["key_until"] = instance.previous_key_until
    if instance.previous_token_until and instance.previous_token_until > timezone.now():
        context["former_token_until"] = instance.previous_token_until
    context["mappings"] = list_transformations(instance)
    limits = limits_of_token(instance)
    context |= {"token_limits": limits, "token_expired": limits.has_ended(timezone.now())}
    context["more"] = bool(stored.callback_headers or stored.basic_username)
    if not sent and (refused := _present_refusal(instance, stored)):
        mark_fields(refused, forms["connection"])
        context["refused"] = refused
    return render(request, "instances/settings.html", context, status=422 if sent else 200)


def _present_refusal(instance: Instance, stored: InstanceConfig) -> Finding | None:
    """Return why ConnectWise refuses the login at present, as a test would say it; None if it does not."""
    words = next((found for _, found in login_refused.send(Instance, instance=instance) if found), None)
    sent_client_id = bool(stored.client_id or site_settings.CONNECTWISE_CLIENT_ID)
    return explain_refused_keys(words, stored.company, sent_client_id=sent_client_id) if words else None


def _said(instance: Instance, stored: InstanceConfig) -> str:
    """Say what was saved, and that the resources of an instance at work are polled at once, as after any change."""
    proven = "ConnectWise accepts the connection." if config_of(instance).connection != stored.connection else ""
    at_once = "Its resources are polled at once." if instance.watching else ""
    return " ".join(part for part in ("Saved.", proven, at_once) if part)


def _saved(
    request: HttpRequest, instance: Instance, stored: InstanceConfig, forms: dict[str, WireForm], sent: str
) -> bool:
    """Change the instance as the form says; what is wrong goes beside its field, also where another form has it."""
    form = forms[sent]
    if not form.is_valid():
        return False
    name = form.cleaned_data.get("name")
    tags = form.tag_list() if isinstance(form, EditNameForm) else None
    try:
        config = read_configuration(form.wire(), base=stored, stored=stored)
        change_instance(instance, config=config, name=name, tags=tags)
    except DomainError as error:
        show_refusal(error, form, others=tuple(other for part, other in forms.items() if part != sent))
    return not any(each.errors for each in forms.values())


@require_POST
@sensitive_post_parameters()
@operator_page
def test_stored_connection(request: PageRequest, number: int) -> HttpResponse:
    """Say whether the connection in the form works, with the stored keys where none were typed."""
    instance = request.person.instance(number)
    stored = config_of(instance)
    form = EditConnectionForm(request.POST if request.POST.get("company") else None, stored=stored)
    if not form.is_bound:
        return _show_finding(request, stored, form, reverse("instance-settings", args=[number]))
    if form.is_valid():
        try:
            config = read_configuration(form.wire(), base=stored, stored=stored)
        except ConfigurationError as error:
            say_above(form, blame(error.problems, form))
        else:
            return _show_finding(request, config, form)
    return render(request, "parts/finding.html", {"lacking": form, "not_done": "Not tested."})


def _show_finding(
    request: PageRequest, config: InstanceConfig, form: EditConnectionForm, page: str = ""
) -> HttpResponse:
    """Try a connection and say what came of it, with links to the fields of the form on `page`, or on this one."""
    finding = check_connection(config.connection, organization=request.person.organization.pk)
    context = {"finding": finding, "links": links_of(finding, form), "page": page}
    return render(request, "parts/finding.html", context)


@operator_page
def switch_events(request: PageRequest, number: int) -> HttpResponse:
    """Switch an instance's events off; or on again, where a person chooses from when on."""
    instance = request.person.instance(number)
    if request.method != "POST":
        return redirect("instance-page", number) if instance.events_enabled else _ask_from_when(request, instance)
    stored, on = config_of(instance), request.POST.get("on") == "true"
    from_now = on and request.POST.get("from") == "now"
    try:
        config = read_configuration({"event.notification.enabled": on}, base=stored, stored=stored)
        change_instance(instance, config=config, from_now=config.polls.keys() if from_now else ())
    except DomainError as error:
        return _ask_from_when(request, instance, error=words_of(error), from_now=from_now)
    words = f"on: {from_when(from_now=from_now)}" if on else "off: nothing is polled or sent, and nothing is lost"
    messages.success(request, f"Events are {words}.")
    return redirect("instance-page", number)


def _ask_from_when(
    request: PageRequest, instance: Instance, *, error: str = "", from_now: bool = False
) -> HttpResponse:
    begun = instance.resource_polls.filter(since__isnull=False).exists()
    context = {"instance": instance, "begun": begun, "error": error, "from_now": from_now, "here": "instances"}
    return render(request, "instances/switch.html", context, status=422 if error else 200)


def from_when(*, from_now: bool) -> str:
    """Say what becomes of what changed while nothing was polled."""
    return "what changed before now is not recorded" if from_now else "polling goes on where it stopped"


@require_POST
@operator_page
def switch_instance(request: PageRequest, number: int) -> HttpResponse:
    """Disable an instance, or let it go on."""
    enabled = request.POST.get("enabled") == "true"
    set_enabled(request.person.instance(number), enabled=enabled)
    done = "enabled: polling and delivery go on" if enabled else "disabled: polling and delivery rest, nothing is lost"
    messages.success(request, f"The instance is {done}.")
    return redirect("instance-page", number)


@operator_page
def delete(request: PageRequest, number: int) -> HttpResponse:
    """Say what goes with an instance; delete it once its name was typed."""
    instance = request.person.instance(number)
    form = DeleteForm(request.POST if request.method == "POST" else None, name=instance.name)
    if form.is_bound and form.is_valid():
        delete_instance(instance)
        messages.success(request, f"{instance.name} is deleted, with all that was known for it.")
        return redirect("instances-page")
    context = {"instance": instance, "form": form, "tab": "settings", "here": "instances"}
    return render(request, "instances/delete.html", context, status=422 if form.is_bound else 200)
