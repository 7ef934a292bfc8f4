"""What an instance watches: add a resource, change its options or its JSON, copy it to another, remove it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render

from cwconnect.connectwise.catalogue import all_resources
from cwconnect.core.errors import DomainError
from cwconnect.core.unseen import trim
from instances.configuration.config_keys import POLLS
from instances.configuration.values import ConfigurationError
from instances.configuration.wire import config_of, polls_of, read_configuration
from instances.models import Instance
from instances.pages.access import PageRequest, operator_page
from instances.pages.resource_choice import (
    Choice,
    choice_of,
    configuration_of,
    posted_choice,
)
from instances.pages.settings import from_when, words_of
from instances.poll_changes import add_poll
from instances.provisioning import change_instance

Polls = Mapping[str, Mapping[str, Any]]


@operator_page
def edit_resource(request: PageRequest, number: int, name: str) -> HttpResponse:
    """Change how one resource is polled, switch it off or on again, from where it stopped or from now, or remove it."""
    instance = request.person.instance(number)
    polls = polls_of(instance)
    if name not in polls:
        raise Http404
    choice, error = choice_of(name, polls[name]), ""
    stored = enabled = polls[name].get("enabled", True)
    from_now = request.POST.get("from") == "now"
    if request.method == "POST":
        choice = posted_choice(request.POST, name)
        enabled, remove = "enabled" in request.POST, "remove" in request.POST
        error = _changed(instance, polls, choice, remove=remove, enabled=enabled, from_now=from_now)
        if not error:
            again = f"is polled again: {from_when(from_now=from_now)}" if enabled and not stored else "is saved"
            messages.success(request, f"{name} {'is no longer watched' if remove else again}.")
            return redirect("instance-page", number)
    # Where all events are off, the switch of the instance asks the same for all of it.
    asks = not stored and instance.events_enabled and _begun(instance, name)
    context = {"choice": choice, "error": error, "enabled": enabled, "polls": polls, "asks": asks, "from_now": from_now}
    return _show(request, instance, "instances/resource.html", **context)


def _begun(instance: Instance, name: str) -> bool:
    return instance.resource_polls.filter(name=name, since__isnull=False).exists()


def _changed(instance: Instance, polls: Polls, choice: Choice, *, remove: bool, enabled: bool, from_now: bool) -> str:
    """Write the change; give what is wrong in words, empty if nothing is."""
    rest = {name: poll for name, poll in polls.items() if name != choice.name}
    if remove and not rest:
        return "It is the only resource. Switch the instance's events off instead, or add another resource first."
    stored = config_of(instance)
    try:
        changed = dict(configuration_of(choice)) | {"enabled": enabled}
        config_polls = rest if remove else {**polls, choice.name: changed}
        config = read_configuration({POLLS: config_polls}, base=stored, stored=stored)
        change_instance(instance, config=config, from_now=[choice.name] if from_now else ())
    except DomainError as refusal:
        return _words_about(choice.name, refusal)
    return ""


def _words_about(name: str, refusal: DomainError) -> str:
    if isinstance(refusal, ConfigurationError):
        return " ".join(
            f"{path.removeprefix(f'{POLLS}.{name}').lstrip('.')} {text}".strip() + "."
            for path, text in refusal.problems.items()
        )
    return words_of(refusal)


@operator_page
def add_resource(request: PageRequest, number: int) -> HttpResponse:
    """Watch one more resource: of the catalogue or any other list, alone or as another is watched."""
    instance = request.person.instance(number)
    polls = polls_of(instance)
    given = request.POST if request.method == "POST" else request.GET
    error, name = "", trim(given.get("name", ""))
    if request.method == "POST":
        source = instance.resource_polls.filter(name=request.POST.get("copy_of", "")).first()
        url = trim(request.POST.get("url", ""))
        patch = {"url": url} if url else {}
        try:
            if not name:
                raise DomainError("Choose a resource, or name one.")
            add_poll(instance, name, copy_of=source, patch=patch, enabled=True)
        except DomainError as refusal:
            error = _words_about(name, refusal)
        else:
            messages.success(request, f"{name} is watched from now on.")
            return redirect("instance-page", number)
    catalogue = [resource for resource in all_resources() if resource.name not in polls]
    copy_of = request.POST.get("copy_of") or request.GET.get("copy_of") or ""
    context = {"name": name, "url": request.POST.get("url", ""), "copy_of": copy_of, "catalogue": catalogue}
    return _show(request, instance, "instances/add_resource.html", error=error, polls=polls, **context)


def _show(request: PageRequest, instance: Instance, template: str, **context: Any) -> HttpResponse:
    shown = {"instance": instance, "tab": "resources", "here": "instances"} | context
    return render(request, template, shown, status=422 if context.get("error") else 200)
