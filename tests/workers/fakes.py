"""What a supervisor looks after, without processes and without time: workers that do what a test says, and a clock."""

from __future__ import annotations

import asyncio
import logging
import queue
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from miniasgi.config import Config
from miniasgi.errors import StartupError
from miniasgi.observe import logs
from miniasgi.workers.kinds.channel import Channel, Closed, Said
from miniasgi.workers.serving.worker import Worker
from miniasgi.workers.supervision.member import Member, State
from miniasgi.workers.supervision.supervisor import Supervisor

# 20: what can become due by what has just been done is done in two or three steps; more would not end.
MOST_STEPS_AT_ONCE = 20
# As House.shown() writes them: what serves, or could, is a capital.
LETTERS = {State.STARTING: "s", State.READY: "R", State.SERVING: "S", State.HUNG: "h", State.LEAVING: "l"}


class FakeClock:
    """Stands still until a test moves it."""

    def __init__(self, now: float = 1000.1) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class FakeHandle:
    """Notes what its worker is told and which signals it is sent; ends only where a test says so."""

    def __init__(self, number: int, pid: int = 0, *, has_signals: bool = True) -> None:
        self.number = number
        self.name = f"fake {number}"
        self.pid = pid
        self.has_signals = has_signals
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.signals: list[int] = []
        self.closed = False
        # Whether run() has it give a sign of life each second.
        self.beats = True

    def tell(self, kind: str, sockets: Sequence[socket.socket] = (), **values: Any) -> None:
        self.told.append((kind, {**values, "sockets": list(sockets)} if sockets else values))

    def receive(self) -> list[Said]:
        raise AssertionError("only a MainLoop reads")

    def exit_status(self) -> int | None:
        raise AssertionError("only a MainLoop asks")

    def fileno(self) -> int:
        raise AssertionError("only a MainLoop waits")

    def signal(self, number: int) -> bool:
        self.signals.append(number)
        return self.has_signals

    def close(self) -> None:
        self.closed = True

    @property
    def commands(self) -> list[str]:
        """What it has been told, in few words: "listen 2", "stop", "stop force"."""
        return [" ".join([kind, *_shown(values)]) for kind, values in self.told]

    def forget_told(self) -> None:
        self.told.clear()


def _shown(values: dict[str, Any]) -> list[str]:
    return [
        str(value) if name == "place" else name for name, value in values.items() if name == "place" or value is True
    ]


class FakeSockets:
    """Names in the place of sockets."""

    def __init__(self, *, shared: bool = False) -> None:
        self.shared = shared
        self.closed = False
        self.refused: set[int] = set()
        self.given: set[int] = set()

    def key(self, place: int) -> int:
        return 0 if self.shared else place

    @property
    def opened(self) -> set[int]:
        return self.given

    def sockets(self, key: int) -> Sequence[Any]:
        assert not self.closed, "the address has been given back"
        if key in self.refused:
            raise StartupError("cannot listen: too many open files")
        self.given.add(key)
        return [f"socket {key}"]

    def close(self) -> None:
        self.closed = True


class House:
    """A supervisor, its clock, and its fake workers, in the order in which they were started."""

    def __init__(
        self,
        wanted: int = 1,
        *,
        developing: bool = False,
        shared: bool = False,
        threads: bool = False,
        exhausted: Callable[[str], None] | None = None,
        **options: Any,
    ) -> None:
        self.clock = FakeClock()
        self.sockets = FakeSockets(shared=shared)
        self.handles: list[FakeHandle] = []
        self.greetings: list[str] = []
        # Why no worker can be started, while that is so; how many can be in all; and in which places none could.
        self.refusal = ""
        self.room = 10_000
        self.refused: list[int] = []
        self._has_signals = not threads
        self._next_beat = self.clock.now + 1
        self.supervisor = Supervisor(
            Config.from_options(**options),
            self.sockets,
            wanted=wanted,
            spawn=self._spawn,
            clock=self.clock,
            ready=self.greetings.append,
            exhausted=exhausted,
            developing=developing,
        )

    def _spawn(self, number: int) -> FakeHandle:
        if self.refusal or len(self.handles) >= self.room:
            self.refused.append(number)
            raise StartupError(self.refusal or "there is no room for more workers")
        assert not self.supervisor.stopping, "a server that stops starts nobody"
        self.handles.append(FakeHandle(len(self.handles) + 1, has_signals=self._has_signals))
        return self.handles[-1]

    # Looking

    def member(self, handle: FakeHandle | int) -> Member:
        """That of a handle, or of the one that was started as the so-manieth, from 1."""
        if isinstance(handle, int):
            handle = self.handles[handle - 1]
        return next(each for each in self.supervisor.members if each.handle is handle)

    def in_state(self, *states: State) -> list[Member]:
        return [each for each in self.supervisor.members if each.state in states]

    def shown(self) -> dict[int, str]:
        """Of each place the handles' numbers, each with a letter for its state: "1S 3s"."""
        found: dict[int, list[str]] = {}
        for each in self.supervisor.members:
            assert isinstance(each.handle, FakeHandle)
            found.setdefault(each.place.number, []).append(f"{each.handle.number}{LETTERS[each.state]}")
        return {number: " ".join(each) for number, each in sorted(found.items())}

    # What the workers do

    def say(self, number: int, kind: str, **values: Any) -> None:
        self.supervisor.heard(self.member(number), {"kind": kind, "sockets": [], **values})

    def ready(self, *numbers: int) -> None:
        """Have these workers, else all that start, say that they are ready; and do what is due."""
        for number in numbers or [each.handle.number for each in self.in_state(State.STARTING)]:  # type: ignore[attr-defined]
            self.say(number, "ready", loop="asyncio")
        self.settle()

    def beat(self, number: int, requests: int = 0, running: int = 0, connections: int = 0) -> None:
        vitals = {"requests": requests, "running": running, "connections": connections}
        self.say(number, "beat", vitals=vitals)

    def end(self, number: int, how: str = "exited with status 1") -> None:
        """Have a worker end, and do what is due."""
        self.supervisor.ended(self.member(number), how)
        self.settle()

    def fail(self, number: int, message: str = "no module named app", details: str = "", status: int = 3) -> None:
        """Have a worker say why it cannot start, and end."""
        self.say(number, "failed", message=message, details=details, status=status)
        self.end(number, f"exited with status {status}")

    def bury(self) -> None:
        """Have all end that have been told to."""
        for each in self.in_state(State.LEAVING):
            if not each.stuck:
                self.supervisor.ended(each, "exited with status 0")
        self.settle()

    # Time

    def settle(self) -> float | None:
        """Do what is due, until nothing is; when the next thing will be."""
        for _ in range(MOST_STEPS_AT_ONCE):
            due = self.supervisor.step()
            if due is None or due > self.clock.now:
                return due
        raise AssertionError(f"at {self.clock.now} there is always something due: {due}")

    def run(self, seconds: float) -> None:
        """Let time pass, as a main loop does: awake when something is due, and at each beat."""
        end = self.clock.now + seconds
        while True:
            due = self.settle()
            wake = min(self._next_beat, end if due is None else due, end)
            self.clock.now = max(self.clock.now, wake)
            if self.clock.now >= self._next_beat:
                self._next_beat = self.clock.now + 1
                for each in self.in_state(State.READY, State.SERVING):
                    assert isinstance(each.handle, FakeHandle)
                    if each.handle.beats:
                        self.supervisor.heard(each, _beat_of(each))
            if self.clock.now >= end:
                self.settle()
                return


