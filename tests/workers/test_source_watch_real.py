"""A watch of real files, with watchfiles where it is installed, and without."""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from miniasgi.workers.watching.source_watch import SourceWatch


class Real:
    """A watch of real files, and what it tells."""

    def __init__(self) -> None:
        self._told: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
        self.threads: set[str] = set()
        self.watch = SourceWatch(["."], include=[], exclude=[], delay=0.01, notify=self._notify)

    def _notify(self, paths: list[str]) -> None:
        self.threads.add(threading.current_thread().name)
        self._told.put(paths)

    def told(self) -> list[str]:
        return self._told.get(timeout=10)

    def told_until(self, paths: set[str]) -> int:
        """How many calls it takes until all of *paths* have been told."""
        count, seen = 0, set()
        while not paths <= seen:
            seen |= set(self.told())
            count += 1
        assert seen == paths
        return count


@pytest.fixture(params=["polling", "watchfiles"])
def real(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Real]:
    if request.param == "polling":
        monkeypatch.setitem(sys.modules, "watchfiles", None)
    else:
        pytest.importorskip("watchfiles")
    (tmp_path / "app").mkdir()
    monkeypatch.chdir(tmp_path / "app")
    Path("a.py").write_text("1")
    real = Real()
    real.watch.start()
    yield real
    real.watch.stop()
    assert not real.watch._thread.is_alive()


@pytest.mark.slow
def test_a_file_is_written_replaced_and_removed(real: Real) -> None:
    Path("a.py").write_text("22")
    assert real.told() == ["a.py"]
    Path("a.py.new").write_text("333")
    Path("a.py.new").replace("a.py")
    assert real.told() == ["a.py"]
    Path("a.py").unlink()
    assert real.told() == ["a.py"]
    assert real.threads == {"miniasgi-reload"}


@pytest.mark.slow
def test_a_checkout_is_one_change_or_few(real: Real) -> None:
    paths = {f"package{number % 10}/module{number}.py" for number in range(200)}
    for path in sorted(paths):
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).touch()
    assert real.told_until(paths) < 20


@pytest.mark.slow
def test_a_watched_directory_is_moved_away_and_another_comes(real: Real, tmp_path: Path) -> None:
    (tmp_path / "app").rename(tmp_path / "away")
    assert [os.path.basename(path) for path in real.told()] == ["a.py"]
    (tmp_path / "app").mkdir()
    for size in (1, 2):
        (tmp_path / "app" / "b.py").write_text("1" * size)
        assert [os.path.basename(path) for path in real.told()] == ["b.py"]


@pytest.mark.slow
def test_a_watch_may_be_stopped_by_what_it_tells(tmp_path: Path) -> None:
    told = threading.Event()

    def stop(paths: list[str]) -> None:
        watch.stop()
        told.set()

    watch = SourceWatch([str(tmp_path)], include=[], exclude=[], delay=0.01, notify=stop)
    watch.start()
    (tmp_path / "a.py").touch()
    assert told.wait(10)
    watch._thread.join(10)
    assert not watch._thread.is_alive()
