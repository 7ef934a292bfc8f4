"""What a claim reads is what Django would read, though no Django query reads it."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import models
from django.utils import timezone

from polling.detection.claimed_states import read_claimed
from polling.models import PollRun, PollState
from tests.support.polled_instance import PolledInstance


def kept(row: models.Model) -> dict[str, Any]:
    """Return all that a model holds of its row, with the types."""
    return {
        name: (type(value), value)
        for name in (field.attname for field in row._meta.concrete_fields)
        for value in [vars(row)[name]]
    }


@pytest.mark.parametrize("filled", [True, False], ids=["filled", "bare"])
def test_the_rows_of_a_claim_are_those_that_django_reads(watched: PolledInstance, filled: bool) -> None:
    now, instance = timezone.now(), watched.instance
    if filled:
        PollState.objects.update(baseline_at=now, last_error="é", next_sweep_at=now.replace(microsecond=0), failures=3)
        instance.previous_key_until, instance.tags = now, ["a", {"b": None}]
        instance.save()
    PollRun.objects.create(resource_poll_id=watched.state.pk, started_at=now, held=[1, 2], notes="é")
    state = PollState.objects.select_related("resource_poll__instance").get(pk=watched.state.pk)
    [read] = read_claimed([state.pk])
    assert kept(read) == kept(state)
    assert kept(read.resource_poll) == kept(state.resource_poll)
    assert kept(read.resource_poll.instance) == kept(state.resource_poll.instance)
    assert read.resource_poll.instance.private_key.reveal() == state.resource_poll.instance.private_key.reveal()
    [run] = vars(read.resource_poll)["open_runs"]
    assert kept(run) == kept(PollRun.objects.get(status="open"))
    read.resource_poll.save()
    assert kept(state.resource_poll) == kept(PollState.objects.get(pk=state.pk).resource_poll)


def test_runs_that_have_ended_are_not_read(watched: PolledInstance) -> None:
    watched.poll()
    [read] = read_claimed([watched.state.pk])
    assert vars(read.resource_poll)["open_runs"] == []
