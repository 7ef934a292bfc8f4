"""Runs contestants and servers in processes of their own, and reports what came of it."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.long.benchmarks.measure import AT_THE_LINE, NOT_INSTALLED, Figure, table

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Bar:
    """A ratio to hold: `value` against `limit`, which it must reach (`at_least`) or must not pass."""

    what: str
    value: float
    limit: float
    at_least: bool = True

    @property
    def met(self) -> bool:
        """Whether it is held."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def options(description: str | None) -> argparse.ArgumentParser:
    """Return the parser with what all benchmarks understand."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON in place of tables")
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON", help="an interpreter that has the peers")
    parser.add_argument(
        "--under", default="", metavar="COMMAND", help="what each measurement is run by, such as 'taskset -c 1'"
    )
    return parser


def contend(
    module: str,
    *arguments: object,
    python: str = sys.executable,
    environment: Mapping[str, str] | None = None,
    under: str = "",
) -> Figure | None:
    """Run a contestant's module; None where it says that its package is not installed."""
    done = subprocess.run(
        [*shlex.split(under), *_command(module, arguments, python)],
        cwd=ROOT,
        env=_bare_environment() | dict(environment or {}),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode == NOT_INSTALLED:
        return None
    if done.returncode:
        raise SystemExit(f"{module} ended with {done.returncode}.")
    return Figure(**json.loads(done.stdout.splitlines()[-1]))


def side_by_side(
    processes: int,
    module: str,
    *arguments: object,
    name: str,
    environment: Mapping[str, str] | None = None,
    beside: Mapping[str, Callable[[], float]] | None = None,
) -> Figure:
    """Run a contestant that waits `at_the_line` in so many processes at once; give what they did together.

    Its seconds are those from the start to the end of the last, its CPU and what there is more that of all, its memory
    that of the largest. `beside` says how to read the CPU seconds of what they make work: its name → those of the race.
    """
    racers = [_racer(_command(module, arguments, sys.executable), environment or {}) for _ in range(processes)]
    for racer in racers:
        assert racer.stdout is not None
        if racer.stdout.readline().strip() != AT_THE_LINE:
            raise SystemExit(f"{module} did not come to the line.")
    before = {key: read() for key, read in (beside or {}).items()}
    began = time.perf_counter()
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    figures = [Figure(**json.loads(racer.communicate()[0].splitlines()[-1])) for racer in racers]
    more = {key: read() - before[key] for key, read in (beside or {}).items()}
    seconds = max(figure.ended for figure in figures) - began
    units, cpu = sum(figure.units for figure in figures), sum(figure.cpu for figure in figures)
    more |= {key: sum(figure.more[key] for figure in figures) for key in figures[0].more}
    return Figure(name, units, seconds, cpu, max(figure.peak_mb for figure in figures), more)


def _racer(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=_bare_environment() | dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _command(module: str, arguments: Sequence[object], python: str) -> list[str]:
    return [python, "-m", f"tests.long.benchmarks.{module}", *map(str, arguments)]


def _bare_environment() -> dict[str, str]:
    """The caller's own service is not what is measured."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CWCONNECT_")}


@contextmanager
def serving(*arguments: str) -> Iterator[str]:
    """Run a server, `python` with these arguments; give the URL at the end of its first line."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env=_bare_environment() | {"PYTHONUNBUFFERED": "1", "DJANGO_SETTINGS_MODULE": "tests.settings"},
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


@contextmanager
def sandbox(records: str, *arguments: str) -> Iterator[str]:
    """Run the ConnectWise sandbox with these records, such as `contacts=1000`; give its base URL."""
    quiet = ("--port", "0", "--changes-per-minute", "0")
    with serving("manage.py", "sandbox", *quiet, "--records", records, *arguments) as url:
        yield url


def report(
    title: str, unit: str, figures: Sequence[Figure], bars: Sequence[Bar], *, as_json: bool, notes: str = ""
) -> None:
    """Print the figures side by side, then the bars with whether they are met."""
    if as_json:
        sys.stdout.write(json.dumps(_as_json(title, unit, figures, bars, notes), indent=2) + "\n")
        return
    more = list(dict.fromkeys(key for figure in figures for key in figure.more))
    heads = [title, unit, "s", f"{unit}/s", "CPU s", f"CPU µs/{unit[:-1]}", "peak MB", *more]
    rows = [
        [f.name, f.units, f.seconds, f.rate, f.cpu, f.cpu_each, f.peak_mb, *(f.more.get(key, "") for key in more)]
        for f in figures
    ]
    parts = [table(heads, rows)]
    if bars:
        words = [[bar.what, bar.value, _limit(bar), "met" if bar.met else "NOT MET"] for bar in bars]
        parts.append(table(["bar", "measured", "wanted", ""], words))
    sys.stdout.write("\n\n".join([*parts, notes] if notes else parts) + "\n")


def _limit(bar: Bar) -> str:
    return f"{'≥' if bar.at_least else '≤'} {bar.limit:g}"


def _as_json(title: str, unit: str, figures: Sequence[Figure], bars: Sequence[Bar], notes: str) -> dict[str, object]:
    return {
        "benchmark": title,
        "unit": unit,
        "figures": [vars(f) | {"rate": f.rate, "cpu_us_each": f.cpu_each} for f in figures],
        "bars": [vars(bar) | {"met": bar.met} for bar in bars],
        "notes": notes,
    }
