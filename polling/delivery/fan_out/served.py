"""What the recorder of events asks: of which instances no notification is made with an event, and who is to be woken.

Asked inside the recording transaction, by one statement for all its instances. What it says may have changed once it
commits: `beginnings.switch_to_log` says why nothing is lost by that, nor sent twice.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.db import connection

from cwconnect.core.bulk_sql import keys
from cwconnect.core.statements import GIVEN, rows_of
from instances.models import Instance

# An instance of a former version's making has no row of its first subscription yet: it is served as ever.
_SERVED = """SELECT given.value,
    MAX(CASE WHEN paused_at IS NOT NULL THEN 1 ELSE 0 END),
    MAX(CASE WHEN polling_subscription.id = given.value AND (reads_log OR NOT enabled) THEN 1 ELSE 0 END),
    MAX(CASE WHEN reads_log AND enabled THEN 1 ELSE 0 END)
FROM {given}
LEFT JOIN polling_deliverystate ON polling_deliverystate.instance_id = given.value
LEFT JOIN polling_subscription ON polling_subscription.instance_id = given.value AND deleted_at IS NULL
GROUP BY given.value
"""


@dataclass(frozen=True)
class Served:
    """Of some instances, which are served how.

    `resting`: nothing may be sent to the first subscription now. `without`: no notification is made with their events,
    since it has no URL, is off, or reads the log. `read`: somebody reads the log of them.
    """

    resting: Collection[int]
    without: Collection[int]
    read: Collection[int]


def how_served(instances: Collection[Instance]) -> Served:
    """Return how the subscriptions of these instances are notified."""
    rows = rows_of(_SERVED.format(given=GIVEN[connection.vendor]), [keys({instance.pk for instance in instances})])
    off = {instance.pk for instance in instances if not instance.watching or not instance.callback_url}
    return Served(
        resting=off.union(key for key, paused, _, _ in rows if paused),
        without={
            *(key for key, _, without, _ in rows if without),
            *(instance.pk for instance in instances if not instance.callback_url),
        },
        read={key for key, _, _, read in rows if read},
    )
