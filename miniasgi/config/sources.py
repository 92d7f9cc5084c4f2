"""Where options come from, and which source wins: the command line, then the environment, then a file, then defaults.

Knows how each source names options. A repeatable option does not add up across sources: the higher one replaces it.
Changes nothing, so that the same can be read again while a server runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from miniasgi.errors import UsageError

from .arguments import Arguments
from .config import OPTIONS, Config
from .options import PREFIX, Option, did_you_mean
from .toml_file import APP, Table, find_table, load_table, read_value

__all__ = ["DEFAULT", "ENV_FILE_VARIABLE", "Origin", "Settings", "Source", "own_variable", "read_settings"]

APP_VARIABLE = "MINIASGI_APP"
CONFIG_VARIABLE = "MINIASGI_CONFIG"
ENV_FILE_VARIABLE = "MINIASGI_ENV_FILE"


class Source(Enum):
    """Who has said it."""

    COMMAND_LINE = "command line"
    ENVIRONMENT = "environment"
    FILE = "file"
    DEFAULT = "default"


class Origin(NamedTuple):
    """Where a value comes from: the *source*, and what it is called there."""

    source: Source
    name: str = ""

    def __str__(self) -> str:
        return f"{self.source.value}, {self.name}" if self.name else self.source.value


DEFAULT = Origin(Source.DEFAULT)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a server is told to do, from all sources.

    Attributes:
        app: APP, if any source has it.
        config: all options.
        origins: by field of Config, and "app", where the value comes from; nothing where it is the default.
        warnings: what the user should know, a line each.
    """

    app: str | None
    config: Config
    origins: Mapping[str, Origin]
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class _Found:
    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)

    def add(self, name: str, value: object, origin: Origin) -> None:
        self.values[name] = value
        self.origins[name] = origin


def read_settings(
    arguments: Arguments, environ: Mapping[str, str], from_file: Mapping[str, str] | None = None
) -> Settings:
    """The settings of a command line and an environment, and of the file that either of them names.

    *from_file* has, for variables that come from a file of variables, that file's path.

    A source that is not asked, because a higher one has the option, may say anything. A variable that other servers
    have, too, counts only where ours is unset, and is as good as unset where it is empty and that means nothing.

    Raises UsageError: an option as it was typed, a variable or a file's key has a wrong value; an option lacks another
    one without which it means nothing.
    """
    found = _Found()
    for option, typed, text in arguments.options:
        value = option.read(text, typed)
        if option.kind.repeatable and option.name in found.values:
            value = found.values[option.name] + value
        found.add(option.name, value, Origin(Source.COMMAND_LINE, typed))
    if arguments.app is not None:
        found.add(APP, arguments.app, Origin(Source.COMMAND_LINE))
    _read_environment(found, environ, from_file or {})
    table, warning = _find_table(arguments, environ)
    if table is not None:
        _read_table(found, table)
    app = found.values.pop(APP, None)
    warnings = (*_misspelt(environ), *filter(None, [warning]))
    settings = Settings(app, Config(**found.values), found.origins, warnings)
    _check_needs(settings)
    return settings


def _read_environment(found: _Found, environ: Mapping[str, str], from_file: Mapping[str, str]) -> None:
    def origin(variable: str) -> Origin:
        more = f" (from {from_file[variable]})" if variable in from_file else ""
        return Origin(Source.ENVIRONMENT, variable + more)

    for option in OPTIONS:
        if option.name in found.values:
            continue
        text = own_variable(environ, option.env)
        if text is not None:
            found.add(option.name, option.read(text, option.env), origin(option.env))
        elif option.variable in environ and (environ[option.variable].strip() or _means_something(option)):
            value = option.read(environ[option.variable], option.variable)
            found.add(option.name, value, origin(option.variable))
    if APP not in found.values:
        app = own_variable(environ, APP_VARIABLE)
        if app is not None:
            found.add(APP, app.strip(), origin(APP_VARIABLE))


def own_variable(environ: Mapping[str, str], variable: str) -> str | None:
    """The text of one of our own variables; None where it is unset. Raises UsageError where it is empty."""
    text = environ.get(variable)
    if text is not None and not text.strip():
        raise UsageError(f"{variable}: found nothing, expected a value; unset it for the default")
    return text


def _means_something(option: Option) -> bool:
    """Whether an empty text is a value: FORWARDED_ALLOW_IPS= trusts nobody, for other servers, too."""
    try:
        option.read("", option.variable)
    except UsageError:
        return False
    return True


def _misspelt(environ: Mapping[str, str]) -> Iterator[str]:
    """A warning for each variable that is nearly an option's. Those that are far from any may be somebody else's."""
    known = {option.env for option in OPTIONS} | {APP_VARIABLE, CONFIG_VARIABLE, ENV_FILE_VARIABLE}
    for variable in environ:
        if variable.startswith(PREFIX) and variable not in known:
            # Without what all have in common, which would make all of them near.
            names = [each.removeprefix(PREFIX) for each in known]
            near = did_you_mean(variable.removeprefix(PREFIX), names, prefix=PREFIX)
            if near:
                yield f"{variable}: no such option, so it means nothing{near}"


def _find_table(arguments: Arguments, environ: Mapping[str, str]) -> tuple[Table | None, str]:
    typed = arguments.files.get("config")
    path = typed[1] if typed is not None else own_variable(environ, CONFIG_VARIABLE)
    return find_table() if path is None else (load_table(path), "")


def _read_table(found: _Found, table: Table) -> None:
    origin = Origin(Source.FILE, table.path)
    for option in OPTIONS:
        entry = table.entries.get(option.name)
        if entry is not None and option.name not in found.values:
            key, value = entry
            found.add(option.name, read_value(option, value, f"{table.path}: {key}"), origin)
    if APP in table.entries and APP not in found.values:
        key, app = table.entries[APP]
        if not isinstance(app, str) or not app.strip():
            raise UsageError(f"{table.path}: {key}: found {app!r}, expected module:attribute, such as myapp:app")
        found.add(APP, app.strip(), origin)


# What makes up for a need: in Python, or in code that is named, the certificate comes from elsewhere.
_INSTEAD = {"ssl_certfile": "ssl_context_factory"}
_BY_NAME = {option.name: option for option in OPTIONS}


def _check_needs(settings: Settings) -> None:
    """Refuse what is typed and would mean nothing; what stands elsewhere is often meant for several commands."""
    config = settings.config
    for name, (source, called) in settings.origins.items():
        option = _BY_NAME.get(name)
        if option is None or not option.needs or source is not Source.COMMAND_LINE:
            continue
        is_there = getattr(config, option.needs) or getattr(config, _INSTEAD.get(option.needs, option.needs))
        if not is_there:
            raise UsageError(f"{called}: needs {_BY_NAME[option.needs].flag}")
