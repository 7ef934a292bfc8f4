"""A subscription as `/v1` shows it, and as it is asked for; its rules are in `polling/subscriptions`."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from instances.secrets import MASK
from polling.api.v1.base import Name, Shape, Strict
from polling.delivery.fan_out.beginnings import MOST_COUNTED
from polling.subscriptions.reading import LONGEST_FIELD, LONGEST_RETENTION, LONGEST_WAIT, MOST_FIELDS, MOST_TRIES
from polling.subscriptions.status import SubscriptionStatus
from polling.subscriptions.stored import settings_of

Form = Literal["elements", "cloudevents", "thin"]
Url = Annotated[str, Field(min_length=1, max_length=2000)]
Headers = Annotated[dict[str, str], Field(max_length=50)]
Key = Annotated[str, Field(max_length=1000)]
FieldNames = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=LONGEST_FIELD)]], Field(max_length=MOST_FIELDS)
]
Schedule = Annotated[list[Annotated[float, Field(ge=0, le=LONGEST_WAIT)]], Field(max_length=MOST_TRIES)]
Days = Annotated[int, Field(ge=0, le=LONGEST_RETENTION)]
_FILTER = "As the wire contract says under Filters; an empty one is every event."
_FIELDS = "The record's top fields that are sent; an empty list is all of them."
_MAPPING = "A transformation of the instance, by which records are sent; an empty one is none. Not beside fields."
_SCHEDULE = "Seconds before each try; an empty list is the service's."
_DAYS = "For how many days what was delivered is kept; 0: for as many as the service keeps it."


class BasicShape(Shape):
    """The login for Basic authentication at the receiver, its password masked."""

    username: str
    password: str | None


class CatchUpShape(Shape):
    """What of the log it began with: its last event, the last one that was looked at, and how many are left."""

    upto: int
    reached: int
    left: int = Field(description=f"{MOST_COUNTED:,} stands for so many or more.")


class SubscriptionShape(Shape):
    """One receiver of an instance's events: where, which, in what form, and how it stands. Secrets are masked.

    The `first` one is the instance's own: the configuration keys event.notification.* say where its notifications go,
    and whether. `held` and `passed` count what its filter judged, of those that read the event log. `catch_up` is null
    once what was recorded before it began is through.
    """

    id: int
    instance_id: int
    name: str
    first: bool
    enabled: bool
    url: str
    headers: dict[str, str]
    basic: BasicShape | None
    signature_key: str | None
    previous_key_until: datetime | None
    filter: dict[str, Any] | None
    form: Form
    fields: list[str] | None
    mapping: str | None
    retry_schedule: list[float] | None
    retention_days: int | None
    paused: bool
    pause_reason: str | None
    waiting: int = Field(description=f"Notifications not delivered yet; {MOST_COUNTED:,} stands for so many or more.")
    held: int
    passed: int
    catch_up: CatchUpShape | None
    last_delivered_at: datetime | None
    created_at: datetime
    updated_at: datetime


class SubscriptionPage(Shape):
    """All subscriptions of an instance, the first one first."""

    items: list[SubscriptionShape]


class Basic(Strict):
    """The login for Basic authentication. Without a password the stored one stays; an empty user takes both away."""

    username: Annotated[str, Field(max_length=200)] | None = None
    password: Annotated[str, Field(max_length=1000)] | None = None


class _Asked(Strict):
    """What may be said of a subscription; what is left out stays, or is as usual."""

    enabled: bool | None = None
    headers: Headers | None = Field(None, description="Further headers; a masked value stays as it is stored.")
    basic: Basic | None = None
    signature_key: Key | None = Field(None, description="Signs every notification; an empty one has nothing signed.")
    filter: dict[str, Any] | None = Field(None, description=_FILTER)
    form: Form | None = None
    fields: FieldNames | None = Field(None, description=_FIELDS)
    mapping: Annotated[str, Field(max_length=200)] | None = Field(None, description=_MAPPING)
    retry_schedule: Schedule | None = Field(None, description=_SCHEDULE)
    retention_days: Days | None = Field(None, description=_DAYS)

    def given(self) -> dict[str, Any]:
        """Return what was said of the subscription itself."""
        said = self.model_dump(exclude={"begin"})
        return {member: value for member, value in said.items() if value is not None}


class NewSubscription(_Asked):
    """A further subscription."""

    name: Name
    url: Url
    begin: Annotated[str, Field(min_length=1, max_length=40)] = Field(
        "now",
        description="now, or a time within the log, like 2026-01-31T12:00:00Z: what polls saw from then on is sent.",
    )


class SubscriptionChange(_Asked):
    """What is to change; what is left out stays, and an empty value takes away."""

    name: Name | None = None
    url: Url | None = None
    begin: Literal["now", "where_it_was"] | None = Field(
        None, description="Where it goes on when it is switched on: now, or where it was switched off."
    )


def subscription_shape(status: SubscriptionStatus) -> SubscriptionShape:
    """Return a subscription as `/v1` shows it."""
    row, catch_up = status.subscription, status.catch_up
    receiver, settings = row.notification_settings, settings_of(row)
    updated_at = max(row.updated_at, row.instance.updated_at) if row.is_first else row.updated_at
    return SubscriptionShape(
        id=row.pk,
        instance_id=row.instance_id,
        name=row.name,
        first=row.is_first,
        enabled=status.enabled,
        url=settings.url,
        headers=dict.fromkeys(settings.headers, MASK),
        basic=_basic(settings.basic_username, has_password=receiver.basic_password is not None),
        signature_key=MASK if receiver.signature_key else None,
        previous_key_until=receiver.previous_key_until,
        filter=json.loads(row.filter) if row.filter else None,
        form=row.form,
        fields=row.fields or None,
        mapping=row.mapping or None,
        retry_schedule=row.retry_schedule,
        retention_days=row.retention_days,
        paused=status.paused_at is not None,
        pause_reason=status.pause_reason or None,
        waiting=status.waiting,
        held=row.held,
        passed=row.passed,
        catch_up=catch_up and CatchUpShape(upto=catch_up.upto, reached=catch_up.reached, left=catch_up.left),
        last_delivered_at=status.last_delivered_at,
        created_at=row.created_at,
        updated_at=updated_at,
    )


def _basic(username: str, *, has_password: bool) -> BasicShape | None:
    return BasicShape(username=username, password=MASK if has_password else None) if username else None
