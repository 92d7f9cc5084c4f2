"""The page that shows a folder: what browsers and people get, whatever the names are."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from urllib.parse import unquote_to_bytes, urlsplit

import pytest

from miniasgi.static.entries import Entry, Listing, Order
from miniasgi.static.listing_page import CONTENT_SECURITY_POLICY, href, page, timestamp

HOSTILE = [
    b"<img src=x onerror=alert(1)>",
    b"<",
    b"</title><script>alert(1)<",
    b"javascript:alert(1)",
    b"data:text,html",
    b"http:",
    b'"><b>',
    b"'single' & \"double\"",
    b"&amp;",
    b"back\\slash",
    b"\\\\host\\share",
    b"new\r\nline",
    b"\x00\x01\x7f\x1b[31m",
    b"latin-1 \xe9",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"100%",
    b"%2e%2e%2f",
    b"a?b=c#d",
    b"  two  spaces ",
    b"...",
    b"~",
    "\u202egpj.exe".encode(),
    "\u05d0.txt".encode(),
    b"x" * 255,
]
ELEMENTS = {
    *("html", "head", "meta", "title", "link", "style", "body", "header", "h1", "bdi", "nav", "ol", "li", "a", "main"),
    *("p", "table", "caption", "thead", "tbody", "tr", "th", "td", "data", "time", "span", "footer"),
}


class Reader(HTMLParser):
    """What a browser would make of a page: its elements, its links and their text."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.links: list[tuple[str, str]] = []
        self.texts: dict[str, str] = {}
        self._open: str | None = None
        self.feed(content.decode("utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "a":
            self.links.append((dict(attrs)["href"] or "", ""))
        if tag not in ("meta", "link", "bdi", "span", "data"):
            self._open = tag

    def handle_data(self, data: str) -> None:
        if self._open == "a":
            reference, text = self.links[-1]
            self.links[-1] = reference, text + data
        if self._open is not None:
            self.texts[self._open] = self.texts.get(self._open, "") + data

    def handle_endtag(self, tag: str) -> None:
        if tag == self._open:
            self._open = None

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def show(
    *entries: Entry, path: bytes = b"/", order: Order | None = None, top: bytes = b"/", truncated: bool = False
) -> bytes:
    return page(Listing(entries, truncated), path, order or Order(), top)


def file(name: bytes, size: int = 0, modified: int = 0) -> Entry:
    return Entry(name, False, size, modified)


def folder(name: bytes) -> Entry:
    return Entry(name, True, 0, 0)


def rows(content: bytes) -> list[str]:
    text = content.decode()
    return text[text.index("<tbody") : text.index("</tbody>")].splitlines()[1:]


# Entries


def test_a_row_has_the_name_the_size_and_the_date() -> None:
    assert rows(show(folder(b"images"), file(b"my notes.txt", 12345, 1_000_000_000), file(b"a.b-c_d~9", 1))) == [
        '<tr role="row"><th role="rowheader" scope="row"><a class="folder" href="./images/">images/</a>'
        '<td role="cell"><td role="cell"><time datetime="1970-01-01T00:00:00Z">1970-01-01 00:00</time>',
        '<tr role="row"><th role="rowheader" scope="row"><a href="./my%20notes.txt"><bdi>my notes.txt</bdi></a>'
        '<td role="cell"><data value="12345" title="12,345 bytes">12 kB</data>'
        '<td role="cell"><time datetime="2001-09-09T01:46:40Z">2001-09-09 01:46</time>',
        '<tr role="row"><th role="rowheader" scope="row"><a href="./a.b-c_d~9">a.b-c_d~9</a>'
        '<td role="cell"><data value="1" title="1 byte">1 B</data>'
        '<td role="cell"><time datetime="1970-01-01T00:00:00Z">1970-01-01 00:00</time>',
    ]


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (9949, "9.9 kB"),
        (9950, "10 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (1_450_000_000, "1.4 GB"),
        (12 * 10**12, "12 TB"),
        (2**63 - 1, "9.2 EB"),
        (12_345 * 10**18, "12345 EB"),
    ],
)
def test_sizes_are_rounded_for_people_and_exact_for_whoever_asks(octets: int, text: str) -> None:
    (row,) = rows(show(file(b"a", octets)))
    assert f'<data value="{octets}" title="{octets:,} bytes">{text}</data>' in row


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "1969-12-31T23:59:59Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (253_402_300_799, "9999-12-31T23:59:59Z"),
        (2**63 - 1, "9999-12-31T23:59:59Z"),
        (-(2**63), "0001-01-01T00:00:00Z"),
    ],
)
def test_any_number_of_seconds_is_a_date(seconds: int, text: str) -> None:
    assert timestamp(seconds) == text


