"""Bulk jobs on the pages: begun from a selection, asked about where something is lost, followed, stopped, found."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from instances.models import AuditEntry, Instance, Organization
from polling.delivery.first_subscriptions import first_subscription
from polling.delivery.pausing import pause_delivery
from polling.models import BulkJob, PollState
from tests.conftest import Tenant
from tests.pages.conftest import sign_in, text_of
from tests.polling.test_bulk_jobs import work
from tests.support.page_rows import add_instances

pytestmark = pytest.mark.django_db
START = "/app/jobs/start"


@pytest.fixture
def five(organization: Organization) -> list[Instance]:
    """Five instances, of which the first two have paused delivery, and the last is tagged."""
    instances = add_instances(organization, 5)
    for instance in instances[:2]:
        pause_delivery(first_subscription(instance), "The receiver is gone.", timezone.now())
    Instance.objects.filter(pk=instances[4].pk).update(tags=["vip"])
    return instances


def test_the_chosen_ones_are_changed_and_the_page_follows(operator: Client, five: list[Instance]) -> None:
    chosen = [five[0].pk, five[3].pk]
    answer = operator.post(START, {"action": "interval", "minutes": "5", "instance": chosen})
    job = BulkJob.objects.get()
    assert answer["Location"] == reverse("bulk-job", args=[job.pk])
    assert (job.instances, job.organization) == (chosen, five[0].organization)
    shown = text_of(operator.get(answer["Location"]))
    assert "Interval of 2 instances → 5 min" in shown
    assert f'hx-get="{answer["Location"]}"' in shown
    work()
    shown = text_of(operator.get(answer["Location"]))
    assert "2 of 2" in shown
    assert f'hx-get="{answer["Location"]}"' not in shown
    assert list(Instance.objects.filter(refresh_interval=5).order_by("pk").values_list("pk", flat=True)) == chosen
    assert "Interval of 2 instances → 5 min" in text_of(operator.get("/app/jobs"))
    entry = AuditEntry.objects.filter(action="instance changed")[0]
    started = AuditEntry.objects.get(action="bulk job started")
    assert entry.actor == started.actor == job.actor
    assert "olga" in job.actor
    assert entry.request_id == started.request_id == job.request_id != ""


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"state": "delivery paused"}, [0, 1]),
        ({"state": "needs you"}, [0, 1]),
        ({"state": "well"}, [2, 3, 4]),
        ({"state": "off"}, []),
        ({"tag": "vip"}, [4]),
        ({"resource": "contacts", "q": "company 3"}, [3]),
        ({"resource": "tickets"}, []),
        ({"q": "company 3", "state": "delivery paused"}, []),
    ],
)
def test_every_one_that_the_filter_finds_is_changed(
    operator: Client, five: list[Instance], asked: dict[str, str], found: list[int]
) -> None:
    operator.post(START, {"action": "disable", "every": "1", **asked})
    work()
    disabled = Instance.objects.filter(disabled=True).order_by("pk").values_list("pk", flat=True)
    assert list(disabled) == [five[number].pk for number in found]


def test_what_cannot_be_undone_is_asked_about_once_and_then_it_is_just_those(
    operator: Client, five: list[Instance]
) -> None:
    question = text_of(operator.post(START, {"action": "delete", "every": "1", "state": "needs you"}))
    assert "Delete 2 instances?" in question
    assert "events" in question
    assert "Company 1" in question
    assert not BulkJob.objects.exists()
    pause_delivery(first_subscription(five[2]), "One more has come to need somebody.", timezone.now())
    keys = f"{five[1].pk},{five[0].pk}"
    assert f'value="{keys}"' in question
    operator.post(START, {"action": "delete", "instance": keys, "sure": "yes"})
    work()
    assert list(Instance.objects.exclude(organization=None).order_by("pk")) == five[2:]


def test_what_was_refused_is_listed_with_its_reason(operator: Client, five: list[Instance]) -> None:
    operator.post(START, {"action": "release", "every": "1"})
    work()
    shown = text_of(operator.get(reverse("bulk-job", args=[BulkJob.objects.get().pk])))
    assert "3 refused" in shown
    assert shown.count("Its delivery is not paused.") == 3
    pause_delivery(first_subscription(five[2]), "It is, by now.", timezone.now())
    answer = operator.post(reverse("try-bulk-job-again", args=[BulkJob.objects.get().pk]))
    work()
    again = BulkJob.objects.latest("pk")
    assert answer["Location"] == reverse("bulk-job", args=[again.pk])
    assert (again.total, again.done, again.refused) == (3, 3, 2)


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        ({"action": "interval", "minutes": "soon", "every": "1", "state": "well"}, "The interval must be"),
        ({"action": "disable"}, "No instance was chosen."),
        ({"action": "disable", "instance": "x"}, "No instance was chosen."),
        ({"action": "no such thing", "every": "1"}, "There is no such action."),
        ({"action": "delete", "every": "1", "tag": "nobody has this"}, "No instance was chosen."),
    ],
)
def test_what_cannot_be_begun_says_why_where_it_was_asked(
    operator: Client, five: list[Instance], sent: dict[str, str], why: str
) -> None:
    answer = operator.post(START, sent)
    query = "?state=well" if "state" in sent else "?tag=nobody+has+this" if "tag" in sent else ""
    assert answer["Location"] == f"/app/instances{query}"
    assert f"Nothing was done. {why}" in text_of(operator.get(answer["Location"]))
    assert not BulkJob.objects.exists()


def test_a_viewer_sees_jobs_and_can_neither_start_nor_stop_one(
    operator: Client, viewer: Client, five: list[Instance]
) -> None:
    assert viewer.post(START, {"action": "disable", "every": "1"}).status_code == 403
    operator.post(START, {"action": "disable", "every": "1"})
    path = reverse("bulk-job", args=[BulkJob.objects.get().pk])
    assert viewer.post(f"{path}/stop").status_code == viewer.post(f"{path}/again").status_code == 403
    shown = text_of(viewer.get(path))
    assert "0 of 5" in shown
    assert "Stop here" not in shown
    assert "Stop here" in text_of(operator.get(path))
    operator.post(f"{path}/stop")
    assert "Stopped by " in text_of(viewer.get(path))


def test_jobs_of_another_organization_are_not_there(
    operator: Client, five: list[Instance], other_tenant: Tenant
) -> None:
    stranger = sign_in("sven", other_tenant.organization)
    operator.post(START, {"action": "disable", "every": "1"})
    path = reverse("bulk-job", args=[BulkJob.objects.get().pk])
    answers = stranger.get(path), stranger.post(f"{path}/stop"), stranger.post(f"{path}/again")
    assert [answer.status_code for answer in answers] == [404] * 3
    assert "Disable" not in text_of(stranger.get("/app/jobs"))
    stranger.post(START, {"action": "delete", "instance": [each.pk for each in five], "sure": "yes"})
    work()
    assert Instance.objects.filter(organization=None).count() == 0
    assert PollState.objects.count() == 5
