"""The sockets of several workers: whose they are, and when the address cannot be had."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from miniasgi.config import Config
from miniasgi.errors import StartupError
from miniasgi.server.binding import bind
from miniasgi.workers import places as module
from miniasgi.workers.places import Places, spreads_connections

spreads = pytest.mark.skipif(not spreads_connections(), reason="the system does not spread connections over sockets")


@pytest.fixture
def opened() -> Iterator[list[Places]]:
    """Places that are closed in the end."""
    found: list[Places] = []
    yield found
    for each in found:
        each.close()


def make(opened: list[Places], *, sets: int = 1, **options: Any) -> Places:
    opened.append(Places(Config(**{"port": 0, **options}), sets=sets))
    return opened[-1]


def port_of(each: socket.socket) -> int:
    return int(each.getsockname()[1])


@pytest.fixture
def taken() -> Iterator[int]:
    """A port to which somebody listens who shares with nobody."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield port_of(listener)


@pytest.fixture
def shared() -> Iterator[int]:
    """A port to which somebody listens who shares it with others of the same user."""
    (listener,) = bind("127.0.0.1", 0, reuse_port=True)
    listener.listen()
    yield port_of(listener)
    listener.close()


@spreads
def test_each_place_has_sockets_of_its_own_at_one_address(opened: list[Places]) -> None:
    places = make(opened)
    assert [places.key(number) for number in (1, 2, 3)] == [1, 2, 3]
    sockets = [places.sockets(key)[0] for key in (1, 2, 3)]
    assert len({each.fileno() for each in sockets}) == 3
    assert len({each.getsockname() for each in sockets}) == 1
    assert places.urls == [f"http://127.0.0.1:{port_of(sockets[0])}"]


@spreads
def test_a_place_keeps_its_sockets(opened: list[Places]) -> None:
    places = make(opened)
    assert places.sockets(2) is places.sockets(2)


def test_without_sockets_of_their_own_all_places_share_one_set(opened: list[Places]) -> None:
    places = make(opened, reuse_port=False)
    assert [places.key(number) for number in (1, 2, 3)] == [0, 0, 0]
    (only,) = places.sockets(0)
    assert places.urls == [f"http://127.0.0.1:{port_of(only)}"]


def test_where_the_system_does_not_spread_connections_they_are_shared(
    monkeypatch: pytest.MonkeyPatch, opened: list[Places]
) -> None:
    monkeypatch.setattr(module, "spreads_connections", lambda: False)
    assert make(opened).key(3) == 0
    with pytest.raises(StartupError, match="--reuse-port: this system does not spread connections"):
        make(opened, reuse_port=True)


def test_a_system_with_the_name_alone_does_not_spread_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "SO_REUSEPORT", 15, raising=False)
    monkeypatch.delattr(socket, "SO_INCOMING_CPU", raising=False)
    assert not spreads_connections()


@spreads
@pytest.mark.parametrize("reuse_port", [None, True, False])
def test_every_address_of_a_name_has_the_same_port(opened: list[Places], reuse_port: bool | None) -> None:
    addresses = {each[4][0] for each in socket.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)}
    places = make(opened, host="localhost", reuse_port=reuse_port)
    keys = {places.key(number) for number in (1, 2)}
    for key in keys:
        assert {each.getsockname()[0] for each in places.sockets(key)} == addresses
    assert len({port_of(each) for key in keys for each in places.sockets(key)}) == 1
    assert len(places.urls) == len(addresses)


@spreads
def test_a_place_of_several_threads_has_a_set_for_each(opened: list[Places]) -> None:
    places = make(opened, sets=3, reuse_port=True)
    for key in (1, 2):
        sockets = places.sockets(key)
        assert len({each.fileno() for each in sockets}) == 3
        assert len({each.getsockname() for each in sockets}) == 1
    assert len(places.urls) == 1


@pytest.mark.parametrize("reuse_port", [None, False])
def test_a_port_that_is_listened_to_cannot_be_had(opened: list[Places], taken: int, reuse_port: bool | None) -> None:
    with pytest.raises(StartupError, match=f"^cannot listen on 127.0.0.1:{taken}: Address already in use$"):
        make(opened, port=taken, reuse_port=reuse_port)


@spreads
def test_even_with_sharing_asked_for_a_port_that_is_not_shared_cannot_be_had(opened: list[Places], taken: int) -> None:
    with pytest.raises(StartupError, match="Address already in use"):
        make(opened, port=taken, reuse_port=True)


@spreads
@pytest.mark.parametrize("reuse_port", [None, False])
def test_a_port_that_another_server_would_share_is_not_shared_unasked(
    opened: list[Places], shared: int, reuse_port: bool | None
) -> None:
    with pytest.raises(StartupError, match=f"^cannot listen on 127.0.0.1:{shared}: Address already in use$"):
        make(opened, port=shared, reuse_port=reuse_port)


@spreads
def test_a_port_is_shared_with_another_server_where_that_is_asked_for(opened: list[Places], shared: int) -> None:
    places = make(opened, port=shared, reuse_port=True)
    assert {port_of(each) for key in (1, 2) for each in places.sockets(key)} == {shared}


@spreads
def test_sockets_that_cannot_be_bound_can_be_later_and_none_is_left_over(
    monkeypatch: pytest.MonkeyPatch, opened: list[Places]
) -> None:
    places = make(opened, sets=2)
    bound: list[socket.socket] = []

    def fail_after_one(host: str, port: int, *, reuse_port: bool = False) -> list[socket.socket]:
        if bound:
            raise StartupError("too many open files")
        bound.extend(bind(host, port, reuse_port=reuse_port))
        return bound

    monkeypatch.setattr(module, "bind", fail_after_one)
    with pytest.raises(StartupError, match="too many open files"):
        places.sockets(2)
    assert bound[0].fileno() == -1
    monkeypatch.undo()
    assert len(places.sockets(2)) == 2


@spreads
def test_closing_gives_the_address_back(opened: list[Places]) -> None:
    places = make(opened)
    sockets = [*places.sockets(1), *places.sockets(2)]
    port = port_of(sockets[0])
    for each in sockets:
        each.listen()
    places.close()
    assert all(each.fileno() == -1 for each in sockets)
    assert port_of(make(opened, port=port).sockets(1)[0]) == port


def test_what_has_been_asked_for_is_where_clients_may_be(opened: list[Places]) -> None:
    places = make(opened, reuse_port=True)
    assert places.opened == set()
    places.sockets(2)
    assert places.opened == {2}
    places.close()
    assert places.opened == set()
