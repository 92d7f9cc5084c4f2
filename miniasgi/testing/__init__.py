"""A kit for testing parsers, and fakes for testing what uses them.

check_parser holds a parser against everything that the server relies on: what is taken and what it means, what is
refused and with which status, and that neither depends on how the octets were cut on their way. The parsers that come
with miniasgi pass it, and so must every other.
"""

from .cases import SMALL_LIMITS, Case, Event, cases
from .kit import RecordingSink, check_case, check_parser
from .transport import FakeTransport

__all__ = ["SMALL_LIMITS", "Case", "Event", "FakeTransport", "RecordingSink", "cases", "check_case", "check_parser"]
