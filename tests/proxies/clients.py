"""Clients that speak TLS to a proxy, from an address that nobody trusts."""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
import threading
from collections.abc import Iterable
from contextlib import closing
from typing import Any, NamedTuple

from websockets.asyncio.client import connect

from tests.certificates import authority

__all__ = ["ADDRESS", "Answer", "Load", "ask", "connection", "context", "converse", "told"]

#: Of the machine itself, and neither the proxies' nor trusted by default.
ADDRESS = "127.0.0.2"


class Answer(NamedTuple):
    status: int
    fields: http.client.HTTPMessage
    content: bytes


def context() -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority().cert_pem.bytes().decode())


def connection(port: int, *, tls: bool = True) -> http.client.HTTPConnection:
    """A connection on which nothing waits longer than ten seconds."""
    if tls:
        return http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=10, source_address=(ADDRESS, 0), context=context()
        )
    return http.client.HTTPConnection("127.0.0.1", port, timeout=10, source_address=(ADDRESS, 0))


def ask(
    port: int,
    target: str,
    fields: Iterable[tuple[str, str]] = (),
    content: bytes | None = None,
    *,
    tls: bool = True,
) -> Answer:
    """The answer to a request on a connection of its own; a POST if there is *content*."""
    with closing(connection(port, tls=tls)) as client:
        client.putrequest("GET" if content is None else "POST", target, skip_host=True, skip_accept_encoding=True)
        fields = list(fields)
        if not any(name == "Host" for name, _ in fields):
            client.putheader("Host", "example.org")
        for name, value in fields:
            client.putheader(name, value)
        if content is not None:
            client.putheader("Content-Length", str(len(content)))
        client.endheaders(content)
        response = client.getresponse()
        return Answer(response.status, response.headers, response.read())


def told(port: int, target: str, fields: Iterable[tuple[str, str]] = (), *, tls: bool = True) -> dict[str, Any]:
    """What the application says of a request."""
    answer = ask(port, target, fields, tls=tls)
    assert answer.status == 200, answer
    found: dict[str, Any] = json.loads(answer.content)
    return found


class Conversation(NamedTuple):
    """*scope* as the application tells it, the *client*'s own address, and the *answers* to what it has said."""

    scope: dict[str, Any]
    client: list[Any]
    answers: list[str | bytes]


def converse(port: int, target: str, texts: Iterable[str], fields: Iterable[tuple[str, str]] = ()) -> Conversation:
    """Say *texts* over a WebSocket, one after the other; nothing waits longer than ten seconds.

    In one thread: with the two of a blocking client, which write and read at once, TLS may fail (CPython 3.12).
    """

    async def main() -> Conversation:
        url = f"wss://127.0.0.1:{port}{target}"
        async with (
            asyncio.timeout(30),
            connect(url, ssl=context(), additional_headers=list(fields), local_addr=(ADDRESS, 0)) as client,
        ):
            scope = json.loads(await asyncio.wait_for(client.recv(), 10))
            answers = []
            for text in texts:
                await client.send(text)
                answers.append(await asyncio.wait_for(client.recv(), 10))
            return Conversation(scope, list(client.local_address), answers)

    return asyncio.run(main())


class Load:
    """Four clients that ask for /pid again and again, for the time of a with statement.

    Attributes:
        failures: whatever was no good answer.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._changed = threading.Condition()
        self._stopping = False
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(4)]
        self._servers: list[int] = []
        self.failures: list[object] = []

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        for thread in self._threads:
            thread.join(15)

    def wait_for(self, servers: int, beside: Iterable[int] = ()) -> set[int]:
        """Wait until, from now on, so many servers have answered that are not among those *beside*; which."""
        with self._changed:
            self._servers.clear()
            found = self._changed.wait_for(lambda: len({*self._servers} - {*beside}) >= servers or self.failures, 15)
            assert found, f"only {set(self._servers)} answer"
            return {*self._servers} - {*beside}

    def _run(self) -> None:
        with closing(connection(self._port)) as client:
            while not self._stopping:
                try:
                    client.request("GET", "/pid")
                    response = client.getresponse()
                    content = response.read()
                except (OSError, http.client.HTTPException) as error:
                    self._note(repr(error))
                    return
                if response.status != 200:
                    self._note((response.status, content))
                    return
                with self._changed:
                    self._servers.append(int(content))
                    self._changed.notify_all()

    def _note(self, failure: object) -> None:
        with self._changed:
            self.failures.append(failure)
            self._changed.notify_all()
