"""Readers of plain values: text, numbers, choices, lists, networks, folders."""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.exceptions import ImproperlyConfigured

from cwconnect.core.text import literal
from cwconnect.core.unseen import find_unseen

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

names_read: set[str] = set()  # whatever else begins with CWCONNECT_ is a slip of the pen (see checks.py)
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}
_LONGEST = 64 * 1024  # bytes of a value; more is a file named by mistake
_SHOWN = 40  # characters; a longer value is no slip of the pen but something else, pasted
_MOST_DURATIONS = 100
_SHORTEST_PASSPHRASE = 12
_BYTE_ORDER_MARK = "\ufeff"
_ZONES = Path("/usr/share/zoneinfo")


def text(name: str, default: str = "") -> str:
    """Return the variable's value without surrounding space; NAME_FILE's content if only that is set.

    An empty variable counts as not set. ImproperlyConfigured for what is no text, and for an empty file.
    """
    names_read.add(name)
    # Bytes of the environment that are not UTF-8 come as surrogates, which `encode` brings back.
    if value := _text_of(name, "holds", os.environ.get(name, "").encode("utf-8", "surrogateescape")):
        return value
    path = os.environ.get(f"{name}_FILE", "").strip()
    if not path:
        return default
    variable = f"{name}_FILE"
    if value := _text_of(variable, "names a file that holds", _content(variable, path)):
        return value
    raise ImproperlyConfigured(f"{variable} names a file that is empty.")


def _content(variable: str, path: str) -> bytes:
    try:
        with Path(path).open("rb") as stream:
            return stream.read(_LONGEST + 1)
    except (OSError, ValueError) as error:  # without the path: it may be the secret itself, given by the wrong name
        reason = getattr(error, "strerror", None) or "its name is no path"
        raise ImproperlyConfigured(f"{variable} names a file that can't be read: {reason}.") from None


def _text_of(variable: str, holds: str, content: bytes) -> str:
    """Return bytes as text, without a byte order mark and surrounding space."""
    try:
        return decoded(content)
    except ValueError as error:
        raise ImproperlyConfigured(f"{variable} {holds} {error}.") from None


def decoded(content: bytes) -> str:
    """Return UTF-8 text without a byte order mark and surrounding space. ValueError says what it holds instead."""
    if len(content) > _LONGEST:
        raise ValueError(f"more than {_LONGEST:,} bytes")
    try:
        found = content.decode("utf-8").strip().strip(_BYTE_ORDER_MARK).strip()
    except UnicodeDecodeError:
        raise ValueError("bytes that are not UTF-8 text") from None
    if unseen := find_unseen(found, allowed="\t\n\r"):
        raise ValueError(unseen)
    return found


def it_is(name: str, value: str) -> str:
    """Return the end of a sentence that says what the variable holds; nothing where that may be a secret.

    What stands in a file may be one, named by mistake, and so may a long text; a URL with an @ holds one.
    """
    given = bool(os.environ.get(name, "").strip())
    return f"; it is {literal(value)!r}" if given and len(value) <= _SHOWN and "@" not in value else ""


def token(name: str) -> str:
    """Read a secret or an id that is sent in a header: visible ASCII characters. It is never shown."""
    value = text(name)
    if not re.fullmatch(r"[!-~]*", value):
        raise ImproperlyConfigured(f"{name} must consist of visible ASCII characters, without spaces.")
    return value


def folder(name: str, default: Callable[[], Path]) -> Path:
    """Read the path of a folder, which need not be there yet; absolute. The default is asked for where it is needed."""
    value = text(name) or str(default())
    try:
        path = Path(value).resolve()
        if path.exists() and not path.is_dir():
            raise ImproperlyConfigured(f"{name} must name a folder; a file is there{it_is(name, value)}.")
    except (OSError, RuntimeError, ValueError) as error:  # too long, or links in a circle
        reason = getattr(error, "strerror", None) or "it can't be followed"
        raise ImproperlyConfigured(f"{name} must name a folder: {reason}.") from None
    return path


def optional_folder(name: str) -> Path | None:
    """Read the path of a folder, as `folder` does; None if none is named."""
    return folder(name, Path) if text(name) else None


