"""What is asked of servers over TLS 1.3: requests on connections that are kept, and one handshake after the other."""

import dataclasses
from collections.abc import Sequence

from . import apps
from .certificates import KeyKind
from .exchange import Exchange, request
from .workload import Family, Workload

TLS_HELLO_NAME = "tls-hello"
HANDSHAKES_NAME = "tls-handshakes"
HANDSHAKES_RSA_NAME = "tls-handshakes-rsa"


def _hello(_prefix: str) -> Sequence[Exchange]:
    return [Exchange(request("GET", "/"), apps.HELLO)]


def _hello_and_close(_prefix: str) -> Sequence[Exchange]:
    return [Exchange(request("GET", "/", "Connection: close"), apps.HELLO)]


_HELLO = Workload(
    TLS_HELLO_NAME, "hello over TLS 1.3", _hello, Family.TLS, key=KeyKind.P256, requires="trustme", warm_up_seconds=1.0
)
_HANDSHAKES = dataclasses.replace(
    _HELLO,
    name=HANDSHAKES_NAME,
    title="a full handshake of TLS 1.3 and one hello, ECDSA P-256",
    exchanges=_hello_and_close,
    unit="handshake",
    is_connection_each=True,
    # Each a thread of the load: enough for the server to have the next one waiting.
    connections=16,
)

TLS_WORKLOADS: tuple[Workload, ...] = (
    _HELLO,
    _HANDSHAKES,
    dataclasses.replace(
        _HANDSHAKES,
        name=HANDSHAKES_RSA_NAME,
        title="a full handshake of TLS 1.3 and one hello, RSA 2048",
        key=KeyKind.RSA_2048,
    ),
)
