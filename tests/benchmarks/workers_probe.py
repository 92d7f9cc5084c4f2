"""Which of a server's processes answer: each says its number, on connections that are all kept open."""

import contextlib
import time

from .apps import PROCESS_TARGET
from .exchange import request
from .probe import Client, WrongAnswer

WHO = request("GET", PROCESS_TARGET)
# At once, when all processes are to be seen: with one at a time, the same could answer every time.
CONNECTIONS_TO_SEE_ALL = 32
PAUSE_SECONDS = 0.01


def processes_of(port: int, connections: int, is_at_once: bool = True) -> list[int]:
    """The process that answers on each of so many new connections, none of which is closed before the last answer.

    They are opened all at once, before any is asked, or each after the answer on the one before.

    Raises:
        WrongAnswer: an answer is no process number.
        OSError: a connection failed.
    """
    with contextlib.ExitStack() as stack:
        if not is_at_once:
            return [_number(stack.enter_context(Client(port)).ask(WHO)) for _ in range(connections)]
        clients = [stack.enter_context(Client(port)) for _ in range(connections)]
        for client in clients:
            client.socket.sendall(WHO)
        return [_number(client.read_content()) for client in clients]


def wait_for_processes(port: int, count: int, deadline: float) -> set[int]:
    """Ask until so many processes have answered; return their numbers.

    Raises:
        WrongAnswer: they were fewer at the deadline (of time.perf_counter), or more, or an answer was wrong.
    """
    seen: set[int] = set()
    while len(seen) < count:
        try:
            seen |= set(processes_of(port, CONNECTIONS_TO_SEE_ALL))
        except OSError as error:
            raise WrongAnswer(f"no connection: {error}") from None
        if len(seen) < count and time.perf_counter() > deadline:
            break
        time.sleep(PAUSE_SECONDS)
    if len(seen) != count:
        raise WrongAnswer(f"answers from {len(seen)} processes instead of {count}")
    return seen


def _number(content: bytes) -> int:
    if not content.isdigit():
        raise WrongAnswer(f"{content[:80]!r} instead of a process number")
    return int(content)
