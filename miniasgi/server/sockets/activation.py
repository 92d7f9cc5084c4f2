"""Sockets that systemd has bound for this process: socket activation, as sd_listen_fds(3) describes it.

Knows the environment and the numbers of descriptors. Opens nothing and says nothing: binding does.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field

from ...errors import UsageError

__all__ = ["Passed", "passed", "take"]

_FIRST = 3  # SD_LISTEN_FDS_START: behind standard error
_VARIABLES = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID")


@dataclass(frozen=True, slots=True)
class Passed:
    """What a process has been passed.

    Attributes:
        sockets: numbers of descriptors, with the names that systemd has for them; "" where it gives none.
        missed_by: the process for which others are meant, if it is the one that has started this one; else 0.
    """

    sockets: Mapping[int, str] = field(default_factory=dict)
    missed_by: int = 0


def passed() -> Passed:
    """What this process has been passed; the environment is read once, and tells nobody after that.

    Raises UsageError, see take().
    """
    # By number: what a process was passed is not its children's, which find it in memory when they are forked.
    return _taken(os.getpid())


@functools.cache
def _taken(process: int) -> Passed:
    return take(os.environ, process, os.getppid())


def take(environ: MutableMapping[str, str], process: int, parent: int) -> Passed:
    """What *environ* says is passed to *process*, started by *parent*; it does not say so any more then.

    Programs that this process starts get neither the variables nor the descriptors. Raises UsageError if the number of
    sockets is none: nobody but systemd says that they are for this process, so that somebody tries to be systemd.
    """
    number, meant, names, _ = (environ.pop(each, "") for each in _VARIABLES)
    if meant == str(parent) and re.fullmatch(r"[1-9][0-9]*", number):
        return Passed(missed_by=parent)
    if meant != str(process):
        return Passed()
    # Three digits: a process seldom may have more than 1,024 descriptors.
    if not re.fullmatch(r"[0-9]{1,3}", number):
        raise UsageError(f"LISTEN_FDS: found {number!r}, expected how many sockets are passed, from 0 to 999")
    descriptors = range(_FIRST, _FIRST + int(number))
    called = names.split(":")
    if len(called) != len(descriptors):
        called = [""] * len(descriptors)
    for each in descriptors:
        with suppress(OSError):  # not open: whoever wants to listen there says so
            os.set_inheritable(each, False)
    return Passed(dict(zip(descriptors, called, strict=True)))
