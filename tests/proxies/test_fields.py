"""What the application learns through nginx and HAProxy, with the files of docs/proxies; and what it does not."""

from __future__ import annotations

import json

import pytest

from tests.proxies.clients import ADDRESS, ask, converse, told
from tests.proxies.programs import Front
from tests.support import ServerProcess

pytestmark = pytest.mark.slow

# What a client claims to be a proxy's word. The names in another case as well: they are the same fields.
FORGED = [
    ("X-Forwarded-For", "203.0.113.66"),
    ("x-forwarded-for", "127.0.0.1, 203.0.113.66"),
    ("X-Forwarded-Proto", "http"),
    ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Port", "666"),
    ("X-Forwarded-Prefix", "/evil"),
    ("Forwarded", "for=203.0.113.66;proto=http;host=evil.example"),
    ("X-Request-ID", "evil"),
]


def values(scope: dict[str, object], name: str) -> list[str]:
    fields = scope["fields"]
    assert isinstance(fields, list)
    return [value for key, value in fields if key == name]


def test_the_client_and_what_it_has_asked_for_arrive(front: Front) -> None:
    scope = told(front.tls_port, "/scope?query", [("Host", f"example.org:{front.tls_port}")])
    assert scope["client"] == [ADDRESS, 0]
    assert scope["scheme"] == "https"
    assert scope["server"] == ["example.org", front.tls_port]
    assert values(scope, "host") == [f"example.org:{front.tls_port}"]
    assert (scope["root_path"], scope["path"]) == ("", "/scope")


def test_a_port_that_the_host_field_does_not_have_is_the_proxys(front: Front) -> None:
    scope = told(front.tls_port, "/scope", [("Host", "example.org")])
    assert scope["server"] == ["example.org", front.tls_port]
    assert values(scope, "host") == [f"example.org:{front.tls_port}"]


def test_a_prefix_is_taken_off_and_told(front: Front) -> None:
    scope = told(front.tls_port, "/api/a/scope")
    assert (scope["root_path"], scope["path"]) == ("/api", "/api/a/scope")


def test_the_request_id_is_the_proxys(front: Front) -> None:
    one, other = told(front.tls_port, "/scope"), told(front.tls_port, "/scope")
    for scope in (one, other):
        assert values(scope, "x-request-id") == [scope["request_id"]]
    assert one["request_id"] != other["request_id"]
    # Each has a form of its own: nginx 32 digits, as the server has, HAProxy a UUID.
    assert len(one["request_id"]) == (36 if front.name == "haproxy" else 32)


def test_what_a_client_claims_does_not_arrive(front: Front) -> None:
    host = ("Host", f"example.org:{front.tls_port}")
    scope = told(front.tls_port, "/scope", [host, *FORGED])
    honest = told(front.tls_port, "/scope", [host])
    assert scope.pop("request_id") not in ("evil", "")
    for both in (scope, honest):
        both["fields"] = sorted(field for field in both["fields"] if field[0] != "x-request-id")
    honest.pop("request_id")
    assert scope == honest
    assert "evil" not in json.dumps(scope)


def test_a_client_that_goes_past_the_proxy_is_not_believed(front: Front, server: ServerProcess) -> None:
    scope = told(server.port, "/scope", FORGED, tls=False)
    assert scope["client"][0] == ADDRESS
    assert scope["client"][1] > 0
    assert (scope["scheme"], scope["server"], scope["root_path"]) == ("http", ["127.0.0.1", server.port], "")
    assert values(scope, "host") == ["example.org"]
    assert scope["request_id"] != "evil"


@pytest.mark.parametrize("host", ["evil.example,example.org", 'a"b', "a;b"])
def test_what_is_no_host_is_refused(front: Front, host: str) -> None:
    assert ask(front.tls_port, "/scope", [("Host", host)]).status == 400


def test_http_is_sent_to_https(front: Front) -> None:
    answer = ask(front.ports[80], "/a?b", tls=False)
    assert (answer.status, answer.fields["Location"]) == (308, "https://example.org/a?b")


@pytest.mark.parametrize("path", ["/scope", "/api/scope"])
def test_a_websocket_goes_through(front: Front, path: str) -> None:
    # Shorter than one octet of length can say, as long as two can, and longer than a buffer of the proxy.
    texts = ["hello", "x" * 1000, "y" * 300_000]
    fields = [*FORGED, ("Origin", "https://example.org")]
    scope, _, answers = converse(front.tls_port, path, texts, fields)
    assert scope["client"] == [ADDRESS, 0]
    assert scope["scheme"] == "wss"
    assert scope["server"] == ["127.0.0.1", front.tls_port]
    assert scope["path"] == path
    assert scope["root_path"] == path.removesuffix("/scope")
    assert answers == texts


def test_an_upgrade_to_anything_else_is_not_passed_on_as_one(front: Front) -> None:
    fields = [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAAP__")]
    scope = told(front.tls_port, "/scope", fields)
    assert scope["path"] == "/scope"
    if front.name == "nginx":
        assert values(scope, "upgrade") == []
