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


@pytest.mark.parametrize(("columns", "widest"), [(20, 80), (80, 80), (93, 93), (300, 100)])
@pytest.mark.parametrize("prog", ["miniasgi", "python -m miniasgi"])
def test_help_fits_the_terminal(prog: str, columns: int, widest: int) -> None:
    assert max(len(line) for line in help_text(prog, columns).splitlines()) <= widest


def test_help_names_what_is_no_option() -> None:
    words = help_text("miniasgi", 100).split()
    for flag in [*FILES, *QUESTIONS]:
        assert flag in words or f"{flag}," in words
    assert "$MINIASGI_CONFIG." in words
