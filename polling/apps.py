"""The app of what changed, and who was notified."""

from django.apps import AppConfig


class PollingConfig(AppConfig):
    """Polls, events, notifications and deliveries."""

    name = "polling"

    def ready(self) -> None:
        """Hear of instances that change, have the workers do further jobs beside polls, and guard the queue."""
        from polling.bulk.actions import register_actions
        from polling.workers import queue_guard  # noqa: F401  (its import has django-q2 keep to it)

        _connect_receivers()
        _register_jobs()
        register_actions()


def _connect_receivers() -> None:
    from django.db.models.signals import post_save

    from instances.models import Instance
    from instances.signals import instance_deleted, login_refused, mapping_in_use, watching_changed
    from polling.callbacks.endpoints import apply_callbacks, remove_with_instance
    from polling.copies.asking import interrupt_copies, stop_copies
    from polling.delivery.first_subscriptions import make_first
    from polling.detection.watching import apply_watching
    from polling.maintenance.purge import stop_instance
    from polling.reports.refused_logins import refusing_words
    from polling.subscriptions.mappings import words_of_use

    post_save.connect(make_first, sender=Instance, dispatch_uid="polling.delivery.first_subscriptions")
    watching_changed.connect(apply_watching, dispatch_uid="polling.detection.watching")
    instance_deleted.connect(stop_instance, dispatch_uid="polling.maintenance.purge")
    watching_changed.connect(apply_callbacks, dispatch_uid="polling.callbacks")
    instance_deleted.connect(remove_with_instance, dispatch_uid="polling.callbacks")
    login_refused.connect(refusing_words, dispatch_uid="polling.reports.refused_logins")
    mapping_in_use.connect(words_of_use, dispatch_uid="polling.subscriptions.mappings")
    watching_changed.connect(interrupt_copies, dispatch_uid="polling.copies")
    instance_deleted.connect(stop_copies, dispatch_uid="polling.copies")


def _register_jobs() -> None:
    from polling.bulk.bulk_job import claim_bulk_jobs
    from polling.callbacks.announced_reads import claim_announced, to_be_read
    from polling.callbacks.judging import hints_to_judge, judge_hints
    from polling.callbacks.registration_job import claim_registrations
    from polling.copies.copy_job import claim_copies
    from polling.detection.job_sources import register_job_source
    from polling.models import BulkJob, CallbackEndpoint, Copy, Repair, Verification
    from polling.verification.repair_job import claim_repairs
    from polling.verification.verification_job import claim_verifications

    register_job_source(judge_hints, hints_to_judge, first=True)
    register_job_source(claim_bulk_jobs, lambda now: BulkJob.objects.filter(next_try_at__lte=now), first=True)
    register_job_source(claim_announced, to_be_read)
    register_job_source(claim_registrations, lambda now: CallbackEndpoint.objects.filter(next_compare_at__lte=now))
    register_job_source(claim_verifications, lambda now: Verification.objects.filter(next_try_at__lte=now))
    register_job_source(claim_repairs, lambda now: Repair.objects.filter(next_try_at__lte=now))
    register_job_source(claim_copies, lambda now: Copy.objects.filter(next_try_at__lte=now))
