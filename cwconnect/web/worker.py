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
from cwconnect.web.reading import RequestReader
from cwconnect.web.refusals import refusal, status_of

_TICK = 0.5  # seconds; how late a deadline may be noticed
_OTHER_FILES = 128  # descriptors for database, outgoing requests and the rest


class Worker(base.Worker):  # type: ignore[misc]  # gunicorn ships no types
    """Serves the site in a process of its own; `threads`, `worker_connections` and the limits are gunicorn's."""

    alive: bool
    loop: EventLoop
    threads: ThreadPoolExecutor

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
        self.loop = EventLoop(
            make_reader=self._make_reader,
            begin=self._begin,
            refuse=self._refuse,
            most_connections=min(self.cfg.worker_connections, _raise_file_limit() - _OTHER_FILES),
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
        self.loop.stop_listening()
        until = time.monotonic() + self.cfg.graceful_timeout
        self.loop.end_idle()
        while self.loop.connections and time.monotonic() < until:
            self.notify()
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

    def _answer(self, connection: Connection, request: Any) -> None:
        """Answer one request, in a thread."""
        keep_alive = False
        try:
            keep_alive = self._call(connection, request)
        except BrokenPipeError as error:
            self.log.debug("The reader of an answer is gone: %s", error)
        except _StartedAnswerError:
            self.log.exception("An answer broke off")
        except Exception as error:  # noqa: BLE001  (whatever it is, the client gets an answer)
            self._refuse(connection, error)
        finally:
            self.loop.answered(connection, keep_alive=keep_alive)

    def _call(self, connection: Connection, request: Any) -> bool:
        """Have the application answer; return whether the connection can be used again."""
        environ: dict[str, Any] = {}
        response: Any = None
        began = datetime.now()  # noqa: DTZ005  (gunicorn's access log takes the difference)
        self.cfg.pre_request(self, request)
        try:
            response, environ = wsgi.create(
                request, connection.outgoing, connection.address, connection.server, self.cfg
            )
            environ["wsgi.multithread"] = True
            self._count(response)
            self._write(response, environ)
            self.log.access(response, request, environ, datetime.now() - began)  # noqa: DTZ005  (as above)
        except Exception as error:
            if response is not None and response.headers_sent and not isinstance(error, BrokenPipeError):
                raise _StartedAnswerError from error
            raise
        finally:
            self.cfg.post_request(self, request, environ, response)
        return not (response.should_close() or request.body.failed)

    def _count(self, response: Any) -> None:
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False
        if not self.alive or not self.cfg.keepalive:
            response.force_close()

    def _write(self, response: Any, environ: dict[str, Any]) -> None:
        pieces = self.wsgi(environ, response.start_response)
        try:
            for piece in pieces:
                response.write(piece)
            response.close()
        finally:
            if hasattr(pieces, "close"):
                pieces.close()


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
