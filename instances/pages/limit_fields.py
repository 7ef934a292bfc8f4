"""The fields by which the pages limit keys and tokens: what they may do, from where, with which instances, how long."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from instances.credentials.limits_given import LimitsError, check_instances, read_networks
from instances.models import Organization
from instances.scopes import Scope

SCOPES = (
    (Scope.READ.value, "Read: see instances, events and deliveries, and read ConnectWise live"),
    (Scope.WRITE.value, "Write: read, and create, change and delete records of ConnectWise by hub routes"),
    (Scope.MANAGE.value, "Manage: everything in cwconnect, also change instances, poll, send again and make keys"),
)
ENDS = (("", "never"), ("30", "in 30 days"), ("90", "in 90 days"), ("365", "in a year"))
_LONGEST = 6000  # characters: as many networks as there may be, each in its longest spelling


def _lines() -> forms.Textarea:
    return forms.Textarea(attrs={"rows": 2, "spellcheck": "false", "autocapitalize": "none"})


class ScopeField(forms.ChoiceField):
    """What a key or a token may do, in plain words."""

    def __init__(self, **options: Any) -> None:
        errors = {"required": "Choose what it may do.", "invalid_choice": "Choose one of these."}
        fixed: dict[str, Any] = {"label": "It may", "widget": forms.RadioSelect, "error_messages": errors}
        super().__init__(choices=SCOPES, **fixed | options)


class WritesField(forms.BooleanField):
    """Whether a key that manages writes to ConnectWise as well."""

    def __init__(self) -> None:
        words = (
            "For keys that manage; those that write do so in any case, those that read never. An instance must allow "
            "writes too, in its settings."
        )
        super().__init__(label="It may also write to ConnectWise", required=False, help_text=words)


class NetworksField(forms.CharField):
    """Networks, one a line or with commas between; its value is a tuple of them, empty for anywhere."""

    def __init__(self) -> None:
        words = "Networks or addresses, one a line: 203.0.113.0/24, 2001:db8::/32. Empty: from anywhere."
        super().__init__(label="It is good from", required=False, help_text=words, max_length=_LONGEST, widget=_lines())

    def clean(self, value: Any) -> Any:
        """Return the networks as they are kept; an error names the one that is none."""
        texts = [text for text in re.split(r"[\s,]+", super().clean(value)) if text]
        try:
            return read_networks(texts)
        except LimitsError as error:
            raise ValidationError(error.reason) from None


class InstancesField(forms.CharField):
    """Instances by name or id, one a line; `chosen` finds them, within an organization."""

    def __init__(self) -> None:
        words = "Names or ids of instances, one a line. Empty: all of the organization, those to come too."
        widget = forms.Textarea(attrs={"rows": 2, "spellcheck": "false", "autocapitalize": "none"})
        super().__init__(
            label="For these instances", required=False, help_text=words, max_length=_LONGEST, widget=widget
        )


def chosen_instances(organization: Organization, text: str) -> tuple[int, ...] | None:
    """Return the ids of the instances that a text names, one a line; None for a blank one: all. LimitsError."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return check_instances(organization, [_number(organization, line) for line in lines]) if lines else None


def _number(organization: Organization, line: str) -> int:
    if line.isascii() and line.isdecimal() and len(line) < 19:
        return int(line)
    found = list(organization.instances.filter(name=line.replace("\x00", "")).values_list("pk", flat=True)[:2])
    if not found:
        raise LimitsError("instances", f"names {line[:60]}, which no instance is called")
    if len(found) > 1:
        raise LimitsError("instances", f"names {line[:60]}, as several instances are called: write the id")
    return found[0]


def end_of(days: str, now: datetime) -> datetime | None:
    """Return when what expires in so many days ends; None for never."""
    return now + timedelta(days=int(days)) if days else None
