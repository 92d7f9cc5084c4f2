"""What all three parsers share: where a head ends, where content ends, and how much of each is too much.

A subclass only reads a head that is already cut out. So limits, refusals and framing are the same whichever parser
is installed; and no library's view of where a message ends can differ from ours.
"""

from __future__ import annotations

from ...errors import BadRequest, HeadTooLarge, RequestError, TargetTooLong
from ..chunked import ChunkedDecoder
from ..grammar import BAD_OCTET
from ..head import CHUNKED, RequestHead
from ..parser import Limits, RequestSink

__all__ = ["FramedParser", "HeadWatch"]


class HeadWatch:
    """Looks at a head while it arrives, so that what cannot become a request is refused at once.

    The fault that comes first in the octets is the one that is reported, however the octets were cut; so it also
    judges whole heads that some later check has refused.
    """

    __slots__ = ("_checked", "_limits", "_line_start", "_lines")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._checked = 0  # octets known to be free of BAD_OCTET
        self._line_start = 0  # where the line begins that is still incomplete
        self._lines = 0  # complete lines so far; the first is the request line

    def scan(self, head: bytes) -> None:
        """Go on where the last scan ended. *head* must begin with what was scanned before.

        Raises the RequestError of the first fault: 400, 414 or 431.
        """
        # One octet back: a CR that ended the last scan may turn out not to be followed by LF.
        unchecked = max(self._checked - 1, 0)
        bad = BAD_OCTET.search(head, unchecked)
        # A CR at the very end is half of a line end, or turns out bad with the next octet: no limit counts it.
        end = bad.start() if bad else len(head) - head.endswith(b"\r")
        self._checked = len(head)
        while True:
            # From what is new: a long line that comes octet by octet is not looked through again for each of them.
            line_end = head.find(b"\r\n", max(self._line_start, unchecked), end)
            self._check_line(line_end if line_end >= 0 else end)
            if line_end < 0:
                break
            self._lines += 1
            self._line_start = line_end + 2
        if bad:
            raise BadRequest(f"octet {bad.group()!r} in the head")

    def _check_line(self, line_end: int) -> None:
        limits = self._limits
        length = line_end - self._line_start
        if self._lines == 0:
            longest = min(limits.request_line, limits.head)
            if length > longest:
                raise TargetTooLong(f"request line longer than {longest} octets")
        elif length > limits.field:
            raise HeadTooLarge(f"field longer than {limits.field} octets")
        elif length and self._lines > limits.fields:
            raise HeadTooLarge(f"more than {limits.fields} fields")
        if line_end > limits.head:
            raise HeadTooLarge(f"head longer than {limits.head} octets")


class FramedParser:
    """A RequestParser (see there) whose subclasses only read heads."""

    __slots__ = ("_careful_octets", "_chunks", "_kept", "_limits", "_remaining", "_sink", "_watch")

    def __init__(self, sink: RequestSink, limits: Limits) -> None:
        self._sink = sink
        self._limits = limits
        # A head shorter than each of the limits need not be measured line by line.
        self._careful_octets = min(limits.request_line, limits.field, limits.head)
        self._kept = b""  # the head so far, while it is incomplete
        self._watch: HeadWatch | None = None  # looks at an incomplete head
        self._remaining = 0  # octets of content still to come; CHUNKED while the decoder knows
        self._chunks: ChunkedDecoder | None = None

    def feed(self, data: bytes, /) -> bytes:
        if self._remaining:
            return self._feed_content(data)
        searched = 0
        if self._kept:
            # Search from three octets back: the empty line may straddle two feeds.
            searched = max(len(self._kept) - 3, 0)
            data = self._kept + data
        if data[:2] == b"\r\n":
            # RFC 9112 §2.2: a server should ignore an empty line before a request line.
            data = _skip_empty_lines(data)
            self._kept, self._watch, searched = b"", None, 0
        end = data.find(b"\r\n\r\n", searched)
        if end < 0:
            self._wait(data)
            return b""
        if self._kept:
            self._kept = b""
            self._watch = None
        if end + 4 > self._careful_octets:
            HeadWatch(self._limits).scan(data[: end + 4])
        try:
            head = self._read_head(data, end)
        except RequestError:
            # Fed octet by octet, another fault may have come first.
            HeadWatch(self._limits).scan(data[: end + 4])
            raise
        return self._tell(head, data[end + 4 :])

    def _tell(self, head: RequestHead, rest: bytes) -> bytes:
        """Tell the sink of a head, and take of *rest*, which stands behind it, what is its content."""
        self._sink.on_request(head)
        length = head.section.length
        if not length:
            self._sink.on_end()
            return rest
        self._remaining = length
        if length == CHUNKED:
            self._chunks = ChunkedDecoder(self._sink, self._limits)
        return self._feed_content(rest) if rest else rest

    def _read_head(self, data: bytes, end: int) -> RequestHead:
        """Read the head that ends with the empty line at *end* of *data*.

        Raises RequestError for anything that is not a sane head; must refuse more than ``limits.fields`` fields.
        """
        raise NotImplementedError

    def _wait(self, data: bytes) -> None:
        """Keep an incomplete head, unless it is hopeless already."""
        self._kept = data
        if self._watch is None:
            self._watch = HeadWatch(self._limits)
        self._watch.scan(data)

    def _feed_content(self, data: bytes) -> bytes:
        if self._chunks is not None:
            rest = self._chunks.feed(data)
            if rest is None:
                return b""
            self._chunks = None
            self._remaining = 0
            self._sink.on_end()
            return rest
        missing = self._remaining - len(data)
        if missing > 0:
            if data:
                self._remaining = missing
                self._sink.on_body(data)
            return b""
        content = data[: self._remaining]
        rest = data[self._remaining :]
        self._remaining = 0
        self._sink.on_body(content)
        self._sink.on_end()
        return rest


def _skip_empty_lines(data: bytes) -> bytes:
    start = 0
    while data.startswith(b"\r\n", start):
        start += 2
    return data[start:]
