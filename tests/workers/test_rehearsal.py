"""What is tried before a server listens: everything that it would refuse is refused, and nothing is started."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from miniasgi.config import Config
from miniasgi.errors import StartupError, UsageError
from miniasgi.observe import logs
from miniasgi.server.tls import tls
from miniasgi.workers.rehearsal import rehearse

APP = "tests.server.apps:hello"


@pytest.fixture(autouse=True)
def configured(monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    """The options with which logging was configured; in truth it is not."""
    found: list[Config] = []
    monkeypatch.setattr(logs, "configure", found.append)
    return found


class FakeTls:
    """Certificates that are as the test has them."""

    troubles: list[str] = []  # noqa: RUF012  # one for each test
    made: list[Config] = []  # noqa: RUF012

    def __init__(self, config: Config) -> None:
        self.made.append(config)

    @staticmethod
    def enabled(config: Config) -> bool:
        return bool(config.ssl_certfile)

    def check_dates(self) -> list[str]:
        return self.troubles


@pytest.fixture
def certificates(monkeypatch: pytest.MonkeyPatch) -> type[FakeTls]:
    class Fake(FakeTls):
        troubles: list[str] = []  # noqa: RUF012
        made: list[Config] = []  # noqa: RUF012

    monkeypatch.setattr(tls, "Tls", Fake)
    return Fake


def options(**options: Any) -> Config:
    return Config.from_options(**{"loop": "asyncio", **options})


def refusal(app: str | None = APP, **more: Any) -> tuple[int, str]:
    with pytest.raises(StartupError) as caught:
        rehearse(app, options(**more))
    return caught.value.exit_status, str(caught.value)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "127.0.0.1:8000, http, asyncio, 1 worker process"),
        ({"host": "::1", "port": 0, "workers": 4}, "[::1]:0, http, asyncio, 4 worker processes"),
        ({"workers": 2, "worker_class": "thread"}, "127.0.0.1:8000, http, asyncio, 2 worker threads"),
        ({"workers": "auto", "uds": "a.sock"}, "unix:a.sock, http, asyncio, as many workers as CPUs"),
        ({"bind": [":80", "fd://3"]}, ":80 and fd://3, http, asyncio, 1 worker process"),
        ({"fd": 3}, "fd://3, http, asyncio, 1 worker process"),
    ],
    ids=lambda value: ",".join(value) or "defaults" if isinstance(value, dict) else None,
)
def test_what_would_be_served_is_said_in_a_few_words(more: dict[str, Any], said: str) -> None:
    assert rehearse(APP, options(**more)) == f"{APP} on {said}"


def test_folders_alone_are_good(tmp_path: Path) -> None:
    assert rehearse(None, options(static=str(tmp_path))).startswith(f"{tmp_path} on 127.0.0.1:8000, ")


def test_nothing_is_listened_to(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        rehearse(APP, options(port=taken.getsockname()[1], uds=str(tmp_path / "no" / "such" / "a.sock")))


def test_logging_is_configured_as_for_a_server(configured: list[Config]) -> None:
    rehearse(APP, options(log_level="debug"))
    assert configured == [options(log_level="debug")]


def test_a_log_that_cannot_be_had_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(config: Config) -> None:
        raise UsageError("--log-config: no")

    monkeypatch.setattr(logs, "configure", refuse)
    assert refusal() == (2, "--log-config: no")


def test_options_are_held_against_each_other() -> None:
    status, message = refusal(workers=2, reload=True)
    assert (status, message.partition(":")[0]) == (2, "--reload")


@pytest.mark.parametrize(
    ("more", "begins"),
    [
        ({"app": "tests.server.apps:missing"}, "application 'tests.server.apps:missing': module"),
        ({"factory": True}, f"application {APP!r}: with --factory, expected a callable that needs no arguments"),
        ({"hooks": "tests.server.apps:missing"}, "hooks 'tests.server.apps:missing': module"),
        ({"http": "tests.server.apps:missing"}, "parser factory"),
        ({"ws": "tests.server.apps:missing"}, "WebSocket codec factory"),
        ({"loop": "tests.server.apps:missing"}, "event loop factory"),
    ],
    ids=["app", "factory", "hooks", "parser", "codec", "loop"],
)
def test_what_a_worker_could_not_load_is_refused(more: dict[str, Any], begins: str) -> None:
    status, message = refusal(**more)
    assert status == 3
    assert message.startswith(begins)


def test_certificates_are_read_and_their_dates_looked_at(certificates: type[FakeTls]) -> None:
    config = options(ssl_certfile="c.pem")
    assert rehearse(APP, config) == f"{APP} on 127.0.0.1:8000, https, asyncio, 1 worker process"
    assert certificates.made == [config]
    certificates.troubles.append("c.pem: expired yesterday")
    assert refusal(ssl_certfile="c.pem") == (3, "c.pem: expired yesterday")


def test_without_certificates_there_is_nothing_to_read(certificates: type[FakeTls]) -> None:
    rehearse(APP, options())
    assert certificates.made == []


def test_options_for_certificates_that_are_not_there_are_refused() -> None:
    assert refusal(ssl_keyfile="k.pem")[0] == 2
