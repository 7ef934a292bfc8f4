"""`manage.py sandbox`: the ConnectWise sandbox alone, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import json
import signal
import threading
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import CommandError, CommandParser

from cwconnect.core import terminal
from cwconnect.sandbox import SandboxServer
from cwconnect.sandbox.errors import DataFileError, UnknownListError
from cwconnect.sandbox.timestamps import to_text

_OPTIONS = (
    *("host", "port", "company", "public_key", "private_key", "client_id"),
    *("records", "changes_per_minute", "seed", "callbacks_via", "more_companies", "data"),
)


def read_records(text: str) -> dict[str, int]:
    """Read `contacts=1000,incidents=500`; each list by hub name or path."""
    records = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, amount = part.partition("=")
        if not amount.strip().isdigit():
            raise ArgumentTypeError(f"{part!r} is not of the form contacts=1000")
        records[name.strip()] = int(amount)
    return records


def _keys_from(descriptor: int) -> dict[str, str]:
    """Read the keys from an open file, and close it; CommandError where they are not in it."""
    try:
        with open(descriptor, encoding="utf-8") as stream:
            keys = json.load(stream)
        return {"public_key": str(keys["public"]), "private_key": str(keys["private"])}
    except (OSError, ValueError, KeyError, TypeError):
        raise CommandError(f'File {descriptor} holds no keys: {{"public": …, "private": …}} is wanted.') from None


class Command(terminal.Command):
    """Serves a ConnectWise made of realistic records."""

    help = "Run a ConnectWise sandbox: the REST API under /v4_6_release/apis/3.0, its control under /_sandbox/."
    requires_system_checks = ()  # it uses none of the site's settings

    def add_arguments(self, parser: CommandParser) -> None:
        """Take where to listen, who may log in, which records there are, and what happens to them."""
        parser.epilog = (
            "Log in by HTTP Basic as COMPANY+PUBLIC:PRIVATE, with any clientId header: curl -u acme+PUB:PRIV "
            "-H clientId:any http://127.0.0.1:8100/v4_6_release/apis/3.0/company/contacts. docs/sandbox.md says what "
            "it can do, and how to have it fail."
        )
        parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
        parser.add_argument("--port", type=int, default=8100, help="0 takes a free one (default: %(default)s)")
        self._add_logins(parser)
        self._add_records(parser)
        parser.add_argument(
            "--callbacks-via",
            metavar="URL",
            help="send callbacks to this origin, such as http://127.0.0.1:8000, in place of the one registered",
        )

    def _add_logins(self, parser: CommandParser) -> None:
        parser.add_argument("--company", default="acme", help="the company to log in to (default: %(default)s)")
        parser.add_argument(
            "--more-companies",
            nargs="+",
            default=(),
            metavar="NAME",
            help="further companies to serve with the same keys, each with records of its own",
        )
        parser.add_argument("--public-key", default="PUB", help="default: %(default)s")
        parser.add_argument("--private-key", default="PRIV", help="default: %(default)s")
        parser.add_argument(
            "--keys-fd",
            type=int,
            metavar="FD",
            help='an open file to read both keys from, as {"public": …, "private": …}: no process list shows them then',
        )
        parser.add_argument("--client-id", default=None, help="the only clientId accepted (default: any)")

    def _add_records(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--records",
            type=read_records,
            metavar="LIST=N,…",
            help="the lists that have records at the start, by name or path, such as contacts=100000,/company/notes=5 "
            "(default: 1000 contacts, 500 incidents, some of each other kind)",
        )
        parser.add_argument("--seed", type=int, help="same seed, same records (default: 1)")
        parser.add_argument(
            "--data",
            metavar="FILE",
            help="keep all records in this file, made if there is none: the next start goes on where this one ended, "
            "however it ended. --records and --seed are of the first start (default: everything is forgotten)",
        )
        parser.add_argument(
            "--changes-per-minute",
            type=float,
            default=30.0,
            metavar="N",
            help="records edited, made and deleted by themselves; 0 for none (default: %(default)s)",
        )

    def handle(self, **options: Any) -> None:
        done = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda _number, _frame: done.set())
        if options["keys_fd"] is not None:
            options |= _keys_from(options["keys_fd"])
        try:
            server = SandboxServer(**{name: options[name] for name in _OPTIONS}).start()
        except OverflowError:
            raise CommandError(f"There is no port {options['port']}: choose one from 0 to 65535 with --port.") from None
        except (DataFileError, UnknownListError, OSError) as error:
            raise CommandError(str(error)) from error
        try:
            self._say(server, options["data"])
            done.wait()
        finally:
            server.stop()

    def _say(self, server: SandboxServer, data: str | None) -> None:
        self.stdout.write(f"ConnectWise sandbox at {server.url}")
        self.stdout.write(f"Control at {server.control_url}/")
        if data:
            self.stdout.write(f"Kept in {data}, begun {to_text(int(server.store.begun))}")
        for name, amount in server.store.lists().items():
            if amount:
                self.stdout.write(f"  {name}: {amount}")
        self.stdout.flush()
