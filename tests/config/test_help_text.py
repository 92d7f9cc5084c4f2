"""What --help prints: everything that can be typed, in a width that can be read."""

from __future__ import annotations

import pytest

from miniasgi.config import OPTIONS
from miniasgi.config.arguments import FILES, QUESTIONS
from miniasgi.config.help_text import help_text


def test_help_names_every_option_its_group_and_its_default() -> None:
    text = help_text("miniasgi", 100)
    words = " ".join(text.split())
    for option in OPTIONS:
        assert f"\n{option.group}:\n" in text
        assert f"\n  {option.flag}" in text
        assert option.help in words
        for name in filter(None, [option.negative, *option.aliases, option.variable]):
            assert name in words
    assert "[16 KiB]" in words
    assert " it is replaced. Also --timeout, -t. [30 s] " in words
    assert " may use. Also -w, $WEB_CONCURRENCY. [1] " in words
    besides = 2  # --config and --env-file
    assert words.count(" Also ") == sum(bool(option.aliases or option.variable) for option in OPTIONS) + besides
    assert "\n  --reuse-port / --no-reuse-port\n" in text
    assert "--listing [html,json] " in text
    assert text.startswith(
        "usage: miniasgi APP [options]\n       miniasgi --static DIR [options]\n       miniasgi -c FILE\n"
    )


@pytest.mark.parametrize(("columns", "widest"), [(80, 80), (93, 93), (300, 100)])
@pytest.mark.parametrize("prog", ["miniasgi", "python -m miniasgi"])
def test_help_fits_the_terminal(prog: str, columns: int, widest: int) -> None:
    assert max(len(line) for line in help_text(prog, columns).splitlines()) <= widest


@pytest.mark.parametrize(("columns", "widest"), [(5, 30), (40, 40), (69, 69)])
def test_on_a_narrow_terminal_a_meaning_stands_below_its_option(columns: int, widest: int) -> None:
    text = help_text("miniasgi", columns)
    assert "\n  --factory\n      APP is a " in text
    names = {"usage", "miniasgi", "--"}  # what is one line anyhow
    long = [line for line in text.splitlines() if len(line) > widest]
    assert all(any(name in line for name in names) for line in long)


def test_a_default_is_not_cut_in_two() -> None:
    text = help_text("miniasgi", 80)
    assert "[16 MiB]\n" in text
    assert all(line.count("[") == line.count("]") for line in text.splitlines() if "[16" in line or "KiB]" in line)
    assert "\u00a0" not in text


def test_help_names_what_is_no_option() -> None:
    words = help_text("miniasgi", 100).split()
    for flag in [*FILES, *QUESTIONS]:
        assert flag in words or f"{flag}," in words
    assert "$MINIASGI_CONFIG." in words
