"""What a command and all that it started have used of the machine, read from /proc (Linux)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """CPU seconds of all, those that ended included; peak of the largest, and memory of all now, shared pages once."""

    cpu: float
    largest_mb: float
    all_mb: float


def cpu_of(pid: int) -> float:
    """Return the CPU seconds of a process by itself, to the nanosecond."""
    return int(_read(pid, "schedstat").split()[0]) / 1e9


def usage_of_tree(pid: int) -> Usage:
    """Measure a process and its descendants."""
    return _usage([pid, *descendants(pid)])


def usage_of_server(part: str) -> Usage:
    """Measure the server one of whose children has `part` in its command line, as PostgreSQL's have the database."""
    return usage_of_tree(server_with(part))


def server_with(part: str) -> int:
    """Return the id of the server one of whose children has `part` in its command line now."""
    child = next(pid for pid in _all() if part in command_of(pid))
    return int(_stat(child)[1])


def usage_of_children(part: str) -> Usage:
    """Measure those of our own descendants that have `part` in their command lines."""
    return _usage([pid for pid in descendants(os.getpid()) if part in command_of(pid)])


def _usage(pids: list[int]) -> Usage:
    stats = [stat for pid in pids if (stat := _stat(pid))]
    cpu = sum(sum(int(field) for field in stat[11:15]) for stat in stats) / TICKS
    peaks = [_kilobytes(_read(pid, "status"), "VmHWM:") for pid in pids]
    limiter = [_kilobytes(_read(pid, "smaps_rollup"), "Pss:") for pid in pids]
    return Usage(cpu, max(peaks, default=0) / 1024, sum(limiter) / 1024)


def descendants(pid: int) -> list[int]:
    """Return the ids of all that a process has started and that lives, by age as far as ids show it."""
    parents = {child: int(stat[1]) for child in _all() if (stat := _stat(child))}
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found - {pid})


def command_of(pid: int) -> str:
    """Return a process's command line; empty if it has ended."""
    return _read(pid, "cmdline").replace("\0", " ").strip()


def _all() -> list[int]:
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*")]


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat behind the name: state, parent, …, utime, stime, and those of the ended."""
    return _read(pid, "stat").rpartition(") ")[2].split()


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace")
    except OSError:  # it has ended
        return ""


def _kilobytes(text: str, name: str) -> int:
    return int(text.split(name)[1].split()[0]) if name in text else 0
