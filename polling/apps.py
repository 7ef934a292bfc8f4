"""The app of what changed, and who was told."""

from django.apps import AppConfig


class PollingConfig(AppConfig):
    """Polls, events, notifications and deliveries."""

    name = "polling"

    def ready(self) -> None:
        """Hear of instances that change."""
        from instances.signals import instance_deleted, watching_changed
        from polling.detection.watching import apply_watching
        from polling.maintenance.purge import let_go

        watching_changed.connect(apply_watching, dispatch_uid="polling.detection.watching")
        instance_deleted.connect(let_go, dispatch_uid="polling.maintenance.purge")
