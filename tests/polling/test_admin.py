"""The admin of polls, deliveries and the queue: all is read, nothing is edited."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django_q.models import Schedule

from polling.workers.queue import ensure_tick

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
