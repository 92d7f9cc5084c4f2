"""Which folder a request is for, under which path, and what is left of the path there."""

from __future__ import annotations

from typing import Any, cast

import pytest

from miniasgi.static.mounts import Mounts, beneath, raw_path, root_relative, segments
from miniasgi.static.paths import split_path
from miniasgi.static.site import Request, Site
from miniasgi.types import Fields

FIELDS: Fields = [(b"accept", b"*/*")]


def mounts(*paths: str) -> Mounts:
    """Under each path a site, which is but a name here: the path, and its place where that has been before."""
    return Mounts([(path, cast(Site, path + "'" * paths[:place].count(path))) for place, path in enumerate(paths)])


def asked(path: bytes, *paths: str, root_path: str = "") -> list[tuple[str, bytes, bytes]]:
    """The name of each site that is asked, the path it is asked for, and the prefix."""
    found = mounts(*paths).asked("GET", path, b"q=1", FIELDS, root_path)
    for _, request in found:
        assert request == Request("GET", request.path, b"q=1", FIELDS, request.prefix)
    return [(cast(str, site), request.path, request.prefix) for site, request in found]


@pytest.mark.parametrize("path", [b"/", b"/a", b"//a/", b"/%2e%2e", b"*", b""])
def test_a_site_at_the_top_is_asked_for_every_path_as_it_was_sent(path: bytes) -> None:
    assert asked(path, "") == [("", path, b"")]
    assert asked(path, "/") == [("/", path, b"")]


def test_a_site_under_a_path_is_asked_for_what_is_beneath_it() -> None:
    assert asked(b"/static/a/b%20c", "/static") == [("/static", b"/a/b%20c", b"/static")]
    assert asked(b"/static/", "/static") == [("/static", b"/", b"/static")]
    assert asked(b"/static", "/static") == [("/static", b"", b"/static")]


@pytest.mark.parametrize(
    "path",
    [
        b"/staticfoo",
        b"/staticfoo/a",
        b"/stati",
        b"/",
        b"",
        b"*",
        b"static/a",
        b"/a/static/b",
        b"/STATIC/a",
        b"/static./a",
        b"/static%00/a",
        b"/static\\a",
        b"/static%252fa",
        b"/x%2fstatic/a",
        b"/x/./static/a",
    ],
)
def test_a_site_under_a_path_is_not_asked_for_what_is_elsewhere(path: bytes) -> None:
    assert asked(path, "/static") == []


@pytest.mark.parametrize(
    "path",
    [
        b"/static%2fa",
        b"/static%2F",
        b"/%2fstatic/a",
        b"/x/../static/a",
        b"/x%2f..%2fstatic/a",
        b"/./static/a",
        b"/%2e/static",
        b"/x/%2E%2e/st%61tic",
    ],
)
def test_a_site_is_asked_for_what_others_take_to_be_beneath_it_and_has_nothing_there(path: bytes) -> None:
    assert asked(path, "/static") == [("/static", path, b"/static")]
    assert split_path(path) is None


@pytest.mark.parametrize("path", [b"/app%2Fstatic/a", b"/app/static%2Fa", b"/static%2Fa", b"/x/../app/static"])
def test_so_it_is_beneath_a_root_path(path: bytes) -> None:
    assert asked(path, "/static", root_path="/app") == [("/static", path, b"/app/static")]


def test_dot_segments_beneath_a_site_are_left_for_it_to_refuse() -> None:
    assert asked(b"/static/../a", "/static") == [("/static", b"/../a", b"/static")]
    assert asked(b"/static/%2e%2e/a", "/static") == [("/static", b"/%2e%2e/a", b"/static")]


def test_a_path_may_have_been_encoded_without_need() -> None:
    assert asked(b"/st%61tic/%61", "/static") == [("/static", b"/%61", b"/static")]
    assert asked(b"/%C3%A4%20b/c", "/ä b") == [("/ä b", b"/c", b"/%C3%A4%20b")]
    assert asked("/ä/c".encode(), "/ä") == [("/ä", b"/c", b"/%C3%A4")]


def test_neighbouring_slashes_count_as_one() -> None:
    assert asked(b"//static//a", "/static") == [("/static", b"//a", b"/static")]
    assert asked(b"/x///y", "/x/y") == [("/x/y", b"", b"/x/y")]
    assert asked(b"/a", "//a//") == [("//a//", b"", b"/a")]


def test_the_longest_path_is_asked_first_and_of_two_at_the_same_path_the_first() -> None:
    assert asked(b"/a/b/c", "", "/a", "/a/b", "/a", "/b") == [
        ("/a/b", b"/c", b"/a/b"),
        ("/a", b"/b/c", b"/a"),
        ("/a'", b"/b/c", b"/a"),
        ("", b"/a/b/c", b""),
    ]
    assert asked(b"/x", "", "/a", "") == [("", b"/x", b""), ("'", b"/x", b"")]


def test_the_length_of_a_path_is_that_of_its_segments() -> None:
    assert [site for site, _, _ in asked(b"/a/b/c", "/a/b", "/a//////")] == ["/a/b", "/a//////"]


