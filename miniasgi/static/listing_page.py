"""The page that shows a folder: its markup and its style. No script, and nothing that is fetched.

Knows how names, sizes and dates are told to people and to browsers. Does not know where entries come from, nor sorts
them. Every name is hostile until it has gone through href() or _text().
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from html import escape
from urllib.parse import quote, quote_from_bytes, unquote_to_bytes

from .entries import Entry, Listing, Order

__all__ = ["CONTENT_SECURITY_POLICY", "href", "page", "timestamp"]


def _icon(drawing: str, stroke: str = "none") -> str:
    """A drawing as a data URL. Icons are backgrounds: ten thousand of them cost no element each."""
    start = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 20" fill="none" stroke="{stroke}">'
    return "data:image/svg+xml," + quote(f"{start}{drawing}</svg>", safe="/:=,() ").replace("%22", "'")


_FOLDER = (
    '<path d="M2.5 5A1.5 1.5 0 0 1 4 3.5h3.2a1.5 1.5 0 0 1 1.1.5l1 1H16A1.5 1.5 0 0 1 17.5 6.5V15A1.5 1.5 0 0 1 16 16.5'
    'H4A1.5 1.5 0 0 1 2.5 15z" fill="{0}" stroke="none"/>'
    '<path d="M2.5 8h15" stroke="{1}"/>'
)
_FILE = (
    '<path d="M5.5 2.5h6L15.5 6.5v9.5a1.5 1.5 0 0 1-1.5 1.5H5.5A1.5 1.5 0 0 1 4 16V4a1.5 1.5 0 0 1 1.5-1.5z"'
    ' stroke-linejoin="round" stroke-width="1.3"/>'
    '<path d="M11.2 2.8V7h4.2" stroke-linejoin="round" stroke-width="1.3"/>'
)
_PARENT = (
    '<path d="M10 16V4.5M5.2 9.2L10 4.4l4.8 4.8" stroke-linecap="round" stroke-linejoin="round" stroke-width="1.6"/>'
)
_FAVICON = _icon(_FOLDER.format("#4a90e2", "#fff"))

_STYLE = f"""
:root{{color-scheme:light dark;
--back:#fff;--text:#1c2127;--soft:#5b6672;--line:#e3e7ec;--over:#f2f6fb;--link:#0b57c2;--mark:#fff6dc;--edge:#e4c568;
--folder:url("{_icon(_FOLDER.format("#4a90e2", "#fff"))}");
--file:url("{_icon(_FILE, "#7c8794")}");
--parent:url("{_icon(_PARENT, "#5b6672")}")}}
@media(prefers-color-scheme:dark){{:root{{
--back:#12161b;--text:#e6eaef;--soft:#9aa6b3;--line:#272e37;--over:#1b222b;--link:#8cbcff;--mark:#2c2613;--edge:#6d5a20;
--folder:url("{_icon(_FOLDER.format("#5c9ce6", "#12161b"))}");
--file:url("{_icon(_FILE, "#8a96a3")}");
--parent:url("{_icon(_PARENT, "#9aa6b3")}")}}}}
*{{box-sizing:border-box}}
html{{scroll-padding-top:4rem;-webkit-text-size-adjust:100%;text-size-adjust:100%}}
body{{margin:0 auto;max-width:64rem;padding:2rem 1.5rem 3rem;background:var(--back);color:var(--text);
font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Liberation Sans",sans-serif}}
a{{color:inherit;text-decoration:none}}
a:hover{{text-decoration:underline;text-underline-offset:.2em}}
:focus-visible{{outline:2px solid var(--link);outline-offset:-2px;border-radius:.375rem}}
.hidden{{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}}
nav ol{{display:flex;flex-wrap:wrap;margin:0 .25rem 1rem;padding:0;list-style:none;font-size:1.25rem}}
nav li{{display:flex;min-width:0;color:var(--soft)}}
nav li+li::before{{content:"/";content:"/" / "";padding:.375rem 0;color:var(--soft);opacity:.7}}
nav a{{display:block;min-width:0;padding:.375rem .5rem;white-space:pre-wrap;overflow-wrap:anywhere;color:var(--link)}}
nav [aria-current]{{color:var(--text);font-weight:600}}
.notice{{margin:0 0 1rem;padding:.625rem 1rem;border:1px solid var(--edge);border-radius:.5rem;background:var(--mark)}}
table,thead,tbody{{display:block}}
tr{{display:flex;border-bottom:1px solid var(--line)}}
tbody tr{{position:relative;content-visibility:auto;contain-intrinsic-size:auto 2.5625rem}}
tbody tr:hover{{background:var(--over)}}
th{{flex:1;min-width:0;padding:0;text-align:left;font-weight:inherit}}
thead{{position:sticky;top:0;z-index:1;background:var(--back);font-size:.875rem;color:var(--soft)}}
thead a{{display:block;padding:.625rem .75rem;white-space:nowrap}}
thead [aria-sort]{{color:var(--text);font-weight:600}}
tr>:nth-child(2){{flex:0 0 7rem;text-align:right}}
tr>:nth-child(3){{flex:0 0 10.5rem}}
td{{padding:.5rem .75rem;white-space:nowrap;font-size:.875rem;line-height:1.5rem;color:var(--soft);
font-variant-numeric:tabular-nums}}
tbody a{{display:block;padding:.5rem .75rem .5rem 2.75rem;white-space:pre-wrap;overflow-wrap:anywhere;
background:var(--file) .75rem .625rem/1.25rem no-repeat}}
tbody .folder{{background-image:var(--folder);font-weight:500}}
tbody .parent{{background-image:var(--parent);color:var(--soft)}}
.empty{{padding:3rem .75rem;text-align:center;color:var(--soft)}}
footer{{padding:1rem .75rem;font-size:.875rem;color:var(--soft)}}
@media(max-width:40rem){{
body{{padding:.75rem 0 2rem}}
nav ol{{margin:0 .5rem .5rem;font-size:1.125rem}}
nav a,nav li+li::before{{padding-top:.625rem;padding-bottom:.625rem}}
.notice{{margin:.5rem 1rem}}
thead tr{{padding:0 .5rem}}
thead a{{padding:.875rem .5rem}}
thead tr>:nth-child(n){{flex:none}}
thead tr>:first-child{{margin-right:auto}}
.utc{{display:none}}
tbody tr{{flex-wrap:wrap;column-gap:1rem;padding:.625rem 1rem .625rem 3.25rem;contain-intrinsic-size:auto 4.3125rem}}
tbody tr>:nth-child(n){{flex:none;padding:0}}
tbody tr>:first-child{{flex:0 0 100%}}
tbody a{{margin-left:-2.25rem;padding:0 0 0 2.25rem;background-position:0 .125rem}}
tbody a::after{{content:"";position:absolute;inset:0}}
tbody a:focus-visible{{outline:0}}
tbody a:focus-visible::after{{outline:2px solid var(--link);outline-offset:-2px;border-radius:.375rem}}
td:empty{{display:none}}
}}
"""

#: Under this (W3C Content Security Policy 3), a name that got through as markup could do nothing either.
CONTENT_SECURITY_POLICY: bytes = (
    b"default-src 'none'; style-src 'sha256-%b'; img-src data:; base-uri 'none'; form-action 'none'; "
    b"frame-ancestors 'self'" % b64encode(sha256(_STYLE.encode()).digest())
)

# What a reader would not see, or would see something else by: controls, and what steers the direction of writing
# (the "bidi" characters of Unicode Standard Annex 9), breaks lines or has no width; but for the joiners, which
# Persian is spelled with, and families of emoji.
_UNSEEN = [*range(0x20), *range(0x7F, 0xA0), 0xAD, 0x61C, 0x180E, 0x200B, 0x200E, 0x200F, *range(0x2028, 0x202F)]
_UNSEEN += [*range(0x2060, 0x2070), 0xFEFF, *range(0xFFF9, 0xFFFC)]
_SHOWN = dict.fromkeys(_UNSEEN, "\ufffd")
_SHOWN |= {ord(character): escape(character) for character in "&<>\"'"}
_SPECIAL = re.compile(f"[{re.escape(''.join(map(chr, _SHOWN)))}]")
# What a segment may hold beside the unreserved characters (RFC 3986 §3.3), and the sign of an encoding.
_SEGMENT = "!$&'()*+,;=:@%"

_EPOCH = datetime(1970, 1, 1)
_EARLIEST = (datetime.min - _EPOCH) // timedelta(seconds=1)
_LATEST = (datetime.max - _EPOCH) // timedelta(seconds=1)

# What each column is called, and what its first use sorts by: whether the largest comes first.
_COLUMNS = (("name", "Name", False), ("size", "Size", True), ("date", 'Modified<span class="utc"> (UTC)</span>', True))
_WAYS = {
    ("name", False): "from A to Z",
    ("name", True): "from Z to A",
    ("size", False): "smallest first",
    ("size", True): "largest first",
    ("date", False): "oldest first",
    ("date", True): "newest first",
}


def href(name: bytes, is_directory: bool) -> str:
    """A reference (RFC 3986 §4.2) from the folder's page to *name* in it, whatever octets that has.

    Nothing but unreserved characters is left as it is, and "./" keeps a name from being taken for a scheme.
    """
    return f"./{quote_from_bytes(name, '')}{'/' if is_directory else ''}"


def timestamp(seconds: int) -> str:
    """*seconds* since 1970 as RFC 3339 has it, in UTC: the nearest that four digits of year can tell."""
    moment = _EPOCH + timedelta(seconds=min(max(seconds, _EARLIEST), _LATEST))
    return moment.isoformat() + "Z"


def page(listing: Listing, path: bytes, order: Order, top: bytes) -> bytes:
    """The page that shows the entries as they come, in UTF-8.

    *order* is only told, and *path* and *top* are as listing.html() has them.
    """
    crumbs = list(_crumbs(path, top))
    title = "/" + "".join(f"{_text(unquote_to_bytes(segment))}/" for segment in _segments(path))
    way = f"sorted by {order.by}, {_WAYS[order.by, order.descending]}"
    parent = _PARENT_ROW if len(crumbs) > 1 else ""
    empty = "" if listing.entries else '<p class="empty">This folder is empty.</p>\n'
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Index of {title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="{_FAVICON}">
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1 class="hidden">Index of <bdi>{title}</bdi></h1>
<nav aria-label="Breadcrumb"><ol>
{_navigation(crumbs)}
</ol></nav>
</header>
<main>
{_notice(listing)}<table role="table">
<caption class="hidden">Folders and files, {way}</caption>
<thead role="rowgroup"><tr role="row">
{_heads(order)}
</tr></thead>
<tbody role="rowgroup">
{parent}{"".join(_rows(listing.entries))}</tbody>
</table>
{empty}</main>
<footer>{_summary(listing.entries)}</footer>
</body>
</html>
""".encode()


# Roles, though the elements have them: some browsers forget a table's when it is not laid out as one, as this is not,
# because only then may what is out of sight cost nothing.
_PARENT_ROW = (
    '<tr role="row"><th role="rowheader" scope="row"><a class="parent" href="../">Parent folder</a></th></tr>\n'
)


def _rows(entries: Sequence[Entry]) -> Iterator[str]:
    # End tags that HTML lets us leave out are left out: of a large folder, they would be a tenth of the page.
    for name, is_directory, size, modified in entries:
        quoted = quote_from_bytes(name, "")
        # Unreserved characters alone mean nothing to HTML either, and all go from left to right.
        text = quoted if len(quoted) == len(name) else f"<bdi>{_text(name)}</bdi>"
        moment = timestamp(modified)
        when = f'<td role="cell"><time datetime="{moment}">{moment[:10]} {moment[11:16]}</time>\n'
        start = '<tr role="row"><th role="rowheader" scope="row"><a '
        if is_directory:
            yield f'{start}class="folder" href="./{quoted}/">{text}/</a><td role="cell">{when}'
        else:
            yield f'{start}href="./{quoted}">{text}</a><td role="cell">{_size(size)}{when}'


def _text(name: bytes) -> str:
    """A name to read, safe in text and in attributes: what cannot be seen has a sign in its place."""
    text = name.decode("utf-8", "replace")
    return text.translate(_SHOWN) if _SPECIAL.search(text) else text


def _size(octets: int) -> str:
    return f'<data value="{octets}" title="{octets:,} {"byte" if octets == 1 else "bytes"}">{_rounded(octets)}</data>'


def _rounded(octets: int) -> str:
    """A size in at most three digits, with decimal units as IEC 80000-13 has them."""
    if octets < 1000:
        return f"{octets} B"
    scale = 1
    for unit in "kMGTPE":
        scale *= 1000
        if octets < scale * 9.95:
            return f"{octets / scale:.1f} {unit}B"
        if octets < scale * 999.5:
            break
    return f"{octets / scale:.0f} {unit}B"


def _segments(path: bytes) -> list[bytes]:
    # Without empty ones: a reference that begins with "//" would name another host (RFC 3986 §4.2).
    return [segment for segment in path.split(b"/") if segment]


def _crumbs(path: bytes, top: bytes) -> Iterator[tuple[str, str]]:
    """The folders from *top* to *path*, each as its reference and its text."""
    segments = _segments(path)
    root = _segments(top)
    start = len(root) if segments[: len(root)] == root else 0
    way = "/"
    for depth, segment in enumerate([b"Home", *segments]):
        if depth:
            way += quote_from_bytes(segment, _SEGMENT) + "/"
        if depth >= start:
            yield escape(way), _text(unquote_to_bytes(segment))


def _navigation(crumbs: Sequence[tuple[str, str]]) -> str:
    *above, here = [f'href="{reference}"><bdi>{text}</bdi>' for reference, text in crumbs]
    links = [*(f"<a {link}" for link in above), f'<a aria-current="page" {here}']
    return "\n".join(f"<li>{link}</a></li>" for link in links)


def _notice(listing: Listing) -> str:
    if not listing.truncated:
        return ""
    return (
        f'<p class="notice" role="note">Only the first {len(listing.entries):,} entries of this folder are shown.</p>\n'
    )


def _heads(order: Order) -> str:
    return "\n".join(_head(order, *column) for column in _COLUMNS)


def _head(order: Order, by: str, label: str, descending: bool) -> str:
    now = arrow = ""
    if order.by == by:
        descending = not order.descending
        now = ' aria-sort="descending"' if order.descending else ' aria-sort="ascending"'
        arrow = f' <span aria-hidden="true">{"↓" if order.descending else "↑"}</span>'
    reference = f"?sort={by}&amp;order={'desc' if descending else 'asc'}"
    return (
        f'<th role="columnheader" scope="col"{now}>'
        f'<a href="{reference}" title="Sort by {by}, {_WAYS[by, descending]}">{label}{arrow}</a></th>'
    )


def _summary(entries: Sequence[Entry]) -> str:
    folders = sum(entry.is_directory for entry in entries)
    files = len(entries) - folders
    parts = []
    if folders:
        parts.append(f"{folders:,} {'folder' if folders == 1 else 'folders'}")
    if files or not folders:
        parts.append(f"{files:,} {'file' if files == 1 else 'files'}")
    if files:
        parts.append(_size(sum(entry.size for entry in entries)))
    return ", ".join(parts)
