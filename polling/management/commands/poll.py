"""`manage.py poll`: poll now, in the foreground, with progress."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone
from rich.progress import Progress, TaskID

from cwconnect.core import terminal
from cwconnect.core.terminal import progress
from cwconnect.core.text import counted
from instances.missing_fields import warnings_of
from polling.detection.jobs import Job
from polling.detection.poll_loop import poll_these
from polling.detection.polls.backfill import request_backfill
from polling.management.arguments import chosen_instances, read_time
from polling.management.waiting import work_until_done
from polling.models import PollRun, PollState
from polling.workers.due import make_due


class Command(terminal.Command):
    """Poll now: all instances, one, or one resource; with --since, that window again."""

    help = "Poll now, in the foreground. Exit code 1 if a poll failed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare which polls, and from when."""
        parser.add_argument("instance_id", nargs="?", type=int, help="all instances if left out")
        parser.add_argument("--resource", help="only this resource, by its name in the configuration")
        parser.add_argument("--since", help="poll the window from this time on again (UTC unless it says otherwise)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Poll, and say how it went."""
        states = _chosen(options["instance_id"], options["resource"])
        if options["since"]:
            request_backfill(states, read_time(options["since"], "--since"))
        with progress(quiet=options["verbosity"] == 0) as display:
            Foreground(states, display).run()
        self._sum_up(states)

    def _sum_up(self, states: list[PollState]) -> None:
        found = PollState.objects.filter(pk__in=[state.pk for state in states]).select_related("resource_poll")
        now = {state.pk: state for state in found}
        failed = []
        for state in states:
            if now[state.pk].failures:
                failed.append(f"{state.resource_poll}: {now[state.pk].last_error}")
            else:
                self.stdout.write(f"{state.resource_poll}: {now[state.pk].get_health_display().lower()}")
            for warning in warnings_of(now[state.pk].resource_poll):
                self.stdout.write(f"{state.resource_poll}: {warning}")
        if failed:
            raise CommandError("\n".join(failed))


class Foreground:
    """The chosen polls, until each has been run: here, or by a worker that was at it already."""

    def __init__(self, states: list[PollState], display: Progress) -> None:
        self._states, self._display = states, display
        self._bars: dict[int, TaskID] = {
            state.pk: display.add_task(str(state.resource_poll), total=None, done="waiting") for state in states
        }

    def run(self) -> None:
        """Poll until none of the chosen is due any more."""
        keys = [state.pk for state in self._states]
        polls = PollState.objects.filter(pk__in=keys)
        make_due(polls)
        work_until_done(
            lambda: polls.filter(next_poll_at__lte=timezone.now()), lambda: poll_these(keys, report=self._report)
        )

    def _report(self, job: Job, run: PollRun) -> None:
        done = f"{counted(run.page, 'page')}, {counted(run.records, 'record')}, {counted(run.events, 'event')}"
        finished = run.status != PollRun.Status.OPEN
        self._display.update(
            self._bars[job.key], done=done, total=1 if finished else None, completed=1 if finished else 0
        )


def _chosen(instance_id: int | None, resource: str | None) -> list[PollState]:
    instances = chosen_instances(instance_id)
    polls = PollState.objects.filter(resource_poll__instance__in=instances).select_related("resource_poll__instance")
    if resource is not None:
        polls = polls.filter(resource_poll__name=resource)
    active = [state for state in polls.order_by("pk") if state.resource_poll.instance.watching]
    active = [state for state in active if state.resource_poll.enabled]
    if not active:
        raise CommandError("Nothing is polled there: no such resource, events are off, or the instance is disabled.")
    return active
