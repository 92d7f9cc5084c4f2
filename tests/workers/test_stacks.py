"""Reports of what a worker is doing, with threads that stand still in functions whose names are looked for."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from miniasgi.server.service import RunningRequest
from miniasgi.workers.serving import stacks
from miniasgi.workers.serving.stacks import report, stack_of_all

NOBODY = -1  # no thread's number


class FakeServer:
    """What a report asks of a server."""

    def __init__(self, *running: RunningRequest, more: int = 0, error: str = "") -> None:
        self._answer = list(running), more
        self._error = error

    def running_requests(self) -> tuple[list[RunningRequest], int]:
        if self._error:
            raise RuntimeError(self._error)
        return self._answer


Stand = Callable[..., threading.Thread]


@pytest.fixture
def stand() -> Iterator[Stand]:
    """Starts a thread that stands still in a function called here_it_stands, below *depth* calls of deeper."""
    goes_on = threading.Event()
    threads: list[threading.Thread] = []

    def start(name: str = "patient", depth: int = 0) -> threading.Thread:
        arrived = threading.Event()

        def here_it_stands() -> None:
            arrived.set()
            goes_on.wait()

        def deeper(left: int) -> None:
            if left % 2:  # in two lines, so that they are not shown as one that is repeated
                deeper(left - 1)
            elif left:
                deeper(left - 1)
            else:
                here_it_stands()

        def where_it_began() -> None:
            deeper(depth)

        threads.append(threading.Thread(target=where_it_began, name=name, daemon=True))
        threads[-1].start()
        assert arrived.wait(10)
        return threads[-1]

    yield start
    goes_on.set()
    for thread in threads:
        thread.join(10)


def of(server: Any, thread: threading.Thread | None = None, *, all_threads: bool = False) -> list[str]:
    ident = NOBODY if thread is None else thread.ident
    assert ident is not None
    return report(server, ident, all_threads=all_threads).split("\n")


# Requests


def test_requests_are_listed_with_their_age() -> None:
    server = FakeServer(RunningRequest("GET", "/slow?a=b", 12.6), RunningRequest("POST", "/", 0.2), more=3)
    assert of(server) == [
        "requests that are running:",
        "  GET /slow?a=b for 13 s",
        "  POST / for 0 s",
        "  and 3 more",
    ]


def test_no_request_is_said_too() -> None:
    assert of(FakeServer()) == ["no request is running"]


def test_requests_that_change_too_fast_are_no_reason_to_give_up(stand: Stand) -> None:
    lines = of(FakeServer(error="they change"), stand())
    assert lines[0] == "they change"
    assert any("here_it_stands" in line for line in lines)


def test_a_long_target_does_not_fill_the_log() -> None:
    target = "/" + "x" * 8000
    assert of(FakeServer(RunningRequest("GET", target, 1.0)))[1:] == [f"  GET {target[:200]} for 1 s"]
    target = target[:200]
    assert of(FakeServer(RunningRequest("GET", target, 1.0)))[1:] == [f"  GET {target} for 1 s"]


# Stacks


def test_the_stack_of_the_event_loop_is_shown_from_outside_to_where_it_is(stand: Stand) -> None:
    thread = stand("main thread")
    stand("another")
    lines = of(FakeServer(), thread)
    assert lines[1] == "the event loop (main thread) is at:"
    text = "\n".join(lines)
    assert text.index("in where_it_began") < text.index("in deeper") < text.index("in here_it_stands")
    assert "goes_on.wait()" in text
    assert "another" not in text


def test_other_threads_are_shown_where_asked_for_but_not_the_one_that_asks(stand: Stand) -> None:
    thread = stand("loop")
    stand("another")
    lines = of(FakeServer(), thread, all_threads=True)
    heads = [line for line in lines if line.endswith(") is at:")]
    assert heads[0] == "the event loop (loop) is at:"
    assert "a thread (another) is at:" in heads
    assert len(set(heads)) == len(heads)
    assert not any(threading.current_thread().name in head for head in heads)


def test_a_loop_whose_thread_has_ended_has_no_stack() -> None:
    assert of(FakeServer()) == ["no request is running"]


def test_of_a_deep_stack_the_innermost_frames_are_shown(stand: Stand) -> None:
    lines = of(FakeServer(), stand(depth=300))
    frames = [line for line in lines if line.startswith('  File "')]
    assert len(frames) == 100
    assert not any("where_it_began" in frame for frame in frames)
    assert any("here_it_stands" in frame for frame in frames)


def test_of_many_threads_some_are_shown_and_the_others_counted(stand: Stand) -> None:
    for number in range(60):
        stand(f"number {number}")
    lines = of(FakeServer(), all_threads=True)
    assert len([line for line in lines if line.endswith(") is at:")]) == 50
    counted = re.fullmatch(r"and (\d+) threads more", lines[-1])
    assert counted is not None
    assert int(counted[1]) >= 10  # whatever else runs in the process of the tests is counted as well


def test_a_report_fits_into_a_message(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    thread = stand()
    whole = "\n".join(of(FakeServer(), thread))
    monkeypatch.setattr(stacks, "_MOST_CHARACTERS", len(whole))
    assert "\n".join(of(FakeServer(), thread)) == whole
    monkeypatch.setattr(stacks, "_MOST_CHARACTERS", len(whole) - 1)
    assert "\n".join(of(FakeServer(), thread)) == f"{whole[:-1]}\nand more"


def test_the_stacks_of_all_threads_can_be_had_without_a_server(stand: Stand) -> None:
    stand("one")
    stand("two")
    lines = stack_of_all()
    assert "a thread (one) is at:" in lines
    assert "a thread (two) is at:" in lines
    assert not any(threading.current_thread().name in line for line in lines if line.endswith(") is at:"))
