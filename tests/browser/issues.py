"""An organization where everything that pages can show is the case, and one where nothing is: rows alone.

Run inside the service under test (`manage.py shell`), which must not poll or deliver any of it: nothing is due.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.test import RequestFactory
from django.urls import reverse
from django.utils import timezone

from instances.configuration.callback_address import callback_base
from instances.credentials.limits import Limits
from instances.credentials.user_secrets import create_whole_key
from instances.invitations import invite
from instances.models import Instance, Membership, Organization, Role
from instances.scopes import Scope
from instances.secrets import Secret
from polling.alerts import delivery_alerts
from polling.callbacks.counts import add_counts
from polling.delivery.breaker import url_hash
from polling.delivery.first_subscriptions import first_subscription
from polling.delivery.pausing import pause_delivery
from polling.models import (
    Alert,
    AlertDestination,
    AlertMute,
    AlertSend,
    BulkJob,
    BulkRefusal,
    CallbackEndpoint,
    CallbackRegistration,
    Copy,
    DeliveryAttempt,
    DeliveryState,
    Event,
    Health,
    MissingRecord,
    Notification,
    PollRun,
    PollState,
    Receiver,
    Replay,
    Verification,
)
from polling.reports import receiver_hours
from tests.browser.several_receivers import subscribe
from tests.support.page_rows import add_events, add_instances
from tests.support.rows import complete_copy

Ids = dict[str, int]
TROUBLED, VIEWER, EMPTY, NOWHERE = "tina", "victor", "eve", "noah"


def furnish(password: str) -> str:
    """Make the organizations and their people; give the ids that pages are asked for and the admin's paths, as JSON."""
    troubled = Organization.objects.create(name="Troubled")
    administrator = _account(TROUBLED, password, troubled, Role.OPERATOR, is_staff=True, is_superuser=True)
    _account(VIEWER, password, troubled, Role.VIEWER)
    _account(EMPTY, password, Organization.objects.create(name="Empty"), Role.OPERATOR)
    User.objects.create_user(NOWHERE, password=password)
    refused, paused, held, failing, breaking, off, likewise, resigned = add_instances(troubled, 8)
    words = "ConnectWise answered 401: Incorrect public/private key"
    states = PollState.objects.filter(resource_poll__instance__in=[refused, likewise])
    states.update(health=Health.UNAUTHORIZED, last_error=words)
    _hold(held)
    add_events(paused, 30)
    pause_delivery(first_subscription(paused), "The receiver answered 410 Gone.", timezone.now())
    add_events(likewise, 3)
    pause_delivery(first_subscription(likewise), "The receiver answered 410 Gone.", timezone.now())
    add_events(resigned, 5)
    given_up = Notification.objects.filter(instance=resigned)
    given_up.update(state=Notification.State.FAILED, given_up_at=timezone.now() - timedelta(hours=2))
    _fail(failing)
    _name_at_length(failing)
    _break(breaking)
    _announce(failing)
    _copy(failing)
    Instance.objects.filter(pk=off.pk).update(events_enabled=False)
    replay = Replay.objects.create(
        instance=failing, asked_at=timezone.now(), what="notifications", total=3, delivered=1
    )
    job = _ask_for_a_job(failing)
    ids = {
        "instance": failing.pk,
        "poll": failing.resource_polls.get().pk,
        "off": off.pk,
        "replay": replay.pk,
        "job": job.pk,
    }
    ids |= {"held": held.pk, "held_poll": held.resource_polls.get().pk, "paused": paused.pk}
    ids |= _let_in(troubled)
    ids["event"] = Event.objects.filter(instance=failing).order_by("-pk").values_list("pk", flat=True)[0]
    ids["destination"] = _send_warnings(troubled, failing)
    ids["attempt"] = DeliveryAttempt.objects.filter(notification__instance=failing).earliest("pk").pk
    ids["subscription"] = subscribe(failing)
    ids["receiver"] = _count_tries(troubled, failing)
    return json.dumps({"ids": ids, "admin": _paths_of_admin(administrator)})


def _account(name: str, password: str, organization: Organization, role: str, **rights: Any) -> User:
    account = User.objects.create_user(name, password=password, **rights)
    Membership.objects.create(account=account, organization=organization, role=role)
    return account


def _copy(instance: Instance) -> None:
    """Copies at every stage."""
    later = timezone.now() + timedelta(days=2)
    complete_copy(instance, expires_at=later, query="select " + ", ".join(["customerUpdatedFlag"] * 20), failed=3)
    stages: dict[str, dict[str, Any]] = {
        Copy.Status.CREATED: {"next_try_at": later},
        Copy.Status.RUNNING: {"next_try_at": later, "total": 4000, "records": 1000, "error": "answered 500: sorry"},
        Copy.Status.CANCELLED: {"expires_at": later},
        Copy.Status.FAILED: {"expires_at": later, "error": "ConnectWise answered 403: " + "No_right_" * 40},
    }
    for status, columns in stages.items():
        complete_copy(instance, status=status, **columns)


