"""The form of a subscription: who is notified, in which form, how long it is tried. Its filter is a form of its own.

It reads what was typed; the rules are those of `subscriptions.reading`, and what they find wrong is put beside the
field that stands for the member (`blame`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from django import forms
from django.conf import settings
from django.utils import timezone

from cwconnect.core.durations import DurationError, read_durations, write_durations
from cwconnect.core.form_fields import NameField
from cwconnect.core.unseen import trim
from instances.configuration import values
from instances.configuration.values import ConfigurationError
from instances.credentials.signature_keys import new_signature_key
from instances.models import Instance
from instances.pages.wire_form import (
    OFF,
    as_sentence,
    headers_field,
    note,
    secret_field,
    signature_key_field,
    text_field,
)
from instances.secrets import MASK
from polling.models import Subscription
from polling.pages.forms import MomentField
from polling.pages.subscription_begin import OWN, since_of
from polling.subscriptions.beginnings import NOW, WHERE_IT_WAS
from polling.subscriptions.reading import Settings

KEPT: Final = "stored; leave empty to keep it"
# The member of a subscription: the field that stands for it. What stands below a member stands for itself.
_PLACES: Final[Mapping[str, str]] = {
    "name": "name",
    "enabled": "enabled",
    "url": "url",
    "headers": "headers",
    "basic.username": "basic_username",
    "basic.password": "basic_password",
    "basic": "basic_username",
    "signature_key": "signature_key",
    "form": "form",
    "fields": "sent_fields",
    "mapping": "mapping",
    "retry_schedule": "retry_schedule",
    "retention_days": "retention_days",
}
_FORMS = (
    (Subscription.Form.ELEMENTS, "Elements: the whole record, as Cloud Elements sent it"),
    (Subscription.Form.CLOUDEVENTS, "CloudEvents 1.0, as JSON in the structured mode"),
    (Subscription.Form.THIN, "Thin: which records changed, and nothing of them"),
)
_OF_THE_INSTANCE = ("url", "headers", "basic_username", "basic_password", "signature_key", "drop_signature_key")


class SubscriptionForm(forms.Form):
    """What is said of a subscription beside its filter; `given` has it by member, once it is valid."""

    name = NameField(label="Name", max_length=200, help_text="What people call this receiver here.")
    url = text_field(
        "URL",
        longest=2000,
        widget=forms.URLInput(attrs=OFF),
        help_text="Each notification is POSTed here; any 2xx within 15 s says that it arrived.",
    )
    signature_key = signature_key_field()
    drop_signature_key = forms.BooleanField(label="Remove the signature key: sign nothing", required=False)
    headers = headers_field()
    basic_username = text_field("Basic user", required=False)
    basic_password = secret_field("Basic password", required=False)
    form = forms.ChoiceField(label="Form", choices=_FORMS, initial=Subscription.Form.ELEMENTS, widget=forms.RadioSelect)
    sent_fields = text_field(
        "Fields that are sent",
        longest=20_000,
        required=False,
        help_text="All of the record, unless you name some of its top fields: id, status, company.",
    )
    mapping = forms.ChoiceField(label="Field mapping that records are sent by", required=False)
    retry_schedule = text_field("Wait before each try", longest=1000, required=False)
    retention_days = text_field("Delivered notifications are kept for", longest=10, required=False)
    enabled = forms.BooleanField(label="On: events are kept for it, and sent", required=False, initial=True)
    goes_on = forms.ChoiceField(
        label="When it is switched on",
        choices=(
            (NOW, "It goes on with what comes from now on"),
            (WHERE_IT_WAS, "It is sent what came meanwhile, as far as that is kept"),
        ),
        initial=NOW,
        required=False,
        widget=forms.RadioSelect,
    )
    begin = forms.ChoiceField(label="From when on", widget=forms.RadioSelect)
    begin_at = MomentField(label="A time of your own", required=False, help_text="In your time zone.")

    def __init__(
        self,
        data: Any,
        instance: Instance,
        *,
        stored: Settings | None,
        first: bool = False,
        mappings: Sequence[str] = (),
        begins: Sequence[tuple[str, str]] = (),
    ) -> None:
        """`stored` is what there is, None of a new one; `begins` are the choices of where that begins."""
        super().__init__(data, initial=_initial(stored))
        self.instance, self.stored, self.first = instance, stored, first
        shown: Any = self.fields
        for name in ("retry_schedule", "retention_days", "sent_fields", "mapping", "begin_at", "basic_password"):
            shown[name].hide_optional = True
        own = stored.mapping if stored else ""
        names = list(dict.fromkeys((*mappings, *([own] if own else []))))
        shown["mapping"].choices = [("", "none: as ConnectWise has them"), *((name, name) for name in names)]
        shown["begin"].choices = begins
        shown["retry_schedule"].widget.attrs["placeholder"] = write_durations(settings.RETRY_SCHEDULE)
        shown["retry_schedule"].help_text = "Like 0, 5s, 5m, 2h, each ±20 %. Left empty, as the service does."
        shown["retention_days"].widget.attrs |= {"placeholder": f"{settings.RETENTION_DAYS}", "inputmode": "numeric"}
        shown["retention_days"].unit = "days"
        shown["retention_days"].help_text = "Left empty, for as long as the service keeps them."
        self._leave_out(mapped=bool(names))

    def _leave_out(self, *, mapped: bool) -> None:
        """Leave out the fields that say nothing of this one."""
        gone = {"begin", "begin_at"} if self.stored else {"enabled"}
        gone |= {"enabled", *_OF_THE_INSTANCE} if self.first else set()
        gone |= set() if self.stored and self.stored.signature_key else {"drop_signature_key"}
        gone |= set() if self.stored and not self.stored.enabled and not self.first else {"goes_on"}
        gone |= set() if mapped else {"mapping"}
        for name in gone & self.fields.keys():
            del self.fields[name]
        shown: Any = self.fields
        if self.stored is None:  # to be seen: it is made here, and whoever checks signatures needs it
            key = text_field("Signature key", longest=1000, required=False, help_text=_MADE)
            shown["signature_key"] = key
            self.initial["signature_key"] = new_signature_key()
        for name in ("signature_key", "basic_password"):
            if self.stored and name in shown and getattr(self.stored, name):
                shown[name].widget.attrs["placeholder"] = KEPT

    def clean_sent_fields(self) -> list[str]:
        """Return the names, in their order."""
        return [name for part in self.cleaned_data["sent_fields"].split(",") if (name := trim(part))]

    def clean_headers(self) -> dict[str, str]:
        """Return the headers by their names."""
        try:
            return values.header_items(self.cleaned_data["headers"])
        except ConfigurationError as error:
            raise forms.ValidationError(as_sentence(error.problems[""])) from None

    def clean_retry_schedule(self) -> list[float]:
        """Return the waits, in seconds."""
        try:
            return read_durations(self.cleaned_data["retry_schedule"])
        except DurationError as error:
            raise forms.ValidationError(str(error)) from None

    def clean_retention_days(self) -> int:
        """Return the number of days; 0 where none is given."""
        text = self.cleaned_data["retention_days"]
        if text and not re.fullmatch(r"[0-9]{1,9}", text):
            raise forms.ValidationError("This must be a whole number of days.")
        return int(text or 0)

    def clean(self) -> dict[str, Any]:
        """Want a time where one of one's own is to be begun from."""
        given = super().clean() or self.cleaned_data
        if "begin" in given and not (given["begin"] == OWN and "begin_at" in self.errors):
            try:
                given["since"] = since_of(given["begin"], given.get("begin_at"), self.instance, timezone.now())
            except forms.ValidationError as error:
                self.add_error("begin_at", error)
        return given

    @property
    def since(self) -> datetime | None:
        """From when on in the log a new one begins; None: now."""
        return self.cleaned_data.get("since")

    def given(self) -> dict[str, Any]:
        """Return what was typed by the members of a subscription; masks stand for secrets that stay."""
        typed = self.cleaned_data
        same = {"name": "name", "form": "form", "fields": "sent_fields", "mapping": "mapping", "url": "url"}
        same |= {"enabled": "enabled", "headers": "headers"}
        same |= {"retry_schedule": "retry_schedule", "retention_days": "retention_days"}
        given = {member: typed[field] for member, field in same.items() if field in typed}
        if "basic_username" in typed:
            kept = MASK if self.stored and self.stored.basic_password else ""
            given["basic"] = {"username": typed["basic_username"], "password": typed.get("basic_password") or kept}
        if typed.get("drop_signature_key"):
            given["signature_key"] = ""
        elif typed.get("signature_key") or (self.stored is None and "signature_key" in typed):
            given["signature_key"] = typed["signature_key"]
        return given

    def blame(self, problems: Mapping[str, str]) -> dict[str, str]:
        """Put each problem beside the field that stands for its member; return those of the filter, by their paths."""
        of_filter = {}
        for path, text in problems.items():
            member = path.partition(".")[0]
            place = _PLACES.get(path) or _PLACES.get(member)
            if member == "filter":
                of_filter[path.removeprefix("filter").removeprefix(".")] = text
            elif place in self.fields:
                if place not in self.errors:  # what can't be read lacks as well
                    note(self, place, as_sentence(text))
            else:
                note(self, None, f"{path}: {as_sentence(text)}")
        return of_filter


_MADE = (
    "Made for you. Signs every notification, so that the receiver can see that it is genuine; empty, nothing is signed."
)


def _initial(stored: Settings | None) -> dict[str, Any]:
    if stored is None:
        return {"begin": NOW}
    return {
        "name": stored.name,
        "url": stored.url,
        "headers": "\n".join(f"{name}: {MASK}" for name in stored.headers),
        "basic_username": stored.basic_username,
        "form": stored.form,
        "sent_fields": ", ".join(stored.fields),
        "mapping": stored.mapping,
        "retry_schedule": write_durations(stored.retry_schedule),
        "retention_days": f"{stored.retention_days or ''}",
        "enabled": stored.enabled,
    }
