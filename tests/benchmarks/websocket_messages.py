"""What WebSocket clients say to a server, and what must come back: contents and, made beforehand, their frames."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .websocket_frames import BINARY, TEXT, client_frame, compressed, server_frame

# Different ones, so that a compressor cannot take each message for a repetition of the last.
DISTINCT_MESSAGES = 16
# Room for one more item and for what stands around the items.
_ITEM_OCTETS = 160

_NAMES = ("Ada", "Grace", "Mary", "Emmy", "Sofia", "Hedy", "Lise", "Rosalind")
_WORDS = (
    *("order", "ticket", "delivery", "tomorrow", "confirmed", "waiting", "for", "the", "customer", "invoice"),
    *("was", "sent", "again", "please", "check", "address", "and", "price", "of", "both", "items", "thanks"),
)


@dataclass(frozen=True)
class Messages:
    """What the clients of a workload say."""

    octets: int  # of each message
    is_text: bool = True
    is_compressed: bool = False  # with permessage-deflate, in both directions
    # One client more than the workload's connections says it, and all of the others hear it; else each says it and
    # hears its own.
    is_broadcast: bool = False


class Message(NamedTuple):
    """One of them."""

    content: bytes
    frame: bytes  # as the client writes it
    answer: bytes  # as the server must write it; empty if it is compressed, for that can be done in many ways


def messages_of(messages: Messages) -> Sequence[Message]:
    """All that a client says, in turn; the same in each run."""
    return [_message(messages, number) for number in range(DISTINCT_MESSAGES)]


def json_text(octets: int, number: int) -> bytes:
    """A JSON document of exactly that many octets, in which names, words and numbers come as an application's do."""
    chance = random.Random(number)
    items: list[dict[str, object]] = []
    while len(_document(number, items, "")) + _ITEM_OCTETS <= octets:
        text = " ".join(chance.choices(_WORDS, k=chance.randrange(4, 10)))
        price = chance.randrange(100, 100_000) / 100
        items.append({"id": chance.randrange(10**6), "user": chance.choice(_NAMES), "price": price, "text": text})
    words = " ".join(chance.choices(_WORDS, k=_ITEM_OCTETS))
    return _document(number, items, words[: octets - len(_document(number, items, ""))])


def _document(number: int, items: list[dict[str, object]], note: str) -> bytes:
    return json.dumps({"id": 1000 + number, "items": items, "note": note}, separators=(",", ":")).encode()


def _message(messages: Messages, number: int) -> Message:
    opcode = TEXT if messages.is_text else BINARY
    content = json_text(messages.octets, number)
    # A mask of zeros would let a server off that forgets to unmask.
    mask = random.Random(number).randbytes(3) + b"\x5a"
    if messages.is_compressed:
        return Message(content, client_frame(opcode, compressed(content), mask, is_compressed=True), b"")
    return Message(content, client_frame(opcode, content, mask), server_frame(opcode, content))
