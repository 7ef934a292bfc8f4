"""Polls and their runs."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest

from cwconnect.core.text import counted
from instances.admin.base import NOTHING, as_key
from instances.models import ResourcePoll
from polling.admin.base import (
    ChosenFilter,
    PollNameFilter,
    ReadOnlyAdmin,
    link_column,
    link_to,
    link_to_those,
    list_column,
    say,
)
from polling.admin.keyset_admin import KeysetAdmin, Sought, named
from polling.detection.deletes.deletions import (
    LOOKS_FOR_DELETES,
    dismiss_held,
    held_deletes,
    release_held,
    sweep_now,
)
from polling.models import Event, MissingRecord, PollRun, PollState, Repair, Verification
from polling.workers.due import PAUSED, make_due

_SHOWN = 20


@admin.register(PollRun)
class PollRunAdmin(KeysetAdmin):
    """Runs of polls: what they read, and why one failed."""

    list_display = ("id", "started_at", "kind", "status", "of_poll", "page", "records", "found", "skipped", "error")
    list_filter = (
        *("started_at", "status", "kind", PollNameFilter),
        *(("resource_poll__instance", ChosenFilter), ("resource_poll", ChosenFilter)),
    )
    list_select_related = ("resource_poll__instance",)
    deferred = ("held", "notes")
    search_fields = ("resource_poll__instance__name",)
    search_help_text = "A run's id, or an instance's name."
    time = "started_at"
    anchors = ("resource_poll", "instance")
    fieldsets = (
        (None, {"fields": ("kind", "status", "of_poll", "started_at", "finished_at")}),
        ("Window", {"fields": ("opening", "first_date", "newest_stamp", "listed_at")}),
        (
            "What it read",
            {"fields": ("page", "reached_id", "records", "found", "skipped", "notes", "error", "held_back")},
        ),
    )
    readonly_fields = ("of_poll", "found", "held_back")
    csv_columns = {
        "id": lambda run: run.pk,
        "began": lambda run: run.started_at,
        "ended": lambda run: run.finished_at,
        "kind": lambda run: run.get_kind_display(),
        "status": lambda run: run.get_status_display(),
        "resource": lambda run: run.resource_poll.name,
        "instance id": lambda run: run.resource_poll.instance_id,
        "instance": lambda run: run.resource_poll.instance.name,
        "window opens": lambda run: run.opening,
        "pages": lambda run: run.page,
        "records": lambda run: run.records,
        "events": lambda run: run.events,
        "skipped": lambda run: run.skipped,
        "error": lambda run: run.error,
    }

    def find(self, text: str) -> Sought:
        """Find by number; else by the instance's name."""
        number = as_key(text)
        if number is not None and PollRun.objects.filter(pk=number).exists():
            return Sought(Q(pk=number))
        return Sought(named(text, "resource_poll__instance"))

    @admin.display(description="Poll")
    def of_poll(self, run: PollRun) -> str:
        """Link the poll, by the key that it shares with what is polled: whether it is there, is not asked."""
        return link_to(PollState(pk=run.resource_poll_id), run.resource_poll)

    @admin.display(description="Events")
    def found(self, run: PollRun) -> str | int:
        """Link the events that it found."""
        return link_to_those(Event, f"{run.events:,}", run=run.pk) if run.events else 0

    @admin.display(description="Held back")
    def held_back(self, run: PollRun) -> str:
        """Say what a sweep found gone and holds back."""
        return _few(run.held) if run.held else NOTHING


def _few(ids: list[int]) -> str:
    more = f" and {len(ids) - _SHOWN:,} more" if len(ids) > _SHOWN else ""
    return ", ".join(str(number) for number in ids[:_SHOWN]) + more


