"""All sockets of a server: which addresses are meant, sockets that were open already, and what is given back."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from miniasgi.config import Config
from miniasgi.errors import StartupError
from miniasgi.server.sockets import activation
from miniasgi.server.sockets.activation import Passed
from miniasgi.server.sockets.binding import Bound, addresses, bind_all, remove_files, url_of


@pytest.fixture
def serve() -> Iterator[Callable[..., Bound]]:
    """Binds for the options that it is given, and gives all back after the test."""
    made: list[Bound] = []

    def bound(**options: Any) -> Bound:
        made.append(bind_all(Config.from_options(**options)))
        return made[-1]

    yield bound
    for each in made:
        each.close()


Serve = Callable[..., Bound]


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has systemd have passed something."""
    return lambda *sockets, **more: monkeypatch.setattr(activation, "passed", lambda: Passed(dict(sockets), **more))


Pass = Callable[..., None]


# Which addresses


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["127.0.0.1:8000"]),
        ({"host": "::1", "port": 80}, ["[::1]:80"]),
        ({"bind": ["[::]:80", ":81"]}, ["[::]:80", ":81"]),
        ({"uds": "/run/a.sock"}, ["unix:/run/a.sock"]),
        ({"fd": 5}, ["fd://5"]),
        ({"bind": ":80", "uds": "/a", "fd": 5}, [":80", "unix:/a", "fd://5"]),
        (
            {"bind": ["fd://5", "unix:/a", "unix:/b/../a", ":80", ":80"], "fd": 5, "uds": "/a"},
            ["fd://5", "unix:/a", ":80"],
        ),
    ],
    ids=str,
)
def test_all_that_is_given_adds_up_and_host_and_port_are_for_where_nothing_is(
    caplog: pytest.LogCaptureFixture, options: dict[str, Any], expected: list[str]
) -> None:
    assert [str(each) for each in addresses(Config.from_options(**options))] == expected
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("options", "unused"),
    [
        ({"port": 80}, "--port 80"),
        ({"host": "::"}, "--host ::"),
        ({"host": "0.0.0.0", "port": 80}, "--host 0.0.0.0 and --port 80"),
    ],
)
def test_a_host_and_a_port_that_are_not_used_are_said(
    caplog: pytest.LogCaptureFixture, passed: Pass, options: dict[str, Any], unused: str
) -> None:
    assert [str(each) for each in addresses(Config.from_options(uds="/a", **options))] == ["unix:/a"]
    passed((3, ""))
    assert [str(each) for each in addresses(Config.from_options(**options))] == ["fd://3"]
    assert caplog.messages == [
        f"not used: {unused}, because --bind, --uds or --fd says where to listen",
        f"not used: {unused}, because systemd has passed sockets to listen on",
    ]


def test_what_systemd_has_passed_is_listened_to_where_nothing_is_given(
    caplog: pytest.LogCaptureFixture, passed: Pass
) -> None:
    passed((3, "web"), (4, ""))
    assert [str(each) for each in addresses(Config())] == ["fd://3", "fd://4"]
    assert caplog.messages == []


def test_what_systemd_has_passed_and_nobody_names_is_said(caplog: pytest.LogCaptureFixture, passed: Pass) -> None:
    passed((3, "web"), (4, "admin"), (5, ""))
    assert [str(each) for each in addresses(Config.from_options(bind=["fd://3", ":80"]))] == ["fd://3", ":80"]
    assert caplog.messages == [
        "not used: fd://4 (admin), fd://5 (without a name), passed by systemd; --bind, --uds and --fd name others"
    ]


def test_what_systemd_has_passed_to_somebody_in_between_is_said(caplog: pytest.LogCaptureFixture, passed: Pass) -> None:
    passed(missed_by=11)
    assert [str(each) for each in addresses(Config())] == ["127.0.0.1:8000"]
    addresses(Config(fd=3))  # as the line says
    assert caplog.messages == [
        "not used: sockets that systemd has passed to process 11, which has started this one; let systemd start the "
        "server itself, or name them, as in --bind fd://3"
    ]


# Bound together, given back together


def test_several_addresses_are_bound_in_their_order(serve: Serve, tmp_path: Path) -> None:
    bound = serve(bind=["127.0.0.1:0", f"unix:{tmp_path}/a", "127.0.0.2:0"])
    first, second, third = bound.sockets
    assert [url_of(each) for each in bound.sockets] == [
        f"http://127.0.0.1:{first.getsockname()[1]}",
        f"unix:{tmp_path}/a",
        f"http://127.0.0.2:{third.getsockname()[1]}",
    ]
    assert not second.getblocking()
    bound.close()
    assert [each.fileno() for each in bound.sockets] == [-1, -1, -1]
    assert list(tmp_path.iterdir()) == []


