"""How an open session ends: closed by either side, stopped, cut, lost; what is told, and the access line of each."""

from __future__ import annotations

import errno
import io
import logging
import re
from typing import Any

import pytest

from miniasgi.errors import ApplicationError, StartupError
from miniasgi.observe.access import AccessLog
from miniasgi.observe.logs import BatchHandler
from miniasgi.server.connections import websocket
from miniasgi.server.connections.websocket import codec_factory
from miniasgi.websocket import codecs
from miniasgi.websocket.codec import Codec, Offer, Sink
from tests.server.conftest import MakeWire
from tests.server.test_websocket import Guided, disconnect, frames, join, session
from tests.support import Wire
from tests.websocket.apps import echo
from tests.websocket.frames import CLOSE, PING, PONG, TEXT, Frame, close, close_code, frame

KIB = 1024


# The closing handshake


def test_a_client_that_closes_is_answered_and_seen_off(make_wire: MakeWire) -> None:
    app = Guided()
    wire = join(make_wire, app)
    wire.feed(frame(TEXT, b"last") + close(3000, b"bye") + frame(TEXT, b"too late"))
    assert frames(wire) == [Frame(CLOSE, b"\x0b\xb8bye")]
    # The end of what is sent, but not yet the socket's: octets unread there would be answered with a reset.
    assert (wire.transport.eof_written, wire.lost) == (True, False)
    assert app.take(wire, 2) == ["last", disconnect(3000, "bye")]
    wire.half_close()
    assert (wire.lost, wire.transport.aborted) == (True, False)


def test_a_client_that_has_gone_with_its_close_is_no_error(make_wire: MakeWire) -> None:
    def write_eof() -> None:
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    app = Guided()
    wire = join(make_wire, app)
    wire.transport.write_eof = write_eof  # type: ignore[method-assign]
    wire.loop.set_exception_handler(lambda loop, context: pytest.fail(str(context)))
    wire.feed(close(1000))
    assert app.take(wire) == [disconnect(1000)]
    assert (wire.lost, wire.transport.aborted) == (True, True)


def test_a_server_that_closes_waits_for_the_client(make_wire: MakeWire) -> None:
    app = Guided()
    wire = join(make_wire, app)
    app.send(wire, "websocket.close", code=3001, reason="done")
    assert frames(wire) == [Frame(CLOSE, b"\x0b\xb9done")]
    wire.feed(frame(TEXT, b"on its way") + frame(PING, b"?"))
    assert frames(wire) == [Frame(PONG, b"?")]
    assert not wire.transport.eof_written
    assert app.take(wire) == [disconnect(3001, "done")]
    wire.feed(close(1000))
    assert (wire.take(), wire.transport.eof_written, wire.lost) == (b"", True, False)


def test_a_close_gets_to_the_client_before_messages_that_nobody_takes(make_wire: MakeWire) -> None:
    app = Guided()
    wire = join(make_wire, app, ws_max_queue=1)
    wire.feed(b"".join(frame(TEXT, b"x" * 100) for _ in range(1000)) + close(1000))
    assert not wire.transport.reading
    app.send(wire, "websocket.close")
    assert close_code(frames(wire)) == 1000
    # The client's own close stood behind all that.
    assert (wire.transport.eof_written, wire.transport.reading) == (True, True)
    wire.wait(3)
    assert wire.transport.aborted


def test_a_session_gives_way_to_nobody(make_wire: MakeWire) -> None:
    app = Guided()
    wire = join(make_wire, app)
    assert not session(wire).give_way()
    app.send(wire, "websocket.send", text="still here")
    assert frames(wire) == [Frame(TEXT, b"still here")]


def test_a_client_has_ten_seconds_to_answer_a_close(make_wire: MakeWire) -> None:
    app = Guided()
    wire = join(make_wire, app, ws_ping_interval=1.0)
    app.send(wire, "websocket.close")
    wire.take()
    wire.wait(9)
    assert (wire.take(), wire.lost) == (b"", False)
    wire.feed(frame(TEXT, b"not that"))
    wire.wait(2)
    assert wire.transport.aborted


@pytest.mark.parametrize("interval", [0.0, 60.0])
def test_a_client_that_was_made_to_wait_has_no_more_time_for_that(make_wire: MakeWire, interval: float) -> None:
    app = Guided()
    wire = join(make_wire, app, ws_max_queue=1, ws_ping_interval=interval)
    wire.feed(frame(TEXT, b"1"))
    app.send(wire, "websocket.close")
    wire.wait(12)
    assert wire.transport.aborted


