"""One folder: which answer a path has, what is remembered of it, and what goes wrong with files."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from miniasgi.static import listing
from miniasgi.static import site as module
from miniasgi.static.answer import Answer, OpenFile, Outcome, Work
from miniasgi.static.folder import Folder
from miniasgi.static.paths import Root
from miniasgi.static.settings import Settings
from miniasgi.static.site import Request, Site
from miniasgi.types import Fields
from tests.support import Clock, descriptors

NOSNIFF = (b"x-content-type-options", b"nosniff")
HTML = b"text/html; charset=utf-8"
Write = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "www"
    folder.mkdir()
    return folder


@pytest.fixture
def write(folder: Path) -> Write:
    """Writes a file below the folder, its time long ago, and gives its path."""

    def write(name: str, content: bytes = b"content", seconds: int = 1_000_000_000) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (seconds, seconds))
        return path

    return write


@pytest.fixture(autouse=True)
def no_descriptor_is_left() -> Any:
    before = descriptors()
    yield
    assert descriptors() <= before + 1  # the folder's own


class Asked:
    """A site on a clock that stands still, which does at once what would be done in a thread."""

    def __init__(self, folder: Path, clock: Clock | None = None, **options: Any) -> None:
        self.clock = clock or Clock()
        rewrite = options.pop("rewrite", None)
        self.site = Site(folder, Settings(options), rewrite=rewrite, clock=self.clock)
        self.works = 0

    def done(self, outcome: Outcome) -> Answer | None:
        while isinstance(outcome, Work):
            self.works += 1
            outcome = outcome.run()
        return outcome

    def find(self, path: bytes, *fields: tuple[bytes, bytes], method: str = "GET", **more: Any) -> Answer | None:
        request = Request(method, path, more.get("query", b""), list(fields), more.get("prefix", b""))
        return self.done(self.site.find(request))

    def get(self, path: bytes, *fields: tuple[bytes, bytes], **more: Any) -> tuple[int, bytes]:
        """Status and content; 0 where there is no answer."""
        answer = self.find(path, *fields, **more)
        return (0, b"") if answer is None else (answer.status, content_of(answer))

    def fields(self, path: bytes, *fields: tuple[bytes, bytes], **more: Any) -> dict[bytes, bytes]:
        answer = self.find(path, *fields, **more)
        assert answer is not None
        content_of(answer)
        return dict(answer.fields)


def content_of(answer: Answer) -> bytes:
    """The whole content; the file is closed."""
    content = b""
    if answer.file is not None:
        for before, start, stop in answer.parts:
            content += before + os.pread(answer.file.fileno(), stop - start, start)
        answer.file.close()
    return content + answer.content


NOTHING = (0, b"")


# Paths


def test_a_file_is_answered_with_what_is_known_of_it(folder: Path, write: Write) -> None:
    write("a/b.txt", b"text")
    answer = Asked(folder).find(b"/a/b.txt")
    assert answer is not None
    names = [b"content-type", b"content-length", b"etag", b"last-modified", b"accept-ranges", b"x-content-type-options"]
    assert (answer.status, answer.content) == (200, b"text")
    assert [name for name, _ in answer.fields] == names
    fields = dict(answer.fields)
    assert fields.pop(b"etag").startswith(b'"')
    assert fields == {
        b"content-type": b"text/plain; charset=utf-8",
        b"content-length": b"4",
        b"last-modified": b"Sun, 09 Sep 2001 01:46:40 GMT",
        b"accept-ranges": b"bytes",
        b"x-content-type-options": b"nosniff",
    }


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a b", b"/a%20b"),
        ("ä", b"/%C3%A4"),
        ("ä", "/ä".encode()),
        ("%41", b"/%2541"),
        ("a?b#c", b"/a%3fb%23c"),
        ("d/f", b"/d//f"),
        ("d/f", b"///d/f"),
        ("\udcff\n", b"/%FF%0A"),
        (".well-known/x", b"/.well-known/x"),
    ],
)
def test_a_path_leads_to_the_file_of_that_name(folder: Path, write: Write, name: str, path: bytes) -> None:
    write(name)
    assert Asked(folder).get(path) == (200, b"content")


@pytest.mark.parametrize(
    "path",
    [
        b"/missing",
        b"/f/",
        b"/f/x",
        b"/d",
        b"/d/",
        b"/../www/f",
        b"/d/../f",
        b"/d/%2e%2e/f",
        b"/./f",
        b"/%2Ff",
        b"/d%2Fg",
        b"/d\\g",
        b"/d%5Cg",
        b"/f%00",
        b"/f%",
        b"/%GG",
        b"f",
        b"*",
        b"/" + b"x" * 300,
        b"/out",
        b"/outside/file",
        b"/circle",
        b"/fifo",
        b"/.hidden",
        b"/.dir/f",
        b"/d/.well-known/f",
        b"/secret.key",
        b"/SECRET.KEY",
        b"/private/f",
        b"/http://example.org/",
    ],
)
def test_where_there_is_nothing_there_is_no_answer(folder: Path, write: Write, path: bytes) -> None:
    for name in ("f", "d/g", ".hidden", ".dir/f", "d/.well-known/f", "secret.key", "SECRET.KEY", "private/f"):
        write(name)
    (folder.parent / "file").write_bytes(b"outside")
    (folder / "out").symlink_to("../file")
    (folder / "outside").symlink_to(folder.parent)
    (folder / "circle").symlink_to("circle")
    os.mkfifo(folder / "fifo")
    asked = Asked(folder, hide=("*.key", "private/*"))
    assert asked.get(path) == NOTHING
    assert asked.get(path, method="HEAD") == NOTHING


def test_a_link_that_stays_inside_is_followed_and_one_out_on_demand(folder: Path, write: Write) -> None:
    write("real/f")
    (folder / "link").symlink_to("real")
    (folder.parent / "file").write_bytes(b"outside")
    (folder / "out").symlink_to("../file")
    assert Asked(folder).get(b"/link/f") == (200, b"content")
    assert Asked(folder, follow_symlinks=True).get(b"/out") == (200, b"outside")


def test_dotfiles_are_shown_on_demand(folder: Path, write: Write) -> None:
    write(".hidden")
    assert Asked(folder, dotfiles=True).get(b"/.hidden") == (200, b"content")


def test_a_link_may_lead_to_what_is_hidden_but_what_is_hidden_may_not_lead_on(folder: Path, write: Write) -> None:
    write(".releases/f")
    write("secret/f")
    (folder / "current").symlink_to(".releases")
    (folder / ".old").symlink_to("current")
    asked = Asked(folder, hide=("SECRET",))
    assert asked.get(b"/current/f") == (200, b"content")
    assert asked.get(b"/.releases/f") == asked.get(b"/.old/f") == asked.get(b"/secret/f") == NOTHING


# Directories


def test_a_directory_is_answered_with_the_first_index_that_exists(folder: Path, write: Write) -> None:
    write("index.html", b"top")
    write("d/index.htm", b"second")
    write("both/index.htm", b"second")
    write("both/index.html", b"first")
    write("e/index.html/f")
    asked = Asked(folder, index=("index.html", "index.htm"))
    assert [asked.get(path) for path in (b"/", b"/d/", b"/both/")] == [(200, b"top"), (200, b"second"), (200, b"first")]
    assert asked.get(b"/e/") == NOTHING
    assert Asked(folder, index=()).get(b"/d/") == NOTHING
    assert asked.fields(b"/d/")[b"content-type"] == HTML


@pytest.mark.parametrize(
    ("name", "request_", "location"),
    [
        ("d", {"path": b"/d"}, b"/d/"),
        ("d", {"path": b"/d", "query": b"a=b&c"}, b"/d/?a=b&c"),
        ("d", {"path": b"/d", "query": b"a=%20%zz+~[1]/?:@!$&'()*,;"}, b"/d/?a=%20%zz+~[1]/?:@!$&'()*,;"),
        ("d", {"path": b"/d", "query": b'<a b="\\">{^`|}#\xe4'}, b"/d/?%3Ca%20b=%22%5C%22%3E%7B%5E%60%7C%7D%23%E4"),
        ("d/e", {"path": b"//d//e"}, b"/d/e/"),
        ("example.org", {"path": b"//example.org"}, b"/example.org/"),
        ("example.org", {"path": b"////example.org"}, b"/example.org/"),
        ("a b", {"path": b"/a%20b"}, b"/a%20b/"),
        ("ä", {"path": b"/%c3%a4"}, b"/%C3%A4/"),
        ("x\r\nset-cookie: a", {"path": b"/x%0D%0Aset-cookie:%20a"}, b"/x%0D%0Aset-cookie%3A%20a/"),
        ("<a>", {"path": b"/<a>"}, b"/%3Ca%3E/"),
        ("d", {"path": b"/d", "prefix": b"/static"}, b"/static/d/"),
        (".", {"path": b"", "prefix": b"/static"}, b"/static/"),
        (".", {"path": b"", "prefix": b"/static", "query": b"q"}, b"/static/?q"),
    ],
)
def test_a_directory_without_its_slash_is_redirected(
    folder: Path, write: Write, name: str, request_: dict[str, Any], location: bytes
) -> None:
    write(f"{name}/index.html")
    expected = (308, [(b"location", location), (b"content-length", b"0"), NOSNIFF], b"")
    for method in ("GET", "HEAD"):
        answer = Asked(folder).find(method=method, **request_)
        assert answer is not None
        assert (answer.status, answer.fields, answer.content) == expected


def test_a_directory_in_which_there_is_nothing_to_see_is_not_redirected(folder: Path, write: Write) -> None:
    write("d/f")
    assert Asked(folder).get(b"/d") == NOTHING
    assert Asked(folder, listing=("html",)).get(b"/d") == (308, b"")
    assert Asked(folder, listing=("html",)).get(b"/d?", query=b"x")[0] == 0


def test_a_page_is_found_without_its_extension(folder: Path, write: Write) -> None:
    write("about.html", b"about")
    write("both/index.html", b"directory")
    write("both.html", b"page")
    write("bare/f")
    write("bare.html", b"bare")
    write("exact", b"exact")
    write("exact.html", b"page")
    write(".html", b"nameless")
    asked = Asked(folder, clean_urls=True)
    assert asked.get(b"/about") == (200, b"about")
    assert asked.fields(b"/about")[b"content-type"] == HTML
    assert asked.get(b"/about.html") == (200, b"about")
    assert asked.get(b"/exact") == (200, b"exact")
    assert asked.get(b"/both")[0] == 308
    assert asked.get(b"/bare") == (200, b"bare")
    assert asked.get(b"/about/") == asked.get(b"/about.html.html") == asked.get(b"/") == NOTHING
    assert Asked(folder).get(b"/about") == NOTHING


# Listings

LIST_END: Fields = [(b"cache-control", b"no-cache"), (b"vary", b"accept"), NOSNIFF]


def test_a_listing_is_made_in_a_thread(folder: Path, write: Write) -> None:
    write("d/b")
    write("d/.hidden")
    write("d/a", b"12345")
    asked = Asked(folder, listing=("html", "json"))
    answer = asked.find(b"/d/", (b"accept", b"application/json"), prefix=b"/m", query=b"sort=name&order=desc")
    assert answer is not None
    content = (
        b'{"path":"/m/d/","entries":['
        b'{"name":"b","type":"file","size":7,"modified":"2001-09-09T01:46:40Z","href":"./b"},'
        b'{"name":"a","type":"file","size":5,"modified":"2001-09-09T01:46:40Z","href":"./a"}'
        b'],"truncated":false}'
    )
    fields = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content)), *LIST_END]
    assert (answer.status, answer.fields, answer.content) == (200, fields, content)
    assert asked.works == 1


def test_a_listing_is_a_page_by_default(folder: Path, write: Write) -> None:
    write("d/name")
    asked = Asked(folder, listing=("html", "json"))
    answer = asked.find(b"/d/")
    assert answer is not None
    assert b'href="./name"' in answer.content
    assert answer.fields == [
        (b"content-type", HTML),
        (b"content-security-policy", listing.CONTENT_SECURITY_POLICY),
        (b"content-length", b"%d" % len(answer.content)),
        *LIST_END,
    ]
    json = (b"accept", b"application/json")
    assert asked.fields(b"/d/", json)[b"content-type"] == b"application/json"
    assert Asked(folder, listing=("html",)).fields(b"/d/", json)[b"content-type"] == HTML


def test_an_index_is_shown_rather_than_a_listing_and_hidden_directories_are_not(folder: Path, write: Write) -> None:
    write("d/index.html", b"index")
    write(".hidden/f")
    (folder / "out").symlink_to(folder.parent)
    asked = Asked(folder, listing=("html",))
    assert asked.get(b"/d/") == (200, b"index")
    assert asked.get(b"/.hidden/") == asked.get(b"/out/") == asked.get(b"/missing/") == NOTHING


# Other codings

BR = (b"accept-encoding", b"br")


def test_a_file_is_sent_in_the_coding_that_is_liked_best(folder: Path, write: Write) -> None:
    write("a.js", b"identity")
    write("a.js.br", b"br1")
    write("a.js.gz", b"gz")
    asked = Asked(folder, precompressed=("br", "zstd", "gzip"))
    for accepted, content in (
        (b"gzip, br", b"gz"),
        (b"gzip;q=0.5, br", b"br1"),
        (b"br;q=0, gzip;q=0", b"identity"),
        (b"brotli", b"identity"),
        (b"zstd", b"identity"),
        (b"*", b"gz"),
        (b"", b"identity"),
    ):
        for _ in range(3):  # read, kept, from memory
            assert asked.get(b"/a.js", (b"accept-encoding", accepted)) == (200, content)
    fields = asked.fields(b"/a.js", BR)
    assert fields[b"content-encoding"] == b"br"
    assert fields[b"content-type"] == b"text/javascript; charset=utf-8"
    assert fields[b"vary"] == b"accept-encoding"
    assert fields[b"content-length"] == b"3"
    assert fields[b"etag"].endswith(b'-br"')


def test_all_files_vary_where_other_codings_are_looked_for(folder: Path, write: Write) -> None:
    write("f")
    write("f.gz", b"zip")
    asked = Asked(folder, precompressed=("br",))
    assert asked.fields(b"/f")[b"vary"] == b"accept-encoding"
    assert b"content-encoding" not in asked.fields(b"/f", (b"accept-encoding", b"gzip"))
    fields = asked.fields(b"/f.gz", (b"accept-encoding", b"gzip, br"))
    assert (fields[b"content-type"], fields.get(b"content-encoding")) == (b"application/gzip", None)
    assert b"vary" not in Asked(folder).fields(b"/f")


def test_a_coding_that_cannot_be_of_the_file_is_not_sent(folder: Path, write: Write) -> None:
    for name in ("stale", "outside", "directory", "fifo", "hidden", "equal"):
        write(name, b"identity")
    write("stale.br", b"br", 999_999_999)
    write("equal.br", b"br")
    write("hidden.br", b"br")
    (folder.parent / "file").write_bytes(b"br")
    (folder / "outside.br").symlink_to("../file")
    (folder / "directory.br").mkdir()
    os.mkfifo(folder / "fifo.br")
    asked = Asked(folder, precompressed=("br",), hide=("hidden.*",))
    for path in (b"/stale", b"/outside", b"/directory", b"/fifo", b"/hidden"):
        assert asked.get(path, BR) == (200, b"identity")
    assert asked.get(b"/equal", BR) == (200, b"br")
    assert asked.get(b"/hidden.br") == NOTHING


def test_a_coding_that_comes_and_goes_is_seen_within_a_second(folder: Path, write: Write) -> None:
    write("f", b"identity")
    asked = Asked(folder, precompressed=("br",))
    assert asked.get(b"/f", BR) == asked.get(b"/f", BR) == (200, b"identity")
    coded = write("f.br", b"br")
    assert asked.get(b"/f", BR) == (200, b"identity")
    asked.clock.seconds += 1
    assert asked.get(b"/f", BR) == asked.get(b"/f", BR) == (200, b"br")
    coded.unlink()
    assert asked.get(b"/f", BR) == (200, b"br")
    asked.clock.seconds += 1
    assert asked.get(b"/f", BR) == (200, b"identity")


# The page that routes, and the page of an error


@pytest.mark.parametrize(
    ("path", "accept", "is_route"),
    [
        (b"/users/42", None, True),
        (b"/users/42", b"text/html,application/xhtml+xml,*/*;q=0.8", True),
        (b"/users/42", b"*/*", True),
        (b"/users/42/", b"text/html", True),
        (b"/v1.2/users", b"text/html", True),
        (b"/users/42", b"application/json", False),
        (b"/users/42", b"application/json, text/html;q=0.9", False),
        (b"/pictures/42", b"image/avif,image/webp", False),
        (b"/app.js", b"*/*", False),
        (b"/users/ada.lovelace", b"text/html", False),
    ],
)
def test_a_route_is_where_a_browser_may_navigate(
    folder: Path, write: Write, path: bytes, accept: bytes | None, is_route: bool
) -> None:
    write("app/index.html", b"page")
    asked = Asked(folder, spa="app/index.html")
    request = Request("GET", path, b"", [] if accept is None else [(b"accept", accept)], b"")
    answer = asked.done(asked.site.route(request))
    assert asked.site.is_route(request) is is_route
    assert (answer and (answer.status, answer.content)) == ((200, b"page") if is_route else None)


def test_without_its_page_nothing_is_routed(folder: Path) -> None:
    request = Request("GET", b"/x", b"", [], b"")
    assert Asked(folder).site.is_route(request) is False
    assert Asked(folder, spa="index.html").site.route(request) is None


@pytest.mark.parametrize("size", [4, 300_000])
def test_the_page_of_an_error_is_nobodys_to_keep(folder: Path, write: Write, size: int) -> None:
    write("404.html", bytes(size))
    asked = Asked(folder, cache_control={"*": "max-age=9"}, headers=[("a", "b", "*.html"), ("c", "d")])
    for method in ("GET", "HEAD", "GET"):
        fields = [(b"range", b"bytes=0-0"), (b"if-none-match", b"*")]
        answer = asked.done(asked.site.not_found(Request(method, b"/x", b"", fields, b"")))
        assert answer is not None
        expected = [
            (b"content-type", HTML),
            (b"content-length", b"%d" % size),
            (b"a", b"b"),
            (b"c", b"d"),
            NOSNIFF,
        ]
        assert (answer.status, answer.fields) == (404, expected)
        assert content_of(answer) == bytes(size)


def test_a_page_of_an_error_that_is_none_is_not_sent(folder: Path, write: Write) -> None:
    write("d/index.html")
    request = Request("GET", b"/x", b"", [], b"")
    for options in ({}, {"not_found": ""}, {"not_found": "d"}):
        asked = Asked(folder, **options)
        assert asked.done(asked.site.not_found(request)) is None


def test_what_a_file_lacks_to_be_sent_is_told(folder: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("d/f")
    site = Asked(folder).site
    assert site.lacks("d/f") == ""
    assert site.lacks("d") == f"{folder}: there is no file d yet, which is to be served"
    assert site.lacks("d/g") == f"{folder}: there is no file d/g yet, which is to be served"
    failing(monkeypatch, errno.EACCES)
    reason = f"{folder}: the file d/f, which is to be served, cannot be read: Permission denied"
    assert site.lacks("d/f") == reason


# What goes wrong


def failing(monkeypatch: pytest.MonkeyPatch, number: int, name: bytes = b"f") -> None:
    real = Root.open

    def fail(self: Root, segments: Sequence[bytes], *flags: int) -> int:
        if segments and segments[-1] == name:
            raise OSError(number, os.strerror(number))
        return real(self, segments, *flags)

    monkeypatch.setattr(Root, "open", fail)


@pytest.mark.parametrize(
    ("number", "status", "more", "content"),
    [
        (errno.EACCES, 403, [], b"Forbidden\n"),
        (errno.EPERM, 403, [], b"Forbidden\n"),
        (errno.EMFILE, 503, [(b"retry-after", b"1")], b"Service Unavailable\n"),
        (errno.ENFILE, 503, [(b"retry-after", b"1")], b"Service Unavailable\n"),
        (errno.EAGAIN, 503, [(b"retry-after", b"1")], b"Service Unavailable\n"),
        (errno.EIO, 500, [], b"Internal Server Error\n"),
    ],
)
def test_what_cannot_be_opened_is_told_in_one_line(
    folder: Path,
    write: Write,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    status: int,
    more: Fields,
    content: bytes,
) -> None:
    write("\x1b/f")
    asked = Asked(folder)
    failing(monkeypatch, number)
    answer = asked.find(b"/%1b/f")
    assert answer is not None
    plain = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(content))]
    assert (answer.status, answer.fields, answer.content) == (status, [*plain, *more, NOSNIFF], content)
    message = f"'/%1b/f' cannot be served: {os.strerror(number)}"
    assert caplog.record_tuples == [("miniasgi.server", logging.WARNING, message)]


def test_a_directory_that_may_be_entered_but_not_listed_has_its_index(
    folder: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("d/index.html", b"index")
    write("e/f")
    (folder / "g").mkdir()
    real = Root.open

    def fail(self: Root, segments: Sequence[bytes], *flags: int) -> int:
        if segments[-1] in (b"d", b"e", b"g", b"f") and not flags:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        return real(self, segments, *flags)

    monkeypatch.setattr(Root, "open", fail)
    asked = Asked(folder)
    assert asked.get(b"/d")[0] == 308
    assert asked.get(b"/d/") == (200, b"index")
    assert asked.find(b"/g") is None
    assert asked.get(b"/e/f")[0] == 403


def test_a_path_in_the_log_is_escaped(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, errno.EACCES, b"\x1b[2J\xff")
    assert Asked(folder).get(b"/\x1b[2J\xff")[0] == 403
    assert caplog.messages == [r"'/\x1b[2J\xff' cannot be served: Permission denied"]


@pytest.mark.parametrize("name", [b"index.html", b"f.br"])
def test_what_stands_beside_and_cannot_be_opened_leaves_nothing_open(
    folder: Path, write: Write, monkeypatch: pytest.MonkeyPatch, name: bytes
) -> None:
    write("f")
    write("f.br")
    write("f.gz")
    asked = Asked(folder, precompressed=("gzip", "br"))
    failing(monkeypatch, errno.EMFILE, name)
    assert asked.get(b"/" if name == b"index.html" else b"/f")[0] == 503


def test_a_coding_that_may_not_be_read_is_none(
    folder: Path, write: Write, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write("f", b"identity")
    write("f.br", b"br")
    failing(monkeypatch, errno.EACCES, b"f.br")
    assert Asked(folder, precompressed=("br",)).get(b"/f", BR) == (200, b"identity")
    assert caplog.messages == []


def test_a_folder_that_has_gone_holds_nothing_and_one_that_comes_back_is_seen(
    folder: Path, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "miniasgi.server")
    write("f", b"old")
    asked = Asked(folder)
    assert asked.get(b"/f") == (200, b"old")
    folder.rename(folder.with_name("before"))
    asked.clock.seconds += 1
    assert asked.get(b"/f") == asked.get(b"/") == NOTHING
    folder.mkdir()
    write("f", b"new")
    asked.clock.seconds += 1
    assert asked.get(b"/f") == (200, b"new")
    assert caplog.messages == [f"{folder} has gone: nothing in it is found until it is back", f"{folder} is back"]


# What a disk has to be waited for


def cold(descriptor: int, offset: int, count: int) -> bytes:
    raise BlockingIOError


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (b"/f", []),
        (b"/d/", []),
        (b"/f", [(b"range", b"bytes=1-2")]),
        (b"/f", [(b"if-none-match", b"*")]),
        (b"/f", [BR]),
    ],
)
def test_cold_content_is_work_that_leads_to_the_same_answer(
    folder: Path, write: Write, monkeypatch: pytest.MonkeyPatch, path: bytes, fields: Fields
) -> None:
    write("f", b"identity")
    write("f.br", b"br")
    write("d/index.html")
    request = Request("GET", path, b"", fields, b"")
    warm = Asked(folder, precompressed=("br",)).find(path, *fields)
    assert warm is not None
    monkeypatch.setattr(module, "read_cached", cold)
    site = Asked(folder, precompressed=("br",)).site
    before = descriptors()
    outcome = site.find(request)
    assert isinstance(outcome, Work)
    assert descriptors() <= before
    answer = outcome.run()
    assert isinstance(answer, Answer)
    assert (answer.status, answer.fields, answer.content) == (warm.status, warm.fields, warm.content)


def test_cold_pages_of_errors_and_routes_are_work_as_well(
    folder: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("404.html", b"missing")
    write("index.html", b"page")
    asked = Asked(folder, spa="index.html")
    monkeypatch.setattr(module, "read_cached", cold)
    request = Request("GET", b"/x", b"", [], b"")
    missing, page = asked.done(asked.site.not_found(request)), asked.done(asked.site.route(request))
    assert asked.works == 2
    assert missing is not None
    assert page is not None
    assert (missing.status, missing.content, page.status, page.content) == (404, b"missing", 200, b"page")


# Changes


def replace(path: Path, content: bytes) -> None:
    other = path.with_name("new")
    other.write_bytes(content)
    other.replace(path)


def overwrite(path: Path, content: bytes) -> None:
    """In place, size and time staying the same."""
    status = before = os.stat(path)
    while status.st_ctime_ns == before.st_ctime_ns:  # until the file system's clock ticks
        path.write_bytes(content)
        os.utime(path, ns=(0, before.st_mtime_ns))
        status = os.stat(path)


def replace_with_same_status(path: Path, content: bytes) -> None:
    before = os.stat(path)
    replace(path, content)
    os.utime(path, ns=(0, before.st_mtime_ns))


@pytest.mark.parametrize("change", [replace, overwrite, replace_with_same_status])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_change_is_seen_after_a_second(
    folder: Path, write: Write, change: Callable[[Path, bytes], None], times: int
) -> None:
    path = write("f", b"before")
    asked = Asked(folder)
    for _ in range(times):
        assert asked.get(b"/f") == (200, b"before")
    tag = asked.fields(b"/f")[b"etag"]
    asked.get(b"/f")
    change(path, b"after!")
    asked.clock.seconds += 0.999
    assert asked.get(b"/f", (b"if-none-match", tag)) == (304, b"")
    assert asked.get(b"/f") == (200, b"before")
    asked.clock.seconds += 0.001
    assert asked.get(b"/f", (b"if-none-match", tag)) == (200, b"after!")
    assert asked.get(b"/f") == (200, b"after!")
    assert asked.fields(b"/f")[b"etag"] != tag


def test_a_file_that_is_removed_is_missed_after_a_second_and_one_that_comes_is_found(
    folder: Path, write: Write
) -> None:
    asked = Asked(folder)
    assert asked.get(b"/f") == NOTHING
    path = write("f")
    assert asked.get(b"/f") == NOTHING
    asked.clock.seconds += 1
    assert asked.get(b"/f") == asked.get(b"/f") == (200, b"content")
    path.unlink()
    assert asked.get(b"/f") == (200, b"content")
    asked.clock.seconds += 1
    assert asked.get(b"/f") == asked.get(b"/f") == NOTHING


def test_a_file_that_turns_into_a_directory_is_redirected(folder: Path, write: Write) -> None:
    path = write("f")
    asked = Asked(folder)
    assert asked.get(b"/f") == asked.get(b"/f") == (200, b"content")
    path.unlink()
    write("f/index.html", b"index")
    asked.clock.seconds += 1
    assert [asked.get(b"/f"), asked.get(b"/f/")] == [(308, b""), (200, b"index")]


class Writer:
    """Stands in for read_cached: writes another content into the file after the first readings of it."""

    def __init__(self, path: Path, contents: Sequence[bytes]) -> None:
        self.path = path
        self.contents = list(contents)

    def __call__(self, descriptor: int, offset: int, count: int) -> bytes:
        content = os.pread(descriptor, count, offset)
        if self.contents:
            overwritten = self.contents.pop(0)
            self.path.write_bytes(overwritten)
            os.utime(self.path, (0, 1_000_000_000 + len(overwritten)))
        return content


@pytest.mark.parametrize("earlier", [0, 1, 2])
@pytest.mark.parametrize("changes", [1, 2, 3, 4])
def test_what_is_written_to_while_it_is_read_is_never_mislabelled(
    folder: Path, write: Write, monkeypatch: pytest.MonkeyPatch, earlier: int, changes: int
) -> None:
    path = write("f", b"old")
    asked = Asked(folder)
    tags = {asked.fields(b"/f")[b"etag"] for _ in range(earlier)}
    asked.clock.seconds += 1
    path.touch()
    last = b"new" * changes
    monkeypatch.setattr(module, "read_cached", Writer(path, [b"new" * each for each in range(1, changes + 1)]))
    answer = asked.find(b"/f")
    assert answer is not None
    content = content_of(answer)
    assert dict(answer.fields)[b"content-length"] == b"%d" % len(content)
    asked.clock.seconds += 1
    again = asked.fields(b"/f")
    assert again[b"content-length"] == b"%d" % len(last)
    assert again[b"etag"] not in tags
    assert (again[b"etag"] == dict(answer.fields)[b"etag"]) is (content == last)


@pytest.mark.parametrize("size", [6, 300_000])
def test_what_changes_between_its_first_and_its_second_reading_gets_other_validators(
    folder: Path, write: Write, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    path = write("f", b"old")
    asked = Asked(folder)
    before = asked.fields(b"/f")
    new = bytes(size)
    monkeypatch.setattr(module, "read_cached", Writer(path, [new]))
    answer = asked.find(b"/f")
    assert answer is not None
    fields = dict(answer.fields)
    assert content_of(answer) == new
    assert fields[b"content-length"] == b"%d" % size
    assert fields[b"etag"] != before[b"etag"]
    assert fields[b"last-modified"] != before[b"last-modified"]


# Memory


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How much each reading of a file was for."""
    counts: list[int] = []

    def counted(descriptor: int, offset: int, count: int) -> bytes:
        counts.append(count)
        return os.pread(descriptor, count, offset)

    monkeypatch.setattr(module, "read_cached", counted)
    return counts


