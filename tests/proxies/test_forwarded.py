"""The field Forwarded (RFC 7239) as nginx writes it, with the file of docs/proxies."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.proxies.clients import ADDRESS, ask, told
from tests.proxies.conftest import APP, needs
from tests.proxies.programs import Front, options, run_nginx
from tests.support import ServerProcess

pytestmark = pytest.mark.slow

FILE = "nginx-forwarded.conf"


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    needs("nginx")
    folder = tmp_path_factory.mktemp("proxy")
    with (
        ServerProcess(APP, "--port", "0", "--no-access-log", *options(FILE)) as server,
        run_nginx(folder, f"127.0.0.1:{server.port}", FILE) as front,
    ):
        yield front


def test_the_client_and_what_it_has_asked_for_arrive(front: Front) -> None:
    forged = [
        ("Forwarded", "for=203.0.113.66;proto=http;host=evil.example"),
        ("X-Forwarded-For", "203.0.113.66"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Port", "666"),
        ("X-Forwarded-Prefix", "/evil"),
    ]
    scope = told(front.tls_port, "/scope", [("Host", "example.org:8443"), *forged])
    assert (scope["client"], scope["scheme"], scope["root_path"]) == ([ADDRESS, 0], "https", "")
    assert scope["server"] == ["example.org", 8443]
    assert sorted(scope["fields"]) == [
        ["forwarded", f'for={ADDRESS};proto=https;host="example.org:8443"'],
        ["host", "example.org:8443"],
    ]


@pytest.mark.parametrize("host", ['a",for=203.0.113.66;x="', 'a";for=203.0.113.66;x="'])
def test_a_host_field_with_quotes_adds_nothing(front: Front, host: str) -> None:
    # Neither does the server take it for a host.
    assert ask(front.tls_port, "/scope", [("Host", host)]).status == 400
