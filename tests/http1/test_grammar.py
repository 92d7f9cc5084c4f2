"""The patterns: what each production takes, octet by octet where that can be said."""

from __future__ import annotations

import re

import pytest

from miniasgi.http1.grammar import (
    AUTHORITY,
    BAD_ESCAPE,
    BAD_OCTET,
    CHUNK_LINE,
    CONTENT_LENGTH,
    FIELD_OCTETS,
    HOST,
    TARGET,
    TOKEN,
    TOKEN_OCTETS,
    VERSION,
    is_host,
)

OCTETS = [bytes([octet]) for octet in range(256)]
LETTERS_AND_DIGITS = {bytes([octet]) for octet in range(128) if chr(octet).isalnum()}


def test_a_token_is_made_of_the_octets_of_tchar_and_no_others() -> None:
    assert {octet for octet in OCTETS if TOKEN.fullmatch(octet)} == LETTERS_AND_DIGITS | {
        bytes([octet]) for octet in b"!#$%&'*+-.^_`|~"
    }
    assert set(TOKEN_OCTETS) == {octet[0] for octet in OCTETS if TOKEN.fullmatch(octet)}
    assert len(TOKEN_OCTETS) == 77


def test_a_token_is_never_empty() -> None:
    assert not TOKEN.fullmatch(b"")


def test_a_target_is_visible_ascii_without_a_fragment() -> None:
    assert {octet[0] for octet in OCTETS if TARGET.fullmatch(octet)} == set(range(0x21, 0x7F)) - {ord("#")}


def test_a_field_has_visible_octets_space_tab_and_obs_text() -> None:
    assert set(FIELD_OCTETS) == {9, *range(0x20, 0x7F), *range(0x80, 0x100)}


def test_every_control_octet_but_tab_is_bad_and_no_other_octet() -> None:
    # A lone CR at the very end may still become a line end.
    bad = {octet[0] for octet in OCTETS if BAD_OCTET.search(octet + b"x")}
    assert bad == {*range(0x20), 0x7F} - {9}


@pytest.mark.parametrize(
    ("octets", "place"),
    [(b"a\r\nb", None), (b"a\r", None), (b"a\rb", 1), (b"a\nb", 1), (b"\n", 0), (b"\r\r\n", 0), (b"\r\n\n", 2)],
)
def test_cr_and_lf_are_bad_unless_they_are_a_pair(octets: bytes, place: int | None) -> None:
    match = BAD_OCTET.search(octets)
    assert (match.start() if match else None) == place


def test_a_line_feed_is_judged_by_what_stands_before_the_place_where_the_search_begins() -> None:
    assert BAD_OCTET.search(b"\r\n", 1) is None
    assert BAD_OCTET.search(b"x\n", 1) is not None


# fmt: off
PRODUCTIONS: list[tuple[re.Pattern[bytes], list[bytes], list[bytes]]] = [
    (VERSION,
     [b"HTTP/1.1", b"HTTP/0.9", b"HTTP/2.0"],
     [b"", b"http/1.1", b"HTTP/1", b"HTTP/1.10", b"HTTP/11", b"HTTP/1.1\n", b" HTTP/1.1", b"HTTP/1.\xb2"]),
    (HOST,
     [b"h", b"h:", b"h:80", b"a.b-c_d~e", b"a%20b", b"1.2.3.4:5", b"[::1]", b"[::1]:80", b"[::ffff:1.2.3.4]",
      b"[v1.x:y]", b"!$&'()*+,;="],
     [b"", b":80", b"h:80:80", b"u@h", b"h/", b"h?", b"h#", b"h h", b"%zz", b"%2", b"::1", b"[::1", b"[]", b"[::1]x",
      b"h:x", b"\x80", b"h\n", b"h\\", b"[g]", b"<h>", b'"h"', b"h:80 "]),
    (AUTHORITY,
     [b"h:1", b"[::1]:443", b"1.2.3.4:5"],
     [b"h", b"h:", b":1", b"h:x", b"u@h:1", b"h:1/", b"h:1:2", b"[::1]"]),
    (CONTENT_LENGTH,
     [b"0", b"00", b"5", b"0005", b"9" * 19, b"0" * 5000 + b"5", b"0" * 5000],
     [b"", b"+1", b"-1", b" 1", b"1 ", b"1\n", b"1_0", b"0x1", b"1,1", b"1.0", b"9" * 20, b"\xd9\xa1", b"\xb2"]),
    (CHUNK_LINE,
     [b"0", b"a", b"A", b"fF09", b"f" * 16, b"0" * 16 + b"f" * 16, b"1;a", b"1;a=b", b"1 ; a = b", b"1\t;\ta\t=\tb",
      b'1;a="b"', b'1;a=""', b'1;a="\\"\\\\ ;="', b'1;a="\xff\t"', b"1;a;b=c;d", b'1;a="b" ;c'],
     [b"", b" 1", b"1 ", b"g", b"+1", b"-1", b"0x1", b"1_0", b"1;", b"1;;a", b"1;=b", b"1;a=", b'1;a="', b"1;a b",
      b'1;a="b"c', b"1;a=b c", b"1\n", b"1;a\n", b"1;a\r", b"1;\x00", b'1;a="\x00"', b'1;a="\x7f"', b'1;a="\\\x7f"',
      b"f" * 17, b"0" * 17 + b"f" * 16, b"\xd9\xa1"]),
]
# fmt: on


