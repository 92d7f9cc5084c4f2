"""A worker thread as its supervisor has it: what it says and is told, how it ends, what it logs."""

from __future__ import annotations

import asyncio
import io
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from miniasgi.config import Config
from miniasgi.errors import StartupError, UsageError
from miniasgi.observe.formatters import TextFormatter
from miniasgi.types import App, Receive, Scope, Send
from miniasgi.workers.kinds import thread as module
from miniasgi.workers.kinds.channel import Closed
from miniasgi.workers.kinds.thread import ThreadWorker
from miniasgi.workers.serving.spec import WorkerSpec
from miniasgi.workers.serving.worker import run_worker
from tests.server.apps import Gate, body, hello, start
from tests.support import ask, connect, descriptors

from .fakes import hear, loggers_kept

Start = Callable[..., ThreadWorker]

# 20,000 messages; no pair of sockets holds so much.
MORE_THAN_FITS = 20_000


@pytest.fixture
def start_worker() -> Iterator[Start]:
    """Starts worker threads with a pool for them; all have ended, and left no file open, after the test."""
    before = descriptors()
    workers: list[ThreadWorker] = []
    pool = ThreadPoolExecutor(1, "shared")

    def begin(app: App | str = hello, number: int = 2, **options: Any) -> ThreadWorker:
        # Not uvloop: libuv keeps a descriptor in reserve from the first time on.
        config = Config(**{"lifespan": "off", "access_log": False, "loop": "asyncio", **options})
        workers.append(ThreadWorker(WorkerSpec(app, config, number), pool))
        return workers[-1]

    with loggers_kept():
        yield begin
        for worker in workers:
            worker.tell("stop", force=True, patient=False)
            ended(worker)
            worker.close()
        for each in threading.enumerate():
            if each.name.startswith(("miniasgi worker", "worker ")):
                each.join(10)
    pool.shutdown()
    assert descriptors() == before


def ended(worker: ThreadWorker) -> int | None:
    """Its status at the moment in which it has said all."""
    try:
        while True:
            hear(worker.channel, "nothing")
    except Closed:
        return worker.exit_status()


