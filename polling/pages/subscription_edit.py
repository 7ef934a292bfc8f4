"""The pages on which a subscription is added and edited, and on which its filter is tried before it counts.

One form is sent, and the button says what for: to save it, to try the filter, to send a test, or to show what the
fields come to as JSON, which the page's script asks for by itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters

from cwconnect.core.errors import ConflictError, DomainError
from instances.configuration.values import ConfigurationError
from instances.models import Instance, Transformation
from instances.pages.access import PageRequest, operator_page
from instances.pages.wire_form import note
from polling.delivery.first_subscriptions import find_subscription
from polling.delivery.test_notification import send_test
from polling.filters.tracking import tracked_by, words_of_tracking
from polling.filters.words import words_of_filter
from polling.models import Subscription
from polling.pages.filter_form import FilterForm, posted_form, stored_form
from polling.pages.form_samples import samples
from polling.pages.subscription_begin import begins_of, events_since
from polling.pages.subscription_form import SubscriptionForm
from polling.reports.tried_filter import MOST, TriedFilter, try_filter
from polling.subscriptions.changes import change_subscription, create_subscription
from polling.subscriptions.reading import Settings, read_settings
from polling.subscriptions.stored import fill, settings_of

SHOWN, TRY, TEST, SINCE = "shown", "try", "test", "since"


@dataclass
class Editing:
    """What is edited, as it stands in the database, and its two forms."""

    request: PageRequest
    instance: Instance
    subscription: Subscription | None
    stored: Settings | None
    mappings: list[str]
    polled: list[str]
    form: SubscriptionForm
    filter_form: FilterForm

    @property
    def first(self) -> bool:
        """Whether it is the instance's own."""
        return self.subscription is not None and self.subscription.is_first

    def given(self) -> dict[str, Any]:
        """Return what the forms say by the members of a subscription; what is not valid lacks."""
        return self.form.given() | {"filter": self.filter_form.wanted}

    def blame(self, error: DomainError) -> None:
        """Put what was refused beside the fields that it is about."""
        if isinstance(error, ConfigurationError):
            self.filter_form.note(self.form.blame(error.problems))
        elif isinstance(error, ConflictError) and error.message.startswith("name: "):
            text = error.message.removeprefix("name: ")
            note(self.form, "name", text[:1].upper() + text[1:])
        else:
            note(self.form, None, error.message)


@sensitive_post_parameters()
@operator_page
def add_subscription(request: PageRequest, number: int) -> HttpResponse:
    """Show the form of a further subscription; make it."""
    return _answer(_edited(request, request.person.instance(number), None))


@sensitive_post_parameters()
@operator_page
def edit_subscription(request: PageRequest, number: int, subscription: int) -> HttpResponse:
    """Show what is said of a subscription; change it."""
    instance = request.person.instance(number)
    return _answer(_edited(request, instance, own_subscription(instance, subscription)))


def own_subscription(instance: Instance, number: int) -> Subscription:
    """Return a subscription of an instance; 404 for any other, and for one that is deleted."""
    found = find_subscription(instance, number)
    if found is None:
        raise Http404
    return found


def _edited(request: PageRequest, instance: Instance, subscription: Subscription | None) -> Editing:
    stored = settings_of(subscription) if subscription else None
    names = Transformation.objects.filter(instance=instance).order_by("name").values_list("name", flat=True)
    mappings = list(names)
    polled = list(instance.resource_polls.order_by("name").values_list("name", flat=True))
    data = request.POST if request.method == "POST" else None
    begins = begins_of(instance, timezone.now()) if subscription is None else ()
    first = subscription is not None and subscription.is_first
    form = SubscriptionForm(data, instance, stored=stored, first=first, mappings=mappings, begins=begins)
    kept = stored.filter if stored else ""
    filter_form = stored_form(kept, polled) if data is None else posted_form(data, polled)
    return Editing(request, instance, subscription, stored, mappings, polled, form, filter_form)


def _answer(editing: Editing) -> HttpResponse:
    if editing.request.method != "POST":
        return _show(editing)
    asked = {SHOWN: _shown, TRY: _try, TEST: _test, SINCE: _since}.get(editing.request.POST.get("do", ""))
    return asked(editing) if asked else _save(editing)


def _save(editing: Editing) -> HttpResponse:
    """Make or change it; what is wrong goes beside its field, all of it at once."""
    form, now = editing.form, timezone.now()
    if _is_sound(editing):
        try:
            if editing.subscription is None:
                made = create_subscription(editing.instance, editing.given(), now, since=form.since)
                return _added(editing, made)
            goes_on = form.cleaned_data.get("goes_on") if form.cleaned_data.get("enabled") else None
            change_subscription(editing.subscription, editing.given(), now, goes_on=goes_on or None)
        except DomainError as error:
            editing.blame(error)
        else:
            messages.success(editing.request, f"{form.cleaned_data['name']} is saved.")
            return redirect("instance-delivery", editing.instance.pk)
    return _show(editing, status=422)


