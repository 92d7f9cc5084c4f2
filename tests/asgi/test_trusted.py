"""Who is trusted, in every form in which an address may come, and what is remembered of it."""

from __future__ import annotations

from ipaddress import IPv6Address

import pytest

from miniasgi.asgi import trusted
from miniasgi.asgi.trusted import TrustedPeers, address, unmapped
from miniasgi.config.operating_kinds import PEERS

PROXIES = TrustedPeers(("127.0.0.1", "10.0.0.0/8", "::1", "2001:db8::/32"))

# Who is trusted


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.0.0.2", False),
        ("10.0.0.0", True),
        ("10.255.255.255", True),
        ("9.255.255.255", False),
        ("11.0.0.0", False),
        ("::1", True),
        ("0:0:0:0:0:0:0:1", True),
        ("::2", False),
        ("2001:db8:ffff::1", True),
        ("2001:DB8::1", True),
        ("2001:db9::", False),
        ("::ffff:10.1.2.3", True),
        ("::ffff:a01:203", True),
        ("::ffff:11.1.2.3", False),
        # An IPv4-compatible address is none that a peer of IPv4 can have.
        ("::10.1.2.3", False),
        ("2001:db8::1%eth0", True),
        ("::ffff:127.0.0.1%eth0", True),
        ("fe80::1%eth0", False),
    ],
)
def test_an_address_is_trusted_if_it_is_named_or_in_a_network(host: str, expected: bool) -> None:
    for _ in range(2):  # looked up, and remembered
        assert PROXIES.trusts_host(host) is expected
        assert PROXIES.trusts((host, 4711)) is expected


@pytest.mark.parametrize(
    "host", ["", "localhost", "10.0.0", "10.0.0.01", "10.0.0.1 ", "10.0.0.1\n", "١٠.0.0.1", "*", ":"]
)
def test_what_is_no_address_is_not_trusted(host: str) -> None:
    assert not PROXIES.trusts_host(host)


def test_a_peer_on_a_unix_socket_is_trusted_if_that_is_said() -> None:
    assert not PROXIES.trusts(None)
    assert TrustedPeers(("unix:",)).trusts(None)
    assert not TrustedPeers(("unix:",)).trusts(("127.0.0.1", 1))


@pytest.mark.parametrize("host", ["192.0.2.1", "::1", "not an address", ""])
def test_a_star_trusts_everybody(host: str) -> None:
    everybody = TrustedPeers(("*",))
    assert everybody.trusts_host(host)
    assert everybody.trusts((host, 1))
    assert everybody.trusts(None)


def test_without_peers_nobody_is_trusted() -> None:
    nobody = TrustedPeers(())
    assert not nobody.trusts(None)
    assert not nobody.trusts(("127.0.0.1", 1))


