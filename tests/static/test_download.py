"""Large downloads, broken and resumed: by the tools that people have, and by hand. What arrives is the file."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.static.clients import Download, eventually
from tests.support import MIB, ServerProcess

pytestmark = pytest.mark.slow

SIZE = 100 * MIB
NEW = b"n" * (10 * MIB)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file of 100 MiB that no two octets of which are alike by rule."""
    folder = tmp_path_factory.mktemp("download")
    folder.joinpath("large.iso").write_bytes(random.Random(20).randbytes(SIZE))
    return folder


@pytest.fixture(scope="module")
def sum_of_file(folder: Path) -> str:
    return digest(folder / "large.iso")


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def server(request: pytest.FixtureRequest, folder: Path) -> Iterator[ServerProcess]:
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    options = ("--port", "0", "--no-access-log", "--loop", request.param)
    with ServerProcess("--static", str(folder), *options) as server:
        yield server


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# By the tools that people have

TOOLS = {
    "curl": (["curl", "-sf", "--limit-rate", "20M"], ["curl", "-sf", "-C", "-"], "-o"),
    "wget": (["wget", "-q", "--tries=1", "--limit-rate=20m"], ["wget", "-q", "--tries=1", "-c"], "-O"),
}


@pytest.mark.parametrize("tool", TOOLS)
def test_a_broken_download_is_resumed(server: ServerProcess, sum_of_file: str, tool: str, tmp_path: Path) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    begin, resume, output = TOOLS[tool]
    where = [output, str(tmp_path / "copy"), f"http://127.0.0.1:{server.port}/large.iso"]
    environ = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    with subprocess.Popen([*begin, *where], env=environ) as process:
        eventually(lambda: (tmp_path / "copy").exists() and size(tmp_path / "copy") > 10 * MIB, "a tenth has come")
        process.kill()
    had = size(tmp_path / "copy")
    assert 10 * MIB < had < SIZE
    # Both give up where the rest is not sent from where they were.
    subprocess.run([*resume, *where], env=environ, check=True, timeout=30)
    assert size(tmp_path / "copy") == SIZE
    assert digest(tmp_path / "copy") == sum_of_file


def size(path: Path) -> int:
    return path.stat().st_size


# By hand


def test_a_download_that_is_broken_again_and_again_is_resumed(server: ServerProcess, sum_of_file: str) -> None:
    received = hashlib.sha256()
    had = 0
    condition: list[str] = []
    while had < SIZE:
        with Download(server.port) as download:
            download.ask("/large.iso", f"Range: bytes={had}-", *condition)
            assert download.status == 206
            assert download.fields[b"content-range"] == b"bytes %d-%d/%d" % (had, SIZE - 1, SIZE)
            condition = [f"If-Range: {download.fields[b'etag'].decode()}"]
            piece = download.content(min(17 * MIB + 1, SIZE - had))
            received.update(piece)
            had += len(piece)
    assert received.hexdigest() == sum_of_file


@pytest.mark.parametrize("validator", [b"etag", b"last-modified"])
def test_a_file_that_was_replaced_is_not_resumed_but_begun_anew(
    server: ServerProcess, folder: Path, validator: bytes
) -> None:
    path = folder / "replaced.iso"
    put(path, b"o" * (10 * MIB), 1_000_000_000)
    with Download(server.port) as download:
        download.ask("/replaced.iso")
        known = download.fields[validator].decode()
        half = download.content(5 * MIB)
    with Download(server.port) as download:
        download.ask("/replaced.iso", f"Range: bytes={len(half)}-", f"If-Range: {known}")
        assert download.status == 206
        assert half + download.content() == b"o" * (10 * MIB)
    put(path, NEW, 1_000_000_001)
    with Download(server.port) as download:
        download.ask("/replaced.iso", f"Range: bytes={len(half)}-", f"If-Range: {known}")
        assert (download.status, b"content-range" in download.fields) == (200, False)
        assert download.fields[validator].decode() != known
        assert download.content() == NEW


def put(path: Path, content: bytes, modified: int) -> None:
    """Replace the file at once, as a deployment does."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(content)
    os.utime(fresh, (modified, modified))
    fresh.replace(path)


def test_parts_that_came_on_several_connections_are_the_file(server: ServerProcess, sum_of_file: str) -> None:
    # No part ends where a page, a slice or a piece does.
    cuts = [0, 1, 4097, *(place * 13 * MIB + place for place in range(1, 8)), SIZE]

    def part(start: int, stop: int) -> bytes:
        with Download(server.port) as download:
            download.ask("/large.iso", f"Range: bytes={start}-{stop - 1}")
            assert download.status == 206
            return download.content()

    with ThreadPoolExecutor(8) as pool:
        received = hashlib.sha256()
        for piece in pool.map(part, cuts, cuts[1:]):
            received.update(piece)
    assert received.hexdigest() == sum_of_file


def test_several_ranges_of_a_large_file_come_in_one_answer(server: ServerProcess, folder: Path) -> None:
    ranges = [(0, 3 * MIB), (50 * MIB + 1, 53 * MIB + 7), (SIZE - MIB, SIZE)]
    with Download(server.port) as download:
        wanted = ",".join(f"{start}-{stop - 1}" for start, stop in ranges)
        download.ask("/large.iso", f"Range: bytes={wanted}")
        assert download.status == 206
        kind, _, boundary = download.fields[b"content-type"].partition(b"; boundary=")
        assert kind == b"multipart/byteranges"
        content = download.content()
    delimiter = b"\r\n--" + boundary.strip(b'"')
    assert content.endswith(delimiter + b"--\r\n")
    parts = (b"\r\n" + content.removeprefix(b"\r\n")).split(delimiter)[1:-1]
    with (folder / "large.iso").open("rb") as file:
        for (start, stop), part in zip(ranges, parts, strict=True):
            head, _, octets = part.partition(b"\r\n\r\n")
            assert b"bytes %d-%d/%d" % (start, stop - 1, SIZE) in head
            file.seek(start)
            assert octets == file.read(stop - start)
