"""Releases, replays and decisions on held deletes are on record."""

from __future__ import annotations

from django.core.management import call_command
from django.utils import timezone

from instances.audit import Action
from instances.models import AuditEntry, Organization
from polling.delivery.pausing import release_all_of
from polling.detection.deletes.deletions import dismiss_held
from polling.models import PollState
from tests.support.rows import make_instance, make_notification, make_poll


def test_a_release_is_on_record_with_what_there_was_to_send(organization: Organization) -> None:
    instance = make_instance(organization)
    make_notification(instance, 1, timezone.now())
    release_all_of(instance, timezone.now())
    entry = AuditEntry.objects.get(action=Action.RELEASE)
    assert (entry.subject, entry.details, entry.organization) == (str(instance), {"to send": 1}, organization)


def test_a_replay_is_on_record_with_what_was_asked_for(organization: Organization) -> None:
    instance = make_instance(organization)
    make_notification(instance, 1, timezone.now(), step=1)
    call_command("replay", instance.pk, failed=True, leave=True, verbosity=0)
    assert AuditEntry.objects.get(action=Action.REPLAY).details == {"what": "failed notifications"}


def test_a_decision_on_held_deletes_is_on_record(organization: Organization) -> None:
    poll = make_poll(make_instance(organization), due_at=None)
    dismiss_held(PollState.objects.get(pk=poll.pk))
    assert AuditEntry.objects.get(action=Action.DECIDE_DELETES).details == {"decision": "dismissed", "rows": 0}