@pytest.mark.parametrize(
    ("peer", "host", "expected"),
    [
        ("::ffff:10.0.0.0/104", "10.200.0.1", True),
        ("::ffff:10.0.0.0/104", "::ffff:10.200.0.1", True),
        ("::ffff:10.0.0.0/104", "11.0.0.1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("::ffff:0:0/96", "192.0.2.1", True),
        # Every address of IPv6 is none of IPv4, though the mapped ones are among them.
        ("::/0", "2001:db8::1", True),
        ("::/0", "192.0.2.1", False),
        ("::/0", "::ffff:192.0.2.1", False),
        ("0.0.0.0/0", "192.0.2.1", True),
        ("0.0.0.0/0", "::ffff:192.0.2.1", True),
        ("0.0.0.0/0", "::1", False),
        ("10.1.2.3/8", "10.9.9.9", True),
        ("fe80::1%eth0", "fe80::1%eth1", True),
        ("fe80::%eth0/64", "fe80::2", True),
    ],
)
def test_a_network_of_one_version_holds_no_address_of_the_other(peer: str, host: str, expected: bool) -> None:
    assert TrustedPeers((peer,)).trusts_host(host) is expected


def test_all_that_the_option_takes_is_taken() -> None:
    peers = TrustedPeers(PEERS.read("127.0.0.1, ::1, 10.0.0.0/8, fd00::/8, unix:"))
    assert peers.trusts(None)
    assert [peers.trusts_host(host) for host in ("10.1.1.1", "fd00::1", "::1", "127.0.0.1")] == [True] * 4
    assert not peers.trusts_host("192.0.2.1")


def test_what_is_no_peer_is_refused() -> None:
    with pytest.raises(ValueError, match="localhost"):
        TrustedPeers(("localhost",))


# What is remembered


def test_strangers_do_not_make_the_memory_grow_beyond_its_bound() -> None:
    peers = TrustedPeers(("10.0.0.1",))
    sizes = []
    for number in range(3 * trusted.MOST_REMEMBERED):
        assert not peers.trusts_host(f"192.0.{number >> 8}.{number & 255}")
        assert peers.trusts_host("10.0.0.1")
        sizes.append(len(peers._known))
    assert max(sizes) == trusted.MOST_REMEMBERED


def test_a_host_that_is_too_long_is_looked_up_and_not_remembered() -> None:
    host = "10.0.0.1" + "0" * 10_000
    assert not PROXIES.trusts_host(host)
    assert host not in PROXIES._known


def test_a_host_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    peers = TrustedPeers(("10.0.0.0/8",))
    look_up = peers._look_up

    def count(host: str) -> bool:
        asked.append(host)
        return look_up(host)

    monkeypatch.setattr(peers, "_look_up", count)
    assert [peers.trusts_host(host) for host in ("10.0.0.1", "192.0.2.1") * 3] == [True, False] * 3
    assert asked == ["10.0.0.1", "192.0.2.1"]


# Addresses as proxies write them


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.2.3.4", ("1.2.3.4", 0)),
        ("0.0.0.0", ("0.0.0.0", 0)),
        ("255.255.255.255:65535", ("255.255.255.255", 65535)),
        ("1.2.3.4:80", ("1.2.3.4", 80)),
        ("1.2.3.4:0", ("1.2.3.4", 0)),
        ("1.2.3.4:00080", ("1.2.3.4", 80)),
        ("1.2.3.4:_hidden.1-2", ("1.2.3.4", 0)),
        ("::", ("::", 0)),
        ("::1", ("::1", 0)),
        ("[::1]", ("::1", 0)),
        ("[::1]:80", ("::1", 80)),
        ("[::1]:_port", ("::1", 0)),
        ("2001:DB8:0:0::0:1", ("2001:db8::1", 0)),
        ("[2001:db8::17]:47011", ("2001:db8::17", 47011)),
        # Without brackets it is an address, whatever it may have been meant to be.
        ("2001:db8::17:47011", None),
        ("2001:db8::17:4701", ("2001:db8::17:4701", 0)),
        ("::ffff:1.2.3.4", ("1.2.3.4", 0)),
        ("[::FFFF:0102:0304]:5", ("1.2.3.4", 5)),
        ("fe80::1%eth0", ("fe80::1", 0)),
        ("[fe80::1%25en0]:8", ("fe80::1", 8)),
        ("fffe:fffe:fffe:fffe:fffe:fffe:255.255.255.255", ("fffe:fffe:fffe:fffe:fffe:fffe:ffff:ffff", 0)),
    ],
)
def test_an_address_is_read_and_put_into_its_usual_form(text: str, expected: tuple[str, int] | None) -> None:
    assert address(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost",
        "unknown",
        "_hidden",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "1.2.3.999",
        "01.2.3.4",
        "1.2.3.04",
        "1.2.3.4:",
        "1.2.3.4:65536",
        "1.2.3.4:000080",
        "1.2.3.4:-1",
        "1.2.3.4:+1",
        "1.2.3.4:8_0",
        "1.2.3.4:_",
        "1.2.3.4:80:80",
        "1.2.3.4%eth0",
        "1.2.3.4 ",
        " 1.2.3.4",
        "1.2.3.4\n",
        "1.2.3.4\0",
        "1.2.3.4/32",
        "0x1.2.3.4",
        "16909060",
        "٠.0.0.1",
        "[1.2.3.4]",
        "[1.2.3.4]:80",
        "[]",
        "[::1",
        "::1]",
        "[::1]80",
        "[::1]:",
        "[::1]:65536",
        "[[::1]]",
        ":",
        ":::",
        "1::2::3",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "12345::",
        "g::1",
        "::1%",
        "::1%eth 0",
        "::1%" + "e" * 33,
        "::ffff:1.2.3.04",
        "::1/128",
    ],
)
def test_what_is_no_address_is_none(text: str) -> None:
    assert address(text) is None


def test_only_an_ipv4_mapped_address_is_unmapped() -> None:
    assert str(unmapped(IPv6Address("::ffff:192.0.2.1"))) == "192.0.2.1"
    for text in ("::1", "2001:db8::1", "64:ff9b::c000:201"):
        assert unmapped(IPv6Address(text)) == IPv6Address(text)


def test_hostile_texts_cost_no_more_than_their_length() -> None:
    # None of these would come back in time if the pattern went back over what it has read.
    for text in ("1." * 50_000, ":" * 100_000, "[" * 100_000, "1.2.3.4:_" + "a" * 100_000 + "!", "f" * 100_000):
        assert address(text) is None
