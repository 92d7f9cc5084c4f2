"""How a connection of TLS ends: what its transport does not tell, the kernel does. The rest is in test_states."""

from __future__ import annotations

import pytest

from miniasgi.server.connections import ending
from miniasgi.server.connections.ending import State
from tests.server.apps import Gate, hello
from tests.server.conftest import MakeWire
from tests.support import Wire

ASKING = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


class Kernel:
    """What the kernel keeps for a client, as a test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.octets = 0
        monkeypatch.setattr(ending, "unacknowledged", lambda transport: self.octets)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(monkeypatch)


def closing(make_wire: MakeWire, **options: object) -> Wire:
    """A connection that has answered over TLS, and whose transport, as a real one, is not lost before it has closed."""
    wire = make_wire(hello, **options)
    wire.transport.can_write_eof = lambda: False  # type: ignore[method-assign]
    wire.transport.close = lambda: None  # type: ignore[method-assign]
    wire.feed(GET)
    assert wire.state is State.CLOSING
    return wire


def end(wire: Wire) -> None:
    del wire.transport.close  # the class has its own
    wire.lose()


def test_who_has_everything_and_does_not_answer_the_end_of_tls_is_not_waited_for(
    make_wire: MakeWire, kernel: Kernel
) -> None:
    wire = closing(make_wire)
    wire.wait(0)
    assert not wire.transport.aborted
    wire.wait(2)
    assert wire.transport.aborted
    end(wire)


def test_who_takes_the_end_of_a_response_over_tls_has_the_time_for_it(make_wire: MakeWire, kernel: Kernel) -> None:
    wire = closing(make_wire, timeout_write=30)
    for octets in (2000, 3000, 1000, 500):  # up and down, because the transport gives it more
        kernel.octets = octets
        wire.wait(31)
        assert not wire.transport.aborted
    kernel.octets = 0
    wire.wait(3)
    assert wire.transport.aborted
    end(wire)


def test_who_takes_nothing_of_the_end_of_a_response_over_tls_is_cut(make_wire: MakeWire, kernel: Kernel) -> None:
    wire = closing(make_wire, timeout_write=30)
    kernel.octets = 2000
    wire.wait(3)
    wire.wait(20)
    assert not wire.transport.aborted
    wire.wait(20)
    assert wire.transport.aborted
    end(wire)


def test_only_who_is_idle_after_a_request_gives_way(make_wire: MakeWire) -> None:
    app = Gate()
    wire = make_wire(app)
    assert not wire.connection.give_way()  # it is about to ask
    wire.feed(ASKING[:20])
    assert not wire.connection.give_way()
    wire.feed(ASKING[20:])
    assert not wire.connection.give_way()
    app.open()
    wire.turn()
    assert wire.take().endswith(b"\r\n\r\n/")
    assert wire.state is State.IDLE
    assert wire.connection.give_way()
    assert wire.state is State.CLOSING
    wire.turn()
    assert (wire.take(), wire.lost, wire.transport.aborted) == (b"", True, False)
    assert not wire.connection.give_way()  # it has


def test_who_is_about_to_end_gives_way_unless_the_client_still_reads(make_wire: MakeWire, kernel: Kernel) -> None:
    wire = closing(make_wire)
    assert wire.connection.give_way()
    kernel.octets = 1
    assert not wire.connection.give_way()
    end(wire)
