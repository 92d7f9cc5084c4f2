"""What people type who come from other servers, and what they are told: flags and values that mean something else here.

A flag is here only if nothing would fit it, or something would that means something else; what other servers call
differently is an alias of the option itself (serving, operating). uvicorn's whole command line is in uvicorn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = [
    "GRANIAN",
    "GUNICORN",
    "HTTP2",
    "HYPERCORN",
    "WEBSOCKET_NAMES",
    "Foreign",
    "loop_advice",
    "parser_advice",
    "websocket_advice",
    "worker_class_advice",
]


class Foreign(NamedTuple):
    """A flag of another server that is no option here.

    *advice* says what to use instead; empty where the flag is taken and nothing has to be done. *values*, if it takes
    one of them, has for each the advice, or nothing where it is taken.
    """

    advice: str = ""
    values: Mapping[str, str] | None = None


HTTP2 = Foreign("not possible: HTTP/1.1 is spoken; a proxy in front can speak HTTP/2 with clients")
_DAEMON = "not possible: a service manager runs it in the background, such as systemd (docs/deployment.md)"
_USER = "not possible: start the server as this user, as systemd does with User= and Group="
_DIRECTORY = "use --app-dir to import APP from another directory; paths are relative to the current one"
_ENVIRONMENT = "use --env-file, or set the variable before the command"
_SHORT_OF_THREADS = "leave it out: an ASGI application needs none, --executor-threads is for what blocks"
_NAME = "leave it out: processes are named after APP where the package setproctitle is installed"
_TEMPORARY = "leave it out: workers write no files to show that they live"
_HOOKS = "use --hooks, or the application's own logging"
_SIGNALS = "not possible: signals to the process of --pid tell a running server what to do (docs/workers.md)"
_SYSLOG = "use --log-config with a handler of Python's logging"

#: gunicorn's, under all their names.
GUNICORN: Mapping[str, Foreign] = {
    "-D": Foreign(_DAEMON),
    "--daemon": Foreign(_DAEMON),
    "-u": Foreign(_USER),
    "--user": Foreign(_USER),
    "-g": Foreign(_USER),
    "--group": Foreign(_USER),
    "--initgroups": Foreign(_USER),
    "-m": Foreign("use --uds-mode for Unix domain sockets; the umask is the service manager's"),
    "--umask": Foreign("use --uds-mode for Unix domain sockets; the umask is the service manager's"),
    "--chdir": Foreign(_DIRECTORY),
    "--pythonpath": Foreign("use --app-dir, or the variable PYTHONPATH"),
    "-e": Foreign(_ENVIRONMENT),
    "--env": Foreign(_ENVIRONMENT),
    "-n": Foreign(_NAME),
    "--name": Foreign(_NAME),
    "--threads": Foreign(_SHORT_OF_THREADS),
    "--worker-connections": Foreign("use --limit-concurrency for requests that run at once, in each worker"),
    "--worker-tmp-dir": Foreign(_TEMPORARY),
    "--reload-engine": Foreign("leave it out: the package watchfiles is used where it is installed"),
    "--reload-extra-file": Foreign("use --reload-include with a pattern, and --reload-dir if it is somewhere else"),
    "--paste": Foreign("not possible: APP is module:attribute, an ASGI application"),
    "--wsgi-app": Foreign("not possible: APP is module:attribute, an ASGI application"),
    "--spew": Foreign("not possible: python -X dev, or a debugger in the application, shows more"),
    "--capture-output": Foreign("leave it out: what the application prints goes where standard output goes"),
    "-R": Foreign("leave it out: what the application prints goes where standard output goes"),
    "--enable-stdio-inheritance": Foreign("leave it out: what the application prints goes where standard output goes"),
    "--logger-class": Foreign("use --log-config"),
    "--log-config-json": Foreign("use --log-config, which takes .json, too"),
    "--log-config-dict": Foreign("use --log-config with a file"),
    "--log-syslog": Foreign(_SYSLOG),
    "--log-syslog-to": Foreign(_SYSLOG),
    "--log-syslog-prefix": Foreign(_SYSLOG),
    "--log-syslog-facility": Foreign(_SYSLOG),
    "--statsd-host": Foreign(_HOOKS),
    "--statsd-prefix": Foreign(_HOOKS),
    "--http-parser": Foreign("use --http"),
    "--asgi-loop": Foreign("use --loop"),
    "--asgi-lifespan": Foreign("use --lifespan"),
    "--websocket-max-message-size": Foreign("use --ws-max-size"),
    "--proxy-allow-from": Foreign("use --forwarded-allow-ips, which holds for the PROXY protocol, too"),
    "--no-sendfile": Foreign("leave it out: files are sent as the system does it best"),
    "--do-handshake-on-connect": Foreign("leave it out: no handshake keeps another connection waiting"),
    "--suppress-ragged-eofs": Foreign("leave it out: a client that ends without saying so is no error"),
    "--http-protocols": HTTP2,
    "--protocol": Foreign("leave it out: HTTP/1.1 is spoken, and --proxy-protocol in front of it if it is asked for"),
    "-v": Foreign("use --version; --log-level debug has the server say more"),
    "--control-socket": Foreign(_SIGNALS),
    "--control-socket-mode": Foreign(_SIGNALS),
    "--no-control-socket": Foreign("leave it out: there is none"),
    "--forwarder-headers": Foreign("leave it out: fields of a name with _ are among the others, and mean nothing here"),
    "--header-map": Foreign("leave it out: an application gets the fields as they are, not in an environment"),
    **dict.fromkeys(
        (
            "--casefold-http-method",
            "--permit-obsolete-folding",
            "--permit-unconventional-http-method",
            "--permit-unconventional-http-version",
            "--strip-header-spaces",
        ),
        Foreign("not possible: what two readers could take for two things is refused"),
    ),
    "--asgi-disconnect-grace-period": Foreign("leave it out: applications are told, and may take their time"),
    "--disable-redirect-access-to-syslog": Foreign(_SYSLOG),
    "--dogstatsd-tags": Foreign(_HOOKS),
    "--enable-backlog-metric": Foreign(_HOOKS),
    "--uwsgi-allow-from": Foreign("not possible: HTTP/1.1 is spoken"),
    "--paster": Foreign("not possible: APP is module:attribute, an ASGI application"),
    "--paste-global": Foreign("not possible: APP is module:attribute, an ASGI application"),
}

#: hypercorn's that are not gunicorn's as well.
HYPERCORN: Mapping[str, Foreign] = {
    "--debug": Foreign("use --log-level debug"),
    "--error-log": Foreign("use --error-logfile"),
    "--insecure-bind": Foreign("not possible: a second server, or a proxy, redirects from plain HTTP"),
    "--keyfile-password": Foreign("use --ssl-keyfile-password"),
    "--quic-bind": Foreign("not possible: HTTP/1.1 is spoken; a proxy in front can speak HTTP/3 with clients"),
    "--read-timeout": Foreign("use --timeout-request-header and --timeout-request-body"),
    "--server-name": Foreign("not possible: a middleware of the application judges Host, or a proxy in front"),
    "--verify-mode": Foreign("use --ssl-cert-reqs"),
    "--websocket-ping-interval": Foreign("use --ws-ping-interval"),
}

_ONE_LOOP = "leave it out: each worker has one event loop, which --loop names"
_METRICS = "not possible: the application, or a proxy in front, counts requests"
_STATIC = "use --static DIR:/mount"

#: granian's.
GRANIAN: Mapping[str, Foreign] = {
    "--backpressure": Foreign("use --limit-concurrency"),
    "--blocking-threads": Foreign("use --executor-threads"),
    "--blocking-threads-idle-timeout": Foreign("leave it out: threads stay"),
    "--env-files": Foreign("use --env-file, with one file"),
    "--http1-buffer-size": Foreign("use --limit-request-head"),
    # Not an alias: a time in milliseconds would be a thousand times as long.
    "--http1-header-read-timeout": Foreign("use --timeout-request-header, in seconds: 30 for 30000"),
    "--http1-keep-alive": Foreign("leave it out: connections are kept alive, --timeout-keep-alive says for how long"),
    "--no-http1-keep-alive": Foreign("not possible: --timeout-keep-alive 1 closes those that are idle soon"),
    "--http1-pipeline-flush": Foreign("leave it out: what is answered at once is written at once"),
    "--no-http1-pipeline-flush": Foreign("leave it out: what is answered at once is written at once"),
    "--log": Foreign("leave it out: the server writes a log, --log-level says how much"),
    "--no-log": Foreign("use --log-level critical and --no-access-log"),
    **dict.fromkeys(
        ("--metrics", "--no-metrics", "--metrics-address", "--metrics-port", "--metrics-scrape-interval"),
        Foreign(_METRICS),
    ),
    "--no-ws": Foreign("use --ws none"),
    "--process-name": Foreign(_NAME),
    "--reload-ignore-dirs": Foreign("use --reload-exclude"),
    "--reload-ignore-paths": Foreign("use --reload-exclude"),
    "--reload-ignore-patterns": Foreign("use --reload-exclude, with patterns such as *.tmp"),
    "--reload-ignore-worker-failure": Foreign("leave it out: --reload waits for the next change"),
    "--no-reload-ignore-worker-failure": Foreign("leave it out: --reload waits for the next change"),
    "--reload-paths": Foreign("use --reload-dir"),
    "--reload-tick": Foreign("use --reload-delay, in seconds"),
    "--respawn-failed-workers": Foreign("leave it out: a worker that dies is replaced"),
    "--no-respawn-failed-workers": Foreign("not possible: a worker that dies is replaced"),
    "--respawn-interval": Foreign("leave it out: workers that die over and over are replaced more and more slowly"),
    "--rss-sample-interval": Foreign("leave it out: --workers-max-rss is looked at each second"),
    "--rss-samples": Foreign("leave it out: --workers-max-rss is looked at each second"),
    "--runtime-blocking-threads": Foreign(_ONE_LOOP),
    "--runtime-mode": Foreign(_ONE_LOOP),
    "--runtime-threads": Foreign(_ONE_LOOP),
    "--task-impl": Foreign(_ONE_LOOP),
    "--ssl-ca": Foreign("use --ssl-ca-certs"),
    "--ssl-certificate": Foreign("use --ssl-certfile"),
    "--ssl-client-verify": Foreign("use --ssl-cert-reqs required"),
    "--no-ssl-client-verify": Foreign("leave it out: it is so by default"),
    "--ssl-crl": Foreign("use --ssl-context-factory, which can load lists of revoked certificates"),
    "--ssl-protocol-min": Foreign("use --ssl-min-version 1.2 or 1.3"),
    "--static-path-dir-to-file": Foreign("use --index"),
    "--static-path-expires": Foreign("use --cache-control, such as --cache-control *=max-age=86400"),
    "--static-path-mount": Foreign(_STATIC),
    "--static-path-route": Foreign(_STATIC),
    "--uds-permissions": Foreign("use --uds-mode"),
    "--url-path-prefix": Foreign("use --root-path"),
    "--workers-kill-timeout": Foreign("use --timeout-graceful-shutdown"),
    "--working-dir": Foreign(_DIRECTORY),
}

#: Of --ws: other names for the same.
WEBSOCKET_NAMES: Mapping[str, str] = {"websockets-sansio": "websockets"}


def loop_advice(word: str) -> str:
    """What is said of the value *word* of ``--loop``; empty if nothing is known of it."""
    return "leave --loop out, auto is the fastest one installed" if word in ("zuvloop", "rloop", "winloop") else ""


def parser_advice(word: str) -> str:
    """What is said of the value *word* of ``--http``; empty if nothing is known of it."""
    if word in ("1", "2"):
        return "leave --http out, it names the parser, and HTTP/1.1 is spoken"
    return "leave --http out, all parsers mean the same" if word == "zttp" else ""


def websocket_advice(word: str) -> str:
    """What is said of the value *word* of ``--ws``; empty if nothing is known of it."""
    return "leave --ws out, applications notice no difference" if word == "wsproto" else ""


def worker_class_advice(word: str) -> str:
    """What is said of the value *word* of ``--worker-class``; empty if nothing is known of it."""
    if word.endswith("worker"):
        return "leave it out, every worker runs ASGI applications"
    if word in ("sync", "gthread", "gevent", "eventlet", "tornado", "asgi", "asyncio", "uvloop", "trio"):
        return "leave it out, every worker runs ASGI applications in an event loop; --loop says which"
    return ""
