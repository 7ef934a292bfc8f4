"""Seal every stored secret anew, for its table, column and row.

Not in one transaction: interrupted anywhere, it leaves each secret in the old form or the new one, both readable, and
goes on from there when it is run again. 200 rows at a time are in memory. What no key opens stays as it is, which is
unreadable now as before; it has to be given anew.
"""

import logging

from django.apps.registry import Apps
from django.db import migrations
from cwconnect.core.upgrades import Judged, Rate
from instances.secrets.rotation import rotate

log = logging.getLogger(__name__)


def bind(apps: Apps, schema_editor: object) -> None:
    done = rotate(registry=apps)
    lost = [*done.unreadable, *done.misplaced]
    if lost and not (done.rewritten or done.current):
        raise RuntimeError("No key in CWCONNECT_ENCRYPTION_KEYS opens any stored secret: set the keys that wrote them.")
    if lost:
        log.error("%d secrets can't be opened and have to be given anew: %s", len(lost), ", ".join(lost[:20]))


class Migration(migrations.Migration):
    atomic = False
    beside_old = Judged(
        safe=False,
        because="Secrets are sealed anew, in a form that versions before 0.2.0 can't open.",
        rates=(Rate("instances_instance", sqlite=0, postgresql=0),),
    )

    dependencies = [("polling", "0009_unsent_attempts"), ("instances", "0005_missing_fields")]

    operations = [migrations.RunPython(bind)]
