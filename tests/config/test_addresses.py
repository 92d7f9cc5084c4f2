"""Where a server may listen: what is read, what is refused, and that what is shown is read as the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from miniasgi.config.addresses import (
    BINDS,
    MODE,
    MOST_PATH_OCTETS,
    OWNER,
    UDS,
    Address,
    Descriptor,
    TcpAddress,
    UnixAddress,
    read_address,
)
from miniasgi.config.kinds import Kind, Refused

EXPECTED = "expected HOST:PORT, [IPV6]:PORT, :PORT for every interface, unix:PATH or fd://N"


def refusal(kind: Kind, value: object) -> str:
    with pytest.raises(Refused) as caught:
        kind.read(value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("typed", "address", "shown"),
    [
        ("localhost:80", TcpAddress("localhost", 80), "localhost:80"),
        (" 0.0.0.0:0 ", TcpAddress("0.0.0.0", 0), "0.0.0.0:0"),
        ("a-b.example.org:65535", TcpAddress("a-b.example.org", 65535), "a-b.example.org:65535"),
        (":80", TcpAddress("", 80), ":80"),
        ("*:80", TcpAddress("", 80), ":80"),
        ("[::]:80", TcpAddress("::", 80), "[::]:80"),
        ("[fe80::1%eth0]:80", TcpAddress("fe80::1%eth0", 80), "[fe80::1%eth0]:80"),
        ("unix:/run/a.sock", UnixAddress("/run/a.sock"), "unix:/run/a.sock"),
        ("unix:a b.sock", UnixAddress("a b.sock"), "unix:a b.sock"),
        ("UNIX:///run/a.sock", UnixAddress("/run/a.sock"), "unix:/run/a.sock"),
        ("unix:////run/a.sock", UnixAddress("//run/a.sock"), "unix:////run/a.sock"),
        ("fd://0", Descriptor(0), "fd://0"),
        ("FD://12", Descriptor(12), "fd://12"),
    ],
)
def test_an_address_is_read_and_shown(typed: str, address: Address, shown: str) -> None:
    assert read_address(typed) == address
    assert str(address) == shown
    assert read_address(shown) == read_address(address) == address


@pytest.mark.parametrize(
    "value",
    [
        "",
        "localhost",
        "8000",
        "localhost:",
        "localhost:65536",
        "localhost:+1",
        "localhost:٨",
        "::1:80",
        "[::1]",
        "[localhost]:80",
        "a b:80",
        "a\x00b:80",
        "http://localhost:80",
        "fd://",
        "fd://-1",
        "fd://x",
        None,
        80,
        b":80",
        ("localhost", 80),
    ],
)
def test_what_is_no_address_is_refused_with_all_forms(value: object) -> None:
    with pytest.raises(Refused) as caught:
        read_address(value)
    assert str(caught.value) == f"found {value!r}, {EXPECTED}"


def test_addresses_are_lines_or_a_list() -> None:
    found = (TcpAddress("a", 1), Descriptor(3))
    assert BINDS.read("a:1\nfd://3") == BINDS.read(["a:1", Descriptor(3)]) == BINDS.read(found) == found
    assert BINDS.read(BINDS.show(found)) == found
    assert BINDS.read(()) == ()


@pytest.mark.parametrize("value", ["unix:", "unix://", "unix:a\x00b", "unix:a\nb"])
def test_a_socket_has_a_path_that_can_be_said(value: str) -> None:
    with pytest.raises(Refused, match=r"expected the path of a socket$"):
        read_address(value)


def test_a_socket_is_no_directory(tmp_path: Path) -> None:
    for kind, value in ((BINDS, f"unix:{tmp_path}"), (UDS, str(tmp_path))):
        assert refusal(kind, value) == f"found {value!r}, expected the path of a socket"


def test_the_path_of_a_socket_fits_into_the_systems_structure() -> None:
    longest = "ä" * (MOST_PATH_OCTETS // 2) + "a"
    assert len(os.fsencode(longest)) == MOST_PATH_OCTETS
    assert UDS.read(longest) == longest
    assert refusal(UDS, longest + "a").endswith(", expected the path of a socket, of at most 107 octets")


def test_one_socket_may_be_named_with_or_without_its_scheme() -> None:
    assert [UDS.read(value) for value in ("", "a.sock", "unix:a.sock")] == ["", "a.sock", "a.sock"]
    for value in ("unix:", None, 5, Path("a.sock")):
        assert refusal(UDS, value) == f"found {value!r}, expected the path of a socket"


@pytest.mark.parametrize(
    ("value", "mode"), [("660", 0o660), (" 0660 ", 0o660), ("0o600", 0o600), ("0", 0), (0o777, 0o777), ("777", 0o777)]
)
def test_permissions_are_octal_digits_or_in_python_the_number(value: object, mode: int) -> None:
    assert MODE.read(value) == mode
    assert MODE.read(MODE.show(mode)) == mode


@pytest.mark.parametrize("value", ["", "888", "1777", "-1", "rw-", "6 6 0", 0o1000, -1, 660, True, None, 6.0])
def test_what_are_no_permissions_is_refused(value: object) -> None:
    assert refusal(MODE, value) == f"found {value!r}, expected permissions as octal digits, such as 660"


@pytest.mark.parametrize("value", ["", "me", "me:us", ":us", "1000:1000"])
def test_an_owner_is_a_user_a_group_or_both(value: str) -> None:
    assert OWNER.read(value) == value


@pytest.mark.parametrize("value", [":", "me:", "a b", "a:b:c", None, 1000])
def test_what_is_no_owner_is_refused(value: object) -> None:
    assert refusal(OWNER, value) == f"found {value!r}, expected USER, USER:GROUP or :GROUP, by name or number"
