"""What shows the way: links to what explains a thing, and three steps where there is nothing yet."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from instances.templatetags.guidance import TOPICS, help_on
from tests.conftest import Tenant
from tests.support.rows import make_instance

pytestmark = pytest.mark.django_db
TEMPLATES = sorted((Path(settings.BASE_DIR) / "templates").rglob("*.html"))
STEPS = "Three steps to the first event"
EMPTY_PAGES = ("/", "/app/instances", "/app/events", "/app/deliveries")


@pytest.mark.parametrize("topic", TOPICS)
def test_every_topic_leads_to_its_section(operator: Client, topic: str) -> None:
    path, _, anchor = help_on(topic)["url"].partition("#")
    assert f'<h2 id="{anchor}">' in (page := operator.get(path).content.decode()) or f'<h3 id="{anchor}">' in page


def test_every_topic_is_asked_for_and_no_other() -> None:
    asked = {topic for path in TEMPLATES for topic in re.findall(r'help_on "([\w-]+)"', path.read_text())}
    assert asked == TOPICS.keys()


@pytest.mark.parametrize("path", EMPTY_PAGES)
def test_an_organization_without_instances_is_shown_the_way(operator: Client, viewer: Client, path: str) -> None:
    shown = operator.get(path).content.decode()
    assert shown.count(STEPS) == 1
    for way in ("new-instance", "event-catalogue", "receiver-code"):
        assert f'href="{WAYS[way]}"' in shown.partition(STEPS)[2]
    to_viewer = viewer.get(path).content.decode().partition(STEPS)[2]
    assert f'href="{WAYS["new-instance"]}"' not in to_viewer
    assert "An operator of " in to_viewer


WAYS = {
    "new-instance": "/app/instances/new",
    "event-catalogue": "/app/help/events",
    "receiver-code": "/app/help/receivers",
}


@pytest.mark.parametrize("path", EMPTY_PAGES)
def test_one_with_an_instance_is_not(operator: Client, tenant: Tenant, path: str) -> None:
    make_instance(tenant.organization)
    assert STEPS not in operator.get(path).content.decode()
