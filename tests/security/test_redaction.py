"""No spelling of a secret, wherever it stands in an answer, gets past the masks, nor does the beginning of one."""

from __future__ import annotations

import base64
import html
import json
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from cwconnect.core.redact import MASK, SHORTEST, parts_of, redactor
from cwconnect.core.unseen import find_unseen

SECRET = "p&ä\"s<s> w\\o/r+d'%41😀=?"


def base64_at(before: int, encode: Callable[[bytes], bytes] = base64.b64encode) -> Callable[[str], str]:
    return lambda text: encode(b"\xa5" * before + text.encode() + b"\x5a" * 7).decode()


ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON, not ASCII alone": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "JSON, slashes too": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "JSON, every character": lambda text: json.dumps(
        "".join(f"\\u{ord(c):04x}" if c < "\U00010000" else c for c in text)
    )[1:-1].replace("\\\\u", "\\u"),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text))[1:-1],
    "percent": lambda text: quote(text, safe=""),
    "percent, lower case": lambda text: quote(text, safe="").lower() if text.lower() == text else quote(text, safe=""),
    "percent, as little as possible": lambda text: quote(text, safe="!\"$&'()*+,/:;<=>?@[]\\^`{|}~ "),
    "percent, every byte": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "percent, twice": lambda text: quote(quote(text, safe="")),
    "percent, a form's": quote_plus,
    "HTML": html.escape,
    "HTML, every character": lambda text: "".join(f"&#{ord(character)};" for character in text),
    "HTML, in hexadecimal": lambda text: "".join(f"&#x{ord(character):X};" for character in text),
    "HTML, twice": lambda text: html.escape(html.escape(text)),
    "HTML in JSON": lambda text: json.dumps(html.escape(text))[1:-1],
    "JSON in HTML": lambda text: html.escape(json.dumps(text)[1:-1]),
    "a percent in JSON": lambda text: json.dumps(quote(text))[1:-1],
    "a program's": lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode("latin-1")) if _latin(text) else text,
    "hexadecimal": lambda text: text.encode().hex(),
    "HEXADECIMAL": lambda text: text.encode().hex().upper(),
    "hexadecimal, with colons": lambda text: text.encode().hex(":"),
    "hexadecimal, a dump's": lambda text: text.encode().hex(" "),
    "UTF-8 read as Latin-1": lambda text: text.encode().decode("latin-1"),
    "Latin-1 read as UTF-8": lambda text: text.encode("latin-1").decode("utf-8", "replace") if _latin(text) else text,
    "UTF-16 read as UTF-8": lambda text: text.encode("utf-16-le").decode() if text.isascii() else text,
    "base64 alone": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 without its end": lambda text: base64.b64encode(text.encode()).decode().rstrip("="),
    **{f"base64 after {n}": base64_at(n) for n in range(4)},
    **{f"URL-safe base64 after {n}": base64_at(n, base64.urlsafe_b64encode) for n in range(4)},
    "base64 in JSON": lambda text: base64_at(2)(text).replace("/", "\\/"),
    "base64 in a URL": lambda text: quote(base64_at(1)(text), safe=""),
    "base64 of mail": lambda text: base64.encodebytes(b"user:" + text.encode() * 9).decode(),
    "base64 in hexadecimal's neighbour": lambda text: base64_at(0)(text) + " 00",
}


def _latin(text: str) -> bool:
    return all(character < "\u0100" for character in text)


