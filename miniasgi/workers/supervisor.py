"""Keeps as many workers up as are wanted: starts, replaces and stops them, and says why.

Knows what a member has said and what time it is, and decides. Starts no process itself and waits for nothing: *spawn*
gives it workers, main_loop tells it what has happened and calls step() when the time has come. So its tests need
neither processes nor patience.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from ..config import Config
from ..errors import StartupError
from .channel import Said
from .exits import count
from .health import ATTENTIVE_SECONDS, check_health, end_by_force, why_replace
from .member import Handle, Member, Place, State
from .sharing import Sockets, share_sockets, tell_listen

__all__ = ["Supervisor"]

logger = logging.getLogger("miniasgi.server")

# 60 s: a worker that has served for so long did not die of its start, and the next one need not wait.
_YOUNG_SECONDS = 60.0
# 0.5 s, doubled each time, up to 30 s: between two starts in a place whose workers keep dying.
_FIRST_DELAY, _LONGEST_DELAY = 0.5, 30.0
# 4: threads that hang, and cannot be ended, before no more are started beside them.
_MOST_STUCK = 4
# 1,024: more workers than any machine has use for; a finger on a key must not fill the memory.
_MOST_WORKERS = 1024


class Supervisor:
    """Reconciles the workers there are with those that there should be.

    *spawn* starts a worker for a place, and raises StartupError if it cannot. *ready* is called once, when all of the
    first workers are, with the name of their event loop.

    Attributes:
        members: all workers that run, those included that are on their way out.
        failure: why the server cannot start; set when a worker of the first ones does not come up.
    """

    def __init__(
        self,
        config: Config,
        places: Sockets,
        *,
        wanted: int,
        spawn: Callable[[int], Handle],
        clock: Callable[[], float],
        ready: Callable[[str], None],
        exhausted: Callable[[str], None] | None = None,
        patient: bool = False,
    ) -> None:
        """*exhausted* is called, with the reason, when so many threads hang that the process should be replaced.

        *patient*: a first worker that does not come up is no reason to give up; the next restart may do better.
        """
        self.config = config
        self.clock = clock
        self.wanted = wanted
        self.members: list[Member] = []
        self.failure: StartupError | None = None
        self.stopping = False
        self._sockets = places
        self._spawn = spawn
        self._ready = ready
        self._exhausted = exhausted
        self._is_exhausted = False
        self._patient = patient
        self._places: dict[int, Place] = {}
        self._generation = 1
        self._loop = ""
        self._up = False  # whether all of the first workers have been ready
        # Whether the members of this generation wait for each other before they take over.
        self._reloading = False
        # Drain, lifespan shutdown, and what each of them needs to give up.
        self.leave_seconds = 2 * config.timeout_graceful_shutdown + 10

    @property
    def finished(self) -> bool:
        """Whether nothing is left to be done: all have ended that can be made to."""
        return self.stopping and all(member.stuck for member in self.members)

    # What it is told to do

    def stop(self, *, force: bool = False) -> None:
        """Let all workers end, or with *force* make them."""
        if not self.stopping:
            self.stopping = True
            self._sockets.close()
        for member in self.members:
            if force:
                member.handle.tell("stop", force=True)
                member.state = State.LEAVING
                end_by_force(member, self.clock() + 1)
            elif member.state is not State.LEAVING:
                self._let_go(member)

    def reload(self) -> None:
        """Start as many workers as there are with the code as it is now, and when all are ready, let them take over."""
        if self.stopping:
            return
        for place in self._places.values():
            place.failures, place.not_before = 0, 0.0
            if place.next is not None:  # of a reload before this one, or about to load nobody knows which code
                self._drop(place.next)
        self._generation += 1
        self._reloading = True
        logger.info("loading the application anew")

    def restart(self) -> None:
        """End the workers there are, and start others; for development, where the old code is of no more interest."""
        for place in self._places.values():
            place.failures, place.not_before = 0, 0.0
        for member in list(self.members):
            if member.state is State.STARTING:
                self._drop(member)
            else:
                self._let_go(member)

    def excuse(self, seconds: float) -> None:
        """Nobody has listened for so long: silence in that time says nothing about the workers."""
        for member in self.members:
            member.heard_at += seconds
            if member.deadline is not None:
                member.deadline += seconds

    def want(self, number: int) -> None:
        """So many workers from now on."""
        self.wanted = number

    def listen_again(self) -> None:
        """Let those that serve accept from the sockets that there are now."""
        for member in self.members:
            for key in member.listens:
                member.handle.tell("forget", place=key)
            member.listens.clear()
            if member.state is State.SERVING:
                tell_listen(member, self._sockets, self._sockets.key(member.place.number))

    def more(self) -> None:
        """One worker more."""
        if self.wanted < _MOST_WORKERS:
            self.wanted += 1
            logger.info("%d workers are wanted now", self.wanted)

    def fewer(self) -> None:
        """One worker fewer, but never none."""
        if self.wanted > 1:
            self.wanted -= 1
            logger.info("%d workers are wanted now", self.wanted)
        else:
            logger.warning("one worker is the least: it stays")

    def reopen_files(self) -> None:
        """Let each worker open its log files anew."""
        for member in self.members:
            member.handle.tell("reopen")

    # What has happened

    def heard(self, member: Member, said: Said) -> None:
        """A worker has said something."""
        now = self.clock()
        member.heard_at = now
        kind = said["kind"]
        if kind == "ready" and member.state is State.STARTING:
            member.state, member.served_at = State.READY, now
            member.draw_limits(self.config)
            logger.debug("%s is ready after %.1f s", member.name, now - member.started_at)
            self._loop = said["loop"]
        elif kind == "failed":
            member.failure = said
        elif kind == "beat":
            member.requests, member.running, member.connections = (
                said["vitals"][name] for name in ("requests", "running", "connections")
            )
        elif kind == "report" and member.state is State.HUNG:
            logger.error("%s hangs:\n%s", member.name, said["text"])
            end_by_force(member, now)
            self._leave(member)
        elif kind == "recycle":
            member.leaving_for = said["reason"]

    def ended(self, member: Member, how: str) -> None:
        """A worker has gone; *how*, in words."""
        self.members.remove(member)
        member.handle.close()
        place = member.place
        was_expected = member.state is State.LEAVING
        if place.current is member:
            place.current = None
        if place.next is member:
            place.next = None
        if was_expected or self.stopping:
            level = logging.INFO if "SIGKILL" in how else logging.DEBUG
            logger.log(level, "%s has ended: it %s", member.name, how.partition("; ")[0])
        elif member.state is State.STARTING:
            self._failed(member, how)
        else:
            self._died(member, how)
        self._forget_empty_places()

    def step(self) -> float | None:
        """Do what is due; the clock's time at which something will be, as far as that is known."""
        now = self.clock()
        for member in list(self.members):
            check_health(member, self.config, now, self._leave)
        if not self.stopping:
            self._reconcile(now)
            self._take_over()
            share_sockets(self._places.values(), self._sockets, now)
        return min(self._times(now), default=None)

    # Deciding

    def _reconcile(self, now: float) -> None:
        for number in range(1, self.wanted + 1):
            place = self._places.setdefault(number, Place(number))
            current = place.current
            if current is not None and not current.leaving_for and not self._is_old(current):
                reason = why_replace(current, self.config, now)
                if reason:
                    current.leaving_for = reason
                    logger.info("%s is replaced: %s", current.name, reason)
            wanted = current is None or current.leaving_for or self._is_old(current)
            if wanted and place.next is None and now >= place.not_before and self._may_start(place):
                self._start(place, now)
        for place in list(self._places.values()):
            if place.number > self.wanted:
                for member in (place.current, place.next):
                    if member is not None:
                        self._let_go(member)
        self._forget_empty_places()

    def _may_start(self, place: Place) -> bool:
        if self._patient:
            # In development the one before may hold what the next one needs.
            return not any(member.place is place for member in self.members)
        stuck = sum(member.stuck for member in self.members)
        if stuck >= _MOST_STUCK and not self._is_exhausted:
            self._is_exhausted = True
            logger.error("%d threads hang; no others are started in their places", stuck)
            if self._exhausted is not None:
                self._exhausted(f"{stuck} of its threads hang")
        return stuck < _MOST_STUCK

    def _is_old(self, member: Member) -> bool:
        return self._reloading and member.generation < self._generation

    def _start(self, place: Place, now: float) -> None:
        try:
            handle = self._spawn(place.number)
        except StartupError as error:
            if not self._up:
                raise
            self._delay(place)
            logger.error("worker %d cannot be started: %s", place.number, error)
            return
        place.next = Member(place, handle, self._generation, now, heard_at=now)
        self.members.append(place.next)
        logger.debug("%s starts", place.next.name)

    def _take_over(self) -> None:
        """Let those serve that are ready; while the code is loaded anew, only all of them together."""
        places = [self._places[number] for number in range(1, self.wanted + 1)]
        coming = [place.next for place in places if place.next is not None and place.next.state is State.READY]
        if self._reloading:
            # Until the last one is ready, the old code serves, and nobody sees two versions.
            if len(coming) < self.wanted:
                return
            self._reloading = False
            logger.info("the application has been loaded anew by %s", count(len(coming), "worker"))
        for member in coming:
            self._serve(member)
        if not self._up and all(place.current is not None for place in places):
            self._up = True
            self._ready(self._loop)

    def _serve(self, member: Member) -> None:
        place = member.place
        before, place.current, place.next = place.current, member, None
        member.state = State.SERVING
        place.opened = True
        tell_listen(member, self._sockets, self._sockets.key(place.number))
        if before is not None:
            self._let_go(before)

    def _failed(self, member: Member, how: str) -> None:
        """A worker has not come up."""
        said = member.failure or {"message": f"a worker {how} while it started", "details": "", "status": 3}
        failure = StartupError(said["message"], said["details"])
        failure.exit_status = said["status"]
        if not self._up and not self._patient:
            if self.failure is None:
                self.failure = failure
            self.stop(force=True)
        elif self._reloading and (member.failure is not None or member.place.failures > 2):
            self._abandon_reload(failure)
        elif not self._patient:
            self._delay(member.place)
            logger.error("%s did not start: %s", member.name, _shown(failure))
        else:
            self._wait_for_reload(failure)

    def _abandon_reload(self, failure: StartupError) -> None:
        self._reloading = False
        for place in self._places.values():
            if place.next is not None:
                self._drop(place.next)
        if any(place.current for place in self._places.values()):
            logger.error("the application could not be loaded anew, and the old one stays: %s", _shown(failure))
        else:
            self._wait_for_reload(failure)

    def _wait_for_reload(self, failure: StartupError) -> None:
        logger.error("%s\nwaiting for the next change", _shown(failure))
        for place in self._places.values():
            place.not_before = float("inf")

    def _died(self, member: Member, how: str) -> None:
        now = self.clock()
        place = member.place
        if now - member.served_at >= _YOUNG_SECONDS:
            place.failures = 0
        delay = self._delay(place) if place.next is None and place.number <= self.wanted else 0.0
        what, _, hint = how.partition("; ")
        logger.error(
            "%s %s after %.0f s, with %s running%s; it is replaced%s",
            member.name,
            what,
            now - member.started_at,
            count(member.running, "request"),
            f" ({hint})" if hint else "",
            f" in {delay:g} s" if delay else "",
        )

    def _delay(self, place: Place) -> float:
        """Let a place whose members keep dying wait a little longer each time; the first one is replaced at once."""
        place.failures += 1
        delay = min(_FIRST_DELAY * 2 ** min(place.failures - 2, 10), _LONGEST_DELAY) if place.failures > 1 else 0.0
        place.not_before = self.clock() + delay
        return delay

    # Going

    def _let_go(self, member: Member) -> None:
        """Let a worker drain, and see to it that this ends."""
        if member.state not in (State.LEAVING, State.HUNG):
            member.handle.tell("stop", force=False)
            end_by_force(member, self.clock() + self.leave_seconds)
            self._leave(member)

    def _drop(self, member: Member) -> None:
        """End a worker that has not served anybody."""
        member.handle.tell("stop", force=True)
        end_by_force(member, self.clock() + 2)
        self._leave(member)

    def _leave(self, member: Member) -> None:
        """Its place is free for another one."""
        member.state = State.LEAVING
        member.listens.clear()
        place = member.place
        if place.current is member:
            place.current = None
        if place.next is member:
            place.next = None

    def _forget_empty_places(self) -> None:
        for place in list(self._places.values()):
            if place.number > self.wanted and place.current is None and place.next is None and not place.opened:
                del self._places[place.number]

    # Time

    def _times(self, now: float) -> Iterator[float]:
        """When something will be due."""
        for member in self.members:
            if member.deadline is not None:
                yield member.deadline
            elif member.state is State.SERVING:
                yield max(member.heard_at + ATTENTIVE_SECONDS, now + 1)
                yield member.heard_at + self.config.timeout_worker_healthcheck
        if not self.stopping:
            yield from (place.not_before for place in self._places.values() if place.not_before > now)


def _shown(failure: StartupError) -> str:
    """The line that says what is wrong, and the user's traceback below it."""
    return f"{failure}\n{failure.details}".rstrip()
