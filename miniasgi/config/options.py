"""What an option is: a kind of value with a name for each of those who set it, and its documentation.

Knows kinds of value (kinds) and errors. Does not know which options there are (config), nor who reads them: the command
line, the environment and Python are the same to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from miniasgi.errors import UsageError

from .kinds import Kind, Refused

__all__ = ["PREFIX", "Option", "did_you_mean", "option"]

#: How the names of variables begin.
PREFIX = "MINIASGI_"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Option:
    """What the command line, the environment and the reference know of one field of Config."""

    kind: Kind
    group: str
    help: str
    flag: str = ""
    aliases: tuple[str, ...] = ()
    needs: str = ""  # the name of the option without which this one means nothing
    variable: str = ""  # one that other servers have for it, looked at after its own
    name: str = ""
    default: Any = None

    @property
    def meaning(self) -> str:
        """Its help, and what its kind adds."""
        return self.help + (" Repeatable." if self.kind.repeatable else "")

    @property
    def env(self) -> str:
        """The name of its own environment variable."""
        return PREFIX + self.flag.removeprefix("--").replace("-", "_").upper()

    @property
    def negative(self) -> str:
        """The flag that switches it off; empty for an option that is not a pair."""
        return "--no-" + self.flag.removeprefix("--") if self.kind.pair else ""

    def read(self, value: object, called: str) -> Any:
        """The checked value; *called* is the option's name as the user wrote it.

        Raises UsageError: one line with *called*, what was found and what was expected.
        """
        try:
            return self.kind.read(value)
        except Refused as refused:
            raise UsageError(f"{called}: {refused}") from None


def option(
    default: T,
    kind: Kind,
    *,
    group: str,
    help: str,
    flag: str = "",
    aliases: tuple[str, ...] = (),
    needs: str = "",
    variable: str = "",
) -> T:
    """A field of Config. Typed as its default, because that is what an instance holds there."""
    return field(default=default, metadata={"option": Option(kind, group, help, flag, aliases, needs, variable)})


def did_you_mean(word: str, names: Iterable[str], *, prefix: str = "") -> str:
    """The end of an error line that offers the nearest of *names*, behind a *prefix*; empty when none is near."""
    import difflib  # only a mistake pays for it

    near = difflib.get_close_matches(word, list(names), n=1)
    return f"; did you mean {prefix}{near[0]}?" if near else ""
