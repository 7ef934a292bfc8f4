"""System checks of the settings: what would go wrong in silence is an error at start, with an id."""

from __future__ import annotations

import math
import os
import sqlite3
from collections.abc import Mapping
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004  (Django's name)
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError
from django.db.models import Model, Q

from cwconnect.core import env
from cwconnect.outbound import InvalidUrl, OutboundClient
from cwconnect.site import key_backup
from instances.secrets import SecretMisplacedError, SecretUnreadableError
from instances.secrets.rotation import secret_columns

LEAST_SQLITE = (3, 35, 0)


def least_retry(queue: Mapping[str, Any]) -> int:
    """Return the seconds that `retry` must exceed, or django-q2 runs tasks again that are still waiting their turn.

    It counts from the moment a task is prefetched, not from the start of its work: a task may wait for all that the
    cluster holds (`queue_limit` and one `bulk` more), spread over its workers, each of them taking up to `timeout`.
    """
    ahead: int = math.ceil((queue["queue_limit"] + queue["bulk"]) / queue["workers"])
    return int(queue["timeout"]) * (1 + ahead)


@register()
def check_queue(**_: object) -> list[CheckMessage]:
    """Hold the queue's settings against the retry rule and the length of a wake-up."""
    queue = settings.Q_CLUSTER
    problems: list[CheckMessage] = []
    if queue["retry"] <= (least := least_retry(queue)):
        problems.append(
            Error(
                f"Q_CLUSTER['retry'] is {queue['retry']} s, and tasks may wait {least} s before they are done.",
                hint="Set it above timeout × (1 + ceil((queue_limit + bulk) / workers)).",
                id="cwconnect.E001",
            )
        )
    if queue["catch_up"] or queue["save_limit"] != -1:
        problems.append(
            Error(
                "Q_CLUSTER must have catch_up False and save_limit -1.",
                hint="Wake-ups missed are not to be replayed, and those that succeeded are not worth a row.",
                id="cwconnect.E002",
            )
        )
    return problems


@register()
def check_encryption_keys(**_: object) -> list[CheckMessage]:
    """Refuse keys that are none, before the first secret is written or read."""
    for number, key in enumerate(settings.ENCRYPTION_KEYS, 1):
        try:
            Fernet(key)
        except ValueError:
            return [
                Error(
                    f"Key {number} in CWCONNECT_ENCRYPTION_KEYS is not a Fernet key (32 bytes as URL-safe base64).",
                    hint="Make one: python -c 'from cryptography.fernet import Fernet; "
                    "print(Fernet.generate_key().decode())'",
                    id="cwconnect.E003",
                )
            ]
    return []


@register()
def check_stored_secrets(**_: object) -> list[CheckMessage]:
    """Open one stored secret of each kind: with a wrong or missing key nothing could be polled or delivered.

    The first and the last row that has one are tried. A database that is away or not migrated yet has its own errors.
    """
    if check_encryption_keys():
        return []
    try:
        unreadable = [_name(model) for model, names in secret_columns() if not _opens(model, names)]
    except DatabaseError:
        return []
    if not unreadable:
        return []
    return [
        Error(
            f"No key in CWCONNECT_ENCRYPTION_KEYS opens what is stored (table {', '.join(unreadable)}).",
            hint="Give the key that wrote it back, after the new one if there is one: old keys still read. In the "
            f"embedded default they are kept in {settings.DATA_DIR / 'encryption_keys'}.",
            id="cwconnect.E004",
        )
    ]


def require_keys() -> None:
    """Raise ImproperlyConfigured, with the checks' sentences, unless the keys open what is stored.

    For servers that load the site themselves: no command has run the checks before them.
    """
    if problems := [*check_encryption_keys(), *check_stored_secrets()]:
        raise ImproperlyConfigured(" ".join(f"{problem.msg} {problem.hint}" for problem in problems))


def _name(model: type[Model]) -> str:
    return str(model._meta.db_table)  # noqa: SLF001  (documented API of models)


def _opens(model: type[Model], names: list[str]) -> bool:
    some = reduce(or_, (Q(**{f"{name}__isnull": False}) for name in names))
    rows = model._default_manager.filter(some).order_by("pk").only("pk", *names)  # noqa: SLF001  (documented API of models)
    for row in filter(None, (rows.first(), rows.last())):
        for secret in filter(None, (getattr(row, name) for name in names)):
            try:
                secret.reveal()
            except SecretMisplacedError:  # altered or moved: one instance's trouble, and no key helps
                continue
            except SecretUnreadableError:
                return False
    return True


@register()
def check_urls(**_: object) -> list[CheckMessage]:
    """Refuse URLs that nothing could be sent to."""
    problems: list[CheckMessage] = []
    for name in ("HEARTBEAT_URL", "OPERATOR_WEBHOOK_URL"):
        try:
            if url := getattr(settings, name, ""):
                OutboundClient().check_url(url)
        except InvalidUrl as error:
            problems.append(Error(f"CWCONNECT_{name}: {error}", id="cwconnect.E006"))
    return problems


@register()
def check_sqlite(**_: object) -> list[CheckMessage]:
    """Refuse a SQLite that does not know RETURNING, by which whatever is due is claimed."""
    engine, found = settings.DATABASES["default"]["ENGINE"], sqlite3.sqlite_version_info
    if not engine.endswith("sqlite3") or found >= LEAST_SQLITE:
        return []
    least, version = (".".join(map(str, numbers)) for numbers in (LEAST_SQLITE, found))
    return [
        Error(
            f"SQLite must be {least} or newer, and this Python has {version}: nothing could be polled or delivered.",
            hint="Use a Python that brings a newer one, or PostgreSQL by CWCONNECT_DATABASE_URL.",
            id="cwconnect.E007",
        )
    ]


@register()
def check_backups(**_: object) -> list[CheckMessage]:
    """Warn where scheduled backups are wanted of a database that is not ours to copy."""
    if settings.BACKUP_FOLDER is None or settings.ON_SQLITE:
        return []
    return [
        Warning(
            "CWCONNECT_BACKUP_FOLDER is of the embedded database alone: no backup of PostgreSQL is taken.",
            hint="Take one by pg_dump (docs/operations.md#postgresql), and leave the setting out.",
            id="cwconnect.W009",
        )
    ]


@register()
def check_database_modes(**_: object) -> list[CheckMessage]:
    """Warn of files of the embedded default that others on this machine can read: database, log, copies, keys."""
    if not settings.EMBEDDED:
        return []
    database = Path(settings.DATABASES["default"]["NAME"])
    # Its log and what `restore` kept aside of earlier ones are named after it.
    kept = sorted(database.parent.glob(f"{database.stem}*{database.suffix}*"))
    return [
        Warning(
            f"Others on this machine can read {path}, which holds records or keys of customers.",
            hint=f"chmod 600 {path}",
            id="cwconnect.W005",
        )
        for path in [*kept, *(settings.DATA_DIR / name for name in key_backup.NAMES)]
        if path.is_file() and path.stat().st_mode & 0o077
    ]


@register()
def check_names(**_: object) -> list[CheckMessage]:
    """Warn of settings that nobody reads: a misspelt one leaves its default in force, in silence."""
    named = (name for name in os.environ if name.startswith("CWCONNECT_"))
    given = {name if name in env.names_read else name.removesuffix("_FILE") for name in named}
    unknown = sorted(name for name in given - env.names_read if not name.startswith("CWCONNECT_TEST_"))
    hint = "docs/operations.md lists all settings."
    return [Warning(f"There is no setting {name}.", hint=hint, id="cwconnect.W004") for name in unknown]


@register(Tags.security, deploy=True)
def check_exposure(**_: object) -> list[CheckMessage]:
    """Warn of what is fine on one's own machine and careless on one that others reach (`check --deploy`)."""
    problems: list[CheckMessage] = []
    if urlsplit(settings.PUBLIC_URL).scheme != "https":
        problems.append(
            Warning(
                "CWCONNECT_PUBLIC_URL is not an https URL, so cookies are not secure and there is no HSTS.",
                hint="Set it to the URL that people use, behind a proxy that ends TLS.",
                id="cwconnect.W001",
            )
        )
    if "*" in settings.ALLOWED_HOSTS:
        problems.append(
            Warning(
                "CWCONNECT_ALLOWED_HOSTS holds *, so a forged Host header is answered.",
                hint="List the names that people use.",
                id="cwconnect.W002",
            )
        )
    if any(network.prefixlen == 0 for network in settings.TRUSTED_PROXIES):
        problems.append(
            Warning(
                "CWCONNECT_TRUSTED_PROXIES holds every address, so clients are believed whatever address they name.",
                hint="List the proxies themselves.",
                id="cwconnect.W006",
            )
        )
    folder = settings.DATA_DIR
    if settings.EMBEDDED and folder.exists() and folder.stat().st_mode & 0o077:
        problems.append(
            Warning(
                f"Others on this machine may look into the data folder {folder}.",
                hint=f"chmod 700 {folder}",
                id="cwconnect.W003",
            )
        )
    return problems
