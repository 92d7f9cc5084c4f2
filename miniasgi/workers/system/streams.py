"""Standard input, output and error, of a process that has been started without them."""

from __future__ import annotations

import os
import sys

__all__ = ["open_standard_streams"]

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
