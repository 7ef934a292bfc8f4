"""Strict readers of the environment, and the keys that the embedded default makes for itself.

Every setting may also be given as NAME_FILE, the path of a file that holds the value (Docker and systemd secrets).
A value that can't be read is an ImproperlyConfigured at start, a sentence that names the variable; nothing is guessed.
What may be a secret is never shown: no URL, no key, no token, and nothing of a file.
"""

from cwconnect.core.env.issuers import GroupRole, group_roles, issuer_url, label
from cwconnect.core.env.keys import key, make_encryption_key, make_secret_key, replace_file
from cwconnect.core.env.urls import (
    called_url,
    database,
    host_of,
    hosts,
    is_https_or_local,
    otlp_credentials,
    otlp_endpoint,
    proxy_hosts,
    proxy_url,
    redis_url,
    secrets_in,
    site_url,
)
from cwconnect.core.env.values import (
    Network,
    boolean,
    certificates,
    choice,
    durations,
    folder,
    integer,
    items,
    make_folder,
    names_read,
    networks,
    optional_folder,
    passphrase,
    text,
    token,
    zone,
)

__all__ = (
    "GroupRole",
    "Network",
    "boolean",
    "called_url",
    "certificates",
    "choice",
    "database",
    "durations",
    "folder",
    "group_roles",
    "host_of",
    "hosts",
    "integer",
    "is_https_or_local",
    "issuer_url",
    "items",
    "key",
    "label",
    "make_encryption_key",
    "make_folder",
    "make_secret_key",
    "names_read",
    "networks",
    "optional_folder",
    "otlp_credentials",
    "otlp_endpoint",
    "passphrase",
    "proxy_hosts",
    "proxy_url",
    "redis_url",
    "replace_file",
    "secrets_in",
    "site_url",
    "text",
    "token",
    "zone",
)
