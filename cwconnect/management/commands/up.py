"""`manage.py up`: everything in one command: migrates, then serves the web and works, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import errno
import http.client
import socket
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError, CommandParser
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.urls import reverse

from cwconnect.core import terminal
from cwconnect.core.process_group import ProcessGroup
from cwconnect.outbound import OutboundError
from cwconnect.site.demo import (
    Api,
    ApiError,
    Demo,
    accepts,
    demo_environment,
    instance_body,
    introduction,
    prepare,
    put_instance,
)
from cwconnect.site.demo_receiver import Arrival, Receiver
from instances.accounts import account_exists, first_start_code

_WSGI = "cwconnect.wsgi:application"
_GRACE_SECONDS = 8.7  # the promise is ten, with all that it takes to exit
_START_SECONDS = 60


class Command(terminal.Command):
    """Runs the web and the workers as one service."""

    help = "Migrate the database, then serve the API and the pages, poll and deliver, until Ctrl-C or SIGTERM."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take where to listen, how many workers, and whether to show a demo."""
        parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
        parser.add_argument("--port", type=int, default=8000, help="default: %(default)s")
        parser.add_argument(
            "--workers",
            type=int,
            default=settings.Q_CLUSTER["workers"],
            help="processes that poll and deliver (default: CWCONNECT_WORKERS, %(default)s)",
        )
        parts = parser.add_mutually_exclusive_group()
        parts.add_argument(
            "--web", action="store_true", help="serve the web alone, where others work: containers, further machines"
        )
        parts.add_argument(
            "--demo", action="store_true", help="add a ConnectWise sandbox, a receiver, and an instance between them"
        )

    def handle(self, **options: Any) -> None:
        """Run until a signal; exit code 1 if the web or the workers ended by themselves."""
        if warning := exposed(options["host"], settings.PUBLIC_URL):
            self.stderr.write(self.style.WARNING(warning))
        group = ProcessGroup()
        group.catch_signals()
        try:
            with ExitStack() as ending:
                listener = ending.enter_context(self._listen(options["host"], options["port"]))
                self._migrate()
                url = f"http://{_reachable(options['host'])}:{listener.getsockname()[1]}"
                if options["demo"]:
                    self._run_demo(group, ending, listener, url, options["workers"])
                else:
                    self._run(group, listener, url, None if options["web"] else options["workers"])
            if not group.stopping:
                raise CommandError(f"{group.gone() or 'The web server does not answer'}: everything is stopped.")
        finally:
            group.end(_GRACE_SECONDS)
            self._say("Stopped.")

    def _run(self, group: ProcessGroup, listener: socket.socket, url: str, workers: int | None) -> None:
        """Serve the web, and work by so many processes; None leaves the work to others."""
        self._start_web(group, listener, {})
        if workers is not None:
            self._start_work(group, workers, {})
        if group.wait(lambda: _answers(listener), seconds=_START_SECONDS):
            self._say(f"cwconnect is up: {url}/ (Ctrl-C ends it).")
            if not account_exists():
                self._say(f"Sign in for the first time: {url}{reverse('first-start')}?code={first_start_code()}")
            group.wait()

    def _run_demo(
        self, group: ProcessGroup, ending: ExitStack, listener: socket.socket, url: str, workers: int
    ) -> None:
        demo = prepare()
        environment = demo_environment(listener.getsockname()[1])
        receiver = ending.enter_context(Receiver(demo.signature_key, self._show))
        with demo.sandbox_keys() as keys:
            group.start("The sandbox", demo.sandbox_arguments(keys, url), pass_fds=[keys], quiet=True)
        self._start_web(group, listener, environment)
        ready = group.wait(lambda: accepts(demo.sandbox_port) and _answers(listener), seconds=_START_SECONDS)
        if not ready:
            return
        instance = self._make_instance(demo, url, receiver.url)
        self._start_work(group, workers, environment)
        self._say(introduction(demo, url, instance))
        group.wait()

    def _listen(self, host: str, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            return socket.create_server((host, port), family=family, backlog=128)
        except OverflowError:
            raise CommandError(f"There is no port {port}: choose one from 1 to 65535 with --port.") from None
        except UnicodeError:
            raise CommandError(f"There is no host {host}: choose an address of this machine with --host.") from None
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                message = f"Port {port} of {host} is in use. End what uses it, or choose another with --port."
            else:
                message = f"Can't listen on {host}, port {port}: {error.strerror or error}."
            raise CommandError(message) from error

    def _migrate(self) -> None:
        executor = MigrationExecutor(connection)
        if missing := len(executor.migration_plan(executor.loader.graph.leaf_nodes())):
            self._say(f"Preparing the database: {missing} migrations …")
            call_command("migrate", interactive=False, verbosity=0)
            self._say("The database is ready.")

    def _start_web(self, group: ProcessGroup, listener: socket.socket, environment: dict[str, str]) -> None:
        # The socket is ours and handed down, so that a port in use is known before anything is started.
        bind = f"fd://{listener.fileno()}"
        arguments = ["-m", "gunicorn", "-c", "python:cwconnect.gunicorn_settings", "--bind", bind, _WSGI]
        group.start("The web server", arguments, environment=environment, pass_fds=[listener.fileno()])

    def _start_work(self, group: ProcessGroup, workers: int, environment: dict[str, str]) -> None:
        arguments = ["-m", "cwconnect.core.run_with_parent", "work", f"--workers={workers}"]
        group.start("The worker", arguments, environment=environment)

    def _make_instance(self, demo: Demo, url: str, callback_url: str) -> int:
        with closing(Api(url, demo.authorization)) as api, closing(Api(demo.sandbox_root, "")) as sandbox:
            try:
                begun = sandbox.ask("GET", "/_sandbox/")["begun"]
                return put_instance(api, demo, instance_body(demo, callback_url, callbacks=True), begun)
            except (ApiError, OutboundError) as error:
                raise CommandError(f"The demo's instance could not be made: {error}") from error

    def _show(self, arrival: Arrival) -> None:
        self._say(f"{datetime.now(UTC):%H:%M:%S}  {arrival}")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def exposed(host: str, public_url: str) -> str:
    """Return what is wrong with listening on `host` without anything before it; empty if nothing is."""
    if public_url or is_loopback(host):
        return ""
    return (
        f"Warning: {host or 'every address'} is reached from other machines, and CWCONNECT_PUBLIC_URL is not set: "
        "passwords, secrets and tokens go over the network as they are. Put a proxy before it that does TLS "
        "(cwconnect/deploy/nginx.conf), have this listen on 127.0.0.1, and set CWCONNECT_PUBLIC_URL=https://…"
    )


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches what listens on `host`; a name but localhost may be any address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _answers(listener: socket.socket) -> bool:
    """Whether the web serves: our own copy of the socket accepts nothing, so an answer is the web server's."""
    host, port = listener.getsockname()[:2]
    connection = http.client.HTTPConnection(_reachable(host), port, timeout=2)
    try:
        connection.request("GET", "/healthz", headers={"Host": "localhost"})
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _reachable(host: str) -> str:
    """Return the host of a URL under which this machine reaches what listens on `host`."""
    if host in ("0.0.0.0", ""):  # noqa: S104  (compared, not bound)
        return "127.0.0.1"
    return "[::1]" if host == "::" else f"[{host}]" if ":" in host else host
