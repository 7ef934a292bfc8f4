"""The service at the benchmark *pages*: number of instances, of events, name, looks at each page → a figure."""

from __future__ import annotations

import logging
import sys

from tests.long.benchmarks.measure import Figure, Stopwatch, hand_over
from tests.long.benchmarks.service import Tenants, set_up


def show(instances: int, events: int, name: str, times: int) -> Figure:
    """Fill the database, then look at every page."""
    set_up()
    from django.conf import settings
    from django.utils import timezone

    from tests.support.every_page import every_page
    from tests.support.filled_service import fill
    from tests.support.page_views import look, look_again, onlooker

    logging.disable(logging.WARNING)
    settings.ALLOWED_HOSTS = ["*"]
    organization = Tenants().organization
    filled = fill(organization, instances=instances, events=events, now=timezone.now())
    client = onlooker(organization)
    client.get("/signin")  # what a process does once, whichever page is asked for first
    more: dict[str, float] = {}
    with Stopwatch() as watch:
        # The overview before all others, so that its first answer owes nothing to them.
        for page in sorted(every_page(filled), key=lambda page: page.path != "/"):
            for seen in (look(client, page, times=times), look_again(client, page, times=times)):
                if seen is not None:
                    more |= {
                        f"{seen.page.name}|queries": seen.queries,
                        f"{seen.page.name}|first": seen.first_ms,
                        f"{seen.page.name}|ms": seen.ms,
                    }
    return watch.figure(name, len(more) // 3 * (times + 1), **more)


if __name__ == "__main__":
    hand_over(show(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
