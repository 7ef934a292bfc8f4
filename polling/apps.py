"""The app of what changed, and who was notified."""

from django.apps import AppConfig


class PollingConfig(AppConfig):
    """Polls, events, notifications and deliveries."""

    name = "polling"

    def ready(self) -> None:
        """Hear of instances that change, have the workers verify and repair beside polls, and guard the queue."""
        from instances.signals import instance_deleted, watching_changed
        from polling.callbacks.announced_reads import claim_announced
        from polling.callbacks.endpoints import apply_callbacks, remove_with_instance
        from polling.callbacks.judging import judge_hints
        from polling.callbacks.registration_job import claim_registrations
        from polling.detection.poll_loop import register_job_source
        from polling.detection.watching import apply_watching
        from polling.maintenance.purge import stop_instance
        from polling.verification.repair_job import claim_repairs
        from polling.verification.verification_job import claim_verifications
        from polling.workers import queue_guard  # noqa: F401  (its import has django-q2 keep to it)

        watching_changed.connect(apply_watching, dispatch_uid="polling.detection.watching")
        instance_deleted.connect(stop_instance, dispatch_uid="polling.maintenance.purge")
        watching_changed.connect(apply_callbacks, dispatch_uid="polling.callbacks")
        instance_deleted.connect(remove_with_instance, dispatch_uid="polling.callbacks")
        register_job_source(judge_hints, first=True)
        register_job_source(claim_announced)
        register_job_source(claim_registrations)
        register_job_source(claim_verifications)
        register_job_source(claim_repairs)
