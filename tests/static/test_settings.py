"""What StaticFiles may be given, what that comes to, and what is said where it cannot be."""

from __future__ import annotations

from typing import Any, Unpack

import pytest

from miniasgi.static.auth import hash_password
from miniasgi.static.settings import Options, Settings

MIB = 1024 * 1024
NOSNIFF = (b"x-content-type-options", b"nosniff")
EXPOSED = (b"access-control-expose-headers", b"*")
IMMUTABLE = (b"cache-control", b"public, max-age=31536000, immutable")


def make(**options: Unpack[Options]) -> Settings:
    return Settings(options)


def fields(settings: Settings, path: str) -> list[tuple[bytes, bytes]]:
    return settings.fields_for(path.encode().split(b"/"))


def test_without_options_everything_is_as_safe_as_it_can_be() -> None:
    settings = make()
    assert {
        name: getattr(settings, name)
        for name in ("index", "listing", "suffixes", "spa", "not_found", "expected", "clean_urls", "follow_symlinks")
    } == {
        "index": ("index.html",),
        "listing": (),
        "suffixes": {},
        "spa": "",
        "not_found": "404.html",
        "expected": [],
        "clean_urls": False,
        "follow_symlinks": False,
    }
    assert (settings.live_reload, settings.types, settings.auth, settings.cors) == (False, {}, None, "")
    assert (settings.remembers, settings.memory) == (True, 64 * MIB)
    assert settings.everywhere == [NOSNIFF]
    assert not settings.names.are_visible([b".git"])


def test_an_option_that_there_is_not_is_an_error() -> None:
    options: Any = {"indx": ("a",)}
    with pytest.raises(TypeError) as raised:
        Settings(options)
    assert str(raised.value) == (
        "StaticFiles() has no option 'indx': there are index, listing, precompressed, spa, not_found, clean_urls, "
        "cache_control, immutable, headers, cors, follow_symlinks, dotfiles, hide, cache, mime, basic_auth, live_reload"
    )


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"index": ("a", "")}, "index: found '', expected names"),
        ({"index": ""}, "index: found '', expected names"),
        ({"index": (1,)}, "index: found 1, expected names"),
        ({"index": ("a/b",)}, "index: found 'a/b', expected names of files, without directories"),
        ({"index": ("/etc/passwd",)}, "index: found '/etc/passwd', expected names of files, without directories"),
        ({"index": ("..",)}, "index: found '..', expected names of files, without directories"),
        ({"index": ("a\0b",)}, "index: found 'a\\x00b', expected names of files, without directories"),
        ({"listing": ("html", "xml")}, "listing: found 'xml', expected some of html, json"),
        ({"listing": "html,"}, "listing: found '', expected some of html, json"),
        ({"precompressed": ("gz",)}, "precompressed: found 'gz', expected some of br, zstd, gzip"),
        ({"hide": ("",)}, "hide: found '', expected names"),
        ({"spa": "/a"}, "spa: found '/a', expected the path of a file from the root of what is served"),
        ({"spa": "../a"}, "spa: found '../a', expected the path of a file from the root of what is served"),
        ({"spa": "a/./b"}, "spa: found 'a/./b', expected the path of a file from the root of what is served"),
        ({"not_found": "/"}, "not_found: found '/', expected the path of a file from the root of what is served"),
        ({"not_found": ".."}, "not_found: found '..', expected the path of a file from the root of what is served"),
        ({"mime": {"a": "a\nb"}}, "mime: found 'a\\nb', expected a field value: Latin-1 without control characters"),
        (
            {"cache_control": {"*": "a\r"}},
            "cache_control: found 'a\\r', expected a field value: Latin-1 without control characters",
        ),
        (
            {"headers": [("a", "€")]},
            "headers: found '€', expected a field value: Latin-1 without control characters",
        ),
        (
            {"headers": [("a", "\x7f", "*")]},
            "headers: found '\\x7f', expected a field value: Latin-1 without control characters",
        ),
        ({"cors": "\0"}, "cors: found '\\x00', expected a field value: Latin-1 without control characters"),
        (
            {"immutable": "("},
            "immutable: found '(', expected a regular expression: missing ), unterminated subpattern at position 0",
        ),
        (
            {"immutable": "a{99999999999999999999}"},
            "immutable: found 'a{99999999999999999999}', expected a regular expression: "
            "the repetition number is too large",
        ),
        ({"cache": "on"}, "cache: found 'on', expected off, meta or full"),
        ({"cache": ("all", 1)}, "cache: found 'all', expected off, meta or full"),
        ({"cache": ("full", -1)}, "cache: found -1, expected how many octets may be kept"),
        ({"cache": 1}, "cache: found 1, expected off, meta or full, or full and how many octets"),
        ({"listing": True}, "listing: found True, expected some of html, json"),
        ({"spa": True}, "spa: found True, expected the path of a file from the root of what is served"),
        ({"spa": "a//b"}, "spa: found 'a//b', expected the path of a file from the root of what is served"),
        ({"cors": True}, "cors: found True, expected a field value: Latin-1 without control characters"),
        (
            {"headers": ["a: b"]},
            "headers: found 'a: b', expected pairs of name and value, or triples with a glob behind",
        ),
        ({"mime": "md=text/x"}, "mime: expected a dictionary, or pairs, of str and str"),
        ({"basic_auth": ["ada:x"]}, "basic_auth: expected a dictionary, or pairs, of str and str"),
        ({"basic_auth": [("", "x")]}, "basic_auth: the user name is empty"),
    ],
)
def test_an_option_that_cannot_be_says_what_was_found_and_what_was_expected(options: Any, complaint: str) -> None:
    with pytest.raises(ValueError) as raised:
        Settings(options)
    assert str(raised.value) == complaint


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a b",
        "a:",
        "ä",
        "a\n",
        "Accept-Ranges",
        "Content-Encoding",
        "Content-Length",
        "content-range",
        "content-type",
        "ETag",
        "Last-Modified",
        "location",
        "Transfer-Encoding",
    ],
)
def test_a_field_that_files_set_themselves_or_that_is_none_cannot_be_added(name: str) -> None:
    with pytest.raises(ValueError) as raised:
        make(headers=[(name, "x")])
    assert str(raised.value) == (
        f"headers: found the name {name!r}, expected that of a field that files do not set themselves"
    )