def passphrase(name: str) -> str:
    """Read what people type to seal and open files: 12 characters or more, or nothing. It is never shown."""
    value = text(name)
    if 0 < len(value) < _SHORTEST_PASSPHRASE:
        raise ImproperlyConfigured(f"{name} must have at least {_SHORTEST_PASSPHRASE} characters.")
    return value


def make_folder(name: str, path: Path) -> None:
    """Make the folder that `name` stands for, for its owner alone, unless it is there."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ImproperlyConfigured(f"{name} names a folder that can't be made: {error.strerror}.") from None


def certificates(name: str) -> str | None:
    """Return the path of a PEM file of further authorities, None if none is named. ImproperlyConfigured."""
    path = text(name)
    if not path:
        return None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (OSError, ValueError) as error:  # ssl's own errors are OSErrors
        raise ImproperlyConfigured(f"{name} names a file that can't be read as certificates (PEM): {error}") from None
    return path


def boolean(name: str, *, default: bool) -> bool:
    """Read yes/no, true/false, on/off, 1/0 in any case."""
    value = text(name)
    if not value:
        return default
    if value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    raise ImproperlyConfigured(f"{name} must be one of true, false, yes, no, on, off, 1, 0{it_is(name, value)}.")


def integer(name: str, default: int, *, minimum: int, maximum: int) -> int:
    """Read a whole number, in ASCII digits, from `minimum` to `maximum`."""
    value = text(name)
    if not value:
        return default
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", value) or not minimum <= int(value) <= maximum:
        raise ImproperlyConfigured(
            f"{name} must be a whole number from {minimum:,} to {maximum:,}{it_is(name, value)}."
        )
    return int(value)


def choice(name: str, default: str, choices: Sequence[str]) -> str:
    """Read one of `choices`, in any case."""
    value = text(name, default)
    if value.lower() not in choices:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(choices)}{it_is(name, value)}.")
    return value.lower()


def zone(name: str, default: str) -> str:
    """Read the name of a time zone."""
    value = text(name, default)
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ImproperlyConfigured(
            f"{name} must name a time zone, such as Europe/Berlin{it_is(name, value)}."
        ) from None
    # Django refuses what the system does not know too, with a traceback; Python may know it from the package tzdata.
    if _ZONES.exists() and not _ZONES.joinpath(*value.split("/")).exists():
        raise ImproperlyConfigured(f"{name} must name a time zone that this machine knows{it_is(name, value)}.")
    return value


def items(name: str, default: str = "") -> list[str]:
    """Read a comma-separated list; blanks are dropped, but a list of blanks alone is refused."""
    value = text(name, default)
    found = [part.strip() for part in value.split(",") if part.strip()]
    if value and not found:
        raise ImproperlyConfigured(f"{name} holds nothing but commas.")
    return found


def networks(name: str) -> list[Network]:
    """Read comma-separated networks in CIDR form (`10.0.0.0/8, ::1/128`); an address stands for itself alone."""
    return [_network(name, part) for part in items(name)]


def _network(name: str, part: str) -> Network:
    try:
        return ipaddress.ip_network(part)
    except ValueError:
        hint = ""
    try:
        hint = f": {ipaddress.ip_network(part, strict=False)} would be one"  # its host's bits were set
    except ValueError:
        hint = it_is(name, part)
    raise ImproperlyConfigured(f"{name} must list networks in CIDR form, such as 10.0.0.0/8{hint}.")


def durations(name: str, default: str) -> list[float]:
    """Read comma-separated numbers of seconds, each with an optional unit s, m or h (`0, 5s, 5m, 2h`)."""
    parts = items(name, default)
    if len(parts) > _MOST_DURATIONS:
        raise ImproperlyConfigured(f"{name} must hold at most {_MOST_DURATIONS} durations.")
    return [_seconds(name, part) for part in parts]


def _seconds(name: str, part: str) -> float:
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smhSMH]?)", part)
    if not found:
        raise ImproperlyConfigured(f"{name} must hold durations, such as 5, 5s, 5m or 5h{it_is(name, part)}.")
    seconds = float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2].lower()]
    if seconds > 30 * 86400:
        raise ImproperlyConfigured(f"{name} must hold durations of at most 30 days{it_is(name, part)}.")
    return seconds
