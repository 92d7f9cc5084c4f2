"""Pages that reload themselves when a file changes: for development.

Knows event streams (WHATWG HTML §9.2, "Server-sent events") and how a tree of files looks from outside. Does not open a
file, and does not know which of them a page is made of: any change reloads each page, unless only style sheets changed.

The trees are looked at, in a thread, as long as some page listens. Nothing tells a process of changes on every platform
and every file system (containers, network, virtual machines) but looking.
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b
from html import escape
from itertools import islice
from typing import NamedTuple

from ..types import Fields, Receive, Scope, Send

__all__ = ["PATH", "LiveReload"]

logger = logging.getLogger("miniasgi.server")

#: Where the event stream is, below the mount; with ".js", the script that listens to it.
PATH = b"/_miniasgi/live-reload"

# 20000: at 5 us each, looking takes 100 ms of a thread every half second.
_MOST_NAMES = 20_000
# Ten polls, 5 s: a build that never comes to rest is shown as it is.
_MOST_UNSETTLED = 10
# A page that reloads, or is left for another, has no stream meanwhile: what changes then is told afterwards.
_INTERVAL_SECONDS = 5.0
# Names with a dot in front, besides: .git, .venv, and what editors write before they rename it.
_SKIPPED = {b"node_modules", b"__pycache__"}
# Compilers write the map together with the sheet.
_STYLES = (b".css", b".css.map")

_RETRY = b"retry: 500\n\n"
_COMMENT = b":\n\n"
_STYLES_EVENT = b"event: reload\ndata: css\n\n"
_PAGE_EVENT = b"event: reload\ndata: page\n\n"

# After an error the browser comes back by itself, unless it was answered with anything else but a stream (a proxy's
# 502, our 503). Whatever ended the stream, the application may be another one then.
_SCRIPT = b"""\
(function () {
  "use strict";
  var stream = document.currentScript.src.replace(/\\.js(?:[?#].*)?$/, "");
  var lost = false;
  function reload() {
    location.reload();
  }
  function restyle() {
    var links = document.querySelectorAll('link[rel~="stylesheet"][href]');
    if (!links.length) reload();
    links.forEach(function (link) {
      var url = new URL(link.href);
      if (url.origin !== location.origin) return;
      url.searchParams.set("_miniasgi", Date.now());
      link.href = url.href;
    });
  }
  function listen() {
    var source = new EventSource(stream);
    source.addEventListener("reload", function (event) {
      if (event.data === "css") restyle();
      else reload();
    });
    source.onopen = function () {
      if (lost) reload();
    };
    source.onerror = function () {
      lost = true;
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, 1000);
    };
  }
  listen();
})();
"""


class LiveReload:
    """Tells browsers when to load again what is in some directories. Belongs to one event loop at a time."""

    def __init__(
        self,
        directories: Sequence[str],
        *,
        poll_seconds: float = 0.5,
        comment_seconds: float = 15.0,
        most_names: int = _MOST_NAMES,
    ) -> None:
        """Watch *directories*, at most *most_names* files and directories in all.

        They are looked at every *poll_seconds*. A change is told when two looks in a row agree, so that what builds is
        done, but after ten of them in any case. A stream is written to at least every *comment_seconds*, lest a proxy
        think that it is dead.
        """
        # One may be within another, but it need not be looked at twice if it is the same.
        self._directories = list(dict.fromkeys(os.fsencode(directory) for directory in directories))
        self._poll_seconds = poll_seconds
        self._comment_seconds = comment_seconds
        self._most_names = most_names
        self._streams: set[_Stream] = set()
        # Set as long as there is a stream.
        self._watcher: asyncio.Task[None] | None = None
        # What the streams know of, and when it was looked at.
        self._seen: _Snapshot | None = None
        self._seen_at = 0.0
        # Whether it was said that there is too much to watch.
        self._warned = False
        self._stopped = False

    def inject(self, html: bytes, mount: bytes) -> bytes:
        """*html* with the script in it, at the end of its body.

        *mount* is the path, percent-encoded, below which PATH is asked for; it does not end with a slash.
        """
        if html.startswith((b"\xfe\xff", b"\xff\xfe")):
            # UTF-16, in which the tag would be two or three wrong characters and an odd octet.
            return html
        source = escape((mount + PATH).decode("latin-1")).encode("latin-1")
        place = html.lower().rfind(b"</body>")
        if place < 0:
            place = len(html)
        return b'%b<script src="%b.js"></script>%b' % (html[:place], source, html[place:])

    async def __call__(self, scope: Scope, receive: Receive, send: Send, sub: str) -> None:
        """Answer the request for PATH and then *sub*: the event stream for "", the script for ".js".

        A stream lasts until its client leaves or stop() is called.
        """
        if sub not in ("", ".js"):
            await _answer(send, 404, [])
        elif scope["method"] not in ("GET", "HEAD"):
            await _answer(send, 405, [(b"allow", b"GET, HEAD")])
        elif sub:
            fields = [(b"content-type", b"text/javascript; charset=utf-8"), (b"x-content-type-options", b"nosniff")]
            await _answer(send, 200, fields, _SCRIPT, is_head=scope["method"] == "HEAD")
        elif self._stopped:
            # Not an empty stream: the page would take it for the new server, and try to load itself from this one.
            await _answer(send, 503, [])
        else:
            start = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
            await send({"type": "http.response.start", "status": 200, "headers": start})
            if scope["method"] == "HEAD":
                await send({"type": "http.response.body", "body": b""})
            else:
                await self._tell(receive, send)

    async def _tell(self, receive: Receive, send: Send) -> None:
        """Send one client its events, until it leaves or all streams end."""
        stream = _Stream()
        self._streams.add(stream)
        if self._stopped:
            # Meanwhile: the start of the response may have had to wait.
            stream.end()
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._watch())
        listener = asyncio.create_task(_until_gone(receive, stream))
        try:
            # OSError: as ASGI wants it of send() after the client has left.
            with suppress(OSError):
                await send({"type": "http.response.body", "body": _RETRY, "more_body": True})
                while event := await stream.next(self._comment_seconds):
                    await send({"type": "http.response.body", "body": event, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
        finally:
            listener.cancel()
            self._streams.discard(stream)
            if not self._streams and self._watcher is not None:
                self._watcher.cancel()
                self._watcher = None

    async def _watch(self) -> None:
        """Tell the streams of each change; cancelled when the last of them ends."""
        if self._seen is None or time.monotonic() - self._seen_at > _INTERVAL_SECONDS:
            self._see(await self._look())
        while True:
            seen = self._seen
            found = await self._settled()
            if found == seen:
                event = b""
            elif seen is not None and found.rest == seen.rest:
                event = _STYLES_EVENT
            else:
                event = _PAGE_EVENT
            self._see(found)
            if event:
                for stream in self._streams:
                    stream.add(event)

    async def _settled(self) -> _Snapshot:
        """What there is after a poll, or, if that is something new, as soon as two polls in a row agree."""
        before = self._seen
        for _ in range(_MOST_UNSETTLED):
            await asyncio.sleep(self._poll_seconds)
            found = await self._look()
            if found == before:
                break
            before = found
        return found

    async def _look(self) -> _Snapshot:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(None, _snapshot, self._directories, self._most_names)
        if not found.complete and not self._warned:
            self._warned = True
            logger.warning("live reload watches %d names; there are more, which it does not", self._most_names)
        return found

    def _see(self, found: _Snapshot) -> None:
        self._seen, self._seen_at = found, time.monotonic()

    def stop(self) -> None:
        """End all streams, and answer requests for more with 503. Must be called in the loop's thread."""
        self._stopped = True
        for stream in self._streams:
            stream.end()


class _Stream:
    """What one client is still to be told: at most one event, however slow it is."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()
        self._event = b""
        self._ended = False

    def add(self, event: bytes) -> None:
        # Who loads the page again has the style sheets too.
        if self._event != _PAGE_EVENT:
            self._event = event
        self._woken.set()

    def end(self) -> None:
        self._ended = True
        self._woken.set()

    async def next(self, comment_seconds: float) -> bytes:
        """The next event, or a comment if there is none for *comment_seconds*; empty at the end."""
        try:
            async with asyncio.timeout(comment_seconds):
                await self._woken.wait()
        except TimeoutError:
            return _COMMENT
        if self._ended:
            return b""
        self._woken.clear()
        event, self._event = self._event, b""
        return event


async def _until_gone(receive: Receive, stream: _Stream) -> None:
    """End *stream* when its client leaves; what it sends before is dropped."""
    try:
        with suppress(OSError):
            while (await receive())["type"] != "http.disconnect":
                pass
    finally:
        stream.end()


async def _answer(send: Send, status: int, fields: Fields, body: bytes = b"", *, is_head: bool = False) -> None:
    length = (b"content-length", b"%d" % len(body))
    headers = [*fields, (b"cache-control", b"no-store"), length]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if is_head else body})


class _Snapshot(NamedTuple):
    """What trees look like: equal if nothing has changed."""

    styles: bytes
    rest: bytes
    #: Whether all was looked at.
    complete: bool


def _snapshot(directories: Sequence[bytes], most_names: int) -> _Snapshot:
    """Look at what is in *directories*, the upper levels first, until *most_names* names have been read."""
    styles, rest = blake2b(digest_size=16), blake2b(digest_size=16)
    complete = True
    waiting = deque(directories)
    while waiting:
        # Directories come and go while they are looked at, or may not be read: what cannot be seen, is not there.
        with suppress(OSError):
            with os.scandir(waiting.popleft()) as found:
                entries = list(islice(found, most_names + 1))
            if len(entries) > most_names:
                complete = False
                entries.pop()
            most_names -= len(entries)
            # As the file system lists them, they may change places without having changed.
            entries.sort(key=lambda entry: entry.name)
            for entry in entries:
                if entry.name.startswith(b".") or entry.name in _SKIPPED:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                digest = styles if entry.name.lower().endswith(_STYLES) else rest
                digest.update(b"%b\0%b\0" % (entry.path, _state(entry)))
    return _Snapshot(styles.digest(), rest.digest(), complete)


def _state(entry: os.DirEntry[bytes]) -> bytes:
    """What changes when *entry* does."""
    try:
        found = entry.stat()
        if entry.is_symlink() and stat.S_ISDIR(found.st_mode):
            # Not what is in it, but where it leads.
            found = entry.stat(follow_symlinks=False)
    except OSError:
        return b""
    if stat.S_ISDIR(found.st_mode):
        # Its times change with what is in it, which is seen by itself, or is skipped.
        return b"directory"
    # The change time, besides: builds that can be reproduced give each file the same modification time.
    return b"%d %d %d %d" % (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
