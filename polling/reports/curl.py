"""An attempt as a command of curl, to be made again by hand: without credentials and without signatures. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from instances.secrets import MASK

LEFT_OUT = "LEFT-OUT"
SIGNATURES = ("elements-webhook-signature", "webhook-signature")
# What a system takes as one argument is limited: 128 KiB on Linux (execve(2), MAX_ARG_STRLEN).
LONGEST_ARGUMENT = 100_000


def curl_of(url: str, headers: Mapping[str, str], body: str) -> str:
    """Return the command that posts this body there, for any POSIX shell.

    Values that are credentials (kept masked) and signatures become `LEFT-OUT`, and so does the URL's query: each may be
    a secret, and a signature is good for the minute of its attempt alone. A long body goes through a pipe, for a
    command takes no argument of that length.
    """
    base, mark, _ = url.partition("?")
    parts = ["curl", "--request", "POST", shlex.quote(f"{base}?{LEFT_OUT}" if mark else base)]
    for name, value in headers.items():
        shown = LEFT_OUT if value == MASK or name.lower() in SIGNATURES else value
        parts += ["\\\n  --header", shlex.quote(f"{name}: {shown}")]
    if len(body.encode()) > LONGEST_ARGUMENT:
        return f"printf %s {shlex.quote(body)} | {' '.join([*parts, _LINE, '--data-binary', '@-'])}"
    return " ".join([*parts, _LINE, "--data-raw", shlex.quote(body)])


_LINE = "\\\n "
