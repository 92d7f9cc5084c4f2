"""What is believed of a trusted proxy, what is refused, and what a client can invent without being believed."""

from __future__ import annotations

import random
from asyncio import Event
from typing import Any

import pytest

from miniasgi.asgi import forwarded
from miniasgi.asgi.forwarded import NAMES, Forwarded, ProxyFields, names_for
from miniasgi.asgi.scope import Origin
from miniasgi.asgi.trusted import TrustedPeers
from miniasgi.errors import BadRequest
from miniasgi.types import Field

ALL = ("for", "proto", "host", "port", "prefix")
PEER = ("127.0.0.1", 50000)
HOST = (b"host", b"inside")
STATE: dict[str, Any] = {"pool": 7}
DRAINING = Event()


def origin(**changes: Any) -> Origin:
    settings: dict[str, Any] = {"client": PEER, "server": ("10.0.0.9", 8000), "scheme": "http", "root_path": "/old"}
    return Origin(**{**settings, "state": STATE, "draining": DRAINING, **changes})


def fields_reader(*parts: str, trusted: tuple[str, ...] = ("127.0.0.1", "10.0.0.0/8", "fd00::/8")) -> ProxyFields:
    return ProxyFields(parts, TrustedPeers(trusted))


def read(*fields: Field, parts: tuple[str, ...] = ALL, **changes: Any) -> Forwarded:
    return fields_reader(*parts).read([HOST, *fields], origin(**changes))


def client(*lines: bytes) -> tuple[str, int] | None:
    """The client by X-Forwarded-For."""
    return read(*((b"x-forwarded-for", line) for line in lines)).origin.client


def element(*lines: bytes) -> Origin:
    """The origin by Forwarded."""
    return read(*((b"forwarded", line) for line in lines), parts=("forwarded",)).origin


# Which fields


def test_the_names_are_those_of_the_parts() -> None:
    assert names_for(()) == frozenset()
    assert names_for(("for", "proto")) == {b"x-forwarded-for", b"x-forwarded-proto"}
    assert names_for(("forwarded",)) == {b"forwarded"}
    assert names_for(ALL) | names_for(("forwarded",)) == NAMES
    assert fields_reader("port").names == {b"x-forwarded-port"}


SAID = {
    "for": ((b"x-forwarded-for", b"192.0.2.7"), {"client": ("192.0.2.7", 0)}),
    "proto": ((b"x-forwarded-proto", b"https"), {"scheme": "https"}),
    "host": ((b"x-forwarded-host", b"outside"), {"server": ("outside", 80)}),
    "port": ((b"x-forwarded-port", b"81"), {"server": ("10.0.0.9", 81)}),
    "prefix": ((b"x-forwarded-prefix", b"/new"), {"root_path": "/new"}),
    "forwarded": (
        (b"forwarded", b"for=192.0.2.8;proto=https;host=other"),
        {"client": ("192.0.2.8", 0), "scheme": "https", "server": ("other", 443)},
    ),
}


@pytest.mark.parametrize("part", SAID)
def test_one_part_is_believed_and_the_fields_of_all_others_are_not_looked_at(part: str) -> None:
    others = [(name, b'"') for name in NAMES if name != SAID[part][0][0]]
    found = read(SAID[part][0], *others, parts=(part,)).origin
    plain = origin()
    for slot in Origin.__slots__:
        assert getattr(found, slot) == SAID[part][1].get(slot, getattr(plain, slot)), slot


def test_the_origin_of_the_connection_stays_as_it_is() -> None:
    given = origin()
    made = fields_reader(*ALL).read([HOST, *(field for field, _ in SAID.values())], given).origin
    assert made is not given
    assert made.client == ("192.0.2.7", 0)
    assert (given.client, given.scheme, given.server, given.root_path) == (PEER, "http", ("10.0.0.9", 8000), "/old")
    assert made.state is STATE
    assert made.draining is DRAINING


