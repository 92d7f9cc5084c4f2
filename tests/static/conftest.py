"""Fixtures of files and folders."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from miniasgi.static import paths
from miniasgi.static.paths import Root

from .trees import plant


@pytest.fixture(params=["openat2", "checked"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each way to stay beneath a directory that there is here."""
    if request.param == "checked":
        monkeypatch.setattr(paths._openat2, "works", False)
    else:
        os.close(Root("/").open([b"."], paths._NAME))
        if not paths._openat2.works:
            pytest.skip("the system has no openat2")
    return str(request.param)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A root with links of every kind, and beside it what must not be reached."""
    return plant(tmp_path)


@pytest.fixture(scope="module")
def collected() -> None:
    """Nothing of before is closed by the garbage collector while descriptors are counted."""
    gc.collect()
