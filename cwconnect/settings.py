"""All settings, from the environment (docs/operations.md#settings). Nothing here is edited for an installation."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import django_stubs_ext

from cwconnect import __version__
from cwconnect.core import env, layout, logs
from cwconnect.core.email_url import read_email_url
from cwconnect.fixed_settings import *  # noqa: F403  (Django reads them here)

django_stubs_ext.monkeypatch()
# Database, log, copies and keys hold records and secrets of customers: whatever a process of the service writes, a web
# server's of one's own too, is for its owner alone. Said here, since each of them passes here before it writes.
os.umask(os.umask(0o077) | 0o077)

_PACKAGE = Path(__file__).resolve().parent
BASE_DIR = layout.base_folder(_PACKAGE)
DATA_DIR = env.folder("CWCONNECT_DATA_DIR", lambda: layout.data_folder(_PACKAGE, os.environ))
_database = env.database("CWCONNECT_DATABASE_URL")
REDIS_URL = env.redis_url("CWCONNECT_REDIS_URL")
EMBEDDED = not _database

# Keys
SECRET_KEY = env.key("CWCONNECT_SECRET_KEY", DATA_DIR / "secret_key", env.make_secret_key, embedded=EMBEDDED)
ENCRYPTION_KEYS = [
    part.strip()
    for part in env.key(
        "CWCONNECT_ENCRYPTION_KEYS", DATA_DIR / "encryption_keys", env.make_encryption_key, embedded=EMBEDDED
    ).split(",")
]

# The web: who may ask, and how
DEBUG = env.boolean("CWCONNECT_DEBUG", default=False)
READABLE_TOKENS = env.boolean("CWCONNECT_READABLE_TOKENS", default=False)
PUBLIC_URL = env.site_url("CWCONNECT_PUBLIC_URL")
CALLBACK_URL = env.called_url("CWCONNECT_CALLBACK_URL")
ALLOWED_HOSTS = env.hosts("CWCONNECT_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
ALLOWED_HOSTS += env.host_of(PUBLIC_URL) + env.host_of(CALLBACK_URL)
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL] if PUBLIC_URL else []
TRUSTED_PROXIES = env.networks("CWCONNECT_TRUSTED_PROXIES")
_https = PUBLIC_URL.startswith("https://")
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _https else None
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = _https
SECURE_HSTS_SECONDS = 31_536_000 if _https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _https
PROBES = ("healthz", "readyz", "metrics")  # asked by machines inside: by address, and without the proxy
# ConnectWise follows no redirect, and its way in may be another than people's, without the proxy's header.
SECURE_REDIRECT_EXEMPT = [rf"^({'|'.join(PROBES)})$", "^callbacks/connectwise/"]
X_FRAME_OPTIONS = "DENY"
DEFAULT_EXCEPTION_REPORTER_FILTER = "cwconnect.core.debug_pages.ReporterFilter"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
FILE_UPLOAD_HANDLERS: list[str] = []  # nothing is uploaded here; Django's own would write to the temporary folder
WEB_THREADS = 8  # of a web process; half of them may wait for the outside (instances/interactive.py)
# Everything comes from here: no inline script or style, nothing from elsewhere.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}
# Sign-in: ten failures from one address (IPv6: one /64) close it for a quarter of an hour, in the admin too; guesses at
# one account from many addresses, and what known browsers are spared, are instances/sign_in_lock.py's.
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = ["ip_address"]
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # what is refused is not written: it would grow without end
AXES_HANDLER = "instances.sign_in_lock.SignInHandler"
AXES_CLIENT_IP_CALLABLE = "cwconnect.core.client_ip.client_network"
AXES_LOCKOUT_CALLABLE = "instances.sign_in_lock.locked_out"
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False
SESSION_ENGINE = "cwconnect.core.sessions"
SESSION_COOKIE_AGE = 12 * 3600  # a working day, whatever is clicked; then people sign in again
if _https:  # names that a browser takes from this very host alone, and over TLS
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
PASSWORD_RESET_TIMEOUT = 4 * 3600  # a mail may take its time; its link changes a password, so not more
LOGIN_URL = "signin"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "signin"
# django-allauth: the steps of a sign-in (a password or an issuer, then a second factor), links in mails, issuers.
ACCOUNT_ADAPTER = "instances.sign_in_adapter.SignInAdapter"
ACCOUNT_RATE_LIMITS = False  # one set of limits: those above, and instances/guesses.py
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]  # said for its check's sake: nobody signs up by a form of its own
ACCOUNT_EMAIL_VERIFICATION = "none"  # an address opens nothing here, but for the link to a new password sent to it
ACCOUNT_UNIQUE_EMAIL = False  # two accounts may have one mailbox; nobody is found or linked by it
# Django's, which minds the account's address; allauth's own would keep a second copy of it.
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "django.contrib.auth.tokens.PasswordResetTokenGenerator"  # noqa: S105  (a name, no secret)
SOCIALACCOUNT_ADAPTER = "instances.openid.adapter.IssuerAdapter"
# An issuer of OpenID Connect (instances/openid), if there is one.
OIDC_CLIENT_ID = env.token("CWCONNECT_OIDC_CLIENT_ID")
OIDC_ISSUER = env.issuer_url("CWCONNECT_OIDC_ISSUER", client_id=OIDC_CLIENT_ID)
OIDC_CLIENT_SECRET = env.token("CWCONNECT_OIDC_CLIENT_SECRET")
OIDC_NAME = env.label("CWCONNECT_OIDC_NAME", "single sign-on")
OIDC_GROUPS_CLAIM = env.token("CWCONNECT_OIDC_GROUPS_CLAIM") or "groups"
OIDC_GROUPS = env.group_roles("CWCONNECT_OIDC_GROUPS", ("viewer", "operator"))
ACCOUNT_LOGIN_TIMEOUT = 600  # seconds between a right password and the second step; then it begins anew
# Second factors: apps, passkeys, recovery codes. Who must have one: here for the whole service, and each organization.
SECOND_FACTOR = env.choice("CWCONNECT_SECOND_FACTOR", "optional", ("optional", "operators", "everybody"))
MFA_ADAPTER = "instances.factors.adapter.FactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True  # a passkey that asks for a finger or a PIN is two factors by itself
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_TOTP_TOLERANCE = 1  # steps of 30 s that a clock may be off, either way
MFA_RATE_LIMITS = False  # as above
APPEND_SLASH = False  # integrators' routes end without a slash; the admin's links are complete

# The outbound client (cwconnect/outbound)
PRIVATE_NETWORKS = env.networks("CWCONNECT_PRIVATE_NETWORKS")
HTTP_PROXY = env.proxy_url("CWCONNECT_HTTP_PROXY")
HTTP_PROXY_HOSTS = env.proxy_hosts("CWCONNECT_HTTP_PROXY_HOSTS")
CA_FILE = env.certificates("CWCONNECT_CA_FILE")

# The service
CONNECTWISE_CLIENT_ID = env.token("CWCONNECT_CONNECTWISE_CLIENT_ID")
RETENTION_DAYS = env.integer("CWCONNECT_RETENTION_DAYS", 30, minimum=1, maximum=36_500)
MOST_SUBSCRIPTIONS = env.integer("CWCONNECT_MOST_SUBSCRIPTIONS", 20, minimum=1, maximum=100)  # of an instance
COPY_DAYS = env.integer("CWCONNECT_COPY_DAYS", 3, minimum=1, maximum=365)  # that a copy of a resource is kept
# Standard Webhooks' schedule: the delay before each try, in seconds; the first is at once.
RETRY_SCHEDULE = env.durations("CWCONNECT_RETRY_SCHEDULE", "0, 5s, 5m, 30m, 2h, 5h, 10h, 14h, 20h, 24h")
# Backups of the embedded database by schedule; without a folder there are none. The passphrase seals those by hand too.
BACKUP_FOLDER = env.optional_folder("CWCONNECT_BACKUP_FOLDER")
BACKUP_EVERY = timedelta(hours=env.integer("CWCONNECT_BACKUP_EVERY", 24, minimum=1, maximum=8760))
BACKUP_KEEP = env.integer("CWCONNECT_BACKUP_KEEP", 7, minimum=1, maximum=10_000)
BACKUP_PASSPHRASE = env.passphrase("CWCONNECT_BACKUP_PASSPHRASE")
EMAIL_URL = env.text("CWCONNECT_EMAIL_URL")
OPERATOR_WEBHOOK_URL = env.text("CWCONNECT_OPERATOR_WEBHOOK_URL")
read_email_url(EMAIL_URL)  # what is wrong with it is said at the start, not at the first warning

INSTALLED_APPS = [
    "cwconnect",  # first: its createsuperuser stands in Django's place
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "django_htmx",
    "csp",
    "axes",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "django_q",
    "instances",
    "polling",
]
MIDDLEWARE = [
    "cwconnect.core.middleware.ProbeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "cwconnect.tracing.middleware.TracingMiddleware",
    "cwconnect.core.middleware.NoStoreMiddleware",
    "csp.middleware.CSPMiddleware",
    "cwconnect.core.middleware.RequestIdMiddleware",
    "cwconnect.core.middleware.BasePathMiddleware",
    "cwconnect.core.middleware.TimeZoneMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "instances.audit.AuditMiddleware",
    "instances.sign_ins.SignInMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "instances.pages.second_factor_gate.SecondFactorGate",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "cwconnect.urls"
API_URLCONF = "cwconnect.api_urls"  # all that answers under the product's base path
WSGI_APPLICATION = "cwconnect.wsgi.application"
ASGI_APPLICATION = "cwconnect.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "polling.pages.banner.engine_of_viewer",
            ],
        },
    },
]
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True  # assets come from packages: no collectstatic step for a newcomer
WHITENOISE_AUTOREFRESH = False

# The database: SQLite beside the code by default, PostgreSQL by CWCONNECT_DATABASE_URL. Same code, no mode switch.
_SQLITE_OPTIONS: dict[str, Any] = {
    "timeout": 20,
    "transaction_mode": "IMMEDIATE",  # writers queue at BEGIN instead of failing at their first write
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16000",
}
DATABASES: dict[str, Any]
if EMBEDDED:
    env.make_folder("CWCONNECT_DATA_DIR", DATA_DIR)
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DATA_DIR / "cwconnect.sqlite3"}}
else:
    DATABASES = {"default": _database}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["ENGINE"] = "cwconnect.core.even_sqlite3"
    DATABASES["default"].setdefault("OPTIONS", {}).update(_SQLITE_OPTIONS)
else:
    # By this name an upgrade knows which versions are alive (see cwconnect/site/upgrading/running.py).
    DATABASES["default"].setdefault("OPTIONS", {}).setdefault("application_name", f"cwconnect {__version__}")
ON_SQLITE = DATABASES["default"]["ENGINE"].endswith("sqlite3")
DATABASES["default"]["CONN_MAX_AGE"] = 60
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# The queue: wake-up calls only. Why these figures: a task claims work for 60 s, and for 120 s more while it waits for
# what it has begun. A poll's page takes 120 s at most; a request of other jobs, two in one, 240 s, and is begun in the
# first 60 s alone (polling/workers/wakeups.py). See cwconnect/site/checks.py for the retry rule.
Q_CLUSTER: dict[str, Any] = {
    "name": "cwconnect",
    "workers": env.integer("CWCONNECT_WORKERS", 2, minimum=1, maximum=256),
    "timeout": 330,
    "retry": 2400,
    "max_attempts": 3,
    "ack_failures": True,
    "queue_limit": 4,
    "bulk": 2,
    "save_limit": -1,
    "catch_up": False,
    "poll": 0.3,
    "recycle": 500,
    "guard_cycle": 0.5,
    "label": "Queue",
    "cache": "nowhere",  # its cluster's status, twice a second, which nobody reads
}
Q_CLUSTER |= {"redis": REDIS_URL} if REDIS_URL else {"orm": "default"}

# Counts of failed authentication (instances/api/throttling.py), and those that the overview draws: integers and text
# alone. Each process has its own where there is no Redis.
CACHES: dict[str, Any] = {
    "default": {
        "BACKEND": "cwconnect.core.plain_cache.PlainRedisCache",
        "LOCATION": [REDIS_URL],  # a list, or Django parts the URL at each comma
        "OPTIONS": {"socket_connect_timeout": 2, "socket_timeout": 2},  # requests do without it when it hangs
    }
    if REDIS_URL
    else {"BACKEND": "cwconnect.core.plain_cache.PlainMemoryCache", "OPTIONS": {"MAX_ENTRIES": 20_000}},
    "nowhere": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
}

LANGUAGE_CODE = "en-us"
TIME_ZONE = env.zone("CWCONNECT_TIME_ZONE", "UTC")
USE_I18N = False
FORMAT_MODULE_PATH = "cwconnect.formats"
USE_TZ = True

# What is reported of the service: metrics, traces, a heartbeat, logs
METRICS_TOKEN = env.token("CWCONNECT_METRICS_TOKEN")
OTLP_ENDPOINT = env.otlp_endpoint("CWCONNECT_OTLP_ENDPOINT")  # where spans are sent; without one there are none
HEARTBEAT_URL = env.text("CWCONNECT_HEARTBEAT_URL")
LOG_FORMAT = env.choice("CWCONNECT_LOG_FORMAT", "auto", ("auto", "json", "line"))
_form = ("line" if sys.stderr.isatty() else "json") if LOG_FORMAT == "auto" else LOG_FORMAT
_keys = [SECRET_KEY, *ENCRYPTION_KEYS, METRICS_TOKEN, OIDC_CLIENT_SECRET, BACKUP_PASSPHRASE, *env.otlp_credentials()]
_keys.append(str(DATABASES["default"].get("PASSWORD") or ""))
# A message of a driver or a library may hold these; who knows the path of the last two may use them.
_keys += [text for url in (REDIS_URL, EMAIL_URL, HTTP_PROXY or "") for text in env.secrets_in(url)]
_keys += [text for url in (OPERATOR_WEBHOOK_URL, HEARTBEAT_URL) for text in env.secrets_in(url, path=True)]
LOGGING = logs.configuration(_form, _keys)
