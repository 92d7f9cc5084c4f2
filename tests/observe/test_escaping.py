"""What others have sent does no harm in a log, and can be read."""

from __future__ import annotations

import json
import random

import pytest

from miniasgi.observe.escaping import MOST_OCTETS, json_octets, json_text, quoted, visible, word

ALL = bytes(range(256))


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"", ""),
        (b"Mozilla/5.0 (X11; Linux)", "Mozilla/5.0 (X11; Linux)"),
        (b'" 200 5 "-"', r"\x22 200 5 \x22-\x22"),
        (b"a\\x22b", r"a\x5cx22b"),
        (b"one\ttwo", r"one\x09two"),
        ("é".encode(), r"\xc3\xa9"),
        (b"\x1b[31m\x7f\x9b\r\n", r"\x1b[31m\x7f\x9b\x0d\x0a"),
        (b"100%s", "100%s"),
    ],
)
def test_between_quotes_nothing_ends_them(octets: bytes, text: str) -> None:
    assert quoted(octets) == text


def test_every_octet_is_visible_and_tells_which_it_was() -> None:
    text = quoted(ALL)
    assert text.isascii() and text.isprintable() and '"' not in text
    # Python reads the same notation.
    assert text.encode().decode("unicode_escape").encode("latin-1") == ALL


@pytest.mark.parametrize(("length", "end"), [(MOST_OCTETS, "xx"), (MOST_OCTETS + 1, "x..."), (100_000, "x...")])
def test_what_is_long_is_cut_and_says_so(length: int, end: str) -> None:
    for text in (quoted(b"x" * length), word(b"x" * length), json.loads(json_octets(b"x" * length))):
        assert text.endswith(end)
        assert len(text) == min(length, MOST_OCTETS) + len(end.replace("x", ""))


def test_a_word_has_no_space() -> None:
    assert word(b'a b "c"') == r"a\x20b\x20\x22c\x22"
    assert " " not in word(ALL)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 日本", "plain é 日本"),
        ('quotes " and \\ stay', 'quotes " and \\ stay'),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\rb\tc\x00d\x7fe", r"a\x0db\x09c\x00d\x7fe"),
        ("c1 \x85 \x9b31m", r"c1 \x85 \x9b31m"),
        ("a\u2028b\u2029c", r"a\u2028b\u2029c"),
        ("no-break\xa0space", "no-break\xa0space"),
        ("one\ntwo\r\n\n  three", "one\ntwo\\x0d\n\n  three"),
        ("1\n2\n\n3\n\n", "1\n    2\n\n    3\n\n"),
        ("\n\u0662", "\n    \u0662"),  # a digit of another script
        ("\n2026-11-24 10:00:00 info forged", "\n    2026-11-24 10:00:00 info forged"),
    ],
)
def test_a_message_has_no_control_characters_and_no_further_line_that_looks_like_one_of_the_log(
    text: str, shown: str
) -> None:
    assert visible(text) == shown


def test_whatever_is_in_a_message_only_its_first_line_is_one_of_the_log() -> None:
    chance = random.Random(1)
    for _ in range(2000):
        text = "".join(chance.choices("\n\r\v\f\x1b\x1c\x1d\x1e\x85\u2028\u2029 a2é", k=12))
        # splitlines ends lines wherever anybody might.
        assert not any(line[:1].isdigit() for line in visible(text).splitlines()[1:]), text


@pytest.mark.parametrize("text", ["", "plain", 'a"b\\c', "\x00\n\r\x1b\x7f\x85\u2028", "é日本😀", "</script>"])
def test_a_json_string_is_the_text_in_ascii_on_one_line(text: str) -> None:
    written = json_text(text)
    assert json.loads(written) == text
    assert written.isascii() and written.replace("\x7f", "").isprintable()


def test_half_a_character_is_none() -> None:
    assert json_text("a\ud800é\udcff") == '"a?\\u00e9?"'


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"plain", "plain"),
        (b'a"b\\c', 'a"b\\c'),
        ("é日本😀".encode(), "é日本😀"),
        (b"\xff\xc3(", "\\xff\\xc3("),
        ("é".encode("latin-1"), "\\xe9"),
        (b"\xed\xa0\x80", "\\xed\\xa0\\x80"),  # half a pair, encoded as if it was a character
    ],
)
def test_octets_are_read_as_utf_8_where_they_are(octets: bytes, text: str) -> None:
    assert json.loads(json_octets(octets)) == text


def test_octets_that_are_cut_are_still_a_json_string() -> None:
    for length in range(MOST_OCTETS - 4, MOST_OCTETS + 8):
        for piece in (b'"', b"\\", "é".encode(), "😀".encode(), b"\xff", b"\n"):
            octets = (piece * length)[:length]
            text = json.loads(json_octets(octets))
            assert text.endswith("...") == (length > MOST_OCTETS)
