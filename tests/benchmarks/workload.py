"""What a workload is: something to ask of every server of one family."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from importlib.util import find_spec

from .certificates import KeyKind
from .exchange import Exchange
from .websocket_messages import Messages


class Family(Enum):
    """What a server is told to serve; servers of different families are not compared."""

    APPLICATION = "an ASGI application"
    STATIC = "the files of a directory"
    WORKERS = "an ASGI application, from several processes"
    WEBSOCKET = "an ASGI application that speaks WebSockets"
    TLS = "an ASGI application, over TLS"
    OPERATIONS = "an ASGI application, with one option more or less"


class AccessLines(Enum):
    """What a server writes about each request."""

    NONE = "nothing"
    TEXT = "a line of text"
    JSON = "a line that is a JSON object"


class FloorRule(Enum):
    """How the floor knows, without parsing, that a request has arrived."""

    READ = "each read is one request"
    BLANK_LINE = "each blank line ends one request"
    OCTETS = "every request on a connection is as long as the first"


def no_files() -> Mapping[str, bytes]:
    """Of an application: nothing."""
    return {}


@dataclass(frozen=True)
class Workload:
    """One thing to measure."""

    name: str
    title: str
    # What a client writes, cycled through, to a server that has the files under this prefix.
    exchanges: Callable[[str], Sequence[Exchange]]
    family: Family = Family.APPLICATION
    app: str = "tests.benchmarks.apps:hello"  # module:attribute
    files: Callable[[], Mapping[str, bytes]] = no_files  # to be served, by their paths
    # Each request is sent once as it is, and then always with the ETag that this server gave: the answer is 304.
    is_conditional: bool = False
    unit: str = "request"  # what is counted
    messages: Messages | None = None  # said over WebSockets; the exchanges then only tell whether the server is there
    access_log: bool = False
    key: KeyKind | None = None  # of the servers' certificate, if TLS is spoken
    is_connection_each: bool = False  # whether each request has a connection to itself, which the server has to close
    connections: int = 64
    workers: int = 1  # that serve; several only for servers of the family WORKERS
    is_pinned: bool = True  # server and load, each to a core of its own; else they run wherever the system puts them
    least_seconds: float = 0.0  # of one run, for the long answers that are under way at its end to weigh little
    warm_up_seconds: float = 0.5  # of load on each server before anything is measured
    requires: str | None = None  # a package without which the application cannot run
    # Of the floor's answer to an application's requests:
    content_type: str = "text/plain"
    is_chunked: bool = False
    floor_rule: FloorRule = FloorRule.READ

    def is_missing(self) -> bool:
        """Whether the package that the application needs is not installed."""
        return self.requires is not None and find_spec(self.requires) is None
