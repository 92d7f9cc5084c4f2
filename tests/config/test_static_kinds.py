"""The options of static files: what each takes, what it refuses, and how it says so."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from miniasgi.config import OPTIONS, Config
from miniasgi.config.options import Option
from miniasgi.errors import UsageError
from miniasgi.hashed_names import HASHED_NAME

BY_NAME = {each.name: each for each in OPTIONS}
MIB = 1024 * 1024


def read(name: str, value: object) -> Any:
    """What the field *name* holds when it is given *value*; the same comes of it, and of how it is shown."""
    found = getattr(Config.from_options(**{name: value}), name)
    kind = BY_NAME[name].kind
    assert kind.read(found) == found
    assert kind.read(kind.show(found)) == found
    return found


def refusal(name: str, value: object) -> str:
    """What is said of *value*, behind the option's name."""
    with pytest.raises(UsageError) as caught:
        Config.from_options(**{name: value})
    message = str(caught.value)
    assert re.fullmatch(f"{name}: found .+, expected .+", message)
    return message.removeprefix(f"{name}: ")


@pytest.mark.parametrize(
    ("typed", "directory", "mount"),
    [
        ("www", "www", ""),
        ("www:/", "www", ""),
        ("www:/a", "www", "/a"),
        ("www:/a/b/", "www", "/a/b"),
        ("./www/:/é ü", "./www/", "/é ü"),
        ("co:lon", "co:lon", ""),
        ("co:lon:/a", "co:lon", "/a"),
        ("co:/lon:/", "co:/lon", ""),
    ],
)
def test_a_mount_is_what_follows_the_last_colon_and_slash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, directory: str, mount: str
) -> None:
    for each in ("www", "co:lon", "co:/lon"):
        (tmp_path / each).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert read("static", typed) == ((directory, mount),)
    assert read("static", [(directory, mount)]) == ((directory, mount),)


def test_in_python_a_directory_may_be_a_path(tmp_path: Path) -> None:
    text = str(tmp_path)
    assert read("static", tmp_path) == ((text, ""),)
    assert read("static", [tmp_path, (tmp_path, "/a/"), text, [text, "/"]]) == (
        (text, ""),
        (text, "/a"),
        (text, ""),
        (text, ""),
    )


def test_a_directory_must_exist_be_one_and_be_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.touch()
    missing = str(tmp_path / "missing")
    assert refusal("static", f"{missing}:/a") == f"found {missing!r}, expected a directory that exists"
    assert refusal("static", str(file)) == f"found {str(file)!r}, expected a directory, not a file"
    asked = []

    def access(path: str, mode: int) -> bool:
        asked.append((path, mode))
        return False

    monkeypatch.setattr(os, "access", access)
    assert refusal("static", str(tmp_path)) == (
        f"found {str(tmp_path)!r}, expected a directory that this user may list and enter"
    )
    assert asked == [(str(tmp_path), os.R_OK | os.X_OK)]


@pytest.mark.parametrize("value", [":/a", [""], [("", "/a")], "a\0b", [("a\0b", "")], [(b".", "")], [(5, "")]])
def test_what_names_no_directory_is_refused(value: object) -> None:
    assert refusal("static", value).endswith(", expected a directory that exists")


@pytest.mark.parametrize("value", [5, None, [("a",)], [("a", "b", "c")], [None], [b"."]])
def test_what_is_no_directory_with_a_mount_is_refused(value: object) -> None:
    expected = "expected DIR or DIR:/mount, in Python also a path or a pair of directory and mount"
    assert refusal("static", value).endswith(expected)


@pytest.mark.parametrize(
    "mount", ["a", "a/b", "//", "//a", "/a//b", "/a//", "/.", "/a/../b", "/a?b", "/a#b", "/a%20b", "/a\\b", "/a\x7f", 5]
)
def test_a_mount_is_a_plain_path(mount: object) -> None:
    assert refusal("static", [(".", mount)]) == (
        f"found {mount!r}, expected a mount that begins with /, such as /assets, without ? # % \\, empty segments or "
        "dot segments"
    )


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("index.html", ("index.html",)),
        ("a, b,a", ("a", "b")),
        (["a", "b c"], ("a", "b c")),
        ("none", ()),
        ((), ()),
        ("None", ()),
    ],
)
def test_an_index_is_one_name_or_several(value: object, names: tuple[str, ...]) -> None:
    assert read("index", value) == names


