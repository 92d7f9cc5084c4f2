"""Errors that are found late, by who uses an option, with where the option's value comes from.

What is wrong by itself is refused where it is read (sources), under the name that it has there. What does not fit to
other options, or to what there is in the system, is known by then as a flag, or as a field of Config.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from miniasgi.errors import StartupError, UsageError

from .config import OPTIONS
from .sources import Origin, Source
from .toml_file import APP

__all__ = ["explained"]

_FLAGS = {option.flag: option.name for option in OPTIONS}
# Those without an underscore are words like others.
_FIELDS = {option.name: option.flag for option in OPTIONS if "_" in option.name}
# Not within a path or another word.
_FIELD = re.compile(rf"(?<![\w/.-])(?:{'|'.join(_FIELDS)})(?![\w/.-])")
_FLAG = re.compile(r"(?<![\w/.-])--[a-z0-9][a-z0-9-]*")


def explained(error: StartupError, origins: Mapping[str, Origin]) -> StartupError:
    """*error* as whoever has typed a command line knows options: by their flags; and for those of which its text
    speaks, where their values come from, unless they have been typed, too."""
    text = str(error)
    if isinstance(error, UsageError):
        text = _FIELD.sub(lambda found: _FIELDS[found[0]], text)
    called = {flag: _FLAGS[flag] for flag in _FLAG.findall(text) if flag in _FLAGS}
    if text.startswith("application "):
        called["APP"] = APP
    notes = [
        f"{name} is from the {origins[field]}"
        for name, field in called.items()
        if field in origins and origins[field].source is not Source.COMMAND_LINE
    ]
    return type(error)(f"{text} ({', '.join(notes)})" if notes else text, error.details)
