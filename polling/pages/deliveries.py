"""The pages *Deliveries*: failing and paused receivers, what waits, release, bulk replay, and held deletes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from cwconnect.core.errors import DomainError
from cwconnect.core.text import counted
from instances.configuration.config_keys import InstanceConfig
from instances.configuration.values import ConfigurationError
from instances.configuration.wire import config_of, read_configuration
from instances.models import Instance, Organization
from instances.pages.access import PageRequest, operator_page, page
from instances.pages.forms import EditNotifyForm, NotifyForm
from instances.pages.wire_form import blame, say_above
from instances.provisioning import changed_draft, draft_instance
from polling.delivery.first_subscriptions import first_subscription
from polling.delivery.given_up import dismiss_given_up
from polling.delivery.pausing import subscriptions_of
from polling.delivery.replay.replays import count_newest, start_replay
from polling.delivery.replay.selection import Selection
from polling.delivery.test_notification import SampleResult, send_draft_test, send_test
from polling.detection.deletes.deletions import dismiss_held, held_deletes, release_held
from polling.models import PollState, Replay
from polling.pages.delivery_list import delivery_list
from polling.pages.forms import ReplayForm
from polling.pages.named_records import named_records
from polling.pages.refreshing import refreshed_part
from polling.pages.shared import first_resource, own_poll, tested
from polling.reports.given_up import given_up
from polling.reports.waiting import failed_attempts, waiting_rows

_DAY = timedelta(days=1)
_HELD_SHOWN = 100
_DELETES = ("delete is", "deletes are")


@page
def deliveries(request: PageRequest) -> HttpResponse:
    """List notifications by what became of them; before any filter, where delivery waits or fails too."""
    organization, now = request.person.organization, timezone.now()
    if request.htmx:
        return refreshed_part(request, "polling/parts/waits.html", _waits(organization, now))
    replays = Replay.objects.filter(instance__organization=organization).select_related("instance").order_by("-pk")[:5]
    listed = delivery_list(request)
    context = {**listed, "replays": replays, "unfiltered": False, "here": "deliveries"}
    if not (listed["search"].narrows or listed["is_further"]):
        failed = failed_attempts(organization, now - _DAY)
        context |= {"unfiltered": True, "failed": failed, **_waits(organization, now)}
    return render(request, "polling/deliveries.html", context)


def _waits(organization: Organization, now: datetime) -> dict[str, Any]:
    return {"rows": waiting_rows(organization), "given_up": given_up(organization, now)}


@require_POST
@operator_page
def dismiss(request: PageRequest) -> HttpResponse:
    """Take what was given up so far as seen: it is counted no more."""
    count = dismiss_given_up(request.person.organization, timezone.now())
    messages.success(request, f"{counted(count, 'given up notification')} dismissed. They stay among the deliveries.")
    return redirect("overview")


@require_POST
@sensitive_post_parameters()
@page
def try_receiver(request: PageRequest, number: int) -> HttpResponse:
    """Send a test notification, by the form of the settings if that was sent; show request, response and time taken."""
    instance = request.person.instance(number)
    if "callback_url" in request.POST:
        return _try_changes(request, instance)
    return tested(request, first_subscription(instance))


def _try_changes(request: PageRequest, instance: Instance) -> HttpResponse:
    """Send a test as the instance would once the form is saved."""
    stored = config_of(instance)
    form = EditNotifyForm(request.POST, stored=stored)

    def send() -> tuple[SampleResult, str]:
        config = read_configuration(form.wire(), base=stored, stored=stored)
        first = first_subscription(instance)
        first.instance = changed_draft(instance, config)
        result = send_test(first, first_resource(instance), timezone.now())
        changed = form.sent_otherwise(config)
        typed = f"Sent with what is typed here and not saved yet ({', '.join(changed)}); all else is as stored."
        return result, typed if changed else "Sent as it is stored: nothing here was changed."

    return _tried(request, form, send)


@require_POST
@sensitive_post_parameters()
@operator_page
def try_draft(request: PageRequest) -> HttpResponse:
    """Send a test notification as the form of a new instance says; nothing is stored."""
    form = NotifyForm(request.POST)

    def send() -> tuple[SampleResult, str]:
        config = read_configuration(form.wire(), base=InstanceConfig(), whole=False)
        name = request.POST.get("name", "").strip()[:200] or "New instance"
        draft = draft_instance(organization=request.person.organization, name=name, config=config)
        result = send_draft_test(draft, next(iter(request.POST.getlist("watch")), "contacts"), timezone.now())
        return result, "Sent with what is typed here; nothing is stored yet."

    return _tried(request, form, send)


def _tried(request: PageRequest, form: NotifyForm, send: Callable[[], tuple[SampleResult, str]]) -> HttpResponse:
    """Show what came of a test and the values it was sent with; what keeps it from being sent goes by its field."""
    if form.is_valid():
        try:
            result, used = send()
        except ConfigurationError as error:
            say_above(form, blame(error.problems, form))
        except DomainError as error:
            form.add_error("callback_url", error.message)
        else:
            return render(request, "polling/parts/test_notification.html", {"result": result, "used": used})
    return render(request, "parts/finding.html", {"lacking": form, "not_done": "Not sent yet."})


@operator_page
def replay(request: PageRequest, number: int) -> HttpResponse:
    """Choose what to send again, see how many notifications that is, confirm."""
    instance = request.person.instance(number)
    posted = request.method == "POST"
    given = request.POST if posted else request.GET
    ours = subscriptions_of(instance)
    form = ReplayForm(given, ours)
    selection = form.selection() if form.is_valid() else Selection()
    narrow = not replace(selection, subscription=0).is_everything
    if posted and narrow:
        made = start_replay(instance, selection, timezone.now())
        return redirect("replay-progress", made.pk)
    if posted and not form.errors:
        form.add_error(None, "Narrow it down by at least one condition: everything is too much to send again.")
    context: dict[str, Any] = {"instance": instance, "selection": selection, "given": given, "here": "deliveries"}
    to = [each for each in ours if each.pk == selection.subscription] if len(ours) > 1 else ours
    context["url"] = to[0].notification_settings.callback_url if to else None
    if narrow:
        context["count"], context["older"] = count_newest(instance, selection)
    return render(request, "polling/replay.html", context | {"form": form}, status=422 if posted else 200)


@page
def replay_progress(request: PageRequest, number: int) -> HttpResponse:
    """Show how far a replay came."""
    found = (
        Replay.objects.filter(pk=number, instance__organization=request.person.organization)
        .select_related("instance")
        .first()
    )
    if found is None:
        raise Http404
    context = {"replay": found, "instance": found.instance, "here": "deliveries"}
    context["done"] = found.delivered + found.failed
    if request.htmx:
        return refreshed_part(request, "polling/parts/replay_progress.html", context)
    return render(request, "polling/replay_progress.html", context)


@operator_page
def held(request: PageRequest, number: int, poll: int) -> HttpResponse:
    """Show the deletes that a sweep held back; release or dismiss them."""
    found = own_poll(request, number, poll)
    state = PollState.objects.filter(pk=found.pk).first()
    if state is None:
        raise Http404
    if request.method == "POST":
        if request.POST.get("decision") == "release":
            deletes = counted(release_held(state), *_DELETES)
            messages.success(request, f"{deletes} released: a sweep looks once more, then records.")
        else:
            deletes = counted(dismiss_held(state), *_DELETES)
            messages.success(request, f"{deletes} dismissed: nothing is recorded.")
        return redirect("poll-page", number, poll)
    rows = held_deletes(found)
    context = {
        "instance": found.instance,
        "poll": found,
        "count": rows.count(),
        "records": named_records({found: rows.values_list("record_id", flat=True)[:_HELD_SHOWN]})[found.pk],
        "tab": "resources",
        "here": "instances",
    }
    return render(request, "polling/held.html", context)
