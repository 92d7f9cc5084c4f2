"""One request and its response: what an application may send, and in which order.

Knows ASGI's HTTP messages. Does not know octets on the wire: it calls a ResponseWriter, which another version of HTTP
may implement as well.

    UNSTARTED --http.response.start--> HELD --first body, file, or path--> STREAMING --last body--> COMPLETE
                                                                               `--> TRAILERS --last trailers--> COMPLETE

The head is held until the first piece of content, as ASGI allows: the usual response is then one write, and an
application that fails in between still gets a clean 500. Everything may also end ABORTED: cut off in mid-response.
"""

from __future__ import annotations

import logging
import os
import stat
from asyncio import CancelledError, Task

from ..errors import ApplicationError, ClientDisconnected, FileEnded
from ..http1.head import RequestHead
from ..types import App, Fields, Message, Scope
from .body import RequestSide
from .messages import FilePart, field_name, listed, octets, required, untyped
from .scope import Origin
from .writer import ResponseWriter

__all__ = ["PLAIN_TEXT", "Exchange"]

logger = logging.getLogger("miniasgi.server")

UNSTARTED, HELD, STREAMING, TRAILERS, COMPLETE, ABORTED = range(6)

# 256 KiB: what is given to a transport at a time, so that a large message is not copied into its buffer whole.
_SLICE = 256 * 1024


