"""The forms of the pages. They read what was typed; the rules are those of `configuration` and `provisioning`."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError

from cwconnect.core.form_fields import NameField
from cwconnect.core.unseen import trim
from instances.configuration.config_keys import InstanceConfig, Key
from instances.configuration.values import LONGEST_INTERVAL
from instances.pages.wire_form import OFF, WireForm, headers_field, secret_field, signature_key_field, text_field
from instances.secrets import MASK

_API = "/v4_6_release/apis/3.0"
OWN = "own"
SITES = (
    (f"https://api-na.myconnectwise.net{_API}", "North America"),
    (f"https://api-eu.myconnectwise.net{_API}", "Europe"),
    (f"https://api-au.myconnectwise.net{_API}", "Australia"),
    (f"https://api-staging.connectwisedev.com{_API}", "Staging"),
    (OWN, "Own server or another address"),
)
_NEEDS_CLIENT_ID = (
    "ConnectWise wants one of every integration, and none is configured for this service. You get one at "
    "developer.connectwise.com › ClientIDs."
)


class ConnectionForm(WireForm):
    """Where ConnectWise is, and the keys to it."""

    site = forms.ChoiceField(
        label="Site", choices=SITES, widget=forms.Select(attrs={"data-shows": "own-site", "data-shows-when": OWN})
    )
    base_url = text_field(
        "ConnectWise URL", longest=500, required=False, help_text=f"Like https://connect.example.com{_API}"
    )
    company = text_field("Company", help_text="The company name that you use to log in to ConnectWise.")
    client_id = text_field("Client ID", required=False, help_text="Left empty, the service's own is sent.")
    public_key = secret_field("Public key")
    private_key = secret_field("Private key", help_text="Of an API member: System › Members › API Keys.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not settings.CONNECTWISE_CLIENT_ID:
            field: Any = self.fields["client_id"]
            field.required, field.help_text = True, _NEEDS_CLIENT_ID
            field.error_messages["required"] = "Give a client ID: none is configured for this service."

    def clean(self) -> dict[str, Any]:
        """Take the address from the site, unless it is one's own."""
        given = super().clean() or self.cleaned_data
        site = given.get("site", OWN)
        if site != OWN:
            given["base_url"] = site
        elif not given.get("base_url"):
            self.add_error("base_url", "The address of your ConnectWise server is needed.")
        return given


class NotifyForm(WireForm):
    """Where events go."""

    events_enabled = forms.BooleanField(label="Events on: poll the resources and record what changed", required=False)
    callback_url = text_field(
        "Callback URL",
        longest=2000,
        required=False,
        widget=forms.URLInput(attrs=OFF),
        help_text="Each notification is POSTed here; any 2xx within 15 s says that it arrived. Left empty, events are "
        "recorded, and pulled by GET /v1/events; nothing is sent.",
    )
    signature_key = signature_key_field()
    callback_headers = headers_field()
    basic_username = text_field("Basic user", required=False)
    basic_password = secret_field("Basic password", required=False)


