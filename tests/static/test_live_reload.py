"""Changes that are told to browsers, once they are complete, and the script that listens."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from miniasgi.static import live_reload
from miniasgi.static.live_reload import PATH, LiveReload, _Snapshot, _snapshot
from miniasgi.types import Message

START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")],
}
END = {"type": "http.response.body", "body": b""}


def piece(body: bytes) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": True}


RETRY, COMMENT = piece(b"retry: 500\n\n"), piece(b":\n\n")
PAGE, STYLES = piece(b"event: reload\ndata: page\n\n"), piece(b"event: reload\ndata: css\n\n")


def run(test: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(test, 10)

    asyncio.run(bounded())


class Client:
    """A browser, from the application's side."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.told: asyncio.Queue[Message] = asyncio.Queue()
        self._arrived = asyncio.Event()

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        self._arrived.set()

    async def sent_so_far(self, count: int) -> list[Message]:
        """The first *count* messages, as soon as they have been sent."""
        while len(self.sent) < count:
            self._arrived.clear()
            await self._arrived.wait()
        return self.sent[:count]

    def open(self, live: LiveReload, method: str = "GET") -> asyncio.Task[None]:
        return asyncio.create_task(live({"type": "http", "method": method}, self.told.get, self.send, ""))

    def leave(self) -> None:
        self.told.put_nowait({"type": "http.disconnect"})


def answer(live: LiveReload, method: str, sub: str) -> list[Message]:
    client = Client()
    run(live({"type": "http", "method": method}, client.told.get, client.send, sub))
    return client.sent


def watching(*directories: str, comment_seconds: float = 60.0, most_names: int = 100) -> LiveReload:
    return LiveReload(directories, poll_seconds=0.01, comment_seconds=comment_seconds, most_names=most_names)


