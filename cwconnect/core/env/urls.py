"""Readers of URLs and hosts. A URL may hold a password, so no message shows any part of one."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from cwconnect.core.env.values import it_is, items, text
from cwconnect.core.hosts import host_problem

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_ENCODED = "Special characters in its user or password must be percent-encoded, such as # as %23."
_SQLITE, _POSTGRESQL = ("sqlite",), ("postgres", "postgresql", "pgsql")
_TRACES = "/v1/traces"  # https://opentelemetry.io/docs/specs/otlp/#otlphttp-request
_LONGEST_DATABASE = 63  # PostgreSQL cuts longer names off


def split_url(name: str, url: str, schemes: Collection[str]) -> SplitResult:
    """Return a URL's parts; ImproperlyConfigured, without any of them, for another scheme or what is malformed."""
    if re.search(r"\s", url) or _CONTROL.search(unquote(url)):
        raise ImproperlyConfigured(f"{name} must not hold spaces or control characters, percent-encoded ones included.")
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # raises where it is no number, or too large
        if parts.query:
            parse_qsl(parts.query, strict_parsing=True)
    except ValueError:
        raise ImproperlyConfigured(f"{name} can't be read: its host, port or query is malformed. {_ENCODED}") from None
    if parts.scheme not in schemes or "://" not in url:
        raise ImproperlyConfigured(f"{name} must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}.")
    if parts.fragment or parts.port == 0 or "@" in parts.path:
        raise ImproperlyConfigured(
            f"{name} can't be read: it holds a # or @ that is out of place, or the port 0. {_ENCODED}"
        )
    return parts


def is_host(host: str) -> bool:
    """Return whether this can be a host: a name that DNS could hold, in ASCII, or an address (IPv6 in no brackets)."""
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        return not host.startswith("[") and host_problem(host) is None


def site_url(name: str) -> str:
    """Read the URL of a site at the root of its host, as browsers write it (`https://a.example:8443`); may be empty."""
    url = text(name)
    if not url:
        return ""
    parts = split_url(name, url, tuple(_DEFAULT_PORTS))
    host = _served(parts.hostname or "")
    if host is None or host.startswith(".") or "@" in parts.netloc or parts.path not in ("", "/") or parts.query:
        raise ImproperlyConfigured(f"{name} must be a URL of a host alone, such as https://events.example.com.")
    plain = "" if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{host}{plain}"


def called_url(name: str) -> str:
    """Read the URL of a site that is called from elsewhere: https, or http for this machine alone; may be empty."""
    url = site_url(name)
    if url and not is_https_or_local(url):
        raise ImproperlyConfigured(
            f"{name} must begin with https://; http:// is for this machine alone, such as http://127.0.0.1:8000."
        )
    return url


def is_https_or_local(url: str) -> bool:
    """Whether what `site_url` read is https, or leads to this very machine, where nobody else listens in."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        return parts.scheme == "https" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def host_of(url: str) -> list[str]:
    """Return the host of what `site_url` read, as `hosts` gives it; nothing for an empty one."""
    return [host for host in [_served(urlsplit(url).hostname or "")] if host]


def hosts(name: str, default: str) -> list[str]:
    """Read comma-separated hosts that are answered: names, addresses, `.example.com` for all below it, `*` for all."""
    found = []
    for given in items(name, default):
        host = given if given == "*" else _served(given)
        if host is None:
            raise ImproperlyConfigured(
                f"{name} must list hosts alone, in ASCII, without scheme, port or path; .example.com stands for all "
                f"names below example.com{it_is(name, given)}."
            )
        found.append(host)
    return found


def _served(host: str) -> str | None:
    """Return a host as it stands in a Host header, without its port; None for what never stands there."""
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        plain = host.removesuffix(".").lower()
        # Django answers no host with an underscore.
        return plain if is_host(plain.removeprefix(".")) and "_" not in plain else None
    if isinstance(address, ipaddress.IPv4Address):
        return str(address) if bare == host else None
    return None if address.scope_id else f"[{address}]"


def proxy_url(name: str) -> str | None:
    """Read the URL of an http or https proxy, which may hold a user and password; None if none is named."""
    url = text(name)
    if not url:
        return None
    parts = split_url(name, url, ("http", "https"))
    if not is_host(parts.hostname or "") or parts.path not in ("", "/") or parts.query:
        raise ImproperlyConfigured(f"{name} must be a proxy's URL, such as http://proxy.example.com:3128.")
    return url


def proxy_hosts(name: str) -> list[str]:
    """Read comma-separated names that a proxy resolves: `conn.example`, `*.corp.example` for all below it, `*`."""
    found = [item.lower().removesuffix(".") for item in items(name)]
    for pattern in found:
        host = pattern.removeprefix("*.")
        if pattern != "*" and (not is_host(host) or _is_address(host)):
            raise ImproperlyConfigured(
                f"{name} must list names of hosts, in ASCII, without scheme, port or path; *.corp.example stands for "
                f"all names below corp.example{it_is(name, pattern)}."
            )
    return found


def _is_address(host: str) -> bool:
    return host.rpartition(".")[2].isdigit() or ":" in host


def otlp_endpoint(name: str) -> str:
    """Read where traces are sent, as OTLP over HTTP wants it; empty while they are off.

    That is this variable, else OpenTelemetry's own; which stay without effect where the extra is not installed: what
    sets those for all programs of a machine ends no start.
    """
    if url := text(name):
        _require(name, "opentelemetry.sdk", "tracing")
        return _traces_url(name, url)
    switched_off = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if switched_off or os.environ.get("OTEL_TRACES_EXPORTER", "otlp").strip() not in ("", "otlp"):
        return ""
    if url := os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "").strip():
        found = _traces_url("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", url, whole=True)
    elif url := os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip():
        found = _traces_url("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    else:
        return ""
    return found if _is_installed("opentelemetry.sdk") else ""


def otlp_credentials() -> list[str]:
    """Return the values of the headers that OpenTelemetry's own variables have a collector sent."""
    given = [os.environ.get(f"OTEL_EXPORTER_OTLP_{kind}HEADERS", "") for kind in ("", "TRACES_")]
    values = [header.partition("=")[2].strip() for headers in given for header in headers.split(",")]
    return [value for text in values for value in {text, unquote(text)} if value]


