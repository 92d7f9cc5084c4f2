"""How a worker is made to go: told to, and where that is not enough, by signals.

Knows one member at a time. Does not know why it has to go, nor whether another one comes.
"""

from __future__ import annotations

import signal

from .member import Member, State

__all__ = ["drop", "end_by_force", "give_up", "leave", "let_go", "vacate"]

# 2 s: for a worker that has nothing to finish.
_DROP_SECONDS = 2.0


def let_go(member: Member, now: float, seconds: float, *, patient: bool) -> None:
    """Let a worker drain, and see to it that this ends in *seconds*.

    *patient*: another one serves on, so there is time for clients whose connections are idle to be told of their end.
    """
    if member.state not in (State.LEAVING, State.HUNG):
        member.handle.tell("stop", force=False, patient=patient)
        end_by_force(member, now + seconds)
        leave(member)


def drop(member: Member, now: float) -> None:
    """End a worker that has not served anybody."""
    member.handle.tell("stop", force=True, patient=False)
    end_by_force(member, now + _DROP_SECONDS)
    leave(member)


def give_up(member: Member, deadline: float) -> None:
    """End a worker that hangs, by force from *deadline* on; if it comes to itself before, it ends by itself."""
    member.handle.tell("stop", force=True, patient=False)
    end_by_force(member, deadline)
    leave(member)


def end_by_force(member: Member, deadline: float) -> None:
    """Have *member* sent SIGTERM at the time *deadline*, and SIGKILL a little later; if this is under way, no later."""
    if member.steps and member.deadline is not None:
        # Whoever presses Ctrl-C again and again must not put off what he waits for.
        member.deadline = min(member.deadline, deadline)
    else:
        member.deadline = deadline
        member.steps = [signal.SIGTERM, signal.SIGKILL]


def leave(member: Member) -> None:
    """Count with *member* no more: its place is free for another one."""
    member.state = State.LEAVING
    member.listens.clear()
    vacate(member)


def vacate(member: Member) -> None:
    """Take *member* out of its place."""
    place = member.place
    if place.current is member:
        place.current = None
    if place.next is member:
        place.next = None
