"""Whether a name of a host can exist at all, so that one that can't is refused when it is typed. Pure, asks no DNS."""

from __future__ import annotations

import re
import socket
import unicodedata
from ipaddress import IPv6Address

from cwconnect.core.unseen import find_unseen_in_name

_LONGEST_NAME, _LONGEST_LABEL = 253, 63
_LABEL = re.compile(r"[a-z0-9_-]+")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")


def host_problem(host: str) -> str | None:
    """Say why no host can have this name, in words that follow "the host"; None if one could.

    `host` is as a URL has it, in ASCII: a name, an IPv4 address in any spelling that the system reads, or an IPv6
    address in brackets. Rules: letters, digits and hyphens, none at a label's ends, 63 octets a label, 253 a name (RFC
    1123, section 2.1; RFC 1035, section 2.3.4), and `xn--` labels that can be decoded (RFC 5890). Underscores are
    let be, since internal names have them, and so is one dot at the end.
    """
    if host.startswith("["):
        return None if _is_ipv6(host[1:-1]) else "is no IPv6 address, which brackets are for"
    name = host.lower().removesuffix(".")
    if len(name) > _LONGEST_NAME:
        return f"is longer than {_LONGEST_NAME} characters"
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]) and not _is_ipv4(name):
        return "looks like an IPv4 address and is none"
    return next((problem for label in labels if (problem := _label_problem(label))), None)


def _label_problem(label: str) -> str | None:
    if not label:
        return "has an empty part between two dots, or before the first"
    if len(label) > _LONGEST_LABEL:
        return f"has a part of {len(label)} characters between its dots; {_LONGEST_LABEL} are the most"
    if not _LABEL.fullmatch(label):
        return "holds a character that no host's name has"
    if label.startswith("-") or label.endswith("-"):
        return f"has the part “{label}”, which begins or ends with a hyphen"
    if label.startswith("xn--") and not _is_idna(label):
        return f"has the part “{label}”, which is no encoded name (IDNA)"
    return None


def _is_idna(label: str) -> bool:
    """Whether an `xn--` label stands for a text that needs it, and for one that people see.

    Which characters a registry hands out is left to it: emoji are beyond IDNA 2008, and hosts with them exist.
    """
    encoded = label.removeprefix("xn--")
    try:
        text = encoded.encode().decode("punycode")
        again = text.encode("punycode").decode()
    except (ValueError, OverflowError):
        return False
    usual = text == unicodedata.normalize("NFC", text) == text.lower()
    return again == encoded and usual and not text.isascii() and find_unseen_in_name(text) is None


def _is_ipv4(name: str) -> bool:
    try:
        socket.inet_aton(name)  # what getaddrinfo reads: parts, octal and hexadecimal numbers too
    except OSError:
        return False
    return True


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True
