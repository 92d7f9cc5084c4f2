"""What systemd passes: read from the environment, once, by the process for which it is."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from miniasgi.errors import UsageError
from miniasgi.server.sockets import activation
from miniasgi.server.sockets.activation import Passed, take

OURS, PARENT = 12, 11


def test_sockets_that_are_passed_have_numbers_and_names() -> None:
    environ = {"LISTEN_PID": "12", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "web:admin", "PATH": "/bin"}
    assert take(environ, OURS, PARENT) == Passed({3: "web", 4: "admin"})
    assert environ == {"PATH": "/bin"}
    assert take(environ, OURS, PARENT) == Passed()


@pytest.mark.parametrize("names", ["", "web", "a:b:c"])
def test_names_that_are_not_for_each_are_none(names: str) -> None:
    environ = {"LISTEN_PID": "12", "LISTEN_FDS": "2", "LISTEN_FDNAMES": names}
    assert take(environ, OURS, PARENT).sockets == {3: "", 4: ""}


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"LISTEN_PID": "12", "LISTEN_FDS": "0"},
        {"LISTEN_PID": "13", "LISTEN_FDS": "1"},
        {"LISTEN_PID": "me", "LISTEN_FDS": "1"},
        {"LISTEN_FDS": "1"},
        {"LISTEN_PID": "11", "LISTEN_FDS": "0"},
        {"LISTEN_PID": "13", "LISTEN_FDS": "one"},
    ],
    ids=str,
)
def test_what_is_for_others_is_left_alone_and_not_handed_on(environ: dict[str, str]) -> None:
    given = {**environ, "LISTEN_PIDFDID": "5", "LISTEN_FDNAMES": "web"}
    assert take(given, OURS, PARENT) == Passed()
    assert given == {}


def test_what_was_meant_for_the_process_that_has_started_this_one_is_said() -> None:
    assert take({"LISTEN_PID": "11", "LISTEN_FDS": "1"}, OURS, PARENT) == Passed(missed_by=11)


@pytest.mark.parametrize("number", ["", "one", "-1", "1.0", "1000", "٣"])
def test_a_number_that_is_none_is_an_error(number: str) -> None:
    environ = {"LISTEN_PID": "12", "LISTEN_FDS": number}
    with pytest.raises(UsageError) as caught:
        take(environ, OURS, PARENT)
    assert str(caught.value) == f"LISTEN_FDS: found {number!r}, expected how many sockets are passed, from 0 to 999"
    assert environ == {}


# In this process


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if nobody had asked yet."""
    activation._taken.cache_clear()
    yield
    activation._taken.cache_clear()


@pytest.mark.usefixtures("fresh")
def test_the_environment_is_read_once_in_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "0")
    monkeypatch.setenv("LISTEN_FDNAMES", "web")
    found = activation.passed()
    assert found == Passed()
    assert not {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} & os.environ.keys()
    monkeypatch.setenv("LISTEN_FDS", "none of its business any more")
    assert activation.passed() is found


@pytest.mark.usefixtures("fresh")
def test_what_was_passed_is_not_a_childs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activation, "take", lambda environ, process, parent: Passed({3: str(process)}))
    assert activation.passed().sockets == {3: str(os.getpid())}
    monkeypatch.setattr(os, "getpid", lambda: 99)
    assert activation.passed().sockets == {3: "99"}


def test_descriptors_are_closed_to_what_the_process_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    missing = os.dup(reader)
    os.close(missing)
    try:
        for each in (reader, writer):
            os.set_inheritable(each, True)
        # Where systemd's begin is nobody's choice, and in a process of tests something else may be there.
        monkeypatch.setattr(activation, "_FIRST", reader)
        last = max(writer, missing)
        take({"LISTEN_PID": "12", "LISTEN_FDS": str(last - reader + 1)}, OURS, PARENT)
        assert not os.get_inheritable(reader)
        assert not os.get_inheritable(writer)
    finally:
        os.close(reader)
        os.close(writer)