def _is_sound(editing: Editing) -> bool:
    """Whether nothing is wrong with what was sent by itself; whatever can be read is judged all the same."""
    form = editing.form
    valid = form.is_valid()
    if not valid:
        try:
            _read(editing)
        except ConfigurationError as error:
            editing.filter_form.note(form.blame(error.problems))
    return valid and not editing.filter_form.errors


def _read(editing: Editing) -> Settings:
    base = editing.stored or Settings()
    return read_settings(editing.given(), base=base, mappings=editing.mappings, first=editing.first)


def _added(editing: Editing, made: Subscription) -> HttpResponse:
    """Say that it is there, with its key, this once."""
    context = {
        "instance": editing.instance,
        "subscription": made,
        "signature_key": editing.form.cleaned_data["signature_key"],
        "tab": "delivery",
        "here": "instances",
    }
    return render(editing.request, "polling/subscription_added.html", context)


def _shown(editing: Editing) -> HttpResponse:
    """Show what the filter comes to: its fields anew where the JSON was changed, else the JSON."""
    editing.filter_form.filter()
    return render(editing.request, "polling/parts/filter.html", _context(editing))


def _try(editing: Editing) -> HttpResponse:
    """Say what the filter makes of the newest events, as far as a second comes."""
    request, wanted = editing.request, editing.filter_form.filter()
    context: dict[str, Any] = {"asked": True, "most": MOST}
    if wanted is not None:
        of = hashlib.sha256(editing.filter_form.text.encode()).hexdigest()
        so_far = _so_far(request.POST) if request.POST.get("of") == of else None
        context |= {"tried": try_filter(editing.instance, wanted, so_far), "of": of}
    if request.htmx:
        return render(request, "polling/parts/tried_filter.html", _context(editing) | context)
    return _show(editing, **context)


def _so_far(posted: Mapping[str, str]) -> TriedFilter | None:
    """Return what the looks of this filter came to, as the page sends it back; None if it can't be read."""
    numbers = [posted.get(name, "") for name in ("looked_at", "passed", "unknown", "before")]
    if not all(text.isascii() and text.isdecimal() and len(text) < 19 for text in numbers):
        return None
    looked_at, passed, unknown, before = map(int, numbers)
    return TriedFilter(looked_at=min(looked_at, MOST), passed=passed, unknown=unknown, before=before)


def _since(editing: Editing) -> HttpResponse:
    """Say how many events there are from the time on that was typed."""
    editing.form.is_valid()
    since = editing.form.cleaned_data.get("begin_at")
    context = {"events": events_since(editing.instance, since) if since else ""}
    return render(editing.request, "polling/parts/events_since.html", context)


def _test(editing: Editing) -> HttpResponse:
    """Send a test as it would be sent once the form is saved."""
    request, context = editing.request, dict[str, Any]()
    if _is_sound(editing) and (wanted := editing.filter_form.filter()) is not None:
        try:
            draft = _draft(editing)
            polled = [name for name in editing.polled if wanted.resources is None or name.lower() in wanted.resources]
            if not polled:
                raise DomainError(
                    "Nothing of what it is to hear of is polled, so there is nothing to send a sample of."
                )
            context["result"] = send_test(draft, polled[0], timezone.now())
            context["used"] = "Sent with what stands here, saved or not."
        except DomainError as error:
            editing.blame(error)
    if "result" in context:
        return render(request, "polling/parts/test_notification.html", context)
    lacking = [*editing.form, *editing.filter_form]
    general = [*editing.form.non_field_errors(), *editing.filter_form.non_field_errors()]
    context = {"not_done": "Not sent yet.", "lacking": lacking, "general": general}
    return render(request, "parts/lacking.html", context)


def _draft(editing: Editing) -> Subscription:
    """Return the subscription as the form says, unsaved."""
    number = editing.subscription.pk if editing.subscription else 0
    draft = Subscription(pk=number, instance=editing.instance)
    fill(draft, _read(editing), Settings(), timezone.now())
    return draft


def _show(editing: Editing, *, status: int = 200, **context: Any) -> HttpResponse:
    around = {"samples": samples(), "tab": "delivery", "here": "instances"}
    return render(editing.request, "polling/subscription.html", _context(editing) | around | context, status=status)


def _context(editing: Editing) -> dict[str, Any]:
    subscription, filter_form = editing.subscription, editing.filter_form
    until = subscription.notification_settings.previous_key_until if subscription else None
    return {
        "instance": editing.instance,
        "subscription": subscription,
        "first": editing.first,
        "form": editing.form,
        "filter_form": filter_form,
        "others": [filter_form],
        "mistaken": bool(filter_form.errors),
        "key_until": until if until and until > timezone.now() else None,
        **_said_of(filter_form, editing.polled),
    }


def _said_of(filter_form: FilterForm, polled: Sequence[str]) -> dict[str, str]:
    """Return the filter in words, and what it costs; blank of one that can't be read."""
    wanted = None if filter_form.errors else filter_form.filter()
    if wanted is None:
        return {"words": "", "cost": ""}
    return {
        "words": words_of_filter(filter_form.text),
        "cost": words_of_tracking(tracked_by(wanted, polled)),
    }
