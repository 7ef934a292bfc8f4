"""The forms of the page *Alerts*. They read what was typed; the rules are those of `alerts.destinations`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone

from cwconnect.core.errors import DomainError
from cwconnect.core.form_fields import NameField, SeenField
from instances.models import Instance, Organization
from polling.alerts.destinations import read_addresses, read_url
from polling.models import Alert, AlertDestination
from polling.pages.shared import moment_of

Kind = AlertDestination.Kind
_OFF = {"autocomplete": "off", "spellcheck": "false"}
_URL_HELP = {
    Kind.SLACK: "Of a Slack app’s incoming webhook. Mattermost and Rocket.Chat take the same form.",
    Kind.TEAMS: "Of a workflow: in Teams, “Workflows › Post to a channel when a webhook request is received”.",
    Kind.WEBHOOK: "Each message is POSTed here as JSON: “text” in words, and “alerts”, a list.",
}
_KEPT = " Left empty, the one that is stored stays."
_HOURS = (("1", "For an hour"), ("4", "For 4 hours"), ("24", "For a day"), ("168", "For a week"))
OWN_TIME = "own"


class DestinationForm(forms.Form):
    """Where warnings go, of one kind."""

    name = NameField(label="Name", max_length=100, help_text="What people call it here, such as “On-call channel”.")
    url = SeenField(label="URL", required=False, widget=forms.URLInput(attrs=_OFF))
    addresses = forms.CharField(
        label="Mail addresses",
        required=False,
        max_length=6000,
        widget=forms.Textarea(attrs=_OFF | {"rows": 3}),
        help_text="One a line.",
    )
    kinds = forms.MultipleChoiceField(
        label="Which warnings", choices=Alert.Kind.choices, required=False, widget=forms.CheckboxSelectMultiple
    )
    enabled = forms.BooleanField(label="On: warnings are sent here", required=False, initial=True)

    def __init__(self, data: Any, destination: AlertDestination) -> None:
        kept = set(Alert.Kind.values) - set(destination.left_out)
        initial = {"kinds": sorted(kept), "enabled": destination.enabled, "name": destination.name}
        super().__init__(data, initial=initial | {"addresses": "\n".join(destination.addresses)})
        self._stored = destination.pk is not None
        del self.fields["url" if destination.kind == Kind.MAIL else "addresses"]
        for field in ("url", "addresses"):
            if field in self.fields:
                written: Any = self.fields[field]
                written.hide_optional = True
        if "url" in self.fields:
            self.fields["url"].help_text = _URL_HELP[Kind(destination.kind)] + (_KEPT if self._stored else "")

    def clean_url(self) -> str:
        """Return the URL; blank where the stored one stays."""
        text = str(self.cleaned_data["url"])
        if not text and self._stored:
            return ""
        return str(_by_rule(read_url, text)) if text else _lacking("The URL is needed.")

    def clean_addresses(self) -> list[str]:
        """Return the addresses."""
        return list(_by_rule(read_addresses, self.cleaned_data["addresses"]))

    def clean_kinds(self) -> list[str]:
        """Refuse a destination that nothing is sent to."""
        return list(self.cleaned_data["kinds"] or _lacking("Choose at least one kind, or switch it off below."))

    def wanted(self) -> dict[str, Any]:
        """Return what the rules store."""
        given = self.cleaned_data
        left_out = set(Alert.Kind.values) - set(given["kinds"])
        rest = {name: given[name] for name in ("name", "url", "addresses", "enabled") if name in given}
        return rest | {"left_out": left_out}


class MuteForm(forms.Form):
    """What is muted, and until when."""

    instance = SeenField(
        label="Instance", required=False, max_length=200, help_text="Its number or whole name; left empty, all of them."
    )
    kind = forms.ChoiceField(label="Warning", choices=[("", "Every kind"), *Alert.Kind.choices], required=False)
    hours = forms.ChoiceField(
        label="How long",
        choices=[*_HOURS, (OWN_TIME, "Until a time of your own")],
        widget=forms.Select(attrs={"data-shows": "own-time", "data-shows-when": OWN_TIME}),
    )
    until = forms.CharField(label="Until", required=False, widget=forms.DateTimeInput(attrs={"type": "datetime-local"}))

    def __init__(self, data: Any, organization: Organization, **options: Any) -> None:
        super().__init__(data, **options)
        self._organization = organization
        shown: Any = self.fields["until"]
        shown.hide_optional = True

    def clean_instance(self) -> Instance | None:
        """Return the instance that is meant; None for all of them."""
        text = self.cleaned_data["instance"]
        if not text:
            return None
        ours = Instance.objects.filter(organization=self._organization)
        found = list(ours.filter(pk=int(text))) if text.isdecimal() and len(text) < 19 else []
        found = found or list(ours.filter(name=text)[:2])
        if len(found) != 1:
            _lacking("Several instances have this name: give its number." if found else "There is no such instance.")
        return found[0]

    def clean(self) -> dict[str, Any]:
        """Put the time together."""
        given = super().clean() or self.cleaned_data
        if given.get("hours") == OWN_TIME:
            given["end"] = moment_of(given.get("until", ""))
            if given["end"] is None:
                self.add_error("until", "A date and a time are needed.")
        elif "hours" in given:
            given["end"] = timezone.now().astimezone(UTC) + timedelta(hours=int(given["hours"]))
        return given

    @property
    def end(self) -> datetime:
        """Until when, in UTC."""
        return self.cleaned_data["end"]  # type: ignore[no-any-return]  # `clean` put it there


def _by_rule(rule: Any, text: str) -> Any:
    try:
        return rule(text)
    except DomainError as error:
        raise forms.ValidationError(error.message) from None


def _lacking(text: str) -> Any:
    raise forms.ValidationError(text)
