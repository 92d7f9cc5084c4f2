"""When changes are told: once, complete, soon, and without costing much while there are none."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from miniasgi.workers.watching import source_watch
from miniasgi.workers.watching.source_files import Snapshot
from miniasgi.workers.watching.source_watch import SourceWatch

ROOT = os.path.abspath("src")


def snapshot(**sizes: int) -> Snapshot:
    """Files in ROOT by the first part of their names, with their sizes."""
    return {os.path.join(ROOT, f"{name}.py"): (1, size, 1) for name, size in sizes.items()}


class Clock:
    """Time that passes only when somebody waits, and CPU time that only looks take; an Event besides."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.cpu = 0.0
        self._is_set = False

    def wait(self, seconds: float) -> bool:
        if not self._is_set:
            self.waits.append(seconds)
        return self._is_set

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True


class Looks:
    """SourceFiles that finds what it is told to, look by look; after the last of them, the clock is stopped."""

    def __init__(self, clock: Clock, *found: Snapshot, cost: float = 0.0, tops: Callable[[], Any] = dict) -> None:
        self.found = list(found)
        self.tops = tops
        self._clock = clock
        self._cost = cost

    def look(self) -> Snapshot:
        self._clock.cpu += self._cost
        found = self.found.pop(0)
        if not self.found:
            self._clock.set()
        return found

    def concerns(self, path: str) -> bool:
        return path.endswith(".py")

    def is_top(self, path: str) -> bool:
        return path in self.tops()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(source_watch, "thread_time", lambda: clock.cpu)
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    return clock


def told(clock: Clock, *found: Snapshot, cost: float = 0.0, tops: Callable[[], Any] = dict) -> list[list[str]]:
    """What a watch tells that finds these, one look after the other, and one more in which nothing changes."""
    calls: list[list[str]] = []
    watch = SourceWatch([ROOT], include=[], exclude=[], delay=0.25, notify=calls.append)
    watch._files = Looks(clock, *found, found[-1], cost=cost, tops=tops)  # type: ignore[assignment]
    watch._stopped = clock  # type: ignore[assignment]
    watch._seen = watch._files.look()
    watch._run()
    return calls


def test_nothing_is_told_while_nothing_changes(clock: Clock) -> None:
    assert told(clock, snapshot(a=1), snapshot(a=1), snapshot(a=1)) == []
    assert clock.waits == [0.25, 0.25, 0.25]


def test_what_is_changed_added_and_removed_is_told_in_order(clock: Clock) -> None:
    before, after = snapshot(a=1, b=1, d=1), snapshot(d=2, c=1, b=1)
    assert told(clock, before, after, after) == [["src/a.py", "src/c.py", "src/d.py"]]


def test_a_change_is_told_when_two_looks_agree(clock: Clock) -> None:
    half, whole = snapshot(a=0), snapshot(a=9)
    assert told(clock, snapshot(a=1), half, whole, whole) == [["src/a.py"]]
    assert clock.waits == [0.25, 0.1, 0.1, 0.25]


def test_changes_in_a_burst_are_told_together(clock: Clock) -> None:
    first, second, third = snapshot(a=2, b=1, c=1), snapshot(a=2, b=2, c=1), snapshot(a=2, b=2)
    assert told(clock, snapshot(a=1, b=1, c=1), first, second, third, third) == [["src/a.py", "src/b.py", "src/c.py"]]


def test_changes_one_after_the_other_are_told_each(clock: Clock) -> None:
    first, second = snapshot(a=2, b=1), snapshot(a=2, b=2)
    assert told(clock, snapshot(a=1, b=1), first, first, second, second) == [["src/a.py"], ["src/b.py"]]


def test_a_file_that_is_gone_for_a_moment_is_not_told(clock: Clock) -> None:
    assert told(clock, snapshot(a=1), snapshot(), snapshot(a=1), snapshot(a=1)) == []
    assert told(Clock(), snapshot(a=1), snapshot(a=1, b=1), snapshot(a=1), snapshot(a=1)) == []


def test_what_never_comes_to_rest_is_told_in_the_end(clock: Clock) -> None:
    assert told(clock, *(snapshot(a=size) for size in range(22))) == [["src/a.py"]]
    assert clock.waits == [0.25, *[0.1] * 20, 0.25]


