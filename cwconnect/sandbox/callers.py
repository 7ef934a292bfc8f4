"""Who may use the control API, which has no login: programs of this machine, and no page that a browser shows.

A page of anybody's may send requests to 127.0.0.1, and by DNS rebinding (its own name led there) read the answers too.
Such a request shows itself: its Host is the page's name, its Origin the page's, or its body has a type for which a
browser asks nobody. Programs send none of these.
"""

from __future__ import annotations

from ipaddress import ip_address

from cwconnect.sandbox.errors import Response, answer
from cwconnect.sandbox.wire import Request

_OWN_SITES = ("same-origin", "none")  # of Sec-Fetch-Site: the sandbox's own, or an address that a person typed


def refusal(request: Request, *, host: str, port: int) -> Response | None:
    """Return the answer to a caller who is not meant; None for one who is. The sandbox listens on `host` and `port`."""
    name, own = _name_of(request.headers.get("host", "")), {host.lower()}
    if not _is_loopback(name) and name not in own:
        return answer({"message": "Control answers to this machine's own name alone: localhost or 127.0.0.1."}, 403)
    origin = request.headers.get("origin")
    if origin is not None and not _is_own(origin, port, own):
        return answer({"message": "Control answers no page of another origin."}, 403)
    if request.headers.get("sec-fetch-site", "none") not in _OWN_SITES:
        return answer({"message": "Control answers no page of another site."}, 403)
    if request.body and not _is_json(request):
        return answer({"message": "Send JSON, with Content-Type: application/json."}, 415)
    return None


def _name_of(authority: str) -> str:
    """Return the name or address of a Host header, without its port and brackets; empty for what is none."""
    name, colon, port = authority.lower().rpartition(":")
    if not colon or port.endswith("]"):
        name, port = authority.lower(), ""
    if port.strip("0123456789"):
        return ""
    return name[1:-1] if name.startswith("[") and name.endswith("]") else name


def _is_loopback(name: str) -> bool:
    if name.removesuffix(".") == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _is_own(origin: str, port: int, own: set[str]) -> bool:
    scheme, _, authority = origin.partition("://")
    name = _name_of(authority)
    same_port = authority.endswith(f":{port}") or (port == 80 and authority.lower() in (name, f"[{name}]"))
    return scheme == "http" and same_port and (_is_loopback(name) or name in own)


def _is_json(request: Request) -> bool:
    """Whether the body says that it is JSON. A program may say nothing; a browser says what it sends, or whence."""
    kind = request.headers.get("content-type")
    if kind is None:
        return "origin" not in request.headers and "sec-fetch-site" not in request.headers
    return kind.partition(";")[0].strip().lower() == "application/json"
