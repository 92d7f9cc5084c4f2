"""Headers of the PROXY protocol: each whole, cut at each place, with trailing octets, and spoilt in each octet."""

from __future__ import annotations

import random
from ipaddress import ip_address

import pytest

from miniasgi.errors import BadRequest
from miniasgi.server.sockets.proxy_protocol import MOST_OCTETS, Arrival, read_proxy_header

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL, PROXY = 0x20, 0x21
TCP4, UDP4, TCP6, UDP6, UNIX_STREAM, UNIX_DATAGRAM = 0x11, 0x12, 0x21, 0x22, 0x31, 0x32


def block(command: int, family: int, content: bytes = b"", length: int | None = None) -> bytes:
    """A header of version 2."""
    return SIGNATURE + bytes((command, family)) + (len(content) if length is None else length).to_bytes(2) + content


def addresses(source: str, destination: str, ports: tuple[int, int]) -> bytes:
    packed = ip_address(source).packed + ip_address(destination).packed
    return packed + ports[0].to_bytes(2) + ports[1].to_bytes(2)


def vector(kind: int, value: bytes) -> bytes:
    return bytes((kind,)) + len(value).to_bytes(2) + value


def tls(flags: int, vectors: bytes = b"") -> bytes:
    return vector(0x20, bytes((flags,)) + b"\0\0\0\0" + vectors)


IPV4 = addresses("192.0.2.7", "198.51.100.1", (56324, 443))
IPV6 = addresses("2001:db8::7", "2001:db8::1", (1, 65535))
UNIX = b"/run/client".ljust(108, b"\0") + b"/run/server".ljust(108, b"\0")
FROM_IPV4 = Arrival(("192.0.2.7", 56324), ("198.51.100.1", 443), "")
FROM_IPV6 = Arrival(("2001:db8::7", 1), ("2001:db8::1", 65535), "")
NOWHERE = Arrival(None, None, "")
UNKNOWN = Arrival(None, None, "", is_known=False)

