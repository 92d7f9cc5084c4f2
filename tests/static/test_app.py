"""Folders as an ASGI application: alone, in front of another one, in a framework, behind a password."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from miniasgi.static import StaticFiles
from miniasgi.static import app as module
from miniasgi.static import site as site_module
from miniasgi.static.auth import BasicAuth, hash_password
from miniasgi.types import App, Fields, Message, Receive, Scope, Send
from tests.server.apps import answers, replies
from tests.support import descriptors

NOSNIFF = (b"x-content-type-options", b"nosniff")
ALLOW = (b"allow", b"GET, HEAD, OPTIONS")
HTML = (b"accept", b"text/html,*/*;q=0.8")
JSON = (b"accept", b"application/json")
Write = Callable[..., Path]


class Reply(NamedTuple):
    status: int
    fields: Fields
    content: bytes


NOT_FOUND = Reply(
    404,
    [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"10"), NOSNIFF],
    b"Not Found\n",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "www"
    folder.mkdir()
    return folder


@pytest.fixture
def write(folder: Path) -> Write:
    """Writes a file below the folder, and gives its path."""

    def write(name: str, content: bytes = b"content") -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return write


@pytest.fixture(autouse=True)
def no_descriptor_is_left() -> Any:
    before = descriptors()
    yield
    assert descriptors() <= before + 3  # folders' own


def run(test: Coroutine[Any, Any, Any]) -> Any:
    async def bounded() -> Any:
        return await asyncio.wait_for(test, 10)

    return asyncio.run(bounded())


def http(path: str, method: str, fields: tuple[tuple[bytes, bytes], ...], more: dict[str, Any]) -> Scope:
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": fields,
        **more,
    }


async def stays() -> Message:
    return await asyncio.get_running_loop().create_future()


async def asked(app: App, path: str, *fields: tuple[bytes, bytes], method: str = "GET", **more: Any) -> Reply:
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    await app(http(path, method, fields, more), stays, send)
    start, *pieces = messages
    assert [message["type"] for message in messages] == ["http.response.start", *["http.response.body"] * len(pieces)]
    assert not pieces[-1].get("more_body")
    return Reply(start["status"], start["headers"], b"".join(piece["body"] for piece in pieces))


def ask(app: App, path: str, *fields: tuple[bytes, bytes], method: str = "GET", **more: Any) -> Reply:
    return run(asked(app, path, *fields, method=method, **more))


def brief(app: App, path: str, *fields: tuple[bytes, bytes], **more: Any) -> tuple[int, bytes]:
    reply = ask(app, path, *fields, **more)
    return reply.status, reply.content


async def api(scope: Scope, receive: Receive, send: Send) -> None:
    """The application behind the folder: it has /api and nothing else, and says which method it was asked with."""
    known = scope["path"].startswith("/api")
    await send({"type": "http.response.start", "status": 200 if known else 404, "headers": []})
    await send({"type": "http.response.body", "body": f"api {scope['method']}".encode()})


def cold(descriptor: int, offset: int, count: int) -> bytes:
    raise BlockingIOError


# Alone


def test_a_folder_answers_get_and_head(folder: Path, write: Write) -> None:
    write("f.txt")
    app = StaticFiles(folder)
    reply = ask(app, "/f.txt")
    assert (reply.status, reply.content) == (200, b"content")
    assert ask(app, "/f.txt", method="HEAD") == (200, reply.fields, b"")
    assert ask(app, "/missing") == NOT_FOUND
    assert ask(app, "/missing", method="HEAD") == (404, NOT_FOUND.fields, b"")


def test_a_long_file_is_sent_and_closed(folder: Path, write: Write) -> None:
    write("f", bytes(300_000))
    app = StaticFiles(str(folder))
    before = descriptors()
    assert brief(app, "/f") == (200, bytes(300_000))
    assert brief(app, "/f", (b"range", b"bytes=1-100000")) == (206, bytes(100_000))
    assert descriptors() <= before


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "TRACE", "PATCH", "get", "X"])
@pytest.mark.parametrize("path", ["/f", "/missing"])
def test_other_methods_are_refused(folder: Path, write: Write, method: str, path: str) -> None:
    write("f")
    content = b"Method Not Allowed\n"
    fields = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"19"), ALLOW, NOSNIFF]
    assert ask(StaticFiles(folder), path, method=method) == (405, fields, content)


def test_options_are_told(folder: Path) -> None:
    assert ask(StaticFiles(folder), "/missing", method="OPTIONS") == (204, [ALLOW, NOSNIFF], b"")
    assert ask(StaticFiles(folder), "*", method="OPTIONS") == (204, [ALLOW, NOSNIFF], b"")


def test_any_origin_may_ask_where_it_is_allowed(folder: Path, write: Write) -> None:
    write("f")
    app = StaticFiles(folder, cors="https://example.org")
    origin = (b"access-control-allow-origin", b"https://example.org")
    exposed = (b"access-control-expose-headers", b"*")
    fields = [
        ALLOW,
        NOSNIFF,
        origin,
        exposed,
        (b"access-control-allow-methods", b"GET, HEAD, OPTIONS"),
        (b"access-control-allow-headers", b"*, authorization"),
    ]
    preflight = (b"access-control-request-method", b"GET")
    assert ask(app, "/f", preflight, method="OPTIONS") == (204, fields, b"")
    for path in ("/f", "/missing"):
        assert {origin, exposed} <= set(ask(app, path).fields)
    assert exposed in ask(app, "/f", (b"range", b"bytes=0-0")).fields


def test_fields_for_everything_are_on_errors_and_redirects_too(folder: Path, write: Write) -> None:
    write("d/index.html")
    app = StaticFiles(folder, headers=[("X-Content-Type-Options", "x"), ("A", "b")])
    ours = [(b"x-content-type-options", b"x"), (b"a", b"b")]
    for path, method in (("/d/", "GET"), ("/d", "GET"), ("/missing", "GET"), ("/", "POST"), ("/", "OPTIONS")):
        assert ask(app, path, method=method).fields[-2:] == ours


def test_a_page_that_routes_comes_before_the_page_of_an_error(folder: Path, write: Write) -> None:
    write("index.html", b"page")
    write("404.html", b"missing")
    app = StaticFiles(folder, spa="index.html")
    assert brief(app, "/users/42", HTML) == (200, b"page")
    assert brief(app, "/users/42", JSON) == brief(app, "/app.js", HTML) == (404, b"missing")


def test_a_cache_is_told_that_accept_decides_where_a_page_routes(
    folder: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("index.html", b"page")
    write("404.html", b"missing")

    def varies(app: App, path: str, *fields: tuple[bytes, bytes]) -> tuple[int, list[bytes]]:
        status, found, _ = ask(app, path, *fields)
        return status, [value for name, value in found if name == b"vary"]

    app = StaticFiles(folder, spa="index.html")
    for _ in range(3):
        # The same page is in memory, for who asks for it by its name.
        assert varies(app, "/index.html", HTML) == varies(app, "/", JSON) == (200, [])
        assert varies(app, "/users/42", HTML) == (200, [b"accept"])
        assert varies(app, "/users/42", JSON) == (404, [b"accept"])
    assert varies(app, "/users/42", HTML, (b"if-none-match", b"*")) == (304, [b"accept"])
    assert varies(app, "/app.js", HTML) == (404, [])
    assert varies(StaticFiles(folder), "/users/42", HTML) == (404, [])
    app = StaticFiles(folder, spa="index.html", not_found="", precompressed=("br",))
    assert varies(app, "/users/42", JSON) == (404, [b"accept"])
    assert varies(app, "/users/42", HTML) == (200, [b"accept-encoding", b"accept"])
    app = StaticFiles(folder, fallback=api, spa="index.html")
    assert varies(app, "/users/42", HTML) == (200, [b"accept"])
    assert varies(app, "/api", HTML) == (200, [])
    monkeypatch.setattr(site_module, "read_cached", cold)
    assert varies(StaticFiles(folder, spa="index.html"), "/users/42", HTML) == (200, [b"accept"])


def test_without_a_folder_at_the_top_other_paths_are_nowhere(folder: Path, write: Write) -> None:
    write("f")
    write("404.html", b"missing")
    app = StaticFiles([(folder, "/m")])
    assert brief(app, "/m/f") == (200, b"content")
    assert brief(app, "/m/x") == (404, b"missing")
    for path in ("/m%2Ff", "/x/../m/f"):
        assert brief(app, path) == (404, b"missing")
    for path in ("/f", "/mf", "/M/f", "/"):
        assert ask(app, path) == NOT_FOUND
    assert ask(app, "/f", method="POST").status == 405


# Several folders


@pytest.fixture
def folders(tmp_path: Path) -> list[tuple[Path, str]]:
    """Two that overlay each other at the top, one below."""
    for name in ("one", "two", "below"):
        (tmp_path / name / "d").mkdir(parents=True)
        (tmp_path / name / "all").write_bytes(name.encode())
        (tmp_path / name / f"{name}.txt").write_bytes(name.encode())
    (tmp_path / "two/d/index.html").write_bytes(b"index")
    (tmp_path / "two/media").mkdir()
    (tmp_path / "two/media/deep").write_bytes(b"deep")
    (tmp_path / "below/404.html").write_bytes(b"missing below")
    (tmp_path / "two/404.html").write_bytes(b"missing")
    return [(tmp_path / "one", ""), (tmp_path / "two", "/"), (tmp_path / "below", "/media")]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/all", (200, b"one")),
        ("/two.txt", (200, b"two")),
        ("/d", (308, b"")),
        ("/d/", (200, b"index")),
        ("/media/all", (200, b"below")),
        ("/%6dedia/all", (200, b"below")),
        ("/media/deep", (200, b"deep")),
        ("/media/x", (404, b"missing below")),
        ("/x", (404, b"missing")),
    ],
)
def test_the_longest_mount_is_asked_first_and_then_the_others(
    folders: list[tuple[Path, str]], path: str, expected: tuple[int, bytes]
) -> None:
    assert brief(StaticFiles(folders), path.replace("%6d", "m"), raw_path=path.encode()) == expected


def test_a_cold_overlay_is_the_same(folders: list[tuple[Path, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_module, "read_cached", cold)
    app = StaticFiles(folders)
    assert brief(app, "/two.txt") == (200, b"two")
    assert brief(app, "/x") == (404, b"missing")


@pytest.mark.parametrize(
    ("path", "root_path", "location"),
    [
        ("/media", "", b"/media/"),
        ("/root/d", "/root", b"/root/d/"),
        ("/d", "/root", b"/root/d/"),
        ("/r%20t/d", "/r t", b"/r%20t/d/"),
    ],
)
def test_a_redirect_has_what_stands_before_the_folder(
    tmp_path: Path, folders: list[tuple[Path, str]], path: str, root_path: str, location: bytes
) -> None:
    (tmp_path / "below/index.html").write_bytes(b"")
    app = StaticFiles(folders)
    scope = {"raw_path": path.encode(), "root_path": root_path, "query_string": b"q=1"}
    reply = ask(app, path.replace("%20", " "), **scope)
    fields = [(b"location", location + b"?q=1"), (b"content-length", b"0"), NOSNIFF]
    assert reply == (308, fields, b"")


def test_a_path_is_known_without_its_raw_form(folder: Path, write: Write) -> None:
    write("ä b")
    app = StaticFiles(folder)
    for raw in (None, b"/%C3%A4%20b", b"/%C3%A4%20b?query", b"/other"):
        assert brief(app, "/ä b", raw_path=raw) == (200, b"content")


# In front of an application


def test_the_application_has_what_is_no_file(folder: Path, write: Write) -> None:
    write("f")
    write("404.html", b"missing")
    app = StaticFiles(folder, fallback=api)
    assert brief(app, "/f") == (200, b"content")
    assert brief(app, "/f", method="HEAD") == (200, b"")
    assert brief(app, "/api") == (200, b"api GET")
    assert brief(app, "/missing") == (404, b"api GET")
    for method in ("POST", "PUT", "TRACE"):
        assert brief(app, "/f", method=method) == (404, f"api {method}".encode())
    assert ask(app, "/f", method="OPTIONS") == (204, [ALLOW, NOSNIFF], b"")
    assert brief(app, "/api", method="OPTIONS") == (200, b"api OPTIONS")


def test_the_application_has_scope_and_messages_as_they_came(folder: Path) -> None:
    seen: list[Any] = []

    async def app(*arguments: Any) -> None:
        seen.append(arguments)

    scope, receive, send = {"type": "x"}, object(), object()
    files: Any = StaticFiles(folder, fallback=app)
    for kind in ("lifespan", "websocket", "x", "http"):
        scope = {**http("/x", "POST", (), {}), "type": kind}
        run(files(scope, receive, send))
        assert seen.pop() == (scope, receive, send)
    assert seen == []


@pytest.mark.parametrize("size", [4, 300_000])
def test_the_page_that_routes_is_sent_where_the_application_has_nothing_for_a_browser(
    folder: Path, write: Write, size: int
) -> None:
    write("index.html", bytes(size))
    app = StaticFiles(folder, fallback=api, spa="index.html")
    before = descriptors()
    assert brief(app, "/users/42", HTML) == (200, bytes(size))
    assert brief(app, "/users/42", HTML, method="HEAD") == (200, b"")
    assert brief(app, "/users/42", JSON) == (404, b"api GET")
    assert brief(app, "/app.js", HTML) == (404, b"api GET")
    assert brief(app, "/users/42", HTML, method="POST") == (404, b"api POST")
    assert brief(app, "/api", HTML) == (200, b"api GET")
    assert brief(app, "/api", JSON) == (200, b"api GET")
    assert descriptors() <= before


def test_what_the_application_says_with_another_status_is_passed_on_as_it_comes(folder: Path, write: Write) -> None:
    write("index.html", b"page")
    messages: list[Message] = [
        {"type": "http.response.start", "status": 410, "headers": []},
        {"type": "http.response.body", "body": b"go", "more_body": True},
        {"type": "http.response.body", "body": b"ne"},
    ]
    assert brief(StaticFiles(folder, fallback=replies(*messages), spa="index.html"), "/x") == (410, b"gone")
    messages[0]["status"] = 404
    assert brief(StaticFiles(folder, fallback=replies(*messages), spa="index.html"), "/x") == (200, b"page")


def test_without_its_page_the_application_says_that_nothing_is_there(folder: Path) -> None:
    app = StaticFiles(folder, fallback=answers(404, (), b"none"), spa="index.html")
    assert brief(app, "/x", HTML) == (404, b"none")


def test_a_page_is_closed_when_the_application_fails(folder: Path, write: Write) -> None:
    write("index.html", bytes(300_000))

    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError

    app = StaticFiles(folder, fallback=failing, spa="index.html")
    before = descriptors()
    with pytest.raises(ValueError):
        ask(app, "/x", HTML)
    assert descriptors() <= before


# What is not HTTP


def test_lifespan_is_answered_without_an_application(folder: Path) -> None:
    received: list[Message] = [{"type": "lifespan.shutdown"}, {"type": "lifespan.startup"}]
    sent: list[Message] = []

    async def receive() -> Message:
        return received.pop()

    async def send(message: Message) -> None:
        sent.append({**message, "left": len(received)})

    run(StaticFiles(folder)({"type": "lifespan"}, receive, send))
    assert sent == [
        {"type": "lifespan.startup.complete", "left": 1},
        {"type": "lifespan.shutdown.complete", "left": 0},
    ]


def test_a_websocket_is_refused_without_an_application(folder: Path) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    run(StaticFiles(folder)({"type": "websocket", "path": "/", "headers": []}, stays, send))
    assert sent == [{"type": "websocket.close", "code": 1000}]


# Behind a password

GOOD = (b"authorization", b"Basic YWRhOnNlY3JldA==")  # ada:secret
WRONG = (b"authorization", b"Basic YWRhOndyb25n")  # ada:wrong
CHALLENGE = Reply(
    401,
    [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"13"),
        (b"www-authenticate", b'Basic realm="files", charset="UTF-8"'),
        NOSNIFF,
    ],
    b"Unauthorized\n",
)


@pytest.fixture(scope="module")
def ada() -> dict[str, str]:
    return {"ada": hash_password("secret")}


def test_nobody_sees_anything_without_the_password(folder: Path, write: Write, ada: dict[str, str]) -> None:
    write("f")
    write("404.html", b"missing")
    write("d/index.html")
    app = StaticFiles(folder, basic_auth=ada)
    for path in ("/f", "/missing", "/d", "/404.html"):
        for method in ("GET", "POST", "OPTIONS"):
            assert ask(app, path, method=method) == CHALLENGE
    assert ask(app, "/f", method="HEAD") == CHALLENGE._replace(content=b"")
    for value in (b"", b"Basic", b"Basic !", b"Bearer x", b"Basic YWRh"):
        assert ask(app, "/f", (b"authorization", value)) == CHALLENGE
    assert ask(app, "/f", GOOD, GOOD) == CHALLENGE
    assert ask(app, "/f", WRONG) == CHALLENGE
    assert brief(app, "/f", GOOD) == (200, b"content")
    assert brief(app, "/missing", GOOD) == (404, b"missing")
    assert ask(app, "/f", WRONG) == ask(app, "/f") == CHALLENGE


def test_a_password_is_checked_once_in_a_thread_of_its_own(
    folder: Path, write: Write, ada: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write("f")
    threads = []
    check = BasicAuth.check

    def noted(self: BasicAuth, authorization: bytes) -> bool:
        threads.append(threading.current_thread().name)
        return check(self, authorization)

    monkeypatch.setattr(BasicAuth, "check", noted)
    app = StaticFiles(folder, basic_auth=ada)
    assert app.__immediate_answer__("GET", b"/f", b"", [GOOD], "") is None
    for _ in range(3):
        assert brief(app, "/f", GOOD) == (200, b"content")
    assert threads == ["miniasgi-password_0"]
    known = app.__immediate_answer__("GET", b"/f", b"", [GOOD], "")
    assert known is not None
    assert (known.status, known.content) == (200, b"content")
    refused = app.__immediate_answer__("GET", b"/f", b"", [], "")
    assert refused is not None
    assert (refused.status, refused.fields) == CHALLENGE[:2]


def test_those_who_try_passwords_wait_in_a_line_that_has_an_end(
    folder: Path, write: Write, ada: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write("f")
    checks = 0
    go_on = threading.Event()

    def noted(self: BasicAuth, authorization: bytes) -> bool:
        nonlocal checks
        checks += 1
        return go_on.wait(10) and False

    monkeypatch.setattr(BasicAuth, "check", noted)
    monkeypatch.setattr(module, "_MOST_CHECKS", 3)
    app = StaticFiles(folder, basic_auth=ada)

    async def test() -> None:
        waiting = [asyncio.create_task(asked(app, "/f", WRONG)) for _ in range(3)]
        await asyncio.sleep(0)
        fields = [(b"retry-after", b"1"), NOSNIFF]
        refused = await asked(app, "/f", WRONG)
        assert (refused.status, refused.fields[2:]) == (503, fields)
        assert (await asked(app, "/f")) == CHALLENGE
        gone = waiting.pop()
        gone.cancel()
        await asyncio.wait([gone])
        go_on.set()
        assert await asyncio.gather(*waiting) == [CHALLENGE, CHALLENGE]
        assert await asked(app, "/f", WRONG) == CHALLENGE

    run(test())
    # What was cancelled before its turn came is not checked at all.
    assert checks == 3


def test_the_password_guards_the_path_and_not_what_is_elsewhere(
    folder: Path, write: Write, ada: dict[str, str]
) -> None:
    write("f")
    app = StaticFiles([(folder, "/m")], fallback=api, basic_auth=ada)
    assert brief(app, "/api") == (200, b"api GET")
    for path, method in (("/m/f", "GET"), ("/m", "GET"), ("/m/api", "POST"), ("//m/f", "GET")):
        assert ask(app, path, method=method) == CHALLENGE
    assert ask(app, "/m/f", raw_path=b"/%6d/f") == CHALLENGE
    # To the application, that is "/m/api".
    assert ask(app, "/m/api", raw_path=b"/m%2Fapi", method="POST") == CHALLENGE
    assert ask(app, "/x/../m/api") == CHALLENGE
    assert brief(app, "/m/api", GOOD, raw_path=b"/m%2Fapi") == (404, b"api GET")
    assert brief(app, "/m/api", GOOD, method="POST") == (404, b"api POST")


def test_a_preflight_needs_no_password(folder: Path, ada: dict[str, str]) -> None:
    preflight = (b"access-control-request-method", b"GET")
    app = StaticFiles(folder, basic_auth=ada, cors="*")
    assert ask(app, "/f", preflight, method="OPTIONS").status == 204
    assert ask(app, "/f", method="OPTIONS").status == ask(app, "/f", preflight).status == 401
    assert ask(StaticFiles(folder, basic_auth=ada), "/f", preflight, method="OPTIONS").status == 401


# Live reload


def test_pages_reload_themselves(folder: Path, write: Write) -> None:
    write("index.html", b"<body></body>")
    app = StaticFiles([(folder, ""), (folder, "/m")], live_reload=True)
    tag = b'<script src="%b/_miniasgi/live-reload.js"></script>'
    assert brief(app, "/") == (200, b"<body>" + tag % b"" + b"</body>")
    assert app.__immediate_answer__("GET", b"/", b"", [], "") is None
    script = ask(app, "/root/_miniasgi/live-reload.js", root_path="/root")
    assert (script.status, script.fields[0]) == (200, (b"content-type", b"text/javascript; charset=utf-8"))
    assert ask(app, "/_miniasgi/live-reload/x").status == 404
    app.__server_stops__()
    assert ask(app, "/_miniasgi/live-reload").status == 503


def test_the_script_is_no_file_and_needs_the_password_that_files_need(
    folder: Path, write: Write, ada: dict[str, str]
) -> None:
    write("_miniasgi/live-reload.js", b"a file")
    app = StaticFiles([(folder, ""), (folder, "/m")], live_reload=True, basic_auth=ada)
    for path in ("/_miniasgi/live-reload.js", "/m/_miniasgi/live-reload.js", "/_miniasgi/live-reload"):
        assert ask(app, path) == ask(app, path, WRONG) == CHALLENGE
    status, content = brief(app, "/m/_miniasgi/live-reload.js", GOOD)
    assert (status, b"EventSource" in content) == (200, True)
    assert brief(app, "/other/_miniasgi/live-reload.js", GOOD)[0] == 404


def test_listings_do_not_reload(folder: Path, write: Write) -> None:
    write("d/f")
    status, content = brief(StaticFiles(folder, live_reload=True, listing=("html",)), "/d/")
    assert (status, b"<script" in content) == (200, False)


def test_a_stop_is_no_matter_where_nothing_goes_on(folder: Path) -> None:
    StaticFiles(folder).__server_stops__()
    assert brief(StaticFiles(folder), "/_miniasgi/live-reload") == (404, b"Not Found\n")


def test_a_page_asks_for_the_script_where_it_is(folder: Path, write: Write) -> None:
    write("index.html", b"")
    app = StaticFiles([(folder, "/m")], live_reload=True)
    content = ask(app, "/root/m/", root_path="/root").content
    source = content.partition(b'src="')[2].partition(b'"')[0].decode()
    assert ask(app, source, root_path="/root").status == 200


# Immediate answers


def test_an_answer_is_immediate_where_nothing_has_to_be_waited_for(
    folder: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("f")
    write("d/index.html")
    app = StaticFiles(folder, listing=("html",))

    def status(path: bytes, method: str = "GET", *fields: tuple[bytes, bytes], root_path: str = "") -> int:
        answer = app.__immediate_answer__(method, path, b"", list(fields), root_path)
        return 0 if answer is None else answer.status

    assert status(b"/f") == status(b"/f") == status(b"/f") == status(b"/f", "HEAD") == 200
    assert status(b"/root/f", root_path="/root") == status(b"/f", root_path="/root") == 200
    assert [status(b"/d"), status(b"/x"), status(b"/", "POST"), status(b"/", "OPTIONS")] == [308, 404, 405, 204]
    assert status(b"/f", "GET", (b"range", b"bytes=0-0")) == 206
    assert status(b"/") == 0  # a listing
    files = StaticFiles(folder, fallback=api)
    for method, path in (("GET", b"/x"), ("POST", b"/f"), ("OPTIONS", b"/x")):
        assert files.__immediate_answer__(method, path, b"", [], "") is None


# What it is made from


def test_what_cannot_be_is_told_when_it_is_made(folder: Path, write: Write) -> None:
    path = write("f")
    with pytest.raises(TypeError, match="no option 'indx'"):
        StaticFiles(folder, indx=())  # type: ignore[call-arg]  # that is what is tested
    with pytest.raises(ValueError, match="cache: found 'on', expected off, meta or full"):
        StaticFiles(folder, cache="on")
    with pytest.raises(NotADirectoryError):
        StaticFiles(path)
    with pytest.raises(FileNotFoundError):
        StaticFiles([(folder, ""), (folder / "missing", "/m")])


@pytest.mark.parametrize(
    ("directory", "found"),
    [
        (None, "None"),
        (b"www", "b'www'"),
        ([], "[]"),
        (["www"], "'www'"),
        ([("www",)], "('www',)"),
        ([("www", None)], "('www', None)"),
        ([("www", "/a/../b")], "('www', '/a/../b')"),
    ],
)
def test_what_is_no_directory_and_no_pairs_is_told(directory: Any, found: str) -> None:
    with pytest.raises(ValueError) as raised:
        StaticFiles(directory)
    expected = "a directory, or pairs such as ('www', '/assets')"
    assert str(raised.value) == f"directory: found {found}, expected {expected}"


def test_files_that_were_asked_for_and_are_in_no_folder_are_told(
    folder: Path, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    write("a/index.html")
    write("b/f")
    folders = [(folder / "a", ""), (folder / "b", "/b")]
    StaticFiles(folders)
    StaticFiles(folders, spa="index.html")
    assert caplog.messages == []
    StaticFiles(folders, not_found="e/404.htm")
    assert caplog.messages == [
        f"{folder / each}: there is no file e/404.htm yet, which is to be served" for each in "ab"
    ]


def test_a_directory_may_be_any_path(folder: Path, write: Write) -> None:
    write("f")
    for directory in (str(folder), folder, [(os.fspath(folder), "")], iter([(folder, "/")])):
        assert brief(StaticFiles(directory), "/f") == (200, b"content")
    assert module.__all__ == ["StaticFiles"]


# In a framework


def fetched(app: Any, path: str, **options: Any) -> Any:
    httpx = pytest.importorskip("httpx", reason="the package httpx is not installed")

    async def fetch() -> Any:
        transport = httpx.ASGITransport(app=app, root_path=options.pop("root_path", ""))
        async with httpx.AsyncClient(transport=transport, base_url="http://h") as client:
            return await client.get(path, **options)

    return run(fetch())


@pytest.fixture(params=["starlette", "fastapi"])
def make_framework(request: pytest.FixtureRequest) -> Callable[[], Any]:
    if request.param == "starlette":
        starlette = pytest.importorskip("starlette.applications", reason="the package starlette is not installed")
        return lambda: starlette.Starlette()
    fastapi = pytest.importorskip("fastapi", reason="the package fastapi is not installed")
    return lambda: fastapi.FastAPI()


def test_a_folder_is_mounted_in_a_framework(make_framework: Callable[[], Any], folder: Path, write: Write) -> None:
    write("d/index.html", b"index")
    write("ä b.txt", b"text")
    write("long", bytes(300_000))
    write("404.html", b"missing")
    framework = make_framework()
    framework.mount("/static", StaticFiles(folder, listing=("json",)))
    outer = make_framework()
    outer.mount("/outer", framework)
    for app, prefix, root_path in ((framework, "", ""), (outer, "/outer", ""), (framework, "/proxy", "/proxy")):
        base = f"{prefix}/static"

        def get(path: str, app: Any = app, base: str = base, root_path: str = root_path, **fields: str) -> Any:
            return fetched(app, base + path, headers=fields, root_path=root_path)

        assert get("/%C3%A4%20b.txt").content == b"text"
        assert get("/long").content == bytes(300_000)
        assert get("/long", Range="bytes=-70000").status_code == 206
        reply = get("/d?a=b")
        assert (reply.status_code, reply.headers["location"]) == (308, f"{base}/d/?a=b")
        assert get("/d/").content == b"index"
        assert get("/").json()["path"] == f"{base}/"
        reply = get("/missing")
        assert (reply.status_code, reply.content) == (404, b"missing")
        assert get("/d/..%2f404.html").status_code == 404


def test_a_mounted_folder_is_found_behind_a_proxy_that_takes_the_root_path_away(
    make_framework: Callable[[], Any], folder: Path, write: Write
) -> None:
    write("d/index.html", b"index")
    framework = make_framework()
    framework.mount("/static", StaticFiles(folder, listing=("json",)))
    for base in ("/static", "/proxy/static"):
        reply = fetched(framework, f"{base}/d", root_path="/proxy")
        assert (reply.status_code, reply.headers["location"]) == (308, "/proxy/static/d/")
        assert fetched(framework, f"{base}/d/", root_path="/proxy").content == b"index"
        assert fetched(framework, f"{base}/", root_path="/proxy").json()["path"] == "/proxy/static/"
        assert fetched(framework, f"{base}/static/d/", root_path="/proxy").status_code == 404


@pytest.mark.parametrize("kind", ["gzip", "base"])
def test_a_long_file_comes_through_middleware_that_knows_of_no_files(folder: Path, write: Write, kind: str) -> None:
    starlette = pytest.importorskip("starlette.applications", reason="the package starlette is not installed")
    from starlette.middleware.base import BaseHTTPMiddleware
    from starlette.middleware.gzip import GZipMiddleware

    async def pass_on(request: Any, go_on: Any) -> Any:
        return await go_on(request)

    class Server:
        takes_files = True

        async def send(self, message: Message) -> None:
            messages.append(message)

    write("long", bytes(300_000))
    messages: list[Message] = []
    app = starlette.Starlette()
    app.mount("/static", StaticFiles(folder))
    app = GZipMiddleware(app) if kind == "gzip" else BaseHTTPMiddleware(app, dispatch=pass_on)
    scope = http("/static/long", "GET", (), {"extensions": {"http.response.zerocopysend": {}}})
    run(app({**scope, "headers": []}, stays, Server().send))
    assert messages[0]["status"] == 200
    assert b"".join(message["body"] for message in messages[1:]) == bytes(300_000)


def test_a_framework_is_behind_a_folder(make_framework: Callable[[], Any], folder: Path, write: Write) -> None:
    write("index.html", b"page")
    framework = make_framework()
    app = StaticFiles(folder, fallback=framework, spa="index.html")
    assert fetched(app, "/").content == b"page"
    assert fetched(app, "/users/42").content == b"page"
    reply = fetched(app, "/users/42", headers={"accept": "application/json"})
    assert (reply.status_code, b"Not Found" in reply.content) == (404, True)


@pytest.mark.parametrize(
    ("path", "fields", "reaches"),
    [
        ("/chat", [], False),
        ("/chat", [WRONG], False),
        ("/chat", [GOOD], True),
    ],
)
def test_a_websocket_beneath_a_guarded_folder_needs_the_password(
    folder: Path, ada: dict[str, str], path: str, fields: list[tuple[bytes, bytes]], reaches: bool
) -> None:
    seen: list[str] = []
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def chat(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["path"])

    files = StaticFiles(folder, fallback=chat, basic_auth=ada)
    for _ in range(2):  # checked, then remembered
        run(files({"type": "websocket", "path": path, "headers": fields}, stays, send))
    assert seen == ([path] * 2 if reaches else [])
    assert sent == ([] if reaches else [{"type": "websocket.close", "code": 1000}] * 2)


def test_a_websocket_elsewhere_is_the_applications_own_business(folder: Path, ada: dict[str, str]) -> None:
    seen: list[str] = []

    async def chat(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["path"])

    files = StaticFiles([(folder, "/files")], fallback=chat, basic_auth=ada)
    run(files({"type": "websocket", "path": "/chat", "headers": []}, stays, stays))
    assert seen == ["/chat"]
