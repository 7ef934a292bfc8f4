"""The app of what changed, and who was told."""

from django.apps import AppConfig


class PollingConfig(AppConfig):
    """Polls, events, notifications and deliveries."""

    name = "polling"

    def ready(self) -> None:
        """Hear of instances that change."""
        from instances.signals import watching_changed
        from polling.detection.watching import apply_watching

        watching_changed.connect(apply_watching, dispatch_uid="polling.detection.watching")
