"""A real zygote, and workers that it has forked."""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path

import pytest

from miniasgi.config import Config
from miniasgi.workers.kinds.zygote import Preloader
from miniasgi.workers.serving.spec import WorkerSpec
from tests.support import descriptors

from .fakes import hear


@pytest.mark.slow
def test_workers_share_what_has_been_loaded_once(tmp_path: Path) -> None:
    (tmp_path / "loaded_once.py").write_text(
        "import os\nloaded_by = os.getpid()\n"
        "async def app(scope, receive, send):\n"
        "    await receive()\n"
        "    await send({'type': 'lifespan.startup.failed', 'message': f'{loaded_by} {os.getppid()} {os.getpid()}'})\n"
    )
    before = descriptors()
    preloader = Preloader(WorkerSpec("loaded_once:app", Config(preload=True, lifespan="on", app_dir=str(tmp_path))))
    workers = [preloader.spawn(number) for number in (1, 2)]
    (zygote,) = preloader.zygotes
    try:
        said = [hear(worker.channel, "failed")["message"].split()[-3:] for worker in workers]
        assert [each[:2] for each in said] == [[str(zygote.pid)] * 2] * 2
        while any(worker.exit_status() is None for worker in workers):
            assert select.select([zygote.fileno()], [], [], 20)[0]
            zygote.hear()
        assert [worker.exit_status() for worker in workers] == [3, 3]
        assert [str(worker.pid) for worker in workers] == [each[2] for each in said]
        preloader.tidy(stopping=True)
        os.waitid(os.P_PID, zygote.pid, os.WEXITED | os.WNOWAIT)
        assert zygote.exit_status() == 0
    finally:
        zygote.signal(signal.SIGKILL)
        if zygote.exit_status() is None:
            os.waitid(os.P_PID, zygote.pid, os.WEXITED | os.WNOWAIT)
            zygote.exit_status()
        for each in (*workers, zygote):
            each.close()
    assert descriptors() == before
