"""All options as a file that can be read again, each with where it comes from: what --print-config prints.

Knows TOML's way to write values. Does not know where the values come from.
"""

from __future__ import annotations

import json
from itertools import groupby

from miniasgi.errors import UsageError

from .addresses import MODE
from .config import OPTIONS
from .options import Option
from .sources import DEFAULT, Origin, Settings
from .toml_file import APP, read_value

__all__ = ["settings_page"]

HEAD = """\
# Every option of miniasgi, its value, and where it comes from. As a file: miniasgi -c FILE
"""
# Not said of the kind, because a hash is no password; but who has it can guess at leisure.
_SECRET = frozenset({"basic_auth"})


def settings_page(settings: Settings) -> str:
    """The whole page, with the line end of its last line."""
    origin = settings.origins.get(APP, DEFAULT)
    app = f"{APP} = {_text(settings.app)}" if settings.app is not None else f'# {APP} = "module:attribute"'
    lines = [HEAD, _line(app, origin)]
    for group, options in groupby(OPTIONS, lambda option: option.group):
        lines += ["", f"# {group}", ""]
        for option in options:
            value = getattr(settings.config, option.name)
            lines.append(_line(_entry(option, value), settings.origins.get(option.name, DEFAULT)))
    return "\n".join(lines) + "\n"


def _line(entry: str, origin: Origin) -> str:
    where = str(origin)
    # A file's name may hold anything, and a line end would end the comment.
    return f"{entry}  # {where if where.isprintable() else ascii(where)}"


def _entry(option: Option, value: object) -> str:
    key = option.flag.removeprefix("--")
    if (option.kind.secret or option.name in _SECRET) and value != option.default:
        return f"# {key} = (not shown)"
    for way in (_as_number, _as_shown, _raw):
        text = way(option, value)
        if text is not None:
            return f"{key} = {text}"
    return f"# {key} = (cannot be written here)"


def _as_number(option: Option, value: object) -> str | None:
    """A truth value or a number, unless its unit says more."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) and not option.kind.unit and option.kind is not MODE else None


def _as_shown(option: Option, value: object) -> str | None:
    """As it would be typed; None where that would be read as something else."""
    kind = option.kind
    typed = [kind.show_one(each) for each in value] if kind.repeatable and isinstance(value, tuple) else None
    text = kind.show(value) if typed is None else typed
    return _raw(option, text) if _reads_as(option, text, value) else None


def _reads_as(option: Option, written: object, value: object) -> bool:
    try:
        return bool(read_value(option, written, option.flag) == value)
    except UsageError:
        return False


def _raw(option: Option, value: object) -> str | None:
    """The value itself, as far as it consists of texts, numbers and arrays of them."""
    if isinstance(value, (list, tuple)):
        items = [_raw(option, each) for each in value]
        if any(item is None for item in items):
            return None
        return f"[{', '.join(filter(None, items))}]"
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if isinstance(value, str):
        return _text(value) if _is_unicode(value) else None
    return str(value) if isinstance(value, (int, float)) else None


def _is_unicode(text: str) -> bool:
    # A name of a file may have octets that are not UTF-8, which TOML cannot write.
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _text(value: str) -> str:
    # JSON's escapes are some of TOML's, which wants this one, too.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
