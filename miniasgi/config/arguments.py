"""The words of a command line, taken apart: APP, options with their text, and what is asked for besides.

Knows flags and how their values stand beside them. Does not check values, which is the options' own business (sources),
except to tell a value that may be left out from the APP that may follow.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from miniasgi.errors import UsageError

from .config import OPTIONS
from .foreign import GRANIAN, GUNICORN, HTTP2, HYPERCORN, Foreign
from .kinds import Kind, Refused, is_reference, shown
from .options import Option, did_you_mean
from .uvicorn import REFUSED_OR_TAKEN

__all__ = ["Arguments", "Given", "parse"]

#: What is asked for in the place of serving, under the name by which it is known.
QUESTIONS = {
    "-h": "help",
    "--help": "help",
    "--version": "version",
    "--hash-password": "hash-password",
    "--print-config": "print-config",
    "--check-config": "check-config",
}
#: Flags that name a file with more options; not options themselves, because a file cannot set them.
FILES = {"-c": "config", "--config": "config", "--env-file": "env-file"}
FOREIGN = {**GRANIAN, **HYPERCORN, **GUNICORN, **REFUSED_OR_TAKEN}


class Given(NamedTuple):
    """An option that was typed: the flag as it was, and the text of its value."""

    option: Option
    typed: str
    text: str


@dataclass(slots=True)
class Arguments:
    """What a command line says.

    Attributes:
        app: APP, if it was typed.
        options: those typed, in their order.
        asked: names of QUESTIONS.
        files: by name of FILES, the flag as it was typed and the path.
        error: the first thing that is wrong; kept, so that whoever asks for help gets it.
    """

    app: str | None = None
    options: list[Given] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)
    files: dict[str, tuple[str, str]] = field(default_factory=dict)
    error: UsageError | None = None


class _Flag(NamedTuple):
    option: Option
    negated: bool


_FLAGS = {
    flag: _Flag(option, flag == option.negative)
    for option in OPTIONS
    for flag in (option.flag, option.negative, *option.aliases)
    if flag
}


def parse(argv: Sequence[str], prog: str) -> Arguments:
    """What *argv* says; *prog* is the program's name, for the one error that it may hold."""
    parser = _Parser(argv, f" (try '{prog} --help')")
    while parser.words and parser.found.error is None:
        try:
            parser.take()
        except UsageError as error:
            parser.found.error = error
    parser.found.asked |= {QUESTIONS[word] for word in parser.words if word in QUESTIONS}
    return parser.found


class _Parser:
    def __init__(self, argv: Sequence[str], hint: str) -> None:
        self.words = list(argv)
        self.found = Arguments()
        self._hint = hint
        self._only_app = False  # after "--"

    def take(self) -> None:
        """Take the next word, and its value. Raises UsageError."""
        word = self.words.pop(0)
        if self._only_app or not word.startswith("-"):
            self._app(word)
            return
        if word == "--":
            self._only_app = True
            return
        flag, value = _split(word)
        if flag in _FLAGS:
            self._option(flag, value, *_FLAGS[flag])
        elif flag in QUESTIONS and value is None:
            self.found.asked.add(QUESTIONS[flag])
        elif flag in FILES:
            self.found.files[FILES[flag]] = flag, self._value(flag, value, "FILE")
        elif flag in FOREIGN:
            self._foreign(flag, value, FOREIGN[flag])
        elif flag.startswith(("--http2-", "--no-http2-")):
            self._foreign(flag, value, HTTP2)
        elif flag in QUESTIONS and flag.startswith("--"):
            raise UsageError(f"{flag}: takes no value, found {shown(value)}")
        else:
            raise UsageError(f"{flag}: no such option{_nearest(flag)}{self._hint}")

    def _app(self, word: str) -> None:
        if self.found.app is not None:
            raise UsageError(f"{shown(word)}: one APP is expected, found {shown(self.found.app)} too{self._hint}")
        self.found.app = word

    def _option(self, typed: str, value: str | None, option: Option, negated: bool) -> None:
        kind = option.kind
        if negated or (not kind.metavar and not kind.pair):
            if value is not None:
                raise UsageError(f"{typed}: takes no value, found {shown(value)}")
            text = "off" if negated else "on"
        elif value is not None:
            text = value
        elif kind.bare or not kind.metavar:
            text = self.words.pop(0) if self._is_value_of(kind) else kind.bare or "on"
        else:
            text = self._value(typed, None, kind.metavar)
        self.found.options.append(Given(option, typed, text))

    def _value(self, typed: str, value: str | None, metavar: str) -> str:
        if value is None and not (self.words and _may_be_value(self.words[0])):
            raise UsageError(f"{typed}: a value is missing, expected {metavar}")
        return self.words.pop(0) if value is None else value

    def _is_value_of(self, kind: Kind) -> bool:
        """Whether the next word is the value of an option that needs none, rather than APP."""
        if not self.words or not _may_be_value(self.words[0]):
            return False
        word = self.words[0]
        try:
            kind.read(word)
        except Refused:
            # A word that is neither was meant as a value, and is refused as one; but a switch seldom has any.
            return bool(kind.metavar) and not is_reference(word)
        return True

    def _foreign(self, typed: str, value: str | None, foreign: Foreign) -> None:
        if foreign.advice:
            raise UsageError(f"{typed}: {foreign.advice}")
        if foreign.values is None:
            if value is not None:
                raise UsageError(f"{typed}: takes no value, found {shown(value)}")
            return
        text = self._value(typed, value, "|".join(foreign.values))
        taken = [each for each, advice in foreign.values.items() if not advice]
        advice = foreign.values.get(text.lower())
        if advice != "":
            more = f": {advice}" if advice else ""
            raise UsageError(f"{typed}: found {shown(text)}, expected {' or '.join(taken)}{more}")


def _split(word: str) -> tuple[str, str | None]:
    """The flag of *word*, and the value that stands behind it in the same word."""
    if word.startswith("--"):
        flag, equals, value = word.partition("=")
        return flag, value if equals else None
    # "-port" is "--port" with a dash forgotten, rather than a file "ort".
    if len(word) > 2 and word[:2] in {*_FLAGS, *FILES, *QUESTIONS, *FOREIGN} and "-" + word not in _every_flag():
        return word[:2], word[2:].removeprefix("=")
    return word.partition("=")[0], None


def _may_be_value(word: str) -> bool:
    # "-" is standard output, "-1" a wrong number; with a space in it nothing is a flag.
    return not word.startswith("-") or word == "-" or re.match(r"-[0-9.]", word) is not None or " " in word


def _every_flag() -> Iterable[str]:
    return [*_FLAGS, *QUESTIONS, *FILES]


def _nearest(flag: str) -> str:
    return did_you_mean(flag, [each for each in _every_flag() if each.startswith("--")])
