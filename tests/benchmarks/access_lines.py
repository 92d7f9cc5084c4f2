"""What a server has written about requests, and whether that is what it was told to write."""

import json
from dataclasses import dataclass
from pathlib import Path

from .workload import AccessLines

# More than a line is long.
_END_OCTETS = 1 << 16


@dataclass(frozen=True)
class Written:
    """The whole lines of a log."""

    lines: int
    last: bytes = b""

    @property
    def kind(self) -> AccessLines:
        """Of what kind they are, as the last one tells."""
        if not self.lines:
            return AccessLines.NONE
        try:
            return AccessLines.JSON if isinstance(json.loads(self.last), dict) else AccessLines.TEXT
        except ValueError:
            return AccessLines.TEXT


def read_log(path: Path) -> Written:
    """What is in a log; a line that is not whole yet does not count."""
    with path.open("rb") as file:
        lines = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
        file.seek(max(0, file.tell() - _END_OCTETS))
        whole, _, _ = file.read().rpartition(b"\n")
    return Written(lines, whole.rpartition(b"\n")[2])


def complaint(written: Written, expected: AccessLines, requests: int) -> str | None:
    """What is wrong with what was written about so many requests, or a few more; None if nothing is."""
    if written.kind != expected:
        return f"it wrote {written.kind.value} about each request, not {expected.value}: {written.last[:80]!r}"
    if expected != AccessLines.NONE and written.lines < requests:
        return f"{written.lines} access lines for {requests} requests"
    return None
