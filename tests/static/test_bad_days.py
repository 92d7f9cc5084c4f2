"""Bad days for files: they change under the reader, readers vanish or crawl, and names lead where nobody may go."""

from __future__ import annotations

import os
import random
import resource
import signal
import socket
import ssl
import stat
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.static.clients import Download, eventually
from tests.support import MIB, ServerProcess, ask, read_all

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc"),
]

KIB = 1024
GIB = 1024 * MIB
HELLO = b"hello"


def serve(folder: Path, loop: str, *options: str, before: str = "") -> ServerProcess:
    always = ("--port", "0", "--no-access-log", "--loop", loop)
    return ServerProcess("--static", str(folder), *always, *options, before=before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is served: a small file, and two that take no room on the disk."""
    folder = tmp_path_factory.mktemp("bad") / "www"
    folder.mkdir()
    (folder / "hello.txt").write_bytes(HELLO)
    for name, octets in (("large.bin", 32 * MIB), ("huge.bin", 10 * GIB)):
        with (folder / name).open("wb") as file:
            file.truncate(octets)
    return folder


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def server(request: pytest.FixtureRequest, folder: Path) -> Iterator[ServerProcess]:
    """A server, on each loop, that has greeted once: what it opens for itself, it has."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    with serve(folder, request.param, "--timeout-graceful-shutdown", "0") as server:
        for target in ("/hello.txt", "/large.bin"):
            ask(server.port, target, "HEAD")
        yield server


def says_hello(server: ServerProcess) -> bool:
    return ask(server.port, "/hello.txt").endswith(b"\r\n\r\n" + HELLO)


def put(path: Path, content: bytes) -> None:
    """Replace the file at once, as a deployment does."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_bytes(content)
    fresh.replace(path)


# Files that change while they are sent


def replace(path: Path) -> None:
    put(path, b"n" * (path.stat().st_size + 1000))


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"n" * 100_000)


def truncate(path: Path) -> None:
    # To nothing: of pages that are left in part, the kernel clears the rest, also where they wait in a socket's queue.
    os.truncate(path, 0)


CHANGES: list[Callable[[Path], None]] = [replace, grow, truncate, Path.unlink]


# As what is sent of each: from memory, read once, by the kernel.
@pytest.mark.parametrize("octets", [40 * KIB, 200 * KIB, 32 * MIB])
def test_what_is_sent_is_the_file_as_it_was_or_visibly_less(server: ServerProcess, folder: Path, octets: int) -> None:
    paths = [folder / f"{change.__name__}-{octets}.bin" for change in CHANGES]
    for path in paths:
        path.write_bytes(b"o" * octets)
    with Download(server.port) as kept:
        for path in paths * 2:  # so that it is kept in memory, if it is at all
            assert kept.ask(f"/{path.name}").content() == b"o" * octets
        for change, path in zip(CHANGES, paths, strict=True):
            with Download(server.port, receive_buffer=8192) as slow:
                slow.ask(f"/{path.name}")
                assert (slow.status, slow.length) == (200, octets)
                begin = slow.content(1)
                change(path)
                content = begin + slow.content(octets - 1)
                assert content == b"o" * len(content), change
                if change is truncate and octets > MIB:
                    assert len(content) < octets
                    assert slow.is_closed()
                else:
                    assert len(content) == octets
                    # Not an octet more, and the connection goes on.
                    assert slow.ask("/hello.txt").content() == HELLO
        for path in paths:
            now = (200, path.read_bytes()) if path.exists() else (404, b"Not Found\n")
            eventually(partial(is_answered, kept, path, now), f"{path.name} is seen as it is")


def is_answered(download: Download, path: Path, wanted: tuple[int, bytes]) -> bool:
    content = download.ask(f"/{path.name}").content()
    return (download.status, content) == wanted


def test_under_load_every_answer_is_one_file_under_its_own_tag(loop_name: str, tmp_path: Path) -> None:
    # Of one size, so that a length does not betray what a tag ought to tell.
    sizes = {"/small.bin": 40_000, "/large.bin": 600_000}
    stop = threading.Event()
    versions = 0

    def deploy() -> None:
        nonlocal versions
        while not stop.is_set():
            for target, octets in sizes.items():
                put(tmp_path / target[1:], b"%c" % (ord("a") + versions % 26) * octets)
            versions += 1

    def ask_often(port: int) -> list[tuple[str, int, bytes, bytes]]:
        seen = []
        with Download(port) as download:
            for place in range(300):
                target = "/large.bin" if place % 3 else "/small.bin"
                download.ask(target)
                content = download.content()
                assert (download.status, len(content)) == (200, sizes[target])
                assert content == content[:1] * len(content), "two versions in one answer"
                seen.append((target, len(content), download.fields[b"etag"], content[:1]))
        return seen

    for target, octets in sizes.items():
        put(tmp_path / target[1:], b"a" * octets)
    with serve(tmp_path, loop_name) as server, ThreadPoolExecutor(9) as pool:
        deploying = pool.submit(deploy)
        try:
            answers = [each for asked in pool.map(ask_often, [server.port] * 8) for each in asked]
        finally:
            stop.set()
        deploying.result()
    letters: dict[tuple[str, bytes], bytes] = {}
    for target, _, tag, letter in answers:
        assert letters.setdefault((target, tag), letter) == letter, f"{tag!r} stands for two versions"
    assert len(letters) > 4 < versions


# Names that lead where nobody may go

MARKER = b"outside-of-what-is-served"
SEPARATORS = [
    *(b"/", b"/", b"/", b"/", b"/", b"/", b"//", b"/./", b"/../", b"%2f", b"%2F", b"\\", b"%5c", b"%252f", b"%c0%af"),
    *(b"%ef%bc%8f", b":", b";", b"?", b"#", b"%00", b"%0d%0a", b"/..%2f", b"/%2e%2e/", b"/..;/", b"/..\\", b""),
]
NAMES = [
    *(b"..", b"..", b"%2e%2e", b"%2E.", b".%2e", b"%252e%252e", b"%c0%ae%c0%ae", b"...", b"..%00", b"..%20", b"."),
    *(b"www", b"www-private", b"outside", b"secret.txt", b"secret", b"page", b"page.html", b"index.html", b"inner"),
    *(b"link", b"link.txt", b"sibling", b"sibling.txt", b"absolute", b"up", b"deep", b"packed.js", b"packed.js.gz"),
    *(
        b"inner",
        b"up",
        b"page.html",
        b".hidden",
        b"%70age.html",
        b"*",
        b"~",
        b"@h",
        b"%",
        b"%zz",
        b"%ff",
        b"\xff",
        b"+",
    ),
    *(b"http://h", b"proc/self/root", b"proc/self/cwd", b"dev/fd", b"etc/passwd"),
]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with much beside it that is not to be seen, and with links to all of that."""
    base = tmp_path_factory.mktemp("guarded")
    for name in ("www/inner/deep", "www-private/inner", "outside/inner"):
        (base / name).mkdir(parents=True)
    www = base / "www"
    for place in (base, base / "www-private", base / "outside", base / "outside" / "inner"):
        for name in ("secret.txt", "secret", "page.html", "index.html", "packed.js.gz", os.fsdecode(MARKER)):
            (place / name).write_bytes(MARKER)
    for place in (www, www / "inner"):
        (place / "page.html").write_bytes(b"<p>open</p>")
        (place / "packed.js").write_bytes(b"open()")
        os.utime(place / "packed.js", (0, 0))
        (place / "link").symlink_to(base / "outside")
        (place / "link.txt").symlink_to(base / "outside" / "secret.txt")
        (place / "sibling").symlink_to(base / "www-private")
        (place / "sibling.txt").symlink_to(base / "www-private" / "secret.txt")
        (place / "absolute").symlink_to(base)
        (place / "packed.js.gz").symlink_to(base / "outside" / "packed.js.gz")
        (place / ".hidden").write_bytes(MARKER)
    (www / "inner" / "deep" / "index.html").symlink_to("../../../outside/index.html")
    (www / "up").symlink_to("..")
    (www / "inner" / "up").symlink_to("..")
    return www


def targets(outside: Path, count: int) -> Iterator[bytes]:
    """Requested targets, most of which have hardly ever been meant."""
    chance = random.Random(7)
    absolute = os.fsencode(outside / "secret.txt")
    for _ in range(count):
        pairs = ((chance.choice(SEPARATORS), chance.choice(NAMES)) for _ in range(chance.randint(1, 4)))
        target = b"".join(octets for pair in pairs for octets in pair)
        if chance.random() < 0.1:
            target += chance.choice((absolute, absolute.replace(b"/", b"%2f"), b"/" + absolute))
        if chance.random() < 0.1:
            # One number, however long the path of the folder is: the targets that follow are the same everywhere.
            place = int(chance.random() * len(target))
            target = target[:place] + bytes([chance.randrange(0x21, 0x100)]) + target[place + 1 :]
        yield target if chance.random() < 0.1 else b"/" + target


def statuses(octets: bytes) -> list[int]:
    """The status of each response, one after the other; the last one ends where the server has closed."""
    found = []
    while octets:
        head, _, rest = octets.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        found.append(int(first.split()[1]))
        lengths = [line for line in lines if line.startswith(b"content-length:")]
        octets = rest[int(lengths[0].split(b":")[1]) :] if lengths else rest
    return found


EVERYTHING = ("--listing", "--precompressed", "--clean-urls", "--spa", "--static-cache", "off")


def test_no_target_leads_out_of_the_folder_whatever_parses(parser_name: str, guarded: Path) -> None:
    check_fuzzed(guarded, "--http", parser_name)


# Where the kernel does not keep paths beneath a directory itself, what was opened is checked.
@pytest.mark.parametrize("before", ["", "from miniasgi.static import paths; paths._openat2.works = False"])
def test_no_target_leads_out_of_the_folder_whatever_is_switched_on(guarded: Path, before: str) -> None:
    check_fuzzed(guarded, *EVERYTHING, before=before)


def check_fuzzed(guarded: Path, *options: str, before: str = "") -> None:
    waiting = list(targets(guarded.parent / "outside", 4000))
    counts: dict[int, int] = {}
    with serve(guarded, "auto", *options, before=before) as server:
        while waiting:
            batch, last = waiting[:199], b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
            lines = b"Host: h\r\nAccept-Encoding: gzip"
            requests = b"".join(b"GET %b HTTP/1.1\r\n%b\r\n\r\n" % (target, lines) for target in batch)
            with server.connect() as client:
                client.sendall(requests + last)
                octets = read_all(client)
            assert MARKER not in octets
            found = statuses(octets)[: len(batch)]
            # What is malformed ends a connection, and so those behind it are sent again.
            assert found
            del waiting[: len(found)]
            for status in found:
                counts[status] = counts.get(status, 0) + 1
    assert counts.keys() <= {200, 308, 400, 404}
    # It was tried at doors that open.
    assert min(counts[200], counts[400], counts[404]) > 5


def special_files(folder: Path) -> list[socket.socket]:
    """A folder where everything is something else; what has to be kept for as long as it shall be so."""
    for name in ("pipe", "pipe.txt", "index/index.html", "page.html", "packed.js.gz", "404.html"):
        (folder / name).parent.mkdir(exist_ok=True)
        os.mkfifo(folder / name)
    (folder / "packed.js").write_bytes(b"open()")
    (folder / "zero-link").symlink_to("/dev/zero")
    (folder / "pipe-link").symlink_to("pipe")
    bound = socket.socket(socket.AF_UNIX)
    # By way of a descriptor, because the address of a socket has to be short.
    directory = os.open(folder, os.O_RDONLY)
    bound.bind(f"/proc/self/fd/{directory}/socket")
    os.close(directory)
    return [bound]


@pytest.mark.parametrize("cache", ["full", "off"])
def test_what_is_no_file_keeps_nobody_waiting(tmp_path: Path, cache: str) -> None:
    (tmp_path / "hello.txt").write_bytes(HELLO)
    names = ["pipe", "pipe.txt", "index/", "page", "page.html", "404.html", "zero-link", "pipe-link", "socket", "none"]
    try:
        os.mknod(tmp_path / "zero", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
        names.append("zero")
    except PermissionError:
        pass  # only an administrator makes devices
    kept = special_files(tmp_path)
    options = ("--precompressed", "--clean-urls", "--follow-symlinks", "--static-cache", cache)
    with serve(tmp_path, "auto", *options) as server:
        says_hello(server)
        before = server.descriptors()
        for _ in range(3):
            for name in names:
                assert ask(server.port, f"/{name}").startswith(b"HTTP/1.1 404 "), name
            assert ask(server.port, "/packed.js").endswith(b"\r\n\r\nopen()")
            assert says_hello(server)
        eventually(lambda: server.descriptors() <= before, "all is closed")
    for each in kept:
        each.close()


# Readers that vanish, or crawl, or run


def vanish(client: socket.socket, how: str) -> None:
    if how == "reset":
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif how == "end":
        client.shutdown(socket.SHUT_RDWR)
    client.close()


@pytest.mark.parametrize("how", ["close", "end", "reset"])
def test_descriptors_come_back_from_readers_that_vanish(server: ServerProcess, how: str) -> None:
    before = server.descriptors()
    clients = []
    for place in range(200):
        client = server.connect(receive_buffer=8192)
        client.sendall(b"GET /large.bin HTTP/1.1\r\nHost: h\r\n\r\n")
        # Some while it sends, some before it has begun.
        if place % 2:
            assert client.recv(15) == b"HTTP/1.1 200 OK"
        clients.append(client)
    eventually(lambda: server.descriptors() > before + 200, "files are open")
    for client in clients:
        vanish(client, how)
    eventually(lambda: server.descriptors() <= before, "they come back")
    assert says_hello(server)


def test_slow_readers_of_an_immense_file_take_no_memory(server: ServerProcess) -> None:
    before = server.memory()
    clients = [Download(server.port, receive_buffer=8192) for _ in range(100)]
    for client in clients:
        assert client.ask("/huge.bin").length == 10 * GIB
    for _ in range(5):
        for client in clients:
            assert len(client.content(20_000)) == 20_000
        assert says_hello(server)
        assert server.memory() - before < 32 * MIB
    for client in clients:
        client.socket.close()


@pytest.fixture(params=["asyncio", "uvloop"])
def encrypting(request: pytest.FixtureRequest, folder: Path, tmp_path: Path) -> Iterator[ServerProcess]:
    """A server that speaks TLS, on each loop."""
    pytest.importorskip("trustme", reason="the package trustme is not installed")
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    from tests import certificates

    certificate, key = certificates.write_pair(tmp_path, certificates.leaf("localhost"))
    with serve(folder, request.param, "--ssl-certfile", certificate, "--ssl-keyfile", key) as server:
        yield server


def over_tls(server: ServerProcess) -> Download:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client = Download(server.port, receive_buffer=8192)
    client.socket = context.wrap_socket(client.socket)
    return client


def test_slow_readers_take_no_memory_over_tls_either(encrypting: ServerProcess) -> None:
    # Sessions of TLS have a price of their own, which is not that of the file.
    clients = [over_tls(encrypting) for _ in range(100)]
    for client in clients:
        assert client.ask("/hello.txt").content() == HELLO
    before = encrypting.memory()
    for client in clients:
        assert client.ask("/huge.bin").length == 10 * GIB
    for _ in range(5):
        for client in clients:
            assert len(client.content(20_000)) == 20_000
        assert encrypting.memory() - before < 32 * MIB
    for client in clients:
        client.socket.close()


def test_nobody_waits_for_a_file_that_is_read_for_a_client_that_has_reset_its_connection(
    encrypting: ServerProcess,
) -> None:
    with over_tls(encrypting) as client:
        # What it opens for itself, it has open then.
        assert len(client.ask("/large.bin").content()) == 32 * MIB
        before = encrypting.descriptors()
    for _ in range(5):
        with over_tls(encrypting) as client:
            assert len(client.ask("/huge.bin").content(100_000)) == 100_000
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with over_tls(encrypting) as client:
        assert client.ask("/hello.txt").content() == HELLO
    eventually(lambda: encrypting.descriptors() < before, "all is closed")


def test_a_fast_reader_leaves_others_their_turn(server: ServerProcess) -> None:
    stop = threading.Event()
    read = 0

    def run(fast: Download) -> None:
        nonlocal read
        buffer = bytearray(MIB)
        while not stop.is_set() and read < 10 * GIB:
            read += fast.socket.recv_into(buffer)

    with Download(server.port) as fast, ThreadPoolExecutor(1) as pool:
        fast.ask("/huge.bin")
        running = pool.submit(run, fast)
        try:
            for _ in range(50):
                assert says_hello(server)
            assert read < 8 * GIB
        finally:
            stop.set()
        running.result()
    assert read > 0


# Too few descriptors, and the end


# One more or less, so that it is a file, or what it takes to send one, for which there is nothing left.
@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs prlimit")
@pytest.mark.parametrize("spare", [4, 5])
def test_where_descriptors_run_out_files_are_refused_for_now(folder: Path, loop_name: str, spare: int) -> None:
    with serve(folder, loop_name, "--timeout-graceful-shutdown", "0") as server:
        assert says_hello(server)
        before = server.descriptors()
        clients = [Download(server.port, receive_buffer=8192) for _ in range(12)]
        for client in clients:
            assert client.ask("/hello.txt").content() == HELLO
        most = server.descriptors() + spare
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (most, most))
        for client in clients:
            assert client.ask("/large.bin").status in (200, 503)
        served = [client for client in clients if client.status == 200]
        refused = [client for client in clients if client.status == 503]
        assert len(served) > 1
        assert len(refused) > 1
        for client in refused:
            assert client.fields[b"retry-after"] == b"1"
            assert client.content() == b"Service Unavailable\n"
        # What does not have to be opened goes on.
        assert refused[0].ask("/hello.txt").content() == HELLO
        for client in served:
            assert client.content() == bytes(32 * MIB)
        for client in refused[:2]:
            assert client.ask("/large.bin").status == 200
        for client in clients:
            client.socket.close()
        eventually(lambda: server.descriptors() <= before, "they come back")
        assert says_hello(server)
        assert not [line for line in server.errors if "Traceback" in line]


def test_a_download_is_finished_before_the_server_stops(server_of_its_own: ServerProcess) -> None:
    with Download(server_of_its_own.port, receive_buffer=8192) as download:
        download.ask("/large.bin")
        begin = download.content(1000)
        server_of_its_own.signal(signal.SIGTERM)
        server_of_its_own.wait_for("stopping")
        assert begin + download.content(32 * MIB - 1000) == bytes(32 * MIB)
        assert download.is_closed()
    assert server_of_its_own.exit_status() == 0


@pytest.fixture
def server_of_its_own(folder: Path, loop_name: str) -> Iterator[ServerProcess]:
    with serve(folder, loop_name) as server:
        yield server


def test_a_download_that_takes_too_long_is_cut_when_the_server_stops(folder: Path, loop_name: str) -> None:
    with (
        serve(folder, loop_name, "--timeout-graceful-shutdown", "0") as server,
        Download(server.port, receive_buffer=8192) as download,
    ):
        download.ask("/huge.bin")
        server.signal(signal.SIGTERM)
        assert server.exit_status() == 0
        # Less than was declared: the client sees that it was cut.
        assert len(download.content()) < 10 * GIB
