"""The control over a running sandbox, in-process: its data, its faults, its roles, its keys, its log.

The control API offers the same over HTTP (`control.py`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cwconnect.sandbox.callbacks import Callbacks, Host
from cwconnect.sandbox.catalogue import list_key
from cwconnect.sandbox.data import Data
from cwconnect.sandbox.faults import Drop, Fault, Faults
from cwconnect.sandbox.keeping import KeptCompany
from cwconnect.sandbox.limits import RateLimit

_LOG_LENGTH = 10_000


@dataclass(frozen=True)
class SeenRequest:
    """A request as it came: `path` decoded and without the query, `headers` by lower-case name, no Authorization."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str] = field(repr=False)


@dataclass
class Login:
    """What a caller must show. Without a `client_id` any will do that is not empty."""

    company: str = "acme"
    public_key: str = "PUB"
    private_key: str = "PRIV"
    client_id: str | None = None
    wrong_client_id_status: int = 400


Hook = Callable[[SeenRequest], object]


class Store(Data):
    """The sandbox's data, and what happens to the requests for it."""

    def __init__(
        self,
        records: Mapping[str, int] | None = None,
        *,
        login: Login | None = None,
        seed: int = 1,
        clock: Callable[[], datetime] | None = None,
        extra_paths: Iterable[str] = (),
        host: Host | None = None,
        kept: KeptCompany | None = None,
    ) -> None:
        super().__init__(records, seed=seed, clock=clock, extra_paths=extra_paths, kept=kept)
        self.login = login or Login()
        self.watcher = self.callbacks = Callbacks(self, self.login.company, host)
        if kept is not None:
            self.callbacks.sites = kept.sites()
        self.link_host: str | None = None
        """The host named in `Link`, if not the one the request named."""
        self.patch_needs_custom_fields = False
        """Whether a PATCH of a record with custom fields is refused unless it replaces them, as on some sites."""
        self.limit = RateLimit()
        self._faults = Faults()
        self._hooks: list[Hook] = []
        self._log: deque[SeenRequest] = deque(maxlen=_LOG_LENGTH)

    # -- what a role sees ------------------------------------------------------------------------------------------

    def set_keys(self, public: str, private: str) -> None:
        """Change the keys that are accepted."""
        self.login.public_key, self.login.private_key = public, private

    def forbid(self, list_name: str) -> None:
        """Take the list from the caller's role: every request for it answers 403."""
        self.table(list_name).forbidden = True

    def allow(self, list_name: str) -> None:
        """Return the list back."""
        self.table(list_name).forbidden = False

    def withdraw(self, list_name: str) -> None:
        """Serve the list no longer, as a site that never had it: its path answers 404."""
        self.table(list_name).withdrawn = True

    def restore(self, list_name: str) -> None:
        """Serve the list again."""
        self.table(list_name).withdrawn = False

    def hide(self, list_name: str, ids: Iterable[int]) -> None:
        """Let rows vanish without a word, as a narrower role does: lists lack them, their ids answer 404."""
        with self.lock:
            self.table(list_name).hidden.update(ids)

    def show(self, list_name: str, ids: Iterable[int] | None = None) -> None:
        """Let hidden rows be seen again; all of them, if no ids are given."""
        with self.lock:
            table = self.table(list_name)
            table.hidden -= table.hidden.copy() if ids is None else set(ids)

    def conceal_stamps(self, list_name: str, ids: Iterable[int], *, concealed: bool = True) -> None:
        """Leave `_info.lastUpdated` out of rows as shown, or show it again; conditions go by it all the same."""
        with self.lock:
            unstamped = self.table(list_name).unstamped
            unstamped.update(ids) if concealed else unstamped.difference_update(ids)

    def garble(self, list_name: str, ids: Iterable[int], text: str | None = "NaN") -> None:
        """Show rows with `text` in place of a value, as records that are no JSON; as they are where it is None.

        An answer with their ids alone stays sound.
        """
        with self.lock:
            garbled = self.table(list_name).garbled
            for record_id in ids:
                if text is None:
                    garbled.pop(record_id, None)
                else:
                    garbled[record_id] = text.encode("utf-8", "surrogateescape")

    # -- faults ----------------------------------------------------------------------------------------------------

    def fail_next(
        self,
        n: int = 1,
        *,
        status: int | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        delay: float = 0,
        drop: Drop = False,
        broken_json: bool = False,
        path: str | None = None,
        method: str = "",
        skip: int = 0,
        late: bool = False,
    ) -> None:
        """Spoil the next `n` requests; only those whose path contains `path` (or the path of that list), after `skip`.

        `method` names the only one concerned, such as POST.

        `status` answers in place of the list, with ConnectWise's own body unless `body` (text, bytes or JSON) is
        given; 429 carries `Retry-After: 30` unless `headers` says otherwise. `delay` (seconds) waits before the
        answer, good or bad. `drop` hangs up without a byte and without effect, `"midway"` after half the body,
        `"after"` without a byte when all is done. `broken_json` sends half of the JSON as if it were all. With `late`
        the request has its effect before it is answered by `status` or `body`.
        """
        fault = Fault(status, body, tuple((headers or {}).items()), delay, drop, broken_json, late)
        table = self._tables.get(list_key(path or ""))
        self._faults.order(fault, times=n, skip=skip, path=table.spec.path if table else path or "", method=method)

    def clear_faults(self) -> None:
        """Forget the faults still to come."""
        self._faults.clear()

    def take_fault(self, path: str, method: str = "") -> Fault | None:
        """Return the fault due for a request to `path`; the server asks."""
        return self._faults.take(path, method)

    @property
    def requests_per_minute(self) -> int | None:
        """The requests that pass in a minute before 429 is answered; None for no limit, as at the start."""
        return self.limit.per_minute

    @requests_per_minute.setter
    def requests_per_minute(self, number: int | None) -> None:
        self.limit.per_minute = number

    # -- requests --------------------------------------------------------------------------------------------------

    @property
    def requests(self) -> list[SeenRequest]:
        """The latest 10,000 requests, oldest first, those of the control API left out."""
        with self.lock:
            return [*self._log]

    def clear_requests(self) -> None:
        """Empty the log of requests."""
        with self.lock:
            self._log.clear()

    def on_request(self, hook: Hook) -> Callable[[], None]:
        """Have `hook` called with each request after it is logged and before it is answered; gives what ends that.

        The hook runs in the request's thread and may use the store, so that rows move while a client pages. One
        that raises ends the connection without an answer.
        """
        self._hooks.append(hook)
        return lambda: self._hooks.remove(hook)

    def see(self, request: SeenRequest) -> None:
        """Log a request and call the hooks; the server calls this."""
        with self.lock:
            self._log.append(request)
        for hook in [*self._hooks]:
            hook(request)
