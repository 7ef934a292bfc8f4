"""The WSGI entry point, for gunicorn."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from cwconnect.presence import hold

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cwconnect.settings")
application = get_wsgi_application()
hold(settings.DATA_DIR)
