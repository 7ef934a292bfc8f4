"""Who can write to the queue's tables has no code run: pickles there are not opened, and other tasks are not queued."""

from __future__ import annotations

import pickle
from base64 import b64encode
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_q.brokers import Broker
from django_q.models import Failure, Schedule, Success, Task
from django_q.scheduler import scheduler
from django_q.signing import SignedPackage

from polling.workers import queue
from polling.workers.wakeups import Kind
from tests.security.test_redis import Planted

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("root", password="a long enough password"))
    return client


class KeptBroker(Broker):  # type: ignore[misc]  # django_q has no types
    """A broker that keeps what is queued, whichever one the settings name."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        super().__init__()

    def enqueue(self, task: str) -> int:
        self.kept.append(task)
        return len(self.kept)

    @staticmethod
    def get_connection(_list_key: str = "") -> None:
        return None


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> KeptBroker:
    broker = KeptBroker()
    monkeypatch.setattr("django_q.tasks.get_broker", lambda *_: broker)
    monkeypatch.setattr("django_q.scheduler.close_old_django_connections", lambda: None)  # the test's is in use
    return broker


@pytest.mark.parametrize("column", ["args", "kwargs", "result"])
@pytest.mark.parametrize(("model", "success"), [(Failure, False), (Success, True)])
def test_a_pickle_that_somebody_put_there_is_not_opened(
    admin: Client, tmp_path: Path, column: str, model: Any, success: bool
) -> None:
    now = timezone.now()
    for number in range(6):
        task = Task.objects.create(
            id=f"{number}" * 32, name="a", func="b", args=(1,), kwargs={"c": [2]}, result="d", started=now, stopped=now,
            success=success,
        )  # fmt: skip
        payload = b64encode(pickle.dumps(Planted(tmp_path / "executed"), number)).decode()
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE django_q_task SET {column} = %s WHERE id = %s", [payload, task.pk])  # noqa: S608  (our own column)
    pages = [reverse(f"admin:django_q_{model._meta.model_name}_changelist")]
    pages += [reverse(f"admin:django_q_{model._meta.model_name}_change", args=[task.pk]) for task in Task.objects.all()]
    assert {admin.get(page).status_code for page in pages} == {200}
    assert not (tmp_path / "executed").exists()


def test_what_a_task_of_ours_keeps_is_read_as_before() -> None:
    now = timezone.now()
    kept: dict[str, Any] = {
        "args": ("sender", 1, 2.5, None, True),
        "kwargs": {"a": [b"c", {1}]},
        "result": "x : Traceback …",
    }
    Task.objects.create(id="1" * 32, name="a", func="b", started=now, stopped=now, success=False, **kept)
    found = Task.objects.get()
    assert {name: getattr(found, name) for name in kept} == kept


@pytest.mark.parametrize(
    "row",
    [
        {"func": "os.mkdir"},
        {"func": "polling.tasks.Path.mkdir"},
        {"func": "polling.tasks.tick", "hook": "os.mkdir"},
        {"func": "os.mkdir", "kwargs": "{'q_options': {'sync': True}}"},
        {"func": "polling.tasks.tick", "kwargs": "{'q_options': {'chain': [('os.mkdir', ('x',))]}}"},
        {"func": "polling.tasks.tick", "kwargs": "{'q_options': {'sync': True}}"},
    ],
    ids=str,
)
def test_a_schedule_that_somebody_put_there_is_not_queued(
    broker: KeptBroker, tmp_path: Path, row: dict[str, str]
) -> None:
    mark = str(tmp_path / "executed")
    Schedule.objects.create(**row, args=repr(mark), schedule_type=Schedule.ONCE, next_run=timezone.now() - timedelta(1))
    scheduler(broker)
    assert broker.kept == []
    assert not Path(mark).exists()


def test_our_own_schedule_is_queued(broker: KeptBroker) -> None:
    queue.ensure_tick()
    Schedule.objects.update(next_run=timezone.now() - timedelta(minutes=1))
    scheduler(broker)
    assert [SignedPackage.loads(task)["func"] for task in broker.kept] == ["polling.tasks.tick"]


def test_all_that_is_queued_is_ours(broker: KeptBroker) -> None:
    for kind in Kind:
        queue.queue(kind)
    queue.queue_beat("sender")
    assert len(broker.kept) == len(Kind) + 1
