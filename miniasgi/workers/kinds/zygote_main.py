"""--preload, from inside: loads the application once, and forks a worker each time that it is told to."""

from __future__ import annotations

import gc
import logging
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from types import FrameType

from ... import importer
from ...errors import StartupError
from ...observe import logs
from ..serving.spec import WorkerSpec
from ..system.title import set_title, title
from .channel import Channel, Closed, Said
from .process import SIGNALS_HELD_BACK
from .remote import send_failure

__all__ = ["run_zygote"]

logger = logging.getLogger("miniasgi.server")


def run_zygote(spec: WorkerSpec, channel: Channel) -> tuple[WorkerSpec, Channel] | None:
    """Serve as a zygote until told to stop, or until nobody is there to tell.

    Returns twice, as a fork does: in each child, what it has to run as a worker; in the zygote None, at its end.
    """
    set_title(title("zygote", spec.app_name))
    config = spec.config
    threads = set(threading.enumerate())
    try:
        logs.configure(config)  # before the application, whose own word on logs is the last
        if isinstance(spec.app, str):
            with _ended_with(channel):
                loaded = importer.load(spec.app, factory=config.factory, app_dir=config.app_dir)
            spec = replace(spec, loaded=loaded)
    except StartupError as error:
        send_failure(channel, error)
        return None
    logs.configure(config)
    if started := set(threading.enumerate()) - threads:
        names = ", ".join(sorted(each.name for each in started))
        logger.warning("the application has started threads while it was loaded, which forked workers lack: %s", names)
    # What is there now is never collected: looking at it would copy its pages into each worker.
    gc.collect()
    gc.freeze()
    channel.send("loaded")
    return _Zygote(spec, channel).run()


@contextmanager
def _ended_with(channel: Channel) -> Iterator[None]:
    """For as long as the application is loaded: end when the supervisor does, though nobody listens to it yet."""
    stop, stopper = socket.socketpair()

    def watch() -> None:
        poll = select.poll()
        poll.register(channel.fileno(), 0)  # no more than its end, which is always told
        poll.register(stop.fileno(), select.POLLIN)
        if any(descriptor == channel.fileno() for descriptor, _ in poll.poll()):
            os._exit(1)

    watcher = threading.Thread(target=watch, name="miniasgi looks after its supervisor", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        # Gone before anything is forked, which a thread would not survive.
        stopper.send(b"\0")
        watcher.join()
        stop.close()
        stopper.close()


class _Zygote:
    def __init__(self, spec: WorkerSpec, channel: Channel) -> None:
        self._spec = spec
        self._channel = channel
        self._tokens: dict[int, int] = {}  # of each child's number
        self._wakeup, self._waker = socket.socketpair()
        for end in (self._wakeup, self._waker):
            end.setblocking(False)

    def run(self) -> tuple[WorkerSpec, Channel] | None:
        # SIGTERM too, which may be sent to a whole group: the supervisor says when workers need no zygote any more.
        for number in (signal.SIGTERM, *SIGNALS_HELD_BACK):
            signal.signal(number, signal.SIG_IGN)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _note)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS_HELD_BACK)
        try:
            return self._serve()
        except Closed:
            return None
        finally:
            # A child that ends from now on would have Python write to what nobody holds open any more, and complain.
            signal.set_wakeup_fd(-1)

    def _serve(self) -> tuple[WorkerSpec, Channel] | None:
        while True:
            # Before waiting: some may have come with the specification.
            for said in self._channel.receive(wait=False):
                if said["kind"] == "stop":
                    return None
                if said["kind"] == "fork":
                    child = self._fork(said)
                    if child is not None:
                        return child
            select.select([self._channel.fileno(), self._wakeup.fileno()], [], [])
            with suppress(BlockingIOError):
                self._wakeup.recv(4096)
            self._bury()

    def _fork(self, said: Said) -> tuple[WorkerSpec, Channel] | None:
        (theirs,) = said["sockets"]
        if _is_deserted(theirs):  # it has been thought better of while the application was loading
            theirs.close()
            return None
        sys.stdout.flush()
        sys.stderr.flush()
        # Held back until the child has said what it does with them.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS_HELD_BACK)
        try:
            pid = os.fork()
        except OSError as error:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS_HELD_BACK)
            theirs.close()
            logger.error("no worker can be forked: %s", error.strerror)
            self._channel.send("exited", token=said["token"], status=1)
            return None
        if pid:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS_HELD_BACK)
            theirs.close()
            self._tokens[pid] = said["token"]
            self._channel.send("forked", token=said["token"], pid=pid)
            return None
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # Without shutting it down: it is the zygote's still.
        self._channel.socket.close()
        self._wakeup.close()
        self._waker.close()
        return replace(self._spec, number=said["number"]), Channel(theirs)

    def _bury(self) -> None:
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                token = self._tokens.pop(pid, None)
                if token is not None:  # else it is a process that the application has started
                    self._channel.send("exited", token=token, status=os.waitstatus_to_exitcode(status))


def _is_deserted(end: socket.socket) -> bool:
    """Whether nobody holds the other end any more, whatever was said before."""
    poll = select.poll()
    poll.register(end.fileno(), 0)
    return bool(poll.poll(0))


def _note(number: int, frame: FrameType | None) -> None:
    """The wake-up descriptor has it."""
