"""Sockets are bound once, on one port; what cannot be had is one clear line."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest

from miniasgi.errors import StartupError
from miniasgi.server.sockets.binding import bind, url_of


@pytest.fixture
def close() -> Iterator[Callable[[list[socket.socket]], list[socket.socket]]]:
    """Closes, after the test, the sockets that it is given."""
    given: list[socket.socket] = []

    def later(bound: list[socket.socket]) -> list[socket.socket]:
        given.extend(bound)
        return bound

    yield later
    for each in given:
        each.close()


Close = Callable[[list[socket.socket]], list[socket.socket]]


def test_port_0_is_the_systems_choice(close: Close) -> None:
    (bound,) = close(bind("127.0.0.1", 0))
    assert bound.getsockname()[0] == "127.0.0.1"
    assert bound.getsockname()[1] > 0
    assert not bound.getblocking()


def test_all_addresses_of_a_host_share_one_port(close: Close, monkeypatch: pytest.MonkeyPatch) -> None:
    def two(host: object, port: int, **_: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{n}", port)) for n in (1, 2, 2)]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    names = [bound.getsockname() for bound in close(bind("two.example", 0))]
    assert [host for host, _ in names] == ["127.0.0.1", "127.0.0.2"]
    assert len({port for _, port in names}) == 1


class Taken(socket.socket):
    """A socket for which, at all addresses but the first, the ports are in use that the system chooses first."""

    tries: ClassVar[list[tuple[str, int]]] = []
    most = 3

    def bind(self, address: Any) -> None:
        _, port = address
        self.tries.append(address)
        if port and len(self.tries) < 2 * self.most:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        super().bind(address)


@pytest.mark.parametrize(("most", "fits"), [(3, True), (16, True), (17, False)])
def test_a_port_of_the_systems_choice_that_is_in_use_at_another_address_is_left(
    close: Close, monkeypatch: pytest.MonkeyPatch, most: int, fits: bool
) -> None:
    def two(host: object, port: int, **_: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{n}", port)) for n in (1, 2)]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    monkeypatch.setattr(socket, "socket", Taken)
    monkeypatch.setattr(Taken, "tries", [])
    monkeypatch.setattr(Taken, "most", most)
    if fits:
        one, other = close(bind("two.example", 0))
        assert one.getsockname()[1] == other.getsockname()[1]
    else:
        with pytest.raises(StartupError, match=r"^cannot listen on 127\.0\.0\.2:\d+: Address already in use$"):
            bind("two.example", 0)
    assert [host for host, _ in Taken.tries] == ["127.0.0.1", "127.0.0.2"] * min(most, 16)


def test_a_port_that_was_asked_for_and_is_in_use_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", Taken)
    monkeypatch.setattr(Taken, "tries", [])
    with pytest.raises(StartupError, match=r"^cannot listen on 127\.0\.0\.1:80: Address already in use$"):
        bind("127.0.0.1", 80)
    assert Taken.tries == [("127.0.0.1", 80)]


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 in this Python")
def test_ipv6_and_ipv4_can_be_listened_to_on_the_same_port(close: Close, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0] for host in ("::1", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    try:
        six, four = close(bind("both.example", 0))
    except (StartupError, ValueError):
        pytest.skip("no IPv6 on this machine")
    port = six.getsockname()[1]
    assert url_of(six) == f"http://[::1]:{port}"
    assert url_of(four) == f"http://127.0.0.1:{port}"


def test_a_port_in_use_is_told_with_its_address(close: Close) -> None:
    (bound,) = close(bind("127.0.0.1", 0))
    bound.listen()
    port = bound.getsockname()[1]
    with pytest.raises(StartupError, match=rf"^cannot listen on 127\.0\.0\.1:{port}: Address already in use$"):
        bind("127.0.0.1", port)


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(StartupError, match=r"^cannot listen on 192\.0\.2\.1:0: "):
        bind("192.0.2.1", 0)


def test_a_host_that_does_not_exist_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> object:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(StartupError, match=r"^cannot listen on nowhere\.example:80: Name or service not known$"):
        bind("nowhere.example", 80)


def test_what_was_bound_before_a_failure_is_closed(close: Close, monkeypatch: pytest.MonkeyPatch) -> None:
    # Addresses of which no other test's connections have ports.
    (taken,) = close(bind("127.8.7.2", 0))
    taken.listen()
    port = taken.getsockname()[1]

    def two(host: object, port: int, **_: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.8.7.{n}", port)) for n in (1, 2)]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    with pytest.raises(StartupError):
        bind("two.example", port)
    monkeypatch.undo()
    close(bind("127.8.7.1", port))  # is free again


@pytest.mark.parametrize("host", ["a..b", "x" * 70, "\udcff"])
def test_what_can_be_no_name_of_a_host_is_told(host: str) -> None:
    with pytest.raises(StartupError) as caught:
        bind(host, 80)
    assert str(caught.value) == f"cannot listen on {host}:80: not the name of a host"


def test_what_is_bound_is_not_listened_to_yet(close: Close) -> None:
    (bound,) = close(bind("127.0.0.1", 0))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(bound.getsockname(), 5)
    bound.listen()
    socket.create_connection(bound.getsockname(), 5).close()


def test_what_is_bound_leaves_an_answer_at_once_and_can_be_bound_again_soon(close: Close) -> None:
    (bound,) = close(bind("127.0.0.1", 0))
    assert bound.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert bound.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
    assert not bound.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
    assert not bound.get_inheritable()


@pytest.mark.skipif(not hasattr(socket, "TCP_KEEPIDLE"), reason="the system asks clients at times of its own")
def test_a_connection_whose_client_has_vanished_is_found_out(close: Close) -> None:
    (bound,) = close(bind("127.0.0.1", 0))
    bound.listen()
    with socket.create_connection(bound.getsockname(), 5):
        bound.setblocking(True)
        accepted, _ = bound.accept()
        with accepted:
            # Nobody sets them on the connection: it has them from the socket.
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            assert [accepted.getsockopt(socket.IPPROTO_TCP, name) for name in names] == [60, 15, 4]


@pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="this system does not share ports")
def test_several_can_be_bound_to_a_port_that_is_shared(close: Close) -> None:
    (first,) = close(bind("127.0.0.1", 0, reuse_port=True))
    first.listen()
    (second,) = close(bind(*first.getsockname(), reuse_port=True))
    second.listen()
    assert second.getsockname() == first.getsockname()
    with pytest.raises(StartupError, match=r": Address already in use$"):
        bind(*first.getsockname())


def test_a_family_that_the_kernel_does_not_have_is_left_out(close: Close, monkeypatch: pytest.MonkeyPatch) -> None:
    both = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    lacking = {socket.AF_INET6}

    class Kernel(socket.socket):
        def __init__(self, family: int = -1, kind: int = -1, protocol: int = -1, fileno: int | None = None) -> None:
            if family in lacking:
                raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
            super().__init__(family, kind, protocol, fileno)

    monkeypatch.setattr(socket, "socket", Kernel)
    (bound,) = close(bind("localhost", 0))
    assert url_of(bound) == f"http://127.0.0.1:{bound.getsockname()[1]}"
    lacking.add(socket.AF_INET)
    with pytest.raises(StartupError) as caught:
        bind("localhost", 0)
    assert str(caught.value) == "cannot listen on localhost:0: the system has no sockets for such addresses"


def test_an_empty_host_is_every_address(close: Close) -> None:
    hosts = {bound.getsockname()[0] for bound in close(bind("", 0))}
    assert "0.0.0.0" in hosts
    assert hosts <= {"0.0.0.0", "::"}


def without(monkeypatch: pytest.MonkeyPatch, *missing: str) -> None:
    """As on a machine whose interfaces have none of the addresses *missing*."""

    class Machine(socket.socket):
        def bind(self, address: Any) -> None:
            if address[0] in missing:
                raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
            super().bind(address)

    def localhost(host: object, port: int, **_: object) -> list[object]:
        six = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0))
        return [six, (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", localhost)
    monkeypatch.setattr(socket, "socket", Machine)


def test_an_address_of_a_name_that_needs_ipv6_is_left_out_where_it_is_switched_off(
    close: Close, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "::1")
    (bound,) = close(bind("localhost", 0))
    assert bound.getsockname()[0] == "127.0.0.1"


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 in this Python")
@pytest.mark.parametrize("missing", [("127.0.0.1",), ("::1", "127.0.0.1")])
def test_any_other_address_that_this_machine_does_not_have_is_an_error(
    monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...]
) -> None:
    without(monkeypatch, *missing)
    with pytest.raises(StartupError, match=r"^cannot listen on 127\.0\.0\.1:[0-9]+: Cannot assign requested address$"):
        bind("localhost", 0)


def test_a_system_that_does_not_share_ports_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "SO_REUSEPORT", raising=False)
    with pytest.raises(StartupError, match="--reuse-port: this system does not share ports"):
        bind("127.0.0.1", 0, reuse_port=True)


def test_the_scheme_says_whether_tls_is_spoken(close: Close) -> None:
    (bound,) = close(bind("127.0.0.1", 0))
    assert url_of(bound, secure=True) == f"https://127.0.0.1:{bound.getsockname()[1]}"
