"""Progress in the terminal, for commands in the foreground."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


def progress(*, quiet: bool = False) -> Progress:
    """Give a progress display on the terminal, with columns for what is done and how long it has taken."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[done]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True, quiet=quiet),
    )
