"""What the process and its threads are called."""

from __future__ import annotations

import threading
from collections.abc import Callable

from miniasgi.observe.names import name, set_name


def in_a_thread(function: Callable[[], str]) -> str:
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def named(who: str) -> str:
    set_name(who)
    return name()


def test_without_a_name_there_is_none(nameless: None) -> None:
    assert (name(), in_a_thread(name)) == ("", "")


def test_the_main_threads_name_is_that_of_all_threads_that_have_none(nameless: None) -> None:
    set_name("worker 2")
    assert (name(), in_a_thread(name)) == ("worker 2", "worker 2")
    set_name("")
    assert (name(), in_a_thread(name)) == ("", "")


def test_a_threads_own_name_wins_and_is_no_others(nameless: None) -> None:
    set_name("process")
    assert in_a_thread(lambda: named("thread")) == "thread"
    assert (name(), in_a_thread(name)) == ("process", "process")


def test_a_thread_that_gives_its_name_up_has_that_of_the_process(nameless: None) -> None:
    set_name("process")
    assert in_a_thread(lambda: named("thread") and named("")) == "process"
