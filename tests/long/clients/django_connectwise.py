"""Synchronise all that django-connectwise knows from the sandbox, and count which of its synchronizers could.

It is Kerkhoff Technologies' client, which mirrors a ConnectWise into a Django database: it reads references, nested
lists and most fields of a record. It has dependencies of its own:

    python -m venv synchronise
    synchronise/bin/pip install django-connectwise 'django<6' boto3 pytz retrying 'setuptools<80'
    python manage.py sandbox --port 8100   # elsewhere
    synchronise/bin/python tests/long/clients/django_connectwise.py http://127.0.0.1:8100

Each synchronizer has its line: how many records it stored, or why it could not. The exit code is 0 where at least 60
of them stored something. Its synchronizer of configuration types asks for the statuses, which have no name: a fault of
the client's.
"""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Any

ENOUGH = 60


def configure(url: str) -> None:
    """Set Django up with a database in memory, and the sandbox as ConnectWise."""
    import django
    from django.conf import settings
    from django.core.management import call_command

    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "djconnectwise"],
        CONNECTWISE_SERVER_URL=url,
        CONNECTWISE_CREDENTIALS={"company_id": "acme", "api_public_key": "PUB", "api_private_key": "PRIV"},
        CONNECTWISE_CLIENTID="11111111-2222-4333-8444-555555555555",
        DJCONNECTWISE_CONF_CALLABLE=conf,
        SECRET_KEY="of a database in memory",
        USE_TZ=True,
        LOGGING_CONFIG=None,
    )
    django.setup()
    call_command("migrate", verbosity=0)


def conf() -> dict[str, Any]:
    """Return the client's own settings."""
    return {
        "timeout": 30.0,
        "batch_size": 50,
        "max_attempts": 1,
        "response_version": "2022.1",
        "callback_url": None,
        "callback_host": None,
        "callback_protocol": "http",
    }


def synchronise(name: str, synchronizer: Any) -> str:
    """Run one, and say what came of it; empty where records were stored."""
    try:
        synchronizer(full=False).sync()
    except Exception as error:  # noqa: BLE001 - whatever a client raises is this script's result
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {error} ({last.name}, line {last.lineno})"
    stored = synchronizer.model_class.objects.count()
    print(f"{name}: {stored}")
    return "" if stored else "nothing stored"


def main(url: str) -> int:
    """Run all of them, in the client's own order."""
    logging.basicConfig(level=logging.WARNING, format="    %(message)s")
    configure(url)
    from djconnectwise.management.commands.cwsync import (  # type: ignore[import-not-found]  # of its own environment
        Command,
    )

    outcomes = {name: synchronise(name, each[0]) for name, each in Command().synchronizer_map.items()}
    for name, why in outcomes.items():
        if why:
            print(f"{name} could not: {why}")
    done = sum(not why for why in outcomes.values())
    print(f"{done} of {len(outcomes)} synchronizers stored records.")
    return 0 if done >= ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