HEADERS: dict[str, tuple[bytes, Arrival | None]] = {
    "1, IPv4": (b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n", FROM_IPV4),
    "1, longest IPv4": (
        b"PROXY TCP4 255.255.255.255 255.255.255.254 65535 65534\r\n",
        Arrival(("255.255.255.255", 65535), ("255.255.255.254", 65534), ""),
    ),
    "1, shortest IPv4": (b"PROXY TCP4 0.0.0.0 1.1.1.1 0 0\r\n", Arrival(("0.0.0.0", 0), ("1.1.1.1", 0), "")),
    "1, IPv6": (b"PROXY TCP6 2001:db8::7 2001:DB8:0::1 1 65535\r\n", FROM_IPV6),
    "1, longest IPv6": (
        b"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
        Arrival(
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", 65535), ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535), ""
        ),
    ),
    "1, shortest IPv6": (b"PROXY TCP6 :: ::1 0 1\r\n", Arrival(("::", 0), ("::1", 1), "")),
    "1, mapped": (
        b"PROXY TCP6 ::ffff:192.0.2.7 ::FFFF:c633:6401 56324 443\r\n",
        FROM_IPV4,
    ),
    "1, unknown": (b"PROXY UNKNOWN\r\n", UNKNOWN),
    "1, unknown with a space": (b"PROXY UNKNOWN \r\n", UNKNOWN),
    "1, unknown with addresses": (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", UNKNOWN),
    "1, unknown with anything": (b"PROXY UNKNOWN \0\xff PROXY TCP4 \t\r\n", UNKNOWN),
    "1, longest unknown": (b"PROXY UNKNOWN ".ljust(105, b"f") + b"\r\n", UNKNOWN),
    "2, TCP over IPv4": (block(PROXY, TCP4, IPV4), FROM_IPV4),
    "2, UDP over IPv4": (block(PROXY, UDP4, IPV4), FROM_IPV4),
    "2, TCP over IPv6": (block(PROXY, TCP6, IPV6), FROM_IPV6),
    "2, UDP over IPv6": (block(PROXY, UDP6, IPV6), FROM_IPV6),
    "2, mapped": (
        block(PROXY, TCP6, addresses("::ffff:192.0.2.7", "::ffff:198.51.100.1", (56324, 443))),
        FROM_IPV4,
    ),
    "2, Unix stream": (block(PROXY, UNIX_STREAM, UNIX), NOWHERE),
    "2, Unix datagram": (block(PROXY, UNIX_DATAGRAM, UNIX), NOWHERE),
    "2, Unix and TLS": (block(PROXY, UNIX_STREAM, UNIX + tls(1)), Arrival(None, None, "https")),
    "2, local": (block(LOCAL, 0), None),
    "2, local with a block": (block(LOCAL, TCP4, IPV4), None),
    "2, local with what is no block": (block(LOCAL, 0xFF, b"\x20\xff\xff"), None),
    "2, unspecified": (block(PROXY, 0), UNKNOWN),
    "2, unspecified with a block": (block(PROXY, 0, b"\x20\xff\xff"), UNKNOWN),
    "2, unspecified transport": (block(PROXY, 0x10, b"\x20"), UNKNOWN),
    "2, unspecified family": (block(PROXY, 0x01, b"\x20"), UNKNOWN),
    "2, TLS": (block(PROXY, TCP4, IPV4 + tls(1, vector(0x21, b"TLSv1.3"))), FROM_IPV4._replace(scheme="https")),
    "2, TLS with a certificate": (block(PROXY, TCP6, IPV6 + tls(7)), FROM_IPV6._replace(scheme="https")),
    "2, no TLS": (block(PROXY, TCP4, IPV4 + tls(0)), FROM_IPV4),
    "2, a certificate without TLS": (block(PROXY, TCP4, IPV4 + tls(6)), FROM_IPV4),
    "2, many vectors": (
        block(
            PROXY,
            TCP4,
            IPV4
            + vector(0x01, b"h2")
            + vector(0x02, b"example.com")
            + vector(0x04, b"")
            + vector(0x05, b"u" * 128)
            + tls(1, vector(0x22, b"example.com") + vector(0x23, b"ECDHE"))
            + vector(0xEA, b"\1vpce-08d2bf15fac5001c9"),
        ),
        FROM_IPV4._replace(scheme="https"),
    ),
    # What looks like a vector about TLS within another is none.
    "2, TLS in a name": (block(PROXY, TCP4, IPV4 + vector(0x02, tls(1))), FROM_IPV4),
    "2, longest": (block(PROXY, TCP4, IPV4 + vector(0x04, b"\0" * (4096 - 12 - 3))), FROM_IPV4),
}
each_header = pytest.mark.parametrize(("header", "arrival"), HEADERS.values(), ids=HEADERS)


@each_header
def test_a_header_is_read_whatever_follows_it(header: bytes, arrival: Arrival | None) -> None:
    for rest in (b"", b"\r\n", b"GET / HTTP/1.1\r\n\r\n", header, b"\0" * 10_000):
        assert read_proxy_header(header + rest) == (arrival, len(header))


@each_header
def test_a_header_that_is_cut_anywhere_needs_more_octets(header: bytes, arrival: Arrival | None) -> None:
    for end in range(len(header)):
        assert read_proxy_header(header[:end]) is None, header[:end]


def test_no_header_is_longer_than_the_longest() -> None:
    lengths = [len(header) for header, _ in HEADERS.values()]
    assert max(lengths) == MOST_OCTETS
    assert max(len(header) for header, _ in HEADERS.values() if header[:1] == b"P") == 107


@each_header
def test_a_header_of_which_an_octet_is_changed_is_read_as_far_as_its_own_end_or_refused(
    header: bytes, arrival: Arrival | None
) -> None:
    generator = random.Random(header)
    for place in range(min(len(header), 300)):
        spoilt = bytearray(header)
        spoilt[place] = generator.randrange(256)
        try:
            found = read_proxy_header(bytes(spoilt))
        except BadRequest:
            continue
        assert found is None or found[1] <= len(spoilt)


def test_random_octets_are_refused_as_early_as_their_first() -> None:
    for octet in range(256):
        data = bytes((octet,))
        if data in b"P\r":
            assert read_proxy_header(data) is None
        else:
            with pytest.raises(BadRequest):
                read_proxy_header(data)


def test_random_contents_are_read_or_refused() -> None:
    generator = random.Random(1)
    outcomes = set()
    for _ in range(5000):
        content = bytes(generator.choices(b"\0\1\2\3\4\5\x20\x21\xff", k=generator.randrange(60)))
        words = generator.choices([b"TCP4", b"TCP6", b"UNKNOWN", b"::1", b"1.2.3.4", b"0", b"", b"65536", b"\r"], k=5)
        for data in (
            block(generator.choice((LOCAL, PROXY)), generator.choice((0, TCP4, TCP6, 0x40)), content),
            b" ".join([b"PROXY", *words]) + b"\r\n",
        ):
            try:
                found = read_proxy_header(data)
                outcomes.add("more" if found is None else type(found[0]).__name__)
            except BadRequest:
                outcomes.add("refused")
    assert outcomes >= {"NoneType", "Arrival", "refused"}


# What is refused, and with its first octet that is wrong


def refused_at(header: bytes) -> int:
    """How many octets of *header* it takes to see that it is none; with fewer of them, more are asked for."""
    for end in range(len(header) + 1):
        try:
            assert read_proxy_header(header[:end]) is None
        except BadRequest:
            # What has been refused is refused with whatever follows.
            with pytest.raises(BadRequest):
                read_proxy_header(header)
            return end
    raise AssertionError(f"{header!r} was not refused")


@pytest.mark.parametrize(
    ("header", "end"),
    [
        (b"GET / HTTP/1.1\r\n", 1),
        (b"\x16\x03\x01\x02\x00", 1),
        (b" PROXY TCP4", 1),
        (b"proxy TCP4", 1),
        (b"POST / HTTP/1.1\r\n", 2),
        (b"PRI * HTTP/2.0\r\n", 3),
        (b"PROXY\tTCP4", 6),
        (b"PROXY  TCP4", 7),
        (b"PROXY UDP4", 8),
        (b"PROXY TCP5", 10),
        (b"PROXY TCP40 ", 11),
        (b"PROXY tcp4", 7),
        (b"PROXY UNKNOWNS", 14),
        (b"PROXY\r\n", 6),
        (b"PROXY \r\n", 7),
        (b"PROXY TCP4\r\n", 11),
        (b"PROXY UNKNOWN\n", 14),
        (b"PROXY UNKNOWN\r \n", 15),
        (b"PROXY UNKNOWN a\nb\r\n", 16),
        (b"PROXY UNKNOWN ".ljust(106, b"f"), 106),
        (b"PROXY TCP4 1.2.3.4x", 19),
        (b"PROXY TCP4 ::1", 12),
        (b"PROXY TCP4  1.2.3.4", 12),
        (b"PROXY TCP4 1.2.3.4  ", 20),
        (b"PROXY TCP4 1.2.3.4\t", 19),
        (b"PROXY TCP4 1.2.3.4\r\n", 19),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8\r\n", 27),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", 29),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 \r\n", 30),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n", 31),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n", 31),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n", 31),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\rG", 32),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 -2\r\n", 30),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 123456", 33),
        (b"PROXY TCP4 1111111111111111", 27),
        (b"PROXY TCP6 g::", 12),
        (b"PROXY TCP6 ::1%eth0", 15),
        (b"PROXY TCP6 [::1]", 12),
        (b"PROXY TCP6 " + b"f" * 46, 57),
    ],
)
def test_a_line_is_refused_with_the_octet_after_which_it_cannot_be_a_header(header: bytes, end: int) -> None:
    assert refused_at(header) == end


