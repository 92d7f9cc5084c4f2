"""Every option of the server, declared once: its default, its kind and its documentation.

The command line (cli), the environment and docs/reference (reference) are all generated from the fields of Config.
Knows what an option is, the kinds of value there are (kinds, static_options) and errors. Does not read the command
line or the environment, opens nothing and imports no application.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from miniasgi.errors import UsageError
from miniasgi.hashed_names import HASHED_NAME
from miniasgi.kinds import (
    ADDRESS,
    DIRECTORIES,
    DIRECTORY,
    FILE,
    FLAG,
    GLOBS,
    HEADERS,
    KIB,
    MIB,
    PREFIX,
    REFERENCE,
    SWITCH,
    Kind,
    automatic,
    choice,
    duration,
    size,
    whole,
    words,
)
from miniasgi.options import Option, did_you_mean, option
from miniasgi.static_options import (
    CACHE,
    CACHE_CONTROL,
    CORS,
    FIELDS,
    FOLDERS,
    HIDDEN,
    INDEX,
    PATTERN,
    TYPES,
    USERS,
    file,
)

__all__ = ["OPTIONS", "Config"]

T = TypeVar("T")


def _static(default: T, kind: Kind, *, help: str, flag: str = "") -> T:
    return option(default, kind, group="Static files", help=help, flag=flag, needs="static")


# fmt: off
@dataclass(frozen=True, slots=True)
class Config:
    """How a server behaves; immutable, and checked when it is made.

    Each field takes its own type or the text that the command line takes. Raises UsageError, naming the field.
    """

    factory: bool = option(False, FLAG, group="Application",
        help="APP is a callable without parameters that makes the application.")
    app_dir: str = option("", DIRECTORY, group="Application",
        help="Directory to import APP from, put first in sys.path; empty is the current directory.")
    lifespan: str = option("auto", choice("auto", "on", "off"), group="Application",
        help="Whether the application is told of start-up and shutdown; auto tolerates one that knows no lifespan.")
    root_path: str = option("", PREFIX, group="Application",
        help="Path under which a proxy in front mounts the application; becomes root_path in the scope.")

    host: str = option("127.0.0.1", ADDRESS, group="Socket",
        help="Address to listen on; 0.0.0.0 or :: is every interface.")
    port: int = option(8000, whole(0, 65535, metavar="PORT"), group="Socket",
        help="TCP port to listen on; 0 picks a free one and prints it.")
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
    worker_class: str = option("process", choice("process", "thread"), group="Workers", aliases=("-k",),
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
    workers_max_rss: int | None = option(None, size(optional=True), group="Workers",
        help="Memory (resident set) above which a worker is replaced.")
    hooks: str = option("", REFERENCE, group="Workers",
        help="Object with any of on_start, on_worker_start, on_worker_stop and on_stop, to be called then.")
    pid: str = option("", FILE, group="Workers", aliases=("-p", "--pid-file"),
        help="File that holds the number of the process to send signals to, while it runs.")

    loop: str = option("auto", choice("auto", "asyncio", "uvloop", reference="module:callable"), group="Implementation",
        help="Event loop: auto is the fastest one installed, module:callable makes your own.")
    http: str = option("auto", choice("auto", "handwritten", "h11", "httptools", reference="module:factory"),
        group="Implementation",
        help="HTTP/1.1 parser: auto is the fastest one installed, module:factory makes your own. All mean the same.")

    ws: str = option("auto", choice("auto", "websockets", "none", reference="module:factory"), group="WebSockets",
        help="What speaks the WebSocket protocol: auto is the package websockets if it is installed, none takes every "
             "request for an ordinary one, module:factory makes a codec of your own.")
    ws_max_size: int = option(16 * MIB, size(), group="WebSockets",
        help="Octets of a message, after it has been inflated; a client that sends more is closed with 1009.")
    ws_max_queue: int = option(32, whole(1), group="WebSockets",
        help="Messages that may wait for the application before the client is made to wait.")
    ws_ping_interval: float = option(20.0, duration(zero=True), group="WebSockets",
        help="Silence after which a client is pinged; 0 never pings.")
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

    static: tuple[tuple[str, str], ...] = option((), FOLDERS, group="Static files",
        help="Directory whose files are served, at / or below /mount; what is not there goes to APP, if any.")
    index: tuple[str, ...] = _static(("index.html",), INDEX,
        help="Files that are served for their directory, the first that exists; none serves none.")
    listing: tuple[str, ...] = _static((), words("html", "json", bare="html,json"),
        help="List a directory that has no index, as a page or as JSON, whichever the client asks for.")
    precompressed: tuple[str, ...] = _static((), words("br", "zstd", "gzip", bare="br,zstd,gzip"),
        help="Serve FILE.br, FILE.zst or FILE.gz in the place of FILE to clients that take the coding.")
    spa: str = _static("", file(bare="index.html"),
        help="File that is served, with 200, where a page is asked for that does not exist: for single-page "
             "applications.")
    not_found: str = _static("404.html", file(), flag="--404",
        help="File that is the content of a 404, where it exists. In Python, not_found.")
    clean_urls: bool = _static(False, FLAG,
        help="Serve about.html at /about, too.")
    cache_control: tuple[tuple[str, str], ...] = _static((), CACHE_CONTROL,
        help="Cache-Control of the files that GLOB fits; the first that does counts. A GLOB without / is held against "
             "the name alone.")
    immutable: str = _static(HASHED_NAME, PATTERN,
        help="Files whose path it finds are cached for a year. auto finds names with a hash of the content, such as "
             "app.4f3a9c1d.js; none switches it off.")
    static_headers: tuple[tuple[str, str, str], ...] = _static((), FIELDS, flag="--static-header",
        help="Field added to files, or to those that GLOB fits. What follows the last @ is a GLOB if it has *, [ or "
             "/; @* at the end keeps an @ in the value. In Python, triples in static_headers.")
    cors: str = _static("", CORS,
        help="Origin whose pages may read the files (Access-Control-Allow-Origin); left out, it is any.")
    follow_symlinks: bool = _static(False, FLAG,
        help="Follow symbolic links that lead out of the directory, too.")
    dotfiles: bool = _static(False, FLAG,
        help="Serve names that begin with a dot; else only .well-known is.")
    hide: tuple[str, ...] = _static((), HIDDEN,
        help="Files and directories that are answered as if they did not exist.")
    static_cache: tuple[str, int] = _static(("full", 64 * MIB), CACHE,
        help="What is remembered of files: nothing, what is known about them, or also the content of small ones, up to "
             "SIZE in all.")
    mime: tuple[tuple[str, str], ...] = _static((), TYPES,
        help="Content type of files with the extension EXT, such as md=text/markdown.")
    basic_auth: tuple[tuple[str, str], ...] = _static((), USERS,
        help="User who may read the files; then nobody else may. Other users of the machine can read a command line, "
             "but not the environment.")

    log_level: str = option("info", choice("critical", "error", "warning", "info", "debug", "trace"), group="Logging",
        help="Least severe message that the miniasgi.server logger writes.")
    access_log: bool = option(True, SWITCH, group="Logging",
        help="One line for each request, from the miniasgi.access logger.")

    limit_request_line: int = option(16 * KIB, size(), group="Limits",
        help="Longest request line; a longer one is answered 414.")
    limit_request_field_size: int = option(16 * KIB, size(), group="Limits",
        help="Longest single field, name and value; a longer one is answered 431.")
    # 100: as Apache's LimitRequestFields.
    limit_request_fields: int = option(100, whole(1), group="Limits",
        help="Most fields in a request; more are answered 431.")
    limit_request_head: int = option(64 * KIB, size(), group="Limits", aliases=("--h11-max-incomplete-event-size",),
        help="Longest request head, all lines together; a longer one is answered 431.")
    limit_request_body: int | None = option(None, size(optional=True), group="Limits",
        help="Longest request content, after any chunked coding is undone; more is answered 413.")
    limit_concurrency: int | None = option(None, whole(1, optional=True), group="Limits",
        help="Most requests that run at once; further ones are answered 503.")

    timeout_request_header: float = option(10.0, duration(), group="Timeouts", aliases=("--http1-header-read-timeout",),
        help="For a request head to arrive whole, also on a new connection that never speaks; then 408.")
    timeout_request_body: float = option(30.0, duration(), group="Timeouts",
        help="For the next piece of content that the application waits for to arrive; then 408.")
    # 75: above the 60 seconds after which common load balancers drop an idle connection, so that they close first.
    timeout_keep_alive: float = option(75.0, duration(), group="Timeouts", aliases=("--keep-alive",),
        help="For the next request on an idle connection.")
    timeout_write: float = option(60.0, duration(), group="Timeouts",
        help="For a client that has stopped reading its response to read on; then the connection is cut.")
    timeout_graceful_shutdown: float = option(10.0, duration(zero=True), group="Timeouts",
        aliases=("--graceful-timeout",),
        help="For running requests to finish when the server stops; 0 waits for none.")

    reload: bool = option(False, FLAG, group="Development",
        help="Start again whenever a source file changes.")
    reload_dir: tuple[str, ...] = option((), DIRECTORIES, group="Development", needs="reload",
        help="Directory to look for changes in, with all below it; else that of --app-dir.")
    reload_include: tuple[str, ...] = option((), GLOBS, group="Development", needs="reload",
        help="Files to look at beside *.py.")
    reload_exclude: tuple[str, ...] = option((), GLOBS, group="Development", needs="reload",
        help="Files and directories not to look at, beside .*, __pycache__, node_modules and virtual environments.")
    reload_delay: float = option(0.25, duration(), group="Development", needs="reload",
        help="Between two looks, where the watchfiles package is not installed.")
    open: bool = option(False, FLAG, group="Development",
        help="Open the browser when the server has started.")
    live_reload: bool = option(False, FLAG, group="Development", needs="static",
        help="Reload pages of static files in the browser when a file changes; nothing is cached then.")
    # fmt: on

    def __post_init__(self) -> None:
        for each in OPTIONS:
            object.__setattr__(self, each.name, each.read(getattr(self, each.name), each.name))

    @classmethod
    def from_options(cls, **options: Any) -> Config:
        """A Config from keyword arguments that a user wrote.

        Raises UsageError: a name that is no option, with the nearest that is one; a value that does not fit.
        """
        names = {each.name: each.name for each in OPTIONS}
        also = {alias.lstrip("-").replace("-", "_"): each.name for each in OPTIONS for alias in each.aliases}
        for name in options:
            if name not in names:
                hint = f"; did you mean {also[name]}?" if name in also else did_you_mean(name, names)
                raise UsageError(f"{name}: no such option{hint}")
        return cls(**options)


OPTIONS: tuple[Option, ...] = tuple(
    replace(
        each.metadata["option"],
        name=each.name,
        default=each.default,
        flag=each.metadata["option"].flag or "--" + each.name.replace("_", "-"),
    )
    for each in fields(Config)
)
