"""A growing file of lines, read as it grows."""

from __future__ import annotations

from pathlib import Path


class Tail:
    """Gives each line once it is whole: a reader may meet a line half written."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._rest = b""

    def lines(self) -> list[bytes]:
        """Return the lines that came since the last call."""
        *whole, self._rest = (self._rest + self._file.read()).split(b"\n")
        return whole

    def close(self) -> None:
        """Close the file."""
        self._file.close()