def given(worker: ThreadWorker) -> int:
    """The port of a socket that *worker* has been told to accept from."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        worker.tell("listen", [one], place=2)
        return int(one.getsockname()[1])


# Its life


def test_a_thread_is_ready_and_ends_when_it_is_told_to(start_worker: Start) -> None:
    worker = start_worker()
    assert hear(worker.channel, "ready")["loop"] == "asyncio"
    assert set(hear(worker.channel, "beat")["vitals"]) == {"requests", "running", "connections"}
    assert worker.exit_status() is None
    worker.tell("stop", force=False, patient=False)
    assert ended(worker) == 0


def test_a_thread_serves_what_it_is_told_to_accept_from(start_worker: Start) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        await body(send, threading.current_thread().name.encode())

    worker = start_worker(app)
    hear(worker.channel, "ready")
    assert ask(given(worker)).endswith(b"miniasgi worker 2")


def test_what_blocks_goes_to_the_pool_that_threads_share(start_worker: Start) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        name = await asyncio.to_thread(lambda: threading.current_thread().name)
        await start(send)
        await body(send, name.encode())

    worker = start_worker(app)
    hear(worker.channel, "ready")
    assert ask(given(worker)).endswith(b"shared_0")


def test_a_report_is_about_its_own_loop_alone(start_worker: Start) -> None:
    gate = Gate()
    worker, other = start_worker(gate, 1), start_worker(hello, 2)
    hear(other.channel, "ready")
    hear(worker.channel, "ready")
    with connect(given(worker)) as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
        while True:  # until its request has come
            worker.tell("report")
            text = hear(worker.channel, "report")["text"]
            if "no request is running" not in text:
                break
    assert "GET /slow for 0 s\nthe event loop (miniasgi worker 1) is at:\n" in text
    assert "a thread (" not in text


def test_a_thread_is_told_apart_by_its_number_and_no_signal_reaches_it(start_worker: Start) -> None:
    worker = start_worker()
    (thread,) = [each for each in threading.enumerate() if each.name == "miniasgi worker 2"]
    assert thread.daemon  # one that hangs does not keep the process
    assert worker.name == f"thread {thread.native_id}"
    assert worker.pid == 0
    assert worker.signal(9) is False
    assert worker.fileno() == worker.channel.fileno()


# Its end


@pytest.mark.parametrize(("error", "status"), [(StartupError("no app", "Traceback"), 3), (UsageError("no parser"), 2)])
def test_why_a_thread_cannot_start_is_said_and_is_its_status(
    start_worker: Start, monkeypatch: pytest.MonkeyPatch, error: StartupError, status: int
) -> None:
    def fail(*arguments: Any, **options: Any) -> bool:
        raise error

    monkeypatch.setattr(module, "run_worker", fail)
    worker = start_worker()
    said = hear(worker.channel, "failed")
    assert (said["message"], said["details"], said["status"]) == (str(error), error.details, status)
    assert ended(worker) == status


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(0), KeyboardInterrupt()])
def test_whatever_else_ends_its_loop_is_logged_and_a_failure(
    start_worker: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    def fail(*arguments: Any, **options: Any) -> bool:
        raise error

    monkeypatch.setattr(module, "run_worker", fail)
    worker = start_worker()
    assert ended(worker) == 1
    (record,) = caplog.records
    assert (record.levelname, record.getMessage()) == ("ERROR", "the event loop of worker 2 has failed")
    assert record.exc_info is not None and record.exc_info[1] is error


def test_a_thread_that_is_stopped_before_its_loop_runs_ends_all_the_same(
    start_worker: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes = threading.Event()

    def slowly(*arguments: Any, **options: Any) -> bool:
        assert goes.wait(10)
        return run_worker(*arguments, **options)

    monkeypatch.setattr(module, "run_worker", slowly)
    worker = start_worker()
    worker.tell("stop", force=False, patient=False)
    goes.set()
    assert ended(worker) == 0


def test_one_that_has_ended_is_told_in_vain(start_worker: Start) -> None:
    worker = start_worker()
    hear(worker.channel, "ready")
    worker.tell("stop", force=True, patient=False)
    assert ended(worker) == 0
    worker.tell("want", number=1)
    worker.tell("stop", force=True, patient=False)
    assert worker.exit_status() == 0


def test_one_that_does_not_listen_holds_nobody_up(start_worker: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.Remote, "begin", lambda self, name: None)
    goes = threading.Event()
    monkeypatch.setattr(module, "run_worker", lambda *arguments, **options: goes.wait(20))
    worker = start_worker()

    def tell() -> None:
        for _ in range(MORE_THAN_FITS):
            worker.tell("forget", place=1)

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    thread.join(20)
    goes.set()
    assert not thread.is_alive()


# What it logs


def test_its_lines_have_its_name(start_worker: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(TextFormatter())

    def say(*arguments: Any, **options: Any) -> bool:
        logging.getLogger("miniasgi.server").error("hello")
        return True

    monkeypatch.setattr(module, "run_worker", say)
    logger = logging.getLogger("miniasgi.server")
    logger.addHandler(handler)
    try:
        assert ended(start_worker()) == 0
        logger.error("from outside")
    finally:
        logger.removeHandler(handler)
    lines = handler.stream.getvalue().splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == ["error worker 2: hello", "error from outside"]


def test_a_thread_that_cannot_be_started_leaves_nothing_open(
    start_worker: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    before = descriptors()
    monkeypatch.setattr(threading.Thread, "start", fail)
    with pytest.raises(StartupError, match="cannot start a worker thread: can't start new thread"):
        start_worker()
    assert descriptors() == before
