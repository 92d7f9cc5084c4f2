"""nginx and HAProxy with the files of docs/proxies, in which nothing but addresses and paths is replaced."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.certificates import leaf, write_pair
from tests.support import ROOT

__all__ = ["FILES", "Front", "options", "run_haproxy", "run_nginx"]

FILES = ROOT / "docs" / "proxies"

# What Debian's file has around those of conf.d. Without a user of its own, one that is started by root could not enter
# the folder of a test.
_AROUND_NGINX = """\
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


def options(file: str) -> tuple[str, ...]:
    """The options that *file* tells to start the server with."""
    found = re.search(r"^# +miniasgi myapp:app (.+)$", (FILES / file).read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return tuple(found[1].split())


class Front:
    """A proxy that runs.

    Attributes:
        ports: where it listens, by the port that its file says.
        tls_port: that of TLS.
    """

    def __init__(self, name: str, ports: dict[int, int]) -> None:
        self.name = name
        self.ports = ports
        self.tls_port = ports[443]


@contextmanager
def run_nginx(folder: Path, server: str, file: str = "nginx.conf") -> Iterator[Front]:
    """nginx with *file* in front of *server*, host and port or the path of a socket."""
    certificate, key = write_pair(folder, leaf("127.0.0.1"))
    text = (FILES / file).read_text(encoding="utf-8")
    text = re.sub(r"^ +listen \[::\].*\n", "", text, flags=re.MULTILINE)
    numbers = [int(number) for number in re.findall(r"^ +listen (\d+)", text, re.MULTILINE)]
    with _sockets(*numbers) as sockets:
        ports = _ports(sockets)
        text = _replace(
            text,
            *((f"listen {number}", f"listen 127.0.0.1:{port}") for number, port in ports.items()),
            ("/etc/ssl/example.org.pem", certificate),
            ("/etc/ssl/example.org.key", key),
            ("127.0.0.1:8000", f"unix:{server}" if server.startswith("/") else server),
        )
        (folder / "site.conf").write_text(text, encoding="utf-8")
        user = "user root root;" if os.geteuid() == 0 else ""
        around = folder / "nginx.conf"
        around.write_text(_AROUND_NGINX.format(folder=folder, user=user), encoding="utf-8")
        # As one nginx leaves its sockets to the next: so no port is taken in between, and clients can connect already.
        given = "".join(f"{each.fileno()};" for each in sockets.values())
        command = ["nginx", "-p", str(folder), "-c", str(around), "-e", "stderr"]
        with _run(folder, command, sockets, {"NGINX": given}):
            yield Front("nginx", ports)


@contextmanager
def run_haproxy(folder: Path, server: str, file: str = "haproxy.cfg") -> Iterator[Front]:
    """HAProxy with *file* in front of *server*, host and port or the path of a socket."""
    certificate, key = write_pair(folder, leaf("127.0.0.1"))
    both = folder / "both.pem"
    both.write_bytes(Path(certificate).read_bytes() + Path(key).read_bytes())
    text = (FILES / file).read_text(encoding="utf-8")
    numbers = [int(number) for number in re.findall(r"^ +bind :(\d+)", text, re.MULTILINE)]
    with _sockets(*numbers) as sockets:
        ports = _ports(sockets)
        text = _replace(
            text,
            *((f"bind :{number}", f"bind fd@{each.fileno()}") for number, each in sockets.items()),
            ("/etc/haproxy/example.org.pem", str(both)),
            ("127.0.0.1:8000", f"unix@{server}" if server.startswith("/") else server),
        )
        configuration = folder / "haproxy.cfg"
        configuration.write_text(text, encoding="utf-8")
        with _run(folder, ["haproxy", "-db", "-f", str(configuration)], sockets, {}):
            yield Front("haproxy", ports)


def _replace(text: str, *pairs: tuple[str, str]) -> str:
    for old, new in pairs:
        # Not in a comment.
        found = re.compile(rf"^(?P<before>[^#\n]*){re.escape(old)}(?!\d)", re.MULTILINE)
        assert found.search(text), f"{old!r} is not there"
        text = found.sub(lambda match, new=new: match["before"] + new, text)  # type: ignore[misc]
    return text


@contextmanager
def _sockets(*numbers: int) -> Iterator[dict[int, socket.socket]]:
    """Sockets that are listened to, by the numbers that stand for their ports."""
    with ExitStack() as stack:
        sockets = {}
        for number in numbers:
            sockets[number] = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128))
        yield sockets


def _ports(sockets: dict[int, socket.socket]) -> dict[int, int]:
    return {number: each.getsockname()[1] for number, each in sockets.items()}


@contextmanager
def _run(
    folder: Path, command: list[str], sockets: dict[int, socket.socket], environ: dict[str, str]
) -> Iterator[None]:
    said = folder / "said.txt"
    with said.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **environ},
            pass_fds=[each.fileno() for each in sockets.values()],
        )
    for each in sockets.values():
        each.close()  # if it does not start, clients are refused and do not wait
    try:
        yield
        assert process.poll() is None, f"{command[0]} has ended: {said.read_text()}"
    finally:
        process.terminate()
        process.wait(10)
