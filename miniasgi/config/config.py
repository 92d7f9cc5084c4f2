"""Every option of the server, declared once: its default, its kind and its documentation.

The command line (cli), the environment, configuration files and docs/reference (reference) are all generated from the
fields of Config. Knows what an option is and errors. Does not read the command line or the environment, opens nothing
and imports no application.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from miniasgi.errors import UsageError

from .files import FileOptions
from .operating import OperatingOptions
from .options import Option, did_you_mean
from .serving import ServingOptions

__all__ = ["OPTIONS", "Config"]

#: In which order they are shown.
GROUPS = (
    "Application",
    "Socket",
    "TLS",
    "Proxies",
    "Workers",
    "Implementation",
    "WebSockets",
    "Response fields",
    "Static files",
    "Logging",
    "Limits",
    "Timeouts",
    "Development",
)


@dataclass(frozen=True, slots=True)
class Config(OperatingOptions, FileOptions, ServingOptions):
    """How a server behaves; immutable, and checked when it is made.

    Each field takes its own type or the text that the command line takes. Raises UsageError, naming the field.
    """

    def __post_init__(self) -> None:
        for each in OPTIONS:
            object.__setattr__(self, each.name, each.read(getattr(self, each.name), each.name))

    @classmethod
    def from_options(cls, **options: Any) -> Config:
        """A Config from keyword arguments that a user wrote.

        Raises UsageError: a name that is no option, with the nearest that is one; a value that does not fit.
        """
        names = {each.name: each.name for each in OPTIONS}
        also = {alias.lstrip("-").replace("-", "_"): each.name for each in OPTIONS for alias in each.aliases}
        for name in options:
            if name not in names:
                hint = f"; did you mean {also[name]}?" if name in also else did_you_mean(name, names)
                raise UsageError(f"{name}: no such option{hint}")
        return cls(**options)


_FIELDS = (
    replace(
        each.metadata["option"],
        name=each.name,
        default=each.default,
        flag=each.metadata["option"].flag or "--" + each.name.replace("_", "-"),
    )
    for each in fields(Config)
)
OPTIONS: tuple[Option, ...] = tuple(sorted(_FIELDS, key=lambda option: GROUPS.index(option.group)))
