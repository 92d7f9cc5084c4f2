"""What goes over a connection: octets that a client writes, and the answers that must come back."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Exchange:
    """One write of a client, and what is the right answer to each request in it."""

    write: bytes
    content: bytes  # of each answer
    status: int = 200
    requests: int = 1  # that the write holds, all alike


def request(method: str, target: str, *lines: str, content: bytes | None = None) -> bytes:
    """A request with a Host field, the given field lines, and the content, if any, as JSON."""
    lines = (f"{method} {target} HTTP/1.1", "Host: bench.example", *lines)
    if content is not None:
        lines += ("Content-Type: application/json", f"Content-Length: {len(content)}")
    return "\r\n".join([*lines, "", ""]).encode() + (content or b"")