@pytest.mark.parametrize(
    ("pattern", "octets", "taken"),
    [(pattern, octets, True) for pattern, taken, _ in PRODUCTIONS for octets in taken]
    + [(pattern, octets, False) for pattern, _, refused in PRODUCTIONS for octets in refused],
)
def test_a_pattern_takes_its_production_and_nothing_else(
    pattern: re.Pattern[bytes], octets: bytes, taken: bool
) -> None:
    assert bool(pattern.fullmatch(octets)) is taken


# RFC 3986 §3.2.2: nine ways to write an IPv6address.
# fmt: off
IPV6 = b"""
1:2:3:4:5:6:7:8 1:2:3:4:5:6:1.2.3.4 ::2:3:4:5:6:7:8 ::2:3:4:5:6:1.2.3.4 1::3:4:5:6:7:8 1::3:4:5:6:1.2.3.4 ::3:4:5:6:7:8
1:2::4:5:6:7:8 1:2::4:5:6:255.249.199.0 1:2:3::5:6:7:8 1:2:3:4::6:7:8 1:2:3:4:5::7:8 1:2:3:4:5::1.2.3.4 1:2:3:4:5:6::8
1:2:3:4:5:6:7:: 1:: :: ::1 ::1.2.3.4 abcd:EF01::0000
""".split()
NO_IPV6 = b"""
: ::: 1 1: :1 1::2::3 :::1 1::: 1:2:3:4:5:6:7 1:2:3:4:5:6:7:8:9 ::2:3:4:5:6:7:8:9 1:2:3:4:5:6:7:8:: 1:2:3:4::5:6:7:8
12345:: ::g 1.2.3.4 . ::1.2.3 ::1.2.3.4.5 ::1.2.3.256 ::01.2.3.4 ::1.2.3. ::1.2.3.4: 1:2:3:4:5:6:7:1.2.3.4
::1.2.3.4:1 1.2.3.4:: 1:2:3:4:5:1.2.3.4 ::1%eth0 :1::2 1::2:
""".split()
# fmt: on


@pytest.mark.parametrize(("address", "taken"), [(each, True) for each in IPV6] + [(each, False) for each in NO_IPV6])
def test_an_address_in_brackets_is_one_of_ipv6(address: bytes, taken: bool) -> None:
    for host, form in ((b"[%b]", HOST), (b"[%b]:80", HOST), (b"[%b]:80", AUTHORITY)):
        assert is_host(host % address, form) is taken


@pytest.mark.parametrize("host", [b"h", b"h:", b"h:80", b"1.2.3.4", b"1.2.3.256", b"[v1.x:y]:80"])
def test_a_host_is_a_name_or_an_address(host: bytes) -> None:
    # RFC 3986 §3.2.2: what is no IPv4address is a name.
    assert is_host(host)
    assert not is_host(host + b"@")
    assert is_host(host, AUTHORITY) is host.endswith(b":80")


def test_the_size_of_a_chunk_is_the_first_group() -> None:
    match = CHUNK_LINE.fullmatch(b'00fF ; a="b;c"')
    assert match is not None
    assert match[1] == b"00fF"


@pytest.mark.parametrize(
    ("path", "bad"), [(b"/a%20", False), (b"/%", True), (b"/%2", True), (b"/%2g", True), (b"", False)]
)
def test_a_percent_sign_needs_two_hexadecimal_digits(path: bytes, bad: bool) -> None:
    assert bool(BAD_ESCAPE.search(path)) is bad


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (CHUNK_LINE, b"1" + b";a" * 30000 + b"\x00"),
        (CHUNK_LINE, b"1;a=" + b'"' + b"\\a" * 30000),
        (CHUNK_LINE, b"1;" + b" " * 30000 + b"a" * 30000 + b" " * 30000),
        (HOST, b"%20" * 30000 + b"%"),
        (CONTENT_LENGTH, b"0" * 30000 + b"x"),
        (TOKEN, b"a" * 60000 + b"("),
        (TARGET, b"/" * 60000 + b"#"),
    ],
)
def test_a_long_line_that_is_wrong_at_its_end_is_refused_without_trying_it_in_every_way(
    pattern: re.Pattern[bytes], line: bytes
) -> None:
    # A pattern that backtracks would be at this for years.
    assert pattern.fullmatch(line) is None