def _let_in(organization: Organization) -> Ids:
    """Invite people, one of them too long ago, and make API keys of every kind; give ids."""
    now = timezone.now()
    for email, days in (("ida@example.com", 7), (f"{'long' * 15}@{'long' * 15}.example.com", 1), ("", -1)):
        invite(organization, role=Role.VIEWER, email=email, now=now, good_for=timedelta(days=days))
    for name, ends in (("billing", None), ("Export" * 33, now + timedelta(days=9)), ("old", now)):
        networks = ("203.0.113.0/24", "2001:db8:1234:5678:9abc:def0::/96", "10.0.0.0/8", "192.0.2.7/32")
        narrow = Limits(Scope.READ, networks, (1, 2), ends) if ends else Limits()
        create_whole_key(organization, name, narrow)
    key = organization.api_users.order_by("pk")[0]
    return {"membership": Membership.objects.get(account__username=VIEWER).pk, "key": key.pk}


def _paths_of_admin(person: User) -> list[str]:
    """Return each list of ours and the newest row of each, and the pages where one is added; others look the same."""
    request = RequestFactory().get("/")
    request.user = person
    paths = []
    for model, site in admin.site._registry.items():
        if model is User or model._meta.app_label in ("instances", "polling"):
            way = f"admin:{model._meta.app_label}_{model._meta.model_name}"
            paths.append(reverse(f"{way}_changelist"))
            paths += [reverse(f"{way}_change", args=[row.pk]) for row in model._default_manager.order_by("-pk")[:1]]
            paths += [reverse(f"{way}_add")] if site.has_add_permission(request) else []
    return paths


def _ask_for_a_job(instance: Instance) -> BulkJob:
    """Have one instance refused by a job that is under way, and another job stopped."""
    shared = {"organization": instance.organization, "actor": "somebody", "asked_at": timezone.now()}
    BulkJob.objects.create(
        **shared, title="Disable 2 instances", total=2, done=1, status="failed", error="Stopped by somebody."
    )
    job = BulkJob.objects.create(**shared, title="Interval of 512 instances → 5 min", total=512, done=340, refused=2)
    for key, name in ((instance.pk, instance.name), (999, "")):
        BulkRefusal.objects.create(job=job, instance_id=key, name=name, reason="The callback URL is required. " * 4)
    return job


def _hold(instance: Instance) -> None:
    poll = instance.resource_polls.get()
    PollState.objects.filter(pk=poll.pk).update(health=Health.HELD)
    MissingRecord.objects.bulk_create(
        MissingRecord(resource_poll=poll, record_id=number, status=MissingRecord.Status.HELD) for number in range(1, 48)
    )


def _fail(instance: Instance) -> None:
    """Have its delivery fail half-way through the schedule, its polls fail, and its verification find something."""
    now, poll = timezone.now(), instance.resource_polls.get()
    add_events(instance, 60)
    Event.objects.filter(instance=instance, kind=Event.Kind.UPDATED).update(
        changes='[{"field": "title", "from": "Clerk", "to": "Chief"}, {"field": "phone", "from": null, "to": {"x": 1}}]'
    )
    notification = Notification.objects.filter(instance=instance).order_by("pk")[0]
    shared = {"notification": notification, "url": "https://example.com/hook?code=hush", "started_at": now}
    headers = {"webhook-id": notification.webhook_id, "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN"}
    DeliveryAttempt.objects.create(
        **shared, finished_at=now, seconds=0.4, status=503, error_kind="status", request_headers=headers, response="{}"
    )
    DeliveryAttempt.objects.create(**shared, finished_at=now, seconds=15, error_kind="timeout", error="Timed out.")
    DeliveryAttempt.objects.create(**shared)
    delivery_alerts.warn(
        Alert.Kind.HALF_USED, instance, "It failed 5 of 10 times: 503.", now, notification=notification
    )
    runs = (
        (PollRun.Status.FAILED, "ConnectWise answered 500."),
        (PollRun.Status.COMPLETE, ""),
        (PollRun.Status.OPEN, ""),
    )
    for status, error in runs:
        PollRun.objects.create(resource_poll=poll, status=status, error=error, opening=now, started_at=now, notes=error)
    found = {"source": 30, "known": 29, "missed": [3, 4], "stale": [5], "deleted": [], "coming": 0, "undelivered": 1}
    found |= {"repeated": 0, "held": 2}
    Verification.objects.create(
        resource_poll=poll, asked_at=now, finished_at=now, status=Verification.Status.COMPLETE, finding=found, source=30
    )


