"""The fixture of all tests of upgrades."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.databases import drop_storage
from tests.support.receivers import start_receiver
from tests.support.services import environment_of
from tests.upgrades.__main__ import RECEIVER, SITE
from tests.upgrades.dumps import DUMPS, restore
from tests.upgrades.site import Site, serving
from tests.upgrades.upgrading import Upgrade


@pytest.fixture(params=DUMPS, ids=[dump.name for dump in DUMPS])
def upgrade(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Upgrade]:
    dump: Path = request.param
    kept: dict[str, Any] = json.loads(dump.with_suffix(".json").read_text(encoding="utf-8"))
    site = Site()
    site.records = {int(number): record for number, record in kept["records"].items()}
    with serving(site.handler()) as port, start_receiver() as receiver:
        text = dump.read_text(encoding="utf-8").replace(SITE, f"127.0.0.1:{port}")
        environment = {**environment_of(tmp_path, tables=False), "DJANGO_SETTINGS_MODULE": "tests.settings"}
        restore(text.replace(RECEIVER, receiver.url.split("/")[2]), tmp_path, environment)
        release = dump.name.rsplit(".", 2)[0]
        yield Upgrade(release, tmp_path, environment, site, receiver, kept["delivered"])
    drop_storage()
