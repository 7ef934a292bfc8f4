"""What commands print: names and words of outside are shown literally, and obeyed by no terminal and no library."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any, TextIO

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, OutputWrapper
from django.db import OperationalError
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from cwconnect.core.logs import redact
from cwconnect.core.starting import started
from cwconnect.core.text import literal


class LiteralOutput(OutputWrapper):
    """Django's wrapper of a stream; control characters in what is written are written out."""

    def write(  # type: ignore[override]  # as Django's own does
        self, msg: str = "", style_func: Callable[[str], str] | None = None, ending: str | None = None
    ) -> None:
        """Write a message and the ending; the style, whose codes are ours, comes after."""
        super().write(literal(msg), style_func, ending)


class Command(BaseCommand):
    """What all commands of the service are: they print names and words of outside as they stand."""

    def __init__(self, stdout: TextIO | None = None, stderr: TextIO | None = None, **options: Any) -> None:
        super().__init__(stdout, stderr, **options)
        style = self.stderr.style_func
        self.stdout, self.stderr = LiteralOutput(stdout or sys.stdout), LiteralOutput(stderr or sys.stderr)
        self.stderr.style_func = style

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run the command; streams that a caller names are written to literally as well.

        A database that can't be used ends it in a sentence, as any other setting that is wrong (CommandError).
        """
        if stdout := options.pop("stdout", None):
            self.stdout = LiteralOutput(stdout)
        if stderr := options.pop("stderr", None):
            self.stderr = LiteralOutput(stderr)
        if not self.requires_system_checks:
            started()
        try:
            return super().execute(*args, **options)
        except OperationalError as error:
            setting = "CWCONNECT_DATA_DIR" if settings.EMBEDDED else "CWCONNECT_DATABASE_URL"
            raise CommandError(f"The database ({setting}) can't be used: {redact(str(error)).strip()}") from error

    def check(self, *args: Any, **options: Any) -> None:
        """Run Django's checks, the last that is loaded before the command's own work."""
        super().check(*args, **options)
        started()


class _PlainColumn(ProgressColumn):
    """Text of a task, shown as it stands: square brackets are no markup."""

    def __init__(self, text: Callable[[Task], str]) -> None:
        super().__init__()
        self._text = text

    def render(self, task: Task) -> Text:
        """Return the text."""
        return Text(literal(self._text(task)))


def progress(*, quiet: bool = False) -> Progress:
    """Return a progress display on the terminal, with columns for what is done and how long it has taken."""
    return Progress(
        SpinnerColumn(),
        _PlainColumn(lambda task: task.description),
        BarColumn(bar_width=24),
        _PlainColumn(lambda task: str(task.fields["done"])),
        TimeElapsedColumn(),
        console=Console(stderr=True, quiet=quiet),
    )


def table_of(heads: Iterable[str], rows: Iterable[Iterable[str]], *, width: int = 120) -> str:
    """Return a table as text of so many columns at most, every cell shown as it stands."""
    table = Table(*heads)
    for row in rows:
        table.add_row(*(Text(literal(cell)) for cell in row))
    console = Console(width=width)
    with console.capture() as capture:
        console.print(table)
    return capture.get()
