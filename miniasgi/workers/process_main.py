"""What a worker process does: takes its specification from the channel, serves, and says how it went."""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import socket
import sys
import threading
import time
from types import FrameType
from typing import NoReturn

from ..errors import StartupError
from ..observe import logs
from . import role
from .kinds.channel import Channel
from .kinds.process import REPORT_SIGNAL, SIGNALS_HELD_BACK, unpack
from .kinds.remote import Remote
from .kinds.zygote_main import run_zygote
from .serving.spec import WorkerSpec
from .serving.worker import run_worker
from .system.exits import end_process
from .system.title import set_title, title

__all__ = ["main", "serve"]

logger = logging.getLogger("miniasgi.server")

# 3 s: how long requests may still run when the supervisor has gone; whoever starts the next one needs the port.
_ORPHAN_SECONDS = 3.0


def main(descriptor: int) -> NoReturn:
    """Run as the worker that the message on the channel *descriptor* describes, and end the process."""
    channel = Channel(socket.socket(fileno=descriptor))
    os.set_inheritable(descriptor, False)
    said = channel.receive_first()
    sys.path[:] = said["path"]
    sys.argv[:] = said["arguments"]
    role.is_worker = True
    spec = unpack(said["spec"])
    if said["role"] == "zygote":
        child = run_zygote(spec, channel)
        if child is None:
            end_process(0, at_once=True)  # what the application has registered is for workers
        spec, channel = child
    serve(spec, channel)


def serve(spec: WorkerSpec, channel: Channel) -> NoReturn:
    """Serve as the process's only work, and end it."""
    set_title(title(spec.name, spec.app_name))
    if not faulthandler.is_enabled():
        # A crash in native code says where, instead of nothing.
        faulthandler.enable()
    # For a loop whose interpreter is held by native code, which no thread of Python can look at.
    faulthandler.register(REPORT_SIGNAL, all_threads=True)
    status = 0
    control = Remote(channel, lost=_end_orphan, ended=_end_at_once)
    _Orphan.control = control
    _take_signals(control)
    control.begin("miniasgi listens to its supervisor")
    try:
        if spec.config.worker_class == "thread":
            _run_group(spec, control)
        else:
            run_worker(spec, control)
    except StartupError as error:
        control.failed(error)
        status = 3
    except Exception:
        # Not to the interpreter, which would wait for the application's threads, nobody knows how long.
        logger.exception("the worker has failed")
        status = 1
    end_process(status)


def _run_group(spec: WorkerSpec, control: Remote) -> None:
    from .thread_group import ThreadGroup  # which a worker that is a process has no use for

    logs.configure(spec.config)
    ThreadGroup(spec, control).run()


def _take_signals(control: Remote) -> None:
    def handle(number: int, frame: FrameType | None) -> None:
        # Not here, where a lock may be held or a line half written; both end in threads of their own.
        target = logs.reopen_files if number == signal.SIGUSR1 else control.leave
        threading.Thread(target=target, daemon=True).start()

    # A terminal sends these to every process of the group; the supervisor gets them too, and says what is to be done.
    # Ignored, and not handed to a function that does nothing: faulthandler's small stack for signals, which Python's
    # handlers run on, overflows into the heap when five of them interrupt each other (3.11 to 3.13).
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTTIN, signal.SIGTTOU):
        signal.signal(number, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, handle)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS_HELD_BACK)


class _Orphan:
    control: Remote


def _end_orphan() -> None:
    """The supervisor has gone, whatever has killed it: nobody would replace or stop this worker."""
    if not _Orphan.control.is_dismissed:
        logger.error("the supervisor has gone; stopping")
    _Orphan.control.stop()
    time.sleep(_ORPHAN_SECONDS)
    os._exit(1)


def _end_at_once() -> NoReturn:
    os._exit(0)