def test_fields_that_say_nothing_change_nothing() -> None:
    found = read(*((name, b" , ,\t,") for name in NAMES if name != b"x-forwarded-prefix"), (b"x-forwarded-prefix", b""))
    assert found.host is None
    for slot in Origin.__slots__:
        assert getattr(found.origin, slot) == getattr(origin(), slot), slot
    assert element(b"", b" ,\t, ").client == PEER


# X-Forwarded-For


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([b"192.0.2.7"], ("192.0.2.7", 0)),
        ([b"192.0.2.7:4711"], ("192.0.2.7", 4711)),
        ([b"2001:db8::7"], ("2001:db8::7", 0)),
        ([b"[2001:DB8:0::7]:4711"], ("2001:db8::7", 4711)),
        ([b"[2001:db8::7]"], ("2001:db8::7", 0)),
        ([b"fe80::7%eth0"], ("fe80::7", 0)),
        ([b"::ffff:192.0.2.7"], ("192.0.2.7", 0)),
        # From the right, through those that are trusted.
        ([b"192.0.2.7, 10.0.0.1"], ("192.0.2.7", 0)),
        ([b"192.0.2.7,10.0.0.1,[fd00::1]:9,::ffff:10.0.0.3"], ("192.0.2.7", 0)),
        ([b"198.51.100.1, 192.0.2.7, 10.0.0.1"], ("192.0.2.7", 0)),
        ([b"10.0.0.3, 192.0.2.7"], ("192.0.2.7", 0)),
        # All of them are trusted: the one that is furthest away.
        ([b"10.0.0.1"], ("10.0.0.1", 0)),
        ([b"10.0.0.3:5, 10.0.0.2, 10.0.0.1"], ("10.0.0.3", 5)),
        # Field lines are one list, in their order.
        ([b"192.0.2.7", b"10.0.0.1"], ("192.0.2.7", 0)),
        ([b"198.51.100.1", b"192.0.2.7"], ("192.0.2.7", 0)),
        ([b"198.51.100.1, 192.0.2.7", b"10.0.0.2, 10.0.0.1", b"10.0.0.3"], ("192.0.2.7", 0)),
        # White space, and members that are empty.
        ([b" \t192.0.2.7 \t, ,,\t10.0.0.1 ,, "], ("192.0.2.7", 0)),
        ([b"192.0.2.7", b"", b" , "], ("192.0.2.7", 0)),
        # Nobody.
        ([b"unknown"], None),
        ([b"198.51.100.1, UnKnown"], None),
        ([b"198.51.100.1, unknown, 10.0.0.1"], None),
        ([b"_hidden"], None),
        ([b"_SEVKISEK.1-2:4711, 10.0.0.1"], None),
        ([b"unknown:_port"], None),
        ([b"unknown, 192.0.2.7"], ("192.0.2.7", 0)),
    ],
)
def test_the_client_is_the_first_from_the_right_that_is_not_trusted(
    lines: list[bytes], expected: tuple[str, int] | None
) -> None:
    assert client(*lines) == expected


GARBAGE = [
    b"nonsense",
    b"1.2.3.4.5",
    b"1.2.3.04",
    b"1.2.3.4 5.6.7.8",
    b"1.2.3.4\t10.0.0.1",
    b"1.2.3.4;10.0.0.1",
    b"1.2.3.4 (my own)",
    b"(10.0.0.1)",
    b'"1.2.3.4"',
    b"'1.2.3.4'",
    b"for=1.2.3.4",
    b"1.2.3.4:port",
    b"1.2.3.4:65536",
    b"1.2.3.4:",
    b"http://1.2.3.4",
    b"1.2.3.4/32",
    b"[1.2.3.4]",
    b"[::1",
    b"::1]:80",
    b"unknown.example",
    b"_",
    b"_hidden host",
    b"\xb2.0.0.1",
    b"%31.2.3.4",
    b"-",
    b"null",
    b"unix:/run/nginx.sock",
    b"UNIX:",
]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_an_entry_that_is_reached_has_to_be_an_address(garbage: bytes) -> None:
    for lines in ([garbage], [b"192.0.2.7, " + garbage], [garbage, b"10.0.0.2, 10.0.0.1"]):
        with pytest.raises(BadRequest, match=r"X-Forwarded-For with .*, expected an address"):
            client(*lines)


