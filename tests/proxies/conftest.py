"""A server behind each proxy; one of each for all tests of a module, because they only look."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.proxies.programs import Front, options, run_haproxy, run_nginx
from tests.support import ServerProcess

APP = "tests.proxies.apps:app"
OPTIONS = options("nginx.conf")

Run = Callable[[Path, str], AbstractContextManager[Front]]


def needs(program: str) -> None:
    """Skip where *program* is not installed, or where there is no second address to come from."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    if sys.platform != "linux":
        pytest.skip("needs 127.0.0.2, which only Linux has without being told")


@pytest.fixture(scope="module", params=["nginx", "haproxy"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a proxy in front of an address."""
    needs(request.param)
    found: Run = {"nginx": run_nginx, "haproxy": run_haproxy}[request.param]
    return found


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with ServerProcess(APP, "--port", "0", "--no-access-log", *OPTIONS) as server:
        yield server


@pytest.fixture(scope="module")
def front(run: Run, server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """A proxy in front of the server."""
    with run(tmp_path_factory.mktemp("proxy"), f"127.0.0.1:{server.port}") as front:
        yield front
