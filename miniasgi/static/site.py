"""One folder and the answers that it has: from a request to an Answer, without waiting for anything but the kernel.

Knows files and settings. Does not know ASGI: static.app asks, and has done in a thread what is Work.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple
from urllib.parse import quote_from_bytes

from ..page_cache import read_any, read_cached
from ..types import Fields
from . import listing
from .answer import Answer, Outcome, Work, plain
from .encodings import choose
from .entries import Order
from .folder import NOTHING, Folder, Found, close_all
from .memory import Known, Memory
from .mime import content_type
from .paths import encode_path, split_path
from .representation import SELECTIVE, Identity, Representation, field_value, identity
from .settings import Settings

__all__ = ["Request", "Site"]

logger = logging.getLogger("miniasgi.server")

# 256 KiB: a file up to that is kept in memory, and leaves in one write with its head. What is longer costs less when
# the kernel sends it from file to socket, and so does what is longer than 64 KiB where nothing is kept.
_KEPT_OCTETS = 256 * 1024
_READ_OCTETS = 64 * 1024
# 4 MiB: a page that is longer is not given the script of a live reload.
_PAGE_OCTETS = 4 * 1024 * 1024
# 3: how often a file is read that is being written to, until it is taken as it is.
_READINGS = 3

# What a query may contain beside letters, digits and -._~, and brackets, which browsers send; "%" too: what is encoded
# already stays as it is.
_IN_QUERIES = ":/?[]@!$&'()*+,;=%"

_EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ESTALE))
# What is said of a file, and not of the error that its content tells.
_OF_FILES = frozenset((b"accept-ranges", b"cache-control", b"etag", b"last-modified"))


class Request(NamedTuple):
    """What is asked of a site: GET or HEAD.

    Attributes:
        path: as sent, without what the site is mounted under; empty for the mount without its slash.
        prefix: what the site is mounted under, percent-encoded, without a slash at its end.
    """

    method: str
    path: bytes
    query: bytes
    fields: Fields
    prefix: bytes


class Site:
    """One folder, served.

    *rewrite* takes a page of HTML and the request's prefix, and gives the page that is sent instead.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        settings: Settings,
        *,
        rewrite: Callable[[bytes, bytes], bytes] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises OSError: *directory* is none, or may not be read."""
        self._folder = Folder(directory, settings, clock)
        self._settings = settings
        self._rewrite = rewrite
        self._memory = Memory(settings.memory, clock)
        self._whole_octets = min(_KEPT_OCTETS, settings.memory) if settings.memory else _READ_OCTETS
        self._spa = encode_path(os.fsencode(settings.spa).split(b"/")) if settings.spa else b""
        self._not_found = encode_path(os.fsencode(settings.not_found).split(b"/")) if settings.not_found else b""
        self._directory_name = os.fspath(directory)

    def lacks(self, name: str) -> str:
        """Why the file *name* would not be sent, in words; empty if it would be."""
        try:
            if self._folder.has(tuple(os.fsencode(name).split(b"/"))):
                return ""
        except OSError as error:
            return f"{self._directory_name}: the file {name}, which is to be served, cannot be read: {error.strerror}"
        return f"{self._directory_name}: there is no file {name} yet, which is to be served"

    def ready(self, method: str, path: bytes, fields: Fields) -> Answer | None:
        """The answer to a GET or HEAD for what was looked at a moment ago, and whose content is in memory."""
        known = self._memory.fresh(path)
        if known is None:
            return None
        representation = known.sole or known.chosen(fields)
        if representation is None or representation.content is None:
            return None
        for name, _ in fields:
            if name in SELECTIVE:
                return representation.answer(method, fields, representation.content)
        return representation.whole

    def find(self, request: Request) -> Outcome:
        """The answer, or the Work that leads to it; None where nothing has this path."""
        answer = self.ready(request.method, request.path, request.fields)
        if answer is not None:
            return answer
        if self._memory.is_missing(request.path):
            return None
        return self._guarded(request, may_wait=False)

    def route(self, request: Request) -> Outcome:
        """The page of an application that routes in the browser, for a path at which nothing is."""
        return self.find(request._replace(path=self._spa)) if self.is_route(request) else None

    def is_route(self, request: Request) -> bool:
        """Whether a browser may be navigating to a place that only the application knows."""
        if not self.may_route(request):
            return False
        weights = listing.weigh_formats(field_value(request.fields, b"accept"))
        return weights["html"] > 0 and weights["html"] >= weights["json"]

    def may_route(self, request: Request) -> bool:
        """Whether it depends on Accept what is sent where nothing is.

        Not where a file is meant: HTML in place of a missing script hides the mistake, and spoils caches.
        """
        return bool(self._spa) and b"." not in request.path.rpartition(b"/")[2]

    def not_found(self, request: Request) -> Outcome:
        """The page that says that nothing is there; None where there is no such page."""
        if not self._not_found:
            return None
        return self._error_page(self.find(Request("GET", self._not_found, b"", [], request.prefix)))

    def _error_page(self, outcome: Outcome) -> Outcome:
        """A page's answer as that of an error: nobody is to keep it, or to ask for a part of it."""
        if isinstance(outcome, Work):
            return Work(lambda: self._error_page(outcome.run()))
        # Where it is a directory, or cannot be read, there is no such page.
        if outcome is None or outcome.status != 200:
            return None
        fields = [field for field in outcome.fields if field[0] not in _OF_FILES]
        return Answer(404, fields, outcome.content, outcome.file, outcome.parts)

    def _guarded(self, request: Request, *, may_wait: bool) -> Outcome:
        """What _look() finds, and what its errors mean."""
        try:
            return self._look(request, may_wait)
        except OSError as error:
            if isinstance(error, BlockingIOError) and not may_wait:
                return Work(partial(self._guarded, request, may_wait=True))
            if error.errno in NOTHING:
                self._forget(request)
                return None
            # What the client has sent is not among the words of the log, but for its escaped form.
            logger.warning("%a cannot be served: %s", request.path.decode("latin-1"), error.strerror)
            if error.errno in (errno.EACCES, errno.EPERM):
                return plain(403, self._settings.everywhere)
            if error.errno in _EXHAUSTED:
                return plain(503, [(b"retry-after", b"1"), *self._settings.everywhere])
            return plain(500, self._settings.everywhere)

    def _forget(self, request: Request) -> None:
        if self._settings.remembers:
            self._memory.forget(request.path)

    def _look(self, request: Request, may_wait: bool) -> Outcome:
        folder = self._folder
        folder.renew()
        segments = split_path(request.path) if request.path else ()
        if segments is None or not self._settings.names.are_visible(segments):
            self._forget(request)
            return None
        if segments and not segments[-1]:
            return self._directory(request, segments[:-1], may_wait)
        try:
            file = folder.open(segments)
        except OSError as error:
            page = folder.page(segments) if error.errno in NOTHING else None
            if page is None:
                raise
            return self._file(request, page, may_wait)
        if file is not None:
            return self._file(request, Found(segments, file), may_wait)
        index = folder.index(segments)
        if index is not None or folder.is_listed(segments):
            if index is not None:
                index.file.close()
            return self._redirect(request, segments)
        page = folder.page(segments)
        if page is not None:
            return self._file(request, page, may_wait)
        self._forget(request)
        return None

    def _redirect(self, request: Request, segments: Sequence[bytes]) -> Answer:
        # A path that begins with one slash, and nothing that the client could have put a host into (RFC 9110 §10.2.2).
        location = request.prefix + encode_path((*segments, b""))
        if request.query:
            # As it was sent, but for what no URL may contain (RFC 3986 §3.4), and not every server refuses.
            location += b"?" + quote_from_bytes(request.query, safe=_IN_QUERIES).encode()
        return Answer(308, [(b"location", location), (b"content-length", b"0"), *self._settings.everywhere])

    def _directory(self, request: Request, segments: Sequence[bytes], may_wait: bool) -> Outcome:
        index = self._folder.index(segments)
        if index is not None:
            return self._file(request, index, may_wait)
        if self._folder.is_listed(segments):
            return self._list(request, segments) if may_wait else Work(partial(self._guarded, request, may_wait=True))
        self._forget(request)
        return None

    def _list(self, request: Request, segments: Sequence[bytes]) -> Answer:
        found = self._folder.list(segments)
        accept = field_value(request.fields, b"accept")
        path, order = request.prefix + encode_path((*segments, b"")), Order.from_query(request.query)
        if listing.choose_format(accept, self._settings.listing) == "json":
            content = listing.json(found, path, order)
            fields = [(b"content-type", b"application/json")]
        else:
            content = listing.html(found, path, order, top=request.prefix + b"/")
            fields = [
                (b"content-type", b"text/html; charset=utf-8"),
                (b"content-security-policy", listing.CONTENT_SECURITY_POLICY),
            ]
        fields += [(b"content-length", b"%d" % len(content)), (b"cache-control", b"no-cache"), (b"vary", b"accept")]
        return Answer(200, fields + self._settings.everywhere, content)

    def _file(self, request: Request, source: Found, may_wait: bool) -> Answer:
        """The answer from *source*, or from a file that holds the same in another coding."""
        unchanged = self._unchanged(request.path, source)
        if unchanged is not None and unchanged.content is not None:
            source.file.close()
            return unchanged.answer(request.method, request.fields, unchanged.content)
        files = self._folder.codings(source)
        found_as = {coding: identity(file.status) for coding, file in files.items()}
        coding = self._choose(request, found_as)
        file = files.pop(coding)
        close_all(files)
        try:
            return self._represent(request, Found(source.segments, file), coding, found_as, may_wait)
        except BaseException:
            file.close()
            raise

    def _unchanged(self, path: bytes, source: Found) -> Representation | None:
        """What is known of *source*, if it is all that there is to know of the path, and still so.

        What _represent() would come to, for a third of the time: this is each file's lot once a second.
        """
        known = self._memory.last(path)
        if known is None or known.sole is None or self._settings.suffixes:
            return None
        if known.sole.content is None or known.sole.identity != identity(source.file.status):
            return None
        self._memory.renew(path, known)
        return known.sole

    def _choose(self, request: Request, found_as: Mapping[str, Identity]) -> str:
        if len(found_as) == 1:
            return "identity"
        sizes = {coding: state.size for coding, state in found_as.items()}
        return choose(field_value(request.fields, b"accept-encoding"), sizes)

    def _represent(
        self, request: Request, found: Found, coding: str, found_as: Mapping[str, Identity], may_wait: bool
    ) -> Answer:
        """The answer from *found*, whose file has the content in *coding*; *found_as*: what there is in each coding."""
        known = self._memory.last(request.path)
        before = known.representations if known is not None else {}
        representations = {each: made for each, made in before.items() if made.identity == found_as.get(each)}
        representation = representations.get(coding)
        content = representation.content if representation is not None else None
        if content is None:
            content = self._read(request, found, may_wait)
            if representation is not None and representation.identity != identity(found.file.status):
                # It was written to meanwhile: what was known is not said of what was read.
                representation = None
        if representation is None:
            representation = representations[coding] = self._describe(found, content, coding)
        if content is not None:
            found.file.close()
        if self._settings.remembers:
            if content is not None and coding in before and self._settings.memory:
                # Not at the first time: what is asked for once would push out what is asked for often.
                representation.keep(content)
            sizes = {each: state.size for each, state in found_as.items()}
            self._memory.keep(request.path, Known(sizes, representations))
        return representation.answer(request.method, request.fields, found.file if content is None else content)

    def _read(self, request: Request, found: Found, may_wait: bool) -> bytes | None:
        """The content of a small file, or of a page to be rewritten; None for one that is better sent by the kernel."""
        segments, file = found
        is_page = self._rewrite is not None and content_type(segments[-1], self._settings.types)[:9] == b"text/html"
        most = _PAGE_OCTETS if is_page else self._whole_octets
        content = None
        for _ in range(_READINGS):
            status = file.status
            if status.st_size > most:
                return None
            content = (read_any if may_wait else read_cached)(file.fileno(), 0, status.st_size)
            now = os.fstat(file.fileno())
            if identity(now) == identity(status):
                break
            # Somebody is writing to it: what was read may be half of this and half of that.
            file.status = now
        else:
            # Taken as it is, but with the status of before, so that it is looked at again.
            file.status = status
        return self._rewrite(content, request.prefix) if is_page and self._rewrite and content is not None else content

    def _describe(self, found: Found, content: bytes | None, coding: str) -> Representation:
        added = self._settings.fields_for(found.segments)
        if self._settings.suffixes:
            # Also where there is no other coding now: there may be one tomorrow.
            added.append((b"vary", b"accept-encoding"))
        return Representation(
            found.file.status,
            content,
            coding,
            content_type(found.segments[-1], self._settings.types),
            added,
            # A hash of what is read anew each time would cost more than the reading.
            tag_content=self._settings.remembers or self._rewrite is not None,
        )