@pytest.mark.parametrize("garbage", [*GARBAGE, b"\x80" * 16_000, b"10.0.0.1, " * 1600, b'"', b"\\", b"("])
def test_what_is_left_of_the_client_is_not_looked_at(garbage: bytes) -> None:
    assert client(garbage + b", 192.0.2.7, 10.0.0.1") == ("192.0.2.7", 0)
    assert client(garbage, b"192.0.2.7") == ("192.0.2.7", 0)


def test_the_last_entry_of_a_long_list_decides_without_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def count(text: str) -> tuple[str, int] | None:
        asked.append(text)
        return text, 0

    monkeypatch.setattr(forwarded, "address", count)
    assert client(b"198.51.100.1," * 1200 + b"192.0.2.7") == ("192.0.2.7", 0)
    assert asked == ["192.0.2.7"]


def test_a_list_of_too_many_trusted_proxies_is_refused() -> None:
    most = forwarded.MOST_ENTRIES
    assert client(b",".join([b"192.0.2.7", *[b"10.0.0.1"] * (most - 1)])) == ("192.0.2.7", 0)
    assert client(b",".join([b"10.0.0.1"] * most)) == ("10.0.0.1", 0)
    with pytest.raises(BadRequest, match="X-Forwarded-For with more than 100 proxies"):
        client(b",".join([b"192.0.2.7", *[b"10.0.0.1"] * most]))


def test_who_trusts_everybody_believes_the_first_entry() -> None:
    found = fields_reader("for", trusted=("*",)).read([(b"x-forwarded-for", b"1.2.3.4, 192.0.2.7")], origin())
    assert found.origin.client == ("1.2.3.4", 0)


def test_a_proxy_behind_a_unix_socket_names_the_client() -> None:
    assert read((b"x-forwarded-for", b"192.0.2.7"), client=None).origin.client == ("192.0.2.7", 0)


@pytest.mark.parametrize(
    ("value", "trusted", "expected"),
    [
        (b"192.0.2.7, unix:", ("unix:",), ("192.0.2.7", 0)),
        (b"192.0.2.7, 10.0.0.1, unix:, 10.0.0.1", ("unix:", "10.0.0.1"), ("192.0.2.7", 0)),
        (b"192.0.2.7, unix:", ("*",), ("192.0.2.7", 0)),
        (b"unix:, 192.0.2.7", ("unix:",), ("192.0.2.7", 0)),
        (b"unix:", ("unix:",), None),
        (b"192.0.2.7, unix:", ("10.0.0.1",), None),
        (b"unix:", ("10.0.0.1",), None),
    ],
)
def test_an_entry_for_a_unix_socket_is_a_proxy_if_those_are_trusted(
    value: bytes, trusted: tuple[str, ...], expected: tuple[str, int] | None
) -> None:
    found = fields_reader("for", trusted=trusted).read([(b"x-forwarded-for", value)], origin())
    assert found.origin.client == expected


# X-Forwarded-Proto


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([b"https"], "https"),
        ([b"HTTPS"], "https"),
        ([b"http"], "http"),
        ([b"ws"], "http"),
        ([b"Wss"], "https"),
        ([b"http, https"], "https"),
        ([b"https,http"], "http"),
        ([b"nonsense, https, ,"], "https"),
        ([b"http", b"https"], "https"),
        ([b'"', b"https"], "https"),
    ],
)
def test_the_last_scheme_counts_and_leaves_the_server_as_it_is(lines: list[bytes], expected: str) -> None:
    found = read(*((b"x-forwarded-proto", line) for line in lines))
    assert found.origin.scheme == expected
    assert found.origin.server == ("10.0.0.9", 8000)
    assert found.origin.client == PEER
    assert found.host is None


def test_tls_of_the_connection_is_not_that_of_the_client() -> None:
    assert read((b"x-forwarded-proto", b"http"), scheme="https").origin.scheme == "http"