@pytest.mark.parametrize("value", ["", "a,", "a/b", "..", ".", "a\\b", ["a,b"], [""], [5], 5, None, [], "a\x00b", b"a"])
def test_what_is_no_name_of_an_index_is_refused(value: object) -> None:
    assert "NAME,NAME" in refusal("index", value) or "names of files" in refusal("index", value)


@pytest.mark.parametrize("name", ["spa", "not_found"])
@pytest.mark.parametrize(
    ("value", "path"), [("a.html", "a.html"), ("a/b c.html", "a/b c.html"), ("none", ""), ("NONE", ""), ("", "")]
)
def test_a_file_is_a_path_inside_the_directory(name: str, value: object, path: str) -> None:
    assert read(name, value) == path


@pytest.mark.parametrize("name", ["spa", "not_found"])
@pytest.mark.parametrize("value", ["/a", "a/", "a//b", "../a", "a/./b", "a:b", "a\\b", "a\n", True, None, b"a"])
def test_a_file_outside_the_directory_is_refused(name: str, value: object) -> None:
    assert "expected a file's path inside DIR, " in refusal(name, value)


@pytest.mark.parametrize(
    ("value", "pairs"),
    [
        ("*.html=no-cache", (("*.html", "no-cache"),)),
        ("*.css = max-age=60, public", (("*.css", "max-age=60, public"),)),
        ("a=b\n/c/*=d", (("a", "b"), ("/c/*", "d"))),
        ([("*", "no-store"), "a=b"], (("*", "no-store"), ("a", "b"))),
    ],
)
def test_cache_control_is_split_at_the_first_equals_sign(value: object, pairs: tuple[tuple[str, str], ...]) -> None:
    assert read("cache_control", value) == pairs


@pytest.mark.parametrize(
    "value", ["", "=", "*.html", "*.html=", "=no-cache", "a=\x00", ["a=b\nc"], [("a",)], 5, [b"a=b"]]
)
def test_what_is_no_cache_control_is_refused(value: object) -> None:
    assert refusal("cache_control", value).endswith("expected GLOB=VALUE, such as *.html=no-cache")


def test_cache_control_is_a_field_value() -> None:
    assert refusal("cache_control", "*=\u20ac").endswith("expected characters of ISO-8859-1 only")


@pytest.mark.parametrize(
    ("value", "triple"),
    [
        ("X-A: b", ("x-a", "b", "*")),
        ("X-A:b@*.html", ("x-a", "b", "*.html")),
        ("x-a: b @/fonts/*", ("x-a", "b", "/fonts/*")),
        ("x-a: b@fonts/a?.woff", ("x-a", "b", "fonts/a?.woff")),
        ("x-a: b@[ab].css", ("x-a", "b", "[ab].css")),
        ("x-a: @*", ("x-a", "", "*")),
        # An address is the value's own, whatever its host is called.
        ("contact: me@example.org", ("contact", "me@example.org", "*")),
        ("contact: me@example.org@/a/*", ("contact", "me@example.org", "/a/*")),
        ("contact: <https://me@example.org/a>", ("contact", "<https://me@example.org/a>", "*")),
        ("contact: mailto:me@example.org?subject=a", ("contact", "mailto:me@example.org?subject=a", "*")),
        ('x-a: "b@/c", d', ("x-a", '"b@/c", d', "*")),
        # What only looks like a glob is kept in the value by one behind it.
        ("link: https://me@example.org/a", ("link", "https://me", "example.org/a")),
        ("link: https://me@example.org/a@*", ("link", "https://me@example.org/a", "*")),
        (("x-a", "b@*.html"), ("x-a", "b@*.html", "*")),
        (("X-A", "é", "*.html"), ("x-a", "é", "*.html")),
        ((b"X-A", b"b", "*.html"), ("x-a", "b", "*.html")),
    ],
)
def test_a_field_of_files_may_end_with_a_glob(value: object, triple: tuple[str, str, str]) -> None:
    assert read("static_headers", [value]) == (triple,)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("x", "NAME:VALUE"),
        ("x@*", "NAME:VALUE"),
        ("a b:c", "a field name of letters, digits and"),
        ("a:b\x00", "a field value without control characters"),
        (("a", "\u20ac"), "characters of ISO-8859-1 only"),
        ("content-length: 1@*", "a field that does not frame the message"),
        ("ETag: 1", "a field that the server does not write itself for each file"),
        ("Content-Range: 1", "a field that the server does not write itself for each file"),
        (("a", "b", ""), "a glob such as *.html or /assets/*"),
        (("a", "b", 5), "a glob such as *.html or /assets/*"),
        (("a", "b", "c", "d"), "a pair of str or bytes"),
        (5, "a pair of str or bytes"),
    ],
)
def test_what_is_no_field_of_files_is_refused(value: object, expected: str) -> None:
    assert expected in refusal("static_headers", [value])


