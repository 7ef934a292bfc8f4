"""The admin of polls, deliveries and the queue: all is read, nothing is edited."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.db import models
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone
from django_q.models import Schedule

from polling.models import Replay
from polling.workers.queue import ensure_tick
from tests.conftest import Tenant
from tests.support.rows import make_instance

pytestmark = pytest.mark.django_db
MODELS = [model for model in admin.site._registry if model._meta.app_label in ("polling", "django_q")]


def url(model: Any, what: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.label_lower.replace('.', '_')}_{what}", args=args)


@pytest.mark.parametrize("model", MODELS)
def test_nothing_is_added_by_hand(admin_client: Client, model: Any) -> None:
    assert admin_client.get(url(model, "changelist")).status_code == 200
    assert admin_client.get(url(model, "add")).status_code == 403


def test_the_schedule_that_looks_for_due_work_can_not_be_edited(admin_client: Client) -> None:
    ensure_tick()
    tick = Schedule.objects.get(func="polling.tasks.tick")
    assert admin_client.get(url(Schedule, "change", tick.pk)).status_code == 200
    assert admin_client.post(url(Schedule, "change", tick.pk), {"func": "os.system"}).status_code == 403
    assert admin_client.post(url(Schedule, "delete", tick.pk), {"post": "yes"}).status_code == 403


def test_times_are_shown_to_the_second(admin_client: Client) -> None:
    ensure_tick()
    tick = Schedule.objects.get(func="polling.tasks.tick")
    page = admin_client.get(url(Schedule, "change", tick.pk)).content.decode()
    assert f"{tick.next_run:%Y-%m-%d %H:%M:%S}" in page


def test_lists_write_times_and_numbers_for_people(admin_client: Client, tenant: Tenant) -> None:
    now = timezone.now()
    instance = make_instance(tenant.organization)
    Replay.objects.create(instance=instance, asked_at=now - timedelta(minutes=2, seconds=5), what="all", total=12_345)
    page = admin_client.get(url(Replay, "changelist")).content.decode()
    assert re.search(r'class="field-asked_at[^"]*"><time [^>]*title="[^"]* UTC">2 min ago</time>', page)
    assert re.search(r'class="field-total[^"]*">12,345<', page)
    assert 'href="?o=' in page  # both columns are sorted by what they hold
    by_time = admin_client.get(f"{url(Replay, 'changelist')}?o=2")
    assert by_time.status_code == 200


def test_no_list_writes_a_time_or_a_number_otherwise(rf: RequestFactory) -> None:
    """Whatever column of times or whole numbers a list of ours has."""
    request = rf.get("/")
    sites = [site for site in admin.site._registry.values() if site.opts.app_label in ("instances", "polling")]
    columns = {str(site.opts): {str(column) for column in site.get_list_display(request)} for site in sites}
    plain = [
        f"{site.opts}.{field.name}"
        for site in sites
        for field in site.opts.concrete_fields
        if isinstance(field, models.DateTimeField | models.IntegerField) and not field.primary_key
        if field.name in columns[str(site.opts)]
    ]
    assert len(sites) > 15
    assert plain == []