@pytest.mark.parametrize(
    "value", [b"ftp", b"https;", b"https http", b"on", b"https, x", b'"https"', b"\xff", b"https:"]
)
def test_another_scheme_is_refused(value: bytes) -> None:
    with pytest.raises(BadRequest, match=r"X-Forwarded-Proto .*, expected http, https, ws or wss"):
        read((b"x-forwarded-proto", value))


# X-Forwarded-Host and X-Forwarded-Port


@pytest.mark.parametrize(
    ("host", "scheme", "server"),
    [
        (b"outside", b"http", ("outside", 80)),
        (b"outside", b"https", ("outside", 443)),
        (b"Outside.Example:8443", b"https", ("Outside.Example", 8443)),
        (b"outside:", b"https", ("outside", 443)),
        (b"[2001:db8::1]", b"http", ("2001:db8::1", 80)),
        (b"[2001:db8::1]:81", b"http", ("2001:db8::1", 81)),
        (b"[::1]:", b"http", ("::1", 80)),
        (b"192.0.2.1:65535", b"http", ("192.0.2.1", 65535)),
    ],
)
def test_a_forwarded_host_is_the_server_and_the_host_field(host: bytes, scheme: bytes, server: tuple[str, int]) -> None:
    found = read((b"x-forwarded-host", b"evil, " + host), (b"x-forwarded-proto", scheme))
    assert found.origin.server == server
    assert found.host == host
    assert element(b'host="%b";proto=%b;for=192.0.2.7' % (host, scheme)).server == server


def test_the_scheme_of_the_connection_says_the_port_where_none_is_forwarded() -> None:
    assert read((b"x-forwarded-host", b"outside"), scheme="https").origin.server == ("outside", 443)


def test_a_forwarded_host_becomes_the_server_of_a_unix_socket() -> None:
    assert read((b"x-forwarded-host", b"outside"), server=None).origin.server == ("outside", 80)
    assert read((b"x-forwarded-host", b"outside"), server=("/run/s", None)).origin.server == ("outside", 80)


@pytest.mark.parametrize(
    "value",
    [
        b"a b",
        b"a/b",
        b"user@host",
        b"h:8o",
        b"h:1:2",
        b"::1",
        b"[::1",
        b"[::g]",
        b"h\xff",
        b'"h"',
        b"h%zz",
        b"h:0",
        b"h:00000",
        b"h:65536",
        b"h:" + b"9" * 5000,
        b"good, b d",
        b"h?",
        b"h#",
        b"h\\",
        b"<h>",
    ],
)
def test_what_is_no_host_is_refused(value: bytes) -> None:
    with pytest.raises(BadRequest, match="X-Forwarded-Host"):
        read((b"x-forwarded-host", value))


@pytest.mark.parametrize(
    ("own", "fields", "server", "host"),
    [
        # The request's own Host field gets a port that is not the scheme's, if it has none.
        (b"inside", {b"port": b"81"}, ("10.0.0.9", 81), b"inside:81"),
        (b"[::1]", {b"port": b"81"}, ("10.0.0.9", 81), b"[::1]:81"),
        (b"inside:", {b"port": b"81"}, ("10.0.0.9", 81), b"inside:81"),
        (b"inside", {b"port": b"80"}, ("10.0.0.9", 80), None),
        (b"inside", {b"port": b"443", b"proto": b"https"}, ("10.0.0.9", 443), None),
        (b"inside", {b"port": b"443"}, ("10.0.0.9", 443), b"inside:443"),
        (b"inside", {b"port": b"80", b"proto": b"https"}, ("10.0.0.9", 80), b"inside:80"),
        (b"inside:8000", {b"port": b"81"}, ("10.0.0.9", 81), None),
        (b"[::1]:8000", {b"port": b"81"}, ("10.0.0.9", 81), None),
        (b"", {b"port": b"81"}, ("10.0.0.9", 81), None),
        # So does a forwarded one.
        (b"inside", {b"port": b"81", b"host": b"outside"}, ("outside", 81), b"outside:81"),
        (b"inside", {b"port": b"80", b"host": b"outside"}, ("outside", 80), b"outside"),
        (b"inside", {b"port": b"443", b"host": b"outside", b"proto": b"https"}, ("outside", 443), b"outside"),
        (b"inside", {b"port": b"81", b"host": b"outside:82"}, ("outside", 81), b"outside:82"),
        (b"inside", {b"port": b"1, 65535", b"host": b"[::2]"}, ("::2", 65535), b"[::2]:65535"),
    ],
)
def test_a_forwarded_port_is_the_servers_and_is_added_to_a_host_without_one(
    own: bytes, fields: dict[bytes, bytes], server: tuple[str, int], host: bytes | None
) -> None:
    sent = [(b"host", own), *((b"x-forwarded-" + name, value) for name, value in fields.items())]
    found = fields_reader(*ALL).read(sent, origin())
    assert found.origin.server == server
    assert found.host == host


