"""`manage.py licences`: what the service runs on, and under which licences."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from cwconnect.core import terminal
from cwconnect.site.licences import packages


class Command(terminal.Command):
    """Lists packages, versions and licences."""

    help = "List the packages that cwconnect runs on, with versions and licences."
    requires_system_checks = ()  # it looks at packages alone

    def handle(self, *args: Any, **options: Any) -> None:
        """Print one line a package."""
        listed = packages(settings.BASE_DIR / "pyproject.toml")
        width = max(len(package.name) + len(package.version) for package in listed) + 3
        for package in listed:
            self.stdout.write(f"{package.name} {package.version}".ljust(width) + (package.licence or "not stated"))
