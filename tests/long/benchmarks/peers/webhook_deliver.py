"""django-webhook at the benchmark *deliver*: URL, notifications → a figure. Its task runs in place, with no broker."""

from __future__ import annotations

import json
import sys
import tempfile
from importlib import import_module
from typing import Any

from tests.long.benchmarks.measure import NOT_INSTALLED, Figure, Stopwatch, hand_over

PAYLOAD = json.dumps({"object": {"id": 1, "notes": "x" * 1000}, "topic": "contacts/update", "more": "y" * 900})


def deliver(url: str, count: int, folder: str) -> Figure:
    """Fire its webhook that often, signed, every event stored."""
    settings: Any = import_module("django.conf").settings
    settings.configure(
        INSTALLED_APPS=["django.contrib.contenttypes", "django_webhook"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{folder}/peer.sqlite3"}},
        USE_TZ=True,
        DJANGO_WEBHOOK={"MODELS": []},
    )
    import_module("django").setup()
    import_module("django.core.management").call_command("migrate", verbosity=0)
    models: Any = import_module("django_webhook.models")
    fire: Any = import_module("django_webhook.tasks").fire_webhook
    webhook = models.Webhook.objects.create(url=url)
    with Stopwatch() as watch:
        for _ in range(count):
            fire.apply((webhook.pk, PAYLOAD), {"topic": "contacts/update", "object_type": "contacts"}, throw=True)
    stored = models.WebhookEvent.objects.filter(status="SUCCESS").count()
    if stored != count:
        raise SystemExit(f"django-webhook stored {stored} of {count}")
    return watch.figure("django-webhook", count)


if __name__ == "__main__":
    try:
        import_module("django_webhook")
    except ImportError:
        sys.exit(NOT_INSTALLED)
    with tempfile.TemporaryDirectory() as folder:
        hand_over(deliver(sys.argv[1], int(sys.argv[2]), folder))
