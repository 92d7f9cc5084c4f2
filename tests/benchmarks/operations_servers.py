"""The servers to compare that differ in one option: this one with it and without, and uvicorn with its own.

What is measured is what the option costs, so all run on uvloop, and what they are measured by is this server without
any: no access log, nothing believed that is forwarded, no limit.
"""

from collections.abc import Mapping

from . import apps
from .operations_workloads import ACCESS_NAME, LIMITED_NAME, PROXIED_CLIENTS_NAME, PROXIED_NAME
from .server import ServerSpec, Start, module, uvicorn_command
from .workload import AccessLines, Family

MINIASGI_PLAIN = "miniasgi-plain"
MINIASGI_ACCESS_TEXT = "miniasgi-access-text"
MINIASGI_ACCESS_JSON = "miniasgi-access-json"
MINIASGI_PROXIED = "miniasgi-proxied"
MINIASGI_LIMITED = "miniasgi-limited"
UVICORN_OPERATIONS = "uvicorn-operations"

# More than the connections of the workload: every request passes at once.
LIMIT = 100
# Fewer: most requests have to wait.
LOW_LIMIT = 16
# Of uvicorn, which also counts tasks that have ended in this turn of the loop, and refuses where this server waits.
UVICORN_LIMIT = 1000

_UVICORN_BELIEVES = ("--proxy-headers", "--forwarded-allow-ips", "127.0.0.1")
_UVICORN_OPTIONS: Mapping[str, tuple[str, ...]] = {
    ACCESS_NAME: (),  # the workload says that there is a log
    PROXIED_NAME: _UVICORN_BELIEVES,
    PROXIED_CLIENTS_NAME: _UVICORN_BELIEVES,
    LIMITED_NAME: ("--limit-concurrency", str(UVICORN_LIMIT)),
}


def _miniasgi(
    name: str,
    only: tuple[str, ...],
    *options: str,
    access_lines: AccessLines = AccessLines.NONE,
    target: str = apps.IMMEDIATE_TARGET,
) -> ServerSpec:
    def command(start: Start) -> list[str]:
        access_log = "--no-access-log" if access_lines == AccessLines.NONE else "--access-log"
        common = ["--port", str(start.port), "--loop", "uvloop", access_log]
        if "--proxy-headers" not in options:
            common.append("--no-proxy-headers")
        return module("miniasgi", start.workload.app, *common, *options)

    required = ("miniasgi.__main__", "uvloop")
    return ServerSpec(name, required, command, Family.OPERATIONS, prefix=target, only=only, access_lines=access_lines)


def _limited(name: str, limit: int) -> ServerSpec:
    target = f"{apps.AT_MOST_TARGET}{limit}"
    return _miniasgi(name, (LIMITED_NAME,), "--limit-concurrency", str(limit), target=target)


def _uvicorn(start: Start) -> list[str]:
    return uvicorn_command(start.workload.app, start, "httptools", "uvloop", *_UVICORN_OPTIONS[start.workload.name])


OPERATIONS_SERVERS: tuple[ServerSpec, ...] = (
    _miniasgi(MINIASGI_PLAIN, ()),
    _miniasgi(MINIASGI_ACCESS_TEXT, (ACCESS_NAME,), access_lines=AccessLines.TEXT),
    _miniasgi(MINIASGI_ACCESS_JSON, (ACCESS_NAME,), "--log-format", "json", access_lines=AccessLines.JSON),
    _miniasgi(MINIASGI_PROXIED, (PROXIED_NAME, PROXIED_CLIENTS_NAME), "--proxy-headers", target=apps.FORWARDED_TARGET),
    _limited(MINIASGI_LIMITED, LIMIT),
    _limited("miniasgi-limited-low", LOW_LIMIT),
    ServerSpec(
        UVICORN_OPERATIONS,
        ("uvicorn", "httptools", "uvloop"),
        _uvicorn,
        Family.OPERATIONS,
        prefix=apps.FORWARDED_TARGET,
    ),
)
