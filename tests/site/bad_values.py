"""What is typed by mistake, or pasted: bad values for every setting, and files that hold none."""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable
from pathlib import Path

SECRET = "hunter22-and-more"
VALUES: tuple[str, ...] = (
    *("", " \t ", ",", " , ,", ";", "/", '"', "*", "-1", "0", "1" + "0" * 30, "1000000", "9" * 5000, "721h"),
    *("NaN", "Infinity", "1e3", "1_0", "٣", "²", "0x10", "banana", "bücher.example", "\U0001f511", "two words"),
    *("a" * 5000, "a" * 70_000, "a\x1b[31mb", "a\nb", os.fsdecode(b"\xff\xfe"), "a\ufeffb", "https://a.example\u200b"),
    *("proxy.example.com:3128", "socks5://127.0.0.1:1080", "file:///etc/passwd", "/etc/passwd", "/dev/null/a"),
    *("http://", "https://[::1", "http://[nonsense]/", "http://a.example:99999", "http://a:0", "http://a..b"),
    *(
        f"http://{'a' * 64}.example",
        "http://a:%00@b/",
        "http://a/b",
        "a.example/b",
        "*.example.com",
        "10.0.0.1/8, ::/129",
    ),
    *(f"postgres://user:{SECRET}#x@127.0.0.1:5432/db", f"postgres://user:1/{SECRET}@127.0.0.1/db"),
    *(f"postgres://user:1?{SECRET}@127.0.0.1/db", f"postgress://user:{SECRET}@127.0.0.1/db"),
    *(f"postgres://user:{SECRET}@127.0.0.1", f"postgres://u:{SECRET}@127.0.0.1/db?foo=1"),
    *(f"mysql://user:{SECRET}@127.0.0.1/db", "sqlite://", "sqlite:////nowhere/at/all"),
    *(f"redis://:{SECRET}@127.0.0.1/abc", f"redis://:{SECRET}@127.0.0.1/0?foo=1", f"redis://:{SECRET}@127.0.0.1:9/0,x"),
    *(f"http://user:{SECRET}@127.0.0.1:3128/path", f"smtp://user:{SECRET}@m.example/?to=no"),
    *("smtp://m.example/?to=a@b.c&from=a%0ab@c.d", f"smtp://user:{SECRET}ä@m.example/?to=a@b.c"),
)
FILES: dict[str, Callable[[Path], object]] = {
    "empty file": lambda path: path.write_bytes(b""),
    "blank file": lambda path: path.write_bytes(b" \r\n"),
    "BOM alone": lambda path: path.write_bytes(codecs.BOM_UTF8),
    "NUL": lambda path: path.write_bytes(b"a\0b"),
    "UTF-16": lambda path: path.write_text(SECRET, encoding="utf-16"),
    "UTF-16 without BOM": lambda path: path.write_text(SECRET, encoding="utf-16-le"),
    "Latin-1": lambda path: path.write_bytes(SECRET.encode() + b"\xfc"),
    "too much": lambda path: path.write_text(SECRET * 10_000),
    "a secret": lambda path: path.write_text(SECRET),
    "a folder": Path.mkdir,
    "absent": lambda path: None,
    "unreadable": lambda path: path.symlink_to("/proc/self/mem"),  # for root too: nothing is mapped at its beginning
    "in a circle": lambda path: path.symlink_to(path),
}
