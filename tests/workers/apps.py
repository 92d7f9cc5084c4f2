"""Small applications that the tests of workers serve, and their hooks, in processes of their own."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from miniasgi.types import Receive, Scope, Send
from tests.server.apps import body, start


def say(*words: object) -> None:
    """Tell the test, which reads standard error; in one piece, because several processes write there."""
    sys.stderr.write(" ".join(map(str, words)) + "\n")
    sys.stderr.flush()


async def answer(send: Send, content: bytes) -> None:
    await start(send, 200, (b"content-length", b"%d" % len(content)))
    await body(send, content)


async def pid(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the number of its process."""
    assert scope["type"] == "http"
    await answer(send, b"%d" % os.getpid())


# What hangs


def sleep() -> None:
    time.sleep(60)


def spin() -> None:
    while True:
        pass


def deadlock() -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def backtrack() -> None:
    # Tries 2**60 ways, all in C, which lets go of the interpreter for nobody.
    re.match("(a|a)*$", "a" * 60 + "b")


HANGS: dict[str, Callable[[], None]] = {
    "/sleep": sleep,
    "/spin": spin,
    "/deadlock": deadlock,
    "/backtrack": backtrack,
}


async def bad_days(scope: Scope, receive: Receive, send: Send) -> None:
    """What each path does is in its name; all others answer with the number of the process and the thread's name."""
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan")
    path = scope["path"]
    if path in HANGS:
        say("begin", path, os.getpid(), threading.current_thread().name)
        HANGS[path]()
    elif path == "/busy":
        # All of a CPU, but a little at a time.
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            step = time.monotonic() + 0.02
            while time.monotonic() < step:
                pass
            await asyncio.sleep(0)
        await answer(send, b"%d" % os.getpid())
    elif path == "/wait":
        say("begin", path, os.getpid())
        await asyncio.Event().wait()
    elif path == "/stream":
        draining = scope["extensions"]["miniasgi.draining"]["event"]
        await start(send, 200, (b"content-type", b"text/event-stream"))
        await body(send, b"data: hello\n\n", more=True)
        await draining.wait()
        await body(send, b"data: draining\n\n", more=True)
        while True:
            await body(send, b"data: again\n\n", more=True)
            await asyncio.sleep(0.01)
    elif path == "/last":
        say("begin", path, os.getpid())
        await scope["extensions"]["miniasgi.draining"]["event"].wait()
        await answer(send, b"the last one")
    elif path == "/thread":
        await answer(send, f"{os.getpid()} {threading.current_thread().name}".encode())
    elif path == "/log":
        logging.getLogger("tests.workers").warning("logged by %d", os.getpid())
        await answer(send, b"%d" % os.getpid())
    else:
        await answer(send, b"%d" % os.getpid())


def logging_to_file() -> Any:
    """Makes bad_days, with a log in the file that the environment names."""
    handler = logging.FileHandler(os.environ["TESTS_LOG"])
    handler.setFormatter(logging.Formatter("%(message)s"))
    log = logging.getLogger("tests.workers")
    log.addHandler(handler)
    log.propagate = False
    return bad_days


# What does not start


async def failing(scope: Scope, receive: Receive, send: Send) -> None:
    """Its start-up fails."""
    assert scope["type"] == "lifespan"
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "the database is on holiday"})


async def dying(scope: Scope, receive: Receive, send: Send) -> None:
    """Its start-up is the end of its process."""
    os.kill(os.getpid(), signal.SIGKILL)


# Hooks


class Hooks:
    """Tell the test when they are called, with which worker, and where."""

    def on_start(self, context: Any) -> None:
        say("hook on_start", context.worker, os.getpid())

    async def on_worker_start(self, context: Any) -> None:
        say("hook on_worker_start", context.worker, os.getpid())

    async def on_worker_stop(self, context: Any) -> None:
        say("hook on_worker_stop", context.worker, os.getpid())

    def on_stop(self, context: Any) -> None:
        say("hook on_stop", context.worker, os.getpid())


class FailingHooks:
    """The worker's own fails."""

    async def on_worker_start(self, context: Any) -> None:
        raise RuntimeError("this hook is rusty")


class LateHooks:
    """Sends its own process the signal that the environment names, when nearly all is over."""

    def on_stop(self, context: Any) -> None:
        say("on_stop begins")
        signal.raise_signal(signal.Signals[os.environ["TESTS_LATE"]])
        say("on_stop has ended")