def test_without_a_host_there_is_nothing_that_a_port_is_added_to() -> None:
    assert fields_reader("port").read([(b"x-forwarded-port", b"81")], origin()).host is None


@pytest.mark.parametrize("server", [None, ("/run/socket", None)])
def test_a_unix_socket_gets_no_port(server: Any) -> None:
    found = read((b"x-forwarded-port", b"81"), server=server)
    assert found.origin.server == server
    assert found.host == b"inside:81"


@pytest.mark.parametrize(
    "value", [b"0", b"65536", b"080", b"-1", b"+1", b"8_0", b"80 80", b"http", b"\xb2", b"9" * 5000, b"80, x", b"80;"]
)
def test_what_is_no_port_is_refused(value: bytes) -> None:
    with pytest.raises(BadRequest, match=r"X-Forwarded-Port .*, expected a number from 1 to 65535"):
        read((b"x-forwarded-port", value))


# X-Forwarded-Prefix


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([b"/api"], "/api"),
        ([b"/api/"], "/api"),
        ([b"/api/v1.0/"], "/api/v1.0"),
        ([b"/"], ""),
        ([b"/.well-known/...x/a..b"], "/.well-known/...x/a..b"),
        ([b"/a-b._~!$&()*+;=:@"], "/a-b._~!$&()*+;=:@"),
        ([b"nonsense", b"/api"], "/api"),
        ([b"/evil", b"/api"], "/api"),
    ],
)
def test_a_prefix_replaces_the_root_path(lines: list[bytes], expected: str) -> None:
    assert read(*((b"x-forwarded-prefix", line) for line in lines)).origin.root_path == expected


@pytest.mark.parametrize(
    "value",
    [
        b"api",
        b"//evil.example",
        b"/\\evil.example",
        b"/a\\b",
        b"//",
        b"/a//b",
        b"/a//",
        b"/..",
        b"/../a",
        b"/a/..",
        b"/a/../b",
        b"/a/../",
        b"/.",
        b"/./a",
        b"/a/.",
        b"/a?b",
        b"/a#b",
        b"/%2e%2e",
        b"/%2f",
        b"/a%20b",
        b"/a b",
        b"/a\tb",
        b"/a, /b",
        b"/a,/b",
        b"/caf\xe9",
        b"/a\xa0",
        b"/'a",
        b'/"a',
        b"/<a>",
        b"/a\n",
        b"/a\0",
        b"http://evil.example/",
        b"*",
    ],
)
def test_a_prefix_that_is_not_one_plain_path_is_refused(value: bytes) -> None:
    with pytest.raises(BadRequest, match=r"X-Forwarded-Prefix .*, expected one path such as /api"):
        read((b"x-forwarded-prefix", value))


