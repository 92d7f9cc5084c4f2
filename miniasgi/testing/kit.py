"""Feeding a parser as connections do, and saying what it did otherwise than expected.

Knows http1's interfaces. Does not know any parser, nor a test runner.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..errors import RequestError
from ..http1.head import RequestHead
from ..http1.parsers import Limits, ParserFactory
from .cases import FIRST, SMALL_LIMITS, Case, Event, cases

__all__ = ["RecordingSink", "check_case", "check_parser"]

# What stands behind a request: an empty line that is not to be skipped, and no HTTP.
_BEHIND = b"\r\n\x00GET \xff"


class RecordingSink:
    """A RequestSink that writes down what it is told."""

    def __init__(self) -> None:
        #: The calls, in their order.
        self.events: list[Event] = []
        #: The heads, in theirs.
        self.heads: list[RequestHead] = []

    def on_request(self, head: RequestHead, /) -> None:
        line = head.line
        self.heads.append(head)
        # A copy: what is done to the list later must not rewrite history.
        self.events.append(("request", line.method, line.target, line.version, list(head.fields), head.section.length))

    def on_body(self, data: bytes, /) -> None:
        if not data:
            raise AssertionError("on_body was given an empty piece")
        self.events.append(("body", data))

    def on_end(self, /) -> None:
        self.events.append(("end",))

    @property
    def merged(self) -> list[Event]:
        """The calls with neighbouring pieces of content joined, because those may be cut anywhere."""
        merged: list[Event] = []
        for event in self.events:
            if event[0] == "body" and merged and merged[-1][0] == "body":
                event = ("body", merged.pop()[1] + event[1])
            merged.append(event)
        return merged


def check_parser(factory: ParserFactory, limits: Limits | None = None) -> None:
    """Hold a parser against every case, at SMALL_LIMITS or at *limits*, which must not be smaller than those.

    Raises AssertionError that says which case failed, how it was cut, what was expected and what was found.
    """
    for case in cases(limits or SMALL_LIMITS):
        check_case(factory, case)


def check_case(factory: ParserFactory, case: Case) -> None:
    """Hold a parser against one case: whole, cut in every way, after another request, twice, with octets behind it."""
    events = list(case.events)
    for how, pieces in _cuttings(case.octets):
        _Run(case, how, pieces).check(factory, events)
    for how, pieces in _whole_and_single(FIRST.octets + case.octets):
        _Run(case, f"after another request, {how}", pieces, requests=2).check(factory, [*FIRST.events, *events])
    if not case.complete:
        return
    for how, pieces in _cuttings(case.octets):
        pieces[-1] += _BEHIND
        _Run(case, f"{how}, octets behind it", pieces).check(factory, events, rest=_BEHIND)
    _Run(case, "once of two", [case.octets * 2]).check(factory, events, rest=case.octets)
    for how, pieces in _cuttings(case.octets * 2):
        _Run(case, f"twice, {how}", pieces, requests=2).check(factory, events * 2)


@dataclass
class _Run:
    """One way of feeding a case to a parser."""

    case: Case
    how: str
    pieces: list[bytes]
    requests: int = 1

    def check(self, factory: ParserFactory, events: list[Event], rest: bytes = b"") -> None:
        """Feed a new parser; the calls, the refusal and what is left must be as expected."""
        sink = RecordingSink()
        try:
            left = self._feed(factory, sink)
            status = 0
        except RequestError as error:
            left = rest
            status = error.status
        table = (("calls", events, sink.merged), ("status", self.case.status, status), ("rest", rest, left))
        differences = [
            f"{what}\n    expected: {_brief(expected)}\n    found:    {_brief(found)}"
            for what, expected, found in table
            if expected != found
        ]
        if differences:
            raise self._failure("\n  ".join(differences))
        if case_head := sink.heads[-1:]:
            self._check_heads(sink, case_head[0])

    def _feed(self, factory: ParserFactory, sink: RecordingSink) -> bytes:
        """Feed the pieces as a connection does; return what is left when all requests are complete."""
        parser = factory(sink, self.case.limits)
        complete = 0
        for number, rest in enumerate(self.pieces):
            while rest:
                try:
                    rest = parser.feed(rest)
                except RequestError:
                    raise
                except Exception as error:
                    raise self._failure(f"feed() raised {error!r}") from error
                ended = sink.events.count(("end",))
                if rest and ended == complete:
                    raise self._failure(f"feed() gave back {_brief(rest)} before a request was complete")
                if ended > complete and len(sink.heads) > complete + 1:
                    raise self._failure("one feed() went on to another request")
                complete = ended
                if complete == self.requests:
                    return rest + b"".join(self.pieces[number + 1 :])
        return b""

    def _check_heads(self, sink: RecordingSink, head: RequestHead) -> None:
        found = (head.persistent, head.expects_continue, head.upgrade)
        if self.case.complete and found != self.case.meaning:
            raise self._failure(
                f"persistent, expects_continue, upgrade\n    expected: {self.case.meaning}\n    found:    {found}"
            )
        # A trailer field that is added to the request which is running would show here.
        told = [event[4] for event in sink.events if event[0] == "request"]
        for fields, later in zip(told, (head.fields for head in sink.heads), strict=True):
            if fields != later:
                raise self._failure(
                    f"fields after on_request\n    expected: {_brief(fields)}\n    found:    {_brief(later)}"
                )

    def _failure(self, text: str) -> AssertionError:
        fed = self.pieces if len(self.pieces) <= 2 else b"".join(self.pieces)
        return AssertionError(f"{self.case.name} ({self.how})\n  fed {_brief(fed)}\n  {text}")


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 1000 else f"{text[:500]} ... {text[-500:]}"


def _whole_and_single(octets: bytes) -> Iterator[tuple[str, list[bytes]]]:
    yield "whole", [octets]
    # What is long comes in larger steps, but its last octets singly: that is where limits are met.
    step = 1 if len(octets) < 2048 else len(octets) // 256
    single = max(len(octets) - 40, 0) // step * step if step > 1 else 0
    pieces = [octets[at : at + step] for at in range(0, single, step)]
    pieces += [octets[at : at + 1] for at in range(single, len(octets))]
    yield "octet by octet", pieces


def _cuttings(octets: bytes) -> Iterator[tuple[str, list[bytes]]]:
    yield from _whole_and_single(octets)
    size = len(octets)
    places: Iterable[int] = range(1, size)
    if size > 700:
        inside_line_ends = [match.start() + 1 for match in re.finditer(rb"\r\n", octets)]
        places = sorted({*range(1, size, size // 16), *inside_line_ends[:16], *range(size - 16, size)})
    for place in places:
        yield f"cut after octet {place}", [octets[:place], octets[place:]]
