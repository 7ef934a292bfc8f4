"""The forms of the pages about accounts: sign in, the first start, one's own password."""

from __future__ import annotations

from typing import Any

from allauth.account.internal import flows
from allauth.account.models import Login
from django import forms
from django.contrib.auth import authenticate, get_user_model
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse

from cwconnect.core.form_fields import NameField
from cwconnect.core.layout import PROGRAM

BEGUN_BY = "begun_by"  # in the state of a sign-in whose second step is to come: by which password it began


class SignInForm(AuthenticationForm):
    """User name and password; what is wrong of the two is not said."""

    error_messages = dict.fromkeys(
        ("invalid_login", "inactive"), "User name and password don't match. Both mind upper and lower case."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        name = self.fields["username"]
        name.label = "User name"
        if self.is_bound:  # the focus is the summary's
            del name.widget.attrs["autofocus"]

    def login(self, request: HttpRequest, redirect_url: str | None = None) -> HttpResponse:
        """Go on from the password, which is right: to the second factor where there is one, else in."""
        account = self.get_user()
        login = Login(user=account, redirect_url=redirect_url)
        login.state[BEGUN_BY] = account.get_session_auth_hash()
        answer: HttpResponse = flows.login.perform_password_login(request, {"username": account.username}, login)
        return answer


class FirstAccountForm(forms.Form):
    """The account of the first start, and its organization."""

    code = forms.CharField(
        label="Code", max_length=100, help_text=f"“{PROGRAM} up” prints it, so that nobody else comes first."
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
