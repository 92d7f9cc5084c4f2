"""Files as a browser asks for them: what it keeps, what it seeks, what a listing looks like to it.

Each page reports by asking for ``/done``, so that the server's access lines hold the result. Needs Chromium.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# 60 s: a browser that starts on a machine with other things to do.
PATIENCE_SECONDS = 60.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]


class Site:
    """A server of one folder, whose access lines can be read."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self._output = process.stdout
        self.lines: list[str] = []
        self._rest = b""
        self.url = self._wait(r"on (http://127\.0\.0\.1:[0-9]+) ")[1]

    def wait_for(self, target: str) -> str:
        """The query with which *target* has been asked for."""
        return self._wait(rf'"GET {re.escape(target)}\?([^ ]*) HTTP')[1]

    def requests(self, name: str) -> list[tuple[int, int]]:
        """Status and octets of the answers to requests for paths with *name* in them."""
        answered = re.compile(rf'"GET [^ ]*{re.escape(name)}[^ ]* HTTP/1.1" ([0-9]+) ([0-9]+)')
        return [(int(found[1]), int(found[2])) for line in self.lines if (found := answered.search(line))]

    def _wait(self, pattern: str) -> re.Match[str]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            for line in self.lines:
                if match := re.search(pattern, line):
                    return match
            ready, _, _ = select.select([self._output], [], [], max(deadline - time.monotonic(), 0))
            assert ready, self.lines
            data = os.read(self._output.fileno(), 65536)
            assert data, self.lines
            *lines, self._rest = (self._rest + data).split(b"\n")
            self.lines += [line.decode() for line in lines]


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Site]:
    command = [sys.executable, "-m", "miniasgi", "--static", str(folder), "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            yield Site(process)
        finally:
            process.kill()


@contextmanager
def browsing(profile: Path, url: str) -> Iterator[None]:
    """Chromium on *url*, without a window."""
    assert CHROMIUM is not None
    flags = (
        "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --mute-audio --autoplay-policy=no-user-gesture-required "
        "--remote-debugging-port=0"
    )
    command = [CHROMIUM, *flags.split(), f"--user-data-dir={profile}", url]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.kill()


def test_hashed_files_are_asked_for_once_and_pages_again(tmp_path: Path) -> None:
    folder = tmp_path / "www"
    folder.mkdir()
    (folder / "app.4f3a9c1d.js").write_text("window.loaded = true;")
    (folder / "style.BqX3k9Zp.css").write_text("body { color: green }")
    page = "<!doctype html><link rel=stylesheet href=style.BqX3k9Zp.css><script src=app.4f3a9c1d.js></script>"
    (folder / "page.html").write_text(page)
    (folder / "index.html").write_text(
        """<!doctype html><script>
        const visit = () => new Promise((resolve) => {
          const frame = document.createElement("iframe");
          frame.src = "page.html";
          frame.onload = () => {
            const colour = frame.contentWindow.getComputedStyle(frame.contentDocument.body).color;
            resolve(`${frame.contentWindow.loaded},${colour}`.replace(/ /g, ""));
            frame.remove();
          };
          document.body.append(frame);
        });
        addEventListener("load", async () => {
          const first = await visit();
          const second = await visit();
          fetch(`/done?${first};${second}`);
        });
        </script><body>"""
    )
    with serving(folder, "--cache-control", "*.html=no-cache") as site, browsing(tmp_path / "profile", site.url):
        assert site.wait_for("/done") == "true,rgb(0,128,0);true,rgb(0,128,0)"
    assert site.requests("page.html") == [(200, len(page)), (304, 0)]
    assert site.requests("app.4f3a9c1d.js") == [(200, 21)]
    assert site.requests("style.BqX3k9Zp.css") == [(200, 21)]


def test_a_browser_plays_and_seeks(tmp_path: Path) -> None:
    folder = tmp_path / "www"
    folder.mkdir()
    with wave.open(str(folder / "long.wav"), "wb") as sound:
        sound.setnchannels(2)
        sound.setsampwidth(2)
        sound.setframerate(44100)
        for minute in range(10):  # 100 MiB: no browser takes that before it seeks
            sound.writeframes(bytes([minute]) * 44100 * 60 * 4)
    (folder / "index.html").write_text(
        """<!doctype html><audio src=long.wav preload=auto></audio><script>
        const audio = document.querySelector("audio");
        audio.onloadedmetadata = async () => {
          await audio.play();
          audio.currentTime = 570;
        };
        audio.onseeked = () => {
          audio.ontimeupdate = () => {
            if (audio.currentTime > 570.2) fetch(`/done?${audio.duration},${audio.seekable.end(0)}`);
          };
        };
        audio.onerror = () => fetch(`/done?${audio.error.message}`);
        </script>"""
    )
    with serving(folder) as site, browsing(tmp_path / "profile", site.url):
        assert site.wait_for("/done") == "600,600"
    size = (folder / "long.wav").stat().st_size
    answers = site.requests("long.wav")
    assert {status for status, _ in answers} == {206}
    # What was asked for beyond the seek, and was taken to play from there.
    assert all(octets < size for _, octets in answers)
