"""The options by which commands limit the secrets that they make: --scope, --network, --expires."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser

from cwconnect.core.errors import DomainError
from cwconnect.core.time import parse_time
from instances.credentials.limits import Limits
from instances.credentials.limits_given import LimitsError, check_end, read_networks, with_writes
from instances.scopes import Scope

_OPTIONS = {"scope": "--scope", "writes": "--may-write", "networks": "--network", "expires_at": "--expires"}
_MOST_DAYS = 36_500


def add_limit_options(parser: CommandParser) -> None:
    """Take the three options."""
    parser.add_argument(
        "--scope",
        choices=Scope.values,
        help="what it may do: read; write, which is read and write to ConnectWise by hub routes; or manage",
    )
    parser.add_argument(
        "--network",
        action="append",
        metavar="CIDR",
        help="from where it is good, such as 203.0.113.0/24; may be given several times; from anywhere unless given",
    )
    parser.add_argument(
        "--expires",
        metavar="WHEN",
        help="when it ends: a time such as 2027-01-31T12:00:00Z, or a number of days from now on; never unless given",
    )


def limits_in(options: Mapping[str, Any], before: Limits, now: datetime) -> Limits:
    """Return what the options say, and where they say nothing the limits `before`; CommandError names the option."""
    try:
        found = replace(before, expires_at=_end(options["expires"], now))
        if options["scope"]:
            found = replace(found, scope=Scope(options["scope"]))
        if "may_write" in options:
            kept = found.writes and found.scope is not Scope.READ
            found = with_writes(found, wanted=options["may_write"] or kept)
        return replace(found, networks=read_networks(options["network"])) if options["network"] else found
    except LimitsError as error:
        raise CommandError(f"{_OPTIONS[error.field]}: {error.reason}") from None
    except DomainError as error:
        raise CommandError(error.message) from None


def _end(text: str | None, now: datetime) -> datetime | None:
    if text is None:
        return None
    days = int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else None
    if days is not None and days > _MOST_DAYS:
        raise CommandError(f"--expires: must be at most {_MOST_DAYS} days.")
    end = parse_time(text, "--expires") if days is None else now + timedelta(days=days)
    check_end(end, now)
    return end
