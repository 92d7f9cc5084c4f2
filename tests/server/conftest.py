"""Fixtures for connections without a socket, and the applications that most tests serve."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from tests.support import Wire

MakeWire = Callable[..., Wire]


@pytest.fixture
def make_wire() -> Iterator[MakeWire]:
    """Makes a Wire for an application and options; at the end, whatever is open is lost and all books are empty."""
    loop = asyncio.SelectorEventLoop()
    wires: list[Wire] = []

    def make(app: object, **options: object) -> Wire:
        wires.append(Wire(loop, app, **options))  # type: ignore[arg-type]  # any callable will do
        return wires[-1]

    yield make
    for wire in wires:
        if not wire.lost:
            wire.lose()
    for wire in wires:
        for exchange in list(wire.service.running):
            assert exchange.task is not None
            exchange.task.cancel()
        wire.turn()
        assert not wire.service.connections
        assert not wire.service.running
        assert wire.service.opened == 0
    loop.close()