def test_a_user_without_a_hash_is_an_error() -> None:
    with pytest.raises(ValueError):
        make(basic_auth={"ada": "secret"})


def test_names_are_a_sequence_or_a_text_with_commas() -> None:
    assert make(index="a.html,b.html").index == ("a.html", "b.html")
    assert make(index=["a.html"]).index == ("a.html",)
    assert make(index=()).index == ()
    assert make(listing="json,html").listing == ("json", "html")
    assert make(listing=("html",)).listing == ("html",)
    assert not make(hide="a,b").names.are_visible([b"b"])
    assert not make(hide=["*.b"]).names.are_visible([b"a.b"])


def test_codings_are_in_the_order_in_which_they_are_liked() -> None:
    assert make(precompressed="gzip,br").suffixes == {"br": b".br", "gzip": b".gz"}
    assert list(make(precompressed=("gzip", "zstd", "br")).suffixes) == ["br", "zstd", "gzip"]


def test_switches_are_as_given() -> None:
    settings = make(clean_urls=True, follow_symlinks=True, dotfiles=True)
    assert (settings.clean_urls, settings.follow_symlinks) == (True, True)
    assert settings.names.are_visible([b".git"])


def test_files_that_were_named_are_expected_to_be_there() -> None:
    assert make(spa="app/index.html").expected == ["app/index.html"]
    assert make(spa="a", not_found="b").expected == ["a", "b"]
    assert make(not_found="404.html").expected == []
    settings = make(not_found="", spa="")
    assert (settings.expected, settings.not_found, settings.spa) == ([], "", "")


