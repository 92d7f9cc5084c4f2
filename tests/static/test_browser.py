"""Files as a browser asks for them: what it keeps, what it seeks, what a listing looks like to it.

Each page reports by asking for ``/done``, so that the server's access lines hold the result. Needs Chromium.
"""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

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
        self._process = process
        self._output = process.stdout
        self.lines: list[str] = []
        self._rest = b""
        self.url = self._wait(r"on (http://127\.0\.0\.1:[0-9]+) ")[1]

    def wait_for(self, target: str) -> str:
        """The query with which *target* has been asked for."""
        return self._wait(rf'"GET {re.escape(target)}\?([^ ]*) HTTP')[1]

    def stop(self) -> int:
        """Ctrl-C, once; the exit status. Half of the time that running requests get is all that it waits."""
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(5)

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
def browsing(profile: Path, url: str, *more: str) -> Iterator[None]:
    """Chromium on *url*, without a window."""
    assert CHROMIUM is not None
    flags = (
        "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --mute-audio --autoplay-policy=no-user-gesture-required "
        "--remote-debugging-port=0"
    )
    command = [CHROMIUM, *flags.split(), *more, f"--user-data-dir={profile}", url]
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


# The page makes the frame, which makes what is in it same-origin, and yet has its own policy and its own width.
_LISTING = """<!doctype html><body><script>
const frame = document.createElement("iframe");
const load = (start) => new Promise((resolve) => {
  frame.onload = () => resolve(frame.contentDocument);
  start();
});
const visit = (path) => load(() => { frame.src = path; });
const follow = (link) => load(() => link.click());
const links = (page) => [...page.querySelectorAll("tbody a:not(.parent)")];
const style = (page, selector) => frame.contentWindow.getComputedStyle(page.querySelector(selector));
const done = (found) => fetch("/done?" + encodeURIComponent(JSON.stringify(found)));
document.body.append(frame);
addEventListener("load", async () => { %s });
</script>"""


def listed(site: Site) -> Any:
    """What the page has found out."""
    return json.loads(unquote(site.wait_for("/done")))


def test_a_listing_is_laid_out_and_sorted_without_a_script(tmp_path: Path) -> None:
    folder = tmp_path / "www"
    (folder / "files" / "folder").mkdir(parents=True)
    for name, octets in (("small", 1), ("large", 3000), ("middle", 20), ("long" * 50, 2)):
        (folder / "files" / name).write_bytes(b"x" * octets)
    (folder / "index.html").write_text(
        _LISTING
        % """
        const found = {};
        for (const width of [360, 1000]) {
          frame.style.width = `${width}px`;
          const page = await visit("/files/");
          const root = page.documentElement;
          found[width] = {
            rows: links(page).length,
            wraps: style(page, "tbody tr").flexWrap,
            most: style(page, "body").maxWidth,
            scrolls: root.scrollWidth > root.clientWidth,
            heads: style(page, "thead").position,
            icon: style(page, "tbody .folder").backgroundImage.slice(0, 24),
          };
        }
        const sorted = await follow(frame.contentDocument.querySelector("thead th:nth-child(2) a"));
        found.sorted = links(sorted).map((link) => link.textContent.slice(0, 7));
        done(found);
        """
    )
    with serving(folder, "--listing") as site, browsing(tmp_path / "profile", site.url):
        found = listed(site)
    # Were the style refused by the page's own policy, none of this would be so.
    styled = {"rows": 5, "most": "1024px", "scrolls": False, "heads": "sticky", "icon": 'url("data:image/svg+xml,'}
    assert found == {
        "360": {**styled, "wraps": "wrap"},
        "1000": {**styled, "wraps": "nowrap"},
        "sorted": ["folder/", "large", "middle", "longlon", "small"],
    }


def test_a_hostile_name_in_a_listing_is_a_link_to_that_name(tmp_path: Path) -> None:
    names = [
        "\"><img src=x onerror=parent.harm=1>'.txt",
        "<script>parent.harm=1<.txt",
        "javascript:parent.harm=1;.txt",
        "?sort=size&order=desc#%41.txt",
    ]
    folder = tmp_path / "www"
    (folder / "files").mkdir(parents=True)
    for name in names:
        (folder / "files" / name).write_text(f"content of {name}")
    (folder / "index.html").write_text(
        _LISTING
        % """
        const found = {};
        for (let place = 0; place < 4; place++) {
          const page = await visit("/files/");
          const link = links(page)[place], name = link.textContent;
          found[name] = [page.scripts.length, page.images.length, (await follow(link)).body.textContent];
        }
        done([found, window.harm === undefined]);
        """
    )
    with serving(folder, "--listing") as site, browsing(tmp_path / "profile", site.url):
        assert listed(site) == [{name: [0, 0, f"content of {name}"] for name in names}, True]


def test_a_listing_is_dark_where_that_is_preferred(tmp_path: Path) -> None:
    folder = tmp_path / "www"
    (folder / "files").mkdir(parents=True)
    (folder / "index.html").write_text(
        _LISTING % 'const page = await visit("/files/"); done([style(page, "body").backgroundColor]);'
    )
    with serving(folder, "--listing") as site:
        with browsing(tmp_path / "light", site.url):
            assert listed(site) == ["rgb(255, 255, 255)"]
        site.lines.clear()
        # 0: dark, as blink::mojom::PreferredColorScheme counts.
        with browsing(tmp_path / "dark", site.url, "--blink-settings=preferredColorScheme=0"):
            assert listed(site) == ["rgb(18, 22, 27)"]


def test_a_page_loads_itself_again_when_its_file_changes_and_holds_no_server_up(tmp_path: Path) -> None:
    folder = tmp_path / "www"
    folder.mkdir()
    # A stream of its own tells that the server is watching.
    page = """<!doctype html><body><script>
        new EventSource("/_miniasgi/live-reload").onopen = () => fetch("/done%s?");
        </script></body>"""
    (folder / "index.html").write_text(page % 1)
    with serving(folder, "--live-reload") as site, browsing(tmp_path / "profile", site.url):
        site.wait_for("/done1")
        (folder / "index.html").write_text(page % 2)
        site.wait_for("/done2")
        assert site.stop() == 0