@pytest.mark.parametrize(
    ("path", "rest"),
    [
        (b"/app/a", b"/a"),
        (b"/app/", b"/"),
        (b"/app", b""),
        (b"/a", b"/a"),
        (b"/application", b"/application"),
        (b"/app/app/a", b"/app/a"),
        (b"/%61pp/%61", b"/%61"),
        (b"//app/a", b"/a"),
    ],
)
def test_root_path_is_in_front_of_the_path_or_is_not(path: bytes, rest: bytes) -> None:
    assert root_relative(path, "/app") == rest
    assert root_relative(path, "/app/") == rest
    assert asked(path, "", root_path="/app") == [("", rest, b"/app")]


def test_root_path_comes_before_the_path_of_a_site() -> None:
    for path in (b"/app/v1/static/a", b"/static/a"):
        assert asked(path, "/static", root_path="/app/v1") == [("/static", b"/a", b"/app/v1/static")]
    assert asked(b"/app/v1/a", "/static", root_path="/app/v1") == []
    assert asked(b"/app/static/a", "/static", root_path="/app/v1") == []


def test_a_root_path_that_says_nothing_changes_nothing() -> None:
    assert asked(b"/a", "", root_path="/") == [("", b"/a", b"")]
    assert asked(b"/a", "/a", root_path="/") == [("/a", b"", b"/a")]


def test_a_root_path_is_encoded_in_the_prefix() -> None:
    assert asked(b"/%C3%A4/a", "", root_path="/ä") == [("", b"/a", b"/%C3%A4")]
    assert asked(b"/a", "/<", root_path="/\udcff") == []
    assert asked(b"/%3C/a", "/<", root_path="/\udcff") == [("/<", b"/a", b"/%FF/%3C")]


def test_only_a_single_site_at_the_top_is_the_top() -> None:
    assert mounts("").top == ""
    assert mounts("/").top == "/"
    assert mounts("/a").top is None
    assert mounts("", "/a").top is None
    assert mounts("", "").top is None


def test_segments_are_octets() -> None:
    assert segments("/ä//b/") == ("ä".encode(), b"b")
    assert segments("\udcff") == (b"\xff",)
    assert segments("") == segments("/") == ()


def test_nothing_is_beneath_more_segments_than_a_path_has() -> None:
    assert beneath(b"/a", (b"a", b"b")) is None
    assert beneath(b"/a/", (b"a", b"b")) is None
    assert beneath(b"", (b"a",)) is None


def scope(path: str, raw: bytes | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "http", "path": path, **({} if raw is None else {"raw_path": raw}), **more}


@pytest.mark.parametrize(
    ("path", "raw"),
    [
        ("/a", b"/a"),
        ("/a b", b"/a%20b"),
        ("/a/b", b"/a%2Fb"),
        ("/ä", b"/%C3%A4"),
        ("/ä", b"/%c3%a4"),
        ("/Ã¤", "/ä".encode()),
        ("/ä", "/ä".encode()),
        ("/%2e", b"/%252e"),
        ("/\ufffd", b"/%ff"),
        ("/../a", b"/%2e%2e/a"),
        ("", b""),
    ],
)
def test_the_path_is_that_which_was_sent(path: str, raw: bytes) -> None:
    assert raw_path(scope(path, raw)) == raw


def test_a_query_is_no_part_of_the_path_that_was_sent() -> None:
    assert raw_path(scope("/a b", b"/a%20b?c=%20")) == b"/a%20b"
    assert raw_path(scope("/a?b", b"/a%3Fb?c")) == b"/a%3Fb"


@pytest.mark.parametrize("raw", [None, b"/static/a%20b%3F", b"/elsewhere", b""])
def test_the_path_is_made_where_no_server_tells_or_a_framework_has_changed_it(raw: bytes | None) -> None:
    assert raw_path(scope("/a b?", raw)) == b"/a%20b%3F"


@pytest.mark.parametrize(
    ("path", "raw"),
    [
        ("/ä/b", b"/%C3%A4/b"),
        ("/\udcff", b"/%FF"),
        ("/%2e%2e/a", b"/%252e%252e/a"),
        ("/a%2fb", b"/a%252fb"),
        ("/a\\b\0", b"/a%5Cb%00"),
        ("", b""),
    ],
)
def test_a_path_that_is_made_is_decoded_to_itself(path: str, raw: bytes) -> None:
    assert raw_path(scope(path)) == raw
    assert raw_path(scope(path, raw_path=None)) == raw


@pytest.mark.parametrize(
    ("path", "rest"),
    [
        (b"/m/a", b"/a"),  # a proxy has taken /app away
        (b"/app/m/a", b"/a"),
        (b"/m", b""),
        (b"//m//a", b"//a"),
        (b"/%6d/%61", b"/%61"),
        (b"/m/m/a", b"/m/a"),
        (b"/elsewhere", b"/elsewhere"),
    ],
)
def test_what_a_framework_mounts_is_found_behind_a_proxy_that_takes_the_root_path_away(
    path: bytes, rest: bytes
) -> None:
    decoded = path.replace(b"%6d", b"m").replace(b"%61", b"a").decode()
    found = raw_path(scope(decoded, path, root_path="/app/m", app_root_path="/app"))
    assert asked(found, "", root_path="/app/m") == [("", rest, b"/app/m")]


@pytest.mark.parametrize("own", ["", "/", "/other"])
def test_a_path_is_left_alone_where_the_application_has_no_root_path_in_front(own: str) -> None:
    assert raw_path(scope("/m/a", b"/m/a", root_path="/x/m", app_root_path=own)) == b"/m/a"
    assert raw_path(scope("/m/a", b"/m/a", app_root_path=own)) == b"/m/a"
