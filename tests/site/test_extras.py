"""What is an extra is not needed: the service starts, and each of its modules is there, without any of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXTRAS = ("psycopg", "psycopg2", "redis", "hiredis", "opentelemetry")
_USING_ONE = ("cwconnect.tracing.provider", "cwconnect.tracing.exporter")  # imported where tracing is switched on
_WITHOUT = f"""
import importlib, pkgutil, sys
sys.modules |= dict.fromkeys({EXTRAS})  # to import one of them fails from now on
from cwconnect.command import main
main(["cwconnect", "check"])
for room in ("cwconnect", "instances", "polling"):
    for module in pkgutil.walk_packages(importlib.import_module(room).__path__, room + "."):
        if module.name not in {_USING_ONE}:
            importlib.import_module(module.name)
main(["cwconnect", "migrate", "contenttypes", "-v0"])
"""


def test_everything_starts_and_can_be_imported_without_any_extra(tmp_path: Path) -> None:
    own = {name: value for name, value in os.environ.items() if not name.startswith("CWCONNECT_")}
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT],
        cwd=ROOT,
        env=own | {"CWCONNECT_DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "cwconnect.settings"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
