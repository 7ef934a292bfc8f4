"""Every setting, whatever is typed: taken, or refused by a sentence that names it and shows no secret.

The settings are found by running the settings' own module, so that a new one is tried without a word here.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.conf import settings as ours
from django.core.exceptions import ImproperlyConfigured
from django.test import Client, override_settings
from django.utils import timezone

from cwconnect.core import env
from cwconnect.outbound import OutboundClient
from cwconnect.site.checks import check_encryption_keys, check_queue, check_urls
from tests.site.bad_values import FILES, SECRET, VALUES
from tests.site.test_checks import manage
from tests.support.required import lengthy

ROOT = Path(ours.BASE_DIR)
KEYS = {
    "CWCONNECT_SECRET_KEY": "x" * 60,
    "CWCONNECT_ENCRYPTION_KEYS": "ZmDfcTF7_60GrrY167zsiPd67pEvs0aGOv2oasOM1Pg=",
}


def settings_of(data: Path, **environment: str) -> dict[str, Any]:
    """Return what the settings' module makes of an environment that holds these alone."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CWCONNECT_")}
    with patch.dict(os.environ, kept | {"CWCONNECT_DATA_DIR": str(data)} | environment, clear=True):
        spec = spec_from_file_location("settings_tried", ROOT / "cwconnect" / "settings.py")
        assert spec is not None
        assert spec.loader is not None
        spec.loader.exec_module(tried := module_from_spec(spec))
    return vars(tried)


NAMES = sorted(name for name in env.names_read if not name.startswith("FUZZED"))


