"""Provenance: which names of requests are taken, and what becomes of the fields."""

from __future__ import annotations

import pytest

from miniasgi.asgi.forwarded import ProxyFields
from miniasgi.asgi.scope import Origin
from miniasgi.asgi.trusted import TrustedPeers
from miniasgi.http1.head import FieldSection, RequestHead, RequestLine
from miniasgi.server.provenance import Tracer

HOST = (b"host", b"h")


def head_of(*fields: tuple[bytes, bytes]) -> RequestHead:
    return RequestHead(RequestLine(b"GET", b"/", b"HTTP/1.1"), FieldSection([HOST, *fields]))


def origin(*, trusted: bool = True) -> Origin:
    return Origin(("192.0.2.1", 4), ("192.0.2.2", 80), "http", "", {}, trusted=trusted)


@pytest.mark.parametrize("name", [b"a", b"7f3d-x_y.z:1", b"x" * 128, b"!#[]~"])
def test_a_name_that_a_proxy_gives_is_taken(name: bytes) -> None:
    head = head_of((b"x-request-id", name))
    found = Tracer(None, "x-request-id").trace(head, origin())
    assert (found.request_id, found.fields) == (name.decode(), None)


@pytest.mark.parametrize(
    "names",
    [[], [b""], [b"x" * 129], [b"a b"], [b'a"b'], [b"a\\b"], [b"\xe9"], [b"a\tb"], [b"a", b"b"], [b"a", b"a"]],
)
def test_what_is_no_name_is_replaced(names: list[bytes]) -> None:
    head = head_of(*((b"x-request-id", name) for name in names))
    found = Tracer(None, "x-request-id").trace(head, origin())
    assert len(bytes.fromhex(found.request_id)) == 16
    assert found.fields == [HOST, (b"x-request-id", found.request_id.encode())]
    assert head.fields == [HOST, *((b"x-request-id", name) for name in names)]  # others may share it


def test_what_a_stranger_says_is_replaced() -> None:
    head = head_of((b"x-request-id", b"mine"), (b"x-forwarded-for", b"203.0.113.9"))
    tracer = Tracer(ProxyFields(("for",), TrustedPeers(["10.0.0.1"])), "x-request-id")
    stranger = origin(trusted=False)
    found = tracer.trace(head, stranger)
    assert found.origin is stranger
    assert found.request_id != "mine"


def test_a_forwarded_host_and_a_name_stand_side_by_side() -> None:
    head = head_of((b"x-forwarded-host", b"example.org"), (b"a", b"b"))
    tracer = Tracer(ProxyFields(("host",), TrustedPeers(["192.0.2.1"])), "x-request-id")
    found = tracer.trace(head, origin())
    scope = {"headers": head.fields, "extensions": {}}
    found.amend(scope)
    assert sorted(scope["headers"]) == sorted(  # type: ignore[call-overload]
        [
            (b"host", b"example.org"),
            (b"x-forwarded-host", b"example.org"),
            (b"a", b"b"),
            (b"x-request-id", found.request_id.encode()),
        ]
    )
    assert scope["extensions"] == {"miniasgi.request_id": {"id": found.request_id}}


def test_without_either_nothing_is_changed() -> None:
    head, where = head_of((b"x-forwarded-for", b"203.0.113.9")), origin()
    tracer = Tracer(None, "")
    assert not tracer.names_all
    found = tracer.trace(head, where)
    assert (found.origin, found.fields, found.request_id) == (where, None, "")
