"""Which of a file's content codings a client is sent (RFC 9110 §12.5.3).

Knows the Accept-Encoding field and the sizes of what there is. Knows no file, and writes no field.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

__all__ = ["CODINGS", "choose"]

#: The content codings and the ending of a file's name that has them, the one liked best first.
CODINGS: tuple[tuple[str, bytes], ...] = (("br", b".br"), ("zstd", b".zst"), ("gzip", b".gz"))

_NAMES = (*(coding for coding, _ in CODINGS), "identity")
# RFC 9110 §8.4.1.3: x-gzip is to be taken for gzip.
_SPELLINGS = {coding.encode(): coding for coding in _NAMES} | {b"x-gzip": "gzip", b"*": "*"}
# RFC 9110 §12.5.3: codings [ weight ], and §12.4.2: weight = OWS ";" OWS "q=" qvalue
_MEMBER = re.compile(
    rb"[ \t]*+([!#$%&'*+\-.^_`|~0-9A-Za-z]++)(?:[ \t]*+;[ \t]*+[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?[ \t]*+"
)
# Browsers send four or five members.
_MOST_MEMBERS = 64
# A browser's field has 23 to 50 octets. Longer ones are read anew, so that what is remembered stays small.
_MOST_REMEMBERED_OCTETS = 128
# Less than any weight that can be written, but for 0.
_UNNAMED_IDENTITY = 0.0001


def choose(accept_encoding: bytes | None, sizes: Mapping[str, int]) -> str:
    """The coding to send, "identity" for none.

    *accept_encoding* is the value of the field, its lines joined by commas, or None where there is none; *sizes* has
    the octets of each coding that exists, and of "identity". The greatest weight wins; of equal weights, the fewest
    octets; of equal sizes, the order of CODINGS. A coding that is named twice has the smaller weight, malformed members
    and those after the 64th count for nothing. Where nothing is acceptable, it is "identity": §12.5.3 lets a server
    ignore the field then.
    """
    if not accept_encoding:
        return "identity"
    weights = (_weights if len(accept_encoding) > _MOST_REMEMBERED_OCTETS else _remembered_weights)(accept_encoding)
    others = weights.get("*", 0.0)
    best, best_weight, best_size = "identity", 0.0, 0
    for coding in _NAMES:
        if coding not in sizes:
            continue
        # §12.5.3, rule 2: what has no coding is acceptable unless it is refused, by its name or by "*".
        unnamed = _UNNAMED_IDENTITY if coding == "identity" else others
        weight, size = weights.get(coding, unnamed), sizes[coding]
        if weight > best_weight or (weight == best_weight > 0 and size < best_size):
            best, best_weight, best_size = coding, weight, size
    return best


def _weights(accept_encoding: bytes) -> dict[str, float]:
    weights: dict[str, float] = {}
    for text in accept_encoding.split(b",", _MOST_MEMBERS)[:_MOST_MEMBERS]:
        member = _MEMBER.fullmatch(text)
        if member and (coding := _SPELLINGS.get(member[1].lower())):
            weight = float(member[2] or 1)
            # What is refused once must not be sent because it is named again.
            weights[coding] = min(weight, weights.get(coding, weight))
    return weights


# A file that is in memory is found in less time than the field takes to read: 0.6 against 4.0 µs (3.11, 2026-11).
_remembered_weights = lru_cache(maxsize=128)(_weights)
