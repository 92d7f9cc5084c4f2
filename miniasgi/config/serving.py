"""The options of what serves: the application, sockets, workers, and what they speak."""

from __future__ import annotations

from dataclasses import dataclass

from .addresses import BINDS, MODE, OWNER, UDS, Address
from .foreign import WEBSOCKET_NAMES, loop_advice, parser_advice, websocket_advice, worker_class_advice
from .kinds import (
    ADDRESS,
    DIRECTORY,
    FILE,
    FLAG,
    HEADERS,
    MIB,
    PREFIX,
    REFERENCE,
    SWITCH,
    automatic,
    choice,
    duration,
    size,
    whole,
)
from .options import option

__all__ = ["ServingOptions"]


# fmt: off
@dataclass(frozen=True, init=False, repr=False, eq=False)  # for Config alone to make
class ServingOptions:
    """See miniasgi.config.Config."""

    factory: bool = option(False, FLAG, group="Application",
        help="APP is a callable without parameters that makes the application.")
    app_dir: str = option("", DIRECTORY, group="Application",
        help="Directory to import APP from, put first in sys.path; empty is the current directory.")
    lifespan: str = option("auto", choice("auto", "on", "off"), group="Application",
        help="Whether the application is told of start-up and shutdown; auto tolerates one that knows no lifespan.")
    root_path: str = option("", PREFIX, group="Application",
        help="Path under which a proxy in front mounts the application, and which it takes off: the scope has it as "
             "root_path, and in front of path again.")

    host: str = option("127.0.0.1", ADDRESS, group="Socket",
        help="Address to listen on; 0.0.0.0 or :: is every interface.")
    port: int = option(8000, whole(0, 65535, metavar="PORT"), group="Socket",
        help="TCP port to listen on; 0 picks a free one and prints it.")
    bind: tuple[Address, ...] = option((), BINDS, group="Socket", aliases=("-b",),
        help="Where to listen, in the place of --host and --port: HOST:PORT, [::]:PORT, :PORT for every interface, "
             "unix:PATH, or fd://N for a socket that is open already.")
    uds: str = option("", UDS, group="Socket",
        help="Unix domain socket to listen on, in the place of --host and --port.")
    uds_mode: int = option(0o666, MODE, group="Socket",
        help="Permissions of Unix domain sockets, in octal digits; set before anybody can connect.")
    uds_owner: str = option("", OWNER, group="Socket",
        help="Owner of Unix domain sockets; set before anybody can connect.")
    fd: int | None = option(None, whole(0, optional=True, none="no descriptor"), group="Socket",
        help="Descriptor of a socket to listen on that is open already, in the place of --host and --port.")
    # 2**31 - 1: listen(2) takes a C int.
    backlog: int = option(2048, whole(1, 2**31 - 1), group="Socket",
        help="Connections that may wait to be accepted; the system may hold fewer.")
    reuse_port: bool | None = option(None, automatic(SWITCH), group="Socket",
        help="Give each worker a listening socket of its own (SO_REUSEPORT), among which the system spreads "
             "connections; asked for by name, other servers of the same user may listen there, too. auto does the "
             "first where it can.")

    workers: int | None = option(1, automatic(whole(1, 1024)), group="Workers", aliases=("-w",),
        variable="WEB_CONCURRENCY",
        help="How many serve side by side; auto is the CPUs that this process may use.")
    worker_class: str = option("process", choice("process", "thread", advice=worker_class_advice), group="Workers",
        aliases=("-k",),
        help="What each worker is; threads run in parallel where Python is built without its global lock.")
    executor_threads: int | None = option(None, automatic(whole(1, 1024)), group="Workers",
        help="Threads of each process for what blocks: files on slow disks, names that are looked up, and what the "
             "application gives to run_in_executor; auto is four more than the CPUs, and at most 32.")
    preload: bool = option(False, FLAG, group="Workers",
        help="Load the application once, in a process from which workers are forked, so that they share its memory.")
    timeout_worker_healthcheck: float = option(30.0, duration(), group="Workers", aliases=("--timeout", "-t"),
        help="For a worker's event loop to give a sign of life; then its stacks and requests are logged, and it is "
             "replaced.")
    limit_max_requests: int | None = option(None, whole(1, optional=True), group="Workers", aliases=("--max-requests",),
        help="Requests after which a worker is replaced.")
    limit_max_requests_jitter: int = option(0, whole(0), group="Workers", aliases=("--max-requests-jitter",),
        help="Most that is added at random to --limit-max-requests, so that workers are not replaced all at once.")
    workers_lifetime: float | None = option(None, duration(optional=True), group="Workers",
        help="Time after which a worker is replaced.")
    workers_lifetime_jitter: float = option(0.0, duration(zero=True), group="Workers",
        help="Most that is added at random to --workers-lifetime.")
    # 1 MiB: less than any Python takes; who has typed 512 for 512 MiB, as granian has it, learns that it is octets.
    workers_max_rss: int | None = option(None, size(MIB, optional=True), group="Workers",
        help="Memory (resident set) above which a worker is replaced.")
    hooks: str = option("", REFERENCE, group="Workers",
        help="Object with any of on_start, on_worker_start, on_worker_stop and on_stop, to be called then.")
    pid: str = option("", FILE, group="Workers", aliases=("-p", "--pid-file"),
        help="File that holds the number of the process to send signals to, while it runs.")

    loop: str = option("auto", choice("auto", "asyncio", "uvloop", reference="module:callable",
        advice=loop_advice), group="Implementation",
        help="Event loop: auto is the fastest one installed, module:callable makes your own.")
    http: str = option("auto", choice("auto", "handwritten", "h11", "httptools", reference="module:factory",
        advice=parser_advice), group="Implementation",
        help="HTTP/1.1 parser: auto is the fastest one installed, module:factory makes your own. All mean the same.")

    ws: str = option("auto", choice("auto", "websockets", "none", reference="module:factory", also=WEBSOCKET_NAMES,
        advice=websocket_advice), group="WebSockets",
        help="What speaks the WebSocket protocol: auto is the package websockets (16.1 or later) where it is "
             "installed, none takes every request for an ordinary one, module:factory makes a codec of your own.")
    ws_max_size: int = option(16 * MIB, size(), group="WebSockets",
        help="Octets of a message, after it has been inflated; a client that sends more is closed with 1009.")
    ws_max_queue: int = option(32, whole(1), group="WebSockets",
        help="Messages that may wait for the application before the client is made to wait.")
    ws_ping_interval: float = option(20.0, duration(zero=True), group="WebSockets",
        help="How often a client is pinged, whether it talks or not; 0 never pings.")
    ws_ping_timeout: float = option(20.0, duration(zero=True), group="WebSockets",
        help="For a client to give a sign of life after a ping, or it is closed with 1011; 0 waits for ever.")
    ws_per_message_deflate: bool = option(True, SWITCH, group="WebSockets",
        help="Compress messages to and from clients that can (RFC 7692).")

    server_header: bool = option(True, SWITCH, group="Response fields",
        help="Send a Server field where the application sends none.")
    date_header: bool = option(True, SWITCH, group="Response fields",
        help="Send a Date field where the application sends none.")
    headers: tuple[tuple[bytes, bytes], ...] = option((), HEADERS, group="Response fields", flag="--header",
        help="Field added to every response. In Python, pairs in headers.")
    # fmt: on
