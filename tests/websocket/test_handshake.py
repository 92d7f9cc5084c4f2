"""What a handshake has to say (RFC 6455 §4.2.1), what it is refused with, and the head that answers it."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from miniasgi.errors import ApplicationError
from miniasgi.http1.head import RequestHead
from miniasgi.types import Field
from miniasgi.websocket.handshake import Handshake, Refusal, asks_for_websocket, encode_accept, read_handshake
from tests.asgi.writer import head
from tests.websocket.frames import ACCEPT, KEY

GET = b"GET / HTTP/1.1"
UPGRADE = ((b"connection", b"Upgrade"), (b"upgrade", b"websocket"))
VERSION = (b"sec-websocket-version", b"13")
KEY_FIELD = (b"sec-websocket-key", KEY)


def handshake(*more: Field, line: bytes = GET, without: bytes = b"") -> RequestHead:
    """The head of a right handshake with *more* fields, and without those of one name."""
    fields = [field for field in (*UPGRADE, VERSION, KEY_FIELD) if field[0] != without]
    return head(line, *fields, *more)


def refusal(request: RequestHead) -> Refusal:
    found = read_handshake(request)
    assert isinstance(found, Refusal)
    return found


# Who asks


@pytest.mark.parametrize(
    ("fields", "asks"),
    [
        (UPGRADE, True),
        (((b"connection", b"keep-alive, UPGRADE"), (b"upgrade", b"WebSocket")), True),
        (((b"connection", b"upgrade"), (b"upgrade", b"h2c,\twebsocket ")), True),
        (((b"connection", b"upgrade"), (b"upgrade", b"h2c"), (b"upgrade", b"websocket")), True),
        (((b"connection", b"upgrade"), (b"upgrade", b"h2c")), False),
        (((b"connection", b"upgrade"), (b"upgrade", b"websockets")), False),
        (((b"connection", b"upgrade"), (b"upgrade", b"websocket/13")), False),
        (((b"connection", b"keep-alive"), (b"upgrade", b"websocket")), False),
        (((b"upgrade", b"websocket"),), False),
        (((b"connection", b"upgrade"),), False),
        ((), False),
    ],
)
def test_an_upgrade_to_websocket_is_told_from_others(fields: tuple[Field, ...], asks: bool) -> None:
    assert asks_for_websocket(head(GET, *fields)) is asks


def test_http_1_0_has_no_upgrade() -> None:
    assert not asks_for_websocket(handshake(line=b"GET / HTTP/1.0"))


# What it says


def test_a_handshake_is_its_key_and_what_is_offered_with_it() -> None:
    assert read_handshake(handshake()) == Handshake(KEY, [], b"")
    offer = handshake(
        (b"sec-websocket-protocol", b"chat.v2,chat ,\tx!#$"),
        (b"sec-websocket-extensions", b"permessage-deflate; client_max_window_bits"),
        (b"sec-websocket-protocol", b"last"),
        (b"sec-websocket-extensions", b"x-other"),
        (b"sec-websocket-unknown", b"?"),
    )
    assert read_handshake(offer) == Handshake(
        KEY, ["chat.v2", "chat", "x!#$", "last"], b"permessage-deflate; client_max_window_bits, x-other"
    )


@pytest.mark.parametrize("value", [b"", b",", b" , a ,,b, "])
def test_empty_members_of_the_list_of_subprotocols_count_for_nothing(value: bytes) -> None:
    # RFC 9110 §5.6.1.2.
    found = read_handshake(handshake((b"sec-websocket-protocol", value)))
    assert isinstance(found, Handshake)
    assert found.subprotocols == (["a", "b"] if b"a" in value else [])


# What it is refused with


@pytest.mark.parametrize("method", [b"HEAD", b"POST", b"OPTIONS", b"BREW"])
def test_no_other_method_opens_a_websocket(method: bytes) -> None:
    # All else that is wrong with it matters less: the client is told what it has to begin with.
    found = refusal(handshake((b"content-length", b"1"), line=method + b" / HTTP/1.1", without=VERSION[0]))
    assert found[:2] == (405, [(b"allow", b"GET")])
    assert found.reason == f"WebSocket handshake with {method.decode()}, expected GET"


@pytest.mark.parametrize(
    ("versions", "said"),
    [
        ((), "b''"),
        ((b"8",), "b'8'"),
        ((b"",), "b''"),
        ((b"013",), "b'013'"),
        ((b"13, 8",), "b'13, 8'"),
        ((b"13", b"13"), "b'13, 13'"),
        ((b"1" * 500,), repr(b"1" * 40)),
    ],
)
def test_another_version_is_told_which_there_is(versions: tuple[bytes, ...], said: str) -> None:
    # RFC 6455 §4.4; RFC 9110 §15.5.22 wants the Upgrade field.
    fields = [(VERSION[0], version) for version in versions]
    found = refusal(handshake(*fields, without=VERSION[0]))
    assert found == Refusal(
        426,
        [(b"sec-websocket-version", b"13"), (b"upgrade", b"websocket"), (b"connection", b"Upgrade")],
        f"WebSocket version {said}, expected 13",
    )


@pytest.mark.parametrize("field", [(b"content-length", b"1"), (b"transfer-encoding", b"chunked")])
def test_content_would_be_taken_for_frames(field: Field) -> None:
    assert refusal(handshake(field)) == Refusal(400, [], "WebSocket handshake with content")


def test_no_content_may_be_declared() -> None:
    assert isinstance(read_handshake(handshake((b"content-length", b"0"))), Handshake)


@pytest.mark.parametrize(
    "keys",
    [
        (),
        (b"",),
        (KEY, KEY),
        (KEY + b", " + KEY,),
        (base64.b64encode(b"x" * 15),),
        (base64.b64encode(b"x" * 17),),
        (KEY[:-1],),
        (KEY[:-2] + b"==" + b"=",),
        (KEY[:4] + b" " + KEY[4:],),
        (KEY[:4] + b"-" + KEY[5:],),
        (b"x" * 16,),
        (b"\xff" * 24,),
    ],
    ids=repr,
)
def test_a_key_is_sixteen_octets_in_base64_once(keys: tuple[bytes, ...]) -> None:
    found = refusal(handshake(*((KEY_FIELD[0], key) for key in keys), without=KEY_FIELD[0]))
    assert found[:2] == (400, [])
    said = b", ".join(keys)[:40]
    assert found.reason == f"Sec-WebSocket-Key {said!r}, expected 16 octets in base64, once"


@pytest.mark.parametrize("value", [b"a b", b"a, b;c", b'"a"', b"a/b", b"\xe9", b"ok, (x)"])
def test_a_subprotocol_is_a_token(value: bytes) -> None:
    found = refusal(handshake((b"sec-websocket-protocol", b"good"), (b"sec-websocket-protocol", value)))
    assert found == Refusal(400, [], "malformed Sec-WebSocket-Protocol")


# What it is answered

ASKED = Handshake(KEY, ["chat", "superchat"], b"")
BEGIN = b"HTTP/1.1 101 Switching Protocols\r\n"
SWITCH = b"upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: " + ACCEPT + b"\r\n"


def test_the_answer_proves_that_the_key_was_read() -> None:
    # The example of RFC 6455 §1.3.
    assert encode_accept(ASKED, b"", None, [], b"") == BEGIN + SWITCH + b"\r\n"
    other = Handshake(b"x3JJHMbDL1EzLkh9GBhXDw==", [], b"")
    assert b"\r\nsec-websocket-accept: HSmrc0sMlYUkAGmm5OPpG2HaGWk=\r\n" in encode_accept(other, b"", None, [], b"")


def test_the_answer_says_what_was_chosen_and_what_the_application_adds() -> None:
    fields = [(b"Set-Cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"x-y", b"")]
    assert encode_accept(ASKED, b"permessage-deflate", "superchat", fields, b"date: now\r\nserver: me\r\n") == (
        BEGIN
        + b"date: now\r\nserver: me\r\n"
        + SWITCH
        + b"sec-websocket-protocol: superchat\r\nsec-websocket-extensions: permessage-deflate\r\n"
        + b"Set-Cookie: a=1\r\nset-cookie: b=2\r\nx-y: \r\n\r\n"
    )


@pytest.mark.parametrize("subprotocol", ["other", "", "Chat", "chat, superchat", "chat\r\nx: y"])
def test_a_subprotocol_is_one_that_the_client_named(subprotocol: str) -> None:
    # RFC 6455 §4.1: a client has to fail the connection for any other.
    with pytest.raises(ApplicationError) as caught:
        encode_accept(ASKED, b"", subprotocol, [], b"")
    assert str(caught.value) == (
        f"subprotocol {subprotocol!r} in websocket.accept, expected one of ['chat', 'superchat']"
    )


@pytest.mark.parametrize(
    "name",
    [
        b"Sec-WebSocket-Accept",
        b"sec-websocket-protocol",
        b"SEC-WEBSOCKET-EXTENSIONS",
        b"sec-websocket-anything",
        b"Connection",
        b"Upgrade",
        b"content-length",
        b"Transfer-Encoding",
    ],
)
def test_some_fields_are_the_servers_alone(name: bytes) -> None:
    with pytest.raises(ApplicationError) as caught:
        encode_accept(ASKED, b"", None, [(b"x", b"y"), (name, b"1")], b"")
    assert str(caught.value) == f"field {name.lower().decode()!r} in websocket.accept, which is the server's"


@pytest.mark.parametrize(
    "fields",
    [
        [(b"x y", b"1")],
        [(b"", b"1")],
        [(b"x", b"1\r\nset-cookie: a")],
        [(b"x", b"\x00")],
        [(b"x", "1")],
        [(b"x", None)],
    ],
    ids=repr,
)
def test_a_field_that_is_none_is_the_applications_mistake(fields: Any) -> None:
    with pytest.raises(ApplicationError, match="response field"):
        encode_accept(ASKED, b"", None, fields, b"")


@pytest.mark.parametrize("fields", [[("x", b"1")], [(b"x",)], [(b"x", b"1", b"2")], [b"x: y"], [None]], ids=repr)
def test_what_is_no_pair_of_octets_is_the_applications_mistake_too(fields: Any) -> None:
    with pytest.raises(ApplicationError, match="response field"):
        encode_accept(ASKED, b"", None, fields, b"")
