"""`manage.py verify`: the reconciliation report, and the repair of what it finds."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Sequence
from functools import partial
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone
from rich.progress import Progress, TaskID

from cwconnect.connectwise.errors import ConnectWiseError
from cwconnect.core import terminal
from cwconnect.core.terminal import progress
from cwconnect.core.text import counted
from instances.missing_fields import warnings_of
from instances.models import ResourcePoll
from polling.delivery.delivery_loop import deliver_these
from polling.management.arguments import chosen_instances
from polling.verification.of_subscriptions import COUNTS
from polling.verification.repair import BusyError, repair
from polling.verification.report import Finding, verify
from polling.workers.leases import LeaseLostError

COLUMNS = ("source", "known", "missed", "stale", "deleted", "undated", "coming", "undelivered", "repeated", "held")
IDS_SHOWN = 20
UNDATED = "Undated records differ: without a date nobody knows whether they were missed or come with the next poll."


class Command(terminal.Command):
    """Compare ConnectWise with what was recorded and delivered; repair just what is missing."""

    help = "Compare ConnectWise with the event log. Exit code 1 if anything is missing in the end."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare whose events, and what is to be done about what is missing."""
        parser.add_argument("instance_id", type=int)
        parser.add_argument("--resource", help="only this resource, by its name in the configuration")
        parser.add_argument("--repair", action="store_true", help="read and send again just what is missing")
        parser.add_argument("--json", action="store_true", help="print JSON, with the ids that are missing")

    def handle(self, *args: Any, **options: Any) -> None:
        """Report; repair and report again, if asked to."""
        polls = _chosen(options["instance_id"], options["resource"])
        quiet = options["json"] or options["verbosity"] == 0
        try:
            findings = _verify(polls, quiet=quiet)
            if options["repair"]:
                if not options["json"]:
                    self._report(findings, as_json=False)
                self._repair(findings, quiet=quiet)
                findings = _verify(polls, quiet=quiet)
        except (ConnectWiseError, BusyError, LeaseLostError) as error:
            raise CommandError(str(error)) from error
        self._report(findings, as_json=options["json"])
        if any(_is_missing(finding) for finding in findings):
            raise CommandError("Something is missing.")
        if any(finding.undated for finding in findings):
            raise CommandError(UNDATED)

    def _repair(self, findings: Sequence[Finding], *, quiet: bool) -> None:
        for finding in findings:
            if finding.whole:
                continue
            done = repair(finding)
            if not quiet:
                self.stdout.write(
                    f"{finding.poll}: {counted(done.rows, 'row')} read again, "
                    f"{counted(done.events, 'event')} recorded, {counted(done.resent, 'event')} sent again."
                )
        deliver_these({finding.poll.instance_id for finding in findings})

    def _report(self, findings: Sequence[Finding], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps([finding.as_json() for finding in findings], indent=2))
            return
        rows = [[finding.poll.name, *_counts(finding)] for finding in findings]
        self.stdout.write(terminal.table_of(("resource", *COLUMNS), rows))
        for finding in findings:
            self._ids(finding, "missed", finding.missed)
            self._ids(finding, "stale", finding.stale)
            self._ids(finding, "deleted", finding.deleted)
            self._ids(finding, "undated", finding.undated)
            for warning in warnings_of(finding.poll):
                self.stdout.write(f"{finding.poll.name}: {warning}")
        if any(finding.is_several for finding in findings):
            each = [(finding.poll.name, one) for finding in findings for one in finding.subscriptions]
            rows = [[name, one.name, *(str(getattr(one, count)) for count in COUNTS)] for name, one in each]
            words = (count.replace("_", " ") for count in COUNTS)
            self.stdout.write(terminal.table_of(("resource", "subscription", *words), rows))

    def _ids(self, finding: Finding, what: str, ids: Sequence[int]) -> None:
        if ids:
            shown = ", ".join(str(number) for number in ids[:IDS_SHOWN])
            self.stdout.write(f"{finding.poll.name}, {what}: {shown}{', …' if len(ids) > IDS_SHOWN else ''}")


def _is_missing(finding: Finding) -> bool:
    found = finding.missed or finding.stale or finding.deleted or finding.undelivered or finding.lost
    return bool(found)


def _counts(finding: Finding) -> list[str]:
    numbers = finding.as_json()
    return [str(len(value) if isinstance(value, list) else value) for value in (numbers[name] for name in COLUMNS)]


def _verify(polls: Sequence[ResourcePoll], *, quiet: bool) -> list[Finding]:
    findings = []
    with progress(quiet=quiet) as display:
        for poll in polls:
            bar = display.add_task(str(poll), total=None, done="reading")
            findings.append(verify(poll, timezone.now(), progress=partial(_show, display, bar)))
            display.update(bar, total=1, completed=1)
    return findings


def _show(display: Progress, bar: TaskID, rows: int) -> None:
    display.update(bar, done=counted(rows, "row"))


def _chosen(instance_id: int, resource: str | None) -> list[ResourcePoll]:
    polls = ResourcePoll.objects.filter(instance__in=chosen_instances(instance_id), enabled=True, since__isnull=False)
    if resource is not None:
        polls = polls.filter(name=resource)
    chosen = list(polls.select_related("instance__organization").order_by("pk"))
    if not chosen:
        raise CommandError("Nothing is watched there: no such resource, or events were never on.")
    return chosen
