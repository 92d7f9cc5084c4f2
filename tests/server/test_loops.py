"""Event loops by name, and what is said where one cannot be had."""

from __future__ import annotations

import asyncio
import sys

import pytest

from miniasgi.errors import StartupError
from miniasgi.server.loops import loop_factory


def make_loop() -> asyncio.AbstractEventLoop:
    return asyncio.SelectorEventLoop()


def make_nothing() -> None: ...


def fail() -> None:
    raise RuntimeError("no loop today")


def make_loop_of(name: str) -> asyncio.AbstractEventLoop:
    raise AssertionError("it is not called: it wants an argument")


def module_of(name: str) -> str:
    loop = loop_factory(name)()
    try:
        return type(loop).__module__.partition(".")[0]
    finally:
        loop.close()


def test_a_loop_is_what_its_name_says(loop_name: str) -> None:
    assert module_of(loop_name) == loop_name


def test_each_call_makes_a_new_loop(loop_name: str) -> None:
    factory = loop_factory(loop_name)
    loops = [factory(), factory()]
    assert loops[0] is not loops[1]
    for loop in loops:
        loop.close()


def test_auto_is_uvloop_where_it_is_installed() -> None:
    pytest.importorskip("uvloop", reason="the package uvloop is not installed")
    assert module_of("auto") == "uvloop"


def test_auto_is_asyncio_where_uvloop_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert module_of("auto") == "asyncio"


def test_uvloop_by_name_where_it_is_missing_is_a_startup_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    with pytest.raises(StartupError, match="--loop uvloop: the package uvloop is not installed"):
        loop_factory("uvloop")


def test_the_users_own_factory_is_called() -> None:
    assert module_of(f"{__name__}:make_loop") == "asyncio"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("make_nothing", "returned an object of type NoneType, expected an event loop"),
        ("fail", "failed: RuntimeError: no loop today"),
    ],
)
def test_a_factory_that_makes_no_loop_is_a_startup_error(name: str, expected: str) -> None:
    factory = loop_factory(f"{__name__}:{name}")
    with pytest.raises(StartupError) as raised:
        factory()
    assert str(raised.value) == f"event loop factory '{__name__}:{name}': {expected}"
    assert ("in fail" in raised.value.details) is (name == "fail")


@pytest.mark.parametrize(
    "name",
    ["no_such_module:make", *(f"{__name__}:{each}" for each in ("no_such_attribute", "__doc__", "make_loop_of"))],
)
def test_a_factory_that_cannot_be_had_is_a_startup_error(name: str) -> None:
    with pytest.raises(StartupError) as raised:
        loop_factory(name)
    assert "\n" not in str(raised.value)
