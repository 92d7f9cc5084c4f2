"""A worker thread as its supervisor sees it, in the same process."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

from ...errors import StartupError
from ...observe import logs
from ..serving.spec import WorkerSpec
from ..serving.worker import run_worker
from .channel import Channel, Correspondent
from .remote import Remote

__all__ = ["ThreadWorker"]

logger = logging.getLogger("miniasgi.server")


class ThreadWorker(Correspondent):
    """A thread that runs one worker. What blocks goes to *pool*, which all threads share."""

    pid = 0

    def __init__(self, spec: WorkerSpec, pool: ThreadPoolExecutor) -> None:
        self._spec = spec
        self._pool = pool
        self.channel, self._theirs = Channel.pair()
        self._status: int | None = None
        self._thread = threading.Thread(target=self._run, name=f"miniasgi {spec.name}", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:
            self.channel.close()
            self._theirs.close()
            raise StartupError(f"cannot start a worker thread: {error}") from error
        self.name = f"thread {self._thread.native_id}"

    def _run(self) -> None:
        logs.set_name(self._spec.name)
        control = Remote(self._theirs, lost=_nothing, ended=_nothing, is_thread=True)
        control.begin(f"{self._spec.name} listens to its supervisor")
        status = 1
        try:
            run_worker(self._spec, control, pool=self._pool)
            status = 0
        except StartupError as error:
            control.failed(error)
            status = error.exit_status
        except BaseException:
            logger.exception("the event loop of %s has failed", self._spec.name)
        finally:
            self._status = status
            self._theirs.close()

    def exit_status(self) -> int | None:
        """0 or what failed; None while it runs."""
        return self._status

    def signal(self, number: int) -> bool:
        """No signal reaches a single thread."""
        return False


def _nothing() -> None:
    """The worker looks for itself whether it has been told to stop."""
