"""From APP and Config to the application that is served."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from miniasgi import application as module
from miniasgi.application import application
from miniasgi.config import Config
from miniasgi.errors import StartupError, UsageError
from miniasgi.static import StaticFiles
from miniasgi.static.auth import hash_password
from miniasgi.types import Message
from tests.server.apps import hello


@pytest.fixture(autouse=True)
def import_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """What --app-dir adds to it goes with its test."""
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "www"
    folder.mkdir()
    (folder / "f").write_bytes(b"file")
    return folder


def ask(app: Any, path: str) -> tuple[int, bytes]:
    """Status and content of the answer to a GET."""
    messages: list[Message] = []

    async def receive() -> Message:
        return await asyncio.get_running_loop().create_future()

    async def send(message: Message) -> None:
        messages.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "headers": []}
    asyncio.run(asyncio.wait_for(app(scope, receive, send), 10))
    return messages[0]["status"], b"".join(message["body"] for message in messages[1:])


def test_an_application_without_folders_is_served_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "miniasgi.static", raising=False)
    assert application(hello, Config()) is hello
    assert "miniasgi.static" not in sys.modules


def test_an_application_may_be_named() -> None:
    assert application("tests.server.apps:hello", Config()) is hello


def test_an_application_may_be_made(folder: Path) -> None:
    (folder / "made_here.py").write_text(
        "def make():\n    return make.app\nasync def app(s, r, t): ...\nmake.app = app\n"
    )
    app = application("made_here:make", Config(factory=True, app_dir=str(folder)))
    assert app.__name__ == "app"


def test_folders_stand_in_front_of_the_application(folder: Path) -> None:
    app = application("tests.server.apps:hello", Config(static=((str(folder), "/m"),)))
    assert isinstance(app, StaticFiles)
    assert [ask(app, path) for path in ("/m/f", "/m/x", "/f")] == [(200, b"file"), (200, b"hello"), (200, b"hello")]


def test_folders_need_no_application(folder: Path) -> None:
    app = application(None, Config(static=(str(folder),)))
    assert [ask(app, path) for path in ("/f", "/x")] == [(200, b"file"), (404, b"Not Found\n")]


def test_every_option_reaches_the_folders(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    class Noting(StaticFiles):
        def __init__(self, directory: Any, **options: Any) -> None:
            given.update(options, directory=directory)
            super().__init__(directory, **options)

    monkeypatch.setattr("miniasgi.static.StaticFiles", Noting)
    hashed = hash_password("secret")
    config = Config(
        static=(f"{folder}:/m",),
        index="a.html,b.html",
        listing="json",
        precompressed="br",
        spa="app.html",
        not_found="none",
        clean_urls=True,
        cache_control=("*.css=no-cache",),
        immutable="none",
        static_headers=("A: b@*.js",),
        cors="*",
        follow_symlinks=True,
        dotfiles=True,
        hide=("*.key",),
        static_cache="meta",
        mime=("X=text/x",),
        basic_auth=(f"ada:{hashed}",),
        live_reload=True,
    )
    application(hello, config)
    assert given == {
        "directory": ((str(folder), "/m"),),
        "fallback": hello,
        "index": ("a.html", "b.html"),
        "listing": ("json",),
        "precompressed": ("br",),
        "spa": "app.html",
        "not_found": "",
        "clean_urls": True,
        "cache_control": (("*.css", "no-cache"),),
        "immutable": "",
        "headers": (("a", "b", "*.js"),),
        "cors": "*",
        "follow_symlinks": True,
        "dotfiles": True,
        "hide": ("*.key",),
        "cache": ("meta", 0),
        "mime": (("x", "text/x"),),
        "basic_auth": (("ada", hashed),),
        "live_reload": True,
    }


def refusal(app: Any, config: Config) -> str:
    with pytest.raises(UsageError) as caught:
        application(app, config)
    message = str(caught.value)
    assert caught.value.exit_status == 2
    assert "\n" not in message
    return message


def test_without_an_application_and_folders_there_is_nothing_to_serve() -> None:
    assert refusal(None, Config()) == "APP or --static DIR is missing"


def test_a_hash_that_is_none_is_refused_without_being_shown(folder: Path) -> None:
    config = Config(static=(str(folder),), basic_auth=(("ada", "my-password"),))
    assert refusal(None, config) == (
        "static files: basic_auth: the hash of user 'ada' is not one, expected the output of `miniasgi --hash-password`"
        " (a password itself is not accepted)"
    )


def test_a_folder_that_has_gone_since_is_refused(folder: Path) -> None:
    config = Config(static=(str(folder), (str(folder.parent), "/up")))
    folder.rename(folder.with_name("moved"))
    assert refusal(hello, config) == f"static: {str(folder)!r} cannot be read: No such file or directory"
    folder.write_bytes(b"")
    assert refusal(None, config) == f"static: {str(folder)!r} cannot be read: Not a directory"


def test_an_application_that_cannot_be_loaded_is_told_before_its_folders(folder: Path) -> None:
    config = Config(static=(str(folder),), basic_auth=(("ada", "x"),))
    with pytest.raises(StartupError):
        application("no_such_module_here:app", config)


def test_nothing_else_is_offered() -> None:
    assert module.__all__ == ["application"]