@pytest.mark.parametrize(
    ("value", "pair"),
    [
        ("md=text/markdown", ("md", "text/markdown")),
        (".MD = text/markdown", ("md", "text/markdown")),
        ("md=text/markdown; charset=utf-8", ("md", "text/markdown; charset=utf-8")),
        ('md=text/x;a="b;c\\"";d=e', ("md", 'text/x;a="b;c\\"";d=e')),
        ("c++=text/x-c++src", ("c++", "text/x-c++src")),
        (("md", "text/markdown"), ("md", "text/markdown")),
    ],
)
def test_a_type_is_for_an_extension(value: object, pair: tuple[str, str]) -> None:
    assert read("mime", [value]) == (pair,)


@pytest.mark.parametrize(
    "value",
    [
        "x",
        "md=",
        "=a/b",
        ".=a/b",
        "tar.gz=a/b",
        "a/b=a/b",
        "md=text",
        "md=text/",
        "md=/x",
        "md=a/b/c",
        "md=a/b;",
        "md=a/b; c",
        "md=a/b; c=",
        'md=a/b; c="',
        "md=a b/c",
        "md=a/b\x00",
        "md=a/é",
        'md=a/b;c="\u20ac"',
        ("md",),
        ("md", 5),
        (5, "a/b"),
        ("md", ["a/b"]),
        (b"md", b"a/b"),
        {"md": "a/b"},
        {"md": 5},
        5,
        None,
        [],
    ],
)
def test_what_is_no_type_is_refused(value: object) -> None:
    refusal("mime", [value])


@pytest.mark.parametrize("value", [5, None, {"md": 5}, {"md": "a/b"}, {"md=a/b"}, iter(["md=a/b"]), b"md=a/b"])
def test_types_are_a_list_and_nothing_else(value: object) -> None:
    assert refusal("mime", value).endswith("expected EXT=TYPE, such as md=text/markdown")


def test_globs_hide() -> None:
    assert read("hide", "*.bak\n/private/*") == ("*.bak", "/private/*")
    for value in ([""], [" "], ["a\x00"], [5], 5, [b"a"]):
        assert refusal("hide", value).endswith("expected a glob such as *.html or /assets/*")


def test_a_user_ends_at_the_first_colon() -> None:
    assert read("basic_auth", ["me:scrypt:x", ("you", "y")]) == (("me", "scrypt:x"), ("you", "y"))


@pytest.mark.parametrize(
    "value", ["secret", ":secret", "secret:", "me:secret\x00", ("secret",), ("me", b"secret"), b"secret"]
)
def test_what_is_refused_of_a_user_is_not_shown(value: object) -> None:
    assert refusal("basic_auth", [value]) == (
        "found something that is not shown here, expected USER:HASH, a HASH being what miniasgi --hash-password prints"
    )


@pytest.mark.parametrize(
    ("value", "pair"),
    [
        ("off", ("off", 0)),
        ("META", ("meta", 0)),
        ("full", ("full", 64 * MIB)),
        ("full:1", ("full", 1)),
        (" full:10 MiB ", ("full", 10 * MIB)),
        (("off", 5), ("off", 0)),
        (["full", 5], ("full", 5)),
        (("full", "1k"), ("full", 1024)),
    ],
)
def test_a_cache_is_a_mode_and_its_octets(value: object, pair: tuple[str, int]) -> None:
    assert read("static_cache", value) == pair