class Looks:
    """What the trees look like, look by look: a word each, of what the rest and what the style sheets are like.

    Where the words end, the last one stays; done() waits until it has been seen three times.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
        self.words = words.split()
        self.count = 0
        self._done = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        monkeypatch.setattr(live_reload, "_snapshot", self._look)

    def _look(self, directories: object, most_names: int) -> _Snapshot:
        word = self.words[min(self.count, len(self.words) - 1)]
        self.count += 1
        if self.count == len(self.words) + 2:
            self._loop.call_soon_threadsafe(self._done.set)
        return _Snapshot(word[1:].encode(), word[:1].encode(), True)

    async def done(self) -> None:
        await self._done.wait()


@pytest.mark.parametrize(
    ("words", "events"),
    [
        pytest.param("a1 a1 a1", [], id="nothing changes"),
        pytest.param("a1 b1 b1", [PAGE], id="a change"),
        pytest.param("a1 a2 a2", [STYLES], id="a change of style sheets alone"),
        pytest.param("a1 b2 b2", [PAGE], id="a change of both"),
        pytest.param("a1 b1 b2 b2", [PAGE], id="a change of style sheets after another"),
        pytest.param("a1 b1 c1 d1 d1 d2 d2", [PAGE, STYLES], id="a build, told at its end"),
        pytest.param("a1 b1 a1 a1 a2 a2", [STYLES], id="a change that was taken back"),
        pytest.param("a1 " + " ".join(letter + "1" for letter in "bcdefghijklmnopqrstu"), [PAGE] * 2, id="no rest"),
    ],
)
def test_a_change_is_told_once_when_two_looks_agree_or_after_ten(
    words: str, events: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        looks, client = Looks(monkeypatch, words), Client()
        stream = client.open(watching("anywhere"))
        await client.sent_so_far(2 + len(events))
        await looks.done()
        client.leave()
        await stream
        assert client.sent == [START, RETRY, *events, END]

    run(test())


def test_a_change_of_a_file_is_told(tmp_path: Path) -> None:
    async def test() -> None:
        page, sheet = tmp_path / "index.html", tmp_path / "site.css"
        page.write_text("1")
        sheet.write_text("1")
        live, client = watching(str(tmp_path)), Client()
        live._see(await live._look())
        stream = client.open(live)
        assert await client.sent_so_far(2) == [START, RETRY]
        page.write_text("22")
        assert (await client.sent_so_far(3))[2] == PAGE
        sheet.write_text("22")
        assert (await client.sent_so_far(4))[3] == STYLES
        client.leave()
        await stream

    run(test())


def test_all_streams_are_told_by_one_watcher_that_ends_with_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        live, clients = watching("anywhere"), [Client(), Client()]
        looks = Looks(monkeypatch, "a1")
        streams = [client.open(live) for client in clients]
        for client in clients:
            await client.sent_so_far(2)
        watcher = live._watcher
        await looks.done()
        looks.words = ["b1"]
        for client in clients:
            assert (await client.sent_so_far(3))[2] == PAGE
        clients[0].leave()
        await streams[0]
        assert watcher is not None and live._watcher is watcher
        clients[1].leave()
        await streams[1]
        await asyncio.wait([watcher])
        assert watcher.cancelled() and live._watcher is None and not live._streams

    run(test())


def test_nobody_looks_while_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(directories: object, most_names: int) -> _Snapshot:
        raise AssertionError("looked")

    monkeypatch.setattr(live_reload, "_snapshot", look)
    live = watching("anywhere")
    for method, sub in (("GET", ".js"), ("HEAD", ".js"), ("HEAD", ""), ("POST", "")):
        answer(live, method, sub)
    assert live._watcher is None


@pytest.mark.parametrize(("pause", "events"), [(0.0, [PAGE]), (3600.0, [])])
def test_what_changes_while_a_page_is_loaded_again_is_told_but_not_what_changed_long_before(
    pause: float, events: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        live, first, second = watching("anywhere"), Client(), Client()
        looks = Looks(monkeypatch, "a1")
        stream = first.open(live)
        await looks.done()
        first.leave()
        await stream
        live._seen_at -= pause
        looks = Looks(monkeypatch, "b1")
        stream = second.open(live)
        await second.sent_so_far(2 + len(events))
        await looks.done()
        second.leave()
        await stream
        assert second.sent == [START, RETRY, *events, END]

    run(test())


def test_a_watcher_that_failed_is_followed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        live, first, second = watching("anywhere"), Client(), Client()
        looks = Looks(monkeypatch, "")
        streams = [first.open(live)]
        await first.sent_so_far(2)
        assert live._watcher is not None
        await asyncio.wait([live._watcher])
        assert isinstance(live._watcher.exception(), IndexError)
        looks.words = ["a1"]
        streams.append(second.open(live))
        await second.sent_so_far(2)
        assert not live._watcher.done()
        for client in (first, second):
            client.leave()
        await asyncio.gather(*streams)

    run(test())


def test_a_stream_without_events_is_kept_alive_by_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        Looks(monkeypatch, "a1")
        client = Client()
        stream = client.open(watching("anywhere", comment_seconds=0.001))
        assert await client.sent_so_far(4) == [START, RETRY, COMMENT, COMMENT]
        client.leave()
        await stream

    run(test())


def test_a_slow_client_is_told_once_and_to_load_the_page_if_that_is_needed() -> None:
    async def test() -> None:
        stream = live_reload._Stream()
        for event in (STYLES, PAGE, STYLES):
            stream.add(event["body"])
        assert await stream.next(60) == PAGE["body"]
        stream.add(STYLES["body"])
        assert await stream.next(60) == STYLES["body"]
        assert await stream.next(0) == COMMENT["body"]

    run(test())


def test_content_of_a_request_does_not_end_its_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        Looks(monkeypatch, "a1")
        live, client, received = watching("anywhere"), Client(), asyncio.Event()
        content = [{"type": "http.request", "body": b"x", "more_body": True} for _ in range(2)]

        async def receive() -> Message:
            if content:
                return content.pop()
            received.set()
            return await client.told.get()

        stream = asyncio.create_task(live({"type": "http", "method": "GET"}, receive, client.send, ""))
        await received.wait()
        assert (stream.done(), await client.sent_so_far(2)) == (False, [START, RETRY])
        client.leave()
        await stream

    run(test())


def test_a_client_that_has_left_is_no_error() -> None:
    async def receive() -> Message:
        raise ConnectionResetError

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise ConnectionResetError

    live = watching("nowhere at all")
    run(live({"type": "http", "method": "GET"}, receive, send, ""))
    assert (live._streams, live._watcher) == (set(), None)


def test_stop_ends_all_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        Looks(monkeypatch, "a1")
        live, clients = watching("anywhere"), [Client(), Client()]
        streams = [client.open(live) for client in clients]
        for client in clients:
            await client.sent_so_far(2)
        live.stop()
        await asyncio.gather(*streams)
        assert [client.sent for client in clients] == [[START, RETRY, END]] * 2

    run(test())


def test_stop_ends_a_stream_whose_start_is_still_being_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        Looks(monkeypatch, "a1")
        live, client = watching("anywhere"), Client()

        async def send(message: Message) -> None:
            live.stop()
            await client.send(message)

        await live({"type": "http", "method": "GET"}, client.told.get, send, "")
        assert client.sent == [START, RETRY, END]

    run(test())


def test_after_stop_there_is_no_stream_that_a_page_could_take_for_a_new_server() -> None:
    live = watching("anywhere")
    live.stop()
    assert answer(live, "GET", "") == [
        {
            "type": "http.response.start",
            "status": 503,
            "headers": [(b"cache-control", b"no-store"), (b"content-length", b"0")],
        },
        END,
    ]


def test_the_stream_has_a_head_for_those_who_ask_for_that_alone() -> None:
    assert answer(watching("anywhere"), "HEAD", "") == [START, END]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_script_finds_its_stream_by_its_own_address(method: str) -> None:
    start, body = answer(watching("anywhere"), method, ".js")
    script = live_reload._SCRIPT
    assert start == {
        "type": "http.response.start",
        "status": 200,
        "headers": [
            (b"content-type", b"text/javascript; charset=utf-8"),
            (b"x-content-type-options", b"nosniff"),
            (b"cache-control", b"no-store"),
            (b"content-length", b"%d" % len(script)),
        ],
    }
    assert body == {"type": "http.response.body", "body": script if method == "GET" else b""}
    assert b"document.currentScript.src" in script and PATH not in script


@pytest.mark.parametrize("sub", ["", ".js"])
@pytest.mark.parametrize("method", ["POST", "OPTIONS", "get"])
def test_other_methods_are_not_allowed(method: str, sub: str) -> None:
    assert answer(watching("anywhere"), method, sub) == [
        {
            "type": "http.response.start",
            "status": 405,
            "headers": [(b"allow", b"GET, HEAD"), (b"cache-control", b"no-store"), (b"content-length", b"0")],
        },
        END,
    ]


@pytest.mark.parametrize("sub", ["/", ".jsx", "s"])
def test_there_is_nothing_else(sub: str) -> None:
    start, body = answer(watching("anywhere"), "GET", sub)
    assert (start["status"], body) == (404, END)


SCRIPT = b'<script src="/docs/_miniasgi/live-reload.js"></script>'


@pytest.mark.parametrize(
    ("html", "injected"),
    [
        (b"<body>x</body></html>", b"<body>x" + SCRIPT + b"</body></html>"),
        (b"<BODY>x</BODY>", b"<BODY>x" + SCRIPT + b"</BODY>"),
        (b"<pre></body></pre></bOdY>\n", b"<pre></body></pre>" + SCRIPT + b"</bOdY>\n"),
        (b"<p>x", b"<p>x" + SCRIPT),
        (b"", SCRIPT),
        pytest.param("İ</body>".encode(), "İ".encode() + SCRIPT + b"</body>", id="longer in lower case"),
        pytest.param("<p>x".encode("utf-16"), "<p>x".encode("utf-16"), id="UTF-16"),
    ],
)
def test_the_script_is_the_last_of_the_body(html: bytes, injected: bytes) -> None:
    assert watching("anywhere").inject(html, b"/docs") == injected


@pytest.mark.parametrize(
    ("mount", "source"),
    [
        (b"", b"/_miniasgi/live-reload.js"),
        (b"/a%20b", b"/a%20b/_miniasgi/live-reload.js"),
        (b"/\"><script>&'\xff", b"/&quot;&gt;&lt;script&gt;&amp;&#x27;\xff/_miniasgi/live-reload.js"),
    ],
)
def test_a_mount_is_nothing_but_a_part_of_the_address(mount: bytes, source: bytes) -> None:
    assert watching("anywhere").inject(b"", mount) == b'<script src="' + source + b'"></script>'


def look(*directories: Path, most_names: int = 100) -> _Snapshot:
    return _snapshot([os.fsencode(directory) for directory in directories], most_names)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two pages, one of them further down; and a place beside it, which is not watched."""
    root = tmp_path / "root"
    (root / "deep" / "er").mkdir(parents=True)
    (tmp_path / "beside").mkdir()
    (root / "index.html").write_text("1")
    (root / "deep" / "er" / "index.html").write_text("1")
    return root


