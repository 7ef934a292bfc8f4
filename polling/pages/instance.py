"""One instance's page: its resources, *Poll now* with its progress, its events as they come."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_POST

from instances.models import ResourcePoll
from instances.pages.access import PageRequest, page
from polling.detection.polls.backfill import request_backfill
from polling.models import Event, PollRun, PollState
from polling.pages.forms import BackfillForm
from polling.pages.paging import page_of
from polling.pages.refreshing import refreshed_part
from polling.pages.shared import own_poll
from polling.reports.callback_trust import trust_of
from polling.reports.event_states import with_states
from polling.reports.instance_status import instance_status_of
from polling.workers.due import make_due

STREAM = 15
RUNS = 25
_PATIENCE = timedelta(seconds=45)


@page
def instance_page(request: PageRequest, number: int) -> HttpResponse:
    """Show an instance with its resources."""
    instance = request.person.instance(number)
    now = timezone.now()
    context = {
        "instance": instance,
        "status": instance_status_of(instance, now),
        "tab": "resources",
    }
    if request.htmx:
        return refreshed_part(request, "polling/parts/resources.html", context)
    return render(request, "polling/instance.html", _here(context | {"trust": trust_of(instance, now)}))


@page
def instance_callbacks(request: PageRequest, number: int) -> HttpResponse:
    """Return how an instance's callbacks stand, to be asked for again and again."""
    instance = request.person.instance(number)
    context = {"instance": instance, "trust": trust_of(instance, timezone.now())}
    return refreshed_part(request, "polling/parts/callbacks.html", context)


@page
def instance_stream(request: PageRequest, number: int) -> HttpResponse:
    """Return the newest events of an instance, to be asked for again and again."""
    instance = request.person.instance(number)
    events = with_states(Event.objects.filter(instance=instance)).select_related("notification")
    newest = list(events.defer("record", "changes", "notification__body").order_by("-pk")[:STREAM])
    last = newest[0].pk if newest else 0
    after = request.GET.get("after", "")
    seen = int(after) if after.isdecimal() and len(after) < 19 else last
    new = sum(event.pk > seen for event in newest)
    context = {"instance": instance, "events": newest, "seen": seen, "newest": last, "new": new}
    return refreshed_part(request, "polling/parts/stream.html", context)


@page
def instance_events(request: PageRequest, number: int) -> HttpResponse:
    """Show the stream of an instance's events on a tab of its own."""
    instance = request.person.instance(number)
    context = {"instance": instance, "status": instance_status_of(instance, timezone.now()), "tab": "events"}
    return render(request, "polling/instance_events.html", _here(context))


@page
def poll_page(request: PageRequest, number: int, poll: int) -> HttpResponse:
    """Show a resource's runs: when, which window, how much, or the error in ConnectWise's words."""
    return _show_poll(request, own_poll(request, number, poll))


def _show_poll(request: PageRequest, poll: ResourcePoll, form: BackfillForm | None = None) -> HttpResponse:
    status = instance_status_of(poll.instance, timezone.now())
    context = {
        "instance": poll.instance,
        "poll": poll,
        "state": PollState.objects.filter(pk=poll.pk).first(),
        "status": status,
        "woken": any(row.woken for row in status.rows if row.poll.pk == poll.pk),
        "runs": page_of(PollRun.objects.filter(resource_poll=poll).order_by("-pk"), request.GET, RUNS),
        "form": form or BackfillForm(),
        "tab": "resources",
    }
    if request.htmx and form is None:
        return refreshed_part(request, "polling/parts/poll_body.html", context)
    return render(request, "polling/poll.html", _here(context), status=422 if form else 200)


@require_POST
@page
def poll_now(request: PageRequest, number: int, poll: int) -> HttpResponse:
    """Make one resource due at once, and follow its run."""
    found = own_poll(request, number, poll)
    asked_at = timezone.now()
    made = make_due(PollState.objects.filter(pk=found.pk))
    if not made:
        text = _not_polled(found)
        if request.htmx:
            return HttpResponse(text)
        messages.warning(request, text)
        return redirect("instance-page", number)
    if not request.htmx:
        messages.success(request, f"{found.name} is polled now.")
        return redirect("poll-page", number, poll)
    return _progress(request, found, asked_at)


@page
def poll_progress(request: PageRequest, number: int, poll: int) -> HttpResponse:
    """Say how far the run is that was asked for at the time `asked`."""
    asked_at = parse_datetime(request.GET.get("asked", "").replace(" ", "+"))
    if asked_at is None or timezone.is_naive(asked_at):
        raise Http404
    return _progress(request, own_poll(request, number, poll), asked_at)


@require_POST
@page
def backfill(request: PageRequest, number: int, poll: int) -> HttpResponse:
    """Have a window read again: what was missed becomes events, what is known stays silent."""
    found, form = own_poll(request, number, poll), BackfillForm(request.POST)
    if not form.is_valid():
        return _show_poll(request, found, form)
    states = PollState.objects.filter(pk=found.pk)
    if not make_due(states):
        form.add_error(None, _not_polled(found))
        return _show_poll(request, found, form)
    request_backfill(states, form.cleaned_data["since"])
    messages.success(request, f"{found.name} is read again from then on. The run shows below.")
    return redirect("poll-page", number, poll)


def _not_polled(poll: ResourcePoll) -> str:
    return f"{poll.name} is not polled at present: its events, the instance or the resource itself is off."


def _progress(request: PageRequest, poll: ResourcePoll, asked_at: datetime) -> HttpResponse:
    state = PollState.objects.get(pk=poll.pk)
    run = PollRun.objects.filter(resource_poll=poll).order_by("-pk").first()
    fresh = run if run is not None and (run.finished_at or timezone.now()) >= asked_at else None
    good = state.last_good_at is not None and state.last_good_at >= asked_at
    failed = not good and bool(state.failures) and state.lease_token is None and fresh is not None
    context = {
        "instance_id": poll.instance_id,
        "poll": poll,
        "state": state,
        "run": fresh,
        "asked": asked_at.isoformat(),
        "good": good,
        "failed": failed and (state.next_poll_at is None or state.next_poll_at > timezone.now()),
        "nobody_came": state.lease_token is None and timezone.now() - asked_at > _PATIENCE,
    }
    return refreshed_part(request, "polling/parts/progress.html", context)


def _here(context: Mapping[str, object]) -> dict[str, object]:
    return {**context, "here": "instances"}
