"""`manage.py deletes`: sweep now, and decide on held deletes."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone
from rich.progress import Progress

from cwconnect.core import terminal
from cwconnect.core.terminal import progress
from cwconnect.core.text import counted
from polling.detection.deletes.deletions import (
    dismiss_held,
    held_deletes,
    release_held,
    sweep_now,
)
from polling.detection.jobs import Job
from polling.detection.poll_loop import sweep_these
from polling.management.arguments import chosen_instances
from polling.management.waiting import work_until_done
from polling.models import PollRun, PollState

SHOWN = 20
_DELETES = ("delete is", "deletes are")


class Command(terminal.Command):
    """Say which deletes are held back; sweep now, release them or dismiss them."""

    help = "Sweep for deletes now, and decide on those held back. Exit code 1 if a sweep failed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare whose deletes, and what is to be done."""
        parser.add_argument("instance_id", type=int)
        parser.add_argument("--resource", help="only this resource, by its name in the configuration")
        parser.add_argument("--sweep", action="store_true", help="sweep now, in the foreground")
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--release", action="store_true", help="record those held that a sweep still finds gone")
        what.add_argument("--dismiss", action="store_true", help="do not record the held deletes; keep the rows known")

    def handle(self, *args: Any, **options: Any) -> None:
        """Decide, sweep, and say what is held."""
        states = _chosen(options["instance_id"], options["resource"])
        for state in states:
            if options["release"]:
                self.stdout.write(f"{state.resource_poll}: {counted(release_held(state), *_DELETES)} released.")
            elif options["dismiss"]:
                self.stdout.write(f"{state.resource_poll}: {counted(dismiss_held(state), *_DELETES)} dismissed.")
        if options["sweep"] or options["release"]:
            with progress(quiet=options["verbosity"] == 0) as display:
                _sweep(states, display)
        self._sum_up(states)

    def _sum_up(self, states: list[PollState]) -> None:
        failed = []
        for state in PollState.objects.filter(pk__in=[state.pk for state in states]).select_related("resource_poll"):
            if state.sweep_failures:
                failed.append(f"{state.resource_poll}: {state.sweep_error}")
            self.stdout.write(f"{state.resource_poll}: {_last_sweep(state)}; {_held(state)}")
        if failed:
            raise CommandError("\n".join(failed))


def _last_sweep(state: PollState) -> str:
    sweeps = PollRun.objects.filter(resource_poll_id=state.pk, kind=PollRun.Kind.SWEEP)
    run = sweeps.filter(status=PollRun.Status.COMPLETE).order_by("pk").last()
    if run is None:
        return "not swept yet"
    return (
        f"swept {run.started_at:%Y-%m-%d %H:%M:%S} UTC, {counted(run.records, 'row')}, {counted(run.events, 'event')}"
    )


def _held(state: PollState) -> str:
    held = held_deletes(state.resource_poll)
    count = held.count()
    if not count:
        return "no deletes are held"
    ids = ", ".join(str(number) for number in held.values_list("record_id", flat=True)[:SHOWN])
    return f"{counted(count, *_DELETES)} held: {ids}{', …' if count > SHOWN else ''}"


def _sweep(states: list[PollState], display: Progress) -> None:
    """Sweep until each of the chosen has been swept: here, or by a worker that was at it already."""
    keys = [state.pk for state in states]
    bars = {state.pk: display.add_task(str(state.resource_poll), total=None, done="waiting") for state in states}

    def report(job: Job, run: PollRun) -> None:
        done = f"{counted(run.page, 'page')}, {counted(run.records, 'row')}, {counted(run.events, 'event')}"
        finished = run.status != PollRun.Status.OPEN
        display.update(bars[job.key], done=done, total=1 if finished else None, completed=1 if finished else 0)

    polls = PollState.objects.filter(pk__in=keys)
    if not sweep_now(polls):
        raise CommandError("Nothing is swept there: the instance is paused, or detectDeletes is off.")
    work_until_done(lambda: polls.filter(next_sweep_at__lte=timezone.now()), lambda: sweep_these(keys, report=report))


def _chosen(instance_id: int, resource: str | None) -> list[PollState]:
    polls = PollState.objects.filter(resource_poll__instance__in=chosen_instances(instance_id))
    if resource is not None:
        polls = polls.filter(resource_poll__name=resource)
    wanted = polls.filter(resource_poll__configuration__detectDeletes=True)
    states = list(wanted.select_related("resource_poll__instance").order_by("pk"))
    if not states:
        raise CommandError("No deletes are looked for there: set detectDeletes in the resource's configuration.")
    return states