@pytest.mark.parametrize(
    ("version", "words"),
    [
        (version, words)
        for version, address, wrong in (
            (
                b"4",
                b"1.2.3.4",
                (
                    b"01.2.3.4",
                    b"1.2.3.00",
                    b"1.2.3.256",
                    b"1.2.3",
                    b"1.2.3.4.",
                    b"1..2.3",
                    b".1.2.3",
                    b"1.2.3.4.5",
                    b"1234",
                ),
            ),
            (
                b"6",
                b"::1",
                (
                    b"1.2.3.4",
                    b":::",
                    b"1::2::3",
                    b":",
                    b"1:2:3:4:5:6:7",
                    b"1:2:3:4:5:6:7:8:9",
                    b"12345::",
                    b"f",
                    b"::1.2.3.04",
                ),
            ),
        )
        for words in (
            *(b"%b %b 1 2" % pair for each in wrong for pair in ((each, address), (address, each))),
            *(
                b"%b %b %b" % (address, address, ports)
                for each in (b"01", b"00", b"65536", b"99999")
                for ports in (b"1 " + each, each + b" 1")
            ),
        )
    ],
)
def test_a_complete_line_with_wrong_addresses_or_ports_is_refused(version: bytes, words: bytes) -> None:
    # Its last octet but one is the CR: until then it was not known to be complete.
    line = b"PROXY TCP" + version + b" " + words + b"\r\n"
    assert refused_at(line) == len(line) - 1


