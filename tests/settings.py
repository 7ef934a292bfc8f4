"""The service's settings, as the tests run them: keys of their own, private networks open to 127.0.0.1."""

import os
import tempfile

if "CWCONNECT_DATA_DIR" not in os.environ:  # else another process of this run made the folder, and removes it
    _data = tempfile.TemporaryDirectory(prefix="cwconnect-tests-", ignore_cleanup_errors=True)
    os.environ["CWCONNECT_DATA_DIR"] = _data.name
os.environ.setdefault("CWCONNECT_SECRET_KEY", "a key for tests alone, of a length that Django's checks accept")
os.environ.setdefault("CWCONNECT_ENCRYPTION_KEYS", "ZmDfcTF7_60GrrY167zsiPd67pEvs0aGOv2oasOM1Pg=")
os.environ.setdefault("CWCONNECT_PRIVATE_NETWORKS", "127.0.0.0/8,::1/128")

from cwconnect.settings import *  # noqa: F403  (the environment must be set before the settings read it)

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast: tests sign in often
WHITENOISE_AUTOREFRESH = True  # each test client would list all assets anew: an eighth of the time of tests of pages
CACHES = {"default": {"BACKEND": "cwconnect.core.plain_cache.PlainMemoryCache"}}  # each test process clears its own
# No two test processes share a queue in Redis; what a test starts shares its own.
Q_CLUSTER = Q_CLUSTER | {"name": f"tests {os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"}  # noqa: F405  # as above
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):  # noqa: F405  # as above
    # What is Django's own choice, of which pytest-django knows by the name of Django's own backend alone.
    DATABASES["default"]["TEST"] = {"NAME": ":memory:"}  # noqa: F405  # as above