# Forwarded (RFC 7239)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        # The examples of RFC 7239 §4.
        ([b'for="_gazonk"'], None),
        ([b'For="[2001:db8:cafe::17]:4711"'], ("2001:db8:cafe::17", 4711)),
        ([b"for=192.0.2.60;proto=http;by=203.0.113.43"], ("192.0.2.60", 0)),
        ([b"for=192.0.2.43, for=198.51.100.17"], ("198.51.100.17", 0)),
        ([b"for=192.0.2.43", b'for="[2001:db8::7]"'], ("2001:db8::7", 0)),
        # From the right, through those that are trusted.
        ([b"for=192.0.2.7,for=10.0.0.1"], ("192.0.2.7", 0)),
        ([b'for=198.51.100.1, for=192.0.2.7, for="10.0.0.1:9"', b'for="[fd00::1]"'], ("192.0.2.7", 0)),
        ([b"for=10.0.0.2, for=10.0.0.1"], ("10.0.0.2", 0)),
        ([b"for=192.0.2.7, for=unknown"], None),
        ([b"for=192.0.2.7, for=_x, for=10.0.0.1"], None),
        ([b'for="unknown:4711"'], None),
        ([b'for="_x:_y"'], None),
        ([b'for="192.0.2.7:_y"'], ("192.0.2.7", 0)),
        # An element that does not name a client hides it.
        ([b"for=192.0.2.7, proto=https"], None),
        ([b"for=192.0.2.7, ;"], None),
        ([b"by=_proxy, for=10.0.0.1"], None),
        # What the grammar allows beside.
        ([b"FOR=192.0.2.7"], ("192.0.2.7", 0)),
        ([b'for="192.0.2.7"'], ("192.0.2.7", 0)),
        ([b'for="\\1\\92.0.2.7"'], ("192.0.2.7", 0)),
        ([b";;for=192.0.2.7;;by=x;"], ("192.0.2.7", 0)),
        ([b" \t, ,for=192.0.2.7 ,\t, "], ("192.0.2.7", 0)),
        ([b"ext!#$%&'*+-.^_`|~=1;for=192.0.2.7"], ("192.0.2.7", 0)),
        ([b'x="a,for=1.1.1.1;\\"\\\\\t\xff";for=192.0.2.7'], ("192.0.2.7", 0)),
        ([b'x="";for=192.0.2.7'], ("192.0.2.7", 0)),
        # What nobody has reached may name whom it likes, in a well-formed way.
        ([b'for="not, an; address", host="a b";proto=x, for=192.0.2.7'], ("192.0.2.7", 0)),
    ],
)
def test_the_client_is_the_one_that_the_last_trusted_proxy_has_seen(
    lines: list[bytes], expected: tuple[str, int] | None
) -> None:
    assert element(*lines).client == expected


def test_scheme_and_host_are_those_of_the_element_that_names_the_client() -> None:
    lines = (
        b"for=198.51.100.1;proto=http;host=evil, for=192.0.2.7;proto=https;host=outside",
        b"for=10.0.0.1;proto=http;host=between",
    )
    found = read(*((b"forwarded", line) for line in lines), parts=("forwarded",))
    assert found.origin.client == ("192.0.2.7", 0)
    assert found.origin.scheme == "https"
    assert found.origin.server == ("outside", 443)
    assert found.origin.root_path == "/old"
    assert found.host == b"outside"


def test_what_the_chosen_element_does_not_say_stays_as_it_is() -> None:
    found = read((b"forwarded", b'for=192.0.2.7;host="", for=10.0.0.1;proto=https;host=x'), parts=("forwarded",))
    assert found.host is None
    assert found.origin.scheme == "http"
    assert found.origin.server == ("10.0.0.9", 8000)


MALFORMED = [
    b'"',
    b'for="',
    b'for="192.0.2.7',
    b'for="192.0.2.7\\"',
    b'for="192.0.2.7\\',
    b'for=192.0.2.7"',
    b'for="192.0.2.7"x',
    b'for="192.0.2.7""',
    b"for",
    b"for=",
    b"for=;by=x",
    b"=192.0.2.7",
    b"for==192.0.2.7",
    b"for =192.0.2.7",
    b"for= 192.0.2.7",
    b"for=192.0.2.7 ;by=x",
    b"for=192.0.2.7; by=x",
    b"for=192.0.2.7 by=x",
    b"for=192.0.2.7:80",
    b"for=[2001:db8::1]",
    b"for=2001:db8::1",
    b"for=192.0.2.7(comment)",
    b"(comment)",
    b"192.0.2.7",
    b"for=192.0.2.7;for=192.0.2.8",
    b"for=192.0.2.7;FOR=192.0.2.7",
    b"f\xf6r=192.0.2.7",
    b"for=\xff",
    b'for="\0"',
    b'for="\x7f"',
    b'for="\\\n"',
    b"for=a/b",
    b"for=a@b",
    b"for='192.0.2.7';x={}",
]


