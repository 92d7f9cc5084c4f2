"""The sockets of several workers: whose they are, and when the address cannot be had."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from miniasgi.config import Config
from miniasgi.errors import StartupError
from miniasgi.server.sockets.binding import bind
from miniasgi.workers.supervision import places as module
from miniasgi.workers.supervision.places import Places, spreads_connections
from miniasgi.workers.thread_group import GivenSockets

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


# Several addresses


@spreads
def test_what_cannot_be_bound_again_is_shared_by_all_places(opened: list[Places], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.3", 0)) as inherited:
        name = inherited.getsockname()
        bind = ["127.0.0.1:0", f"unix:{tmp_path}/a", f"fd://{inherited.fileno()}", "127.0.0.2:0"]
        places = make(opened, bind=bind, port=8000)
        inherited.detach()
    first, second = ({each.getsockname(): each for each in places.sockets(key)} for key in (1, 2))
    own = [f"http://127.0.0.{number}:{port}" for number, (_, port) in zip((1, 2), [*first][:2], strict=True)]
    assert places.urls == [own[0], f"unix:{tmp_path}/a", f"http://127.0.0.3:{name[1]}", own[1]]
    assert list(first) == list(second)
    shared = [f"{tmp_path}/a", name]
    assert [each for each in first if first[each] is second[each]] == shared
    places.close()
    assert all(each.fileno() == -1 for each in [*first.values(), *second.values()])
    assert list(tmp_path.iterdir()) == []


@spreads
def test_where_nothing_can_be_bound_again_there_is_one_set(opened: list[Places], tmp_path: Path) -> None:
    places = make(opened, uds=str(tmp_path / "a"), port=8000, sets=3)
    assert [places.key(number) for number in (1, 2, 3)] == [0, 0, 0]
    (only,) = places.sockets(0)
    assert places.sockets(0)[0] is only
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "a"))


@spreads
def test_each_thread_has_sockets_of_its_own_and_the_shared_ones(opened: list[Places], tmp_path: Path) -> None:
    places = make(opened, sets=2, bind=["127.0.0.1:0", f"unix:{tmp_path}/a"], port=8000)
    tcp, unix, other_tcp, same_unix = places.sockets(1)
    assert tcp.getsockname() == other_tcp.getsockname()
    assert tcp is not other_tcp
    assert unix is same_unix
    # As a group of threads has them, which gets duplicates of all.
    given = GivenSockets()
    given.give([each.dup() for each in places.sockets(1)])
    assert [[each.family for each in given.sockets(key)] for key in sorted(given.opened)] == [
        [socket.AF_INET, socket.AF_UNIX]
    ] * 2
    given.close()


@spreads
def test_no_more_sockets_than_a_worker_can_be_given_at_once(opened: list[Places]) -> None:
    addresses = [f"127.0.0.{number}:0" for number in range(1, 31)]
    assert len(make(opened, bind=addresses, port=8000, sets=100).sockets(1)) == 60
    with pytest.raises(StartupError, match="found 65 addresses to listen on, expected at most 64"):
        make(opened, bind=[f"127.0.0.{number}:0" for number in range(1, 66)], port=8000)


def test_where_one_address_cannot_be_had_the_others_are_given_back(
    opened: list[Places], taken: int, tmp_path: Path
) -> None:
    with pytest.raises(StartupError, match="Address already in use"):
        make(opened, bind=[f"unix:{tmp_path}/a", f"127.0.0.1:{taken}"], port=8000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["ssl_certfile", "ssl_context_factory"])
def test_the_urls_say_whether_tls_is_spoken(opened: list[Places], tmp_path: Path, option: str) -> None:
    (tmp_path / "some:thing").touch()
    value = str(tmp_path / "some:thing") if option == "ssl_certfile" else "some:thing"
    (url,) = make(opened, **{option: value}).urls
    assert url.startswith("https://127.0.0.1:")


@spreads
def test_a_socket_that_cannot_be_listened_to_is_one_line(opened: list[Places]) -> None:
    places = make(opened)
    port = int(places.urls[0].rpartition(":")[2])
    (other,) = bind("127.0.0.1", port, reuse_port=True)
    # As of another user, whom the system does not let share.
    with other, socket.socket() as rival:
        rival.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        rival.bind(("127.0.0.1", port))
        rival.listen()
        with pytest.raises(StartupError, match=f"^cannot listen on http://127.0.0.1:{port}: Address already in use$"):
            places.sockets(1)


def test_what_has_been_asked_for_is_where_clients_may_be(opened: list[Places]) -> None:
    places = make(opened, reuse_port=True)
    assert places.opened == set()
    places.sockets(2)
    assert places.opened == {2}
    places.close()
    assert places.opened == set()
