"""Kinds of value: what each reads, refuses and shows; those of Config's own options are tested with it, too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from miniasgi.config.kinds import (
    DIRECTORIES,
    FILE,
    GLOBS,
    REFERENCE,
    SWITCH,
    Kind,
    Refused,
    automatic,
    duration,
    read_octets,
    repeated,
    show_octets,
    size,
    whole,
    words,
)

COLOURS = words("red", "green", "blue", bare="red,blue")
NUMBER = whole(1, 1024)
NUMBERS = repeated("N", whole(1).read)


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError("not now")


def refusal(kind: Kind, value: object) -> str:
    with pytest.raises(Refused) as caught:
        kind.read(value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        ("a\nb", r"found 'a\nb', expected c"),
        (b"a", "found b'a', expected c"),
        ("x" * 1000 + "y" * 1000, f"found '{'x' * 97} ... {'y' * 96}', expected c"),
        (Unshowable(), "found an object of type Unshowable that cannot be shown, expected c"),
        # Python refuses to write out so long a number.
        (10**5000, "found an object of type int that cannot be shown, expected c"),
    ],
    ids=["line end", "octets", "long", "repr fails", "huge"],
)
def test_a_refusal_is_one_short_line(found: object, shown: str) -> None:
    assert str(Refused(found, "c")) == shown


def test_brackets_say_that_a_value_may_be_left_out() -> None:
    assert [COLOURS.form, NUMBERS.form, Kind("", str).form] == ["[red,green,blue]", "N", ""]


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("red", ("red",)),
        (" Blue , RED ", ("blue", "red")),
        ("red,red", ("red",)),
        (["green", "red"], ("green", "red")),
        (("green",), ("green",)),
        ("none", ()),
        (" None ", ()),
        ((), ()),
        (COLOURS.bare, ("red", "blue")),
    ],
)
def test_words_are_some_of_those_there_are(value: object, read: tuple[str, ...]) -> None:
    assert COLOURS.read(value) == read
    assert COLOURS.read(COLOURS.show(read)) == read


@pytest.mark.parametrize("value", ["", ",", "red,", "pink", "red,none", "red blue", [], None, True, 5, [5], [["red"]]])
def test_other_words_are_refused_with_those_there_are(value: object) -> None:
    with pytest.raises(Refused) as caught:
        COLOURS.read(value)
    assert str(caught.value) == (
        f"found {value!r}, expected one or more of red, green, blue, with commas between them, or none"
    )


@pytest.mark.parametrize(
    ("value", "read"), [("1\n2\n", (1, 2)), ([1, "2"], (1, 2)), ((2, 2), (2, 2)), (3, (3,)), ((), ())]
)
def test_what_is_repeated_is_lines_or_a_list_and_keeps_its_order(value: object, read: tuple[int, ...]) -> None:
    assert NUMBERS.read(value) == read
    assert NUMBERS.read(NUMBERS.show(read) or read) == read


@pytest.mark.parametrize(
    ("value", "found"), [("1\n\n2", "''"), ("", "''"), ([1, None], "None"), ({}, "{}"), (None, "None")]
)
def test_a_wrong_one_of_many_is_the_one_that_is_shown(value: object, found: str) -> None:
    with pytest.raises(Refused) as caught:
        NUMBERS.read(value)
    assert str(caught.value) == f"found {found}, expected a whole number of at least 1"


@pytest.mark.parametrize("octets", [1, 1000, 1024, 1536, 64 * 1024**2, 3 * 1024**3])
def test_octets_read_back_from_how_they_are_shown(octets: int) -> None:
    assert read_octets(show_octets(octets)) == octets


@pytest.mark.parametrize(
    ("kind", "value", "read", "shown"),
    [
        (automatic(NUMBER), "auto", None, "auto"),
        (automatic(NUMBER), " AUTO ", None, "auto"),
        (automatic(NUMBER), None, None, "auto"),
        (automatic(NUMBER), "4", 4, "4"),
        (automatic(SWITCH), "auto", None, "auto"),
        (automatic(SWITCH), "off", False, "off"),
        (automatic(SWITCH), True, True, "on"),
        (automatic(size()), "64k", 65536, "64 KiB"),
    ],
)
def test_what_may_be_automatic_is_auto_or_the_kind_itself(kind: Kind, value: object, read: object, shown: str) -> None:
    found = kind.read(value)
    assert (type(found), found) == (type(read), read)
    assert kind.show(read) == shown
    assert kind.read(shown) == read


def test_what_may_be_automatic_says_so_where_a_value_is_typed() -> None:
    assert [automatic(NUMBER).form, automatic(SWITCH).form] == ["N|auto", ""]
    assert refusal(automatic(NUMBER), "none") == "found 'none', expected a whole number from 1 to 1024, or auto"
    assert refusal(automatic(SWITCH), "") == ("found '', expected on or off (also yes, no, true, false, 1, 0), or auto")


@pytest.mark.parametrize(("value", "seconds"), [("none", None), (" None", None), (None, None), ("2m", 120.0), (5, 5.0)])
def test_a_time_may_be_optional(value: object, seconds: float | None) -> None:
    kind = duration(optional=True)
    assert kind.read(value) == seconds
    assert kind.read(kind.show(seconds)) == seconds


def test_an_optional_time_says_that_none_is_possible() -> None:
    expected = "a time of more than 0 seconds, such as 30, 1.5s, 2m or 1h"
    assert refusal(duration(), "none") == f"found 'none', expected {expected}"
    assert refusal(duration(optional=True), 0) == f"found 0, expected {expected}, or none for no limit"


@pytest.mark.parametrize("value", ["", "a:b", "a.b:c.d"])
def test_a_reference_is_a_module_and_an_attribute_or_nothing(value: str) -> None:
    assert REFERENCE.read(value) == value
    assert REFERENCE.form == "MODULE:ATTRIBUTE"


@pytest.mark.parametrize("value", ["a", "a:", ":b", "a:b:c", "a b:c", "a:b\n", " a:b", "a-b:c", None, 5, b"a:b"])
def test_what_is_no_reference_is_refused(value: object) -> None:
    assert refusal(REFERENCE, value) == f"found {value!r}, expected module:attribute, with dots allowed in both"


def test_directories_exist(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "file").touch()
    one, two = str(tmp_path), str(tmp_path / "a")
    assert DIRECTORIES.read(f"{one}\n{two}") == DIRECTORIES.read([one, two]) == (one, two)
    for value in ("missing", "file", ""):
        path = value and str(tmp_path / value)
        assert refusal(DIRECTORIES, [one, path]) == f"found {path!r}, expected a directory that exists"


def test_globs_are_texts_that_are_not_blank() -> None:
    assert GLOBS.read("*.css\n a b.* ") == ("*.css", "a b.*")
    for value in ("", " ", "a\x00", 5, b"a"):
        assert refusal(GLOBS, [value]) == f"found {value!r}, expected a pattern such as *.css"


def test_a_file_may_not_exist_yet_but_is_no_directory(tmp_path: Path) -> None:
    new = str(tmp_path / "new.pid")
    assert [FILE.read(value) for value in ("", new)] == ["", new]
    for value in (str(tmp_path), "a\x00b", None, Path(new)):
        assert re.fullmatch(r"found .+, expected the path of a file", refusal(FILE, value))
