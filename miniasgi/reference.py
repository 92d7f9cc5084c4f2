"""Pages made from tables: docs/reference/options.md from Config, and docs/uvicorn.md.

    python -m miniasgi.reference > docs/reference/options.md
    python -m miniasgi.reference uvicorn > docs/uvicorn.md

Knows Config's options, what becomes of uvicorn's, and Markdown. Writes no file itself; tests compare the files with
these texts.
"""

from __future__ import annotations

import re
import sys
from itertools import groupby

from miniasgi.config import OPTIONS
from miniasgi.config.options import Option
from miniasgi.config.uvicorn import ROWS, Row

__all__ = ["options_page", "uvicorn_page"]

INTRODUCTION = """\
# Options

<!-- Generated from miniasgi/config: python -m miniasgi.reference > docs/reference/options.md -->

`miniasgi APP [options]` serves `APP`, which is `module:attribute`; `miniasgi --static DIR [options]` serves a
directory, and with an `APP` both. An option on the command line wins over its environment variable, which wins over
a file's, which wins over the default; a variable that is set but empty is an error. An alias is another name on the
command line only. A second variable is one that other servers have, too: it is looked at where the first is not set,
and may be empty. In a file an option is called as on the command line, without the dashes at the front.
[configuration.md](../configuration.md) says all of this with examples.

In Python an option is a field of `Config` and a keyword of `miniasgi.run`, under its name with underscores
(`timeout_keep_alive=75`); `--header` is the field `headers` there, `--static-header` is `static_headers`, and `--404`
is `not_found`.

A value in brackets, as in `--listing [html,json]`, may be left out on the command line, though not in a variable. Of a
repeatable option a variable holds one value a line; in Python it is a list. Of any other, the last one typed counts.

A *SIZE* is a number of octets, or one with `k`, `m` or `g` (also `KiB`, `MiB`, `GiB`): powers of 1024. A *TIME* is a
number of seconds, or one with `s`, `m` (minutes) or `h` (hours). A pair such as `--access-log` and `--no-access-log`
is `on` or `off` in its variable, or `auto` where that is the default.
"""

UVICORN_INTRODUCTION = """\
# For those who come from uvicorn

<!-- Generated from miniasgi/config/uvicorn.py: python -m miniasgi.reference uvicorn > docs/uvicorn.md -->

A command line of uvicorn works with the name changed, `uvicorn myapp:app --port 80` as `miniasgi myapp:app --port 80`.
Below is every option of it, and what is different. *same* is an option of the same name, *alias* one that is also
taken under uvicorn's name, *taken* one that nothing has to be done for, and *refused* one that ends the start with a
line that says what to use instead.

A variable `UVICORN_PORT` is `MINIASGI_PORT` here, and so on; `WEB_CONCURRENCY` and `FORWARDED_ALLOW_IPS` keep their
names. An option whose value may be left out, such as `--proxy-headers`, takes the word behind it as its value unless
that is of the form `module:attribute`: so `--proxy-headers myapp:app` means what it means there. In Python,
`uvicorn.run("myapp:app", port=80)` is `miniasgi.run("myapp:app", port=80)`.

What an application can tell apart: nothing that ASGI speaks of. What clients and operators can: the loggers are called
`miniasgi.server` and `miniasgi.access`, limits and deadlines are on by default
([reference/options.md](reference/options.md)), and a worker that dies is replaced.
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


def uvicorn_page() -> str:
    """The whole page, with the line end of its last line."""
    rows = [_row(("uvicorn", "miniasgi", "", "What is different")), _row(["---"] * 4), *map(_uvicorn_row, ROWS)]
    return "\n".join([UVICORN_INTRODUCTION, *rows, ""])


def _uvicorn_row(row: Row) -> str:
    advice = row.foreign.advice if row.foreign is not None else ""
    note = row.note or (f"{advice[0].upper()}{advice[1:]}." if advice else "")
    note = re.sub(r"--[a-z][\w-]*", lambda flag: f"`{flag[0]}`", note)
    return _row([f"`{row.flag}`", f"`{row.here}`" if row.here else "", row.outcome, note])


if __name__ == "__main__":
    print(uvicorn_page() if sys.argv[1:] == ["uvicorn"] else options_page(), end="")