@pytest.mark.parametrize(
    ("cache", "remembers", "octets"),
    [
        ("full", True, 64 * MIB),
        ("meta", True, 0),
        ("off", False, 0),
        (("full", 5), True, 5),
        (("full", 0), True, 0),
        (("meta", 5), True, 0),
        (("off", 5), False, 0),
    ],
)
def test_what_is_remembered_and_how_much_of_it(cache: Any, remembers: bool, octets: int) -> None:
    settings = make(cache=cache)
    assert (settings.remembers, settings.memory) == (remembers, octets)


def test_types_are_found_by_extensions_in_lower_case_without_a_dot() -> None:
    pairs = [(".MD", "text/markdown"), ("x", " text/x; charset=utf-8\t")]
    expected = {"md": b"text/markdown", "x": b"text/x; charset=utf-8"}
    assert make(mime=pairs).types == make(mime=dict(pairs)).types == expected


def test_users_are_pairs_or_a_mapping() -> None:
    users = [("ada", hash_password("secret"))]
    for settings in (make(basic_auth=users), make(basic_auth=dict(users))):
        assert settings.auth is not None
    assert make(basic_auth=[]).auth is None


def test_fields_without_a_glob_are_everywhere() -> None:
    settings = make(headers=[("X-A", "1"), ("X-B", " 2\t", "*"), ("X-C", "é", "*.html")], cors="https://example.org")
    origin = (b"access-control-allow-origin", b"https://example.org")
    everywhere = [(b"x-a", b"1"), (b"x-b", b"2"), NOSNIFF, origin, EXPOSED]
    assert settings.everywhere == everywhere
    assert fields(settings, "a.js") == everywhere
    assert fields(settings, "b/a.html") == [(b"x-c", b"\xe9"), *everywhere]


def test_scripts_of_other_origins_see_the_fields_that_are_named_where_some_are() -> None:
    named = ("access-control-expose-headers", "etag")
    values = [value for name, value in make(headers=[named], cors="*").everywhere if name == named[0].encode()]
    assert values == [b"etag"]
    assert EXPOSED not in make().everywhere


def test_nosniff_gives_way_to_another_word_on_the_matter() -> None:
    settings = make(headers=[("x-content-type-options", "sniff")])
    assert settings.everywhere == fields(settings, "a") == [(b"x-content-type-options", b"sniff")]


def test_a_glob_without_a_slash_is_held_against_the_name_and_one_with_a_slash_against_the_path() -> None:
    names = {"a": "*.js", "b": "/*.js", "c": "lib/*", "d": "/lib/x.js", "e": "x.js", "f": "lib", "g": "*/x.js"}
    settings = make(headers=[(name, "1", glob) for name, glob in names.items()])

    def fitting(path: str) -> str:
        return b"".join(name for name, value in fields(settings, path) if value == b"1").decode()

    assert [fitting(path) for path in ("y.js", "lib/x.js", "a/lib/x.js", "lib", "lib/y", "X.JS")] == [
        "ab",
        "abcdeg",
        "abeg",
        "f",
        "c",
        "",
    ]


def test_a_glob_fits_names_that_are_not_ascii_or_not_utf_8() -> None:
    settings = make(headers=[("a", "1", "?.txt"), ("b", "1", "[ä]*")])
    assert fields(settings, "ä.txt") == [(b"a", b"1"), (b"b", b"1"), NOSNIFF]
    assert settings.fields_for([b"\xff.txt"]) == [(b"a", b"1"), NOSNIFF]


def test_the_first_cache_control_that_fits_is_said_and_no_other() -> None:
    pairs = [("/media/*", "max-age=1"), ("*.html", "no-cache"), ("*", "max-age=3")]
    for settings in (make(cache_control=pairs), make(cache_control=dict(pairs))):
        for path, value in {
            "media/a.html": b"max-age=1",
            "a.html": b"no-cache",
            "b/media/a.html": b"no-cache",
            "a.js": b"max-age=3",
            "app.4f3a9c1d.js": b"max-age=3",
        }.items():
            assert fields(settings, path) == [(b"cache-control", value), NOSNIFF]