def test_a_client_that_was_pinged_has_no_more_time_for_that(make_wire: MakeWire) -> None:
    app = Guided()
    wire = join(make_wire, app, ws_ping_interval=60.0)
    wire.wait(61)
    app.send(wire, "websocket.close")
    wire.feed(frame(PONG))
    wire.wait(12)
    assert wire.transport.aborted


def test_a_client_has_two_seconds_to_see_the_last_of_it(make_wire: MakeWire) -> None:
    wire = join(make_wire, Guided())
    wire.feed(close(1000))
    wire.wait(1)
    assert not wire.lost
    wire.wait(2)
    assert wire.transport.aborted


def test_what_comes_after_the_end_is_dropped_up_to_a_bound(make_wire: MakeWire) -> None:
    wire = join(make_wire, Guided())
    wire.feed(close(1000))
    wire.take()
    for _ in range(4):
        wire.feed(b"x" * 64 * KIB)
        assert (wire.take(), wire.lost) == (b"", False)
    wire.feed(b"x")
    assert wire.lost


def test_a_transport_that_cannot_be_half_closed_is_closed(make_wire: MakeWire) -> None:
    wire = join(make_wire, Guided())
    wire.transport.can_write_eof = lambda: False  # type: ignore[method-assign]
    wire.feed(close(1000))
    assert (close_code(frames(wire)), wire.transport.eof_written, wire.lost) == (1000, False, True)


@pytest.mark.parametrize(
    ("octets", "code"), [(frame(3), 1002), (frame(TEXT, b"\xff"), 1007), (frame(TEXT, declared=2**40), 1009)]
)
def test_a_client_that_breaks_the_protocol_is_told_how(make_wire: MakeWire, octets: bytes, code: int) -> None:
    app = Guided()
    wire = join(make_wire, app)
    wire.feed(octets + frame(TEXT, b"too late"))
    assert close_code(frames(wire)) == code
    assert wire.transport.eof_written
    (told,) = app.take(wire)
    assert told["code"] == code


@pytest.mark.parametrize(
    ("code", "reason", "said"),
    [(1005, "", "websocket.close with code 1005: "), (1000, "x" * 124, "websocket.close with code 1000: ")],
)
def test_a_close_that_cannot_be_sent_is_the_applications_mistake(
    make_wire: MakeWire, code: int, reason: str, said: str
) -> None:
    app = Guided()
    wire = join(make_wire, app)
    app.send(wire, "websocket.close", code=code, reason=reason)
    (error,) = app.errors
    assert isinstance(error, ApplicationError)
    assert str(error).startswith(said)
    app.send(wire, "websocket.send", text="still here")
    assert frames(wire) == [Frame(TEXT, b"still here")]


def test_a_text_that_has_no_octets_is_the_applications_mistake(make_wire: MakeWire) -> None:
    app = Guided()
    wire = join(make_wire, app)
    app.send(wire, "websocket.send", text="\ud800")
    assert [type(error) for error in app.errors] == [ApplicationError]


def test_an_application_that_returns_closes_its_session(make_wire: MakeWire) -> None:
    app = Guided()
    wire = join(make_wire, app)
    app.send(wire, "return")
    assert close_code(frames(wire)) == 1000
    assert not wire.service.running


# Lost


def lose(wire: Wire) -> None:
    wire.lose(ConnectionResetError())


def test_a_connection_that_is_lost_has_ended_with_1006(make_wire: MakeWire) -> None:
    for end in (lose, Wire.half_close):  # without a closing handshake, the client's end is as good as a loss
        app = Guided()
        wire = join(make_wire, app)
        wire.feed(frame(TEXT, b"last"))
        end(wire)
        assert (wire.lost, wire.service.opened) == (True, 0)
        assert app.take(wire, 2) == ["last", disconnect(1006)]
        app.send(wire, "websocket.send", text="?")
        assert isinstance(app.errors[0], OSError)
        app.send(wire, "websocket.close")
        assert (len(app.errors), wire.take()) == (1, b"")


def test_a_sender_that_waits_is_let_go_when_the_connection_is_lost(make_wire: MakeWire) -> None:
    app = Guided()
    wire = join(make_wire, app)
    session(wire).pause_writing()
    app.send(wire, "websocket.send", text="1")
    wire.lose()
    assert app.take(wire) == [disconnect(1006)]


# The server's end


def stopping(make_wire: MakeWire, app: Any, monkeypatch: pytest.MonkeyPatch, **options: Any) -> tuple[Wire, list[Any]]:
    """A session whose server stops, and what has been put off, as seconds and a call."""
    later: list[Any] = []
    wire = join(make_wire, app, **options)
    monkeypatch.setattr(wire.loop, "call_later", lambda seconds, *call: later.append((seconds, *call)))
    wire.service.begin_stop()
    session(wire).stop()
    wire.turn()
    return wire, later


