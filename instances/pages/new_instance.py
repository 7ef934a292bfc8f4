"""The page *New instance*: authenticate, say where events go, choose resources, name it; then the token, once."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import trigger_client_event

from cwconnect.connectwise.catalogue import all_resources, default_configuration, find_resource
from cwconnect.connectwise.common_resources import COMMON_RESOURCES
from cwconnect.connectwise.only_per_record import unlisted_by_parent
from cwconnect.core.errors import DomainError
from instances.configuration.config_keys import POLLS, InstanceConfig
from instances.configuration.values import ConfigurationError
from instances.configuration.wire import read_configuration
from instances.connection_test import check_connection, count_resources
from instances.credentials.issuing import issue_secrets
from instances.credentials.signature_keys import new_signature_key
from instances.pages.access import PageRequest, operator_page
from instances.pages.forms import ConnectionForm, NewInstanceForm
from instances.pages.poll_form import PollForm
from instances.pages.refusals import links_of, show_problems, show_refusal
from instances.pages.resource_choice import (
    Choice,
    blank_choices,
    chosen_polls,
    forms_of,
    further_choices,
    posted_choices,
)
from instances.pages.wire_form import blame, say_above
from instances.provisioning import create_instance


@sensitive_post_parameters()
@operator_page
def new_instance(request: PageRequest) -> HttpResponse:
    """Show the form; create the instance from it."""
    if request.method != "POST":
        initial = {"events_enabled": True, "signature_key": new_signature_key()}
        return _show(request, NewInstanceForm(initial=initial), blank_choices(request.GET.get("watch", "")))
    form, choices = NewInstanceForm(request.POST), posted_choices(request.POST)
    config = _read(form, choices)
    if config is None:
        return _show(request, form, choices)
    # The person's own caller of the REST API, and its secrets where it had none yet.
    person = request.person
    secrets = issue_secrets(organization_name=person.organization.name, user_name=person.account.get_username())
    user = person.organization.api_users.get(name=person.account.get_username())
    try:
        instance, token = create_instance(
            organization=request.person.organization,
            user=user,
            name=form.cleaned_data["name"],
            tags=form.tag_list(),
            config=config,
        )
    except DomainError as error:
        show_refusal(error, form, polls=forms_of(choices))
        return _show(request, form, choices)
    url = settings.PUBLIC_URL.rstrip("/") or f"{request.scheme}://{request.get_host()}"
    made = {"instance": instance, "token": token, "secrets": secrets, "url": url, "resource": next(iter(config.polls))}
    made["signature_key"] = config.signature_key
    return render(request, "instances/created.html", made)


def _read(form: NewInstanceForm, choices: list[Choice]) -> InstanceConfig | None:
    """Read form and resources into what is wanted; None if anything is wrong, which then stands beside its field."""
    form.is_valid()  # goes on with what could be read, so that all that is wrong is said at once
    given, problems, config, polls = form.wire(), dict[str, str](), None, forms_of(choices)
    try:
        given[POLLS] = chosen_polls(choices)
    except ConfigurationError as error:
        problems |= error.problems
    try:
        config = read_configuration(given, base=InstanceConfig())
    except ConfigurationError as error:
        problems |= error.problems
    show_problems(problems, form, polls=polls)
    return None if form.errors or any(poll.errors for poll in polls.values()) else config


def _show(request: PageRequest, form: NewInstanceForm, choices: list[Choice]) -> HttpResponse:
    context = {"form": form, "choices": choices, "polls": forms_of(choices).values(), "here": "instances"}
    context |= {"further": further_choices(choices), "beneath": unlisted_by_parent(), "total": len(all_resources())}
    context["mistaken"] = any(poll.errors for poll in forms_of(choices).values())
    return render(request, "instances/new.html", context, status=422 if form.is_bound else 200)


@require_POST
@sensitive_post_parameters()
@operator_page
def test_connection(request: PageRequest) -> HttpResponse:
    """Say whether the connection in the form works, and if not, what is wrong."""
    form = ConnectionForm(request.POST)
    config = _connection(form)
    if config is None:
        return render(request, "parts/finding.html", {"lacking": form, "not_done": "Not tested yet."})
    finding = check_connection(config.connection, organization=request.person.organization.pk)
    answer = render(request, "parts/finding.html", {"finding": finding, "links": links_of(finding, form)})
    return trigger_client_event(answer, "connected") if finding.tone != "bad" else answer


@require_POST
@sensitive_post_parameters()
@operator_page
def resource_counts(request: PageRequest) -> HttpResponse:
    """Say how many records each of the common resources has at the connection in the form."""
    config = _connection(ConnectionForm(request.POST))
    if config is None:
        return HttpResponse(status=204)
    counts = count_resources(config.connection, COMMON_RESOURCES, organization=request.person.organization.pk)
    return render(request, "parts/resource_counts.html", {"counts": counts})


def _connection(form: ConnectionForm) -> InstanceConfig | None:
    """Return the connection that was typed; None if it can't be one, with what is wrong beside the fields."""
    if form.is_valid():
        try:
            return read_configuration(form.wire(), base=InstanceConfig(), whole=False)
        except ConfigurationError as error:
            say_above(form, blame(error.problems, form))
    return None


@require_GET
@operator_page
def resource_options(request: PageRequest) -> HttpResponse:
    """Return the fields of a resource of the catalogue, which its JSON beside them fills."""
    name = request.GET.get("name", "")
    resource = find_resource(name)
    form = PollForm(default_configuration(resource) if resource else {}, prefix=name)
    return render(request, "parts/poll_fields.html", {"poll": form})
