"""django-connectwise at the benchmark *ingest*: its contacts sync into SQLite; base URL, number of records → a figure.

It reads 1,000 a page here, as the others do; its default is 50.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from importlib import import_module
from typing import Any

from tests.long.benchmarks.measure import NOT_INSTALLED, Figure, Stopwatch, hand_over

APPS = ("django.contrib.contenttypes", "django.contrib.auth", "djconnectwise")


def ingest(url: str, records: int, folder: str) -> Figure:
    """Make the tables, then run one full sync of the contacts."""
    settings: Any = import_module("django.conf").settings
    settings.configure(
        INSTALLED_APPS=APPS,
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{folder}/peer.sqlite3"}},
        USE_TZ=True,
        MIGRATION_MODULES={"djconnectwise": None},  # its tables are made at once: its migrations take minutes
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        CONNECTWISE_SERVER_URL=url.removesuffix("/v4_6_release/apis/3.0"),
        CONNECTWISE_CREDENTIALS={"company_id": "acme", "api_public_key": "PUB", "api_private_key": "PRIV"},
        CONNECTWISE_CLIENTID="any",
        DJCONNECTWISE_CONF_CALLABLE=lambda: {"batch_size": 1000},
    )
    import_module("django").setup()
    import_module("django.core.management").call_command("migrate", run_syncdb=True, verbosity=0)
    logging.disable(logging.WARNING)  # it warns of each contact whose company it does not have
    sync: Any = import_module("djconnectwise.sync").ContactSynchronizer(full=True)
    sync.api_conditions = []  # the inactive ones too
    with Stopwatch() as watch:
        sync.sync()
    stored = import_module("djconnectwise.models").Contact.objects.count()
    if stored != records:
        raise SystemExit(f"django-connectwise stored {stored} of {records}")
    return watch.figure("django-connectwise", stored)


if __name__ == "__main__":
    try:
        import_module("djconnectwise")
    except ImportError:
        sys.exit(NOT_INSTALLED)
    with tempfile.TemporaryDirectory() as folder:
        hand_over(ingest(sys.argv[1], int(sys.argv[2]), folder))
