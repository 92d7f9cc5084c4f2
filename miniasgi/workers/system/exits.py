"""How a process ends, how it has ended, and how much memory it holds.

Knows signals' numbers and Linux's /proc. Does not know why a process was started, nor who looks.
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

__all__ = ["UNKNOWN", "bound_exit", "count", "describe", "end_process", "resident_octets"]

logger = logging.getLogger("miniasgi.server")

_CRASHES = {"SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV"}

#: An exit status that nobody knows; no process has it.
UNKNOWN = 1 << 16


def describe(status: int | None) -> str:
    """How a process has ended, to be put behind its name; *status* is subprocess's returncode, None if it is not known.

    For what users ask about most, a guess at the reason follows.
    """
    if status is None:
        return "has gone, nobody knows how"
    if status >= 0:
        return f"exited with status {status}"
    name = _signal_name(-status)
    if name == "SIGKILL":
        return f"was killed by {name}; unless somebody did that, the kernel did for lack of memory"
    if name in _CRASHES:
        return f"was killed by {name}; native code has crashed, most likely an extension module's"
    return f"was killed by {name}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def end_process(status: int, *, at_once: bool = False) -> NoReturn:
    """End this process. The interpreter would wait for threads that an application has left, some for ever.

    *at_once*: without calling what has been registered with atexit, which may take its time, too.
    """
    try:
        if not at_once:
            atexit._run_exitfuncs()
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            # AttributeError: there is none. OSError, ValueError: nobody reads it any more; it is closed.
            with suppress(AttributeError, OSError, ValueError):
                stream.flush()
    finally:
        # Whatever it was: a signal may have interrupted somebody who was writing to the same stream.
        os._exit(status)


def bound_exit(status: int, seconds: float) -> None:
    """Have this process end with *status* after *seconds* at the latest, if threads have been left for which the
    interpreter waits.

    Called as the last thing before the interpreter exits. Ctrl-C ends the process at once then, as other signals do.
    """
    if not _waited_for():
        return
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Which would write a traceback, and only if it comes at a moment when a thread is waited for already.
        with suppress(ValueError):  # not in the main thread
            signal.signal(signal.SIGINT, signal.SIG_DFL)
    timer = threading.Timer(seconds, _end_without_threads, (status,))
    timer.daemon = True
    timer.start()


def _end_without_threads(status: int) -> None:
    names = ", ".join(sorted(each.name for each in _waited_for()))
    logger.error("the application has left threads that do not end; the process ends without them: %s", names)
    end_process(status)


def _waited_for() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if not each.daemon and each is not threading.main_thread()]


def resident_octets(pid: int | str = "self", proc: Path = Path("/proc")) -> int | None:
    """How much memory the process *pid* holds (its resident set); None where the system does not tell."""
    try:
        # proc_pid_statm(5): size, resident, and others, in pages.
        pages = int((proc / str(pid) / "statm").read_bytes().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def count(number: int, what: str, plural: str = "s") -> str:
    """*number* of *what*, as one says it."""
    return f"{number or 'no'} {what}{'' if number == 1 else plural}"
