"""Which codec a name stands for, and what is raised where there is none."""

from __future__ import annotations

import sys

import pytest

from miniasgi.websocket import codec
from miniasgi.websocket.codec import load


def hide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the package websockets be one that is not installed."""
    for name in [each for each in sys.modules if each.partition(".")[0] == "websockets"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "miniasgi.websocket.library", raising=False)
    monkeypatch.setitem(sys.modules, "websockets", None)
    monkeypatch.setattr(codec, "find_spec", lambda name: None)


@pytest.mark.parametrize("name", ["auto", "websockets"])
def test_the_package_is_what_both_names_stand_for(name: str) -> None:
    pytest.importorskip("websockets", reason="the package websockets is not installed")
    from miniasgi.websocket.library import LibraryCodec

    assert load(name) is LibraryCodec


def test_none_is_no_codec_and_asks_for_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "find_spec", lambda name: pytest.fail(f"{name} was looked for"))
    assert load("none") is None


def test_auto_is_no_codec_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch)
    assert load("auto") is None


def test_the_package_asked_for_by_name_has_to_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch)
    with pytest.raises(ImportError, match="websockets"):
        load("websockets")


@pytest.mark.parametrize("name", ["", "wsproto", "Auto", "websockets "])
def test_any_other_name_is_none_that_is_known(name: str) -> None:
    with pytest.raises(LookupError) as caught:
        load(name)
    assert str(caught.value) == f"no WebSocket codec is called {name!r}"
