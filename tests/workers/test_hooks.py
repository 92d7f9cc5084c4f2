"""Hooks: how they are found and checked, how they are called, and what happens when one fails."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

from miniasgi.config import Config
from miniasgi.errors import StartupError
from miniasgi.workers.serving.hooks import HookContext, Hooks

CONTEXT = HookContext(Config(), "myapp:app", 2, 1234)
NAMES = ("start", "worker_start", "worker_stop", "stop")

Load = Callable[[str], Hooks]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Loads an object called hooks from a module with the given text, which is forgotten afterwards."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def load(source: str) -> Hooks:
        (tmp_path / "mine.py").write_text(source, encoding="utf-8")
        return Hooks.load("mine:hooks", str(tmp_path))

    yield load
    sys.modules.pop("mine", None)


def mine() -> Any:
    return sys.modules["mine"]


def call(hooks: Hooks, name: str) -> None:
    result: Awaitable[None] | None = getattr(hooks, name)(CONTEXT)
    if result is not None:

        async def wait() -> None:
            await result

        asyncio.run(wait())


def refusal(load: Load, source: str) -> str:
    with pytest.raises(StartupError) as caught:
        load(source)
    assert "\n" not in str(caught.value)
    start, _, reason = str(caught.value).partition(": ")
    assert start == "hooks 'mine:hooks'"
    return reason


# The context


def test_a_context_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        CONTEXT.worker = 3  # type: ignore[misc]


# Finding


def test_no_reference_means_nothing_is_done() -> None:
    before = sys.path[:]
    hooks = Hooks.load("", "somewhere")
    for name in NAMES:
        call(hooks, name)
    assert sys.path == before


FUNCTIONS = """
called = []
def on_start(context): called.append(("start", context))
async def on_worker_start(context): called.append(("worker_start", context))
def on_worker_stop(context): called.append(("worker_stop", context))
def on_stop(context): called.append(("stop", context))
"""
SHAPES = {
    "module": FUNCTIONS + "import sys\nhooks = sys.modules[__name__]\n",
    "object": FUNCTIONS + "import types\nhooks = types.SimpleNamespace(**globals())\n",
    "class": """
called = []
class hooks:
    def __init__(self): self.called = called
    def on_start(self, context): self.called.append(("start", context))
    @staticmethod
    async def on_worker_start(context): called.append(("worker_start", context))
    async def on_worker_stop(self, context): self.called.append(("worker_stop", context))
    @classmethod
    def on_stop(cls, context): called.append(("stop", context))
""",
    "callables": """
import functools
called = []
class Hook:
    def __init__(self, name): self.name = name
    def __call__(self, context): called.append((self.name, context))
class Waiting(Hook):
    async def __call__(self, context): called.append((self.name, context))
async def wait(name, context): called.append((name, context))
class hooks:
    on_start = Hook("start")
    on_worker_start = Waiting("worker_start")
    on_worker_stop = staticmethod(functools.partial(wait, "worker_stop"))
    on_stop = staticmethod(functools.partial(lambda name, context: called.append((name, context)), "stop"))
