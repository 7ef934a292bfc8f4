"""Strict readers of the environment, and the keys that the embedded default makes for itself.

Every setting may also be given as NAME_FILE, the path of a file that holds the value (Docker and systemd secrets).
A value that can't be read is an error at start that names the variable; nothing is guessed.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

names_read: set[str] = set()  # whatever else begins with CWCONNECT_ is a slip of the pen (see checks.py)
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}


def text(name: str, default: str = "") -> str:
    """Return the variable's value without surrounding space; NAME_FILE's content if only that is set."""
    names_read.add(name)
    if value := os.environ.get(name, "").strip():
        return value
    path = os.environ.get(f"{name}_FILE", "").strip()
    if not path:
        return default
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ImproperlyConfigured(f"{name}_FILE names a file that can't be read: {error}") from error


def certificates(name: str) -> str | None:
    """Return the path of a PEM file of further authorities, None if none is named. ImproperlyConfigured."""
    path = text(name)
    if not path:
        return None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (OSError, ValueError) as error:  # ssl's own errors are OSErrors
        raise ImproperlyConfigured(f"{name} names a file that can't be read as certificates (PEM): {error}") from error
    return path


def boolean(name: str, *, default: bool) -> bool:
    """Read yes/no, true/false, on/off, 1/0 in any case."""
    value = text(name).lower()
    if not value:
        return default
    if value in _TRUE | _FALSE:
        return value in _TRUE
    raise ImproperlyConfigured(f"{name} must be one of true, false, yes, no, on, off, 1, 0; it is {value!r}.")


def integer(name: str, default: int, *, minimum: int = 0) -> int:
    """Read a whole number not below `minimum`."""
    value = text(name)
    try:
        number = int(value) if value else default
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number; it is {value!r}.") from None
    if number < minimum:
        raise ImproperlyConfigured(f"{name} must be at least {minimum}; it is {number}.")
    return number


def choice(name: str, default: str, choices: Sequence[str]) -> str:
    """Read one of `choices`, in any case."""
    value = text(name, default).lower()
    if value not in choices:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(choices)}; it is {value!r}.")
    return value


def zone(name: str, default: str) -> str:
    """Read the name of a time zone."""
    value = text(name, default)
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ImproperlyConfigured(f"{name} must name a time zone, such as Europe/Berlin; it is {value!r}.") from None
    return value


def items(name: str, default: str = "") -> list[str]:
    """Read a comma-separated list; blanks are dropped."""
    return [part.strip() for part in text(name, default).split(",") if part.strip()]


def networks(name: str) -> list[Network]:
    """Read comma-separated networks in CIDR form (`10.0.0.0/8, ::1/128`)."""
    try:
        return [ipaddress.ip_network(part) for part in items(name)]
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must list networks in CIDR form: {error}.") from error


def durations(name: str, default: str) -> list[float]:
    """Read comma-separated numbers of seconds, each with an optional unit s, m or h (`0, 5s, 5m, 2h`)."""
    return [_seconds(name, part) for part in items(name, default)]


def _seconds(name: str, part: str) -> float:
    unit = {"s": 1, "m": 60, "h": 3600}.get(part[-1].lower())
    try:
        seconds = float(part[:-1]) * unit if unit else float(part)
    except ValueError:
        raise ImproperlyConfigured(f"{name}: {part!r} is no duration; write 5, 5s, 5m or 5h.") from None
    if not 0 <= seconds <= 30 * 86400:
        raise ImproperlyConfigured(f"{name}: {part!r} is not between 0 and 30 days.")
    return seconds


def key(name: str, file: Path, make: Callable[[], str], *, embedded: bool) -> str:
    """Return the key in the variable; else, in the embedded default only, the one kept in `file`, made at first use."""
    if value := text(name):
        return value
    if not embedded:
        raise ImproperlyConfigured(f"{name} must be set when CWCONNECT_DATABASE_URL is: all machines share one.")
    try:
        return _kept(file, make)
    except OSError as error:
        raise ImproperlyConfigured(f"CWCONNECT_DATA_DIR: {name} can't be kept in {file.parent}: {error}.") from error


def _kept(file: Path, make: Callable[[], str]) -> str:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not file.exists():
        # Written whole under another name, then linked: two processes that start together agree on one key,
        # and a crash half-way leaves no half key.
        draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(make())
        try:
            os.link(draft, file)
        except FileExistsError:
            pass  # the other process was first: its key is read below
        finally:
            draft.unlink()
    return file.read_text(encoding="utf-8").strip()


def replace_file(file: Path, content: str) -> None:
    """Put other content into a file that only its owner reads, whole or not at all."""
    draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)


def secrets_in(url: str, *, path: bool = False) -> list[str]:
    """Return what lets the reader of a URL in: its password, as written and decoded, and with `path` that too."""
    try:
        parts = urlsplit(url)
    except ValueError:  # refused by whoever reads it
        return []
    password = parts.password or ""
    return [text for text in (password, unquote(password), parts.path.strip("/") if path else "") if text]


def make_secret_key() -> str:
    """Make a Django secret key: 50 random bytes as text."""
    return secrets.token_urlsafe(50)


def make_encryption_key() -> str:
    """Make a Fernet key (cryptography's format: 32 random bytes, URL-safe base64)."""
    return Fernet.generate_key().decode()
