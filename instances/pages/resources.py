"""What an instance watches: add a resource, change its options or its JSON, copy it to another, remove it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse

from cwconnect.connectwise.catalogue import DEFAULT_RESOURCES, all_resources, find_resource
from cwconnect.connectwise.only_per_record import unlisted_by_parent
from cwconnect.core.errors import DomainError
from cwconnect.core.form_fields import SeenField
from instances.configuration.config_keys import POLLS
from instances.configuration.polls import PollConfigurationError, read_poll
from instances.configuration.values import ConfigurationError, resource_name
from instances.configuration.wire import config_of, polls_of, read_configuration
from instances.models import Instance, ResourcePoll
from instances.pages.access import PageRequest, operator_page
from instances.pages.poll_fields import read_posted
from instances.pages.poll_form import PollForm, posted_form
from instances.pages.refusals import show_refusal
from instances.pages.settings import from_when
from instances.pages.wire_form import OFF, as_sentence, note
from instances.poll_changes import add_poll, copied_configuration, difference
from instances.provisioning import change_instance

Polls = Mapping[str, Mapping[str, Any]]


class EnabledForm(forms.Form):
    """Whether a resource is polled."""

    enabled = forms.BooleanField(label="Poll this resource", required=False)


class AddForm(forms.Form):
    """Which resource is watched besides, and as which other one."""

    name = SeenField(
        label="Resource",
        required=False,
        widget=forms.TextInput(attrs=OFF | {"list": "catalogue", "required": True}),
        help_text="One of the catalogue, or any name with a URL of its own. Events carry it as objectType.",
    )
    copy_of = forms.ChoiceField(
        label="Configured like",
        required=False,
        help_text="The options below then show that one's, and what you change of them counts.",
        error_messages={"invalid_choice": "Choose one of these."},
    )

    def __init__(self, data: Any, *, polls: Polls, name: str = "", copy_of: str = "") -> None:
        super().__init__(data, initial={"name": name, "copy_of": copy_of})
        self._polls = polls
        named: Any = self.fields["name"]
        copied: Any = self.fields["copy_of"]
        copied.choices = [("", "the catalogue says"), *((each, each) for each in polls)]
        copied.hide_optional = named.hide_optional = True

    def clean_name(self) -> str:
        """Want a name, by the rules of names."""
        name: str = self.cleaned_data["name"]
        if not name:
            raise ValidationError("Choose a resource, or name one.")
        try:
            name = resource_name(name)
        except ConfigurationError as error:
            raise ValidationError(as_sentence(error.problems[""])) from None
        if name in self._polls:
            raise ValidationError(f"{name} is watched already.")
        return name


@operator_page
def edit_resource(request: PageRequest, number: int, name: str) -> HttpResponse:
    """Change how one resource is polled, switch it off or on again, from where it stopped or from now, or remove it."""
    instance = request.person.instance(number)
    polls = polls_of(instance)
    if name not in polls:
        raise Http404
    stored = enabled = polls[name].get("enabled", True)
    plain = {key: value for key, value in polls[name].items() if key != "enabled"}
    form, poll = EnabledForm(), PollForm(plain, prefix=name)
    from_now = request.POST.get("from") == "now"
    if request.method == "POST":
        form, poll = EnabledForm(request.POST), posted_form(request.POST, name, plain)
        enabled, remove = "enabled" in request.POST, "remove" in request.POST
        if _changed(instance, polls, name, form, poll, remove=remove, enabled=enabled, from_now=from_now):
            again = f"is polled again: {from_when(from_now=from_now)}" if enabled and not stored else "is saved"
            messages.success(request, f"{name} {'is no longer watched' if remove else again}.")
            return redirect("instance-page", number)
    # Where all events are off, the switch of the instance asks the same for all of it.
    asks = not stored and instance.events_enabled and _begun(instance, name)
    context = {"name": name, "enabled": enabled, "polls": polls, "asks": asks, "from_now": from_now}
    resource = find_resource(name)
    context["path"] = resource.path if resource else ""
    return _show(request, instance, "instances/resource.html", form, poll, context)


def _begun(instance: Instance, name: str) -> bool:
    return instance.resource_polls.filter(name=name, since__isnull=False).exists()


def _changed(
    instance: Instance,
    polls: Polls,
    name: str,
    form: EnabledForm,
    poll: PollForm,
    *,
    remove: bool,
    enabled: bool,
    from_now: bool,
) -> bool:
    """Write the change, and say whether it was; what is wrong goes into the forms."""
    rest = {each: configuration for each, configuration in polls.items() if each != name}
    if remove and not rest:
        note(form, None, "It is the only resource. Switch the instance's events off, or add another resource first.")
    if form.errors or (poll.wrong and not remove):
        return False
    stored = config_of(instance)
    changed = {key: value for key, value in poll.configuration.items() if key != "enabled"} | {"enabled": enabled}
    try:
        wanted = {POLLS: rest if remove else {**polls, name: changed}}
        config = read_configuration(wanted, base=stored, stored=stored)
        change_instance(instance, config=config, from_now=[name] if from_now else ())
    except DomainError as refusal:
        show_refusal(refusal, form, polls={name: poll})
        return False
    return True


@operator_page
def add_resource(request: PageRequest, number: int) -> HttpResponse:
    """Watch one more resource: of the catalogue or any other list, alone or as another is watched."""
    instance = request.person.instance(number)
    polls = polls_of(instance)
    posted = request.method == "POST"
    name, copy_of = (request.GET.get("name", ""), (request.POST if posted else request.GET).get("copy_of", ""))
    source = instance.resource_polls.filter(name=copy_of).first()
    form = AddForm(request.POST if posted else None, polls=polls, name=name, copy_of=copy_of)
    base = _shown_copy(source, name)
    poll = posted_form(request.POST, "", {}) if posted else PollForm(base, prefix="")
    if posted and _is_readable(form, poll) and _added(instance, form, poll, source, request.POST):
        messages.success(request, f"{form.cleaned_data['name']} is watched from now on.")
        return redirect("instance-page", number)
    catalogue = [resource for resource in all_resources() if resource.name not in polls]
    offered = {"catalogue": catalogue, "beneath": unlisted_by_parent()}
    return _show(request, instance, "instances/add_resource.html", form, poll, offered)


def _is_readable(form: AddForm, poll: PollForm) -> bool:
    """Whether name and JSON can be read; if not, what else is wrong is said at once, as far as it needs no name."""
    if form.is_valid() and not poll.wrong:
        return True
    try:
        if not poll.wrong:
            read_poll(DEFAULT_RESOURCES[0], poll.configuration)
    except PollConfigurationError as error:
        poll.note(error.problems)
    return False


def _shown_copy(source: ResourcePoll | None, name: str) -> dict[str, Any]:
    """Return a poll's configuration as one to begin with: asking for the same, of its own resource as far as named."""
    if source is None:
        return {}
    try:
        return copied_configuration(source.configuration, name) if name else _without_url(source.configuration)
    except DomainError:  # its URL has no resource to replace, so a new one is to be given
        return _without_url(source.configuration)