@pytest.mark.parametrize(
    ("header", "end"),
    [
        (b"\r\nGET / HTTP/1.1", 3),
        (b"\r\n\r\n\r\n", 5),
        (SIGNATURE[:11] + b"\r", 12),
        (block(0x11, TCP4, IPV4), 13),
        (block(0x31, TCP4, IPV4), 13),
        (block(0x22, TCP4, IPV4), 13),
        (block(0x2F, TCP4, IPV4), 13),
        (block(0x01, TCP4, IPV4), 13),
        (block(PROXY, 0x41, IPV4), 14),
        (block(PROXY, 0xF0, IPV4), 14),
        (block(PROXY, 0x13, IPV4), 14),
        (block(PROXY, 0x03), 14),
        (block(PROXY, TCP4, length=0xFFFF), 15),
        (block(PROXY, TCP4, length=0x1100), 15),
        (block(PROXY, TCP4, length=4097), 16),
        (block(LOCAL, 0, length=4097), 16),
        (block(PROXY, TCP4, b""), 16),
        (block(PROXY, TCP4, IPV4[:-1]), 16),
        (block(PROXY, TCP6, IPV4), 16),
        (block(PROXY, TCP6, IPV6[:-1]), 16),
        (block(PROXY, UNIX_STREAM, UNIX[:-1]), 16),
    ],
)
def test_a_block_is_refused_with_the_octet_after_which_it_cannot_be_a_header(header: bytes, end: int) -> None:
    assert refused_at(header) == end


@pytest.mark.parametrize(
    "vectors",
    [
        b"\x04",
        b"\x04\x00",
        b"\x04\x00\x01",
        b"\x04\xff\xff" + b"\0" * 100,
        vector(0x04, b"") + b"\x04",
        tls(1) + vector(0x04, b"1234")[:-1],
        vector(0x20, b""),
        vector(0x20, b"\1\0\0\0"),
        tls(1, b"\x21"),
        tls(1, b"\x21\0\1"),
        tls(0, vector(0x21, b"TLSv1.2")[:-1]),
    ],
)
def test_vectors_that_are_longer_than_what_holds_them_are_refused(vectors: bytes) -> None:
    for start, family in ((IPV4, TCP4), (IPV6, TCP6), (UNIX, UNIX_STREAM)):
        header = block(PROXY, family, start + vectors)
        assert refused_at(header) == len(header)
        with pytest.raises(BadRequest):  # what follows is not taken for a part of it
            read_proxy_header(header + b"\0" * 300)


def test_an_error_is_short_whatever_was_sent() -> None:
    for data in (
        b"\xff" * 5000,
        b"P\xff" * 2500,
        b"PROXY UNKNOWN " + b"\xff" * 5000,
        block(PROXY, 0xFF, b"\xff" * 5000),
    ):
        with pytest.raises(BadRequest) as caught:
            read_proxy_header(data)
        assert len(str(caught.value)) < 400
