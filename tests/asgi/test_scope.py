"""The scope has the keys, types and values of ASGI 2.5, and belongs to its request or WebSocket alone."""

from __future__ import annotations

from asyncio import Event
from typing import Any

import pytest

from miniasgi.asgi.scope import Origin, http_scope, websocket_scope
from tests.asgi.writer import head


def origin(**changes: Any) -> Origin:
    settings: dict[str, Any] = {
        "client": ("192.0.2.1", 50000),
        "server": ("192.0.2.2", 80),
        "scheme": "http",
        "root_path": "",
        "state": {},
    }
    return Origin(**{**settings, **changes})


def test_a_scope_is_what_the_specification_says() -> None:
    request = head(b"POST /caf%C3%A9/%2F?a=%20b&c HTTP/1.1", (b"x-a", b"1"), (b"cookie", b"c"), (b"x-a", b"2"))
    draining = Event()
    scope = http_scope(request, origin(root_path="/api", state={"pool": 7}, draining=draining))
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/api/café//",
        "raw_path": b"/api/caf%C3%A9/%2F",
        "query_string": b"a=%20b&c",
        "root_path": "/api",
        "headers": [(b"host", b"h"), (b"x-a", b"1"), (b"cookie", b"c"), (b"x-a", b"2")],
        "client": ("192.0.2.1", 50000),
        "server": ("192.0.2.2", 80),
        "state": {"pool": 7},
        "extensions": {
            "http.response.trailers": {},
            "http.response.pathsend": {},
            "http.response.zerocopysend": {},
            "http.response.early_hint": {},
            "miniasgi.draining": {"event": draining},
        },
    }


TYPES = {
    "type": str,
    "asgi": dict,
    "http_version": str,
    "method": str,
    "scheme": str,
    "path": str,
    "raw_path": bytes,
    "query_string": bytes,
    "root_path": str,
    "headers": list,
    "client": tuple,
    "server": tuple,
    "state": dict,
    "extensions": dict,
}


@pytest.mark.parametrize(
    "line",
    [
        b"GET / HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"GET http://other.example/p?q HTTP/1.1",
        b"GET http://other.example HTTP/1.0",
        b"PROPFIND /?%00 HTTP/1.1",
        b"GET /%FF%00 HTTP/1.1",
    ],
)
def test_values_have_exactly_the_types_of_the_specification(line: bytes) -> None:
    scope = http_scope(head(line), origin())
    assert {key: type(value) for key, value in scope.items()} == TYPES
    assert all(type(part) is bytes for field in scope["headers"] for part in field)
    assert all(type(field) is tuple and len(field) == 2 for field in scope["headers"])


@pytest.mark.parametrize(
    ("target", "path", "raw_path", "query"),
    [
        (b"/", "/", b"/", b""),
        (b"/?", "/", b"/", b""),
        (b"/a?b?c", "/a", b"/a", b"b?c"),
        (b"/a%3Fb?c", "/a?b", b"/a%3Fb", b"c"),
        (b"/%e2%82%ac", "/€", b"/%e2%82%ac", b""),
        (b"/%FF", "/\ufffd", b"/%FF", b""),  # not UTF-8
        (b"/a%2Fb%25", "/a/b%", b"/a%2Fb%25", b""),
        (b"/.././/x", "/.././/x", b"/.././/x", b""),  # nothing is normalised
        (b"http://h", "/", b"/", b""),
        (b"http://h?q", "/", b"/", b"q"),
        (b"http://h/p%20?q", "/p ", b"/p%20", b"q"),
    ],
)
def test_a_path_is_decoded_once_and_its_raw_form_is_as_it_was_sent(
    target: bytes, path: str, raw_path: bytes, query: bytes
) -> None:
    scope = http_scope(head(b"GET %b HTTP/1.1" % target), origin())
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == (path, raw_path, query)


def test_the_authority_of_an_absolute_target_is_the_host() -> None:
    scope = http_scope(head(b"GET http://other.example:81/ HTTP/1.1", (b"x", b"y")), origin())
    assert scope["headers"] == [(b"host", b"other.example:81"), (b"x", b"y")]


def test_root_path_stands_in_front_of_path_whatever_that_begins_with() -> None:
    for path, expected in (("/users", "/api/users"), ("/api/users", "/api/api/users"), ("/", "/api/")):
        scope = http_scope(head(f"GET {path} HTTP/1.1".encode()), origin(root_path="/api"))
        assert (scope["root_path"], scope["path"], scope["raw_path"]) == ("/api", expected, expected.encode())


def test_root_path_is_encoded_in_raw_path_and_not_in_path() -> None:
    scope = http_scope(head(b"GET /%20 HTTP/1.1"), origin(root_path="/a b/\u00e4"))
    assert (scope["path"], scope["raw_path"]) == ("/a b/\u00e4/ ", b"/a%20b/%C3%A4/%20")


def test_an_asterisk_is_no_path() -> None:
    scope = http_scope(head(b"OPTIONS * HTTP/1.1"), origin(root_path="/api"))
    assert (scope["root_path"], scope["path"], scope["raw_path"]) == ("/api", "*", b"*")