@pytest.mark.parametrize("garbage", MALFORMED)
def test_what_is_malformed_is_refused_wherever_it_stands(garbage: bytes) -> None:
    # An open quote might swallow what a trusted proxy has added, so no part of a malformed list can be trusted.
    for lines in (
        [garbage],
        [garbage + b", for=192.0.2.7"],
        [garbage + b', for="[2001:db8::1]";host="outside"'],
        [b"for=192.0.2.7, " + garbage],
        [garbage, b"for=192.0.2.7"],
        [garbage, b'for="192.0.2.7"'],
        [b"for=192.0.2.7", garbage],
    ):
        with pytest.raises(BadRequest, match="Forwarded"):
            element(*lines)


@pytest.mark.parametrize(
    "node",
    [b"nonsense", b"", b"2001:db8::1", b"::1", b"[::1", b"[1.2.3.4]", b"1.2.3.4:", b"1.2.3.4:99999", b" 1.2.3.4", b"_"],
)
def test_an_element_that_is_reached_has_to_name_an_address(node: bytes) -> None:
    with pytest.raises(BadRequest, match=r"Forwarded with .*, expected an address"):
        element(b'for="%b", for=10.0.0.1' % node)


@pytest.mark.parametrize(
    ("pair", "text"),
    [
        (b"proto=ftp", "Forwarded proto b'ftp', expected http"),
        (b'proto=""', "Forwarded proto b'', expected http"),
        (b'host="a b"', "Forwarded host b'a b', expected a host"),
        (b'host="h:0"', "port in Forwarded host b'0', expected a number"),
        (b'host="h, i"', "Forwarded host b'h, i', expected a host"),
    ],
)
def test_what_the_chosen_element_says_has_to_make_sense(pair: bytes, text: str) -> None:
    with pytest.raises(BadRequest, match=text):
        element(b"for=192.0.2.7;" + pair)


def test_too_many_elements_are_refused_in_one_line_or_in_several() -> None:
    most = forwarded.MOST_ENTRIES
    assert element(b"for=x," * (most - 1) + b"for=192.0.2.7").client == ("192.0.2.7", 0)
    for lines in ([b"for=x," * most + b"for=192.0.2.7"], [b"for=x"] * most + [b"for=192.0.2.7"]):
        with pytest.raises(BadRequest, match="Forwarded with more than 100 elements"):
            element(*lines)


# Whatever comes


def test_an_error_shows_the_beginning_of_what_was_found() -> None:
    for name in NAMES:
        parts = ("forwarded",) if name == b"forwarded" else ALL
        with pytest.raises(BadRequest) as caught:
            read((name, b'"' + b"x" * 16_000), parts=parts)
        assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    "value",
    [
        b" " * 60_000 + b"\\",
        b"x" + b" " * 60_000 + b"x",
        b"a=b" + b" " * 60_000 + b"x",
        b"a" * 60_000 + b"=",
        b"a=" + b"b" * 60_000 + b'"',
        b'a="' + b"b" * 60_000,
        b'a="' + b"\\b" * 30_000,
        b"/a" * 30_000 + b"\\",
        b"/." * 30_000,
        b"_" * 60_000 + b"=",
        b";" * 60_000 + b"=",
        b"a:" * 30_000 + b"!",
    ],
)
def test_hostile_values_cost_no_more_than_their_length(value: bytes) -> None:
    # None of these would come back in time if a pattern went back over what it has read.
    for name in NAMES - {b"x-forwarded-host"}:
        with pytest.raises(BadRequest):
            read((name, value), parts=("forwarded",) if name == b"forwarded" else ALL)
    with pytest.raises(BadRequest):
        read((b"x-forwarded-host", value + b" x"))


