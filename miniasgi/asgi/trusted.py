"""Which peers are believed, and addresses as proxies write them.

Knows addresses. Does not know fields or sockets, nor what a trusted peer is believed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

__all__ = ["TrustedPeers", "address", "unmapped"]

#: Hosts that are remembered at once. Every client of a proxy that is trusted takes a place, not the proxies alone.
MOST_REMEMBERED = 1024
# The longest address has 45 characters; a zone id may come with it, and has no bound of its own.
_LONGEST_REMEMBERED = 64

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
# RFC 3986 §3.2.2: IPv4address, which has one form only.
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
_IPV6 = r"[0-9A-Fa-f:.]{2,45}(?:%[0-9A-Za-z._~%\-]{1,32})?"
# RFC 7239 §6: node = nodename [ ":" node-port ], where the port may be an obfuscated one. IPv6 without brackets, and so
# without a port, is what X-Forwarded-For has.
_WRITTEN = re.compile(
    rf"(?:({_IPV4.pattern})|\[({_IPV6})\])(?::(?:([0-9]{{1,5}})|_[0-9A-Za-z._\-]+))?|({_IPV6})",
)


class TrustedPeers:
    """The proxies whose word is taken: addresses, networks, "unix:" and "*", as Config.forwarded_allow_ips has them."""

    def __init__(self, peers: Sequence[str]) -> None:
        """Raises ValueError for what is none of these; Config has refused it before."""
        self._everybody = "*" in peers
        self._unix = self._everybody or "unix:" in peers
        # By version of IP: first address and mask of each network, as numbers, because that is compared faster than
        # an address with a network: 0.04 against 0.11 µs for each of them (CPython 3.11, 2026-11).
        self._networks: dict[int, list[tuple[int, int]]] = {4: [], 6: []}
        for peer in peers:
            if peer not in ("*", "unix:"):
                network = _network(peer)
                self._networks[network.version].append((int(network.network_address), int(network.netmask)))
        # What trusts_host has found out. Emptied when it is full: the proxies, whom it is for, are back at once.
        self._known: dict[str, bool] = {}

    def trusts(self, client: tuple[str, int] | None) -> bool:
        """Whether the peer of a connection is trusted; None is one on a Unix domain socket."""
        return self._unix if client is None else self.trusts_host(client[0])

    def trusts_host(self, host: str) -> bool:
        """Whether *host*, an address without a port, is trusted; what is no address is trusted by "*" alone."""
        if self._everybody:
            return True
        known = self._known.get(host)
        if known is None:
            known = self._look_up(host)
            if len(host) <= _LONGEST_REMEMBERED:
                if len(self._known) >= MOST_REMEMBERED:
                    self._known.clear()
                self._known[host] = known
        return known

    def _look_up(self, host: str) -> bool:
        if _IPV4.fullmatch(host):
            version, number = 4, int.from_bytes(map(int, host.split(".")), "big")
        else:
            found = _parse_ipv6(host)
            if found is None:
                return False
            version, number = found.version, int(found)
        return any(number & mask == first for first, mask in self._networks[version])


def _network(peer: str) -> IPv4Network | IPv6Network:
    network = ip_network(peer, strict=False)
    if network.version == 6 and network.prefixlen >= 96 and network.network_address.ipv4_mapped is not None:
        return IPv4Network((network.network_address.ipv4_mapped, network.prefixlen - 96))
    return network


def address(text: str) -> tuple[str, int] | None:
    """The host, in its usual form, and the port that *text* says; port 0 where it says none, None if it is no address.

    Takes 192.0.2.1, 192.0.2.1:80, [2001:db8::1], [2001:db8::1]:80 and 2001:db8::1. Zone ids are left out, and an
    IPv4-mapped address becomes the IPv4 address that it is.
    """
    match = _WRITTEN.fullmatch(text)
    if match is None:
        return None
    host, literal, digits, bare = match.groups()
    port = int(digits) if digits else 0
    if port > 65535:
        return None
    if host is None:
        found = _parse_ipv6(literal or bare)
        if found is None:
            return None
        host = str(found)
    return host, port


def _parse_ipv6(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return unmapped(IPv6Address(host.partition("%")[0]))
    except ValueError:
        return None


def unmapped(found: IPv6Address) -> IPv4Address | IPv6Address:
    """*found*; the IPv4 address if it is one in IPv6's clothes (RFC 4291 §2.5.5.2)."""
    return found.ipv4_mapped or found
