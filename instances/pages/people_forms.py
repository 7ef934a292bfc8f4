"""The forms of the pages about people: who is invited, who joins, where mail goes, which password is forgotten."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.models import User

from instances.models import Role
from instances.pages.account_forms import FirstAccountForm, OwnPasswordForm

_LONGEST_CODE = 200
_DAYS = (("1", "for a day"), ("7", "for a week"), ("30", "for 30 days"))


def _address(label: str, **options: Any) -> forms.EmailField:
    return forms.EmailField(label=label, max_length=254, required=False, **options)


class InviteForm(forms.Form):
    """Whom to invite, as what, and how long that is good."""

    email = _address("Mail address")
    days = forms.ChoiceField(label="The link is good", choices=_DAYS, initial="7")
    role = forms.ChoiceField(choices=Role.choices, widget=forms.HiddenInput)


class CodeForm(forms.Form):
    """The code of a link: the page's script fills it in."""

    code = forms.CharField(
        label="Code",
        max_length=_LONGEST_CODE,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "data-from-link": ""}),
        help_text="All that stands behind the # of your link.",
        error_messages={"required": "Paste what stands behind the # of your link."},
    )


class JoinForm(FirstAccountForm):
    """User name and password of somebody who accepts an invitation."""

    code = organization = None  # type: ignore[assignment]  # Django's way to leave out a base's field
    email = _address(
        "Mail address", help_text="A link to a new password is sent there, should you forget this one; nothing else."
    )

    def clean_username(self) -> str:
        """Refuse a name that somebody has, besides what accounts refuse."""
        name = super().clean_username()
        if User.objects.filter(username=name).exists():
            raise forms.ValidationError("There is somebody of that name already. Choose another, or sign in.")
        return name


class NewPasswordForm(SetPasswordForm):  # type: ignore[type-arg]  # generic in the stubs alone
    """A new password for whoever has the code of a mail."""

    code = CodeForm.base_fields["code"]
    field_order = ("code", "new_password1", "new_password2")


class PasswordAgainForm(OwnPasswordForm):
    """The present password alone, before what is delicate."""

    new_password1 = new_password2 = None  # type: ignore[assignment]  # Django's way to leave out a base's field

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["old_password"].label = "Your password"

    def clean(self) -> dict[str, Any]:
        """Leave out what a base says of two passwords that are the same."""
        return self.cleaned_data


class OwnAddressForm(OwnPasswordForm):
    """One's mail address: whoever gets mail there can have the password changed, so the present one is asked for."""

    email = _address("Mail address", help_text="Left empty, no link to a new password can be sent to you.")
    new_password1 = new_password2 = None  # type: ignore[assignment]  # Django's way to leave out a base's field
    field_order = ("email", "old_password")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].initial = self.user.email
        del self.fields["old_password"].widget.attrs["autofocus"]

    def clean(self) -> dict[str, Any]:
        """Leave out what a base says of two passwords that are the same."""
        return self.cleaned_data

    def save(self, commit: bool = True) -> User:  # Django's signature
        """Store the address alone."""
        self.user.email = self.cleaned_data["email"]
        if commit:
            self.user.save(update_fields=["email"])
        return self.user
