"""Who accepts from which sockets: each worker from its own, and all from those of places that nobody serves.

In a place without a worker, connections would wait in the queue of its sockets: until the next worker is ready, until
one that hangs has been given up, or for ever where one worker fewer is wanted. Closing the socket instead would reset
them.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterable, Sequence
from typing import Protocol

from ...errors import StartupError
from .health import ATTENTIVE_SECONDS
from .member import Member, Place, State

__all__ = ["Sockets", "share_sockets", "tell_listen"]

logger = logging.getLogger("miniasgi.server")


class Sockets(Protocol):
    """The listening sockets of a server's places."""

    def key(self, place: int) -> int:
        """What the sockets of *place* are called; the same for places that share them."""

    @property
    def opened(self) -> set[int]:
        """What those are called that clients may have connected to."""

    def sockets(self, key: int) -> Sequence[socket.socket]:
        """Those that are called *key*. Raises StartupError if they cannot be bound."""

    def close(self) -> None:
        """Let go of them."""


def share_sockets(places: Iterable[Place], sockets: Sockets, now: float) -> None:
    """Tell those that serve which sockets are theirs as things stand."""
    awake = [
        place.current
        for place in places
        if place.current is not None
        and place.current.state is State.SERVING
        and now - place.current.heard_at < ATTENTIVE_SECONDS
    ]
    attended = {sockets.key(member.place.number) for member in awake}
    orphaned = sockets.opened - attended
    for member in awake:
        own = sockets.key(member.place.number)
        for key in sorted(member.listens - orphaned - {own}):
            member.listens.discard(key)
            member.handle.tell("forget", place=key)
        for key in sorted(orphaned - member.listens):
            tell_listen(member, sockets, key)


def tell_listen(member: Member, sockets: Sockets, key: int) -> None:
    """Have *member* accept from the sockets called *key*, or say why there are none."""
    try:
        found = sockets.sockets(key)
    except StartupError as error:
        logger.error("%s has no socket of its own: %s", member.name, error)
        return
    member.listens.add(key)
    member.handle.tell("listen", found, place=key)