def _beat_of(member: Member) -> Said:
    return {
        "kind": "beat",
        "vitals": {name: getattr(member, name) for name in ("requests", "running", "connections")},
    }


def up(wanted: int = 1, **options: Any) -> House:
    """A house all of whose workers serve, and have forgotten what they were told until then."""
    house = House(wanted, **options)
    house.settle()
    while house.in_state(State.STARTING):
        house.ready()
    for handle in house.handles:
        handle.forget_told()
    return house


class FakeWorker:
    """What a supervisor tells things to, a worker or a group: notes them, so that a test can wait for them."""

    def __init__(self, loop_name: str = "fakeloop") -> None:
        self.loop_name = loop_name
        self.told: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        # What report() and vitals() say.
        self.text = "here it stands"
        self.figures = {"requests": 7, "running": 2, "connections": 3}

    def stop(self, *, force: bool = False, patient: bool = False) -> None:
        self.told.put(("stop", {"force": force, "patient": patient}))

    def listen(self, place: int, sockets: Sequence[Any]) -> None:
        self.told.put(("listen", place, sockets))

    def forget(self, place: int) -> None:
        self.told.put(("forget", place))

    def want(self, number: int) -> None:
        self.told.put(("want", number))

    def report(self, *, all_threads: bool) -> str:
        return f"{self.text}, all threads: {all_threads}"

    def vitals(self) -> dict[str, int]:
        return self.figures

    def next(self) -> tuple[Any, ...]:
        """The next thing that it is told, within ten seconds."""
        return self.told.get(timeout=10)


def hear(channel: Channel, kind: str) -> Said:
    """The next message of that kind on *channel*; those before it are passed over. Raises Closed."""
    if channel.fileno() < 0:  # it has been heard to its end before
        raise Closed
    channel.socket.settimeout(10)  # receive() takes what does not come in time for a close
    while True:
        said = channel.receive_first()
        if said["kind"] == kind:
            return said


@contextmanager
def loggers_kept() -> Iterator[None]:
    """The server's loggers give what they have to pytest, whatever is configured inside; as they were, afterwards."""
    above = logging.getLogger("miniasgi")
    below = [logging.getLogger(name) for name in ("miniasgi.server", "miniasgi.access")]
    before = [(logger, logger.level, logger.disabled) for logger in below]
    handler = logging.NullHandler()
    above.addHandler(handler)  # so that none is added
    try:
        yield
    finally:
        above.removeHandler(handler)
        for logger, level, disabled in before:
            logger.setLevel(level)
            logger.disabled = disabled
        logs.set_name("")


class FakeControl:
    """The control of a worker: notes what it learns, and has *script* run in the worker's loop once it is ready."""

    def __init__(
        self, script: Callable[[Worker], Awaitable[None]] | None = None, *, gives_sockets: bool = True
    ) -> None:
        self.gives_sockets = gives_sockets
        self.notes: list[str] = []
        self.worker: Worker  # set by started()
        self._script = script
        self._task: asyncio.Task[None] | None = None

    def started(self, worker: Worker) -> None:
        self.notes.append("started")
        self.worker = worker

    def ready(self, worker: Worker) -> None:
        self.notes.append("ready")
        self._task = worker.loop.create_task(self._run(worker))

    def beat(self, worker: Worker) -> None:
        self.notes.append("beat")

    async def _run(self, worker: Worker) -> None:
        try:
            if self._script is not None:
                await asyncio.wait_for(self._script(worker), 20)
        finally:
            worker.stop()

    def check(self) -> None:
        """Raise what the script has; it must have run."""
        assert self._task is not None, f"the worker has not been ready: {self.notes}"
        self._task.result()
