"""What people type who come from other servers, and what they are told: flags and values that mean something else here.

A flag is here only if nothing would fit it, or something would that means something else; what other servers call
differently is an alias of the option itself (serving, operating). uvicorn's whole command line is in uvicorn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["GUNICORN", "WEBSOCKET_NAMES", "Foreign", "websocket_advice", "worker_class_advice"]


class Foreign(NamedTuple):
    """A flag of another server that is no option here.

    *advice* says what to use instead; empty where the flag is taken and nothing has to be done. *values*, if it takes
    one of them, has for each the advice, or nothing where it is taken.
    """

    advice: str = ""
    values: Mapping[str, str] | None = None


_DAEMON = "not possible: a service manager runs it in the background, such as systemd (docs/deployment.md)"
_USER = "not possible: start the server as this user, as systemd does with User= and Group="
_DIRECTORY = "use --app-dir to import APP from another directory; paths are relative to the current one"
_ENVIRONMENT = "use --env-file, or set the variable before the command"
_SHORT_OF_THREADS = "leave it out: an ASGI application needs none, --executor-threads is for what blocks"
_NAME = "leave it out: processes are named after APP where the package setproctitle is installed"
_TEMPORARY = "leave it out: workers write no files to show that they live"
_HOOKS = "use --hooks, or the application's own logging"
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
    "--http-protocols": Foreign("not possible: HTTP/1.1 is spoken; a proxy in front can speak HTTP/2 with clients"),
}

#: Of --ws: other names for the same.
WEBSOCKET_NAMES: Mapping[str, str] = {"websockets-sansio": "websockets"}


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
