"""What one server is asked in one workload, made ready and tried once before anything is measured."""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .certificates import client_context
from .exchange import Exchange
from .probe import Client, WrongAnswer
from .websocket_messages import Messages
from .workload import Workload

# Of a workload with thousands of different writes, so many are tried: some from everywhere in it.
TRIED_EXCHANGES = 64


@dataclass(frozen=True)
class Script:
    """What the load's connections send to one server."""

    exchanges: Sequence[Exchange]
    connections: int
    replay: Path  # the exchanges' writes as replay.lua reads them
    is_pinned: bool = True  # the load, to its core
    messages: Messages | None = None  # said instead, over WebSockets
    authority: Path | None = None  # of the server's certificate, where TLS is spoken
    context: ssl.SSLContext | None = None  # of clients that trust it
    is_connection_each: bool = False  # whether each request has a connection, and a handshake, to itself

    @property
    def requests_per_write(self) -> int:
        """The same for all writes of a workload."""
        return self.exchanges[0].requests


def prepare(port: int, prefix: str, workload: Workload, replay: Path, authority: Path | None = None) -> Script:
    """Make the script for the server on that port, which has files under the prefix, and write its replay.

    With an authority, the server speaks TLS.

    Raises:
        WrongAnswer: a tried answer was wrong, or had no ETag where one is needed.
        OSError: the connection failed.
    """
    exchanges = workload.exchanges(prefix)
    context = client_context(authority) if authority else None
    with Client(port, context=context) as client:
        if workload.is_conditional:
            exchanges = [conditional(exchange, client.check(exchange)) for exchange in exchanges]
        for exchange in exchanges[:: -(-len(exchanges) // TRIED_EXCHANGES)]:
            client.check(exchange)
    write_replay(exchanges, replay)
    return Script(
        exchanges,
        workload.connections,
        replay,
        workload.is_pinned,
        workload.messages,
        authority,
        context,
        workload.is_connection_each,
    )


def conditional(exchange: Exchange, fields: Mapping[bytes, bytes]) -> Exchange:
    """The same request for what has changed since an answer with these fields, when nothing has.

    Raises:
        WrongAnswer: there is no ETag among them.
    """
    if not (etag := fields.get(b"etag")):
        raise WrongAnswer("no ETag")
    return Exchange(exchange.write.removesuffix(b"\r\n") + b"If-None-Match: %b\r\n\r\n" % etag, b"", 304)


def write_replay(exchanges: Sequence[Exchange], path: Path) -> None:
    """Write the writes as replay.lua reads them."""
    with path.open("wb") as file:
        for exchange in exchanges:
            file.write(b"%d\n%b" % (len(exchange.write), exchange.write))