def test_trees_that_stay_as_they_are_look_the_same(tree: Path) -> None:
    before = look(tree)
    (tree / "index.html").read_text()
    assert (look(tree), before.complete) == (before, True)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda root: (root / "deep" / "er" / "index.html").write_text("22"), id="written"),
        pytest.param(lambda root: (root / "deep" / "er" / "index.html").unlink(), id="removed"),
        pytest.param(lambda root: (root / "new.html").touch(), id="added"),
        pytest.param(lambda root: (root / "new").mkdir(), id="a directory"),
        pytest.param(lambda root: (root / "deep" / "er").rename(root / "deep" / "est"), id="renamed"),
        pytest.param(lambda root: (root / "link").symlink_to("nowhere"), id="a link that leads nowhere"),
    ],
)
def test_whatever_else_changes_is_seen(change: Any, tree: Path) -> None:
    before = look(tree)
    change(tree)
    after = look(tree)
    assert (after.styles == before.styles, after.rest == before.rest) == (True, False)


def test_a_file_that_takes_the_place_of_one_of_equal_size_and_time_is_seen(tree: Path) -> None:
    page, new = tree / "index.html", tree.parent / "beside" / "new.html"
    new.write_text("2")
    for path in (page, new):
        os.utime(path, (0, 0))
    before = look(tree)
    new.replace(page)
    assert look(tree) != before


