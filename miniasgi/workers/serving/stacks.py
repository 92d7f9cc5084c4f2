"""What a worker is doing right now, as text for the log: its requests and its Python stacks.

Called from a thread other than the one that does it, which may be stuck.
"""

from __future__ import annotations

import sys
import threading
import traceback
from types import FrameType

from ...server.server import Server

__all__ = ["report", "stack_of_all"]

# 50 and 100: a report must stay readable.
_MOST_THREADS = 50
_MOST_FRAMES = 100
# 200: what a client has sent is not to fill the log.
_MOST_OF_TARGET = 200
# 100,000: so that a report fits into a message, even if it is all of characters that JSON escapes. Only stacks that are
# deep in many threads have more, or source code in lines as no person writes them.
_MOST_CHARACTERS = 100_000


def report(server: Server, loop_thread: int, *, all_threads: bool) -> str:
    """The requests of *server*, the stack of its event loop and, with *all_threads*, those of the others."""
    frames = sys._current_frames()
    shown = {"the event loop": [loop_thread] if loop_thread in frames else []}
    if all_threads:
        shown["a thread"] = [each for each in frames if each not in (loop_thread, threading.get_ident())]
    text = "\n".join(_requests(server) + _stacks(shown, frames))
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}\nand more"


def stack_of_all() -> list[str]:
    """Lines with the stacks of all threads but the one that asks."""
    frames = sys._current_frames()
    return _stacks({"a thread": [each for each in frames if each != threading.get_ident()]}, frames)


def _stacks(shown: dict[str, list[int]], frames: dict[int, FrameType]) -> list[str]:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    pairs = [(what, ident) for what, idents in shown.items() for ident in idents]
    lines = []
    for what, ident in pairs[:_MOST_THREADS]:
        lines.append(f"{what} ({names.get(ident, ident)}) is at:")
        stack = traceback.extract_stack(frames[ident], _MOST_FRAMES)
        lines += "".join(traceback.format_list(stack)).rstrip("\n").split("\n")
    if len(pairs) > _MOST_THREADS:
        lines.append(f"and {len(pairs) - _MOST_THREADS} threads more")
    return lines


def _requests(server: Server) -> list[str]:
    try:
        running, more = server.running_requests()
    except RuntimeError as error:
        return [str(error)]
    if not running:
        return ["no request is running"]
    lines = ["requests that are running:"]
    lines += [f"  {each.method} {each.target[:_MOST_OF_TARGET]} for {each.seconds:.0f} s" for each in running]
    if more:
        lines.append(f"  and {more} more")
    return lines