# Hostile names


@pytest.mark.parametrize("name", HOSTILE, ids=repr)
@pytest.mark.parametrize("is_directory", [False, True])
def test_a_reference_leads_to_exactly_its_name(name: bytes, is_directory: bool) -> None:
    reference = href(name, is_directory)
    assert re.fullmatch(r"\./(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})+/?", reference)
    parts = urlsplit(reference)
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("", "", "", "")
    assert unquote_to_bytes(parts.path) == b"./" + name + b"/" * is_directory
    assert Reader(show(Entry(name, is_directory, 0, 0))).links[-1][0] == reference


@pytest.mark.parametrize("name", HOSTILE, ids=repr)
def test_a_name_is_text_and_nothing_else_wherever_it_stands(name: bytes) -> None:
    path = b"/" + b"".join(b"%%%02x" % octet for octet in name) + b"/"
    harmless = Reader(show(file(b"file"), folder(b"folder"), path=b"/path/"))
    hostile = Reader(show(file(name), folder(name), path=path))
    assert {tag for tag, _ in hostile.elements} <= ELEMENTS
    for tag in ELEMENTS - {"bdi"}:
        assert [attributes.keys() for attributes in hostile.attributes(tag)] == [
            attributes.keys() for attributes in harmless.attributes(tag)
        ]
    shown = hostile.links[-2][1]
    assert hostile.links[-1][1] == shown + "/"
    assert hostile.links[1][1] == shown
    assert hostile.texts["title"] == hostile.texts["h1"] == f"Index of /{shown}/"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"a\tb\nc\x00d\x7f", "a\ufffdb\ufffdc\ufffdd\ufffd"),
        ("invoice\u202egpj.exe".encode(), "invoice\ufffdgpj.exe"),
        ("\u200e\u200f\u061c\u2066\u2069\u2028\u200b\ufeff\u00ad\x85".encode(), "\ufffd" * 10),
        (b"caf\xe9 \xff", "caf\ufffd \ufffd"),
        ("é 写真 👩\u200d👧 می\u200cخواهم".encode(), "é 写真 👩\u200d👧 می\u200cخواهم"),
        (b" a  b ", " a  b "),
        (b"&lt; \\ ' \"", "&lt; \\ ' \""),
    ],
)
def test_what_could_not_be_seen_has_a_sign_in_its_place(name: bytes, text: str) -> None:
    assert Reader(show(file(name))).links[-1][1] == text


def test_the_policy_allows_the_style_and_data_images_alone() -> None:
    content = show(file(HOSTILE[0]))
    (style,) = re.findall(rb"<style>(.*?)</style>", content, re.DOTALL)
    digest = b64encode(sha256(style).digest())
    policy = (
        b"default-src 'none'; style-src 'sha256-" + digest + b"'; img-src data:; base-uri 'none'; "
        b"form-action 'none'; frame-ancestors 'self'"
    )
    assert policy == CONTENT_SECURITY_POLICY
    assert re.findall(rb'url\("(?!data:)', style) == []
    # What is inside a data URL must not end it, nor the style.
    assert all(re.fullmatch(rb"data:[^\"<>#]+", each) for each in re.findall(rb'url\("([^"]*)"\)', style))


def test_nothing_is_fetched_but_what_is_followed() -> None:
    reader = Reader(show(file(b"a")))
    (icon,) = reader.attributes("link")
    assert icon["rel"] == "icon"
    assert (icon["href"] or "").startswith("data:image/svg+xml,")
    assert all("src" not in attributes and "style" not in attributes for _, attributes in reader.elements)


# Ways


