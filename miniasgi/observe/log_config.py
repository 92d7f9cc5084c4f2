"""A file with a configuration of Python's logging: read, and put into effect.

Knows logging.config and the syntaxes of files, PyYAML's among them; does not know what the server logs.
"""

from __future__ import annotations

import configparser
import json
import logging.config
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import StartupError, UsageError

__all__ = ["apply_file"]


def apply_file(path: str) -> None:
    """Configure logging as the file says; loggers that it does not name go on, unless it says otherwise.

    Raises UsageError: a file that cannot be read, or says nothing that logging can do. StartupError: YAML without
    PyYAML.
    """
    who = f"--log-config {path}"
    ending = Path(path).suffix.lower()
    reader = _READERS.get(ending)
    if reader is None:
        raise UsageError(f"{who}: found the ending {ending!r}, expected one of {', '.join(_READERS)}")
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{who}: {error.strerror}, expected a file that can be read") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{who}: found octets that are not UTF-8 ({error.reason})") from error
    try:
        reader(text)
    except StartupError as error:
        raise type(error)(f"{who}: {error}") from error.__cause__
    except Exception as error:  # whatever the classes and factories raise that the file names
        raise UsageError(f"{who}: {_reasons(error)}") from error


def _reasons(error: BaseException) -> str:
    """What went wrong, and why, in a line."""
    texts: list[str] = []
    current: BaseException | None = error
    while current is not None and len(texts) < 5:
        text = " ".join(str(current).split())
        if isinstance(current, KeyError):
            text = f"{text} is missing"
        texts.append(text or type(current).__name__)
        current = current.__cause__
    return ": ".join(texts)


def _apply_table(found: object) -> None:
    if not isinstance(found, dict):
        raise UsageError(f"found {_kind_of(found)}, expected a table of logging's dictConfig, with version = 1")
    # By default, logging switches off all loggers that a file does not name: asyncio's, and the application's.
    logging.config.dictConfig({"disable_existing_loggers": False, **found})


def _kind_of(found: object) -> str:
    kinds = {list: "a list", str: "a text", type(None): "nothing"}
    return kinds.get(type(found), f"a value of type {type(found).__name__}")


def _json(text: str) -> None:
    _apply_table(_parsed("JSON", json.loads, text))


def _toml(text: str) -> None:
    _apply_table(_parsed("TOML", tomllib.loads, text))


def _yaml(text: str) -> None:
    try:
        import yaml  # type: ignore[import-untyped, unused-ignore]  # with types-PyYAML it is typed
    except ImportError as error:
        raise StartupError("the package PyYAML is not installed (pip install 'miniasgi[yaml]')") from error
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date that is none
        raise UsageError(f"not YAML: {_reasons(error)}") from error
    _apply_table(found)


def _parsed(syntax: str, parse: Callable[[str], Any], text: str) -> object:
    try:
        found: object = parse(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not {syntax}: {_reasons(error)}") from error
    return found


def _ini(text: str) -> None:
    parser = configparser.ConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise UsageError(f"not a configuration of logging's fileConfig: {_reasons(error)}") from error
    # Looked for here, because fileConfig's own words for it help nobody.
    for section in ("loggers", "handlers", "formatters"):
        if not parser.has_option(section, "keys"):
            raise UsageError(f"found no [{section}] with keys, expected loggers, handlers and formatters")
    if "root" not in [key.strip() for key in parser["loggers"]["keys"].split(",")]:
        raise UsageError("found no root among the keys of [loggers], expected it")
    logging.config.fileConfig(parser, disable_existing_loggers=False)


_READERS: dict[str, Callable[[str], None]] = {
    ".json": _json,
    ".toml": _toml,
    ".yaml": _yaml,
    ".yml": _yaml,
    ".ini": _ini,
    ".conf": _ini,
    ".cfg": _ini,
}
