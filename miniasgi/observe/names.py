"""What the process and each of its threads is called in the log. Knows threads; does not know what a worker is."""

from __future__ import annotations

import threading

__all__ = ["name", "set_name"]


class _Name(threading.local):
    who = ""


# A thread's own name wins. Both are set by set_name alone.
_thread_name = _Name()
_process_name = ""


def set_name(who: str) -> None:
    """Have the server's lines name *who* writes them, such as "worker 2"; nobody if it is empty.

    The main thread's name is that of the process: of every thread that has none of its own. Another thread's name is
    for what this thread logs.
    """
    global _process_name
    if threading.current_thread() is threading.main_thread():
        _process_name = who
    else:
        _thread_name.who = who


def name() -> str:
    """The name of the thread that asks, or of its process; empty where there is none."""
    return _thread_name.who or _process_name
