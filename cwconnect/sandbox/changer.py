"""Changes that happen by themselves: mostly edits, some new records, few deletes, in every list that has records."""

from __future__ import annotations

import sys
import threading
import time

from cwconnect.sandbox.errors import DataFileError
from cwconnect.sandbox.parts import PROBLEMS, TITLES, Draw
from cwconnect.sandbox.store import Store


class Changer:
    """A thread that changes something `rate` times a minute, at seeded but uneven moments."""

    def __init__(self, store: Store, rate: float) -> None:
        self._store = store
        self._draw = Draw(store.seed, 0xC0FFEE, 0)
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="sandbox-changes", daemon=True)
        self.rate = rate

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for the end."""
        self._stopping = True
        self._wake.set()
        self._thread.join(1)

    def set_rate(self, rate: float) -> None:
        """Change the number of changes a minute, from now on."""
        self.rate = rate
        self._wake.set()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stopping:
            # Between nothing and twice the mean.
            pause = 60 / self.rate * self._draw.below(1000) / 500 if self.rate > 0 else 0.0
            due = max(due + pause, time.monotonic()) if self.rate > 0 else 0.0
            if self._wake.wait(due - time.monotonic() if self.rate > 0 else None):
                self._wake.clear()
                due = time.monotonic()
            else:
                try:
                    self.change_something()
                except DataFileError as error:  # such as a full disk, which may pass
                    sys.stderr.write(f"{error}\n")

    def change_something(self) -> None:
        """Edit, create or delete one record: 80, 15 and 5 times in a hundred."""
        with self._store.lock:
            filled = [name for name, amount in self._store.lists().items() if amount]
            if not filled:
                return
            name, dice = self._draw.pick(filled), self._draw.below(100)
            number = self._draw.pick(self._store.ids(name))
            if dice < 80:
                key, record = self._store.table(name).spec.edit, self._store.get(name, number) or {}
                phrases = TITLES if key == "title" else PROBLEMS
                others = [phrase for phrase in phrases if phrase != record.get(key)]
                self._store.change(name, number, {key: self._draw.pick(others)})
            elif dice < 95:
                self._store.create(name)
            else:
                self._store.delete(name, number)
