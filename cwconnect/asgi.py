"""The ASGI entry point, for servers that speak it."""

import os

from django.conf import settings
from django.core.asgi import get_asgi_application

from cwconnect.core.bounded_bodies import BoundedBodies
from cwconnect.core.database_lock import hold
from cwconnect.core.starting import ends_in_words

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cwconnect.settings")
with ends_in_words():
    application = BoundedBodies(get_asgi_application(), longest=settings.DATA_UPLOAD_MAX_MEMORY_SIZE)

    from cwconnect.site.checks import require_keys  # (reads models, which are there only now)

    require_keys()
    hold(settings.DATA_DIR)
