"""Two servers inside a program that has an event loop of its own.

    python -m examples.embedded

One server greets; the other, meant for those who run the program, tells how often. Server neither installs signal
handlers nor configures logging, so both stay the program's own.
"""

from __future__ import annotations

import asyncio
import signal

from miniasgi import Config, Server
from miniasgi.types import Receive, Scope, Send


class Greeter:
    """An application that counts what it answers."""

    def __init__(self) -> None:
        self.greeted = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.greeted += 1
        await answer(send, "Hello from inside!\n")


class Figures:
    """An application that tells what the other one has counted."""

    def __init__(self, greeter: Greeter) -> None:
        self._greeter = greeter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, f"greeted {self._greeter.greeted}\n")


async def answer(send: Send, text: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})


async def main() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    greeter = Greeter()
    config = Config(port=0, lifespan="off")  # port 0: the system picks a free one for each
    async with Server(greeter, config) as public, Server(Figures(greeter), config) as figures:
        # Both answer from here on, and have drained when the block is left.
        print(f"greetings: {public.urls[0]}", flush=True)
        print(f"figures: {figures.urls[0]}", flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
