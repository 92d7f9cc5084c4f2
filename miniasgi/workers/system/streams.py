"""Standard input, output and error, of a process that has been started without them, or whose disk is full."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TextIO

__all__ = ["open_standard_streams", "say"]

_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def open_standard_streams() -> None:
    """Put the null device in the place of each of the three that is closed, as ``>&-`` in a shell closes it.

    Else the next socket takes its number: what is printed goes to a client, and libuv, which expects nothing of its own
    there, aborts the process.
    """
    for number, (name, mode) in enumerate(_STREAMS):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)
            # Python has None there. What would have been printed is as lost as before.
            stream = open(number, mode, encoding="utf-8", errors="backslashreplace")  # noqa: SIM115  # for good
            setattr(sys, name, stream)


def say(text: str) -> None:
    """Write *text* to standard error as a line, if somebody reads it: the exit status says the same in fewer words."""
    if sys.stderr is None:  # else print() would take standard output
        return
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        with suppress(OSError):
            _discard(sys.stderr)


def _discard(stream: TextIO) -> None:
    """Let go of what could not be written: Python would try once more at its end, and make the exit status 120."""
    number = stream.fileno()
    kept = os.dup(number)
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, number)
        stream.flush()
    finally:
        os.dup2(kept, number)
        os.close(kept)
        os.close(null)
