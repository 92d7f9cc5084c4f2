"""How a connection keeps pace with its client: senders wait while it takes nothing, and one that never does is cut.

Knows the transport. Does not know what is sent.
"""

from __future__ import annotations

import asyncio
from math import inf

from ..service import Service

__all__ = ["Flow"]


class Flow(asyncio.Protocol):
    """The base of what a transport tells that it is full, or empty again."""

    __slots__ = ("_drained", "_mark", "loop", "service", "transport", "write_deadline", "write_paused")

    transport: asyncio.Transport  # set by connection_made, or by whoever hands the transport over

    def __init__(self, service: Service) -> None:
        self.service = service
        self.loop = service.loop
        #: Whether the transport holds more than it likes to; set by pause_writing and resume_writing.
        self.write_paused = False
        #: When a client that takes nothing has had its time; checked by the sweep.
        self.write_deadline = inf
        # Octets in the transport's buffer when the deadline was set: fewer later are progress.
        self._mark = 0
        # Resolved by resume_writing and by the end of the connection; shared by all who wait.
        self._drained: asyncio.Future[None] | None = None

    async def drain(self) -> None:
        """Wait until the client has taken enough, or the connection is lost."""
        while self.write_paused:
            drained = self._drained
            if drained is None:
                drained = self._drained = self.loop.create_future()
            # Shielded: it is shared, and a cancelled sender must not cancel the others' wait.
            await asyncio.shield(drained)

    def pause_writing(self) -> None:
        self.write_paused = True
        self.expect_reading()

    def expect_reading(self) -> None:
        """Give the client its time to take some of what the transport holds."""
        self._mark = self.transport.get_write_buffer_size()
        self.write_deadline = self.service.now + self.service.config.timeout_write

    def resume_writing(self) -> None:
        self.write_paused = False
        self.write_deadline = inf
        drained = self._drained
        if drained is not None:
            self._drained = None
            if not drained.done():
                drained.set_result(None)

    def write_end(self) -> bool:
        """Close our side of the connection; False if the client has gone, and the connection with it."""
        try:
            self.transport.write_eof()
        except OSError:
            # The loop has still to tell; on asyncio, it is for us to find out.
            self.transport.abort()
            return False
        return True

    def unsent(self) -> int:
        """How many octets the client has still to take."""
        return self.transport.get_write_buffer_size()

    def check_write_progress(self) -> bool:
        """Whether a client whose write deadline has passed has taken anything since; sets the next deadline."""
        size = self.unsent()
        progress = size < self._mark
        self._mark = size
        self.write_deadline = self.service.now + self.service.config.timeout_write
        return progress
