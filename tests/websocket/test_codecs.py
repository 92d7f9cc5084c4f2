"""Which codec a name stands for, and what is raised where there is none."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from miniasgi.websocket.codec import OLDEST_PACKAGE, PACKAGE, Codec, CodecMissing, Offer
from miniasgi.websocket.codecs import load


def hide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the package websockets be one that is not installed."""
    for name in [each for each in sys.modules if each.partition(".")[0] == "websockets"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "miniasgi.websocket.library", raising=False)
    monkeypatch.setitem(sys.modules, "websockets", None)


class Ignores:
    """A sink."""

    def on_message(self, data: str | bytes, /) -> None: ...
    def on_pong(self, /) -> None: ...
    def on_end(self, code: int, reason: str, /) -> None: ...


def make(name: str) -> Codec:
    factory = load(name)
    assert factory is not None
    return factory(Ignores(), Offer(b"", 1000, True))


@pytest.mark.parametrize("name", ["auto", "websockets"])
def test_the_package_is_what_both_names_stand_for(name: str) -> None:
    pytest.importorskip("websockets", reason="the package websockets is not installed")
    from miniasgi.websocket.library import LibraryCodec

    assert type(make(name)) is LibraryCodec


def test_auto_imports_the_package_for_the_first_websocket(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("websockets", reason="the package websockets is not installed")
    monkeypatch.delitem(sys.modules, "miniasgi.websocket.library", raising=False)
    load("auto")
    assert "miniasgi.websocket.library" not in sys.modules
    make("auto")
    assert "miniasgi.websocket.library" in sys.modules


def test_none_is_no_codec_and_asks_for_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch)
    assert load("none") is None
    assert "miniasgi.websocket.library" not in sys.modules


def test_auto_is_no_codec_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch)
    with pytest.raises(CodecMissing, match=f"^{re.escape(PACKAGE)}: .*websockets"):
        make("auto")


def test_the_package_asked_for_by_name_has_to_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch)
    with pytest.raises(ImportError, match="websockets"):
        load("websockets")


@pytest.mark.parametrize(
    ("version", "fits"), [("14.0", False), ("16.0.1", False), ("16.1", True), ("17.0.dev1+g0", True)]
)
def test_a_package_that_is_too_old_is_as_good_as_none(
    monkeypatch: pytest.MonkeyPatch, version: str, fits: bool
) -> None:
    package = pytest.importorskip("websockets.version", reason="the package websockets is not installed")
    monkeypatch.setattr(package, "version", version)
    monkeypatch.delitem(sys.modules, "miniasgi.websocket.library", raising=False)
    if fits:
        make("auto")
        return
    with pytest.raises(CodecMissing, match=f": found websockets {version}$"):
        make("auto")
    with pytest.raises(ImportError) as caught:
        load("websockets")
    assert str(caught.value) == f"found websockets {version}"


def test_what_is_installed_with_the_server_is_what_it_asks_for() -> None:
    project = Path(__file__).parents[2] / "pyproject.toml"
    found = re.search(r'"(websockets>=([\d.]+))"', project.read_text(encoding="utf-8"))
    assert found is not None
    assert tuple(map(int, found[2].split("."))) == OLDEST_PACKAGE
    assert found[1] in PACKAGE


@pytest.mark.parametrize("name", ["", "wsproto", "Auto", "websockets "])
def test_any_other_name_is_none_that_is_known(name: str) -> None:
    with pytest.raises(LookupError) as caught:
        load(name)
    assert str(caught.value) == f"no WebSocket codec is called {name!r}"