def environments(name: str, folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Name and give each bad environment of one setting."""
    for value in VALUES:
        yield value[:80], {name: value}
    yield "the secret as a path", {f"{name}_FILE": SECRET}
    for number, (label, make) in enumerate(FILES.items()):
        file = folder / f"file {number}"
        make(file)
        yield label, {f"{name}_FILE": str(file)}


def beside(name: str) -> dict[str, str]:
    """Return what else is to be set, so that the setting is read at all."""
    return {} if name in KEYS else KEYS


def outcome(name: str, environment: Mapping[str, str], folder: Path) -> str:
    """Return what is wrong with how the settings take it; empty if nothing is."""
    try:
        found = settings_of(folder / "data", **beside(name) | dict(environment))
    except ImproperlyConfigured as error:
        words = str(error)
        return "" if name in words and SECRET not in words else f"refused without its name, or with a secret: {words}"
    except Exception as error:  # noqa: BLE001  (any other is what must not happen)
        return f"{error!r}"[:200]
    return _use(name, found, folder / "data")


@cache
def plain(data: Path) -> dict[str, Any]:
    """Return the settings of an environment that says nothing."""
    return settings_of(data, **KEYS)


_APART = {"DATABASES", "CACHES", "LOGGING", "DATA_DIR", "SECRET_KEY", "BASE_DIR"}
_OUTWARD = {"HTTP_PROXY", "HTTP_PROXY_HOSTS", "CA_FILE", "PRIVATE_NETWORKS"}


def _use(name: str, found: Mapping[str, Any], data: Path) -> str:
    """Serve with what was taken; the checks may still refuse it, by name."""
    usual = plain(data)
    taken = {key: found[key] for key in found.keys() - _APART if key.isupper() and found[key] != usual[key]}
    with override_settings(**taken):
        checked = check_encryption_keys if "ENCRYPTION_KEYS" in taken else check_queue
        if problems := [
            *checked(),
            *(check_urls() if {"HEARTBEAT_URL", "OPERATOR_WEBHOOK_URL"} & taken.keys() else ()),
        ]:
            return "" if name in problems[0].msg and SECRET not in problems[0].msg else str(problems)
        timezone.now() - timedelta(days=found["RETENTION_DAYS"])
        if _OUTWARD & taken.keys():
            proxy, hosts = found["HTTP_PROXY"] or "http://127.0.0.1:9", found["HTTP_PROXY_HOSTS"]
            client = OutboundClient(found["PRIVATE_NETWORKS"], proxy, ca_file=found["CA_FILE"], proxy_hosts=hosts)
            client.close()
        return _served(found["ALLOWED_HOSTS"][-1]) if taken else ""


def _served(host: str) -> str:
    """Ask an API route, a page and the probes at a host that is answered."""
    name = host.removeprefix("*").removeprefix(".") or "localhost"
    client = Client(raise_request_exception=False, headers={"Host": name})
    statuses = {path: client.get(path).status_code for path in ("/healthz", "/metrics", "/instances", "/app/signin")}
    return "" if all(status in (200, 301, 302, 401) for status in statuses.values()) else f"{statuses} at {name}"


@lengthy
@pytest.mark.django_db
@pytest.mark.parametrize("name", NAMES)
def test_whatever_a_setting_holds_it_is_taken_or_refused_by_name(name: str, tmp_path: Path) -> None:
    wrong = {}
    for label, environment in environments(name, tmp_path):
        if said := outcome(name, environment, tmp_path):
            wrong[label] = said
    assert wrong == {}


def test_all_settings_are_found() -> None:
    asked = {
        argument.value
        for app in ("cwconnect", "instances", "polling")
        for file in (ROOT / app).rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        for argument in call.args[:1]
        if isinstance(argument, ast.Constant) and re.fullmatch("CWCONNECT_[A-Z_]*[A-Z]", str(argument.value))
    }
    assert set(NAMES) == asked
    assert len(NAMES) > 20


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTP_PROXY", "proxy.example.com:3128"),
        ("HTTP_PROXY", "socks5://127.0.0.1:1080"),
        ("HTTP_PROXY_HOSTS", "https://conn.example"),
        ("HTTP_PROXY_HOSTS", "conn.example:443"),
        ("HTTP_PROXY_HOSTS", "conn.example, *.*.example"),
        ("HTTP_PROXY_HOSTS", "*conn.example"),
        ("HTTP_PROXY_HOSTS", "10.0.0.1"),
        ("HTTP_PROXY", f"http://user:{SECRET}@a..b:3128"),
        ("HTTP_PROXY", f"http://user:{SECRET}@proxy.example.com:3128/path"),
        ("DATABASE_URL", f"postgres://user:{SECRET}#x@127.0.0.1:5432/db"),
        ("DATABASE_URL", f"postgres://user:1?{SECRET}@127.0.0.1:5432/db"),
        ("DATABASE_URL", f"postgress://user:{SECRET}@127.0.0.1:5432/db"),
        ("DATABASE_URL", f"mysql://user:{SECRET}@127.0.0.1/db"),
        ("DATABASE_URL", f"postgres://user:{SECRET}@127.0.0.1/db?foo=1"),
        ("DATABASE_URL", f"postgres://user:{SECRET}@127.0.0.1/"),
        ("DATABASE_URL", f"postgres://user:{SECRET}@127.0.0.1/{'d' * 64}"),
        ("DATABASE_URL", "sqlite://db.sqlite3"),
        ("DATABASE_URL", "sqlite:////nowhere/at/all/db.sqlite3"),
        ("REDIS_URL", "127.0.0.1:6379"),
        ("REDIS_URL", f"redis://:{SECRET}@127.0.0.1:6379/first"),
        ("REDIS_URL", f"redis://:{SECRET}@127.0.0.1:port/0"),
        ("REDIS_URL", f"redis://:{SECRET}@127.0.0.1:6379/0?nothing=1"),
        ("PUBLIC_URL", "https://[::1"),
        ("PUBLIC_URL", "events.example.com"),
        ("PUBLIC_URL", "ftp://events.example.com"),
        ("PUBLIC_URL", "https://"),
        ("PUBLIC_URL", "https://a.example/sub"),
        ("PUBLIC_URL", "https://a.example?x=1"),
        ("PUBLIC_URL", f"https://user:{SECRET}@a.example"),
        ("PUBLIC_URL", "https://a.example:99999"),
        ("PUBLIC_URL", "https://my_host"),
        ("CALLBACK_URL", "http://events.example.com"),
        ("CALLBACK_URL", f"https://user:{SECRET}@a.example"),
        ("ALLOWED_HOSTS", "https://events.example.com"),
        ("ALLOWED_HOSTS", "events.example.com:8000"),
        ("ALLOWED_HOSTS", "events.example.com/path"),
        ("ALLOWED_HOSTS", "*.example.com"),
        ("ALLOWED_HOSTS", "localhost, a b"),
        ("ALLOWED_HOSTS", "[::1]:8000"),
        ("ALLOWED_HOSTS", ","),
        ("RETENTION_DAYS", "1000000"),
        ("RETENTION_DAYS", "٣٠"),
        ("WORKERS", "0"),
        ("WORKERS", "100000"),
        ("RETRY_SCHEDULE", ","),
        ("RETRY_SCHEDULE", "0, NaN"),
        ("RETRY_SCHEDULE", "0, 721h"),
        ("PRIVATE_NETWORKS", "10.0.0.1/8"),
        ("METRICS_TOKEN", "two words"),
        ("CONNECTWISE_CLIENT_ID", "ä"),
        ("EMAIL_URL", f"smtp://user:{SECRET}@m.example:port/?to=a@b.c"),
        ("EMAIL_URL", f"smtp://user:{SECRET}ä@m.example/?to=a@b.c"),
        ("EMAIL_URL", "smtp://m.example/?to=a@b.c&from=nobody"),
        ("TIME_ZONE", "Mars/Olympus"),
        ("DATA_DIR", "/etc/passwd"),
    ],
)
def test_a_value_that_can_not_be_read_is_refused_by_name(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        settings_of(tmp_path, **KEYS | {f"CWCONNECT_{name}": value})
    assert f"CWCONNECT_{name}" in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "setting", "taken"),
    [
        ("PUBLIC_URL", " https://Events.Example.com:443/ ", "PUBLIC_URL", "https://events.example.com"),
        ("PUBLIC_URL", "http://events.example.com:8080", "CSRF_TRUSTED_ORIGINS", ["http://events.example.com:8080"]),
        ("PUBLIC_URL", "http://10.0.0.4:8000/", "PUBLIC_URL", "http://10.0.0.4:8000"),
        ("PUBLIC_URL", "http://[2001:DB8:0::1]:8000", "ALLOWED_HOSTS", ["[::1]", "[2001:db8::1]"]),
        ("CALLBACK_URL", "http://127.0.0.1:8000/", "CALLBACK_URL", "http://127.0.0.1:8000"),
        ("ALLOWED_HOSTS", "A.example., .b.example,::1,10.0.0.4", "ALLOWED_HOSTS", [".b.example", "[::1]", "10.0.0.4"]),
        ("ALLOWED_HOSTS", "*", "ALLOWED_HOSTS", ["*"]),
        ("HTTP_PROXY", "http://u:p%23@proxy.example.com:3128/", "HTTP_PROXY", "http://u:p%23@proxy.example.com:3128/"),
        ("HTTP_PROXY_HOSTS", "*.Corp.example., conn_1", "HTTP_PROXY_HOSTS", ["*.corp.example", "conn_1"]),
        ("REDIS_URL", "rediss://:p,w;@redis_1:6379/2", "REDIS_URL", "rediss://:p,w;@redis_1:6379/2"),
        ("REDIS_URL", "unix:///run/redis.sock?db=2", "REDIS_URL", "unix:///run/redis.sock?db=2"),
        ("RETENTION_DAYS", "+7", "RETENTION_DAYS", 7),
        ("RETENTION_DAYS", "36500", "RETENTION_DAYS", 36500),
        ("RETRY_SCHEDULE", "0, 1.5m,2H,", "RETRY_SCHEDULE", [0, 90, 7200]),
        ("DEBUG", "\ufeffYES", "DEBUG", True),
        ("TIME_ZONE", "Europe/Berlin", "TIME_ZONE", "Europe/Berlin"),
    ],
)  # fmt: skip
def test_what_is_plain_all_the_same_is_taken(
    tmp_path: Path, name: str, value: str, setting: str, taken: object
) -> None:
    found = settings_of(tmp_path, **KEYS | {f"CWCONNECT_{name}": value})[setting]
    assert (found[-len(taken) :] if isinstance(taken, list) else found) == taken


@pytest.mark.parametrize(
    ("url", "settings"),
    [
        ("postgres://u:p%40@db_1:5433/name?sslmode=require&currentSchema=a", ("db_1", 5433, "u", "p@", "name")),
        ("postgresql://u@%2Fvar%2Frun/name", ("/var/run", "", "u", "", "name")),
        ("postgres:///name?host=/tmp", ("", "", "", "", "name")),
    ],
)
def test_a_database_is_read_from_its_url(tmp_path: Path, url: str, settings: tuple[object, ...]) -> None:
    database = settings_of(tmp_path, **KEYS, CWCONNECT_DATABASE_URL=url)["DATABASES"]["default"]
    assert tuple(database[key] for key in ("HOST", "PORT", "USER", "PASSWORD", "NAME")) == settings


@pytest.mark.parametrize("content", [b"30\n", b"\xef\xbb\xbf30", b"\xef\xbb\xbf 30 \r\n\r\n", b"30"])
def test_a_file_may_begin_with_a_mark_and_end_with_a_line(tmp_path: Path, content: bytes) -> None:
    (file := tmp_path / "value").write_bytes(content)
    assert settings_of(tmp_path / "data", CWCONNECT_RETENTION_DAYS_FILE=str(file))["RETENTION_DAYS"] == 30


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"a\0"])
def test_a_kept_key_that_can_not_be_read_is_refused_and_not_replaced(tmp_path: Path, content: bytes) -> None:
    (file := tmp_path / "encryption_keys").write_bytes(content)
    with pytest.raises(ImproperlyConfigured, match=r"CWCONNECT_ENCRYPTION_KEYS is kept in .*: put its copy back"):
        settings_of(tmp_path)
    assert file.read_bytes() == content


def test_with_keys_of_the_environment_the_data_folder_is_made_too(tmp_path: Path) -> None:
    data = tmp_path / "not" / "there"
    assert manage(data, "migrate", "contenttypes", "-v0", **KEYS).returncode == 0
    assert data.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("package", ["psycopg", "redis"])
def test_what_needs_an_extra_says_so(tmp_path: Path, package: str) -> None:
    url = {"psycopg": ("DATABASE_URL", "postgres://u@h/db"), "redis": ("REDIS_URL", "redis://h")}[package]
    with (
        patch("importlib.util.find_spec", lambda name: None if name == package else object()),
        pytest.raises(ImproperlyConfigured, match=f"CWCONNECT_{url[0]} needs the extra"),
    ):
        settings_of(tmp_path, **KEYS | {f"CWCONNECT_{url[0]}": url[1]})


# Real starts, of a few: what the settings refuse ends each of them in the same way.
STARTS = {
    "check": ("manage.py", "check"),
    "up": ("manage.py", "up", "--port", "0"),
    "work": ("manage.py", "work"),
    "a web server": ("-m", "gunicorn", "--no-control-socket", "--bind", "127.0.0.1:0", "cwconnect.wsgi:application"),
    "our web server": ("-m", "gunicorn", "-c", "python:cwconnect.gunicorn_settings", "cwconnect.wsgi:application"),
    "an asynchronous web server": ("-c", "import cwconnect.asgi"),
}
WRONG = [
    *(("CWCONNECT_PUBLIC_URL", "https://[::1", start) for start in STARTS),
    ("CWCONNECT_DATABASE_URL", f"postgres://user:{SECRET}#x@127.0.0.1:5432/db", "check"),
    ("CWCONNECT_HTTP_PROXY", "proxy.example.com:3128", "up"),
    ("CWCONNECT_ALLOWED_HOSTS", "https://events.example.com", "check"),
    ("CWCONNECT_METRICS_TOKEN_FILE", "UTF-16", "up"),
    ("CWCONNECT_DATABASE_URL", f"postgres://user:{SECRET}@127.0.0.1:9/db?sslmode=banana", "up"),
    ("CWCONNECT_DATABASE_URL", f"postgres://user:{SECRET}@127.0.0.1:9/db", "up"),
]


@pytest.mark.parametrize(("name", "value", "start"), WRONG)
def test_a_real_start_ends_in_a_sentence(tmp_path: Path, name: str, value: str, start: str) -> None:
    if make := FILES.get(value):
        make(tmp_path / "file")
        value = str(tmp_path / "file")
    kept = {key: text for key, text in os.environ.items() if not key.startswith(("CWCONNECT_", "DJANGO_"))}
    done = subprocess.run(
        [sys.executable, *STARTS[start]],
        cwd=ROOT,
        env=kept | KEYS | {"CWCONNECT_DATA_DIR": str(tmp_path / "data"), name: value},
        capture_output=True,
        text=True,
        timeout=120,
    )
    said = done.stdout + done.stderr
    assert done.returncode not in (0, None)
    assert name in said
    assert "Traceback" not in said
    assert SECRET not in said