def test_names_with_a_hash_are_immutable_unless_something_else_is_said() -> None:
    settings = make(cache_control={"*.css": "no-cache"})
    for path in ("app.4f3a9c1d.js", "assets/index-BqX3k9Zp.js"):
        assert fields(settings, path) == [NOSNIFF, IMMUTABLE]
    assert fields(settings, "app.4f3a9c1d.css") == [(b"cache-control", b"no-cache"), NOSNIFF]
    for path in ("app.js", "assets/jquery-3.7.1.min.js", "report-20240131.json", "4f3a9c1d/app.js", "a.4f3a9c1d.html"):
        assert fields(settings, path) == [NOSNIFF]


def test_names_with_a_hash_are_not_immutable_where_a_field_was_added_that_says_how_long() -> None:
    said = (b"cache-control", b"max-age=60")
    assert fields(make(headers=[("Cache-Control", "max-age=60")]), "app.4f3a9c1d.js") == [said, NOSNIFF]
    settings = make(headers=[("Cache-Control", "max-age=60", "*.js")])
    assert fields(settings, "app.4f3a9c1d.js") == [said, NOSNIFF]
    assert fields(settings, "app.4f3a9c1d.css") == [NOSNIFF, IMMUTABLE]


def test_which_names_are_immutable_can_be_said() -> None:
    settings = make(immutable=r"^/assets/.*\.js$")
    assert fields(settings, "assets/a.js") == [NOSNIFF, IMMUTABLE]
    assert fields(settings, "x/assets/a.js") == fields(settings, "app.4f3a9c1d.js") == [NOSNIFF]
    assert fields(make(immutable=""), "app.4f3a9c1d.js") == [NOSNIFF]


def test_fields_for_a_file_come_before_those_for_everything() -> None:
    settings = make(
        headers=[("x-all", "1"), ("x-js", "2", "*.js"), ("x-lib", "3", "/lib/*")],
        cache_control={"*.js": "no-store"},
        cors="*",
    )
    assert fields(settings, "lib/a.js") == [
        (b"x-js", b"2"),
        (b"x-lib", b"3"),
        (b"cache-control", b"no-store"),
        (b"x-all", b"1"),
        NOSNIFF,
        (b"access-control-allow-origin", b"*"),
        EXPOSED,
    ]


def test_a_live_reload_keeps_nothing_here_nor_in_browsers() -> None:
    settings = make(live_reload=True, cache="full", cache_control={"*": "max-age=9"}, headers=[("a", "1", "*.js")])
    assert settings.live_reload
    assert (settings.remembers, settings.memory) == (False, 0)
    no_cache = (b"cache-control", b"no-cache")
    assert fields(settings, "app.4f3a9c1d.js") == [(b"a", b"1"), no_cache, NOSNIFF]
    assert fields(settings, "a.html") == [no_cache, NOSNIFF]


def test_what_is_given_is_never_the_list_that_is_kept() -> None:
    settings = make(headers=[("a", "1")])
    fields(settings, "a").append((b"vary", b"accept-encoding"))
    assert settings.everywhere == fields(settings, "a") == [(b"a", b"1"), NOSNIFF]


def test_the_words_of_the_command_line_mean_the_same() -> None:
    settings = make(index="none", listing="none", precompressed="none", spa="none", not_found="none", cors="none")
    assert (settings.index, settings.listing, settings.suffixes) == ((), (), {})
    assert (settings.spa, settings.not_found, settings.expected, settings.cors) == ("", "", [], "")
    hashed = [b"app.4f3a9c1d.js"]
    assert make(immutable="auto").fields_for(hashed) == make().fields_for(hashed)
    assert make(immutable="none").fields_for(hashed) == make(immutable="").fields_for(hashed)


def test_fields_are_a_mapping_or_pairs() -> None:
    assert make(headers={"X-A": "b"}).everywhere == make(headers=[("X-A", "b")]).everywhere
