"""What a folder holds, told as a page or as JSON, and which of these a client likes best.

Does not know the root, the request or the cache; how the page looks is listing_page's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from json import dumps
from urllib.parse import unquote_to_bytes

from .entries import Listing, Order
from .listing_page import CONTENT_SECURITY_POLICY, href, page, timestamp

__all__ = ["CONTENT_SECURITY_POLICY", "choose_format", "html", "json", "weigh_formats"]

# What one field is split into at most: more than any browser sends.
_MOST_MEDIA_RANGES = 64
# RFC 9110 §12.4.2
_WEIGHT = re.compile(rb"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\Z")
# How well each media range fits what a format is sent as: the more exact one decides (RFC 9110 §12.5.1).
_MEDIA_RANGES = {
    "html": (b"*/*", b"text/*", b"text/html"),
    "json": (b"*/*", b"application/*", b"application/json"),
}


def html(listing: Listing, path: bytes, order: Order, *, top: bytes) -> bytes:
    """The folder as a page, to be sent as "text/html; charset=utf-8" with CONTENT_SECURITY_POLICY.

    *path* is the folder's own, percent-encoded as the client sees it; *top* is that of the root of what is served,
    where the way to the folder begins. Both end with "/".
    """
    return page(listing._replace(entries=order.apply(listing.entries)), path, order, top)


def json(listing: Listing, path: bytes, order: Order) -> bytes:
    """The folder as JSON (RFC 8259): path, entries and truncated.

    "path" and each "name" are text to read, in which U+FFFD stands for what is not UTF-8; "href" leads to the entry
    whatever its name is.
    """
    entries = [
        {
            "name": entry.name.decode("utf-8", "replace"),
            "type": "directory" if entry.is_directory else "file",
            "size": entry.size,
            "modified": timestamp(entry.modified),
            "href": href(entry.name, entry.is_directory),
        }
        for entry in order.apply(listing.entries)
    ]
    text = unquote_to_bytes(path).decode("utf-8", "replace")
    whole = {"path": text, "entries": entries, "truncated": listing.truncated}
    return dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()


def choose_format(accept: bytes | None, formats: Sequence[str]) -> str:
    """Which of *formats*, "html" and "json", the client likes best: the first among equals.

    It is also the first if the client accepts none of them, as RFC 9110 §12.5.1 allows.
    """
    weights = weigh_formats(accept)
    return max(formats, key=weights.__getitem__)


def weigh_formats(accept: bytes | None) -> dict[str, float]:
    """How much the client likes "html" and "json": from 0, not at all, to 1 (RFC 9110 §12.4.2)."""
    if accept is None:
        return dict.fromkeys(_MEDIA_RANGES, 1.0)
    weights: dict[bytes, float] = {}
    for member in accept.split(b",", _MOST_MEDIA_RANGES)[:_MOST_MEDIA_RANGES]:
        media_range, *parameters = (part.strip(b" \t").lower() for part in member.split(b";"))
        weight = next((part[2:] for part in parameters if part.startswith(b"q=")), b"1")
        if _WEIGHT.match(weight):
            weights[media_range] = max(float(weight), weights.get(media_range, 0.0))
    return {
        name: next((weights[each] for each in reversed(ranges) if each in weights), 0.0)
        for name, ranges in _MEDIA_RANGES.items()
    }
