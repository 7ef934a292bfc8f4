"""`manage.py createsuperuser`: Django's, but no account gets a password that the pages would refuse.

Django's own does not look at a password that comes by DJANGO_SUPERUSER_PASSWORD, and lets one at the terminal be kept
by a `y`. This stands in its place since the app `cwconnect` is named before `django.contrib.auth`.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.contrib.auth.models import User, UserManager
from django.contrib.auth.password_validation import validate_password

from cwconnect.core import terminal


class CheckedAccounts(UserManager[User]):
    """Makes administrators with good passwords, or with none: these can't sign in."""

    def create_superuser(
        self, username: str, email: str | None = None, password: str | None = None, **fields: Any
    ) -> User:
        """Make one; ValidationError, which the command puts in words, if the password is none to accept."""
        if password is not None:
            validate_password(password, User(username=username, email=email or ""))
        return super().create_superuser(username, email, password, **fields)


class _Accounts:
    """The model of accounts with that manager, in whatever the command asks of it."""

    def __init__(self) -> None:
        self._default_manager = CheckedAccounts()
        self._default_manager.model = User

    def __getattr__(self, name: str) -> Any:
        return getattr(User, name)

    def __call__(self, **fields: Any) -> User:
        """Return an account that is not stored, as the command judges passwords by."""
        return User(**fields)


class Command(terminal.Command, createsuperuser.Command):
    """Make an administrator."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.UserModel: Any = _Accounts()
