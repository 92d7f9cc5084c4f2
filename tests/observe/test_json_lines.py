"""Access lines as JSON: what is in an object, and that nothing that is sent gets out of its place."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from miniasgi.http1.head import RequestHead
from miniasgi.observe import json_lines
from miniasgi.observe.formats import TextFormat
from miniasgi.observe.json_lines import JsonFormat, JsonTextFormat
from miniasgi.observe.names import set_name
from tests.observe.requests import CLIENT, request

NOON = 1795521600.0  # 2026-11-24 12:00:00 UTC

pytestmark = pytest.mark.usefixtures("nameless", "utc")


@pytest.fixture
def made() -> JsonFormat:
    made = JsonFormat("miniasgi.access")
    made.tick(NOON)
    return made


def members(
    made: JsonFormat | JsonTextFormat,
    head: RequestHead | None,
    client: tuple[str, int] | None = CLIENT,
    request_id: str = "",
    more: tuple[tuple[str, int], ...] = (),
) -> dict[str, Any]:
    line = made.line(client, head, 200, 5, 0.0012345, (), request_id, more)
    assert line.isascii() and line.isprintable()
    found: dict[str, Any] = json.loads(line)
    assert json.dumps(found) == line  # no member twice, and written as everybody writes it
    return found


def test_an_object_has_what_is_known_of_each_request(made: JsonFormat) -> None:
    assert made.line(CLIENT, request(b"/a?b"), 200, 5, 0.0012345, (), "", ()) == (
        '{"time": "2026-11-24T12:00:00Z", "level": "info", "logger": "miniasgi.access", '
        '"client": "192.0.2.1", "port": 50000, "method": "GET", "target": "/a?b", "protocol": "HTTP/1.1", '
        f'"status": 200, "octets": 5, "duration_ms": 1.234, "pid": {os.getpid()}}}'
    )


def test_what_there_may_be_follows(made: JsonFormat) -> None:
    set_name("worker 2")
    made.tick(NOON + 1)
    head = request(b"/", (b"user-agent", b"curl/8"), (b"referer", b"http://a/"))
    found = members(made, head, request_id="0f", more=(("in", 6), ("out", 7)))
    assert list(found.items())[9:] == [
        ("octets", 5),
        ("duration_ms", found["duration_ms"]),
        ("user_agent", "curl/8"),
        ("referer", "http://a/"),
        ("request_id", "0f"),
        ("messages_in", 6),
        ("messages_out", 7),
        ("worker", "worker 2"),
        ("pid", os.getpid()),
    ]
    assert found["time"] == "2026-11-24T12:00:01Z"


def test_what_is_not_known_is_null(made: JsonFormat) -> None:
    line = made.line(None, None, 400, 0, 0.0, (), "", ())
    found = json.loads(line)
    assert {name for name, value in found.items() if value is None} == {"client", "method", "target", "protocol"}
    assert (found["status"], found["octets"], found["duration_ms"], "port" in found) == (400, 0, 0, False)


HOSTILE = b'", "status": 500, "x": "\\ \t\xff\x1b\x85\xe2\x80\xa8'


def test_what_is_sent_stays_in_its_place(made: JsonFormat) -> None:
    head = request(b'/"\\", "status": 500'.replace(b" ", b""), (b"user-agent", HOSTILE), (b"referer", HOSTILE))
    for _ in range(2):  # the second time it is known
        found = members(made, head, client=('a"b\n', 1), request_id='"\\\n')
        assert found["status"] == 200 and "x" not in found
        assert found["target"] == '/"\\","status":500'
        assert found["user_agent"] == found["referer"] == '", "status": 500, "x": "\\ \t\\xff\x1b\\x85\u2028'
        assert (found["client"], found["request_id"]) == ('a"b\n', '"\\\n')


def test_fields_of_several_lines_are_lists(made: JsonFormat) -> None:
    head = request(b"/", (b"user-agent", b"a"), (b"referer", b"x"), (b"user-agent", b"b"), (b"referer", b"y"))
    found = members(made, head)
    assert (found["user_agent"], found["referer"]) == ("a, b", "x, y")


def test_long_values_are_cut(made: JsonFormat) -> None:
    found = members(made, request(b"/", (b"user-agent", b"x" * 16_000)))
    assert len(found["user_agent"]) == 1027


def test_what_is_remembered_of_clients_is_bounded_and_forgotten_each_second(
    made: JsonFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    escaped: list[bytes] = []

    def escape(octets: bytes) -> str:
        escaped.append(octets)
        return json.dumps(octets.decode())

    monkeypatch.setattr(json_lines, "json_octets", escape)
    known = b"known"
    for _ in range(2):
        members(made, request(b"/", (b"user-agent", known), (b"referer", b"r")))
    assert escaped == [known, b"r"]
    made.tick(NOON + 1)
    members(made, request(b"/", (b"user-agent", known)))
    assert escaped == [known, b"r", known]
    for number in range(1000):
        members(made, request(b"/", (b"user-agent", b"%d" % number)))
        assert len(made._known) <= 256
    made.tick(NOON + 2)
    for _ in range(2):
        members(made, request(b"/", (b"user-agent", b"x" * 257)))
    assert (escaped[-2:], made._known) == ([b"x" * 257] * 2, {})


def test_a_line_of_another_format_is_a_message() -> None:
    text = TextFormat('%(h)s "%(a)s" %({x}o)s')
    set_name("worker 2")
    made = JsonTextFormat("miniasgi.access", text)
    made.tick(NOON)
    assert made.wants_fields
    found = members(made, request(b"/", (b"user-agent", b'"\\')))
    assert found == {
        "time": "2026-11-24T12:00:00Z",
        "level": "info",
        "logger": "miniasgi.access",
        "message": '192.0.2.1 "\\x22\\x5c" -',
        "worker": "worker 2",
        "pid": os.getpid(),
    }


def test_the_time_within_a_message_moves_on_too() -> None:
    made = JsonTextFormat("x", TextFormat("%(t)s"))
    for second in (0, 1):
        made.tick(NOON + second)
        found = members(made, None)
        assert (found["time"], found["message"]) == (
            f"2026-11-24T12:00:0{second}Z",
            f"[24/Nov/2026:12:00:0{second} +0000]",
        )
