"""The page *New instance*: authenticate, say where events go, choose resources, name it; then the token, once."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import trigger_client_event

from cwconnect.connectwise.catalogue import all_resources
from cwconnect.core.errors import DomainError
from instances.configuration.config_keys import POLLS, InstanceConfig
from instances.configuration.values import ConfigurationError
from instances.configuration.wire import read_configuration
from instances.connection_test import check_connection, count_resources
from instances.credentials.issuing import issue_secrets
from instances.credentials.signature_keys import new_signature_key
from instances.pages.access import PageRequest, operator_page
from instances.pages.forms import ConnectionForm, NewInstanceForm
from instances.pages.resource_choice import (
    Choice,
    blank_choices,
    by_options,
    chosen_polls,
    posted_choice,
    posted_choices,
    written,
)
from instances.pages.settings import words_of
from instances.provisioning import create_instance


@sensitive_post_parameters()
@operator_page
def new_instance(request: PageRequest) -> HttpResponse:
    """Show the form; create the instance from it."""
    if request.method != "POST":
        initial = {"events_enabled": True, "signature_key": new_signature_key()}
        return _show(request, NewInstanceForm(initial=initial), blank_choices(request.GET.get("watch", "")))
    form = NewInstanceForm(request.POST)
    config, problems = _read(request, form)
    if config is None or form.errors:
        return _show(request, form, posted_choices(request.POST, problems), problems)
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
        form.add_error(None, words_of(error))
        return _show(request, form, posted_choices(request.POST))
    url = settings.PUBLIC_URL.rstrip("/") or f"{request.scheme}://{request.get_host()}"
    made = {"instance": instance, "token": token, "secrets": secrets, "url": url, "resource": next(iter(config.polls))}
    made["signature_key"] = config.signature_key
    return render(request, "instances/created.html", made)


def _read(request: PageRequest, form: NewInstanceForm) -> tuple[InstanceConfig | None, dict[str, str]]:
    """Read form and resources into what is wanted; what is wrong goes beside its field, the rest is given."""
    form.is_valid()  # goes on with what could be read, so that all that is wrong is said at once
    given, problems, config = form.wire(), dict[str, str](), None
    try:
        given[POLLS] = chosen_polls(posted_choices(request.POST))
    except ConfigurationError as error:
        problems |= error.problems
    try:
        config = read_configuration(given, base=InstanceConfig())
    except ConfigurationError as error:
        problems |= error.problems
    return (None, form.blame(ConfigurationError(problems))) if problems else (config, {})


def _show(
    request: PageRequest, form: NewInstanceForm, choices: list[Choice], problems: dict[str, str] | None = None
) -> HttpResponse:
    own = {f"{POLLS}.{choice.name}" for choice in choices}
    loose = [text for path, text in (problems or {}).items() if not path.startswith(tuple(own))]
    wrong = any(choice.error for choice in choices) or bool(loose)
    context = {"form": form, "choices": choices, "loose": loose, "watch_wrong": wrong, "here": "instances"}
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
    answer = render(request, "parts/finding.html", {"finding": finding})
    return trigger_client_event(answer, "connected") if finding.tone != "bad" else answer


@require_POST
@sensitive_post_parameters()
@operator_page
def resource_counts(request: PageRequest) -> HttpResponse:
    """Say how many records each resource of the catalogue has at the connection in the form."""
    config = _connection(ConnectionForm(request.POST))
    if config is None:
        return HttpResponse(status=204)
    counts = count_resources(config.connection, all_resources(), organization=request.person.organization.pk)
    return render(request, "parts/resource_counts.html", {"counts": counts})


def _connection(form: ConnectionForm) -> InstanceConfig | None:
    """Return the connection that was typed; None if it can't be one, with what is wrong beside the fields."""
    if form.is_valid():
        try:
            return read_configuration(form.wire(), base=InstanceConfig(), whole=False)
        except ConfigurationError as error:
            form.blame(error)
    return None


@require_GET
@operator_page
def resource_options(request: PageRequest) -> HttpResponse:
    """Return a resource's options: as fields, or as the JSON that they stand for."""
    choice = posted_choice(request.GET, request.GET.get("name", ""))
    text = written(by_options(choice)) if request.GET.get("as") == "json" else None
    shown = Choice(
        name=choice.name,
        path=choice.path,
        words=choice.words,
        detect_deletes=choice.detect_deletes,
        track_changes=choice.track_changes,
        page_size=choice.page_size,
        time_zone=choice.time_zone,
        json=text,
    )
    return render(request, "parts/resource_options.html", {"choice": shown})
