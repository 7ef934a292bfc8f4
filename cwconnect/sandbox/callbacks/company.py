"""One company's callbacks: who is registered, what they hear of, and the control over it all."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, replace
from typing import Any

from cwconnect.sandbox.callbacks.entries import ALL_RECORDS, TYPES
from cwconnect.sandbox.callbacks.faults import NO_FAULT, CallbackFault, CallbackFaults
from cwconnect.sandbox.callbacks.host import Host
from cwconnect.sandbox.callbacks.messages import Message, Notice, build, new_message_id
from cwconnect.sandbox.callbacks.sender import Attempt, Sender, Settings
from cwconnect.sandbox.catalogue import API_MEMBER
from cwconnect.sandbox.data import Data
from cwconnect.sandbox.jsontext import Record, loads
from cwconnect.sandbox.table import Table
from cwconnect.sandbox.timestamps import to_text
from cwconnect.sandbox.watcher import Watcher

LIST = "callbacks"
_MEMBER = "zadmin1"
_REORDER_SECONDS = 1.0
_SETTLE_MARGIN = 0.01  # two clocks: the one that says what is due, and the one that waits
_TICKETS = {"ServiceTicket": "/service/tickets", "ProjectTicket": "/project/tickets"}
_TIME_ENTRIES, _NOTES = "/time/entries", "/notes"


class Callbacks(Watcher):
    """A company's registrations and what is sent to them; `data` tells of each change as its watcher."""

    def __init__(self, data: Data, company: str, host: Host | None = None) -> None:
        self.settings = Settings()
        self._host = host or Host()
        self.keyring = self._host.keyring
        self.company = company
        self.site = "http://127.0.0.1"
        """The sandbox's own origin, named where a registration was made without naming it."""
        self.table: Table = data.table(LIST)
        self._data = data
        self._sender = Sender(self.settings, self._host, company, self._switch_off)
        self._faults = CallbackFaults(data.seed)
        self._early = NO_FAULT
        self.sites: dict[int, str] = {}
        """By which origin of ours a registration was made, by its id: its callbacks name that one."""
        self._index: tuple[int, dict[str, list[Record]]] = (-1, {})
        self._behind: dict[int, list[Notice]] = defaultdict(list)

    # -- control ---------------------------------------------------------------------------------------------------

    def fail(
        self,
        n: int | None = 1,
        *,
        share: float = 1.0,
        skip: int = 0,
        type: str = "",  # noqa: A002  (as in a registration)
        action: str = "",
        **fault: Any,
    ) -> None:
        """Have the next `n` callbacks go wrong, or with None all until `clear_faults`; in a `share` of them only.

        `type` and `action` choose among them, `skip` lets so many pass before. `fault` gives what goes wrong
        (CallbackFault). With `early`, `n` counts changes and not callbacks.
        """
        self._faults.order(CallbackFault(**fault), times=n, share=share, skip=skip, kind=type, action=action)

    def clear_faults(self) -> None:
        """Forget the faults still to come."""
        self._faults.clear()

    def rotate_key(self, *, same_id: bool = False) -> str:
        """Give the company a new signing key, and return the id it is under: another one, unless asked otherwise."""
        return self.keyring.rotate(self.company, same_id=same_id).id

    @property
    def attempts(self) -> list[Attempt]:
        """The latest 10,000 attempts to send a callback, those dropped on order among them, oldest first."""
        return [*self._sender.attempts]

    def summary(self) -> Record:
        """Return how many callbacks came to what end, what waits, and the latest attempts."""
        latest = [asdict(attempt) for attempt in self.attempts[-100:]]
        return {"counts": dict(self._sender.counts), "waiting": len(self._host.lanes), "latest": latest}

    def take_held(self) -> list[Message]:
        """Return what was held (`settings.hold`), as requests signed now, and hold it no longer."""
        return [build(notice, self.keyring) for notice in self._sender.clear_held()]

    def release_held(self) -> None:
        """Send what was held."""
        for notice in self._sender.clear_held():
            self._sender.send(notice, held=False)

    def wait_idle(self, seconds: float = 10.0) -> bool:
        """Wait until all of the host's are sent, delayed and repeated ones too; return whether that came in time."""
        return self._host.lanes.idle_within(seconds)

    def stop(self) -> None:
        """End the host's threads; what waits is not sent."""
        self._host.lanes.stop()

    # -- registrations ---------------------------------------------------------------------------------------------

    def forget_failures(self, entry_id: int) -> None:
        """Count a registration's lost callbacks anew, as when it is switched on again."""
        self._sender.forget_failures(entry_id)

    def _switch_off(self, entry_id: int) -> None:
        with self._data.lock:
            row = self.table.row(entry_id)
            if row is not None:
                entry: Record = loads(row.body)
                stamp = {"lastUpdated": to_text(self._data.now())}
                self.table.put(entry | {"inactiveFlag": True, "_info": entry["_info"] | stamp})

    def _entries(self, kind: str) -> list[Record]:
        version, found = self._index
        if version != self.table.version:
            found = defaultdict(list)
            for row in self.table.rows:
                entry: Record = loads(row.body)
                if not entry.get("inactiveFlag"):
                    found[str(entry.get("type")).lower()].append(entry)
            self._index = (self.table.version, found)
        return found.get(kind, [])

    # -- changes, as the data's watcher ----------------------------------------------------------------------------

    def early(self, table: Table, action: str) -> float | None:
        """Return the seconds by which a change that begins now is announced before it can be read; None for not."""
        kind = _kind(table)
        heard = bool(kind and self._entries(kind))
        self._early = self._faults.take(kind, action, early=True) if heard else NO_FAULT
        return self._early.early or None

    def changed(self, table: Table, action: str, record: Record, by: str) -> None:
        """Have the registrations for a record hear of what became of it, and those for a ticket of what is beneath."""
        if not self.table.rows:
            return
        early, self._early = replace(self._early, early=0.0), NO_FAULT
        if kind := TYPES.get(table.spec.path):
            entity = None if action == "deleted" else record
            self._announce(kind, action, record["id"], entity, _member(record, by), by, early)
        if (ticket := self._ticket_above(table, record)) is not None:
            self._announce("ticket", "updated", ticket["id"], ticket, _member(record, by), by, early)

    def will_settle(self, seconds: float) -> None:
        """Let what waits become visible when it is due, so that callbacks tell of it though nobody reads."""
        if self.table.rows:
            later = seconds + _SETTLE_MARGIN
            self._host.lanes.add(0, lambda _connections: self._data.settle(), later, waited_for=False)

    def _ticket_above(self, table: Table, record: Record) -> Record | None:
        if table.spec.path == _TIME_ENTRIES:
            path, number = _TICKETS.get(str(record.get("chargeToType")), ""), str(record.get("chargeToId"))
        else:
            path, _, number = table.spec.path.lower().removesuffix(_NOTES).rpartition("/")
        if path not in _TICKETS.values() or not number.isdigit():
            return None
        row = self._data.table(path).row(int(number))
        ticket: Record | None = loads(row.body) if row else None
        return ticket

    def _announce(
        self, kind: str, action: str, number: int, entity: Record | None, member: str, by: str, early: CallbackFault
    ) -> None:
        for entry in self._entries(kind):
            if by == API_MEMBER and entry.get("isSelfSuppressedFlag"):
                continue
            if str(entry.get("level")).lower() != ALL_RECORDS and entry.get("objectId") != number:
                continue
            site = self.settings.site or self.sites.get(entry["id"], self.site)
            fault = self._faults.take(kind, action) if early == NO_FAULT else early
            self._enqueue(
                Notice(
                    entry["id"],
                    str(entry["url"]),
                    site,
                    self.company,
                    kind,
                    action,
                    number,
                    entity,
                    member,
                    new_message_id(),
                    replace(fault, poison=fault.poison or self.settings.poison),
                )
            )

    def _enqueue(self, notice: Notice) -> None:
        fault = notice.fault
        if fault.drop:
            return self._sender.drop(notice)
        if fault.reorder:
            self._behind[notice.entry_id].append(notice)
            patience = fault.delay or _REORDER_SECONDS
            self._sender.later(notice.entry_id, lambda _: self._send_behind(notice.entry_id), patience)
            return None
        for copy in range(1 + fault.duplicate):
            again = replace(notice, message_id=new_message_id()) if copy and fault.fresh_ids else notice
            self._sender.send(again, fault.delay)
        return self._send_behind(notice.entry_id)

    def _send_behind(self, entry_id: int) -> None:
        with self._data.lock:
            for notice in reversed(self._behind.pop(entry_id, [])):
                self._sender.send(notice)


def _kind(table: Table) -> str:
    path = table.spec.path
    return "ticket" if path.lower().endswith(_NOTES) else TYPES.get(path, "")


def _member(record: Record, by: str) -> str:
    return by or str((record.get("_info") or {}).get("updatedBy") or _MEMBER)
