"""A worker process as its supervisor sees it."""

from __future__ import annotations

import base64
import os
import pickle
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

from ...errors import StartupError
from ..serving.spec import WorkerSpec
from .channel import Channel, Correspondent

__all__ = ["REPORT_SIGNAL", "SIGNALS_HELD_BACK", "ProcessWorker", "unpack"]

#: Makes Python itself write its stacks to standard error, whoever holds the interpreter.
REPORT_SIGNAL = signal.SIGUSR2
#: What a new process must not get before it has said what it does with it: Ctrl-C would give a traceback.
SIGNALS_HELD_BACK = {signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGTTIN, signal.SIGTTOU}

# Above this directory, because it is what uses all the others.
_CHILD = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "child.py")


def pack(spec: WorkerSpec) -> str:
    """*spec* as text. Raises StartupError if its application cannot be sent to another process."""
    if spec.app is not None and not isinstance(spec.app, str):
        raise StartupError(
            "worker processes load the application themselves: give it as 'module:attribute', such as 'myapp:app', or "
            "use worker_class='thread'"
        )
    if spec.app is not None and spec.app.partition(":")[0] == "__main__":
        raise StartupError(
            f"{spec.app!r}: worker processes cannot import __main__: name the file's module instead, and call run() "
            'under if __name__ == "__main__"'
        )
    return base64.b64encode(pickle.dumps(spec)).decode()


def unpack(text: str) -> WorkerSpec:
    """What pack() made, in a process of the same supervisor."""
    spec: WorkerSpec = pickle.loads(base64.b64decode(text))
    return spec


def interpreter_options(words: Sequence[str]) -> list[str]:
    """The options of the Python whose command line is *words*, which are none of its program's."""
    found: list[str] = []
    rest = iter(words[1:])
    for word in rest:
        match = re.fullmatch(r"-([A-Za-z]*?)([cmWX].*)?", word)
        if word.startswith("--check-hash-based-pycs"):
            found += [word] if "=" in word else [word, next(rest, "default")]
            continue
        if match is None or word == "-":
            break
        # Interactive is nobody but the user's own process, and the line to skip (-x) is that of the user's script.
        flags = match[1].translate({ord("i"): None, ord("x"): None})
        if flags:
            found.append(f"-{flags}")
        if match[2] is None:
            continue
        if match[2][0] in "cm":
            break
        found += [f"-{match[2]}"] if len(match[2]) > 1 else [f"-{match[2]}", next(rest, "")]
    return found


class PythonProcess(Correspondent):
    """A fresh Python that runs process_main, in one of its roles. Raises StartupError if it cannot be started."""

    def __init__(self, spec: WorkerSpec, role: str) -> None:
        packed = pack(spec)
        self.channel, theirs = Channel.pair()
        descriptor = theirs.fileno()
        # The last words are for people who list processes.
        shown = [spec.name or role, spec.app_name]
        command = [sys.executable, *interpreter_options(sys.orig_argv), "-P", _CHILD, str(descriptor), *shown]
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS_HELD_BACK)
        try:
            self._process = subprocess.Popen(command, pass_fds=[descriptor])
        except OSError as error:
            self.channel.close()
            raise StartupError(f"cannot start a worker process: {error.strerror or error}") from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.socket.close()
        self.pid = self._process.pid
        self.name = f"process {self.pid}"
        # What is no text there, such as a Path, is not looked at by Python either.
        path = [each for each in sys.path if isinstance(each, str)]
        self.tell("spec", spec=packed, role=role, path=path, arguments=sys.argv)

    def exit_status(self) -> int | None:
        """As subprocess has it; None while it runs."""
        return self._process.poll()

    def signal(self, number: int) -> bool:
        """Send a signal to the process. False: no such thing can be done."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)
        return True


class ProcessWorker(PythonProcess):
    """A fresh Python that runs one worker, or a group of worker threads. Raises StartupError if it cannot start."""

    def __init__(self, spec: WorkerSpec) -> None:
        super().__init__(spec, "worker")
