"""What stands in an application's messages, checked. Knows nothing of when a message may come.

Whatever is wrong with a message is an ApplicationError that says what was found: never an OSError, which would tell the
application that its client has gone.
"""

from __future__ import annotations

import os
from functools import partial
from typing import Any

from ..errors import ApplicationError
from ..types import Message

__all__ = ["FilePart", "field_name", "listed", "octets", "required", "untyped"]


def untyped(message: object) -> ApplicationError:
    """What is wrong with what was sent for a message, but has no type."""
    return ApplicationError(f"{message!r:.80} sent, expected a dict with a 'type'")


def required(message: Message, key: str) -> Any:
    """What stands at *key*. Raises ApplicationError if nothing does."""
    try:
        return message[key]
    except KeyError:
        raise ApplicationError(f"{message['type']!r} without {key!r}, expected one") from None


def octets(found: object) -> bytes:
    """A body as bytes: nobody changes them after they were sent, and their length is in octets.

    Raises ApplicationError for what is none.
    """
    if not isinstance(found, (bytes, bytearray, memoryview)):
        raise ApplicationError(f"'body' is {found!r:.80}, expected bytes")
    return bytes(found)


def listed(message: Message, key: str) -> list[Any]:
    """What may be any iterable, as a list, because some are looked through twice. Raises ApplicationError."""
    found = message.get(key, ())
    if isinstance(found, list):
        return found
    try:
        return list(found)
    except TypeError:
        raise ApplicationError(f"{key!r} of {message['type']!r} is {found!r:.80}, expected a list") from None


def field_name(field: object) -> bytes:
    """A field's name in lower case; empty for what is no field, about which encoding it will have more to say."""
    name = field[0] if isinstance(field, (tuple, list)) and field else None
    return bytes(name).lower() if isinstance(name, (bytes, bytearray, memoryview)) else b""


class FilePart:
    """The part of an open file that a message asks for (ASGI extension "Zero Copy Send").

    Attributes:
        file: the descriptor.
        offset, count: which octets of it.
    """

    __slots__ = ("_seek", "count", "file", "offset")

    def __init__(self, message: Message) -> None:
        """Raises ApplicationError: the message has no open file, or none that has such a part."""
        opened = required(message, "file")
        offset, count = message.get("offset"), message.get("count")
        # Where the message says no offset: what moves the file's position.
        self._seek: Any = None
        try:
            self.file: int = opened if isinstance(opened, int) else opened.fileno()
            if offset is None:
                # The position of a file object is not that of its descriptor, which may have read ahead.
                self._seek = partial(os.lseek, self.file) if isinstance(opened, int) else opened.seek
                offset = self._seek(0, os.SEEK_CUR)
            if count is None:
                count = max(os.fstat(self.file).st_size - offset, 0)
        except (OSError, AttributeError, TypeError, ValueError) as error:
            raise ApplicationError(
                f"http.response.zerocopysend with file {opened!r:.80}, expected an open file: {error}"
            ) from error
        if not isinstance(offset, int) or not isinstance(count, int) or offset < 0 or count < 0:
            raise ApplicationError(
                f"http.response.zerocopysend with offset {offset!r:.40} and count {count!r:.40}, expected 0 or more"
            )
        self.offset: int = offset
        self.count: int = count

    def advance(self) -> None:
        """Move the file's position behind the part, if it was the position that said where the part begins."""
        if self._seek is not None:
            self._seek(self.offset + self.count, os.SEEK_SET)
