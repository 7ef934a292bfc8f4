"""Where an organization's warnings go, what is muted, and what somebody knows of: how people change it.

Each change is on record (instances/audit.py), without URLs: whoever knows such a URL may write there.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator
from django.db import transaction
from django.db.models import Q

from cwconnect.core.errors import ConflictError, DomainError
from cwconnect.core.unseen import find_unseen
from cwconnect.outbound import OutboundError
from instances.audit import Action, record
from instances.connections import outbound_client
from instances.interactive import interactive
from instances.models import Instance, Organization
from instances.secrets import Secret, SecretUnreadableError
from polling.alerts.messages import Warned, body_of, plain_of, slack_of, subject_of, teams_of, test_of
from polling.alerts.sending import AlertSendError, mail_server, post, send_mail
from polling.models import Alert, AlertDestination, AlertMute, AlertSend

MOST_DESTINATIONS = 20  # of an organization
MOST_ADDRESSES = 20  # of a destination
LONGEST_MUTE = timedelta(days=90)
BETWEEN_TESTS = timedelta(seconds=5)
NO_MAIL = (
    "This service has no mail server, so it sends no mail: whoever runs it sets CWCONNECT_EMAIL_URL. Slack, Teams and "
    "webhooks need none."
)
Kind = AlertDestination.Kind
_FORMS = {Kind.SLACK: slack_of, Kind.TEAMS: teams_of, Kind.WEBHOOK: plain_of}


def read_url(text: str) -> str:
    """Return the URL of a destination; DomainError says what is wrong, without a part of it."""
    if len(text) > 2000:
        raise DomainError("A URL of at most 2,000 characters is needed.")
    if unseen := find_unseen(text):
        raise DomainError(f"The URL holds {unseen}.")
    try:
        outbound_client().check_url(text)
    except OutboundError as error:
        raise DomainError(str(error)) from None
    return text


def read_addresses(text: str) -> list[str]:
    """Return mail addresses that stand on lines or between commas, each once; DomainError names what is none.

    Plain addresses alone: no names beside them, so nothing in one can end a header or begin another.
    """
    found = list(dict.fromkeys(part for line in text.splitlines() for part in line.replace(",", " ").split()))
    if not found:
        raise DomainError("At least one address is needed.")
    if len(found) > MOST_ADDRESSES:
        raise DomainError(f"At most {MOST_ADDRESSES} addresses can be written to.")
    for address in found:
        try:
            EmailValidator()(address)
        except ValidationError:
            raise DomainError(f"“{address[:100]}” is no mail address.") from None
        if not address.isascii() or len(address) > 254:
            raise DomainError(f"“{address[:100]}” is no mail address that every server takes.")
    return found


def shown_url(url: str) -> str:
    """Return as much of a URL as people may see: where it leads, not what lets its reader in."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}/…"[:300]


def new_destination(organization: Organization, kind: str, now: datetime) -> AlertDestination:
    """Return a destination to be saved; ConflictError where there are as many as may be, or no mail server is."""
    if AlertDestination.objects.filter(organization=organization).count() >= MOST_DESTINATIONS:
        raise ConflictError(f"There are {MOST_DESTINATIONS} destinations already: remove one first.")
    if kind == Kind.MAIL and mail_server() is None:
        raise ConflictError(NO_MAIL)
    return AlertDestination(organization=organization, kind=kind, since=now)


def save_destination(
    destination: AlertDestination,
    *,
    name: str,
    url: str = "",
    addresses: Sequence[str] = (),
    left_out: Collection[str] = (),
    enabled: bool = True,
    now: datetime,
) -> None:
    """Store a destination as it is wanted; a `url` that is blank stays what it was. ConflictError for a name taken."""
    others = AlertDestination.objects.filter(organization=destination.organization).exclude(pk=destination.pk)
    if others.filter(name=name).exists():
        raise ConflictError("Another destination has this name.")
    added, was_on = destination.pk is None, destination.enabled
    wanted: dict[str, Any] = {"name": name, "left_out": sorted(left_out), "enabled": enabled}
    if destination.kind == Kind.MAIL:
        wanted["addresses"] = list(addresses)
    changed = [field for field, value in wanted.items() if added or getattr(destination, field) != value]
    for field, value in wanted.items():
        setattr(destination, field, value)
    if url:
        destination.url, destination.shown_url = Secret.of(url), shown_url(url)
        changed.append("url")
    if enabled and not was_on:
        destination.since = now  # what came up while it was off is not sent
    with transaction.atomic():
        destination.save()
        if was_on and not enabled:
            _give_up(destination, "The destination was switched off.")
        action = Action.ADD_ALERT_DESTINATION if added else Action.CHANGE_ALERT_DESTINATION
        details = {"kind": destination.kind, "fields": sorted(changed)}
        record(action, destination, organization=destination.organization, details=details)


