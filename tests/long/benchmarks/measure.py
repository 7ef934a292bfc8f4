"""What a contestant measures of itself, and the tables made of it. Standard library only: peers use it too."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

AT_THE_LINE = "ready"
NOT_INSTALLED = 77  # a peer's exit code where its package is missing


@dataclass(frozen=True)
class Figure:
    """What one contestant did: `units` in wall and CPU seconds of its own process, and that process's peak memory."""

    name: str
    units: int
    seconds: float
    cpu: float
    peak_mb: float
    more: dict[str, float] = field(default_factory=dict)
    ended: float = 0.0  # by the clock that all processes share

    @property
    def rate(self) -> float:
        """Units per second."""
        return self.units / self.seconds

    @property
    def cpu_each(self) -> float:
        """CPU microseconds per unit."""
        return self.cpu / self.units * 1e6


class Stopwatch:
    """Measures what happens within `with`, however often: wall seconds, and CPU seconds of all threads in here."""

    seconds = cpu = 0.0

    def __enter__(self) -> Self:
        self._began, self._cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended = time.perf_counter()
        self.seconds += self._ended - self._began
        self.cpu += time.process_time() - self._cpu

    def figure(self, name: str, units: int, **more: float) -> Figure:
        """Return what was measured."""
        return Figure(name, units, self.seconds, self.cpu, peak_mb(), more, self._ended)


def peak_mb() -> float:
    """Return the most memory that this process ever held, in MB (Linux)."""
    return _memory("VmHWM")


def held_mb() -> float:
    """Return the memory that this process holds now, in MB (Linux)."""
    return _memory("VmRSS")


def _memory(name: str) -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split(f"{name}:")[1].split()[0]) / 1024


def at_the_line() -> None:
    """Say that all is ready, and wait for the start."""
    sys.stdout.write(AT_THE_LINE + "\n")
    sys.stdout.flush()
    sys.stdin.readline()


def hand_over(figure: Figure) -> None:
    """Print a figure for the process that started this one."""
    sys.stdout.write(json.dumps(asdict(figure)) + "\n")


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Lay rows out as a table of text: the first column to the left, numbers to the right."""
    texts = [[_text(cell) for cell in row] for row in [heads, *rows]]
    widths = [max(len(row[column]) for row in texts) for column in range(len(heads))]
    lines = [
        "  ".join(cell.ljust(width) if place == 0 else cell.rjust(width) for place, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(row, widths, strict=True)) for row in texts)
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _text(cell: object) -> str:
    if not isinstance(cell, float):
        return str(cell)
    return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.3g}" if abs(cell) < 1 else f"{cell:.1f}"