""",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_each_hook_is_called_with_the_context(load: Load, shape: str) -> None:
    hooks = load(SHAPES[shape])
    for name in NAMES:
        call(hooks, name)
    assert mine().called == [(name, CONTEXT) for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_any_one_hook_is_enough(load: Load, name: str) -> None:
    hooks = load(f"called = []\nclass hooks:\n    def on_{name}(self, context): called.append('{name}')\n")
    for each in NAMES:
        call(hooks, each)
    assert mine().called == [name]


def test_a_class_is_made_an_object_once(load: Load) -> None:
    hooks = load(
        "made = []\nclass hooks:\n    def __init__(self, more=None):\n        made.append(self)\n"
        "        self.on_start = self.on_stop = made.append\n"
    )
    call(hooks, "start")
    call(hooks, "stop")
    assert len(mine().made) == 3
    assert mine().made[1:] == [CONTEXT, CONTEXT]


def test_what_cannot_be_found_is_told_as_for_an_application(load: Load) -> None:
    assert refusal(load, "hoks = 1\n").endswith("has no attribute hooks; did you mean hoks?")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "hooks = 5\n",
            "an object of type int, expected one with any of on_start, on_worker_start, on_worker_stop, on_stop; "
            "it has none",
        ),
        (
            "class hooks:\n    def on_startup(self): ...\n    def worker_stop(self): ...\n    other = 1\n",
            "an object of type hooks, expected one with any of on_start, on_worker_start, on_worker_stop, on_stop; "
            "it has none, but on_startup, worker_stop",
        ),
        ("class hooks:\n    on_start = None\n", "on_start is an object of type NoneType, expected a function"),
        ("class hooks:\n    on_stop = 'x'\n", "on_stop is an object of type str, expected a function"),
        (
            "class hooks:\n    def __init__(self, name): ...\n",
            "class hooks needs arguments, expected one that can be made without",
        ),
        ("class hooks:\n    def on_stop(self): ...\n", "on_stop takes (), expected one argument, the context"),
        (
            "class hooks:\n    async def on_worker_stop(self, config, worker): ...\n",
            "on_worker_stop takes (config, worker), expected one argument, the context",
        ),
    ],
)
def test_what_are_no_hooks_is_refused(load: Load, source: str, expected: str) -> None:
    assert refusal(load, source) == expected


def test_no_more_than_five_names_are_offered(load: Load) -> None:
    source = "class hooks:\n" + "".join(f"    on_{letter} = 1\n" for letter in "abcdefg")
    assert refusal(load, source).endswith("it has none, but on_a, on_b, on_c, on_d, on_e")


PLAIN_EXPECTED = "is a coroutine function, expected a plain one: where it is called, no event loop runs"


@pytest.mark.parametrize("name", ["on_start", "on_stop"])
@pytest.mark.parametrize(
    "source",
    [
        "class hooks:\n    async def {name}(self, context): ...\n",
        "class Hook:\n    async def __call__(self, context): ...\nclass hooks:\n    {name} = Hook()\n",
        "import functools\nasync def f(*a): ...\nclass hooks:\n    {name} = staticmethod(functools.partial(f))\n",
    ],
)
def test_a_coroutine_function_is_refused_where_there_is_no_event_loop(load: Load, name: str, source: str) -> None:
    assert refusal(load, source.format(name=name)) == f"{name} {PLAIN_EXPECTED}"


@pytest.mark.parametrize("name", ["on_start", "on_worker_start"])
@pytest.mark.parametrize("kind", ["", "async "])
def test_a_generator_function_is_refused(load: Load, name: str, kind: str) -> None:
    source = f"class hooks:\n    {kind}def {name}(self, context): yield\n"
    assert refusal(load, source) == (
        f"{name} is a generator function, of which a call would run nothing; expected a function without yield"
    )


@pytest.mark.parametrize("statement", ["raise ValueError('no\\nway')", "raise SystemExit('no')"])
def test_a_class_of_which_no_object_can_be_made_shows_the_users_code(load: Load, statement: str) -> None:
    with pytest.raises(StartupError) as caught:
        load(f"class hooks:\n    def __init__(self):\n        {statement}\n")
    kind = statement.split("(")[0].split()[1]
    assert str(caught.value) == f"hooks 'mine:hooks': making one failed: {kind}: no"
    assert "line 3, in __init__" in caught.value.details
    assert "hooks.py" not in caught.value.details


@pytest.mark.parametrize("kind", ["ValueError", "SystemExit"])
def test_an_attribute_whose_reading_fails_shows_the_users_code(load: Load, kind: str) -> None:
    with pytest.raises(StartupError) as caught:
        load(f"class hooks:\n    @property\n    def on_stop(self):\n        raise {kind}('no')\n")
    assert str(caught.value) == f"hooks 'mine:hooks': reading on_stop failed: {kind}: no"
    assert "line 4, in on_stop" in caught.value.details
    assert "hooks.py" not in caught.value.details


# Failing


def failing(name: str, statement: str, kind: str = "") -> str:
    return (
        f"import asyncio\ndef helper():\n    {statement}\n"
        f"class hooks:\n    {kind}def on_{name}(self, context):\n        helper()\n"
    )


FAILURES = [
    ("raise ValueError('no\\nway')", "ValueError: no"),
    ("raise SystemExit(3)", "SystemExit: 3"),
]


@pytest.mark.parametrize(("name", "kind"), [("start", ""), ("worker_start", ""), ("worker_start", "async ")])
@pytest.mark.parametrize(("statement", "expected"), FAILURES)
def test_a_start_that_fails_shows_the_users_code(
    load: Load, name: str, kind: str, statement: str, expected: str
) -> None:
    hooks = load(failing(name, statement, kind))
    with pytest.raises(StartupError) as caught:
        call(hooks, name)
    assert str(caught.value) == f"hook on_{name} failed: {expected}"
    places = [line.split(", ", 1)[1] for line in caught.value.details.splitlines() if line.startswith("  File ")]
    assert places == [f"line 6, in on_{name}", "line 3, in helper"]


@pytest.mark.parametrize(("name", "kind"), [("stop", ""), ("worker_stop", ""), ("worker_stop", "async ")])
@pytest.mark.parametrize(("statement", "expected"), FAILURES)
def test_a_stop_that_fails_is_logged_with_the_users_code(
    load: Load, caplog: pytest.LogCaptureFixture, name: str, kind: str, statement: str, expected: str
) -> None:
    hooks = load(failing(name, statement, kind))
    call(hooks, name)
    [record] = caplog.records
    assert (record.name, record.levelname, record.message) == (
        "miniasgi.server",
        "ERROR",
        f"hook on_{name} failed",
    )
    assert "line 3, in helper" in caplog.text
    assert expected in caplog.text


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("error", [KeyboardInterrupt, asyncio.CancelledError])
def test_interrupts_and_cancellation_go_through(load: Load, name: str, error: type[BaseException]) -> None:
    raised = {KeyboardInterrupt: "KeyboardInterrupt", asyncio.CancelledError: "asyncio.CancelledError"}[error]
    hooks = load(failing(name, f"raise {raised}"))
    with pytest.raises(error):
        call(hooks, name)


def test_cancelling_who_waits_for_a_hook_cancels_the_hook(load: Load) -> None:
    hooks = load(
        "import asyncio\nended = []\nclass hooks:\n    async def on_worker_stop(self, context):\n"
        "        try:\n            await asyncio.Event().wait()\n        finally:\n            ended.append(1)\n"
    )

    async def main() -> None:
        task = asyncio.create_task(hooks.worker_stop(CONTEXT))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert mine().ended == [1]


DISGUISED = "async def f(context): ...\nclass hooks:\n    def on_{name}(self, context): return f(context)\n"
NO_LOOP = "TypeError: it returned an awaitable, and there is no event loop to run it"


@pytest.mark.filterwarnings("error")
def test_a_coroutine_where_there_is_no_event_loop_is_a_failure(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    hooks = load(DISGUISED.format(name="start"))
    with pytest.raises(StartupError) as caught:
        call(hooks, "start")
    assert str(caught.value) == f"hook on_start failed: {NO_LOOP}"
    call(load_again(load, DISGUISED.format(name="stop")), "stop")
    assert NO_LOOP in caplog.text


def load_again(load: Load, source: str) -> Hooks:
    del sys.modules["mine"]
    return load(source)


def test_a_coroutine_in_disguise_is_waited_for_where_there_is_an_event_loop(load: Load) -> None:
    hooks = load("called = []\n" + DISGUISED.format(name="worker_start").replace("...", "called.append(context)"))
    call(hooks, "worker_start")
    assert mine().called == [CONTEXT]