def _count_tries(organization: Organization, instance: Instance) -> int:
    """Have its tries counted by hour, as a receiver's; give that one."""
    url = "https://example.com/hook?code=hush"
    receiver = Receiver.objects.create(organization=organization, url=url, url_hash=url_hash(url))
    DeliveryState.objects.update_or_create(subscription=first_subscription(instance), defaults={"receiver": receiver})
    receiver_hours.advance(timezone.now())
    return receiver.pk


def _name_at_length(instance: Instance) -> None:
    """Name things as long as they may be named, and without a blank."""
    name = "Bundesministerium" * 11
    rows = Instance.objects.filter(pk=instance.pk)
    rows.update(name=name, company=name, tags=[name, "a tag"], callback_url=f"https://example.com/{'path/' * 60}")
    newest = Event.objects.filter(instance=instance).order_by("-pk")[:1].values_list("pk", flat=True)
    Event.objects.filter(pk__in=list(newest)).update(
        object_id="9" * 120, object_type=name, record=json.dumps({name: [name * 9]})
    )
    Alert.objects.filter(instance=instance).update(text=name * 3)


def _send_warnings(organization: Organization, instance: Instance) -> int:
    """Have warnings go to places of each kind and in each state, one of them known and some muted; give a place."""
    now = timezone.now()
    for kind in AlertDestination.Kind.values:
        AlertDestination(
            organization=organization,
            kind=kind,
            name=f"Place of {kind} " + "Nachtdienst" * (7 if kind == "webhook" else 1),
            url=None if kind == "mail" else Secret.of("https://example.com/services/hush"),
            shown_url="" if kind == "mail" else f"https://{'long-' * 40}.example.com/…",
            addresses=[f"somebody.{'with.a.long.name.' * 3}@example.com"] if kind == "mail" else [],
            left_out=["accepted"] if kind == "teams" else [],
            enabled=kind != "teams",
            since=now,
            last_sent_at=now if kind == "mail" else None,
            last_error="Slack answered 404: no_service." if kind == "slack" else "",
        ).save()
    places = list(AlertDestination.objects.filter(organization=organization).order_by("pk"))
    alert = Alert.objects.filter(organization=organization).order_by("pk")[0]
    Alert.objects.filter(pk=alert.pk).update(acknowledged_at=now, acknowledged_by=TROUBLED)
    for place, state in zip(places, AlertSend.State.values, strict=False):
        AlertSend.objects.create(
            alert=alert, destination=place, place=str(place)[:150], state=state, sent_at=now, error="It is so." * 9
        )
    for muted in (None, instance):
        until = now + timedelta(days=3)
        AlertMute.objects.create(
            organization=organization, instance=muted, until=until, created_at=now, created_by=TROUBLED
        )
    return places[1].pk


def _announce(instance: Instance) -> None:
    """Have its callbacks refused, silent, not registered yet and well, and its signing key not to be had."""
    now, status = timezone.now(), CallbackRegistration.Status
    Instance.objects.filter(pk=instance.pk).update(callbacks_enabled=True)
    CallbackEndpoint(
        instance=instance,
        token=Secret.of("a token"),
        token_hash="a hash",
        url=callback_base(),
        error="ConnectWise refuses callbacks: You do not have security permission to perform this action.",
        key_error="ConnectWise's signing key can't be had: its route answers 404.",
    ).save()
    for type_, stands in (("company", status.REFUSED), ("project", status.WANTED), ("contact", status.ACTIVE)):
        CallbackRegistration.objects.create(
            instance=instance,
            type=type_,
            status=stands,
            error="You do not have security permission to perform this action." if stands == status.REFUSED else "",
            active_since=now - timedelta(days=9) if stands == status.ACTIVE else None,
            silent_since=now - timedelta(hours=3) if stands == status.ACTIVE else None,
            unannounced=[now.isoformat()] * 3 if stands == status.ACTIVE else [],
        )
    names = ("received", "verified", "woken", "announced", "unannounced", "milliseconds")
    counted = Counter({(instance.pk, "contact", name): 1204 for name in names})
    refused = {(instance.pk, "", "received"): 14}
    refused |= {(instance.pk, "", f"refused: {why}"): 7 for why in ("wrong signature", "unknown registration")}
    add_counts(counted + Counter(refused), now)


def _break(instance: Instance) -> None:
    now = timezone.now() + timedelta(days=1)
    receiver = Receiver.objects.create(
        organization=Organization.objects.get(instances=instance),
        url_hash="h",
        url="https://example.com/",
        failures=12,
        opened_at=now,
    )
    DeliveryState.objects.create(subscription=first_subscription(instance), receiver=receiver)
    Receiver.objects.filter(pk=receiver.pk).update(open_until=now)