def remove_destination(destination: AlertDestination) -> None:
    """Send nothing there any more; what was sent stays in the history."""
    with transaction.atomic():
        # The destination before its sends, as a worker writes a result: else each may wait for the other.
        AlertDestination.objects.select_for_update().filter(pk=destination.pk).first()
        _give_up(destination, "The destination was removed.")
        record(Action.REMOVE_ALERT_DESTINATION, destination, organization=destination.organization)
        destination.delete()


def _give_up(destination: AlertDestination, why: str) -> None:
    pending = AlertSend.objects.filter(destination=destination, next_try_at__isnull=False)
    pending.update(state=AlertSend.State.GIVEN_UP, next_try_at=None, error=why)


def send_to(destination: AlertDestination, warnings: Sequence[Warned]) -> str:
    """Send one message there; say what was answered. AlertSendError. Touches no database: threads may call it."""
    if destination.kind == Kind.MAIL:
        server = mail_server()
        if server is None:
            raise AlertSendError(NO_MAIL)
        return send_mail(server, destination.addresses, subject_of(warnings), body_of(warnings))
    try:
        url = destination.url.reveal() if destination.url else ""
    except SecretUnreadableError as error:
        raise AlertSendError(str(error)) from None
    kind = Kind(destination.kind)
    return post(url, _FORMS[kind](warnings), who="It" if kind == Kind.WEBHOOK else kind.label)


def send_test(destination: AlertDestination, now: datetime) -> str:
    """Send a test at once, and keep what became of it; say what was answered.

    AlertSendError where it did not arrive; ConflictError right after another; TooManyCallsError (interactive.py).
    """
    rows = AlertDestination.objects.filter(pk=destination.pk)
    fresh = Q(tested_at__isnull=False, tested_at__gt=now - BETWEEN_TESTS, tested_at__lte=now)
    with transaction.atomic():
        if not rows.exclude(fresh).update(tested_at=now):
            raise ConflictError("A test was sent just now. Try again in some seconds.")
        record(Action.TEST_ALERT_DESTINATION, destination, organization=destination.organization)
    message = test_of(str(destination.organization), destination.name, now)
    try:
        with interactive(destination.organization_id):
            said = send_to(destination, [message])
    except AlertSendError as error:
        rows.update(last_error=str(error))
        raise
    rows.update(last_sent_at=now, last_error="")
    return said


send_test.__test__ = False  # type: ignore[attr-defined]  # pytest takes functions of such names for its own


def mute(
    organization: Organization, *, instance: Instance | None, kind: str, until: datetime, by: str, now: datetime
) -> None:
    """Keep warnings back until a time, of an instance or all, of a kind or all. DomainError for a time of no use."""
    if not now < until <= now + LONGEST_MUTE:
        raise DomainError(f"Mute until a time that is to come, and at most {LONGEST_MUTE.days} days away.")
    with transaction.atomic():
        row = AlertMute.objects.create(
            organization=organization, instance=instance, kind=kind, until=until, created_at=now, created_by=by
        )
        record(Action.MUTE_ALERTS, row, organization=organization, details={"until": until.isoformat()})


def end_mute(row: AlertMute, now: datetime) -> None:
    """Let warnings through again; those kept back that are open still are sent."""
    with transaction.atomic():
        record(Action.UNMUTE_ALERTS, row, organization=row.organization)
        row.delete()
        kept = AlertSend.objects.filter(state=AlertSend.State.MUTED, next_try_at__isnull=False)
        kept.filter(alert__organization=row.organization_id).update(next_try_at=now)


def acknowledge(alert: Alert, by: str, now: datetime) -> bool:
    """Keep who knows of an open warning, and since when; return whether nobody did before."""
    with transaction.atomic():
        unknown = Alert.objects.filter(pk=alert.pk, acknowledged_at=None, resolved_at=None)
        if not unknown.update(acknowledged_at=now, acknowledged_by=by):
            return False
        record(Action.ACKNOWLEDGE_ALERT, alert.instance or alert, organization=alert.organization)
        return True
