"""docs/reference/options.md, made from Config: ``python -m miniasgi.reference > docs/reference/options.md``.

Knows Config's options and Markdown. Writes no file itself; a test compares the file with this text.
"""

from __future__ import annotations

from itertools import groupby

from miniasgi.config import OPTIONS
from miniasgi.options import Option

__all__ = ["options_page"]

INTRODUCTION = """\
# Options

<!-- Generated from miniasgi/config.py: python -m miniasgi.reference > docs/reference/options.md -->

`miniasgi APP [options]` serves `APP`, which is `module:attribute`; `miniasgi --static DIR [options]` serves a
directory, and with an `APP` both. An option on the command line wins over its environment variable, which wins over
the default; a variable that is set but empty is an error. An alias is another name on the command line only. A second
variable is one that other servers have, too: it is looked at where the first is not set, and may be empty.

In Python an option is a field of `Config` and a keyword of `miniasgi.run`, under its name with underscores
(`timeout_keep_alive=75`); `--header` is the field `headers` there, `--static-header` is `static_headers`, and `--404`
is `not_found`.

A value in brackets, as in `--listing [html,json]`, may be left out on the command line, though not in a variable. Of a
repeatable option a variable holds one value a line; in Python it is a list. Of any other, the last one typed counts.

A *SIZE* is a number of octets, or one with `k`, `m` or `g` (also `KiB`, `MiB`, `GiB`): powers of 1024. A *TIME* is a
number of seconds, or one with `s`, `m` (minutes) or `h` (hours). A pair such as `--access-log` and `--no-access-log`
is `on` or `off` in its variable, or `auto` where that is the default.
"""

COLUMNS = ("Option", "Aliases", "Environment", "Default", "Meaning")


def options_page() -> str:
    """The whole page, with the line end of its last line."""
    parts = [INTRODUCTION]
    for group, options in groupby(OPTIONS, lambda option: option.group):
        rows = [_row(COLUMNS), _row(["---"] * len(COLUMNS)), *(_row(_cells(option)) for option in options)]
        parts.append("\n".join([f"## {group}", "", *rows, ""]))
    return "\n".join(parts)


def _cells(option: Option) -> list[str]:
    unit = f" In {option.kind.unit}." if option.kind.unit else ""
    flags = [f"{option.flag} {option.kind.form}".rstrip(), option.negative]
    default = option.kind.show(option.default)
    return [
        ", ".join(f"`{flag}`" for flag in flags if flag),
        ", ".join(f"`{alias}`" for alias in option.aliases),
        ", ".join(f"`{name}`" for name in (option.env, option.variable) if name),
        f"`{default}`" if default else "(empty)",
        option.meaning + unit,
    ]


def _row(cells: list[str] | tuple[str, ...]) -> str:
    # A bar would end the cell, even within a code span.
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    print(options_page(), end="")