@pytest.mark.parametrize(("client", "server"), [(None, None), (None, ("/run/app.sock", None))])
def test_addresses_are_left_as_they_are(client: Any, server: Any) -> None:
    scope = http_scope(head(), origin(client=client, server=server, scheme="https"))
    assert (scope["client"], scope["server"], scope["scheme"]) == (client, server, "https")


def test_http_1_0_has_neither_trailers_nor_early_hints() -> None:
    scope = http_scope(head(b"GET / HTTP/1.0"), origin())
    assert scope["http_version"] == "1.0"
    assert list(scope["extensions"]) == [
        "http.response.pathsend",
        "http.response.zerocopysend",
        "miniasgi.draining",
    ]


def test_what_one_request_changes_no_other_sees() -> None:
    draining = Event()
    request, shared = head(b"GET / HTTP/1.1", (b"a", b"b")), origin(state={"pool": [1]}, draining=draining)
    first = http_scope(request, shared)
    first["headers"].append((b"x", b"y"))
    first["state"]["user"] = "me"
    first["extensions"]["mine"] = {}
    first["extensions"]["http.response.pathsend"]["mine"] = 1
    first["extensions"]["miniasgi.draining"]["event"] = None
    first["asgi"]["mine"] = 1
    first["path"] = "/other"
    second = http_scope(request, shared)
    assert second == http_scope(head(b"GET / HTTP/1.1", (b"a", b"b")), origin(state={"pool": [1]}, draining=draining))
    assert shared.state == {"pool": [1]}


def test_state_is_a_shallow_copy() -> None:
    pool: list[int] = []
    shared = origin(state={"pool": pool})
    assert http_scope(head(), shared)["state"]["pool"] is pool


def test_a_draining_server_is_seen_by_requests_from_before() -> None:
    shared = origin(draining=Event())
    before = http_scope(head(), shared)["extensions"]["miniasgi.draining"]["event"]
    assert not before.is_set()
    shared.draining.set()
    assert before.is_set()
    assert http_scope(head(), shared)["extensions"]["miniasgi.draining"]["event"] is before


def test_without_a_server_nothing_drains() -> None:
    assert not http_scope(head(), origin())["extensions"]["miniasgi.draining"]["event"].is_set()


# WebSockets


def test_a_websockets_scope_is_what_the_specification_says() -> None:
    request = head(b"GET /caf%C3%A9/%2F?a=%20b&c HTTP/1.1", (b"x-a", b"1"), (b"x-a", b"2"))
    draining = Event()
    scope = websocket_scope(request, origin(root_path="/api", state={"pool": 7}, draining=draining), ["b", "a"])
    assert scope == {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": "/api/café//",
        "raw_path": b"/api/caf%C3%A9/%2F",
        "query_string": b"a=%20b&c",
        "root_path": "/api",
        "headers": [(b"host", b"h"), (b"x-a", b"1"), (b"x-a", b"2")],
        "client": ("192.0.2.1", 50000),
        "server": ("192.0.2.2", 80),
        "subprotocols": ["b", "a"],
        "state": {"pool": 7},
        "extensions": {"websocket.http.response": {}, "miniasgi.draining": {"event": draining}},
    }
    assert scope["extensions"]["miniasgi.draining"]["event"] is draining


def test_a_websocket_has_types_of_the_specification_and_no_method() -> None:
    types = {key: kind for key, kind in TYPES.items() if key != "method"}
    scope = websocket_scope(head(), origin(), [])
    assert {key: type(value) for key, value in scope.items()} == {**types, "subprotocols": list}


@pytest.mark.parametrize(("scheme", "expected"), [("http", "ws"), ("https", "wss")])
def test_a_websockets_scheme_says_whether_it_is_safe(scheme: str, expected: str) -> None:
    assert websocket_scope(head(), origin(scheme=scheme), [])["scheme"] == expected


def test_what_one_websocket_changes_no_other_sees() -> None:
    draining = Event()
    request, shared = head(), origin(state={"pool": 1}, draining=draining)
    subprotocols = ["a"]
    first = websocket_scope(request, shared, subprotocols)
    first["headers"].append((b"x", b"y"))
    first["state"]["user"] = "me"
    first["subprotocols"].append("b")
    first["extensions"]["mine"] = {}
    first["extensions"]["websocket.http.response"]["mine"] = 1
    first["extensions"]["miniasgi.draining"]["event"] = None
    first["asgi"]["mine"] = 1
    second = websocket_scope(request, shared, ["a"])
    assert second == websocket_scope(head(), origin(state={"pool": 1}, draining=draining), ["a"])
    assert (subprotocols, shared.state) == (["a"], {"pool": 1})


def test_a_log_line_shows_where_an_address_ends() -> None:
    clients = (("192.0.2.7", 5), ("2001:db8::7", 5), None)
    assert [origin(client=client).peer for client in clients] == ["192.0.2.7:5", "[2001:db8::7]:5", "-"]
