"""Options: what they say of themselves, and what is offered for a name that is none."""

from __future__ import annotations

from dataclasses import dataclass, fields

import pytest

from miniasgi.config.kinds import FLAG, SWITCH, Kind, automatic, repeated, whole
from miniasgi.config.options import Option, did_you_mean, option
from miniasgi.errors import UsageError

NUMBERS = repeated("N", whole(1).read)
NUMBER = whole(1)


def test_an_option_that_refuses_is_called_as_the_user_called_it() -> None:
    option = Option(NUMBERS, "Group", "Help.", flag="--number")
    assert option.read("1\n2", "-n") == (1, 2)
    with pytest.raises(UsageError, match=r"\A-n: found '0', expected a whole number of at least 1\Z"):
        option.read("1\n0", "-n")


def test_an_option_says_that_it_is_repeatable() -> None:
    assert Option(NUMBERS, "Group", "Help.").meaning == "Help. Repeatable."
    assert Option(NUMBER, "Group", "Help.").meaning == "Help."


@pytest.mark.parametrize(
    ("kind", "negative"),
    [(SWITCH, "--no-some-thing"), (automatic(SWITCH), "--no-some-thing"), (FLAG, ""), (NUMBER, "")],
    ids=["switch", "automatic switch", "flag", "number"],
)
def test_only_a_pair_can_be_switched_off(kind: Kind, negative: str) -> None:
    assert Option(kind, "Group", "Help.", flag="--some-thing").negative == negative


def test_a_variable_is_named_after_the_flag_whatever_others_call_it() -> None:
    assert Option(NUMBER, "Group", "Help.", flag="--some-thing", variable="OTHER").env == "MINIASGI_SOME_THING"


def test_a_field_carries_its_option_and_has_its_default() -> None:
    @dataclass
    class Some:
        thing: int = option(
            5, NUMBER, group="Group", help="Help.", flag="--it", aliases=("-i",), needs="other", variable="OTHER"
        )

    assert Some().thing == 5
    assert fields(Some)[0].metadata["option"] == Option(
        NUMBER, "Group", "Help.", flag="--it", aliases=("-i",), needs="other", variable="OTHER"
    )


@pytest.mark.parametrize(("word", "hint"), [("prot", "; did you mean port?"), ("zzz", "")])
def test_only_what_is_near_is_offered(word: str, hint: str) -> None:
    assert did_you_mean(word, iter(["host", "port"])) == hint