class PollingForm(WireForm):
    """How often ConnectWise is asked, and whether it calls between."""

    refresh_interval = forms.CharField(
        label="Poll interval",
        initial="15",
        widget=forms.NumberInput(attrs={"min": 1, "max": LONGEST_INTERVAL}),
        help_text="How often ConnectWise is asked what has changed, each resource by itself.",
    )
    callbacks_enabled = forms.BooleanField(
        label="ConnectWise's callbacks on: hear of most changes within seconds",
        required=False,
        help_text="ConnectWise then calls this service, which polls at once. That needs an https address that "
        "ConnectWise can reach, and an API member whose role may create callbacks (System › Table Setup). Polls go on "
        "all the same, so nothing is lost where no callback comes.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["refresh_interval"]
        field.unit = "minutes"


class WritesForm(WireForm):
    """Whether ConnectWise is written to through an instance."""

    writes_enabled = forms.BooleanField(
        label="Writes on: API users may create, change and delete records of ConnectWise",
        required=False,
        help_text="By hub routes, with this instance’s token and an API key that may write to ConnectWise too. What "
        "polling and notifications do is the same either way.",
    )


class NameForm(WireForm):
    """What people call an instance."""

    name = NameField(label="Name", max_length=200, help_text="For example the customer's name.")
    tags = NameField(label="Tags", max_length=2000, required=False, help_text="Separated by commas.")
    filter_nulls = forms.BooleanField(label="Leave out fields without a value (null)", required=False, initial=True)

    def tag_list(self) -> list[str]:
        """Return the tags, each once."""
        return list(dict.fromkeys(trim(tag)[:200] for tag in self.cleaned_data["tags"].split(",") if trim(tag)))


class NewInstanceForm(ConnectionForm, NotifyForm, PollingForm, WritesForm, NameForm):
    """Everything about a new instance; of its resources only what is wrong with the choice of them."""

    polls = forms.Field(label="Resources", required=False)
    field_order = (
        *ConnectionForm.base_fields,
        *NotifyForm.base_fields,
        "polls",
        *PollingForm.base_fields,
        *WritesForm.base_fields,
    )

    # To be seen: it is made here, and the program that checks signatures needs it.
    signature_key = text_field(
        "Signature key",
        longest=1000,
        required=False,
        help_text="Made for you. Signs every notification, so that the receiver can see that it is genuine; empty, "
        "nothing is signed.",
    )


class EditForm(WireForm):
    """A form over what is stored: secrets left empty stay what they are, and never show."""

    def __init__(self, *args: Any, stored: InstanceConfig, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stored = stored
        for key in self._secrets():
            field: Any = self.fields[key.field]
            field.required = False
            field.hide_optional = True
            if getattr(stored, key.field):
                field.widget.attrs["placeholder"] = "stored; leave empty to keep it"

    def wire(self) -> dict[str, Any]:
        """Return what was typed, with the mask in the place of secrets that are to stay."""
        kept = {key.name: MASK for key in self._secrets() if getattr(self.stored, key.field)}
        return {name: kept.get(name, value) if value == "" else value for name, value in super().wire().items()}

    def _secrets(self) -> list[Key]:
        return [key for key in self.wire_keys() if key.kind == "password"]


class EditConnectionForm(EditForm, ConnectionForm):
    """The connection of an instance."""

    def __init__(self, *args: Any, stored: InstanceConfig, **kwargs: Any) -> None:
        known = stored.base_url in dict(SITES)
        columns = ("base_url", "company", "client_id")
        initial = {column: getattr(stored, column) for column in columns}
        initial["site"] = stored.base_url if known else OWN
        super().__init__(*args, stored=stored, initial=initial, **kwargs)

    def clean(self) -> dict[str, Any]:
        """Want the keys anew for another address: stored ones are not sent where nobody meant them to go."""
        given = super().clean()
        moved = given.get("base_url", "").rstrip("/").lower() != self.stored.base_url.lower()
        for name in ("public_key", "private_key"):
            if moved and not given.get(name):
                self.add_error(name, "Type the key again: it is not sent to another address than before by itself.")
        return given


class EditNotifyForm(EditForm, NotifyForm):
    """Where an instance's events go."""

    drop_signature_key = forms.BooleanField(label="Remove the signature key: sign nothing", required=False)

    def __init__(self, *args: Any, stored: InstanceConfig, **kwargs: Any) -> None:
        columns = ("callback_url", "basic_username")
        initial: dict[str, Any] = {column: getattr(stored, column) for column in columns}
        initial["callback_headers"] = "\n".join(f"{name}: {MASK}" for name in stored.callback_headers)
        super().__init__(*args, stored=stored, initial=initial, **kwargs)
        del self.fields["events_enabled"]
        if not stored.signature_key:
            del self.fields["drop_signature_key"]

    def wire(self) -> dict[str, Any]:
        """Return what was typed; a basic password goes with its user."""
        given = super().wire()
        if self.cleaned_data.get("drop_signature_key"):
            given["event.notification.signature.key"] = ""
        if not self.cleaned_data.get("basic_username"):
            given["event.notification.basic.password"] = ""
        return given

    def sent_otherwise(self, config: InstanceConfig) -> list[str]:
        """Name the fields by which a notification is sent otherwise, as `config` was read from them, than is stored."""
        fields = [key.field for key in self.wire_keys()]
        return [str(self.fields[each].label) for each in fields if getattr(config, each) != getattr(self.stored, each)]


class EditPollingForm(PollingForm):
    """How often an instance is polled."""

    def __init__(self, data: Any, *, stored: InstanceConfig) -> None:
        columns = ("refresh_interval", "callbacks_enabled")
        super().__init__(data, initial={column: getattr(stored, column) for column in columns})


class EditWritesForm(WritesForm):
    """Whether ConnectWise is written to through an instance."""

    def __init__(self, data: Any, *, stored: InstanceConfig) -> None:
        super().__init__(data, initial={"writes_enabled": stored.writes_enabled})


class EditNameForm(NameForm):
    """What an instance is called."""

    def __init__(self, data: Any, *, name: str, tags: list[str], stored: InstanceConfig) -> None:
        super().__init__(data, initial={"name": name, "tags": ", ".join(tags), "filter_nulls": stored.filter_nulls})


class DeleteForm(forms.Form):
    """An instance's name, typed to delete it."""

    name = forms.CharField(required=False, widget=forms.TextInput(attrs=OFF))

    def __init__(self, data: Any, *, name: str) -> None:
        super().__init__(data)
        field: Any = self.fields["name"]
        field.label, field.hide_optional, self._name = f"Type its name, {name}, to delete it", True, name

    def clean_name(self) -> str:
        """Want the name as it is."""
        typed: str = self.cleaned_data["name"]
        if typed.strip() != self._name.strip():
            raise ValidationError("That is not its name; nothing was deleted.")
        return typed