@pytest.mark.parametrize(
    ("path", "top", "links"),
    [
        (b"/", b"/", [("/", "Home")]),
        (b"/a/b%20c/", b"/", [("/", "Home"), ("/a/", "a"), ("/a/b%20c/", "b c")]),
        (b"/m/", b"/m/", [("/m/", "m")]),
        (b"/x/m/d/", b"/x/m/", [("/x/m/", "m"), ("/x/m/d/", "d")]),
        (b"/mm/d/", b"/m/", [("/", "Home"), ("/mm/", "mm"), ("/mm/d/", "d")]),
        (b"/a(1)%2f;&/", b"/", [("/", "Home"), ("/a(1)%2f;&/", "a(1)/;&")]),
        (b"//host/d/", b"/", [("/", "Home"), ("/host/", "host"), ("/host/d/", "d")]),
        (b'/"><b>\\\xff/', b"/", [("/", "Home"), ("/%22%3E%3Cb%3E%5C%FF/", '"><b>\\\ufffd')]),
        (b"/javascript%3Ax/", b"/", [("/", "Home"), ("/javascript%3Ax/", "javascript:x")]),
    ],
)
def test_the_way_begins_at_the_top_and_stays_on_this_host(
    path: bytes, top: bytes, links: list[tuple[str, str]]
) -> None:
    reader = Reader(show(path=path, top=top))
    assert reader.links[: len(links)] == links
    assert reader.attributes("nav") == [{"aria-label": "Breadcrumb"}]
    current = [attributes.get("aria-current") for attributes in reader.attributes("a")]
    assert current[: len(links)] == [None] * (len(links) - 1) + ["page"]


def test_the_parent_comes_first_but_not_above_the_top() -> None:
    assert Reader(show(file(b"a"), path=b"/m/d/", top=b"/m/")).links[-2] == ("../", "Parent folder")
    assert "../" not in dict(Reader(show(file(b"a"), path=b"/m/", top=b"/m/")).links)


@pytest.mark.parametrize(
    ("order", "heads"),
    [
        (Order(), [("desc", "ascending", "Name ↑"), ("desc", None, "Size"), ("desc", None, "Modified (UTC)")]),
        (
            Order("name", True),
            [("asc", "descending", "Name ↓"), ("desc", None, "Size"), ("desc", None, "Modified (UTC)")],
        ),
        (
            Order("size", True),
            [("asc", None, "Name"), ("asc", "descending", "Size ↓"), ("desc", None, "Modified (UTC)")],
        ),
        (
            Order("date", False),
            [("asc", None, "Name"), ("desc", None, "Size"), ("desc", "ascending", "Modified (UTC) ↑")],
        ),
    ],
)
def test_a_column_is_sorted_by_its_head(order: Order, heads: list[tuple[str, str | None, str]]) -> None:
    reader = Reader(show(file(b"a"), order=order))
    links = [
        (f"?sort={by}&order={way}", text) for by, (way, _, text) in zip(("name", "size", "date"), heads, strict=True)
    ]
    assert reader.links[1:4] == links
    columns = [attributes for attributes in reader.attributes("th") if attributes["scope"] == "col"]
    assert [attributes.get("aria-sort") for attributes in columns] == [now for _, now, _ in heads]
    for reference, _ in links:
        assert Order.from_query(reference[1:].encode()) != order


# The whole


@pytest.mark.parametrize(
    ("entries", "text"),
    [
        ([], "0 files"),
        ([folder(b"a")], "1 folder"),
        ([folder(b"a"), folder(b"b"), file(b"c", 1)], '2 folders, 1 file, <data value="1" title="1 byte">1 B</data>'),
        (
            [file(b"%d" % number, 1) for number in range(1500)],
            '1,500 files, <data value="1500" title="1,500 bytes">1.5 kB</data>',
        ),
    ],
)
def test_what_is_shown_is_counted(entries: list[Entry], text: str) -> None:
    assert f"<footer>{text}</footer>" in show(*entries).decode()


def test_an_empty_folder_says_so() -> None:
    assert Reader(show(path=b"/a/")).texts["p"] == "This folder is empty."
    assert "p" not in Reader(show(file(b"a"))).texts


def test_a_folder_of_which_only_a_part_is_shown_says_so() -> None:
    entries = [file(b"%d" % number) for number in range(1200)]
    reader = Reader(show(*entries, truncated=True))
    assert reader.texts["p"] == "Only the first 1,200 entries of this folder are shown."
    assert reader.attributes("p") == [{"class": "notice", "role": "note"}]


def test_a_screen_reader_gets_a_table_with_a_caption_and_a_language() -> None:
    reader = Reader(show(folder(b"a"), file(b"b"), path=b"/d/", order=Order("size", True)))
    assert reader.attributes("html") == [{"lang": "en"}]
    assert reader.texts["caption"] == "Folders and files, sorted by size, largest first"
    roles = {tag: {attributes["role"] for attributes in reader.attributes(tag)} for tag in ("table", "tr", "td")}
    assert roles == {"table": {"table"}, "tr": {"row"}, "td": {"cell"}}
    heads = [(attributes["scope"], attributes["role"]) for attributes in reader.attributes("th")]
    assert heads == [("col", "columnheader")] * 3 + [("row", "rowheader")] * 3
    assert {"name": "color-scheme", "content": "light dark"} in reader.attributes("meta")
