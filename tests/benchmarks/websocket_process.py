"""The load of WebSockets, from the outside: started with its sessions open, run as often as wanted, and ended."""

import contextlib
import dataclasses
import json
import subprocess
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from .load import LoadFailed, LoadResult, pin_to_client_core
from .process import ROOT
from .server import module
from .websocket_clients import CLOSE_SECONDS
from .websocket_messages import Messages


class WebSocketLoad:
    """A load whose sessions are open within the block.

    What is counted before and after runs therefore holds neither the sessions' beginning nor their end.

    Raises:
        LoadFailed: a session could not be opened.
    """

    def __init__(self, port: int, messages: Messages, connections: int, is_pinned: bool = True) -> None:
        told = json.dumps(dataclasses.asdict(messages))
        options = ["--port", str(port), "--connections", str(connections), "--messages", told]
        self._process = subprocess.Popen(
            module("tests.benchmarks.websocket_load", *options),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=pin_to_client_core if is_pinned else None,
        )

    def __enter__(self) -> "WebSocketLoad":
        try:
            self._read()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def run(self, seconds: float) -> LoadResult:
        """Let every client speak for that long, and at least once.

        Raises:
            LoadFailed: an answer was wrong, or missing, or a session ended.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{seconds}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise LoadFailed("the load of WebSockets has ended") from None
        counted = self._read()
        return LoadResult(int(counted["messages"]), counted["seconds"], None, counted["p99_seconds"])

    def _read(self) -> Mapping[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise LoadFailed("the load of WebSockets ended without a word")
        said: Mapping[str, Any] = json.loads(line)
        if error := said.get("error"):
            raise LoadFailed(str(error))
        return said

    def _end(self) -> None:
        with self._process:
            assert self._process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
            try:
                self._process.wait(CLOSE_SECONDS * 2)
            except subprocess.TimeoutExpired:
                self._process.kill()
