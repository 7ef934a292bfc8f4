"""The site itself, as an app: commands, checks and templates, no models."""

from django.apps import AppConfig


class CwconnectConfig(AppConfig):
    """The site."""

    name = "cwconnect"

    def ready(self) -> None:
        """Register the system checks."""
        from cwconnect.site import checks  # noqa: F401  (registered by its import)
