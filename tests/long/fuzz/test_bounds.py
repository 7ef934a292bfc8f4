"""Inputs made to exhaust a reader: each is read or refused within bounded time and memory.

Time is the process's own, so that others on the machine count for nothing, and its bound is far above what is needed
and far below what a reader takes that looks at its input again and again. Memory is the peak of a process of its own.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.long.fuzz.targets import TARGETS
from tests.support.required import lengthy

MB = 1 << 20
PROGRAM = "import django, sys; django.setup(); from tests.long.fuzz import test_bounds as t; t.read_large(sys.argv[1])"
SECONDS = 4.0
ENVIRONMENT = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
Rubbish = Callable[[], bytes]

QUICK: dict[str, tuple[str, Rubbish]] = {
    "open parentheses": ("where", lambda: b"(" * 20_000),
    "NOT without end": ("where", lambda: b"not " * 5000),
    "3,000 comparisons": ("where", lambda: b" and ".join([b"a=1"] * 3000)),
    "2,200 templates in one word": ("where", lambda: b"a=" + b"${epoch}a" * 2200),
    "10,000 values of an IN": ("where", lambda: b"a in (" + b"1," * 9900 + b"1)"),
    "a quote of quotes": ("where", lambda: b"a='" + b"''" * 9900),
    "a where of 7 MB": ("where", lambda: b"a=1 and " * MB),
    "templates never closed": ("template", lambda: b"${" * 50_000),
    "quotes never closed": ("template", lambda: b"${date:'" * 50_000),
    "50,000 templates": ("template", lambda: b"${date}" * 50_000),
    "a pattern of 100,000 letters": ("pattern", lambda: b"y" * 100_000 + b"\n" + b"1" * 100_000),
    "a text of 200,000 spaces": ("pattern", lambda: b"yyyy MM\n2026" + b" " * 200_000),
    "a zone of 1 MB": ("zone", lambda: b"+" * MB),
    "digits, 1 MB": ("moment", lambda: b"1" * MB),
    "a url of 1 MB": ("hub_url", lambda: b"/hubs/crm/contacts?where=" + b"+" * MB),
    "100,000 parameters": ("hub_url", lambda: b"/hubs/crm/contacts?" + b"&" * 100_000),
    "names and spaces": ("hub_route", lambda: b"company/contacts?fields=" + b"a " * 100_000 + b"!"),
    "brackets, 2 MB": ("request_body", lambda: b"[" * 2_000_000),
    "600,000 lists": ("request_body", lambda: b"[" + b"[]," * 600_000 + b"1]"),
    "an integer of 2 MB": ("request_body", lambda: b"9" * 2_000_000),
    "100,000 polls": (
        "request_body",
        lambda: b'{"event.poller.configuration":{%s}}' % b",".join(b'"a%d":{"x":1}' % n for n in range(100_000)),
    ),
    "spaces in Authorization": ("authorization", lambda: b"User " + b" " * 100_000 + b"a"),
    "commas in Authorization": ("authorization", lambda: b"," * MB),
    "a status line of 1 MB": ("reply", lambda: b"HTTP/1.1 200 " + b"a" * MB),
    "a header of 1 MB": ("reply", lambda: b"HTTP/1.1 200 OK\r\nX: " + b"a" * MB),
    "100,000 headers": ("reply", lambda: b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 100_000),
    "100,000 promises to go on": ("reply", lambda: b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000),
    "1,000,000 chunks": (
        "reply",
        lambda: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * MB,
    ),
    "a chunk's size of 1 MB": (
        "reply",
        lambda: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * MB,
    ),
    "trailers of 1 MB": (
        "reply",
        lambda: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: a\r\n" * 150_000,
    ),
    "a length of 5,000 digits": ("reply", lambda: b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\na"),
    "Retry-After of 1 MB": ("retry_after", lambda: b"9" * MB),
    "Retry-After of parentheses": ("retry_after", lambda: b"(" * 60_000),
    "100,000 addresses": ("email_url", lambda: b"smtp://a/?to=" + b"a@b," * 100_000),
    "a Date of comments": ("answer", lambda: b"Date: " + b"(\\" * 30_000 + b"\n\n[]"),
    "a Link of brackets": ("answer", lambda: b"Link: " + b"<" * 60_000 + b"\n\n[]"),
    "20,000 Links": ("answer", lambda: b"Link: " + b"<a>;," * 20_000 + b"\n\n[]"),
    "10,000 levels": ("answer", lambda: b"\n\n" + b"[" * 10_000 + b"]" * 10_000),
    "900 levels within a record": ("answer", lambda: b'\n\n[{"id":1,"a":%s1%s}]' % (b'{"a":' * 900, b"}" * 900)),
    "900 levels and half a surrogate": (
        "answer",
        lambda: b'\n\n[{"id":1,"x":"\\ud800","a":%s1%s}]' % (b"[" * 900, b"]" * 900),
    ),
    "an integer of 3 MB": ("answer", lambda: b'\n\n[{"id":1,"a":%s}]' % (b"9" * 3_000_000)),
    "1.2 MB of titles never closed": ("refusal", lambda: b"\x00\x64\n\n" + b"<title" * 200_000),
    "20 MB of spaces": ("refusal", lambda: b"\x00\x64\n\n" + b" " * 20_000_000),
    "500,000 messages": (
        "refusal",
        lambda: b'\x00\x64\n\n{"message":"m","errors":[%s{}]}' % (b'{"message":"aaaa"},' * 500_000),
    ),
}

# What ConnectWise's own limit lets through, 64 MB; nearly all of it is in the body itself, and a few copies.
LARGE = {
    "NUL": (b"", b"\0"),
    "brackets": (b"", b"["),
    "empty objects": (b"[", b"{},"),
    "empty lists, read leniently": (b"[1e400,", b"[],"),
    "numbers": (b"[", b"1,"),
    "titles never closed": (b"", b"<title"),
}


@pytest.mark.parametrize("case", QUICK)
def test_a_reader_takes_time_in_proportion_to_its_input(case: str) -> None:
    name, make = QUICK[case]
    data = make()
    begun = time.process_time()
    TARGETS[name](data)
    assert time.process_time() - begun < SECONDS


@lengthy
@pytest.mark.parametrize("case", LARGE)
def test_an_answer_of_60_mb_takes_seconds_and_a_few_times_its_size(case: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, case], capture_output=True, text=True, timeout=120, env=ENVIRONMENT
    )
    assert done.returncode == 0, done.stderr
    seconds, grown = map(float, done.stdout.split())
    assert seconds < 20
    assert grown < 400


def read_large(case: str) -> None:
    """Read a large answer in all ways; print the seconds it took, and by how many MB the process grew."""
    begin, piece = LARGE[case]
    data = b"\n\n" + begin + piece * (60 * MB // len(piece))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.process_time()
    TARGETS["answer"](data)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(time.process_time() - begun, grown)  # noqa: T201  (read by the test)