@pytest.mark.parametrize("name", ["site.css", "SITE.CSS", "site.css.map"])
def test_style_sheets_are_seen_apart(name: str, tree: Path) -> None:
    before = look(tree)
    (tree / "deep" / name).touch()
    after = look(tree)
    assert (after.styles == before.styles, after.rest == before.rest) == (False, True)


@pytest.mark.parametrize("name", [".git", "node_modules", "__pycache__"])
def test_what_is_not_the_pages_is_not_looked_at(name: str, tree: Path) -> None:
    before = look(tree)
    (tree / "deep" / name).mkdir()
    (tree / "deep" / name / "index.html").touch()
    (tree / ".index.html.swp").touch()
    assert look(tree) == before


def test_a_link_to_a_file_is_followed_and_one_to_a_directory_is_not(tree: Path) -> None:
    beside = tree.parent / "beside"
    (beside / "page.html").touch()
    (tree / "link").symlink_to(beside)
    (tree / "loop").symlink_to(tree)
    before = look(tree)
    (beside / "page.html").write_text("1")
    assert look(tree) == before
    (tree / "page.html").symlink_to(beside / "page.html")
    before = look(tree)
    (beside / "page.html").write_text("22")
    assert look(tree) != before
    before = look(tree)
    (tree / "link").unlink()
    (tree / "link").symlink_to(tree / "deep")
    assert look(tree) != before


def test_a_directory_that_is_not_there_looks_empty_until_it_is(tree: Path) -> None:
    before = look(tree / "missing", tree)
    assert before == look(tree)
    (tree.parent / "missing").mkdir()
    (tree.parent / "missing" / "index.html").touch()
    assert look(tree.parent / "missing", tree) != before


def test_names_that_are_not_text_are_watched(tree: Path) -> None:
    before = look(tree)
    try:
        Path(os.fsdecode(os.fsencode(tree) + b"/\xff\n")).touch()
    except OSError:
        pytest.skip("the file system takes no such name")
    assert look(tree) != before


@pytest.mark.parametrize(("most_names", "is_complete"), [(5, True), (4, True), (3, False), (1, False), (0, False)])
def test_the_upper_levels_are_looked_at_first_and_not_more_than_allowed(
    most_names: int, is_complete: bool, tree: Path
) -> None:
    before = look(tree, most_names=most_names)
    (tree / "deep" / "er" / "index.html").write_text("22")
    after = look(tree, most_names=most_names)
    assert (before.complete, after.complete, after != before) == (is_complete, is_complete, is_complete)


def test_that_there_is_too_much_to_watch_is_said_once(tree: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        live = watching(str(tree), most_names=3)
        for _ in range(2):
            assert not (await live._look()).complete

    with caplog.at_level(logging.WARNING, "miniasgi.server"):
        run(test())
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "live reload watches 3 names; there are more, which it does not")
    ]
