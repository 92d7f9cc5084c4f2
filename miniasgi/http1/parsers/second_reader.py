"""What the parsers built on a library share: two readers, who must agree.

Limits, framing and the meaning of the fields are ours for every parser. A library is the second reader of the head:
a request goes on only when both have read the same fields, so what one of them is fooled by stops at the other.
"""

from __future__ import annotations

from ...errors import BadRequest
from ...types import Fields
from ..head import FieldSection, RequestHead
from .framing import FramedParser
from .handwritten import read_fields, read_request_line

__all__ = ["LibraryParser"]

# Where a message ends is not the library's business, and both have views on it that RFC 9112 does not share (h11
# refuses "Transfer-Encoding: chunked," for its empty list element, and a Content-Length of thirty zeros), so these
# fields are not shown to it.
_FRAMING = frozenset((b"content-length", b"transfer-encoding"))


class LibraryParser(FramedParser):
    """A RequestParser (see there) whose subclasses ask a library to read field lines."""

    __slots__ = ()

    def _read_head(self, data: bytes, end: int) -> RequestHead:
        line_end = data.find(b"\r\n", 0, end + 2)
        line = read_request_line(data[:line_end])
        block = data[line_end + 2 : end + 2]
        fields = read_fields(block, self._limits.fields)
        head = RequestHead(line, FieldSection(fields))
        shown = [field for field in fields if field[0] not in _FRAMING]
        if len(shown) < len(fields):
            lines = zip(fields, block.split(b"\r\n"), strict=False)
            block = b"".join(text + b"\r\n" for field, text in lines if field[0] not in _FRAMING)
        if self._second_reading(block) != shown:
            raise BadRequest("the parser's library reads other fields")
        return head

    def _second_reading(self, block: bytes) -> Fields:
        """The fields in *block* as the library reads them: names lower-cased, values without white space around.

        Raises BadRequest for what the library refuses.
        """
        raise NotImplementedError
