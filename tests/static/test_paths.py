"""What a request's path names, how names are written as a path, and which of them are shown."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

import pytest

from miniasgi.static import paths
from miniasgi.static.paths import Names, encode_path, split_path


@pytest.mark.parametrize(
    ("raw_path", "segments"),
    [
        (b"/", (b"",)),
        (b"/a", (b"a",)),
        (b"/a/b.txt", (b"a", b"b.txt")),
        (b"/a/", (b"a", b"")),
        (b"/a//b", (b"a", b"b")),
        (b"//a", (b"a",)),
        (b"//", (b"",)),
        (b"/a///", (b"a", b"")),
        (b"/.a", (b".a",)),
        (b"/...", (b"...",)),
        (b"/a./b..", (b"a.", b"b..")),
        (b"/a%20b", (b"a b",)),
        (b"/%61%5a", (b"aZ",)),
        (b"/%C3%A4/%e4", (b"\xc3\xa4", b"\xe4")),
        (b"/\xc3\xa4", (b"\xc3\xa4",)),
        (b"/a%0Ab", (b"a\nb",)),
        (b"/a:b", (b"a:b",)),
        (b"/a+b", (b"a+b",)),
        (b"/a%3Fb%23c", (b"a?b#c",)),
    ],
)
def test_a_path_is_split_at_its_slashes_and_each_segment_is_decoded(raw_path: bytes, segments: tuple[bytes]) -> None:
    assert split_path(raw_path) == segments


@pytest.mark.parametrize(
    ("raw_path", "segments"),
    [
        (b"/%252e%252e/a", (b"%2e%2e", b"a")),
        (b"/%252fa", (b"%2fa",)),
        (b"/%25", (b"%",)),
        (b"/%2500", (b"%00",)),
    ],
)
def test_what_has_been_decoded_is_not_decoded_again(raw_path: bytes, segments: tuple[bytes]) -> None:
    assert split_path(raw_path) == segments


@pytest.mark.parametrize(
    "raw_path",
    [
        b"",
        b"a",
        b"a/b",
        b"\\a",
        b"*",
        b"http://host/a",
        b"/.",
        b"/..",
        b"/./a",
        b"/a/.",
        b"/a/..",
        b"/a/../b",
        b"/../a",
        b"/%2e",
        b"/%2E%2e/a",
        b"/.%2e/a",
        b"/a/%2e%2E",
        b"/a%2fb",
        b"/%2F",
        b"/..%2fa",
        b"/a\\b",
        b"/a%5Cb",
        b"/..%5ca",
        b"/a\0b",
        b"/a%00b",
        b"/%00",
        b"/%",
        b"/a%4",
        b"/a%4/b",
        b"/%zz",
        b"/%4g",
        b"/%%41",
        b"/%u0041",
        b"/% 1",
        b"/%+1",
    ],
)
def test_a_path_that_names_no_file_in_any_tree_is_refused(raw_path: bytes) -> None:
    assert split_path(raw_path) is None


def expected_segments(raw_path: bytes) -> tuple[bytes, ...] | None:
    """What split_path() promises, said in another way, and slowly."""
    first, *parts = raw_path.split(b"/")
    if first or not parts:
        return None
    decoded = []
    for part in parts:
        for place, octet in enumerate(part):
            digits = part[place + 1 : place + 3]
            if octet == ord("%") and (len(digits) < 2 or digits.strip(b"0123456789abcdefABCDEF")):
                return None
        decoded.append(unquote_to_bytes(part))
    if any(segment in (b".", b"..") or set(segment) & set(b"/\\\0") for segment in decoded):
        return None
    return (*(segment for segment in decoded[:-1] if segment), decoded[-1])


def random_paths(seed: int, count: int) -> list[bytes]:
    chosen = random.Random(seed)
    fragments = (b"/", b"//", b"/", b"a", b"b.c", b".", b"..", b"%2e", b"%2E", b"%2f", b"%5c", b"%00", b"%25", b"%4")
    fragments += (b"%", b"\\", b"\0", b"\xff", b"%e4", b"%C3%A4", b"2e", b" ", b"~", b":")
    return [
        b"/" * (chosen.randrange(8) > 0) + b"".join(chosen.choices(fragments, k=chosen.randrange(8)))
        for _ in range(count)
    ]


def test_the_quick_way_and_the_slow_way_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = random_paths(1, 20_000)
    quick = [split_path(path) for path in paths]
    assert quick == [expected_segments(path) for path in paths]
    assert len(set(quick)) > 100
    # No path is without all of the octets there are.
    monkeypatch.setattr("miniasgi.static.paths._PLAIN", frozenset(range(256)))
    assert [split_path(path) for path in paths] == quick


def test_no_path_has_a_segment_that_leads_elsewhere() -> None:
    for path in random_paths(2, 20_000):
        segments = split_path(path)
        if segments is not None:
            assert segments
            assert b"" not in segments[:-1]
            for segment in segments:
                assert segment not in (b".", b"..")
                assert not set(segment) & set(b"/\\\0")


def test_a_path_is_encoded_but_for_its_unreserved_characters() -> None:
    segments = (b"a-b.c_d~0", b"e f", b"\xe4\xff", b"%2e", b"?#[]@!$&'()*+,;=:", b'<">', b"\r\n", b"")
    assert encode_path(segments) == (
        b"/a-b.c_d~0/e%20f/%E4%FF/%252e/%3F%23%5B%5D%40%21%24%26%27%28%29%2A%2B%2C%3B%3D%3A/%3C%22%3E/%0D%0A/"
    )


@pytest.mark.parametrize("segments", [(), (b"",)])
def test_the_top_is_one_slash(segments: tuple[bytes, ...]) -> None:
    assert encode_path(segments) == b"/"


def test_what_was_encoded_is_split_into_the_same_segments() -> None:
    octets = bytes(octet for octet in range(1, 256) if octet not in b"/\\")
    chosen = random.Random(3)
    for _ in range(2000):
        segments = tuple(bytes(chosen.choices(octets, k=chosen.randrange(3, 9))) for _ in range(chosen.randrange(1, 5)))
        for each in (segments, (*segments, b"")):
            assert split_path(encode_path(each)) == each


def visible(segments: Sequence[bytes | str], *hidden: str, dotfiles: bool = False) -> bool:
    octets = [segment.encode() if isinstance(segment, str) else segment for segment in segments]
    return Names(dotfiles=dotfiles, hidden=hidden).are_visible(octets)


@pytest.mark.parametrize("segments", [(), ("",), ("a",), ("a", "b.c"), ("a", ""), ("a.",), ("\n",), (b"\xff", b"\xe4")])
def test_names_are_shown_as_a_rule(segments: tuple[str, ...]) -> None:
    assert visible(segments)
    assert visible(segments, dotfiles=True)


@pytest.mark.parametrize("segments", [(".git",), (".git", "config"), ("a", ".env"), ("a", ".b", "c"), ("...",)])
def test_names_that_begin_with_a_dot_are_shown_only_if_asked_for(segments: tuple[str, ...]) -> None:
    assert not visible(segments)
    assert visible(segments, dotfiles=True)


def test_well_known_is_shown_at_the_top_alone() -> None:
    assert visible([".well-known"])
    assert visible([".well-known", "security.txt"])
    assert not visible([".well-known", ".htaccess"])
    assert not visible([".well-known", ".well-known"])
    assert not visible(["a", ".well-known"])
    assert not visible([".well-known2"])
    assert not visible([".WELL-KNOWN"])


def test_a_backslash_in_a_name_is_never_shown() -> None:
    assert not visible(["a\\b"])
    assert not visible(["a", "\\"], dotfiles=True)


@pytest.mark.parametrize(
    ("glob", "hidden", "shown"),
    [
        ("secret", ["secret", "a/secret", "secret/a", "a/secret/", "SECRET"], ["secrets", "a/secret.txt", ""]),
        ("*.bak", ["a.bak", ".bak/b", "a.bak/b", "a/b.BAK"], ["a.bak2", "bak"]),
        ("?.md", ["a.md", "ä.md", "a/b.MD"], ["ab.md", ".md/x"]),
        ("[aä]*", ["a", "ä", "Äb", "x/abc"], ["b", "ba"]),
        ("über", ["über", "ÜBER/a"], ["uber"]),
        ("a+b", ["a+b"], ["aab"]),
    ],
)
def test_a_glob_without_a_slash_hides_a_segment_anywhere(glob: str, hidden: list[str], shown: list[str]) -> None:
    assert [path for path in hidden if visible(path.split("/"), glob, dotfiles=True)] == []
    assert [path for path in shown if not visible(path.split("/"), glob, dotfiles=True)] == []


@pytest.mark.parametrize(
    ("glob", "hidden", "shown"),
    [
        ("/secret", ["secret", "secret/a", "secret/", "Secret/a/b"], ["a/secret", "secrets"]),
        ("secret/", ["secret", "secret/a"], ["a/secret"]),
        ("a/b", ["a/b", "a/b/c", "A/B"], ["a", "a/bc", "x/a/b", "a/x/b"]),
        ("a/*.txt", ["a/b.txt", "a/b.txt/c", "a/b/c.txt", "a/ä.TXT"], ["a", "b.txt", "x/a/b.txt"]),
        ("*/b", ["a/b", "a/b/c", "a/x/b"], ["b", "a/bc"]),
        ("/*.txt", ["b.txt", "a/b.txt"], ["b.md"]),
        ("ä/?", ["Ä/ö", "ä/x/y"], ["ä", "ä/xy"]),
    ],
)
def test_a_glob_with_a_slash_hides_paths_from_the_root(glob: str, hidden: list[str], shown: list[str]) -> None:
    assert [path for path in hidden if visible(path.split("/"), glob)] == []
    assert [path for path in shown if not visible(path.split("/"), glob)] == []


def test_names_that_are_not_utf_8_are_hidden_like_others() -> None:
    assert not visible([b"a\xff.bak"], "*.bak")
    assert not visible([b"\xff"], "?")
    assert not visible([b"\xff"], "\udcff")
    assert visible([b"\xfe"], "\udcff")


def test_each_of_several_globs_hides() -> None:
    globs = ("*.bak", "a/b", "secret")
    assert [path for path in ("x.bak", "a/b", "c/secret", "a/c") if visible(path.split("/"), *globs)] == ["a/c"]


def test_a_long_path_is_read_once_and_not_each_of_its_beginnings(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    fits = paths._fits

    def noted(name: bytes, patterns: Sequence[re.Pattern[str]]) -> bool:
        read.append(len(name))
        return fits(name, patterns)

    monkeypatch.setattr(paths, "_fits", noted)
    assert visible(["a"] * 8000, "/secret", "x/*y/z")
    assert not visible(["a"] * 8000 + ["y", "b"], "/a*/y")
    assert read == [15_999, 16_003]
