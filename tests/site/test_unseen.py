"""What nobody sees in a text, and hosts that can't exist: every character and rule of the two primitives."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from cwconnect.core.hosts import host_problem
from cwconnect.core.unseen import find_unseen, find_unseen_in_name, trim
from cwconnect.outbound import InvalidUrl, OutboundClient

CATEGORIES = ("Cc", "Cf", "Cs", "Zl", "Zp", "Zs")
ALL = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in CATEGORIES]
UNSEEN = [character for character in ALL if character != " "]


def test_every_character_of_the_categories_is_found_wherever_it_stands() -> None:
    assert len(UNSEEN) > 2000
    for character in UNSEEN:
        code = f"U+{ord(character):04X} "
        for text, place in ((f"{character}ab", "at the beginning"), (f"a{character}b", "as character 2")):
            found = find_unseen(text)
            assert found is not None, code
            assert found.startswith(code), code
            assert found.endswith(place), code
        assert find_unseen(f"ab{character}{character}") == find_unseen(f"abc{character}"), code


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("https://a.example/\u200b", "U+200B ZERO WIDTH SPACE at the end"),
        ("\ufeffkey", "U+FEFF ZERO WIDTH NO-BREAK SPACE at the beginning"),
        ("a\u00adb", "U+00AD SOFT HYPHEN as character 2"),
        ("a\x00b", "U+0000 NULL as character 2"),
        ("a\x1f", "U+001F CONTROL CHARACTER at the end"),
        ("a\u3164b", "U+3164 HANGUL FILLER as character 2"),
        ("a\ufe0f", "U+FE0F VARIATION SELECTOR-16 at the end"),
        ("a\ufff0", "U+FFF0 UNNAMED CHARACTER at the end"),
    ],
)
def test_the_character_is_named_and_placed(text: str, found: str) -> None:
    assert find_unseen(text) == found


@pytest.mark.parametrize("text", ["", "a b", "Müller & Söhne", "東京", "Ελλάδα", "נועה", "🙂", "a\u0301"])
def test_what_is_seen_is_let_be(text: str) -> None:
    assert find_unseen(text) is None
    assert find_unseen_in_name(text) is None


NAMES = [
    "می\u200cخواهم",  # Persian parts the letters of one word
    "👩🏽\u200d💻 team",  # one emoji of two
    "❤️\u200d🔥",
    "We ❤️",  # a glyph selector at the end of its emoji
    "葛\U000e0100城",  # which of two forms an ideograph has in this name
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f office",
    "株式会社\u3000山田",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_written_as_their_languages_write_them(name: str) -> None:
    assert find_unseen_in_name(name) is None
    assert find_unseen(name) is not None  # in keys and URLs they have no place


@pytest.mark.parametrize(
    "name",
    ["\u200dacme", "acme\u200d", "acme \u200cinc", "acme\u200c\u200cinc", "\ufe0facme", "acme\u3000", "a\u202eb",
     "a\u00a0b", "acme\U000e0067", "🏴\U000e0067", "a\u200bb", "a\u00adb", "a\u2028b", "a\x1bb"],
)  # fmt: skip
def test_a_name_holds_nothing_that_stands_for_nothing(name: str) -> None:
    assert find_unseen_in_name(name) is not None


def test_only_the_blanks_of_a_paste_are_taken_off() -> None:
    assert trim(" \t\r\n a b \n") == "a b"
    assert trim("\u00a0a\u2028") == "\u00a0a\u2028"


LONGEST = ".".join(["a" * 63] * 3 + ["b" * 61])
NO_HOSTS = [
    *("a..b", ".a.example", "a.example..", "a" * 64 + ".example", LONGEST + "b", "-a.example", "a-.example"),
    *("a.-b", "a.b-", "xn--.example", "xn--a.example", "xn--ab-.example", "xn--!.example", "xn--99999999.example"),
    *("a!b.example", "a,b", "a'b.example", "256.256.256.256", "1.2.3.4.5", "a.example.123", "[v1.a]", "[:]"),
]
HOSTS = [
    *("localhost", "intranet", "a.example", "a.example.", LONGEST, LONGEST + ".", "a" * 63 + ".example", "a--b.xyz"),
    *("r3---sn-a.example", "my_host.corp", "_x._tcp.example", "1.a.example", "127.1", "0x7f.1", "127.0.0.1", "[::1]"),
    *("xn--bcher-kva.example", "xn--ls8h.la", "xn--mgba3gch31f060k.example", "3com.example", "0xa.example", "A.XYZ"),
]


@pytest.mark.parametrize("host", NO_HOSTS)
def test_a_host_that_cannot_exist_is_refused_at_the_door(host: str) -> None:
    assert host_problem(host) is not None
    with pytest.raises(InvalidUrl, match=r"host"):
        OutboundClient().check_url(f"https://{host}/hook")


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_could_exist_is_let_be(host: str) -> None:
    assert host_problem(host) is None
    OutboundClient().check_url(f"https://{host}/hook")