def test_random_octets_are_read_or_refused() -> None:
    generator = random.Random(7239)
    pieces = [
        *(bytes([octet]) for octet in b'",;=:.[]\\ \t/_%x1\xff\0'),
        *(b"for", b"proto=https", b"10.0.0.1", b"192.0.2.7", b"[::1]", b"unknown", b"host=h"),
    ]
    outcomes = set()
    for _ in range(5000):
        value = b"".join(generator.choices(pieces, k=generator.randrange(12)))
        for parts in (ALL, ("forwarded",)):
            try:
                read(*((name, value) for name in names_for(parts) if generator.random() < 0.5), parts=parts)
                outcomes.add("read")
            except BadRequest:
                outcomes.add("refused")
    assert outcomes == {"read", "refused"}


# What is remembered


def test_what_is_remembered_says_the_same() -> None:
    reader = fields_reader(*ALL)
    fields = [HOST, *(SAID[part][0] for part in ALL)]
    found = [reader.read(fields, origin(state={"n": n})) for n in range(4)]
    assert len(reader._memory) == 1
    for n, each in enumerate(found):
        assert each.host == b"outside:81"
        assert each.origin.state == {"n": n}
        for slot in ("client", "scheme", "server", "root_path"):
            assert getattr(each.origin, slot) == getattr(found[0].origin, slot)
    assert len({id(each.origin) for each in found}) == 4


def test_other_fields_do_not_matter_to_what_is_remembered_and_those_that_do_all_count() -> None:
    reader = fields_reader("for", "proto")
    for name in (b"cookie", b"x-a"):
        for value in (b"192.0.2.7", b"192.0.2.8"):
            for scheme in (b"http", b"https"):
                fields = [(name, value), (b"x-forwarded-for", value), (b"x-forwarded-proto", scheme)]
                found = reader.read(fields, origin()).origin
                assert (found.client, found.scheme) == ((value.decode(), 0), scheme.decode())
    assert len(reader._memory) == 2
    assert len(reader._clients) == 2


def test_what_is_remembered_of_one_connection_is_not_taken_for_another() -> None:
    reader = fields_reader("host", "port")
    fields = [(b"x-forwarded-port", b"443"), (b"host", b"a.example")]
    for _ in range(3):
        for scheme, server, expected in (
            ("http", ("10.0.0.9", 80), b"a.example:443"),
            ("https", ("10.0.0.9", 80), None),
            ("https", ("10.0.0.8", 80), None),
            ("https", None, None),
        ):
            found = reader.read(fields, Origin(("10.0.0.1", 1), server, scheme, "", {}))
            assert found.host == expected
            assert (found.origin.scheme, found.origin.server) == (scheme, server and (server[0], 443))


def test_what_is_refused_once_is_refused_again() -> None:
    reader = fields_reader("for")
    for _ in range(4):
        with pytest.raises(BadRequest):
            reader.read([(b"x-forwarded-for", b"x")], origin())


def test_long_lists_and_many_clients_do_not_make_the_memory_grow() -> None:
    reader = fields_reader("for")
    for _ in range(4):
        reader.read([(b"x-forwarded-for", b"x, " * 200 + b"192.0.2.7")], origin())
        reader.read([(b"host", b"x" * 600)], origin())
    assert not reader._clients
    assert len(reader._memory) == 1  # of what says nothing
    for memory, name, text in (
        (reader._clients, b"x-forwarded-for", b"192.0.%d.%d"),
        (reader._memory, b"host", b"a%d.b%d.example"),
    ):
        sizes = []
        for number in range(1000):
            for _ in range(2):
                reader.read([(name, text % divmod(number, 256))], origin())
            sizes.append(len(memory))
        assert 1 < max(sizes) <= forwarded._MOST_REMEMBERED