class Exchange(RequestSide):
    """One request and its response.

    Attributes:
        head: the request.
        task: what runs the application; set by whoever started it.
        status: what was answered, for the access line; 0 before.
        fields: of the response, as the application has given them.
        octets: of content sent, for the access line.
        started_at: the clock's time, for the access line.
        origin: where the request comes from, if a proxy has said so; else it is the connection's.
        request_id: what the request is called; empty if it has no name.
        has_place: whether others wait for this one to end (server.gate).
    """

    _state = UNSTARTED
    _status = 0
    _keeps_trailers = False
    task: Task[None] | None = None
    status = 0
    octets = 0
    started_at = 0.0
    fields: Fields = []  # noqa: RUF012  # never changed, only replaced
    origin: Origin | None = None
    request_id = ""
    has_place = False
    #: Whether send() must fail, because nobody is there to read.
    gone = False
    #: Whether run() has returned.
    done = False
    #: That whoever is given send() itself, and not what middleware has made of it, may send files (static.answer).
    takes_files = True
    #: Whether "100 Continue" need not be sent any more; set by the connection.
    continued = False

    def __init__(self, source: ResponseWriter, head: RequestHead) -> None:
        self.source: ResponseWriter = source
        self.head = head

    @property
    def label(self) -> str:
        """The request, for a log line."""
        line = self.head.line.log
        return f"{line} id={self.request_id}" if self.request_id else line

    @property
    def response_started(self) -> bool:
        """Whether anything of the response has been sent, so that no other can be."""
        return self._state > HELD

    async def run(self, app: App, scope: Scope) -> None:
        """Call the application, and see to it that its request is answered."""
        try:
            await app(scope, self.receive, self.send)
        except ClientDisconnected as error:
            # Another request's, of one who sends to many: this one's client still waits for its answer.
            if not self.gone and self._state < COMPLETE:
                self._log_failure(error)
                self._fail()
        except CancelledError as error:
            self._leave("was cancelled", error)
            raise
        except (SystemExit, KeyboardInterrupt) as error:
            self._fail()
            # From the loop: out of a task that runs inside a transport's callback, uvloop would take it for a fault of
            # the connection, and the process would live on.
            self.source.loop.call_soon(_raise, error)
        except GeneratorExit:
            raise  # nobody runs the coroutine any more, and there may be no loop left to answer with
        except BaseException as error:  # some are no Exception: groups of such, or what ends a test
            self._log_failure(error)
            self._fail()
        else:
            if self._state < COMPLETE:
                self._leave("returned")
        finally:
            self.done = True
            if self.task is not None:  # else it has run to its end at once, and nobody has noted it
                self.source.ended(self)

    def _is_unfinished(self) -> bool:
        """Whether the client is owed something."""
        return self._state < COMPLETE

    async def send(self, message: Message) -> None:
        """Take a message of the application's response.

        Raises:
            ClientDisconnected: (an OSError) nobody is there to read it.
            ApplicationError: the message is not one that may come now, or not what was declared.
        """
        try:
            kind = message["type"]
        except (KeyError, TypeError):
            raise untyped(message) from None
        state = self._state
        if kind == "http.response.body":
            if state == HELD:
                body = message.get("body", b"")
                if self.gone:
                    raise ClientDisconnected("the client has gone")
                if body.__class__ is not bytes:
                    body = octets(body)
                if not message.get("more_body", False) and not self._keeps_trailers:
                    if len(body) <= _SLICE:
                        self.source.respond(self, self._status, self.fields, body)
                        return
                    self._declare(len(body))
                self._begin()
                await self._send_body(body, message)
                return
            if state == STREAMING and not self.gone:
                body = message.get("body", b"")
                await self._send_body(body if body.__class__ is bytes else octets(body), message)
                return
        elif kind == "http.response.start" and state == UNSTARTED and not self.gone:
            self._status = required(message, "status")
            fields = message.get("headers")
            self.fields = fields if fields.__class__ is list else listed(message, "headers")
            self._keeps_trailers = message.get("trailers", False)
            self._state = HELD
            return
        await self._send_other(kind, message)

    async def _send_other(self, kind: str, message: Message) -> None:
        """What is rare, and what is wrong."""
        state = self._state
        if self.gone or state == ABORTED:
            raise ClientDisconnected("the client has gone")
        if kind == "http.response.early_hint" and state <= STREAMING:
            links = listed(message, "links")
            # Allowed until the last body; where the head has left, a hint comes too late and is left out.
            if state <= HELD and self.head.line.version == "1.1" and self.head.section.takes_early_hints:
                self.source.informational(self, 103, [(b"link", link) for link in links])
        elif kind == "http.response.pathsend" and state == HELD:
            await self._send_path(required(message, "path"))
        elif kind == "http.response.zerocopysend" and state in (HELD, STREAMING):
            await self._send_file(message)
        elif kind == "http.response.trailers" and state == TRAILERS:
            self._trailers += listed(message, "headers")
            if not message.get("more_trailers", False):
                self.source.write_trailers(self, self._trailers)
                self._complete()
        else:
            raise ApplicationError(f"{kind!r} sent, expected {_EXPECTED[state]}")

    def _declare(self, length: int) -> None:
        """Say how long the whole content is, unless the application does."""
        if not any(field_name(field) == b"content-length" for field in self.fields):
            self.fields = [*self.fields, (b"content-length", b"%d" % length)]

    def _begin(self) -> None:
        self.source.start_response(self, self._status, self.fields)
        self._state = STREAMING

    async def _send_body(self, body: bytes, message: Message) -> None:
        more = message.get("more_body", False)
        source = self.source
        if len(body) > _SLICE:
            view = memoryview(body)
            while len(view) > _SLICE:
                source.write_body(self, view[:_SLICE], True)  # type: ignore[arg-type]  # joins and writes as bytes do
                view = view[_SLICE:]
                if source.write_paused:
                    await self._drain()
            body = view  # type: ignore[assignment]
        last = not more and not self._keeps_trailers
        source.write_body(self, body, not last)
        if last:
            self._complete()
        elif not more:
            self._state = TRAILERS
            self._trailers: list[tuple[bytes, bytes]] = []
        elif source.write_paused:
            await self._drain()

    async def _drain(self) -> None:
        await self.source.drain()
        if self.gone:
            raise ClientDisconnected("the client has gone")

    async def _send_path(self, path: str) -> None:
        """Send the file at *path* as the whole content (ASGI extension "Path Send").

        The extension wants the path absolute. A relative one is taken too, because Starlette's FileResponse hands on
        what it was given.
        """
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (OSError, TypeError, ValueError) as error:
            # An OSError would tell the application that its client has gone.
            raise ApplicationError(f"http.response.pathsend with path {path!r}, expected a file: {error}") from error
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                raise ApplicationError(f"http.response.pathsend with path {path!r}, expected a regular file")
            size = status.st_size
            self._declare(size)
            self._begin()
            await self._write_file(file, 0, size)
        finally:
            os.close(file)
        self._end_files()

    async def _send_file(self, message: Message) -> None:
        """Send a part of an open file (ASGI extension "Zero Copy Send")."""
        part = FilePart(message)
        if self._state == HELD:
            self._begin()
        await self._write_file(part.file, part.offset, part.count)
        part.advance()
        if not message.get("more_body", False):
            self._end_files()

    async def _write_file(self, file: int, offset: int, count: int) -> None:
        try:
            await self.source.write_file(self, file, offset, count)
        except ClientDisconnected:
            self.gone = True  # as the connection is about to learn
            raise

    def _end_files(self) -> None:
        if self.gone:
            raise ClientDisconnected("the client has gone")
        if self._keeps_trailers:
            self._state = TRAILERS
            self._trailers = []
            return
        self.source.write_body(self, b"", False)
        self._complete()

    def _complete(self) -> None:
        self.complete()
        self.source.finished(self)

    def complete(self) -> None:
        """Learn that the whole response has been written."""
        self._state = COMPLETE
        # ASGI: receive() after the response gives http.disconnect.
        self._content_taken = self.disconnected = True
        if self._pieces:
            self._pieces = ()
        if self._arrivals:
            self._wake()

    def _leave(self, how: str, error: BaseException | None = None) -> None:
        """The application has ended without an error of its own."""
        if self._is_unfinished() and not self.gone:  # else it is the server that has cancelled it
            if self.knows_disconnect:
                # It has given up on a client that has gone, or looks so: nothing to complain of, and nobody to answer.
                self.source.abort(self)
                return
            logger.error("%s: the application %s%s", self.label, how, self._when(), exc_info=error)
        self._fail()

    def _fail(self) -> None:
        """Answer 500 while that is possible, else let the client see that the response was cut."""
        if self._state == COMPLETE or self.gone:
            return
        if self._state <= HELD:
            self.source.respond(self, 500, PLAIN_TEXT, b"Internal Server Error\n")
        else:
            self._state = ABORTED
            self.source.abort(self)

    def hang_up(self) -> None:
        """Learn that nobody reads any more: receive() gives http.disconnect, send() raises."""
        self.gone = True
        self.disconnect()

    def _log_failure(self, error: BaseException) -> None:
        if isinstance(error, FileEnded):
            # Neither the application's mistake nor the server's: a traceback would send its reader the wrong way.
            logger.warning("%s: the response was cut: %s", self.label, error)
        elif not self.gone and (self._state == COMPLETE or not self.knows_disconnect):
            logger.error("%s: the application failed%s", self.label, self._when(), exc_info=error)
        elif not isinstance(error, OSError):
            # Frameworks turn a disconnect into errors of their own, so this is not worth more than a line.
            logger.info("%s: the application ended with %r after its client had gone", self.label, error)

    def _when(self) -> str:
        if self._state == COMPLETE:
            return " after its response"
        if self._state <= HELD:
            return " without a response, expected " + _EXPECTED[self._state]
        return " before its response was complete, expected " + _EXPECTED[self._state]


_EXPECTED: dict[int, str] = {
    UNSTARTED: "'http.response.start'",
    HELD: "'http.response.body'",
    STREAMING: "'http.response.body'",
    TRAILERS: "'http.response.trailers'",
    COMPLETE: "nothing more: the response is complete",
    ABORTED: "nothing more: the response was cut",
}

#: The fields of an answer that the server makes itself.
PLAIN_TEXT: list[tuple[bytes, bytes]] = [(b"content-type", b"text/plain; charset=utf-8")]


def _raise(error: BaseException) -> None:
    raise error
