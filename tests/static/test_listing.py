"""A folder told as a page or as JSON, and which of these a client likes best."""

from __future__ import annotations

import json

import pytest

from miniasgi.static import listing as module
from miniasgi.static.entries import Entry, Listing, Order
from miniasgi.static.listing import choose_format


def test_json_tells_names_types_sizes_dates_and_references() -> None:
    listing = Listing([Entry(b"b.txt", False, 12, 1_000_000_000), Entry("ö".encode(), True, 0, 0)], False)
    assert module.json(listing, b"/a%20b/", Order()).decode() == (
        '{"path":"/a b/","entries":['
        '{"name":"ö","type":"directory","size":0,"modified":"1970-01-01T00:00:00Z","href":"./%C3%B6/"},'
        '{"name":"b.txt","type":"file","size":12,"modified":"2001-09-09T01:46:40Z","href":"./b.txt"}'
        '],"truncated":false}'
    )


def test_json_of_names_that_are_not_utf_8_is_utf_8_all_the_same() -> None:
    name = b'\xff\xed\xa0\x80"\n\\'
    content = module.json(Listing([Entry(name, False, 0, -(10**15))], True), b"/%FF/", Order("size"))
    assert json.loads(content.decode("utf-8")) == {
        "path": "/\ufffd/",
        "entries": [
            {
                "name": '\ufffd\ufffd\ufffd\ufffd"\n\\',
                "type": "file",
                "size": 0,
                "modified": "0001-01-01T00:00:00Z",
                "href": "./%FF%ED%A0%80%22%0A%5C",
            }
        ],
        "truncated": True,
    }


def test_the_page_shows_the_entries_in_order() -> None:
    listing = Listing([Entry(b"b", False, 1, 0), Entry(b"a", False, 2, 0), Entry(b"c", True, 0, 0)], False)
    page = module.html(listing, b"/", Order("size", True), top=b"/")
    assert [page.index(b'href="./%b"' % name) for name in (b"c/", b"a", b"b")] == sorted(
        page.index(b'href="./%b"' % name) for name in (b"a", b"b", b"c/")
    )


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "html"),
        (b"", "html"),
        (b"*/*", "html"),
        (b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "html"),
        (b"application/json", "json"),
        (b"Application/JSON ; charset=utf-8", "json"),
        (b"application/*, text/html;q=0.9", "json"),
        (b"application/json, text/html", "html"),
        (b"application/json;q=0.5, */*;q=0.4", "json"),
        (b"text/*;q=0.2, application/json;Q=0.3", "json"),
        (b"*/*, text/html;q=0", "json"),
        (b"text/html;q=0.001,application/json;q=0", "html"),
        (b"image/png", "html"),
        (b"text/html;q=0, application/json;q=0", "html"),
        (b"application/json;q=2, application/json;q=0.1234, application/json;q=x", "html"),
        (b"application/json;q=1\n", "html"),
        (b"applications/json, json, application/json+ld, ;;, ,", "html"),
        (b"a/b," * 10_000 + b"application/json", "html"),
    ],
)
def test_the_format_is_the_one_that_the_client_likes_best(accept: bytes | None, expected: str) -> None:
    assert choose_format(accept, ("html", "json")) == expected


def test_among_equals_the_first_format_that_is_offered_wins() -> None:
    assert choose_format(b"*/*", ("json", "html")) == "json"
    assert choose_format(None, ("json", "html")) == "json"
    assert choose_format(b"text/html", ("json", "html")) == "html"
    assert choose_format(b"application/json", ("html",)) == "html"
