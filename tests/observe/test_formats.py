"""Formats with atoms: what each atom is, what clients cannot do with them, and formats that are none."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable

import pytest

from miniasgi.errors import UsageError
from miniasgi.http1.head import RequestHead
from miniasgi.observe.escaping import MOST_OCTETS
from miniasgi.observe.formats import COMBINED, COMMON, NAMES, TextFormat, check_format
from tests.observe.requests import CLIENT, request

NOON = 1795521600.0  # 2026-11-24 12:00:00 UTC

pytestmark = pytest.mark.usefixtures("utc")


def line(
    text: str,
    head: RequestHead | None,
    *,
    client: tuple[str, int] | None = CLIENT,
    status: int = 200,
    octets: int = 5,
    seconds: float = 1.2345678,
    fields: Iterable[tuple[bytes, bytes]] = (),
    request_id: str = "",
) -> str:
    made = TextFormat(text)
    made.tick(NOON)
    return made.line(client, head, status, octets, seconds, fields, request_id, ())


HEAD = request(
    b"/a/b%20c?d=e&f", (b"user-agent", b"curl/8"), (b"referer", b"http://a/"), (b"x-two", b"1"), method=b"PUT"
)


@pytest.mark.parametrize(
    ("atom", "expected"),
    [
        ("h", "192.0.2.1"),
        ("l", "-"),
        ("u", "-"),
        ("t", "[24/Nov/2026:12:00:00 +0000]"),
        ("r", "PUT /a/b%20c?d=e&f HTTP/1.1"),
        ("m", "PUT"),
        ("U", "/a/b%20c"),
        ("q", "d=e&f"),
        ("H", "HTTP/1.1"),
        ("s", "200"),
        ("B", "5"),
        ("b", "5"),
        ("f", "http://a/"),
        ("a", "curl/8"),
        ("T", "1"),
        ("D", "1234567"),
        ("M", "1234"),
        ("L", "1.234568"),
        ("id", "-"),
        ("{user-agent}i", "curl/8"),
        ("{X-Two}i", "1"),
        ("{x-none}i", "-"),
        ("{content-type}o", "-"),
        ("{NO_SUCH_VARIABLE}e", "-"),
    ],
)
def test_each_atom_stands_for_one_thing(atom: str, expected: str) -> None:
    assert line(f"%({atom})s", HEAD) == expected
    assert line(f"a %({atom})s, 100%% %({atom})s %%s", HEAD) == f"a {expected}, 100% {expected} %s"


def test_the_processs_number_stands_in_brackets() -> None:
    assert line("%(p)s", HEAD) == f"<{os.getpid()}>"


def test_what_was_no_request_has_none_of_what_a_request_has() -> None:
    text = "%(h)s %(u)s %(r)s %(m)s %(U)s %(q)s %(H)s %(f)s %(a)s %({x}i)s %({x}o)s %(s)s %(B)s %(b)s"
    assert line(text, None, client=None, status=400, octets=0) == "- - - - - - - - - - - 400 0 -"


def test_the_formats_that_have_names_are_apaches() -> None:
    expected = '192.0.2.1 - - [24/Nov/2026:12:00:00 +0000] "PUT /a/b%20c?d=e&f HTTP/1.1" 200 5'
    assert line(COMMON, HEAD) == expected
    assert line(COMBINED, HEAD) == expected + ' "http://a/" "curl/8"'
    assert line(COMBINED, request(), octets=0).endswith('"GET / HTTP/1.1" 200 - "-" "-"')


def test_the_time_is_that_of_the_last_tick() -> None:
    made = TextFormat("%(t)s %(t)s")
    for now, hour in ((NOON, 12), (NOON + 3600, 13)):
        made.tick(now)
        assert made.line(None, None, 200, 0, 0.0, (), "", ()) == " ".join([f"[24/Nov/2026:{hour}:00:00 +0000]"] * 2)


def test_a_request_id_is_an_atom() -> None:
    assert line("%(id)s", HEAD, request_id="0f-é b") == r"0f-\xc3\xa9\x20b"


# Fields


def test_a_field_of_several_lines_is_a_list() -> None:
    head = request(b"/", (b"x", b"1"), (b"y", b"2"), (b"x", b"3"))
    assert line("%({x}i)s|%({y}i)s", head) == "1, 3|2"
    assert line("%({x}o)s", head, fields=[(b"X", b"1"), (b"x", b"3")]) == "1, 3"


def test_fields_of_the_response_may_be_told_once() -> None:
    fields = ((name, b"v") for name in (b"a", b"B", b"c"))
    assert line("%({A}o)s %({b}o)s %({z}o)s %({c}o)s", HEAD, fields=fields) == "v v - v"


@pytest.mark.parametrize(
    ("text", "wants"), [(COMBINED, False), ("%({x}i)s", False), ("%({x}o)s", True), ("%({x}o)s %({x}e)s", True)]
)
def test_it_says_whether_it_looks_at_the_responses_fields(text: str, wants: bool) -> None:
    assert TextFormat(text).wants_fields is wants


def test_the_environment_is_that_of_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLOR", 'blue "\n')
    made = TextFormat("%({COLOR}e)s")
    monkeypatch.setenv("COLOR", "green")
    assert made.line(None, None, 200, 0, 0.0, (), "", ()) == r"blue \x22\x0a"


HOSTILE = b'"\t\x80\xff\\ %(h)s %s %% \x1b'
SHOWN = r"\x22\x09\x80\xff\x5c %(h)s %s %% \x1b"


@pytest.mark.parametrize("text", ["%(f)s", "%(a)s", "%({x}i)s", "%({x}o)s"])
def test_what_a_field_says_can_neither_end_its_quotes_nor_its_line(text: str) -> None:
    head = request(b"/", (b"referer", HOSTILE), (b"user-agent", HOSTILE), (b"x", HOSTILE))
    assert line(f'"{text}"', head, fields=[(b"x", HOSTILE)]) == f'"{SHOWN}"'


def test_long_values_are_cut() -> None:
    long = b"x" * 16_000
    head = request(b"/", (b"user-agent", long))
    assert line("%(a)s", head) == "x" * MOST_OCTETS + "..."
    assert line("%({a}o)s", head, fields=[(b"a", long), (b"a", long)]) == "x" * MOST_OCTETS + "..."


def test_quotes_and_backslashes_in_a_target_are_escaped() -> None:
    head = request(b'/"\\?"\\')
    assert line("%(r)s|%(U)s|%(q)s", head) == r"GET /\x22\x5c?\x22\x5c HTTP/1.1|/\x22\x5c|\x22\x5c"


def test_a_clients_address_is_one_word() -> None:
    assert line("%(h)s", HEAD, client=("2001:db8::1", 443)) == "2001:db8::1"
    assert line("%(h)s", HEAD, client=('fe80::1%a "b\n', 443)) == r"fe80::1%a\x20\x22b\x0a"


# The user


def basic(credentials: bytes) -> RequestHead:
    return request(b"/", (b"authorization", b"Basic " + base64.b64encode(credentials)))


@pytest.mark.parametrize(
    ("credentials", "user"),
    [
        (b"ann:secret", "ann"),
        (b"ann:", "ann"),
        (b"ann:a:b", "ann"),
        (b":secret", "-"),
        (b"secret without a user", "-"),
        (b'a b"\n\xff:', r"a\x20b\x22\x0a\xff"),
        (b"u" * 800 + b":secret", "u" * 800),
    ],
)
def test_the_user_is_whom_basic_credentials_name(credentials: bytes, user: str) -> None:
    assert line("%(u)s", basic(credentials)) == user


@pytest.mark.parametrize(
    "value",
    [b"", b"Basic", b"Basic ", b"Basic !", b"Basic YQ", b"Bearer YTpi", b"Basic YTpi\xff", b"YTpi", b"Basic YTpi YTpi"],
)
def test_credentials_that_are_none_name_nobody(value: bytes) -> None:
    assert line("%(u)s", request(b"/", (b"authorization", value))) == "-"


def test_a_schemes_name_is_case_insensitive_and_its_first_field_counts() -> None:
    head = request(b"/", (b"authorization", b"bASIC  YTpi"), (b"authorization", b"Basic Yjpi"))
    assert line("%(u)s", head) == "a"


def test_a_user_who_is_all_too_long_is_no_work() -> None:
    assert line("%(u)s", basic(b"u" * 10_000 + b":secret")) == "-"


# Formats that are none


@pytest.mark.parametrize(
    ("text", "found", "near"),
    [
        ("%(S)s", "'%(S)s'", "did you mean %(s)s?"),
        ("%(R)s", "'%(R)s'", "did you mean %(r)s?"),
        ("%(status)s", "'%(status)s'", "did you mean %(s)s?"),
        ("%(stauts)s", "'%(stauts)s'", "did you mean %(s)s?"),
        ("%(request_id)s", "'%(request_id)s'", "did you mean %(id)s?"),
        ("%(s)d", "'%(s)d'", "did you mean %(s)s?"),
        ("%(h) s", "'%(h) '", "did you mean %(h)s?"),
        ("%h", "'%h'", "did you mean %(h)s?"),
        ("%(z)s", "'%(z)s'", "expected %% for a percent sign, or one of %(h)s "),
        ("100%", "'%'", "expected %% for a percent sign, or one of %(h)s "),
        ("5% of", "'% '", "expected %% for a percent sign"),
        ("%()s", "'%()s'", "expected %% for a percent sign"),
        ("%(h", "'%(h'", "did you mean %(h)s?"),
        ("%({x}z)s", "'%({x}z)s'", "expected"),
        ("%({}i)s", "'%({}i)s'", "expected"),
        ("%%%", "'%'", "expected"),
        ("%(h)s\n%(s)s", "'\\n'", "expected a single line of text"),
        ("\x1b[0m", "'\\x1b'", "expected a single line of text"),
    ],
)
def test_what_is_no_format_is_named_with_what_is_near(text: str, found: str, near: str) -> None:
    for check in (check_format, TextFormat):
        with pytest.raises(UsageError) as caught:
            check(text)
        said = str(caught.value)
        assert said.startswith("--access-log-format: found ")
        assert found in said and near in said, said
        assert "\n" not in said


@pytest.mark.parametrize("text", [*NAMES, COMMON, COMBINED, "%%", "%%(h)s", "a\tb", "no atoms", "%({a b}i)s"])
def test_what_is_a_format_is_taken(text: str) -> None:
    check_format(text)
