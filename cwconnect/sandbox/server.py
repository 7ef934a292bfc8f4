"""The sandbox as a server: a thread per connection, on an address of its own, until it is stopped."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from cwconnect.sandbox import api, callers, control, wire
from cwconnect.sandbox.callbacks import Host
from cwconnect.sandbox.changer import Changer
from cwconnect.sandbox.companies import Companies
from cwconnect.sandbox.errors import DataFileError, Response, answer
from cwconnect.sandbox.faults import Fault
from cwconnect.sandbox.keeping import DataFile, KeptCompany
from cwconnect.sandbox.store import Login, SeenRequest, Store

_ACCEPT_SECONDS = 0.2
_STOP_SECONDS = 1.0


class SandboxServer:
    """A ConnectWise at `url`, controlled by `store` and at `control_url`; start it with `with` or `start()`.

    `records` gives the number of records by hub name or path (1,000 contacts and 500 incidents, if left out);
    `extra_paths` adds empty lists that the catalogue does not know. With `client_id` None any clientId will do but
    none at all. `clock` gives ConnectWise's time as an aware datetime. `callbacks_via` is the origin that callbacks
    are sent to in place of the one registered. `more_companies` are served beside, with the same login and records of
    their own: `companies.store(name)` controls one.

    `data` is a file that keeps the state; a later start goes on with it. `records` and `seed` are of the first start
    then: DataFileError where later others are given, or where the file can't be used. Without `data`, the seed is 1.
    """

    def __init__(
        self,
        *,
        company: str = "acme",
        public_key: str = "PUB",
        private_key: str = "PRIV",
        client_id: str | None = None,
        records: Mapping[str, int] | None = None,
        changes_per_minute: float = 0.0,
        seed: int | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Callable[[], datetime] | None = None,
        extra_paths: Iterable[str] = (),
        callbacks_via: str | None = None,
        more_companies: Iterable[str] = (),
        data: str | Path | None = None,
    ) -> None:
        self._file = file = None if data is None else DataFile(data)
        first_seed, extra_paths = 1 if seed is None else seed, tuple(extra_paths)
        make = partial(Store, records, seed=first_seed, clock=clock, extra_paths=extra_paths, host=Host())
        logins = [Login(name, public_key, private_key, client_id) for name in (company, *more_companies)]
        with file.beginning() if file else contextlib.nullcontext():
            kept = [KeptCompany(file, login.company, records, seed) if file else None for login in logins]
            stores = [make(login=login, kept=company) for login, company in zip(logins, kept, strict=True)]
        self.companies = Companies(stores)
        for store in stores:
            store.callbacks.settings.via = callbacks_via
        self.changer = Changer(self.store, changes_per_minute)
        self.host, self.port = host, port
        self._stopping = threading.Event()
        self._started = False
        self._listening: tuple[socket.socket, threading.Thread] | None = None
        """The listener and the thread that takes connections from it."""
        self._open: dict[socket.socket, threading.Thread] = {}
        self._open_lock = threading.Lock()

    @property
    def store(self) -> Store:
        """What the first company has, the only one as a rule; another one takes its place when it is set."""
        return self.companies.stores[0]

    @store.setter
    def store(self, store: Store) -> None:
        self.store.callbacks.stop()
        store.callbacks.site = self.root_url
        self.companies = Companies([store, *self.companies.stores[1:]])

    @property
    def root_url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The base URL of the REST API."""
        return f"{self.root_url}/v4_6_release/apis/3.0"

    @property
    def control_url(self) -> str:
        """The base URL of the control API."""
        return self.root_url + control.PREFIX

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Listen, and change things if asked to; OSError if the address is taken."""
        self._listen()
        for store in self.companies.stores:
            store.callbacks.site = self.root_url
        self.changer.start()
        self._started = True
        return self

    def stop(self) -> None:
        """Hang up on everyone, end all threads, within a second or so, and close the file of `data`."""
        self._stopping.set()
        self._hang_up()
        if self._started:
            self.changer.stop()
            for store in self.companies.stores:
                store.callbacks.stop()
        if self._file is not None:
            self._file.close()

    @contextlib.contextmanager
    def refusing(self) -> Iterator[None]:
        """Refuse all connections within, and hang up those that are open, as a host that is down for a while."""
        self._hang_up()
        try:
            yield
        finally:
            if not self._stopping.is_set():
                self._listen()

    def _listen(self) -> None:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listener = socket.create_server((self.host, self.port), family=family, backlog=128)
        listener.settimeout(_ACCEPT_SECONDS)
        self.port = listener.getsockname()[1]
        acceptor = threading.Thread(target=self._accept, args=(listener,), name="sandbox-accept", daemon=True)
        self._listening = (listener, acceptor)
        acceptor.start()

    def _hang_up(self) -> None:
        """Close the listener and all connections, and wait for their threads."""
        if self._listening is None:
            return
        (listener, acceptor), self._listening = self._listening, None
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # wakes the acceptor on Linux; elsewhere its time-out does
        acceptor.join(_STOP_SECONDS)
        listener.close()
        with self._open_lock:
            waiting = [*self._open.items()]
        for connection, _ in waiting:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        end = time.monotonic() + _STOP_SECONDS
        for _, thread in waiting:
            thread.join(max(end - time.monotonic(), 0))

    def _accept(self, listener: socket.socket) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), name="sandbox-connection", daemon=True)
            with self._open_lock:
                self._open[connection] = thread
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        """Answer requests until one side hangs up; a broken connection is the other side's affair."""
        try:
            with connection, connection.makefile("rb") as stream, contextlib.suppress(OSError):
                connection.setblocking(True)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while not self._stopping.is_set() and self._exchange(connection, stream):
                    pass
        finally:
            with self._open_lock:
                self._open.pop(connection, None)

    def _exchange(self, connection: socket.socket, stream: BinaryIO) -> bool:
        """Answer one request; False where the connection is done."""
        try:
            request = wire.read_request(stream)
        except wire.BadRequestError as error:
            response = Response(400, str(error).encode(), content_type="text/plain")
            connection.sendall(wire.serialise(response, self.store.date_header(), keep_alive=False))
            return False
        if request is None:
            return False
        store = self.companies.asked_by(request)
        try:
            response = self._respond(store, request)
        except DataFileError as error:
            response = answer({"message": str(error)}, 500)
        if response.drop:
            return False
        date = store.date_header()
        connection.sendall(wire.serialise(response, date, keep_alive=request.keep_alive))
        return request.keep_alive and response.cut is None

    def _respond(self, store: Store, request: wire.Request) -> Response:
        if request.path == control.PREFIX or request.path.startswith(control.PREFIX + "/"):
            refused = callers.refusal(request, host=self.host, port=self.port)
            return refused or control.respond(self.companies, self.changer, request)
        headers = {name: value for name, value in request.headers.items() if name != "authorization"}
        store.see(SeenRequest(request.method, request.path, dict(request.query), headers))
        refused = store.limit.refusal(time.monotonic())
        if refused is not None:
            return refused
        fault = store.take_fault(request.path, request.method) or Fault()
        if fault.delay and self._stopping.wait(fault.delay):
            return Response(0, drop=True)
        if fault.replaces():
            if fault.late:
                api.respond(store, request)
            return fault.spoil(fault.response())
        return fault.spoil(api.respond(store, request))