def _traces_url(name: str, url: str, *, whole: bool = False) -> str:
    """Return the URL that spans are posted to: of a base, the standard's path below it, unless that stands there."""
    parts = split_url(name, url, ("http", "https"))
    if not is_host(parts.hostname or "") or parts.query or "@" in parts.netloc:
        raise ImproperlyConfigured(
            f"{name} must be a collector's URL, such as http://collector:4318, without a user: credentials are headers."
        )
    return url if whole or parts.path.endswith(_TRACES) else url.rstrip("/") + _TRACES


def redis_url(name: str) -> str:
    """Read the URL of a Redis server, as redis-py takes it; may be empty."""
    url = text(name)
    if not url:
        return ""
    parts = split_url(name, url, ("redis", "rediss", "unix"))
    _require(name, "redis", "redis")
    if parts.scheme == "unix":
        sound = not parts.hostname and len(parts.path) > 1
    else:
        sound = is_host(parts.hostname or "") and bool(re.fullmatch(r"/?[0-9]*", parts.path))
    if not sound or not _redis_takes(url):
        raise ImproperlyConfigured(f"{name} must be a URL of Redis, such as redis://:password@host:6379/0. {_ENCODED}")
    return url


def _redis_takes(url: str) -> bool:
    """Return whether redis-py can make a connection of it; nothing is connected."""
    import redis

    try:
        redis.ConnectionPool.from_url(url).make_connection()
    except (ValueError, TypeError, AttributeError, redis.RedisError):  # what it says to options that it does not know
        return False
    return True


def database(name: str) -> dict[str, Any]:
    """Read the URL of a PostgreSQL or SQLite database as Django's settings of one; empty if none is named."""
    url = text(name)
    if not url:
        return {}
    if url != "sqlite://:memory:":  # a form of dj-database-url's own, which is no URL
        parts = split_url(name, url, (*_SQLITE, *_POSTGRESQL))
        (_check_sqlite if parts.scheme in _SQLITE else _check_postgresql)(name, parts)
    try:
        return dict(dj_database_url.parse(url))
    except ValueError:
        raise ImproperlyConfigured(f"{name} can't be read. {_ENCODED}") from None


def _check_sqlite(name: str, parts: SplitResult) -> None:
    path = unquote(parts.path[1:])
    if parts.netloc or parts.query or not path:
        raise ImproperlyConfigured(
            f"{name} must name SQLite's file and nothing else, such as sqlite:////var/lib/cwconnect/db.sqlite3."
        )
    if path != ":memory:" and (Path(path).is_dir() or not Path(path).absolute().parent.is_dir()):
        raise ImproperlyConfigured(f"{name} must name a file of SQLite, in a folder that is there.")


def _check_postgresql(name: str, parts: SplitResult) -> None:
    _require(name, "psycopg", "postgresql")
    host = unquote(parts.hostname or "")
    if host and not host.startswith("/") and not all(map(is_host, host.split(","))):
        raise ImproperlyConfigured(f"{name} can't be read: its host is malformed. {_ENCODED}")
    if not 0 < len(unquote(parts.path[1:]).encode()) <= _LONGEST_DATABASE:
        raise ImproperlyConfigured(
            f"{name} must end with a database's name, of at most {_LONGEST_DATABASE} bytes: "
            "postgres://user:password@host/name."
        )
    options = [option for option, _ in parse_qsl(parts.query)]
    if len(options) > len(set(options)) or not all(map(_libpq_knows, options)):
        raise ImproperlyConfigured(f"{name} has an option that PostgreSQL's client does not know, or one twice.")


def _libpq_knows(option: str) -> bool:
    """Return whether an option is one of PostgreSQL's client, which would refuse another at the first connection."""
    import psycopg
    from psycopg.conninfo import make_conninfo

    try:
        make_conninfo("", **{option: "1"})
    except psycopg.ProgrammingError:
        return option == "currentSchema"  # dj-database-url makes one of libpq's of it
    return True


def _require(name: str, package: str, extra: str) -> None:
    if not _is_installed(package):
        raise ImproperlyConfigured(f"{name} needs the extra {extra}: pip install -c constraints.txt -e '.[{extra}]'.")


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # what it would be in
        return False


def secrets_in(url: str, *, path: bool = False) -> list[str]:
    """Return what lets the reader of a URL in: its password, as written and decoded, and with `path` that too."""
    try:
        parts = urlsplit(url)
    except ValueError:  # refused by whoever reads it
        return []
    password = parts.password or ""
    return [text for text in (password, unquote(password), parts.path.strip("/") if path else "") if text]
