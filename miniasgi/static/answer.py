"""What a request for a file comes to: an answer, which is an ASGI application that sends itself.

Knows ASGI's messages, and the extensions that spare a copy. Does not know which answer is right (static.site).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TypeAlias

from ..page_cache import read_any, read_cached
from ..types import Field, Fields, Receive, Scope, Send

__all__ = ["Answer", "OpenFile", "Outcome", "Work", "plain", "run_work", "then", "with_field"]

# 64 KiB: read at a time for a server that takes no file; about what it lets wait before it makes us wait.
_PIECE = 64 * 1024
# 256 KiB: how much of a file is read for one client before others have their turn.
_PIECES_A_TURN = 4


class OpenFile:
    """An open regular file and its status, both of the same moment: what is said of it is said of what is sent."""

    __slots__ = ("_descriptor", "status")

    def __init__(self, descriptor: int, status: os.stat_result) -> None:
        self._descriptor = descriptor
        self.status = status

    def fileno(self) -> int:
        """The descriptor; -1 once it is closed."""
        return self._descriptor

    def close(self) -> None:
        """Give the descriptor back; again is no harm."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    __del__ = close


class Answer:
    """A response, its content being *content*, or else *parts* of *file* and then *content*.

    Attributes:
        fields: names in lower case; Content-Length is among them, save where there is no content.
        parts: octets to send first, then from where to where in the file.
        encoded: whatever a server that sends the same answer again and again has made of its fields.
    """

    __slots__ = ("content", "encoded", "fields", "file", "parts", "status")

    def __init__(
        self,
        status: int,
        fields: Fields,
        content: bytes = b"",
        file: OpenFile | None = None,
        parts: Sequence[tuple[bytes, int, int]] = (),
    ) -> None:
        self.status = status
        self.fields = fields
        self.content = content
        self.file = file
        self.parts = parts
        self.encoded: object = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer. The file is closed afterwards, whatever happens."""
        try:
            await send({"type": "http.response.start", "status": self.status, "headers": list(self.fields)})
            if scope["method"] == "HEAD" or self.file is None:
                content = b"" if scope["method"] == "HEAD" else self.content
                await send({"type": "http.response.body", "body": content})
            elif _takes_files(scope, send):
                await self._send_file(self.file, send)
            else:
                await self._send_pieces(self.file, receive, send)
        finally:
            if self.file is not None:
                self.file.close()

    async def _send_file(self, file: OpenFile, send: Send) -> None:
        """Let the server send the file (ASGI extension "Zero Copy Send")."""
        last = len(self.parts) - 1
        for place, (before, start, stop) in enumerate(self.parts):
            if before:
                await send({"type": "http.response.body", "body": before, "more_body": True})
            await send(
                {
                    "type": "http.response.zerocopysend",
                    "file": file,
                    "offset": start,
                    "count": stop - start,
                    "more_body": place < last or bool(self.content),
                }
            )
        if self.content:
            await send({"type": "http.response.body", "body": self.content})

    async def _send_pieces(self, file: OpenFile, receive: Receive, send: Send) -> None:
        """Read the file piece by piece, as fast as the server takes it, and stop when the client has gone."""
        # Servers may swallow what is sent to nobody: the file would be read to its end for nothing.
        gone = asyncio.ensure_future(_disconnected(receive))
        turn = _PIECES_A_TURN
        try:
            for before, start, stop in self.parts:
                if before:
                    await send({"type": "http.response.body", "body": before, "more_body": True})
                while start < stop:
                    if gone.done():
                        return
                    piece = await read_piece(file, start, min(stop - start, _PIECE))
                    if not piece:
                        # Less than announced: the server has to cut the connection, which an exception makes it do.
                        raise OSError(f"a file ends {stop - start} octets before what was announced")
                    start += len(piece)
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                    turn -= 1
                    if not turn:
                        # A server that makes nobody wait, be its client fast or gone, would serve no other meanwhile.
                        turn = _PIECES_A_TURN
                        await asyncio.sleep(0)
            await send({"type": "http.response.body", "body": self.content})
        finally:
            # gather() takes what it came to, so that nobody complains of an exception that was never looked at.
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)


def _takes_files(scope: Scope, send: Send) -> bool:
    """Whether a file may be handed to *send*.

    The extension alone does not say so: middleware that knows nothing of it, such as Starlette's for compression, may
    stand in between, and drops such messages or fails. So *send* has to be a method of the server's own.
    """
    is_offered = "http.response.zerocopysend" in (scope.get("extensions") or ())
    return is_offered and getattr(getattr(send, "__self__", None), "takes_files", False)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def read_piece(file: OpenFile, offset: int, count: int) -> bytes:
    """What stands in *file*; in a thread if it must come from the disk."""
    try:
        return read_cached(file.fileno(), offset, count)
    except BlockingIOError:
        # A descriptor of the job's own: ours may be closed, and its number given away, before the job is done. A job
        # that never runs lets go of it, too.
        again = OpenFile(os.dup(file.fileno()), file.status)
        return await asyncio.get_running_loop().run_in_executor(None, _read_and_close, again, offset, count)


def _read_and_close(file: OpenFile, offset: int, count: int) -> bytes:
    try:
        return read_any(file.fileno(), offset, count)
    finally:
        file.close()


@dataclass(frozen=True, slots=True)
class Work:
    """What has to be done in a thread before there is an answer: it waits for a disk, or takes long.

    Attributes:
        pool: whose thread; None for the loop's own pool.
    """

    run: Callable[[], Outcome]
    pool: Executor | None = None


#: An answer, or the way to it, or nothing: no file has this path.
Outcome: TypeAlias = Answer | Work | None


def then(outcome: Outcome, otherwise: Callable[[], Outcome]) -> Outcome:
    """*outcome*, or where it comes to nothing, what *otherwise* gives."""
    if outcome is None:
        return otherwise()
    if isinstance(outcome, Work):
        run = outcome.run
        return Work(lambda: then(run(), otherwise), outcome.pool)
    return outcome


def with_field(outcome: Outcome, field: Field) -> Outcome:
    """*outcome* with one more *field*."""
    if isinstance(outcome, Work):
        run = outcome.run
        return Work(lambda: with_field(run(), field), outcome.pool)
    if outcome is None:
        return None
    # Another one: this may be in memory, for paths at which it is sent without the field.
    return Answer(outcome.status, [*outcome.fields, field], outcome.content, outcome.file, outcome.parts)


async def run_work(outcome: Outcome) -> Answer | None:
    """What *outcome* comes to, the work for it being done in a thread."""
    while isinstance(outcome, Work):
        outcome = await asyncio.get_running_loop().run_in_executor(outcome.pool, outcome.run)
    return outcome


_PHRASES = {
    400: b"Bad Request\n",
    401: b"Unauthorized\n",
    403: b"Forbidden\n",
    404: b"Not Found\n",
    405: b"Method Not Allowed\n",
    412: b"Precondition Failed\n",
    416: b"Range Not Satisfiable\n",
    500: b"Internal Server Error\n",
    503: b"Service Unavailable\n",
}


def plain(status: int, fields: Fields) -> Answer:
    """An answer of a few words, none of which is the client's."""
    content = _PHRASES[status]
    named: Fields = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(content)),
    ]
    return Answer(status, named + fields, content)
