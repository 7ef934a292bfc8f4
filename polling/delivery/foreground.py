"""Deliveries in the foreground, for commands: attempts are made here, beside whatever workers run, with progress."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection

from django.db.models import QuerySet

from cwconnect.core.terminal import progress
from polling.delivery.delivery_loop import DeliveryLoop
from polling.delivery.delivery_request import DeliveryRequest, Outcome
from polling.delivery.fan_out.step import FanOut
from polling.models import Notification


def deliver_in_foreground(
    among: QuerySet[Notification],
    *,
    title: str,
    total: int | None,
    quiet: bool,
    done: Callable[[], int] | None = None,
    read_for: Collection[int] = (),
) -> Counter[str]:
    """Send what is due among these until nothing is; give how many attempts delivered and failed.

    `read_for`: the instances for whose subscriptions the log is read too. To others the workers see: where there always
    is something to read this would never end.
    `done` gives how many have come to their end, by whichever worker, where the caller knows; else attempts made here
    are shown.
    """
    results: Counter[str] = Counter(delivered=0, failed=0)
    with progress(quiet=quiet) as display:
        bar = display.add_task(title, total=total, done=words(results))

        def report(delivery_request: DeliveryRequest, outcome: Outcome) -> None:
            results["delivered" if outcome.delivered else "failed"] += 1
            completed = results["delivered"] if done is None or sum(results.values()) % 100 else done()
            display.update(bar, completed=completed, done=words(results))

        DeliveryLoop(among, deadline=float("inf"), report=report, fan_out=FanOut(read_for)).run()
        if done is not None:
            display.update(bar, completed=done())
    return results


def words(results: Counter[str]) -> str:
    """Say how attempts went."""
    return f"{results['delivered']} delivered, {results['failed']} attempts failed"
