"""What is asked of servers that differ in one option: what an access log, a proxy in front, or a limit costs."""

import dataclasses
import functools
import random
from collections.abc import Sequence

from . import apps
from .exchange import Exchange, request
from .workload import Family, Workload

ACCESS_NAME = "access-json"
PROXIED_NAME = "proxied"
PROXIED_CLIENTS_NAME = "proxied-clients"
LIMITED_NAME = "limited"

# More than a server would remember: a proxy's connections carry everybody's requests.
CLIENTS = 4096
_SEED = 7239


def _hello(_prefix: str) -> Sequence[Exchange]:
    return [Exchange(request("GET", "/"), apps.HELLO)]


def _waiting(prefix: str) -> Sequence[Exchange]:
    return [Exchange(request("GET", prefix), apps.HELLO)]


def _proxied(prefix: str) -> Sequence[Exchange]:
    """The fields that nginx adds, in front of a server that is asked by the whole path *prefix*."""
    return [Exchange(_request_of(f"{apps.CLIENT_PREFIX}7.9", prefix), apps.HELLO)]


@functools.cache
def _proxied_clients(prefix: str) -> Sequence[Exchange]:
    chance = random.Random(_SEED)
    clients = (f"{apps.CLIENT_PREFIX}{number >> 8}.{number & 255}" for number in chance.sample(range(1 << 16), CLIENTS))
    return [Exchange(_request_of(client, prefix), apps.HELLO) for client in clients]


def _request_of(client: str, target: str) -> bytes:
    return request(
        "GET",
        target,
        "Via: 1.1 proxy.example",
        f"X-Real-IP: {client}",
        f"X-Forwarded-For: {client}",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: bench.example",
        "X-Forwarded-Port: 443",
    )


_PROXIED = Workload(
    PROXIED_NAME,
    "hello through a proxy, of one client",
    _proxied,
    Family.OPERATIONS,
    app="tests.benchmarks.apps:forwarded",
)

OPERATIONS_WORKLOADS: tuple[Workload, ...] = (
    Workload(ACCESS_NAME, "hello, with an access log and without", _hello, Family.OPERATIONS, access_log=True),
    _PROXIED,
    dataclasses.replace(
        _PROXIED,
        name=PROXIED_CLIENTS_NAME,
        title=f"hello through a proxy, of {CLIENTS:,} clients in turn",
        exchanges=_proxied_clients,
    ),
    Workload(
        LIMITED_NAME,
        "hello in the loop's next turn, running requests limited",
        _waiting,
        Family.OPERATIONS,
        app="tests.benchmarks.apps:waiting",
    ),
)
