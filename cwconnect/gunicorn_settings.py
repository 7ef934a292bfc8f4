"""How gunicorn serves the site under `manage.py up`: one process of eight threads, tied to the life of `up`.

One process is enough for a UI and an API, and SQLite has one writer anyway; who needs more runs gunicorn by hand.
"""

from __future__ import annotations

from cwconnect.core import processes
from cwconnect.core.starting import ends_in_words, leave_quickly, start_quickly, started

start_quickly()
with ends_in_words(exit_code=1):
    from cwconnect import settings

worker_class = "cwconnect.web.worker.Worker"
workers = 1
threads = settings.WEB_THREADS
timeout = 60
graceful_timeout = 5
keepalive = 5
loglevel = "warning"
control_socket_disable = True
proc_name = "cwconnect-web"
# Bodies are limited to DATA_UPLOAD_MAX_MEMORY_SIZE (cwconnect/web), and where another server runs, by Django.
limit_request_line = 8190
limit_request_fields = 64
limit_request_field_size = 8190
# Its lines look like all others: one way out, with what is secret masked.
logconfig_dict = settings.LOGGING | {
    "loggers": settings.LOGGING["loggers"] | {"gunicorn.error": {"handlers": [], "propagate": True}}
}


def on_starting(_server: object) -> None:
    """Follow `up` into death, and have the workers follow their master."""
    processes.follow_parent()
    processes.tie_forks()
    leave_quickly()


def post_worker_init(_worker: object) -> None:
    """Serve, with the application loaded."""
    started()