def _without_url(configuration: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in configuration.items() if key != "url"}


def _added(instance: Instance, form: AddForm, poll: PollForm, source: ResourcePoll | None, data: QueryDict) -> bool:
    """Add the poll, and say whether it was; what was changed of what the form showed counts before what is copied."""
    name = form.cleaned_data["name"]
    try:
        shown_first, _ = read_posted({"json": data.get("was", "{}")}, {})
        patch = difference(shown_first, poll.configuration)
        add_poll(instance, name, copy_of=source, patch=patch, enabled=True)
    except DomainError as refusal:
        show_refusal(refusal, form, polls={name: poll})
        return False
    return True


def _show(
    request: PageRequest,
    instance: Instance,
    template: str,
    form: forms.Form,
    poll: PollForm,
    context: Mapping[str, Any],
) -> HttpResponse:
    wrong = bool(form.errors or poll.errors)
    shown = {"instance": instance, "tab": "resources", "here": "instances", "form": form, "poll": poll} | dict(context)
    shown["polls"] = [poll]
    of = urlencode({"id": poll.names_id} | ({"name": poll.prefix} if poll.prefix else {}))
    poll.names_url = f"{reverse('field-names', args=[instance.pk])}?{of}"
    return render(request, template, shown | {"mistaken": wrong}, status=422 if wrong else 200)
