"""What the letters of a date pattern stand for: numbers of a local time, and the time that such numbers mean.

The week rules are Java's for the United States, where the vendor's service ran: weeks begin on Sunday, and the week
with 1 January is the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Final

MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_WORDS: Final = {
    "Y": "week year", "M": "month", "d": "day", "D": "day of the year", "E": "weekday", "u": "weekday",
    "F": "weekday's number in the month", "w": "week", "W": "week of the month", "H": "hour", "k": "hour",
    "K": "hour", "h": "hour", "m": "minute", "s": "second", "y": "year", "a": "half of the day",
}  # fmt: skip
_RANGES: Final = {
    "y": (1, 9999), "Y": (1, 9999), "M": (1, 12), "d": (1, 31), "D": (1, 366), "E": (1, 7), "u": (1, 7), "F": (1, 5),
    "w": (1, 53), "W": (1, 6), "H": (0, 23), "k": (1, 24), "K": (0, 11), "h": (1, 12), "m": (0, 59), "s": (0, 59),
    "a": (0, 1),
}  # fmt: skip


def _sunday_based(day: date) -> int:
    """Days since the Sunday that began the week."""
    return day.isoweekday() % 7


def _week_year(day: date) -> int:
    saturday_in = 6 - _sunday_based(day)
    # The week that holds the next 1 January belongs to the next year.
    return day.year + (day.month == 12 and day.day + saturday_in > 31)


def _week(day: date) -> int:
    if _week_year(day) > day.year:
        return 1
    first = _sunday_based(date(day.year, 1, 1))
    return (day.timetuple().tm_yday - 1 + first) // 7 + 1


NUMBERS: Final[dict[str, Callable[[datetime], int]]] = {
    "y": lambda local: local.year,
    "Y": lambda local: _week_year(local.date()),
    "M": lambda local: local.month,
    "d": lambda local: local.day,
    "D": lambda local: local.timetuple().tm_yday,
    "E": lambda local: local.isoweekday(),
    "u": lambda local: local.isoweekday(),
    "F": lambda local: (local.day - 1) // 7 + 1,
    "w": lambda local: _week(local.date()),
    "W": lambda local: (local.day - 1 + _sunday_based(local.date().replace(day=1))) // 7 + 1,
    "a": lambda local: int(local.hour >= 12),
    "H": lambda local: local.hour,
    "k": lambda local: local.hour or 24,
    "K": lambda local: local.hour % 12,
    "h": lambda local: local.hour % 12 or 12,
    "m": lambda local: local.minute,
    "s": lambda local: local.second,
    "S": lambda local: local.microsecond // 1000,
}


def check_range(letter: str, value: int) -> None:
    """Raise `ValueError` if the number can't stand for the letter (hour 25, month 13)."""
    low, high = _RANGES[letter]
    if not low <= value <= high:
        raise ValueError(f"the {_WORDS[letter]} {value} is not between {low} and {high}")


def local_time(numbers: Mapping[str, int], microsecond: int = 0) -> datetime:
    """Return the naive time that numbers by letter mean; what is not given is that of 1970-01-01 00:00, as in Java.

    Of several days that fit (a week without a weekday), the first. Raises `ValueError` if none fits: an impossible
    date, or parts that contradict each other.
    """
    numbers = _calendar_year(numbers)
    time = timedelta(hours=_hour(numbers), minutes=numbers.get("m", 0), seconds=numbers.get("s", 0))
    wrong: set[str] = set()
    for day in _days(numbers):
        candidate = datetime(day.year, day.month, day.day) + time  # noqa: DTZ001  (a local time, its zone unknown here)
        letter = next((each for each, value in numbers.items() if NUMBERS[each](candidate) != value), None)
        if letter is None:
            return candidate.replace(microsecond=microsecond)
        wrong.add(letter)
    if len(wrong) == 1:
        raise ValueError(f"its {_WORDS[wrong.pop()]} does not go with the rest of it")
    raise ValueError("there is no such day")


def _calendar_year(numbers: Mapping[str, int]) -> Mapping[str, int]:
    """Read YYYY beside a month or a day as yyyy: who writes that pattern means the calendar's year."""
    if "Y" not in numbers or not numbers.keys() & {"M", "d"}:
        return numbers
    rest = {letter: value for letter, value in numbers.items() if letter != "Y"}
    return {"y": numbers["Y"], **rest}


def _hour(numbers: Mapping[str, int]) -> int:
    if "H" in numbers:
        return numbers["H"]
    if "k" in numbers:
        return numbers["k"] % 24
    half = 12 * numbers.get("a", 0)
    return numbers.get("K", numbers.get("h", 0)) % 12 + half


def _days(numbers: Mapping[str, int]) -> Iterator[date]:
    """Return the days that the numbers may mean, in order; each is still to be checked against all of them."""
    year = numbers.get("y", 1970)
    given = numbers.keys()
    if "d" in given:
        yield from _days_of_months(year, numbers)
    elif "D" in given and "Y" not in given:
        yield from _all_days(year, numbers)[numbers["D"] - 1 : numbers["D"]]
    elif "Y" in given and "y" not in given:
        # A week year begins in the last week of the year before, or on its own 1 January.
        yield from (*_all_days(numbers["Y"] - 1, {"M": 12}), *_all_days(numbers["Y"], numbers))
    elif given & {"w", "W", "F", "E", "u"}:
        yield from _all_days(year, numbers)
    else:
        yield date(year, numbers.get("M", 1), 1)


def _days_of_months(year: int, numbers: Mapping[str, int]) -> Iterator[date]:
    months = [numbers["M"]] if "M" in numbers else range(1, 13) if numbers.keys() & {"w", "D"} else [1]
    for month in months:
        try:
            yield date(year, month, numbers["d"])
        except ValueError:
            continue  # 31 April is no candidate


def _all_days(year: int, numbers: Mapping[str, int]) -> list[date]:
    """Return every day of the year, or of the month that is given."""
    if year < 1:
        return []
    month = numbers.get("M")
    start = date(year, month or 1, 1).toordinal()
    days = map(date.fromordinal, range(start, min(start + (31 if month else 366), date.max.toordinal() + 1)))
    return [day for day in days if day.year == year and month in (None, day.month)]