def test_an_application_has_a_quarter_of_a_second_for_its_own_goodbye(
    make_wire: MakeWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = Guided()
    wire, ((seconds, function, *arguments),) = stopping(make_wire, app, monkeypatch)
    assert (seconds, wire.take()) == (0.25, b"")
    app.send(wire, "websocket.send", text="goodbye")
    assert frames(wire) == [Frame(TEXT, b"goodbye")]
    function(*arguments)
    assert close_code(frames(wire)) == 1012
    assert app.take(wire) == [disconnect(1012)]


def test_an_application_that_has_said_goodbye_is_not_closed_again(
    make_wire: MakeWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = Guided()
    wire, ((_, function, *arguments),) = stopping(make_wire, app, monkeypatch)
    app.send(wire, "websocket.close", code=1001, reason="goodbye")
    function(*arguments)
    assert frames(wire) == [Frame(CLOSE, b"\x03\xe9goodbye")]
    assert app.take(wire) == [disconnect(1001, "goodbye")]


def test_a_session_that_opens_while_the_server_stops_is_closed_as_well(
    make_wire: MakeWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    later: list[Any] = []
    wire = make_wire(echo)
    monkeypatch.setattr(wire.loop, "call_later", lambda *call: later.append(call))
    wire.service.stopping = True
    wire = join(lambda *_, **__: wire, echo)
    ((seconds, function, *arguments),) = later
    function(*arguments)
    assert (seconds, close_code(frames(wire))) == (0.25, 1012)


def test_a_server_is_quiet_when_its_last_session_is_lost(make_wire: MakeWire, monkeypatch: pytest.MonkeyPatch) -> None:
    app = Guided()
    wire, _ = stopping(make_wire, app, monkeypatch)
    app.send(wire, "return")
    quiet = wire.service.quiet(connections=True)
    assert not quiet.done()
    wire.lose()
    assert quiet.done()


@pytest.mark.parametrize("closed", [False, True])
def test_a_server_that_has_no_patience_left_closes_at_once(make_wire: MakeWire, closed: bool) -> None:
    app = Guided()
    wire = join(make_wire, app)
    if closed:
        app.send(wire, "websocket.close")
    session(wire).cut()
    wire.turn()
    assert close_code(frames(wire)) == (1000 if closed else 1012)
    assert wire.lost
    assert app.take(wire) == [disconnect(1000 if closed else 1012)]
    app.send(wire, "websocket.send", text="?")
    assert isinstance(app.errors[0], OSError)


# The access line


def test_a_session_has_one_line_when_it_has_ended(make_wire: MakeWire) -> None:
    logger = logging.Logger("tests.sessions", logging.INFO)
    stream = io.StringIO()
    logger.addHandler(BatchHandler(stream))
    wire = make_wire(echo)
    access = wire.service.access = AccessLog(logger)
    wire = join(lambda *_, **__: wire, echo, behind=frame(TEXT, b"1"))
    wire.feed(frame(TEXT, b"22") + frame(PING), close(1000))
    wire.wait(1.5)
    octets = len(wire.take())
    access.flush()
    assert stream.getvalue() == ""
    wire.half_close()
    access.flush()
    (line,) = stream.getvalue().splitlines()
    # Two messages of 3 and 4 octets, a pong of 2, a close of 4.
    assert octets == 13
    assert re.sub(r"^[-\d]+ [:\d]+ ", "", line) == ('192.0.2.1:50000 "GET / HTTP/1.1" 101 13 1500.0ms 2 in, 2 out')


# What --ws names


def make_codec(sink: Sink, offer: Offer) -> Codec:
    raise AssertionError("it is not called: no client has come")


def test_what_ws_names_is_a_codec_or_a_factory_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codecs, "load", lambda name: f"codec {name}")
    assert codec_factory("auto") == "codec auto"
    assert codec_factory(f"{__name__}:make_codec") is make_codec
    for name in ("nothing", "codec_factory"):  # what is not there, and what takes something else
        with pytest.raises(StartupError, match="WebSocket codec factory"):
            codec_factory(f"{__name__}:{name}")


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(websocket.codecs, "load", missing)
    with pytest.raises(StartupError) as caught:
        codec_factory("websockets")
    assert str(caught.value) == (
        "--ws websockets: expected the package websockets, 16.1 or later (pip install 'websockets>=16.1'): websockets"
    )
