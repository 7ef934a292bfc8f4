"""The rows of claimed polls: state, resource poll and instance by one statement, and the open runs by another.

They are read anew with each claim, since a person may have changed any of them; so what counts is how they are read.
"""

from __future__ import annotations

from collections.abc import Collection

from django.db import connection

from cwconnect.core.bulk_sql import keys
from cwconnect.core.row_models import ModelReader
from cwconnect.core.statements import AMONG, rows_of
from instances.models import Instance, ResourcePoll
from polling.models import PollRun, PollState

_STATES, _POLLS, _INSTANCES = ModelReader(PollState), ModelReader(ResourcePoll), ModelReader(Instance)
_RUNS = ModelReader(PollRun)
_CLAIMED = """SELECT {states}, {polls}, {instances} FROM polling_pollstate
JOIN instances_resourcepoll ON instances_resourcepoll.id = polling_pollstate.resource_poll_id
JOIN instances_instance ON instances_instance.id = instances_resourcepoll.instance_id
WHERE polling_pollstate.resource_poll_id {among}
"""
_OPEN = "SELECT {runs} FROM polling_pollrun WHERE status = 'open' AND resource_poll_id {among}"


def read_claimed(ids: Collection[int]) -> list[PollState]:
    """Return these states with their polls, instances and open runs (`open_runs`)."""
    among, given = AMONG[connection.vendor], [keys(ids)]
    columns = {"states": _STATES.columns, "polls": _POLLS.columns, "instances": _INSTANCES.columns}
    states: dict[int, PollState] = {}
    for row in rows_of(_CLAIMED.format(among=among, **columns), given):
        state, poll = _STATES.made_of(row), _POLLS.made_of(row[len(_STATES) :])
        poll.instance = _INSTANCES.made_of(row[len(_STATES) + len(_POLLS) :])
        state.resource_poll, vars(poll)["open_runs"] = poll, []
        states[state.pk] = state
    for row in rows_of(_OPEN.format(among=among, runs=_RUNS.columns), given):
        run = _RUNS.made_of(row)
        vars(states[run.resource_poll_id].resource_poll)["open_runs"].append(run)
    return list(states.values())
