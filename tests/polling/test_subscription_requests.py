"""However many receivers an instance has, ConnectWise is asked what it is asked for one."""

from __future__ import annotations

import json

from polling.models import SubscriptionEvent
from tests.support.polled_instance import PolledInstance
from tests.support.read_log import read_log, subscribe


def _asked(notifying: PolledInstance, title: str) -> int:
    """Return how many requests a poll that finds two changes makes, with all that is made of them."""
    requests: list[object] = []
    stop = notifying.store.on_request(requests.append)
    for record in (1, 2):
        notifying.change(record, title)
    notifying.poll()
    read_log()
    stop()
    return len(requests)


def test_requests_are_those_of_one_receiver(notifying: PolledInstance) -> None:
    alone = _asked(notifying, "Chief")
    for number in range(5):
        wanted = {"where": f"title = '{'Owner' if number else 'nobody'}'", "changed": ["title"]}
        subscribe(notifying.instance, filter=json.dumps(wanted))

    assert _asked(notifying, "Owner") == alone > 0
    assert SubscriptionEvent.objects.filter(notification__isnull=False).count() == 8
    assert SubscriptionEvent.objects.filter(notification=None).count() == 2
