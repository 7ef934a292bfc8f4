"""`python -m cwconnect.core.ask_readyz [URL]`: whether the service of this container does its work, by exit code.

An image's HEALTHCHECK, in an image without curl. It starts no Django, which would take a second of CPU each time.
"""

from __future__ import annotations

import sys
import urllib.error
import urllib.request

URL = "http://127.0.0.1:8000/readyz"
_SECONDS = 8.0  # less than the ten that the image's HEALTHCHECK has


def ask(url: str = URL) -> tuple[bool, str]:
    """Return whether `url` answered 200, and what it said, or why there is no answer."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy of the environment's between
    try:
        with opener.open(url, timeout=_SECONDS) as response:
            return True, _text(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return False, _text(error.read())
    except OSError as error:
        return False, f"No answer: {error}"


def _text(body: bytes) -> str:
    return body.decode(errors="replace").strip()


if __name__ == "__main__":
    well, said = ask(*sys.argv[1:2])
    sys.stdout.write(f"{said}\n")
    sys.exit(0 if well else 1)
