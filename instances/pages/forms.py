"""The forms of the pages. They read what was typed; the rules are those of `configuration` and `provisioning`."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import authenticate, get_user_model
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from cwconnect.core.form_fields import NameField, SeenField
from cwconnect.core.unseen import trim
from instances.configuration.config_keys import KEYS, InstanceConfig, Key
from instances.configuration.values import ConfigurationError
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
_NEEDED_AT_TIMES = {"base_url", "callback_url"}  # so that they are not called optional
_OFF = {"autocomplete": "off", "spellcheck": "false"}


def _text(label: str, *, longest: int = 200, required: bool = True, **options: Any) -> Any:
    options.setdefault("widget", forms.TextInput(attrs=_OFF))
    return SeenField(label=label, max_length=longest, required=required, **options)


def _secret(label: str, *, required: bool = True, **options: Any) -> Any:
    """Make a field for a secret. What was typed into a form that failed is kept in it; what is stored never shows."""
    widget = forms.PasswordInput(render_value=True, attrs=_OFF | {"autocomplete": "new-password"})
    return _text(label, longest=1000, required=required, widget=widget, **options)


class WireForm(forms.Form):
    """A form whose fields stand for those keys of the wire's configuration that fill the field of their name."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self.fields.keys() & _NEEDED_AT_TIMES:
            field: Any = self.fields[name]
            field.hide_optional = True

    def keys(self) -> list[Key]:
        """Return the wire keys that this form's fields stand for."""
        return [key for key in KEYS if key.field in self.fields]

    def wire(self) -> dict[str, Any]:
        """Return what was typed, by wire key."""
        return {key.name: self.cleaned_data.get(key.field, "") for key in self.keys()}

    def blame(self, error: ConfigurationError) -> dict[str, str]:
        """Put each problem beside its field; give those that no field stands for."""
        fields = {key.name: key.field for key in self.keys()}
        left = {}
        for path, text in error.problems.items():
            if path in fields:
                if fields[path] not in self.errors:
                    self.add_error(fields[path], _as_sentence(text))
            else:
                left[path] = _as_sentence(text)
        return left


def _as_sentence(text: str) -> str:
    begun = f"This {text}" if text[:1].islower() else text
    return begun if begun.endswith((".", "?", "!")) else begun + "."


class ConnectionForm(WireForm):
    """Where ConnectWise is, and the keys to it."""

    site = forms.ChoiceField(
        label="Site", choices=SITES, widget=forms.Select(attrs={"data-shows": "own-site", "data-shows-when": OWN})
    )
    base_url = _text(
        "ConnectWise URL", longest=500, required=False, help_text=f"Like https://connect.example.com{_API}"
    )
    company = _text("Company", help_text="The company name that you use to log in to ConnectWise.")
    public_key = _secret("Public key")
    private_key = _secret("Private key", help_text="Of an API member: System › Members › API Keys.")
    client_id = _text("Client ID", required=False, help_text="Left empty, the service's own is sent.")

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
    """Where events go, and how often ConnectWise is asked."""

    events_enabled = forms.BooleanField(label="Events on: poll the resources and send what changed", required=False)
    callback_url = _text(
        "Callback URL",
        longest=2000,
        required=False,
        widget=forms.URLInput(attrs=_OFF),
        help_text="Each notification is POSTed here; any 2xx within 15 s says that it arrived.",
    )
    signature_key = _secret(
        "Signature key",
        required=False,
        help_text="Signs every notification, so that the receiver can see that it is genuine. When you change it, the "
        "former key signs beside the new one for a day.",
    )
    refresh_interval = forms.CharField(
        label="Poll every … minutes", initial="15", widget=forms.NumberInput(attrs={"min": 1})
    )
    callbacks_enabled = forms.BooleanField(
        label="ConnectWise's callbacks on: hear of most changes within seconds",
        required=False,
        help_text="ConnectWise then calls this service, which polls at once. That needs an https address that "
        "ConnectWise can reach, and an API member whose role may create callbacks (System › Table Setup). Polls go on "
        "all the same, so nothing is lost where no callback comes.",
    )
    callback_headers = _text(
        "Further headers",
        longest=20_000,
        required=False,
        widget=forms.Textarea(attrs=_OFF | {"rows": 2, "placeholder": "Name: value"}),
        help_text="One a line; sent with each notification.",
    )
    basic_username = _text("Basic user", required=False)
    basic_password = _secret("Basic password", required=False)


class NameForm(WireForm):
    """What people call an instance."""

    name = NameField(label="Name", max_length=200, help_text="For example the customer's name.")
    tags = NameField(label="Tags", max_length=2000, required=False, help_text="Separated by commas.")
    filter_nulls = forms.BooleanField(label="Leave out fields without a value (null)", required=False, initial=True)

    def tag_list(self) -> list[str]:
        """Return the tags, each once."""
        return list(dict.fromkeys(trim(tag)[:200] for tag in self.cleaned_data["tags"].split(",") if trim(tag)))


class NewInstanceForm(ConnectionForm, NotifyForm, NameForm):
    """Everything about a new instance but its resources."""

    # To be seen: it is made here, and the program that checks signatures needs it.
    signature_key = _text(
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
        return [key for key in self.keys() if key.kind == "password"]


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
        columns = ("callback_url", "refresh_interval", "callbacks_enabled", "basic_username")
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
        fields = [key.field for key in self.keys() if key.field not in ("refresh_interval", "callbacks_enabled")]
        return [str(self.fields[each].label) for each in fields if getattr(config, each) != getattr(self.stored, each)]


class EditNameForm(NameForm):
    """What an instance is called."""

    def __init__(self, data: Any, *, name: str, tags: list[str], stored: InstanceConfig) -> None:
        super().__init__(data, initial={"name": name, "tags": ", ".join(tags), "filter_nulls": stored.filter_nulls})


class FirstAccountForm(forms.Form):
    """The account of the first start, and its organization."""

    code = forms.CharField(
        label="Code", max_length=100, help_text="“manage.py up” prints it, so that nobody else comes first."
    )
    username = NameField(label="User name", max_length=150)
    password = forms.CharField(
        label="Password", widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}), strip=False
    )
    organization = NameField(
        label="Organization", max_length=200, initial="My company", help_text="Instances belong to an organization."
    )

    def clean_username(self) -> str:
        """Apply the account's own rule for names."""
        name: str = self.cleaned_data["username"]
        for validator in get_user_model()._meta.get_field("username").validators:  # noqa: SLF001  (documented API)
            validator(name)
        return name

    def clean(self) -> dict[str, Any]:
        """Judge the password as Django does everywhere."""
        given = super().clean() or self.cleaned_data
        if password := given.get("password"):
            try:
                validate_password(password, User(username=given.get("username", "")))
            except ValidationError as error:
                self.add_error("password", error)
        return given


class OwnPasswordForm(PasswordChangeForm):
    """A new password for oneself. The present one is checked as a sign-in is, so that guesses at it are counted too."""

    def __init__(self, user: User, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(user, *args, **kwargs)
        self._request = request

    def clean_old_password(self) -> str:
        """Check the present password."""
        given: str = self.cleaned_data["old_password"]
        if authenticate(self._request, username=self.user.get_username(), password=given) is None:
            raise ValidationError(self.error_messages["password_incorrect"], code="password_incorrect")
        return given