def test_where_one_address_cannot_be_had_the_others_are_given_back(tmp_path: Path) -> None:
    config = Config.from_options(bind=[f"unix:{tmp_path}/a", f"unix:{tmp_path}/no/b"])
    with pytest.raises(StartupError, match="there is no directory"):
        bind_all(config)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("first", "second"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "0.0.0.0")]
)
def test_addresses_of_which_only_one_could_be_listened_to_are_an_error(serve: Serve, first: str, second: str) -> None:
    (bound,) = serve(bind=f"{first}:0").sockets
    port = bound.getsockname()[1]
    bound.close()  # nobody listens there: the port stays free
    with pytest.raises(StartupError) as caught:
        # By another name, because the same address twice counts once.
        serve(bind=[f"{first}:{port}", f"{'localhost' if first == second else second}:{port}"])
    assert str(caught.value).endswith(f":{port}: {first}:{port} is listened to already")


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 in this Python")
def test_every_interface_of_ipv6_and_of_ipv4_go_together(serve: Serve) -> None:
    for attempt in range(10):
        try:
            (six,) = serve(bind="[::]:0").sockets
        except StartupError:
            pytest.skip("no IPv6 on this machine")
        port = six.getsockname()[1]
        try:
            (four,) = serve(bind=f"0.0.0.0:{port}").sockets
            break
        except StartupError:
            if attempt == 9:  # another test may listen there, but hardly ten times in a row
                raise
    for one in (six, four):
        one.listen()
    assert (four.getsockname()[0], six.getsockname()[0]) == ("0.0.0.0", "::")


def test_others_may_listen_there_only_where_that_is_asked_for(serve: Serve) -> None:
    (bound,) = serve(port=0).sockets
    assert not bound.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
    (bound,) = serve(port=0, reuse_port=True).sockets
    assert bound.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)


def test_files_go_when_a_process_ends_without_closing(serve: Serve, tmp_path: Path) -> None:
    bound = serve(uds=str(tmp_path / "a"))
    other = serve(uds=str(tmp_path / "b"))
    other.close()
    (tmp_path / "b").touch()
    remove_files()
    assert [each.name for each in tmp_path.iterdir()] == ["b"]
    assert bound.sockets[0].fileno() >= 0


def test_a_child_that_was_forked_removes_no_file(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bound = serve(uds=str(tmp_path / "a"))
    with monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: 1)
        remove_files()
        assert (tmp_path / "a").is_socket()
    again = serve(uds=str(tmp_path / "b"))
    with monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: 1)
        again.close()
    assert (tmp_path / "b").is_socket()
    assert bound.sockets


# Sockets that are open already


@pytest.fixture
def inherited() -> Iterator[socket.socket]:
    """As whoever starts a server opens one for it: bound, and blocking."""
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        opened.set_inheritable(True)
        yield opened


@pytest.mark.parametrize("listens", [False, True])
def test_a_socket_that_is_open_is_the_servers_from_now_on(
    serve: Serve, inherited: socket.socket, listens: bool
) -> None:
    if listens:
        inherited.listen()
    others = inherited.dup()
    number = inherited.detach()
    bound = serve(fd=number)
    (taken,) = bound.sockets
    assert taken.fileno() == number
    assert not taken.getblocking()
    assert not taken.get_inheritable()
    assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert taken.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert url_of(taken) == f"http://127.0.0.1:{taken.getsockname()[1]}"
    bound.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)
    with others:  # whoever else has it can still listen
        others.listen()
        socket.create_connection(others.getsockname(), 5).close()


def test_the_file_of_a_socket_that_was_open_is_not_the_servers_to_remove(serve: Serve, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(tmp_path / "a"))
        bound = serve(fd=opened.detach())
    assert url_of(bound.sockets[0]) == f"unix:{tmp_path}/a"
    bound.close()
    assert (tmp_path / "a").is_socket()


@pytest.mark.skipif(not os.path.isdir("/proc/sys/kernel"), reason="only Linux has abstract sockets")
def test_an_abstract_socket_that_was_open_is_shown_as_one(serve: Serve) -> None:
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(f"\0miniasgi/{os.getpid()}")
        (bound,) = serve(fd=opened.detach()).sockets
    assert url_of(bound) == f"unix:@miniasgi/{os.getpid()}"


def datagrams() -> int:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach()


def unbound() -> int:
    return socket.socket().detach()


def unbound_unix() -> int:
    return socket.socket(socket.AF_UNIX).detach()


def file() -> int:
    return os.open("/dev/null", os.O_RDONLY)


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (file, "found a file, expected a socket"),
        (
            datagrams,
            "found a socket of AF_INET and SOCK_DGRAM, expected one of TCP or a Unix domain socket for streams",
        ),
        (unbound, "found a socket without an address, expected one that is bound"),
        (unbound_unix, "found a socket without an address, expected one that is bound"),
    ],
)
def test_what_nobody_can_listen_to_is_one_line_and_stays_open(
    serve: Serve, make: Callable[[], int], found: str
) -> None:
    number = make()
    try:
        with pytest.raises(StartupError) as caught:
            serve(fd=number)
        assert str(caught.value) == f"cannot listen on fd://{number}: {found}"
    finally:
        os.close(number)


def test_a_connection_in_the_place_of_a_socket_is_one_line(serve: Serve) -> None:
    one, other = socket.socketpair()
    with one, other:
        with pytest.raises(StartupError) as caught:
            serve(fd=one.fileno())
        assert str(caught.value) == (
            f"cannot listen on fd://{one.fileno()}: found a connection, expected a socket to listen to (of systemd: "
            "Accept=no)"
        )


def test_a_descriptor_that_is_not_open_is_one_line(serve: Serve) -> None:
    with socket.socket() as closed:
        number = closed.fileno()
    with pytest.raises(StartupError, match=f"^cannot listen on fd://{number}: no descriptor of this number is open$"):
        serve(fd=number)