AROUND = ['{{"echo": "{}"}}', "<p>{}</p>", "{}", "a{}b", "{0} {0}", "Authorization: {};", "% {} & \\ {}"]
TEXTS = st.text(st.characters(exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp", "Zs")), min_size=4, max_size=40).filter(
    lambda text: find_unseen(text) is None and "*" not in text
)


def holds(text: str, secret: str) -> list[str]:
    """Return the encodings in which a text holds a secret; those of base64 by what no neighbour changes."""
    found = [name for name, encode in ENCODINGS.items() if "base64" not in name and encode(secret) in text]
    plain = "".join(text.split()).replace("\\/", "/").translate(str.maketrans("-_", "+/"))
    for before in range(3):
        code = base64.b64encode(b"\0" * before + secret.encode()).decode().rstrip("=")
        if code[-(-8 * before // 6) : -1] in plain:
            found.append(f"base64 after {before}")
    return found


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("secret", [SECRET, "pässword-öf-ours", "hunter22", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
def test_a_secret_is_masked_in_every_encoding(secret: str, encoding: str, around: str) -> None:
    text = around.format(*[ENCODINGS[encoding](secret)] * 2)
    masked = redactor((secret,))(text)
    assert MASK in masked
    assert holds(masked, secret) == []
    assert masked != text


@settings(max_examples=300)
@example("0000", "HEXADECIMAL", "{}", "x100")  # the last 0 and the x are no prefix
@example("pÃ¤ssword", "Latin-1 read as UTF-8", "{}", "another")
@given(TEXTS, st.sampled_from(sorted(ENCODINGS)), st.sampled_from(AROUND), TEXTS)
def test_any_secret_is_masked_beside_any_other(secret: str, encoding: str, around: str, other: str) -> None:
    assume(len(ENCODINGS[encoding](secret)) >= SHORTEST)  # what is read as less is masked where it stands by itself
    text = around.format(*[ENCODINGS[encoding](secret) + other] * 2)
    masked = redactor((secret, other))(text)
    assert MASK in masked
    assert holds(masked, secret) == []


@pytest.mark.parametrize("between", ["", ",", ", "])
def test_prefixed_digits_are_masked(between: str) -> None:
    assert redactor((SECRET,))(between.join(f"0x{byte:02x}" for byte in SECRET.encode())) == f"0x{MASK}"


@settings(max_examples=200)
@given(TEXTS, st.sampled_from(sorted(ENCODINGS)), st.integers(0, 300))
def test_the_beginning_of_one_at_a_cut_is_left_out(secret: str, encoding: str, keep: int) -> None:
    before = "ZZZ: "
    encoded = ENCODINGS[encoding](secret)
    text = before + encoded[: max(1, keep % len(encoded))]
    masked = redactor((secret,))(text, cut=True)
    rest = masked.replace(MASK, "").removeprefix(before)
    # Base64 of something else may come first: all of it but the secret is let be.
    assert "base64" in encoding or len(rest) < 4 or rest not in encoded, (text, masked)


# Of each, what is left of a character that was cut looks like the secret's own beginning in some encoding.
LIKE_THEIR_BEGINNING = [
    "ò0:\U00088e51xyz",
    "â‘‘耀c",
    "%İҳ3˺ÿÃ",
    "a‘😀&&",
    ">xâ&4ƭ‰²",
    "\\\\u00\\u",
    "&amp;a",
    "%C3%B2ò",
    SECRET,
]


@pytest.mark.parametrize("encoding", [name for name in ENCODINGS if "base64" not in name])
def test_wherever_one_is_cut_nothing_of_it_is_left(encoding: str) -> None:
    before = 'ZZZ: \\"'  # JSON in JSON adds a quote
    for secret in LIKE_THEIR_BEGINNING:
        encoded = "ZZZ: " + ENCODINGS[encoding](secret)
        texts = [encoded[:kept] for kept in range(6, len(encoded))]
        masked = {text: redactor((secret,))(text, cut=True) for text in texts}
        assert {text: left for text, left in masked.items() if not before.startswith(left)} == {}


@pytest.mark.parametrize("length", range(1, len("Authorization: Basic dXNlcjpodW50ZXIyMg==") + 1))
def test_a_cut_login_shows_nothing(length: int) -> None:
    masked = redactor(("hunter22", "user:hunter22"))("Authorization: Basic dXNlcjpodW50ZXIyMg=="[:length], cut=True)
    assert "Authorization: Basic ".startswith(masked.replace(MASK, "").rstrip("=")), masked


@pytest.mark.parametrize(
    ("secret", "text", "masked"),
    [
        ("ab", "ab cab abc 'ab' ab", f"{MASK} cab abc '{MASK}' {MASK}"),
        ("1", '{"a": 1, "b": 10}', f'{{"a": {MASK}, "b": 10}}'),
        ("*", "a * b", f"a {MASK} b"),
        ("", "nothing", "nothing"),
    ],
)
def test_a_very_short_secret_is_masked_where_it_stands_alone(secret: str, text: str, masked: str) -> None:
    assert redactor((secret,))(text) == masked


def test_what_is_no_secret_is_let_be() -> None:
    text = '{"a": "b\\u00e4 %41 &amp; \\\\ dGVzdA==", "hex": "0a0b0c0d"} \\ % & \\u12 \\\\u end'
    assert redactor(("hunter22", "another secret"))(text) == text
    assert redactor(("hunter22",))(text, cut=True) == text
    assert redactor(())(text) == text


def test_what_stands_beside_a_code_is_let_be() -> None:
    code = base64.b64encode(b"user:hunter22").decode()
    masked = redactor(("hunter22", "user:hunter22"))(f"Authorization: Basic {code}\nX: y")
    assert masked == f"Authorization: Basic {MASK}==\nX: y"


def test_bytes_are_masked_by_their_encodings() -> None:
    secret = bytes(range(200, 232))
    for text in (secret.hex(), base64.b64encode(b"a" + secret).decode(), base64.urlsafe_b64encode(secret).decode()):
        masked = redactor((secret,))(f"key={text}")
        assert masked.startswith("key=")
        assert len(masked) < 20


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("Bearer abcdefgh", {"Bearer abcdefgh", "abcdefgh"}),
        ("Basic dXNlcjpodW50ZXIyMg==", {"user:hunter22", "hunter22"}),
        ("token=abcdefghij; v=1", {"abcdefghij"}),
        ("Basic ???", {"Basic ???"}),
    ],
)
def test_the_parts_of_a_header_are_secrets_too(value: str, parts: set[str]) -> None:
    assert parts <= parts_of(value)


def test_a_long_answer_costs_little() -> None:
    secrets = ("hunter22", "user:hunter22", "a-longer-secret" * 20, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    hostile = ["a" * 65_536, "\\" * 65_536, "%41" * 20_000, "&amp;" * 13_000, "hunter2" * 9_000, "aHVudGVyM" * 7_000]
    redactor(secrets)
    for text in hostile:
        began = time.process_time()
        redactor(secrets)(text, cut=True)
        assert time.process_time() - began < 2, text[:10]
