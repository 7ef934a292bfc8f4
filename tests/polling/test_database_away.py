"""What a worker held when the database went away is free as soon as it is back, not when the leases run out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from polling.detection.poll_loop import PollLoop
from polling.models import PollState
from polling.workers.due import make_due
from tests.support.polled_instance import PolledInstance

pytestmark = pytest.mark.django_db(transaction=True)


class Away:
    """Fails every write from the n-th on: a full disk, seen from a worker."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.lstrip().startswith(("UPDATE", "INSERT", "DELETE", "WITH")):  # the first of these is the claim
            self.left -= 1
            if self.left < 0:
                raise OperationalError("database or disk is full")
        return execute(sql, params, many, context)


@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_a_poll_goes_on_as_soon_as_the_database_is_back(watched: PolledInstance, after: int) -> None:
    watched.change(3, "Chief")
    mine = PollState.objects.all()
    make_due(mine)
    with connection.execute_wrapper(Away(after)), pytest.raises(OperationalError):
        PollLoop(mine, deadline=float("inf")).run()
    assert watched.state.lease_until is not None
    assert watched.state.lease_until > timezone.now()
    make_due(mine)
    PollLoop(mine, deadline=float("inf")).run()
    assert watched.recorded() == [("UPDATED", "3")]
    assert watched.state.lease_token is None
