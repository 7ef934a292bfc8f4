"""The forms of the pages. They read what was typed; the rules are those of `configuration` and `provisioning`."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError


class FirstAccountForm(forms.Form):
    """The account of the first start, and its organization."""

    code = forms.CharField(
        label="Code", max_length=100, help_text="“manage.py up” prints it, so that nobody else makes your account."
    )
    username = forms.CharField(label="User name", max_length=150)
    password = forms.CharField(
        label="Password", widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}), strip=False
    )
    organization = forms.CharField(
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
