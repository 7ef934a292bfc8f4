"""Records that are no clean JSON: the others of their page are recorded, they are noted, and nothing stalls."""

from __future__ import annotations

import json

import pytest

from polling.models import Event, Health, PollRun
from tests.polling.conftest import World
from tests.polling.sweeping import delete, sweep, watch_deletes

LEFT_OUT = {
    "NaN": b"NaN",
    "900 brackets with half a surrogate pair": b"[" * 900 + b'"\\ud83d"' + b"]" * 900,
    "an unknown escape": b'"\\x41"',
}
READ_ALL_THE_SAME = {"a raw control character": b'"ODD\nONE"', "a byte that is no UTF-8": b'"caf\xe9"'}


def break_record(world: World, record_id: int, *others: int, value: bytes) -> None:
    """Have the next page hold this record, its nickname broken, and the others."""
    records = [world.store.get("contacts", number) or {} for number in sorted((record_id, *others))]
    texts = [
        json.dumps(record | {"nickName": "ODD" if record["id"] == record_id else "x"}).encode().replace(b'"ODD"', value)
        for record in records
    ]
    world.store.fail_next(1, status=200, body=b"[" + b",".join(texts) + b"]", path="/company/contacts")


def run_of_a_poll(world: World) -> PollRun:
    world.poll()
    return PollRun.objects.latest("pk")


@pytest.mark.parametrize("value", LEFT_OUT)
@pytest.mark.parametrize(("broken", "others"), [(3, [4, 5]), (4, [3, 5]), (5, [3, 4]), (4, [])])
def test_the_others_of_its_page_are_recorded_and_it_is_noted(
    watched: World, value: str, broken: int, others: list[int]
) -> None:
    for number in (broken, *others):
        watched.change(number, "Chief")
    break_record(watched, broken, *others, value=LEFT_OUT[value])

    run = run_of_a_poll(watched)

    assert watched.told() == [("UPDATED", str(number)) for number in others]
    assert (run.status, run.skipped) == (PollRun.Status.COMPLETE, 1)
    assert f"record {broken} can't be read" in run.notes
    assert watched.state.health == Health.HEALTHY


@pytest.mark.parametrize("value", READ_ALL_THE_SAME)
def test_what_can_be_read_all_the_same_is_recorded_and_noted(watched: World, value: str) -> None:
    watched.change(4, "Chief")
    break_record(watched, 4, value=READ_ALL_THE_SAME[value])

    run = run_of_a_poll(watched)

    assert watched.told() == [("UPDATED", "4")]
    assert "record 4 is no clean JSON" in run.notes
    assert json.loads(Event.objects.get().record)["id"] == 4


@pytest.mark.parametrize(("status", "body"), [(204, b""), (200, b"null")])
def test_an_empty_page_by_another_name_ends_the_run(watched: World, status: int, body: bytes) -> None:
    watched.store.fail_next(1, status=status, body=body, path="/company/contacts")

    run = run_of_a_poll(watched)

    assert (run.status, run.error, watched.told()) == (PollRun.Status.COMPLETE, "", [])


def test_a_record_that_cannot_be_read_by_its_id_is_no_delete(world: World) -> None:
    watch_deletes(world)
    delete(world, 5, 7)
    world.store.fail_next(1, status=200, body=b'{"id": 7, "nickName": NaN}', path="/company/contacts/7")

    sweep(world)

    assert world.told() == [("DELETED", "5")]
