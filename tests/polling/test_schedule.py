"""When a failed delivery is tried again."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polling.delivery.retry_schedule import next_wait, retry_after_seconds

SCHEDULE = [0.0, 5.0, 300.0]
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def wait(step: int, status: int | None = 500, *, timed_out: bool = False, after: float | None = None) -> float | None:
    found = next_wait(SCHEDULE, step, status=status, timed_out=timed_out, retry_after=after)
    return None if found is None else found.total_seconds()


@given(st.integers(1, 2))
def test_each_wait_is_the_schedules_within_a_fifth(step: int) -> None:
    seconds = wait(step)
    assert seconds is not None
    assert SCHEDULE[step] * 0.8 <= seconds <= SCHEDULE[step] * 1.2


def test_after_the_last_step_there_is_none() -> None:
    assert wait(3) is None


def test_after_429_and_time_outs_a_minute_passes_at_least() -> None:
    assert wait(1, 429) == 60
    assert wait(1, None, timed_out=True) == 60


def test_retry_after_is_a_least_wait() -> None:
    assert wait(1, 503, after=90) == 90
    assert wait(2, 503, after=1) >= 240  # type: ignore[operator]  # step 2 has a wait


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("30", 30.0),
        (" 7 ", 7.0),
        ("Fri, 02 Jan 2026 03:05:05 GMT", 60.0),
        ("Fri, 02 Jan 2026 03:00:00 GMT", 0.0),
        ("999999999", timedelta(days=1).total_seconds()),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1e400", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(header: str, seconds: float | None) -> None:
    assert retry_after_seconds(header, NOW) == seconds
