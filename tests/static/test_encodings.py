"""Which coding a client gets, for what it says and for what there is."""

from __future__ import annotations

import pytest

from miniasgi.static.encodings import CODINGS, choose

# The better one is the smaller one, as is usual.
SIZES = {"identity": 1000, "gzip": 300, "zstd": 250, "br": 200}
EQUAL = dict.fromkeys(SIZES, 100)


def test_the_codings_are_liked_in_this_order() -> None:
    assert CODINGS == (("br", b".br"), ("zstd", b".zst"), ("gzip", b".gz"))


@pytest.mark.parametrize("field", [None, b"", b" ", b",", b"identity", b"IDENTITY", b"deflate", b"compress, deflate"])
def test_who_names_no_coding_that_exists_gets_none(field: bytes | None) -> None:
    assert choose(field, SIZES) == "identity"


@pytest.mark.parametrize(
    ("field", "coding"),
    [
        (b"gzip", "gzip"),
        (b"x-gzip", "gzip"),
        (b"GZip", "gzip"),
        (b"X-GZIP", "gzip"),
        (b"br", "br"),
        (b"zstd", "zstd"),
        (b"\t gzip \t", "gzip"),
        (b",, gzip ,,", "gzip"),
        (b"gzip, deflate, br, zstd", "br"),
        (b"gzip,deflate", "gzip"),
        (b"*", "br"),
        (b"*;q=0.1", "br"),
    ],
)
def test_what_is_named_is_sent(field: bytes, coding: str) -> None:
    assert choose(field, SIZES) == coding


@pytest.mark.parametrize(
    ("field", "coding"),
    [
        (b"br;q=0.1, gzip;q=0.9, zstd;q=0.05", "gzip"),
        (b"br;q=0.998, gzip;q=0.999", "gzip"),
        (b"br;q=0.5, gzip", "gzip"),
        (b"br;q=1.000, gzip;q=1", "br"),
        (b"br ; q=0.5 , gzip\t;\tQ=0.6", "gzip"),
        (b"br;q=0.5, *", "zstd"),
        (b"br;q=0.5, *;q=0.1", "br"),
        (b"gzip;q=0.001", "gzip"),
        (b"gzip;q=0.5, identity", "identity"),
        (b"gzip;q=0.5, identity;q=0.4", "gzip"),
        (b"*;q=0.5, identity;q=0.6", "identity"),
        (b"gzip;q=0.5, x-gzip;q=0.1, br;q=0.3", "br"),
    ],
)
def test_the_greatest_weight_wins(field: bytes, coding: str) -> None:
    assert choose(field, SIZES) == coding


@pytest.mark.parametrize(
    ("sizes", "coding"),
    [
        (EQUAL, "br"),
        ({"identity": 100, "gzip": 100, "zstd": 100}, "zstd"),
        ({"identity": 100, "gzip": 90, "zstd": 100, "br": 95}, "gzip"),
        ({"identity": 80, "gzip": 90, "zstd": 100, "br": 95}, "identity"),
        ({"identity": 80}, "identity"),
    ],
)
def test_of_equal_weights_the_fewest_octets_win_and_then_the_order(sizes: dict[str, int], coding: str) -> None:
    assert choose(b"gzip, zstd, br, identity", sizes) == coding


def test_identity_that_is_not_named_comes_after_what_is_whatever_its_size() -> None:
    sizes = {"identity": 10, "gzip": 30}
    assert choose(b"gzip;q=0.001", sizes) == "gzip"
    assert choose(b"*;q=0.001", sizes) == "gzip"
    assert choose(b"br", sizes) == "identity"


@pytest.mark.parametrize(
    "field",
    [
        b"gzip;q=0",
        b"gzip;q=0.0, br;q=0.00, zstd;q=0.000",
        b"gzip ; q=0.000, br;q=0",
        b"*;q=0",
        b"*;q=0, identity",
        b"gzip, gzip;q=0",
        b"gzip;q=0, gzip",
        b"x-gzip;q=0, gzip",
        # Nothing is acceptable: that is a wish only.
        b"identity;q=0",
        b"identity;q=0, deflate",
        b"identity;q=0, *;q=0",
    ],
)
def test_what_is_refused_is_not_sent(field: bytes) -> None:
    assert choose(field, SIZES) == "identity"


def test_one_refusal_leaves_the_others() -> None:
    assert choose(b"br;q=0, *", SIZES) == "zstd"
    assert choose(b"identity;q=0, gzip;q=0.001", SIZES) == "gzip"
    assert choose(b"identity;q=0, *", SIZES) == "br"
    assert choose(b"*;q=0, gzip", SIZES) == "gzip"


@pytest.mark.parametrize(
    "member",
    [
        b"brotli",
        b"xbr",
        b"br-x",
        b"br;",
        b"br;q",
        b"br;q=",
        b"br;q=2",
        b"br;q=1.001",
        b"br;q=0.1234",
        b"br;q=.5",
        b"br;q=-1",
        b"br;q=1e0",
        b"br;q =1",
        b"br;q= 1",
        b'br;q="1"',
        b"br;q=\xd9\xa1",
        b"br;level=5",
        b"br;level=5;q=1",
        b"br;q=1;q=1",
        b"br q=1",
        b"br br",
        b'"br"',
        b"br\x0b",
        b"br\xa0",
        b"*br",
        b"",
    ],
)
def test_a_malformed_or_strange_member_counts_for_nothing(member: bytes) -> None:
    assert choose(member, SIZES) == "identity"
    assert choose(member + b", gzip", SIZES) == "gzip"
    assert choose(b"gzip," + member, SIZES) == "gzip"


def test_members_after_the_64th_count_for_nothing() -> None:
    assert choose(b"x," * 63 + b"gzip", SIZES) == "gzip"
    assert choose(b"x," * 63 + b"gzip, br", SIZES) == "gzip"
    assert choose(b"x," * 64 + b"gzip", SIZES) == "identity"
    assert choose(b"," * 1_000_000, SIZES) == "identity"


def test_a_field_means_the_same_each_time_and_however_long_it_is() -> None:
    for field in (b"br;q=0.5, gzip", b"br;q=0.5, gzip" + b" " * 1000):
        assert [choose(field, SIZES) for _ in range(3)] == ["gzip"] * 3


@pytest.mark.parametrize("piece", [b" ", b"\t;", b"a", b"gzip;", b"q=0.", b"0"])
def test_a_long_field_is_no_coding(piece: bytes) -> None:
    assert choose(piece * 1_000_000, SIZES) == "identity"