@admin.register(PollState)
class PollStateAdmin(ReadOnlyAdmin):
    """Where each resource poll stands."""

    list_display = (
        *("resource_poll", "health", "last_good_at", "next_poll_at", "failures", "last_error"),
        *("next_sweep_at", "sweep_error"),
    )
    list_filter = ("health", PollNameFilter, ("resource_poll__instance", ChosenFilter))
    list_select_related = ("resource_poll__instance",)
    search_fields = ("=resource_poll__name", "=resource_poll__instance__name")
    search_help_text = "A resource's or an instance's name."
    actions = ("poll_selected_now", "sweep_selected_now", "release_held_deletes", "dismiss_held_deletes")
    fieldsets = (
        (None, {"fields": ("of_instance", "health", "host", "runs")}),
        ("Polls", {"fields": ("last_good_at", "cursor", "next_poll_at", "failures", "last_error")}),
        ("Deletes", {"fields": ("baseline_at", "next_sweep_at", "held", "sweep_failures", "sweep_error")}),
    )
    readonly_fields = ("of_instance", "runs", "held")
    of_instance = link_column("resource_poll.instance", "Instance")
    runs = list_column("Runs", PollRun, "All runs", resource_poll="pk")

    @admin.action(description="Poll now", permissions=["operate"])
    def poll_selected_now(self, request: HttpRequest, polls: QuerySet[PollState]) -> None:
        """Make the chosen polls due."""
        paused = _polls(polls.filter(PAUSED))
        say(self, request, f"{counted(make_due(polls), 'poll is', 'polls are')} due now.", paused=paused)

    @admin.action(description="Sweep for deletes now", permissions=["operate"])
    def sweep_selected_now(self, request: HttpRequest, polls: QuerySet[PollState]) -> None:
        """Make the chosen polls' sweeps due."""
        looking = polls.filter(LOOKS_FOR_DELETES)
        silent, paused = _polls(polls.exclude(pk__in=looking)), _polls(looking.filter(PAUSED))
        done = f"{counted(sweep_now(polls), 'sweep is', 'sweeps are')} due now."
        say(self, request, done, for_detectDeletes_is_off=silent, paused=paused)

    @admin.action(description="Release held deletes", permissions=["operate"])
    def release_held_deletes(self, request: HttpRequest, polls: QuerySet[PollState]) -> None:
        """Have those that are still gone recorded."""
        holding, others = _holding(polls)
        count = sum(release_held(state) for state in holding)
        done = f"{counted(count, 'delete is', 'deletes are')} released; a sweep looks once more, then records."
        say(self, request, done, since_they_hold_none=others)

    @admin.action(description="Dismiss held deletes", permissions=["operate"])
    def dismiss_held_deletes(self, request: HttpRequest, polls: QuerySet[PollState]) -> None:
        """Have them not recorded; the rows stay known."""
        holding, others = _holding(polls)
        count = sum(dismiss_held(state) for state in holding)
        done = f"{counted(count, 'delete is', 'deletes are')} dismissed: nothing is recorded."
        say(self, request, done, since_they_hold_none=others)

    @admin.display(description="Held deletes")
    def held(self, state: PollState) -> str:
        """Say which records' deletes are held back."""
        return _few(list(held_deletes(state.resource_poll).values_list("record_id", flat=True))) or NOTHING


@admin.register(Verification)
class VerificationAdmin(ReadOnlyAdmin):
    """Comparisons with ConnectWise, how far they came and what they found."""

    list_display = ("id", "asked_at", "resource_poll", "status", "source", "error", "finished_at")
    list_filter = ("status", ("resource_poll__instance", ChosenFilter))
    list_select_related = ("resource_poll__instance",)
    ordering = ("-pk",)
    search_fields = ("=resource_poll__instance__name",)
    search_help_text = "An instance's name."
    exclude = ("comparison",)


@admin.register(Repair)
class RepairAdmin(ReadOnlyAdmin):
    """Repairs of what a verification found, and how far they came."""

    list_display = ("id", "asked_at", "resource_poll", "status", "done", "total", "events", "resent", "error")
    list_filter = ("status", ("resource_poll__instance", ChosenFilter))
    list_select_related = ("resource_poll__instance",)
    ordering = ("-pk",)
    search_fields = ("=resource_poll__instance__name",)
    search_help_text = "An instance's name."


def _polls(states: QuerySet[PollState]) -> list[ResourcePoll]:
    return [state.resource_poll for state in states.select_related("resource_poll__instance")]


def _holding(states: QuerySet[PollState]) -> tuple[list[PollState], list[ResourcePoll]]:
    """Part polls into those that hold deletes back and those that hold none."""
    held = Exists(MissingRecord.objects.filter(resource_poll=OuterRef("pk"), status=MissingRecord.Status.HELD))
    rows = states.annotate(holds=held).select_related("resource_poll__instance__organization")
    return [row for row in rows if row.holds], [row.resource_poll for row in rows if not row.holds]
