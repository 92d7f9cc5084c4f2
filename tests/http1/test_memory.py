"""What is remembered: the second time, and within bounds."""

from __future__ import annotations

from miniasgi.http1.memory import Memory


def test_what_is_offered_twice_is_remembered_and_what_is_offered_once_is_not() -> None:
    memory = Memory[bytes, int](4)
    memory.offer(b"a", 1)
    assert memory.get(b"a") is None
    memory.offer(b"a", 2)
    assert memory.get(b"a") == 2


def test_a_full_memory_is_emptied_and_never_passes_its_maximum() -> None:
    memory = Memory[int, int](4)
    sizes = []
    for number in range(10):
        for _ in range(2):
            memory.offer(number, number)
        sizes.append(len(memory))
    assert sizes == [1, 2, 3, 4, 1, 2, 3, 4, 1, 2]


def test_the_marks_of_what_came_once_are_bounded_too() -> None:
    memory = Memory[int, int](4)
    for number in range(1000):
        memory.offer(number, number)
        assert len(memory._seen) <= 16
    assert not memory


def test_what_was_forgotten_is_remembered_when_it_comes_again() -> None:
    memory = Memory[int, int](1)
    for _ in range(3):
        for number in (1, 2):
            memory.offer(number, number)
    assert memory.get(2) == 2
    memory.offer(1, 1)
    assert memory == {1: 1}
