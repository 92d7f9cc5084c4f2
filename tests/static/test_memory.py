"""What is remembered of files and of their absence: for a second, and within bounds."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from miniasgi.static import memory as module
from miniasgi.static.memory import Known, Memory
from miniasgi.static.representation import Representation

ENTRY = module._ENTRY_OCTETS


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def status(tmp_path_factory: pytest.TempPathFactory) -> os.stat_result:
    path: Path = tmp_path_factory.mktemp("memory") / "file"
    path.touch()
    return path.stat()


@pytest.fixture
def known(status: os.stat_result) -> type[Known]:
    """Makes what is known of a file by its octets, in each coding; those of 0 octets are not kept."""

    class Made(Known):
        __slots__ = ()

        def __init__(self, **octets: int) -> None:
            representations = {}
            for coding, count in octets.items():
                representations[coding] = Representation(status, None, coding, b"text/plain", [], tag_content=False)
                if count:
                    representations[coding].keep(bytes(count))
            super().__init__({coding: count or 1 for coding, count in octets.items()}, representations)

    return Made


def remembered(memory: Memory, *paths: bytes) -> list[bytes]:
    return [path for path in paths if memory.last(path) is not None]


def test_a_file_is_fresh_for_a_second_and_known_after_that(clock: Clock, known: type[Known]) -> None:
    memory = Memory(10_000, clock)
    file = known(identity=1)
    assert memory.fresh(b"/a") is memory.last(b"/a") is None
    memory.keep(b"/a", file)
    clock.now += 0.99
    assert memory.fresh(b"/a") is memory.last(b"/a") is file
    clock.now += 0.01
    assert memory.fresh(b"/a") is None
    assert memory.last(b"/a") is file
    memory.keep(b"/a", file)
    assert memory.fresh(b"/a") is file


def test_octets_are_those_of_contents_and_paths_and_of_the_entries_themselves(clock: Clock, known: type[Known]) -> None:
    memory = Memory(1_000_000, clock)
    memory.keep(b"/abc", known(identity=1000))
    assert memory.octets == ENTRY + 4 + 1000
    memory.keep(b"/d", known(identity=300, gzip=20, br=0))
    assert memory.octets == 2 * ENTRY + 6 + 1320


def test_what_is_kept_twice_counts_once(clock: Clock, known: type[Known]) -> None:
    memory = Memory(1_000_000, clock)
    file = known(identity=1000)
    for _ in range(3):
        memory.keep(b"/a", file)
    assert memory.octets == ENTRY + 2 + 1000
    memory.keep(b"/a", known(identity=10))
    assert memory.octets == ENTRY + 2 + 10
    memory.forget(b"/a")
    assert memory.octets == 0


def test_what_has_grown_since_it_was_kept_is_not_taken_off_twice(clock: Clock, known: type[Known]) -> None:
    memory = Memory(1_000_000, clock)
    file = known(identity=0)
    memory.keep(b"/a", file)
    file.representations["identity"].keep(bytes(500))
    memory.keep(b"/a", file)
    assert memory.octets == ENTRY + 2 + 500
    memory.forget(b"/a")
    assert memory.octets == 0


def test_what_was_not_looked_at_for_longest_goes_first(clock: Clock, known: type[Known]) -> None:
    memory = Memory(3 * (ENTRY + 2 + 100), clock)
    for path in (b"/a", b"/b", b"/c"):
        memory.keep(path, known(identity=100))
    assert remembered(memory, b"/a", b"/b", b"/c") == [b"/a", b"/b", b"/c"]
    # To be asked for is not enough; what is asked for is looked at again after a second.
    memory.fresh(b"/b")
    memory.last(b"/b")
    memory.keep(b"/a", known(identity=100))
    memory.keep(b"/d", known(identity=100))
    assert remembered(memory, b"/a", b"/b", b"/c", b"/d") == [b"/a", b"/c", b"/d"]
    memory.keep(b"/e", known(identity=200))
    assert remembered(memory, b"/a", b"/c", b"/d", b"/e") == [b"/d", b"/e"]


def test_the_octets_never_pass_their_bound(clock: Clock, known: type[Known]) -> None:
    memory = Memory(10_000, clock)
    chosen = random.Random(5)
    kept: dict[bytes, int] = {}
    for _ in range(500):
        path, octets = b"/%d" % chosen.randrange(20), chosen.randrange(4000)
        if chosen.random() < 0.2:
            memory.forget(path)
        else:
            memory.keep(path, known(identity=octets))
            kept[path] = ENTRY + len(path) + octets
        assert memory.octets <= 10_000
        assert memory.octets == sum(octets for path, octets in kept.items() if memory.last(path))


def test_exactly_the_bound_is_kept_and_an_octet_more_is_not(clock: Clock, known: type[Known]) -> None:
    memory = Memory(ENTRY + 2 + 100, clock)
    memory.keep(b"/a", known(identity=100))
    assert remembered(memory, b"/a") == [b"/a"]
    memory.keep(b"/a", known(identity=101))
    assert (remembered(memory, b"/a"), memory.octets) == ([], 0)


def test_what_is_too_large_pushes_nothing_else_out(clock: Clock, known: type[Known]) -> None:
    memory = Memory(3 * ENTRY, clock)
    memory.keep(b"/a", known(identity=100))
    memory.keep(b"/b", known(identity=3 * ENTRY))
    assert remembered(memory, b"/a", b"/b") == [b"/a"]
    assert memory.octets == ENTRY + 2 + 100


def test_where_no_content_is_kept_what_is_known_of_files_is(clock: Clock, known: type[Known]) -> None:
    memory = Memory(0, clock)
    file = known(identity=0)
    memory.keep(b"/a", file)
    assert memory.last(b"/a") is file


@pytest.mark.parametrize("octets", [0, 1_000_000])
def test_the_number_of_entries_never_passes_its_bound(
    clock: Clock, known: type[Known], monkeypatch: pytest.MonkeyPatch, octets: int
) -> None:
    memory = Memory(octets, clock)
    monkeypatch.setattr(module, "_MOST_ENTRIES", 3)
    for path in (b"/a", b"/b", b"/c", b"/a", b"/d"):
        memory.keep(path, known(identity=0))
    assert remembered(memory, b"/a", b"/b", b"/c", b"/d") == [b"/a", b"/c", b"/d"]
    assert memory.octets == 3 * (ENTRY + 2)


def test_what_leads_to_nothing_is_missing_for_a_second(clock: Clock, known: type[Known]) -> None:
    memory = Memory(10_000, clock)
    assert not memory.is_missing(b"/a")
    memory.keep(b"/a", known(identity=1))
    memory.forget(b"/a")
    assert memory.last(b"/a") is None
    assert memory.octets == 0
    clock.now += 0.99
    assert memory.is_missing(b"/a")
    assert not memory.is_missing(b"/b")
    clock.now += 0.01
    assert not memory.is_missing(b"/a")
    memory.forget(b"/a")
    assert memory.is_missing(b"/a")


def test_the_names_of_nothing_never_pass_their_bound(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_MISSING", 3)
    memory = Memory(10_000, clock)
    counts = []
    for number in range(8):
        memory.forget(b"/%d" % number)
        assert memory.is_missing(b"/%d" % number)
        counts.append(len(memory._missing))
    assert counts == [1, 2, 3, 1, 2, 3, 1, 2]


def test_bounds_are_those_that_docs_and_options_count_with() -> None:
    assert (module.FRESH_SECONDS, module._MOST_ENTRIES, module._MOST_MISSING) == (1.0, 32 * 1024, 1024)


def test_where_there_is_but_one_coding_there_is_nothing_to_choose(known: type[Known]) -> None:
    file = known(identity=1)
    assert file.sole is file.representations["identity"]
    assert file.chosen([(b"accept-encoding", b"br, gzip")]) is file.sole


def test_of_several_codings_the_one_that_is_asked_for_is_chosen(known: type[Known]) -> None:
    file = known(identity=100, gzip=10)
    assert file.sole is None
    assert file.chosen([]) is file.representations["identity"]
    assert file.chosen([(b"accept-encoding", b"gzip")]) is file.representations["gzip"]
    assert file.chosen([(b"accept-encoding", b"br"), (b"accept-encoding", b"gzip")]) is file.representations["gzip"]
    assert file.chosen([(b"accept-encoding", b"gzip;q=0")]) is file.representations["identity"]


def test_a_coding_that_was_not_asked_for_before_is_not_known(known: type[Known]) -> None:
    file = Known({"identity": 100, "gzip": 10}, known(identity=100).representations)
    assert file.sole is None
    assert file.chosen([(b"accept-encoding", b"gzip")]) is None
    assert file.chosen([]) is file.representations["identity"]
    assert Known({"identity": 1}, {}).chosen([]) is None


def test_what_is_looked_at_again_is_fresh_and_goes_last(clock: Clock, known: type[Known]) -> None:
    memory = Memory(2 * (ENTRY + 10), clock)
    first = known(identity=5)
    memory.keep(b"/a", first)
    memory.keep(b"/b", known(identity=5))
    octets = memory.octets
    clock.now += 1.5
    assert memory.fresh(b"/a") is None
    memory.renew(b"/a", first)
    assert memory.fresh(b"/a") is first
    assert memory.octets == octets
    memory.keep(b"/c", known(identity=5))
    assert remembered(memory, b"/a", b"/b", b"/c") == [b"/a", b"/c"]


def test_what_has_been_put_there_meanwhile_stays(clock: Clock, known: type[Known]) -> None:
    memory = Memory(10_000, clock)
    before, after = known(identity=5), known(identity=6)
    memory.keep(b"/a", before)
    memory.keep(b"/a", after)
    clock.now += 1.5
    memory.renew(b"/a", before)
    assert memory.last(b"/a") is after
    assert memory.fresh(b"/a") is None