@pytest.fixture
def opens(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What has been opened."""
    opened: list[bytes] = []
    real = Folder.open

    def noted(self: Folder, segments: Sequence[bytes]) -> OpenFile | None:
        opened.append(b"/".join(segments))
        return real(self, segments)

    monkeypatch.setattr(Folder, "open", noted)
    return opened


def test_content_is_kept_at_the_second_request_only(
    folder: Path, write: Write, reads: list[int], opens: list[bytes]
) -> None:
    write("f")
    asked = Asked(folder)
    kept = []
    for _ in range(4):
        assert asked.get(b"/f") == (200, b"content")
        kept.append((asked.site.ready("GET", b"/f", []) is not None, len(reads)))
    assert kept == [(False, 1), (True, 2), (True, 2), (True, 2)]
    opens.clear()
    asked.clock.seconds += 1
    assert asked.site.ready("GET", b"/f", []) is None
    assert asked.get(b"/f") == asked.get(b"/f") == (200, b"content")
    assert (opens, reads) == ([b"f"], [7, 7])


def test_from_memory_preconditions_and_ranges_are_answered_too(folder: Path, write: Write, reads: list[int]) -> None:
    write("f")
    asked = Asked(folder)
    tag = asked.fields(b"/f")[b"etag"]
    asked.get(b"/f")
    reads.clear()
    assert asked.get(b"/f", (b"range", b"bytes=-1")) == (206, b"t")
    assert asked.get(b"/f", (b"if-none-match", tag)) == (304, b"")
    assert asked.get(b"/f", (b"if-match", b'"x"')) == (412, b"Precondition Failed\n")
    assert asked.get(b"/f", (b"range", b"bytes=7-")) == (416, b"Range Not Satisfiable\n")
    assert reads == []


def test_each_coding_is_kept_when_it_is_asked_for_again(folder: Path, write: Write, reads: list[int]) -> None:
    write("f", b"identity")
    write("f.br", b"br")
    asked = Asked(folder, precompressed=("br",))
    for _ in range(2):
        assert asked.get(b"/f", BR) == (200, b"br")
        assert asked.get(b"/f") == (200, b"identity")
    assert reads == [2, 8, 2, 8]
    assert asked.get(b"/f", BR) == (200, b"br")
    assert asked.get(b"/f") == (200, b"identity")
    assert reads == [2, 8, 2, 8]


@pytest.mark.parametrize("size", [262_144, 262_145])
def test_what_is_long_is_not_read(folder: Path, write: Write, reads: list[int], size: int) -> None:
    write("f", bytes(size))
    asked = Asked(folder)
    for _ in range(3):
        answer = asked.find(b"/f")
        assert answer is not None
        assert (answer.file is None) is (size == 262_144)
        assert content_of(answer) == bytes(size)
    assert reads == ([size, size] if size == 262_144 else [])


def test_no_more_is_kept_than_was_allowed(folder: Path, write: Write, reads: list[int]) -> None:
    write("a", bytes(10_000))
    write("b", bytes(10_000))
    write("c", bytes(20_001))
    asked = Asked(folder, cache=("full", 20_000))
    for path in (b"/a", b"/a", b"/b", b"/b"):
        asked.get(path)
    assert asked.site.ready("GET", b"/a", []) is None
    assert asked.site.ready("GET", b"/b", []) is not None
    reads.clear()
    answer = asked.find(b"/c")
    assert answer is not None
    assert answer.file is not None
    content_of(answer)
    assert reads == []


def test_without_contents_what_is_known_is_kept_but_each_answer_is_read(
    folder: Path, write: Write, reads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("f")
    asked = Asked(folder, cache="meta")
    assert asked.get(b"/f") == (200, b"content")
    tag = asked.fields(b"/f")[b"etag"]
    assert tag == Asked(folder).fields(b"/f")[b"etag"]
    reads.clear()
    with monkeypatch.context() as patched:
        patched.setattr(module, "Representation", None)  # no other is made
        for _ in range(3):
            assert asked.get(b"/f") == (200, b"content")
            asked.clock.seconds += 1
    assert reads == [7, 7, 7]
    assert asked.site.ready("GET", b"/f", []) is None
    overwrite(path, b"CONTENT")
    assert asked.get(b"/f") == (200, b"CONTENT")
    assert asked.fields(b"/f")[b"etag"] != tag


def test_without_memory_each_answer_is_made_anew_and_nothing_is_hashed(
    folder: Path, write: Write, reads: list[int], opens: list[bytes]
) -> None:
    path = write("f")
    asked = Asked(folder, cache="off")
    opens.clear()
    assert asked.get(b"/f") == asked.get(b"/f") == (200, b"content")
    assert (opens, reads) == ([b"f", b"f"], [7, 7])
    status = os.stat(path)
    tag = f'"{status.st_ino:x}-7-{status.st_mtime_ns:x}-{status.st_ctime_ns:x}"'
    assert asked.fields(b"/f")[b"etag"] == tag.encode()
    path.unlink()
    assert asked.get(b"/f") == NOTHING
    write("f", b"again")
    assert asked.get(b"/f") == (200, b"again")


@pytest.mark.parametrize("cache", ["meta", "off"])
def test_without_contents_kept_less_is_read_at_once(folder: Path, write: Write, reads: list[int], cache: str) -> None:
    write("small", bytes(65_536))
    write("large", bytes(65_537))
    asked = Asked(folder, cache=cache)
    assert asked.get(b"/small") == (200, bytes(65_536))
    assert asked.get(b"/large") == (200, bytes(65_537))
    assert reads == [65_536]


# Pages that reload themselves


def test_pages_are_rewritten_and_nothing_else(folder: Path, write: Write, reads: list[int]) -> None:
    write("index.html", b"page")
    write("long.html", bytes(300_000))
    write("too-long.html", bytes(4 * 1024 * 1024 + 1))
    write("f.txt", b"text")
    asked = Asked(folder, live_reload=True, rewrite=lambda page, prefix: page + b"<" + prefix + b">")
    assert asked.get(b"/", prefix=b"/m") == (200, b"page</m>")
    fields = asked.fields(b"/")
    assert (fields[b"content-length"], fields[b"cache-control"]) == (b"6", b"no-cache")
    assert fields[b"etag"] != Asked(folder).fields(b"/")[b"etag"]
    assert asked.get(b"/", (b"if-none-match", fields[b"etag"])) == (304, b"")
    assert asked.get(b"/", (b"range", b"bytes=3-")) == (206, b"e<>")
    assert asked.get(b"/long.html") == (200, bytes(300_000) + b"<>")
    assert asked.get(b"/too-long.html") == (200, bytes(4 * 1024 * 1024 + 1))
    assert asked.get(b"/f.txt") == (200, b"text")
    write("index.html", b"other")
    assert asked.get(b"/") == (200, b"other<>")


# Fields that settings add


def test_fields_are_those_of_the_globs_that_fit(folder: Path, write: Write) -> None:
    write("app.4f3a9c1d.js")
    write("a.css")
    write("sub/a.css")
    asked = Asked(
        folder,
        cache_control=[("/sub/*", "no-cache"), ("*.css", "max-age=5")],
        headers=[("A", "everywhere"), ("B", "sheet", "*.css")],
        mime={".CSS": "text/x-css"},
        cors="*",
    )
    everywhere = {
        b"a": b"everywhere",
        b"x-content-type-options": b"nosniff",
        b"access-control-allow-origin": b"*",
        b"access-control-expose-headers": b"*",
    }
    expected = {
        b"/app.4f3a9c1d.js": {b"cache-control": b"public, max-age=31536000, immutable", **everywhere},
        b"/a.css": {b"b": b"sheet", b"cache-control": b"max-age=5", **everywhere},
        b"/sub/a.css": {b"b": b"sheet", b"cache-control": b"no-cache", **everywhere},
    }
    ours = (b"content-type", b"content-length", b"etag", b"last-modified", b"accept-ranges")
    for path, added in expected.items():
        fields = asked.fields(path)
        assert {name: value for name, value in fields.items() if name not in ours} == added
    assert asked.fields(b"/a.css")[b"content-type"] == b"text/x-css"