@pytest.mark.parametrize(
    "value",
    ["", "on", "off:1m", "meta:1", "full:", "full:0", "full:x", "full:-1", ("full", 0), ("full",), None, True, 5],
)
def test_what_is_no_cache_is_refused(value: object) -> None:
    assert refusal("static_cache", value).endswith("expected off, meta, full or full:SIZE, such as full:64m")


@pytest.mark.parametrize(
    ("value", "origin"),
    [
        ("*", "*"),
        ("https://Example.ORG", "https://example.org"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://[::1]:80", "http://[::1]:80"),
        ("none", ""),
        ("", ""),
    ],
)
def test_an_origin_has_a_scheme_and_a_host(value: str, origin: str) -> None:
    assert read("cors", value) == origin


@pytest.mark.parametrize(
    "value",
    [
        "example.org",
        "https://example.org/",
        "https://a, https://b",
        "a:b",
        "null",
        "https://",
        "https://a:",
        None,
        5,
        True,
        b"*",
        ["*"],
        {"*": 1},
    ],
)
def test_what_is_no_origin_is_refused(value: object) -> None:
    expected = "expected * or an origin without a path, such as https://example.org, or none"
    assert refusal("cors", value).endswith(expected)


def test_a_pattern_is_a_regular_expression_or_a_word() -> None:
    assert read("immutable", r"\.css$") == r"\.css$"
    assert read("immutable", "auto") == HASHED_NAME
    assert read("immutable", "none") == read("immutable", "") == ""
    assert BY_NAME["immutable"].kind.show(HASHED_NAME) == "auto"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("(", ": missing ), unterminated subpattern at position 0"),
        ("*", ": nothing to repeat at position 0"),
        ("a{99999999999}", ": the repetition number is too large"),
        (None, ""),
        (b"a", ""),
    ],
)
def test_what_is_no_pattern_is_refused_with_the_reason(value: object, said: str) -> None:
    assert refusal("immutable", value) == f"found {value!r}, expected a regular expression, auto or none{said}"


@pytest.mark.parametrize(
    "name",
    [
        "app.4f3a9c1d.js",
        "index-BqX3k9Zp.css",
        "main.8e0d62a03.chunk.js",
        "2.3f2a91bc.css.map",
        "chunk-7FQ2XK4B.js",
        "logo_d41d8cd98f00b204e9800998ecf8427e.svg",
        "inter-0123abcd.woff2",
        "a/b/app.4f3a9c1d.js",
        "a-b_c.d-index-b2X-k9Za.mjs",
    ],
)
def test_a_name_with_a_hash_is_immutable(name: str) -> None:
    assert re.search(HASHED_NAME, name)


@pytest.mark.parametrize(
    "name",
    [
        "photo-20240101.jpg",
        "photo-20240101a.jpg",
        "photo_20240101T120000.jpg",
        "my-document.html",
        "app.js",
        "jquery.min.js",
        "report-12345678.pdf",
        "report-12345678a.png",
        "app-version2.js",
        "deadbeef.txt",
        "a-1.2.3.js",
        "bootstrap-5.3.0.min.css",
        "scene-face0001.png",
        "the-MyComponent2.js",
        "annual-Report2024Final.png",
        "NotoSans-NotoSansJP9.woff2",
        "logo-Win10Pro.png",
        "avatar-550e8400-e29b-41d4-a716-44665544a000.jpg",
        "4f3a9c1d.js",
        "page.4f3a9c1d.html",
        "report-4f3a9c1d.pdf",
        "app.4f3a9c1d.js\n",
        "app.4f3a9c1d.js/index.html",
        "app.4f3a9c1.js",
        "app.4f3a9c1d",
    ],
)
def test_a_name_that_only_looks_like_it_is_not_immutable(name: str) -> None:
    assert not re.search(HASHED_NAME, name)


@pytest.mark.parametrize("option", [each for each in OPTIONS if each.kind.repeatable], ids=lambda option: option.name)
def test_an_empty_text_is_not_taken_for_no_value(option: Option) -> None:
    # As of --basic-auth "$USERS" with the variable unset.
    for value in ("", [""]):
        refusal(option.name, value)
