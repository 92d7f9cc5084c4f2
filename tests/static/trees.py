"""A tree of files with links of every kind, what can be opened in it, and how to see that nothing stays open."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from miniasgi.static.paths import Root

from ..support import descriptors

INSIDE = {
    "page.html": b"page",
    "sub/file.txt": b"file",
    "to-file": b"file",
    "to-directory/file.txt": b"file",
    "to-directory/up": b"page",
    "sub/up": b"page",
    "chain": b"page",
    "absolute": b"page",
    "absolute-directory/file.txt": b"file",
    "absolute-directory/up": b"page",
    "out-and-back": b"page",
}
OUTSIDE = ["out", "out-absolute", "out-directory/secret", "out-directory", "sub/out-far", "prefix", "parent", "top"]
OUTSIDE += ["../outside/secret", "..", "sub/../../outside/secret", "parent/outside/secret", "top/etc/passwd"]


def plant(parent: Path) -> Path:
    """A root with links of every kind in *parent*, and beside it what must not be reached."""
    root = parent / "root"
    (root / "sub").mkdir(parents=True)
    (root / "page.html").write_bytes(b"page")
    (root / "sub" / "file.txt").write_bytes(b"file")
    os.mkfifo(root / "fifo")
    for name in ("outside", "root2"):
        (parent / name).mkdir()
        (parent / name / "secret").write_bytes(b"SECRET")
    for name, target in {
        "to-file": "sub/file.txt",
        "to-directory": "sub",
        "sub/up": "../page.html",
        "chain": "to-directory/up",
        "absolute": root / "page.html",
        "absolute-directory": root / "sub",
        "out-and-back": "../root/page.html",
        "out": "../outside/secret",
        "out-absolute": parent / "outside" / "secret",
        "out-directory": "../outside",
        "sub/out-far": "../../outside/secret",
        "prefix": parent / "root2" / "secret",
        "parent": "..",
        "top": "/",
        "circle": "circle",
        "ping": "pong",
        "pong": "ping",
        "dangling": "nothing",
        "dangling-out": "../nothing",
        "magic": "/proc/self/cwd",
    }.items():
        (root / name).symlink_to(target)
    return root


def segments(path: str) -> list[bytes]:
    return path.encode().split(b"/")


def read(root: Root, path: str) -> bytes:
    descriptor = root.open(segments(path))
    try:
        return os.read(descriptor, 100)
    finally:
        os.close(descriptor)


def error_of(function: Callable[..., object], *arguments: object) -> str:
    """The name of the error, which leaves nothing open."""
    before = descriptors()
    name = "none"
    # Not pytest.raises(), which leaves to the garbage collector what the error's frames hold.
    try:
        function(*arguments)
    except OSError as error:
        name = errno.errorcode[error.errno or 0]
    assert descriptors() == before
    return name


def failure(root: Root, path: str) -> str:
    return error_of(root.open, segments(path))
