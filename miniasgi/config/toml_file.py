"""Options from a file in TOML: one that the user names, or the pyproject.toml of the current directory.

Knows which keys stand for which option. Does not check values, nor who wins over whom (sources).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from miniasgi.errors import UsageError

from .addresses import MODE
from .arguments import FILES, QUESTIONS
from .config import OPTIONS
from .options import Option, did_you_mean

__all__ = ["Table", "find_table", "load_table", "read_value"]

PYPROJECT = "pyproject.toml"
#: Stands for APP among the options.
APP = "app"
_EXPECTED = "expected options in TOML"
_TYPED_ALONE = {each.lstrip("-") for each in (*FILES, *QUESTIONS) if each.startswith("--")}


class Table(NamedTuple):
    """The options of a file: by field of Config, or "app", the key as it is written there, and the value."""

    path: str
    entries: Mapping[str, tuple[str, object]]


def _names(option: Option) -> set[str]:
    flag = option.flag.removeprefix("--")
    return {flag, flag.replace("-", "_"), option.name, option.name.replace("_", "-")}


_KEYS = {key: option.name for option in OPTIONS for key in _names(option)} | {APP: APP}
# What is offered for a key that is none: those of the other ways to call an option.
_ALSO = {
    alias.lstrip("-").replace("_", "-"): option.flag.removeprefix("--")
    for option in OPTIONS
    for alias in (*option.aliases, option.env, option.negative)
    if alias
}


def load_table(path: str) -> Table:
    """The options of the file *path*: the whole of it, or its [tool.miniasgi] if it is a pyproject.toml.

    Raises UsageError: it cannot be read, is not TOML, or has a key that is no option.
    """
    if path.endswith(".py"):
        raise UsageError(
            f"{path}: found Python, {_EXPECTED}; miniasgi --print-config shows how that looks, and --hooks is for what "
            "is to be called (docs/configuration.md)"
        )
    try:
        with open(path, "rb") as file:
            octets = file.read()
    except (OSError, ValueError) as error:  # ValueError: NUL in the path
        raise UsageError(f"{path or repr(path)}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    found = _parse(octets, path)
    if os.path.basename(path) == PYPROJECT:
        table = _tool(found)
        if table is None:
            raise UsageError(f"{path}: found no [tool.miniasgi], expected one in a file of this name")
        found = _checked(table, path)
    return _table(found, path)


def find_table() -> tuple[Table | None, str]:
    """The options of [tool.miniasgi] in the pyproject.toml of the current directory, if there are any; and a warning.

    Raises UsageError as load_table does; but a file that is somebody else's business is left alone, whatever it is.
    """
    try:
        with open(PYPROJECT, "rb") as file:
            octets = file.read()
    except (FileNotFoundError, IsADirectoryError):
        return None, ""
    except OSError as error:
        # Perhaps it says nothing to us: who may not read it has perhaps never heard of it either.
        return None, f"{PYPROJECT}: cannot be read, so nothing in it counts: {error.strerror or error}"
    if b"miniasgi" not in octets:
        return None, ""
    table = _tool(_parse(octets, PYPROJECT))
    return (None if table is None else _table(_checked(table, PYPROJECT), PYPROJECT)), ""


def _parse(octets: bytes, path: str) -> dict[str, Any]:
    import tomllib  # most starts need none

    try:
        # Editors on Windows begin a file with a mark of its encoding.
        return tomllib.loads(octets.decode("utf-8-sig").replace("\r\n", "\n"))
    except UnicodeDecodeError:
        raise UsageError(f"{path}: found octets that are not UTF-8, {_EXPECTED}") from None
    except (ValueError, RecursionError) as error:  # ValueError: also a number of thousands of digits
        raise UsageError(f"{path}: found no TOML, {_EXPECTED}: {error}") from None


def _tool(found: Mapping[str, Any]) -> object:
    """[tool.miniasgi] of a whole file; None if there is none."""
    tool = found.get("tool")
    return tool.get("miniasgi") if isinstance(tool, dict) else None


def _checked(table: object, path: str) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise UsageError(f"{path}: tool.miniasgi: found a value, expected a table")
    return table


def _table(found: Mapping[str, object], path: str) -> Table:
    entries: dict[str, tuple[str, object]] = {}
    for key, value in found.items():
        name = _KEYS.get(key)
        if name is None:
            raise UsageError(f"{path}: {key}: no such option{_hint(key, value)}")
        if name in entries:
            raise UsageError(f"{path}: found {entries[name][0]} and {key}, expected one of them: they are the same")
        entries[name] = key, value
    return Table(path, entries)


def _hint(key: str, value: object) -> str:
    if key == "tool" and isinstance(value, dict) and "miniasgi" in value:
        return f"; expected options at the top: [tool.miniasgi] is for a file called {PYPROJECT}"
    plain = key.lstrip("-").replace("_", "-")
    if plain in _TYPED_ALONE:
        return "; it can be typed, but not stand in a file"
    if isinstance(value, dict) and plain not in _KEYS:
        return "; expected options at the top, in no table"
    if plain in _KEYS:
        return f"; did you mean {plain}?"
    for also in (plain, key):
        if also in _ALSO:
            negated = key.replace("_", "-").startswith("no-")
            return f"; did you mean {_ALSO[also]}{' = false' if negated else ''}?"
    return did_you_mean(plain, [option.flag.removeprefix("--") for option in OPTIONS] + [APP])


def read_value(option: Option, value: object, called: str) -> Any:
    """The checked value of *option*, as it stands in a file. Raises UsageError, which begins with *called*."""
    if option.kind is MODE and isinstance(value, int):
        # 660 and 0o660 are both numbers there, and only one of them is what was meant.
        raise UsageError(f'{called}: found a number, expected octal digits in quotes, such as "660"')
    return option.read(value, called)
