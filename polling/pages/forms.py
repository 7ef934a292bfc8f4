"""The forms of the pages about what changed: a backfill's beginning, and what to replay."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from polling.delivery.replay.selection import Selection
from polling.models import Subscription
from polling.pages.shared import moment_of

_KINDS = ("CREATED", "UPDATED", "DELETED")
_LONGEST = 200


class MomentField(forms.CharField):
    """A time in the viewer's zone, to UTC; None where nothing is given, an error where it can't be read."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local"})

    def clean(self, value: Any) -> Any:
        """Return the time; ValidationError."""
        text = super().clean(value)
        found = moment_of(text) if text else None
        if text and found is None:
            raise ValidationError("This is no date and time: 2026-11-28 14:30, for example.")
        return found


class BackfillForm(forms.Form):
    """From when on a resource is read again."""

    since = MomentField(
        label="Changed since",
        help_text="In your time zone. The run shows above, page by page.",
        error_messages={"required": "Give a time in the past."},
    )

    def __init__(self, data: Any = None) -> None:
        super().__init__(data, auto_id="%s")

    def clean_since(self) -> datetime:
        """Want a time that has gone."""
        since: datetime = self.cleaned_data["since"]
        if since > timezone.now():
            raise ValidationError("Give a time in the past.")
        return since


class ReplayForm(forms.Form):
    """Which of an instance's notifications are sent again; each condition that is given has to hold."""

    subscription = forms.ChoiceField(label="To", required=False)
    resource = forms.CharField(
        label="Resource",
        max_length=_LONGEST,
        required=False,
        widget=forms.TextInput(attrs={"placeholder": "all", "autocomplete": "off"}),
    )
    kind = forms.ChoiceField(
        label="With a change of kind", choices=[("", "any"), *((kind, kind) for kind in _KINDS)], required=False
    )
    since = MomentField(label="Made from", required=False)
    until = MomentField(label="Made before", required=False)
    failed = forms.BooleanField(required=False)

    def __init__(self, data: Any, subscriptions: Sequence[Subscription] = ()) -> None:
        super().__init__(data, auto_id="%s")
        for field in self.fields.values():
            of_any_kind: Any = field
            of_any_kind.hide_optional = True
        if len(subscriptions) > 1:
            whose: Any = self.fields["subscription"]
            whose.choices = [("", "all receivers"), *((str(each.pk), each.name) for each in subscriptions)]
        else:
            del self.fields["subscription"]

    def clean(self) -> dict[str, Any]:
        """Want an end that comes after the beginning."""
        given = super().clean() or self.cleaned_data
        since, until = given.get("since"), given.get("until")
        if since and until and until <= since:
            self.add_error("until", "This lies before the beginning.")
        return given

    def selection(self) -> Selection:
        """Return what is to be replayed."""
        given = self.cleaned_data
        return Selection(
            failed=given.get("failed", False),
            since=given.get("since"),
            until=given.get("until"),
            resource=given.get("resource", ""),
            kind=given.get("kind", ""),
            subscription=int(given.get("subscription") or 0),
        )