def test_nothing_is_told_once_it_is_stopped(clock: Clock) -> None:
    # The clock stops with the last look, which is the one that agrees.
    assert told(clock, snapshot(a=1), snapshot(a=2)) == []


def test_nothing_is_looked_at_once_it_is_stopped(clock: Clock) -> None:
    # The clock stops with the look that finds the change; another would find the list empty.
    watch = SourceWatch([ROOT], include=[], exclude=[], delay=0.25, notify=lambda paths: pytest.fail(str(paths)))
    watch._files = Looks(clock, snapshot(a=2))  # type: ignore[assignment]
    watch._stopped = clock  # type: ignore[assignment]
    watch._run()
    assert clock.waits == [0.25]


@pytest.mark.parametrize(("cost", "pause"), [(0.001, 0.25), (0.005, 0.5), (0.0625, 6.25), (0.2, 10.0)])
def test_looks_are_a_hundred_times_further_apart_than_they_are_long(cost: float, pause: float, clock: Clock) -> None:
    told(clock, *[snapshot(a=1)] * 3, cost=cost)
    assert clock.waits == [0.25, pytest.approx(pause), pytest.approx(pause)]


@pytest.mark.parametrize(("cost", "is_said"), [(0.0099, False), (0.07, True)])
def test_that_looking_takes_long_is_said_once(
    cost: float, is_said: bool, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "miniasgi.server"):
        told(clock, *[snapshot(a=1)] * 4, cost=cost)
    message = (
        "looking for changed files takes 70 ms, so it is done every 7.0 s only; "
        "with the watchfiles package installed they are noticed at once"
    )
    records = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert records == ([("INFO", message)] if is_said else [])


