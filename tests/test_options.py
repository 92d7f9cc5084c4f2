"""Options and kinds: what they say of themselves, and those kinds that build others."""

from __future__ import annotations

import pytest

from miniasgi.errors import UsageError
from miniasgi.options import Kind, Option, Refused, did_you_mean, read_octets, repeated, show_octets, whole, words

COLOURS = words("red", "green", "blue", bare="red,blue")
NUMBERS = repeated("N", whole(1).read)


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        ("a\nb", r"found 'a\nb', expected c"),
        (b"a", "found b'a', expected c"),
        ("x" * 1000 + "y" * 1000, f"found '{'x' * 97} ... {'y' * 96}', expected c"),
    ],
)
def test_a_refusal_is_one_short_line(found: object, shown: str) -> None:
    assert str(Refused(found, "c")) == shown


def test_an_option_that_refuses_is_called_as_the_user_called_it() -> None:
    option = Option(NUMBERS, "Group", "Help.", flag="--number")
    assert option.read("1\n2", "-n") == (1, 2)
    with pytest.raises(UsageError, match=r"\A-n: found '0', expected a whole number of at least 1\Z"):
        option.read("1\n0", "-n")


def test_an_option_says_that_it_is_repeatable() -> None:
    assert Option(NUMBERS, "Group", "Help.").meaning == "Help. Repeatable."
    assert Option(COLOURS, "Group", "Help.").meaning == "Help."


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


@pytest.mark.parametrize(("word", "hint"), [("prot", "; did you mean port?"), ("zzz", "")])
def test_only_what_is_near_is_offered(word: str, hint: str) -> None:
    assert did_you_mean(word, iter(["host", "port"])) == hint
