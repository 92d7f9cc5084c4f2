"""What the files of docs/proxies, and the page about them, say in common with each other and with the server."""

from __future__ import annotations

import re

from miniasgi.config import Config
from tests.proxies.programs import FILES, options


def test_nginx_lets_go_of_an_idle_connection_before_the_server_does() -> None:
    text = (FILES / "nginx.conf").read_text(encoding="utf-8")
    found = re.search(r"^ +keepalive_timeout (\d+)s;$", text, re.MULTILINE)
    assert found is not None
    # 5 s: the page says that it takes as many, at least.
    assert int(found[1]) + 5 <= Config().timeout_keep_alive


def test_websockets_are_pinged_before_a_proxy_takes_them_for_dead() -> None:
    text = (FILES / "nginx.conf").read_text(encoding="utf-8")
    silence = min(int(seconds) for seconds in re.findall(r"^ +proxy_read_timeout (\d+)s;$", text, re.MULTILINE))
    assert Config().ws_ping_interval < silence


def test_both_proxies_want_the_same_of_the_server() -> None:
    assert options("nginx.conf") == options("haproxy.cfg")


def test_the_page_names_every_file() -> None:
    page = (FILES.parent / "proxies.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\(proxies/([^)]+)\)", page)) == {path.name for path in FILES.iterdir()}