def test_a_path_is_told_as_it_is_where_that_is_shorter(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = {"/x.py": (1, 1, 1)}, {"/x.py": (2, 1, 1)}
    assert told(clock, before, after, after) == [["/x.py"]]

    def gone(path: str) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(source_watch.os.path, "relpath", gone)
    assert told(Clock(), snapshot(a=1), snapshot(a=2), snapshot(a=2)) == [[os.path.join(ROOT, "a.py")]]


class Watchfiles:
    """The package, as far as it is used: tells the given batches, one list of them for each time it is asked.

    An exception among them is raised. The end of a list is a place where it must not be asked for more.
    """

    def __init__(self, *calls: list[Any]) -> None:
        self.calls = list(calls)
        self.paths: list[tuple[str, ...]] = []
        self.options: dict[str, Any] = {}

    def watch(self, *paths: str, watch_filter: Callable[[object, str], bool], **options: Any) -> Iterator[Any]:
        self.paths.append(paths)
        self.options = options
        for batch in self.calls.pop(0):
            if options["stop_event"].is_set():
                return
            if isinstance(batch, Exception):
                raise batch
            left = {(1, path) for path in batch if watch_filter(1, path)}
            # As it is with a timeout: nothing; but what was filtered out is not told at all.
            if left or not batch:
                yield left
        if not options["stop_event"].is_set():
            pytest.fail("watchfiles was asked for more than there was")


@pytest.fixture
def installed(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Watchfiles]:
    def install(*calls: list[Any]) -> Watchfiles:
        package = Watchfiles(*calls)
        monkeypatch.setitem(sys.modules, "watchfiles", SimpleNamespace(watch=package.watch))
        return package

    return install


def there() -> dict[str, Any]:
    return {ROOT: (1, 1)}


A, ONE, TWO = [os.path.join(ROOT, "a.py")], snapshot(a=1), snapshot(a=2)


def test_watchfiles_says_when_to_look(clock: Clock, installed: Callable[..., Watchfiles]) -> None:
    # At its beginning nothing has happened, nor a second later; then something for nobody, which is no look.
    package = installed([[], [], ["x.txt"], A, A, []])
    assert told(clock, ONE, ONE, TWO, TWO, tops=there) == [["src/a.py"]]
    assert clock.waits == [0.1]
    assert package.paths == [(ROOT,)]
    assert package.options == {
        "stop_event": clock,
        "rust_timeout": 1000,
        "yield_on_timeout": True,
        "debounce": 200,
        "ignore_permission_denied": True,
    }


def test_what_has_changed_before_watchfiles_was_ready_is_told(
    clock: Clock, installed: Callable[..., Watchfiles]
) -> None:
    installed([[], A, []])
    assert told(clock, ONE, TWO, TWO, tops=there) == [["src/a.py"]]


def test_directories_that_are_others_now_are_watched_anew(clock: Clock, installed: Callable[..., Watchfiles]) -> None:
    lib = os.path.abspath("lib")
    tops = iter([{ROOT: (1, 1)}, {ROOT: (1, 1)}, {ROOT: (1, 2)}, {ROOT: (1, 2)}, {ROOT: (1, 2), lib: (1, 3)}])
    latest: list[dict[str, Any]] = []

    def changing() -> dict[str, Any]:
        latest[:] = [next(tops, (latest or [{}])[0])]
        return latest[0]

    package = installed([[], []], [[]], [[], []])
    watch = SourceWatch([ROOT], include=[], exclude=[], delay=0.25, notify=lambda paths: pytest.fail(str(paths)))
    watch._files = Looks(clock, ONE, ONE, ONE, tops=changing)  # type: ignore[assignment]
    watch._stopped, watch._seen = clock, ONE  # type: ignore[assignment]
    watch._run()
    assert package.paths == [(ROOT,), (ROOT,), (ROOT, lib)]


def test_a_directory_that_was_removed_and_made_again_is_watched_anew(
    clock: Clock, installed: Callable[..., Watchfiles], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Looks, "concerns", lambda self, path: True)
    package = installed([[], [ROOT]], [[], []])
    assert told(clock, ONE, ONE, ONE, tops=there) == []
    assert package.paths == [(ROOT,), (ROOT,)]


def test_a_directory_that_is_missing_is_waited_for(clock: Clock, installed: Callable[..., Watchfiles]) -> None:
    tops = iter([{ROOT: None}, {ROOT: None}])
    package = installed([[], A])
    assert told(clock, ONE, {}, {}, {}, ONE, ONE, tops=lambda: next(tops, there())) == [["src/a.py"], ["src/a.py"]]
    assert clock.waits == [0.1, 1.0, 1.0, 0.1]
    assert package.paths == [(ROOT,)]


def test_a_directory_that_goes_before_it_is_watched_is_waited_for(
    clock: Clock, installed: Callable[..., Watchfiles]
) -> None:
    package = installed([FileNotFoundError()], [[], A])
    assert told(clock, ONE, {}, {}, ONE, ONE, tops=there) == [["src/a.py"], ["src/a.py"]]
    assert clock.waits == [0.1, 1.0, 0.1]
    assert package.paths == [(ROOT,), (ROOT,)]


def test_if_watchfiles_fails_the_files_are_looked_at(
    clock: Clock, installed: Callable[..., Watchfiles], caplog: pytest.LogCaptureFixture
) -> None:
    installed([[], OSError("OS file watch limit reached")])
    assert told(clock, ONE, ONE, TWO, TWO, tops=there) == [["src/a.py"]]
    assert clock.waits == [0.25, 0.1, 0.25]
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "watchfiles failed (OSError: OS file watch limit reached); looking at the files instead")
    ]


def test_a_watch_is_stopped_before_it_was_started_and_twice() -> None:
    watch = SourceWatch([ROOT], include=[], exclude=[], delay=60, notify=lambda paths: None)
    watch.stop()
    watch.start()
    watch.stop()
    watch.stop()
    assert not watch._thread.is_alive()


def test_a_look_that_does_not_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_watch, "_STOP_SECONDS", 0.01)
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    entered, ends = threading.Event(), threading.Event()

    def look() -> Snapshot:
        entered.set()
        ends.wait(10)
        return snapshot(a=2)

    watch = SourceWatch([], include=[], exclude=[], delay=0.01, notify=lambda paths: pytest.fail(str(paths)))
    watch.start()
    monkeypatch.setattr(watch._files, "look", look)
    assert entered.wait(10)
    watch.stop()
    assert watch._thread.is_alive()
    assert watch._thread.daemon
    ends.set()
    watch._thread.join(10)
    assert not watch._thread.is_alive()
