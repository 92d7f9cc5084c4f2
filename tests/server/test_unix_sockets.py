"""Unix domain sockets: what may be in the way, who may connect, and whose file is removed."""

from __future__ import annotations

import grp
import os
import pwd
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from miniasgi.config.addresses import UnixAddress
from miniasgi.errors import StartupError, UsageError
from miniasgi.server.sockets.unix_sockets import SocketFile, bind_unix

is_root = os.geteuid() == 0
as_root = pytest.mark.skipif(not is_root, reason="only root may give files away")
as_user = pytest.mark.skipif(is_root, reason="root may write everywhere")


@pytest.fixture
def bind() -> Iterator[Callable[..., tuple[socket.socket, SocketFile]]]:
    """Binds to a path; what it has bound is closed after the test."""
    made: list[socket.socket] = []

    def bind(path: Path | str, mode: int = 0o666, owner: str = "") -> tuple[socket.socket, SocketFile]:
        bound, file = bind_unix(UnixAddress(str(path)), mode, owner)
        made.append(bound)
        return bound, file

    yield bind
    for each in made:
        each.close()


Bind = Callable[..., tuple[socket.socket, SocketFile]]


def reaches(path: Path) -> bool:
    """Whether somebody listens there."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        with suppress(ConnectionRefusedError, FileNotFoundError):
            client.connect(str(path))
            return True
    return False


def test_a_socket_is_bound_and_its_file_removed(bind: Bind, tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    bound, file = bind(path)
    assert path.is_socket()
    assert not bound.getblocking()
    assert not bound.get_inheritable()
    assert not reaches(path)
    bound.listen()
    assert reaches(path)
    bound.close()
    file.remove()
    assert list(tmp_path.iterdir()) == []
    file.remove()  # there is nothing to do


# Who may connect


@pytest.mark.parametrize("mode", [0o666, 0o660, 0o600, 0o777, 0])
def test_its_permissions_are_those_that_are_asked_for_whatever_the_umask(bind: Bind, tmp_path: Path, mode: int) -> None:
    before = os.umask(0o027)
    try:
        bind(tmp_path / "a", mode)
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)


@as_root
@pytest.mark.parametrize(
    ("owner", "expected"),
    [
        ("12345", (12345, None)),
        ("12345:54321", (12345, 54321)),
        (":54321", (None, 54321)),
        ("root", (0, None)),
        (f"root:{grp.getgrgid(0).gr_name}", (0, 0)),
    ],
)
def test_its_owner_is_given_by_name_or_number(
    bind: Bind, tmp_path: Path, owner: str, expected: tuple[int | None, int | None]
) -> None:
    bind(tmp_path / "a", owner=owner)
    found = (tmp_path / "a").stat()
    user, group = expected
    assert found.st_uid == (os.geteuid() if user is None else user)
    assert found.st_gid == (tmp_path.stat().st_gid if group is None else group)


def test_oneself_is_an_owner_whom_anybody_may_name(bind: Bind, tmp_path: Path) -> None:
    user = pwd.getpwuid(os.geteuid()).pw_name
    bind(tmp_path / "a", owner=f"{user}:{os.getegid()}")
    assert (tmp_path / "a").stat().st_uid == os.geteuid()


@pytest.mark.parametrize(
    ("owner", "found", "what"),
    [
        ("nobody.of.this.name", "nobody.of.this.name", "user"),
        ("0:no.such.group", "no.such.group", "group"),
        ("4294967295", "4294967295", "user"),  # which the system would take for nobody
        ("99999999999", "99999999999", "user"),
    ],
)
def test_an_owner_who_does_not_exist_is_a_mistake_in_the_option(
    bind: Bind, tmp_path: Path, owner: str, found: str, what: str
) -> None:
    with pytest.raises(UsageError) as caught:
        bind(tmp_path / "a", owner=owner)
    assert str(caught.value) == f"--uds-owner: found {found!r}, expected the name or the number of a {what}"
    assert list(tmp_path.iterdir()) == []


def test_an_owner_to_whom_it_may_not_be_given_is_told_and_nothing_is_left(
    bind: Bind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chown", refuse)
    with pytest.raises(StartupError) as caught:
        bind(tmp_path / "a", 0o660, "root:0")
    assert str(caught.value) == (
        f"cannot listen on unix:{tmp_path}/a: its permissions cannot be 660 and its owner root:0: "
        "Operation not permitted"
    )
    assert not isinstance(caught.value, UsageError)
    assert list(tmp_path.iterdir()) == []


# What is in the way


def test_the_socket_of_a_server_that_has_gone_is_replaced(
    bind: Bind, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "miniasgi.server")
    path = tmp_path / "a"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
        gone.listen()
    bound, _ = bind(path)
    bound.listen()
    assert reaches(path)
    assert caplog.messages == [f"replaced: unix:{path}, the socket of a server that has gone"]


@pytest.mark.parametrize("listens", [True, False])
def test_a_server_that_is_there_is_not_robbed_even_before_it_listens(bind: Bind, tmp_path: Path, listens: bool) -> None:
    path = tmp_path / "a"
    with socket.socket(socket.AF_UNIX) as there:
        there.bind(str(path))
        if listens:
            there.listen()
        inode = path.stat().st_ino
        with pytest.raises(StartupError) as caught:
            bind(path)
        assert str(caught.value) == f"cannot listen on unix:{path}: another server listens there"
        assert path.stat().st_ino == inode
        there.setblocking(False)
        with pytest.raises(BlockingIOError if listens else OSError):
            there.accept()  # nobody has come for a look


def test_a_server_of_datagrams_is_not_robbed_either(bind: Bind, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as there:
        there.bind(str(tmp_path / "a"))
        with pytest.raises(StartupError, match="another server listens there"):
            bind(tmp_path / "a")


def test_what_is_no_socket_is_left_alone(bind: Bind, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("dear to somebody")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("a", "link"):
        with pytest.raises(StartupError) as caught:
            bind(tmp_path / name)
        assert str(caught.value) == f"cannot listen on unix:{tmp_path}/{name}: a file is there that is no socket"
    assert (tmp_path / "a").read_text() == "dear to somebody"
    assert (tmp_path / "link").is_symlink()


def test_a_directory_that_does_not_exist_is_told(bind: Bind, tmp_path: Path) -> None:
    with pytest.raises(StartupError) as caught:
        bind(tmp_path / "no" / "a")
    assert str(caught.value) == f"cannot listen on unix:{tmp_path}/no/a: there is no directory {tmp_path}/no"


@as_user
def test_a_directory_that_may_not_be_written_to_is_told(bind: Bind, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StartupError) as caught:
        bind(tmp_path / "a")
    assert str(caught.value) == (
        f"cannot listen on unix:{tmp_path}/a: nothing can be made in {tmp_path}: Permission denied"
    )


@pytest.mark.skipif(not os.path.isdir("/proc/sys"), reason="needs a directory where not even root can make files")
def test_a_directory_where_nobody_can_make_files_is_told(bind: Bind) -> None:
    with pytest.raises(StartupError, match=r"^cannot listen on unix:/proc/sys/a: "):
        bind("/proc/sys/a")


class Answering(socket.socket):
    """As a system answers where the file may not be looked at."""

    def connect(self, address: object) -> None:
        raise PermissionError(13, "Permission denied")


def test_a_socket_that_cannot_be_asked_is_left_alone(
    bind: Bind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(tmp_path / "a"))
    monkeypatch.setattr(socket, "socket", Answering)
    with pytest.raises(StartupError, match="nobody can tell whether it is in use: Permission denied"):
        bind(tmp_path / "a")
    assert (tmp_path / "a").is_socket()


def test_a_server_that_comes_at_the_same_moment_is_not_robbed(
    bind: Bind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    there = socket.socket(socket.AF_UNIX)

    class Slow(socket.socket):
        """Asks, and before it has the answer, another server has replaced what it asks for."""

        def connect(self, address: object) -> None:
            try:
                super().connect(address)
            finally:
                (tmp_path / "old").hardlink_to(path)  # so that the other file cannot get its inode
                path.unlink()
                there.bind(str(path))
                there.listen()

    with socket.socket(socket.AF_UNIX) as gone, there:
        gone.bind(str(path))
        gone.close()
        monkeypatch.setattr(socket, "socket", Slow)
        with pytest.raises(StartupError, match="Address already in use"):
            bind(path)
        monkeypatch.undo()
        assert reaches(path)


def test_a_socket_that_cannot_be_removed_is_told(bind: Bind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(tmp_path / "a"))

    def refuse(path: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(StartupError) as caught:
        bind(tmp_path / "a")
    assert str(caught.value) == (
        f"cannot listen on unix:{tmp_path}/a: the socket of a server that has gone cannot be removed: "
        "Operation not permitted"
    )


# Paths


def test_a_path_is_of_the_directory_at_the_start(bind: Bind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    bound, file = bind("a")
    assert bound.getsockname() == f"{tmp_path}/a"
    monkeypatch.chdir("/")
    file.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_only_the_directory_makes_too_long_can_be_had(
    bind: Bind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.chdir(deep)
    bound, file = bind("a")
    assert bound.getsockname() == "a"
    monkeypatch.chdir("/")
    file.remove()
    assert list(deep.iterdir()) == []


# Whose file is removed


@pytest.mark.parametrize("closed", [True, False])
def test_the_file_of_a_server_that_has_come_later_stays(bind: Bind, tmp_path: Path, closed: bool) -> None:
    path = tmp_path / "a"
    bound, file = bind(path)
    path.unlink()
    if closed:
        bound.close()  # so that the other file may get the same inode
    later, _ = bind(path)
    # Later by more than the file system's clock may need for its next tick.
    os.utime(path, ns=(0, file.identity[2] + 20_000_000))
    later.listen()
    file.remove()
    assert reaches(path)


def test_one_whose_directory_has_gone_is_no_error(bind: Bind, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    _, file = bind(tmp_path / "d" / "a")
    (tmp_path / "d" / "a").unlink()
    (tmp_path / "d").rmdir()
    file.remove()


def test_a_socket_that_somebody_has_bound_in_the_meantime_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))

    class Probe(socket.socket):
        def connect(self, address: object) -> None:
            try:
                super().connect(address)  # type: ignore[arg-type]  # a path
            finally:
                # The next file may well get the inode of the one that was removed, but not its time.
                os.utime(path, ns=(1, 1))

    monkeypatch.setattr(socket, "socket", Probe)
    with pytest.raises(StartupError, match="in use"):
        bind_unix(UnixAddress(str(path)), 0o600, "")
    assert path.exists()
