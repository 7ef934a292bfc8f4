"""gunicorn's worker: whole requests from the loop, answered by a few threads.

gunicorn's own threaded worker gives a connection a thread from its first byte, for as long as the client likes to take
over head, body or answer: nine slow ones stop the service. Here a thread is held by nothing but a view at work.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from gunicorn.errors import ConfigError
from gunicorn.http import wsgi
from gunicorn.workers import base

from cwconnect import settings
from cwconnect.core.request_ids import new_request_id
from cwconnect.web.connections import Connection
from cwconnect.web.event_loop import EventLoop
from cwconnect.web.parking import ENVIRON_KEY, CarPark, Parked, Parking
from cwconnect.web.reading import RequestReader
from cwconnect.web.refusals import refusal, status_of

_TICK = 0.5  # seconds; how late a deadline may be noticed
_OTHER_FILES = 128  # descriptors for database, outgoing requests and the rest


class Worker(base.Worker):  # type: ignore[misc]  # gunicorn ships no types
    """Serves the site in a process of its own; `threads`, `worker_connections` and the limits are gunicorn's."""

    alive: bool
    loop: EventLoop
    threads: ThreadPoolExecutor
    car_park: CarPark

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Refuse what this worker does not do; gunicorn calls it before it starts any."""
        if cfg.is_ssl:
            raise ConfigError("This worker speaks no TLS: a proxy in front does.")
        if cfg.threads < settings.WEB_THREADS:
            words = "With fewer than %d threads, calls to ConnectWise may leave too few of them to others."
            log.warning(words, settings.WEB_THREADS)

    def init_process(self) -> None:
        """Prepare threads and loop, then run."""
        self.cfg.set("sendfile", False)  # it would go past what is kept for slow readers
        self.threads = ThreadPoolExecutor(self.cfg.threads, thread_name_prefix="web")
        most = min(self.cfg.worker_connections, _raise_file_limit() - _OTHER_FILES)
        self.car_park = CarPark(submit=self.threads.submit, ask=self._ask_again, most=most // 2, wake=self._wake)
        self.loop = EventLoop(
            make_reader=self._make_reader,
            begin=self._begin,
            refuse=self._refuse,
            most_connections=most,
            keep_alive=self.cfg.keepalive,
            wake=self._wake,
        )
        super().init_process()

    def run(self) -> None:
        """Serve until a signal to stop, then answer what was begun, for `graceful_timeout` at most."""
        for listener in self.sockets:
            self.loop.listen(listener)
        self.loop.watch(self.PIPE[0], _empty)
        while self.alive and self.ppid == os.getppid():
            self.notify()
            self.loop.turn(_TICK)
            self.car_park.turn(self.loop)
        self.loop.stop_listening()
        self.car_park.end(self.cfg.threads)
        until = time.monotonic() + self.cfg.graceful_timeout
        self.loop.end_idle()
        while self.loop.connections and time.monotonic() < until:
            self.notify()
            self.car_park.turn(self.loop)
            self.loop.turn(_TICK)
            self.loop.end_idle()
        self.threads.shutdown(wait=False, cancel_futures=True)
        for listener in self.sockets:
            listener.close()

    def handle_quit(self, sig: int, frame: Any) -> None:
        """Stop at once."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        super().handle_quit(sig, frame)

    def _wake(self) -> None:
        try:
            os.write(self.PIPE[1], b"\0")
        except BlockingIOError:
            return  # full: it is awake

    def _make_reader(self, address: Any, begun: bytes, number: int) -> RequestReader:
        longest = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        return RequestReader(self.cfg, address, longest_body=longest, begun=begun, number=number)

    def _refuse(self, connection: Connection, error: Exception) -> None:
        """Write the server's own answer, and one line to the log under its id."""
        with new_request_id() as request_id:
            status = status_of(error)
            whom = connection.address[0] if isinstance(connection.address, tuple) else connection.address
            words = "Refused a request of %s with %d: %s"
            self.log.warning(words, whom, status, str(error) or type(error).__name__, exc_info=status == 500)
            try:
                connection.outgoing.sendall(refusal(error, connection.reader.path, request_id))
            except BrokenPipeError:
                return  # the loop finds it closed

    def _begin(self, connection: Connection, request: Any) -> None:
        self.threads.submit(self._answer, connection, request)

    def _ask_again(self, parked: Parked) -> None:
        self._answer(parked.connection, parked.request, parked)

    def _answer(self, connection: Connection, request: Any, before: Parked | None = None) -> None:
        """Answer one request, in a thread; `before`: it waited, and is asked again."""
        keep_alive: bool | None = False
        try:
            keep_alive = self._call(connection, request, before)
        except BrokenPipeError as error:
            self.log.debug("The reader of an answer is gone: %s", error)
        except _StartedAnswerError:
            self.log.exception("An answer broke off")
        except Exception as error:  # noqa: BLE001  (whatever it is, the client gets an answer)
            self._refuse(connection, error)
        finally:
            if keep_alive is not None:
                self.loop.answered(connection, keep_alive=keep_alive)

    def _call(self, connection: Connection, request: Any, before: Parked | None) -> bool | None:
        """Have the application answer; return whether the connection can be used again, None where it is parked."""
        environ: dict[str, Any] = {}
        response: Any = before.response if before else None
        began = datetime.now()  # noqa: DTZ005  (gunicorn's access log takes the difference)
        self.cfg.pre_request(self, request)
        try:
            made, environ = wsgi.create(request, connection.outgoing, connection.address, connection.server, self.cfg)
            environ["wsgi.multithread"] = True
            self._count(made, before)
            response = response or made
            if self._write(connection, request, response, environ, before):
                return None
            self.log.access(response, request, environ, datetime.now() - began)  # noqa: DTZ005  (as above)
        except Exception as error:
            if response is not None and response.headers_sent and not isinstance(error, BrokenPipeError):
                raise _StartedAnswerError from error
            raise
        finally:
            self.cfg.post_request(self, request, environ, response)
        return not (response.should_close() or request.body.failed)

    def _count(self, response: Any, before: Parked | None) -> None:
        self.nr += before is None
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False
        if not self.alive or not self.cfg.keepalive:
            response.force_close()

    def _write(
        self, connection: Connection, request: Any, response: Any, environ: dict[str, Any], before: Parked | None
    ) -> bool:
        """Write what the application answers; return whether the request waits for more (`parking`)."""
        state = before.ticket.state if before else None
        environ[ENVIRON_KEY] = parking = Parking(state, is_open=self.alive, has_room=self.car_park.has_room)
        goes_on = response.headers_sent
        statuses: list[str] = []
        start = (lambda status, *_: statuses.append(status)) if goes_on else response.start_response
        pieces = self.wsgi(environ, start)
        ticket = parking.ticket if statuses in ([], ["200 OK"]) else None
        try:
            if ticket is None or ticket.streams:
                for piece in pieces if statuses in ([], ["200 OK"]) else ():
                    response.write(piece)
            if ticket is None:
                response.close()
        finally:
            if hasattr(pieces, "close"):
                pieces.close()
        if ticket is not None:
            self.car_park.add(Parked(connection, request, ticket, response if ticket.streams else None))
            self.loop.finished(connection)
        return ticket is not None


class _StartedAnswerError(Exception):
    """A view failed when something of its answer was sent already: nothing but the end of the connection says so."""


def _empty(pipe: int) -> None:
    os.read(pipe, 4096)


def _raise_file_limit() -> int:
    """Allow as many open files as the system lets us, up to 4,096; return how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft
