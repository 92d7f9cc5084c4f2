"""Fixtures that several test modules of workers use."""

from __future__ import annotations

import selectors
from collections.abc import Iterator
from typing import Any

import pytest

from .loop_stage import LoopStage, MakeStage


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeStage]:
    """Makes stages, one for each test."""
    made: list[LoopStage] = []

    class Selector(selectors.DefaultSelector):
        def select(self, timeout: float | None = None) -> Any:
            found = super().select(0)
            if found or not made:
                return found
            made[0].wait(timeout)
            found = super().select(0)
            made[0].woken.append(bool(found))
            return found

    def make(*arguments: Any, **options: Any) -> LoopStage:
        made.append(LoopStage(*arguments, **options))
        return made[0]

    monkeypatch.setattr(selectors, "DefaultSelector", Selector)
    yield make
