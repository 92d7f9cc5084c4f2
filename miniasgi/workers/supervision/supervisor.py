"""Keeps as many workers up as are wanted: starts, replaces and stops them, and says why.

Knows what a member has said and what time it is, and decides. Starts no process itself and waits for nothing: *spawn*
gives it workers, main_loop tells it what has happened and calls step() when the time has come. So its tests need
neither processes nor patience.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from ...config import Config
from ...errors import StartupError
from ..kinds.channel import Said
from ..serving.spec import leave_seconds
from ..system.exits import count
from .failures import FIRST_DELAY, delay, note_death, shown, start_failure
from .health import ATTENTIVE_SECONDS, check_health, why_replace
from .leaving import drop, end_by_force, give_up, let_go, vacate
from .member import Handle, Member, Place, State
from .sharing import Sockets, share_sockets, tell_listen

__all__ = ["MOST_WORKERS", "Supervisor"]

logger = logging.getLogger("miniasgi.server")

# 4: threads that hang, and cannot be ended, before no more are started beside them.
_MOST_STUCK = 4
#: 1,024: more workers than any machine has use for; a finger on a key must not fill the memory.
MOST_WORKERS = 1024


class Supervisor:
    """Reconciles the workers there are with those that there should be.

    *spawn* starts a worker for a place, and raises StartupError if it cannot. *ready* is called once, when all of the
    first workers are, with the name of their event loop.

    Attributes:
        members: all workers that run, those included that are on their way out.
        failure: why the server cannot start; set when a worker of the first ones does not come up.
    """

    #: As the log calls who fills a place.
    member_name = "worker {}"

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
        developing: bool = False,
    ) -> None:
        """*exhausted* is called, with the reason, when so many threads hang that the process should be replaced.

        *developing*: each worker waits for its predecessor's end, and if one does not come up, not
        even the first, the next change of the code is waited for.
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
        self._developing = developing
        self._places: dict[int, Place] = {}
        self._generation = 1
        self._loop = ""
        self._up = False  # whether all of the first workers have been ready
        #: Whether the members of this generation wait for each other before they take over.
        self.reloading = False
        self.leave_seconds = leave_seconds(config)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to be done: all have ended that can be made to."""
        return self.stopping and all(member.stuck for member in self.members)

    # What it is told to do

    def stop(self, *, force: bool = False, patient: bool = False) -> None:
        """Let all workers end, or with *force* make them; *patient*, let clients that are idle ask once more."""
        if not self.stopping:
            self.stopping = True
            self._sockets.close()
        for member in self.members:
            if force:
                member.handle.tell("stop", force=True, patient=False)
                member.state = State.LEAVING
                end_by_force(member, self.clock() + 1)
            elif member.state is not State.LEAVING:
                self._let_go(member, patient=patient)
            elif not patient:
                member.handle.tell("stop", force=False, patient=False)  # one that has been let go in patience

    def reload(self) -> None:
        """Start as many workers as there are with the code as it is now, and when all are ready, let them take over."""
        if self.stopping:
            return
        logger.info("loading the application anew")
        if self._developing:  # which never has two workers in one place
            self.restart()
            return
        for place in self._places.values():
            place.failures, place.not_before = 0, 0.0
            if place.next is not None:  # of a reload before this one, or about to load nobody knows which code
                drop(place.next, self.clock())
        self._generation += 1
        self.reloading = True

    def restart(self) -> None:
        """End the workers there are, and start others; for development, where the old code is of no more interest."""
        if self.stopping:
            return
        for place in self._places.values():
            place.failures, place.not_before = 0, 0.0
        for member in list(self.members):
            if member.state is State.STARTING:
                drop(member, self.clock())
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
        if self.wanted < MOST_WORKERS:
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
            give_up(member, now)
        elif kind == "recycle" and member.state is State.SERVING and not member.leaving_for:
            member.leaving_for = said["reason"]
            logger.info("%s is replaced: %s", member.name, member.leaving_for)

    def ended(self, member: Member, how: str) -> None:
        """A worker has gone; *how*, in words."""
        self.members.remove(member)
        member.handle.close()
        vacate(member)
        place = member.place
        if member.state is State.LEAVING or self.stopping:
            level = logging.INFO if "SIGKILL" in how else logging.DEBUG
            logger.log(level, "%s has ended: it %s", member.name, how.partition("; ")[0])
        elif member.state is State.STARTING:
            self._not_started(place, member.name, start_failure(member, how), has_said=member.failure is not None)
        else:
            note_death(member, how, self.clock(), wanted=place.number <= self.wanted)

    def step(self) -> float | None:
        """Do what is due; the clock's time at which something will be, as far as that is known."""
        now = self.clock()
        for member in list(self.members):
            check_health(member, self.config, now)
        if not self.stopping:
            self._reconcile(now)
        if not self.stopping:  # because the first worker could not be started
            self._take_over()
            self._let_surplus_go()
            share_sockets(self._places.values(), self._sockets, now)
        return min(self._times(now), default=None)

    # Deciding

    def _reconcile(self, now: float) -> None:
        for number in range(1, self.wanted + 1):
            place = self._places.setdefault(number, Place(number, self.member_name.format(number)))
            current = place.current
            if current is not None and not current.leaving_for and not self._is_old(current):
                reason = why_replace(current, self.config, now)
                if reason:
                    current.leaving_for = reason
                    logger.info("%s is replaced: %s", current.name, reason)
            wanted = current is None or current.leaving_for or self._is_old(current)
            if wanted and place.next is None and now >= place.not_before:
                if self._developing and current is not None:
                    self._let_go(current)
                if self._may_start(place):
                    self._start(place, now)
                if self.stopping:
                    return

    def _may_start(self, place: Place) -> bool:
        others = [member for member in self.members if member.place.number == place.number and not member.stuck]
        if self._developing and others:
            return False  # in development the one before may hold what the next one needs
        stuck = sum(member.stuck for member in self.members)
        if stuck >= _MOST_STUCK and not self._is_exhausted:
            self._is_exhausted = True
            logger.error("%d threads hang; no others are started in their places", stuck)
            if self._exhausted is not None:
                self._exhausted(f"{stuck} of its threads hang")
        return stuck < _MOST_STUCK

    def _is_old(self, member: Member) -> bool:
        return self.reloading and member.generation < self._generation

    def _start(self, place: Place, now: float) -> None:
        try:
            handle = self._spawn(place.number)
        except StartupError as error:
            self._not_started(place, place.name, error)
            return
        place.next = Member(place, handle, self._generation, now, heard_at=now)
        self.members.append(place.next)
        logger.debug("%s starts", place.next.name)

    def _take_over(self) -> None:
        """Let those serve that are ready; while the code is loaded anew, only all of them together."""
        places = [self._places[number] for number in range(1, self.wanted + 1)]
        coming = [place.next for place in places if place.next is not None and place.next.state is State.READY]
        if self.reloading:
            # Until the last one is ready, the old code serves, and nobody sees two versions.
            if len(coming) < self.wanted:
                return
            self.reloading = False
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
        tell_listen(member, self._sockets, self._sockets.key(place.number))
        if before is not None:
            self._let_go(before, patient=True)

    def _not_started(self, place: Place, name: str, failure: StartupError, *, has_said: bool = False) -> None:
        """A worker has not come up; *has_said*: it has told why itself, so the next one would as well."""
        if self._developing:
            self._wait_for_change(failure)
        elif not self._up:
            self.failure = failure
            self.stop(force=True)
        elif self.reloading and (has_said or place.failures > 2):
            self._abandon_reload(failure)
        else:
            # At least so long, because it would most likely fail again.
            delay(place, self.clock(), least=FIRST_DELAY)
            logger.error("%s did not start: %s", name, shown(failure))

    def _abandon_reload(self, failure: StartupError) -> None:
        self.reloading = False
        left = "the old one stays" if any(place.current for place in self._places.values()) else "none is left"
        for place in self._places.values():
            if place.next is not None:
                drop(place.next, self.clock())
            if place.current is None:
                delay(place, self.clock(), least=FIRST_DELAY)
        logger.error("the application could not be loaded anew, and %s: %s", left, shown(failure))

    def _wait_for_change(self, failure: StartupError) -> None:
        logger.error("%s\nwaiting for the next change", shown(failure))
        for place in self._places.values():
            place.not_before = float("inf")
            if place.next is not None and place.next.state is State.STARTING:  # it would say the same again
                drop(place.next, self.clock())

    def _let_go(self, member: Member, *, patient: bool = False) -> None:
        let_go(member, self.clock(), self.leave_seconds, patient=patient)

    def _let_surplus_go(self) -> None:
        for place in [each for each in self._places.values() if each.number > self.wanted]:
            # While the code is loaded anew, those that serve stay until others do.
            for member in (None if self.reloading else place.current, place.next):
                if member is not None:
                    self._let_go(member, patient=True)
            if place.current is None and place.next is None:
                del self._places[place.number]

    def _times(self, now: float) -> Iterator[float]:
        """When something will be due."""
        for member in self.members:
            if member.deadline is not None:
                yield member.deadline
            elif member.state is State.SERVING:
                yield max(member.heard_at + ATTENTIVE_SECONDS, now + 1)
                yield member.heard_at + self.config.timeout_worker_healthcheck
        if not self.stopping:
            # Infinity: until the next change.
            yield from (place.not_before for place in self._places.values() if now < place.not_before < float("inf"))
