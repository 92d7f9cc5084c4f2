"""What is done about a worker that gives no sign of life, or does not end: look, ask, then force.

Each step is logged, so that nobody has to guess why a worker was killed.
"""

from __future__ import annotations

import logging
import signal

from ...config import Config
from ..kinds.process import REPORT_SIGNAL
from ..system.exits import resident_octets
from .leaving import give_up
from .member import Member, State

__all__ = ["ATTENTIVE_SECONDS", "check_health", "why_replace"]

logger = logging.getLogger("miniasgi.server")

#: 3 s: after three beats that have not come, others accept what waits for this worker.
ATTENTIVE_SECONDS = 3.0

# 2 s: for a thread of the worker to say where the loop is, however busy the machine.
_REPORT_SECONDS = 2.0
# 5 s: from SIGTERM to SIGKILL.
_FORCE_SECONDS = 5.0


def check_health(member: Member, config: Config, now: float) -> None:
    """Take the next step against *member*, if one is due."""
    # The same sum as that for which the supervisor waits: rounded otherwise, it would not be due yet.
    if member.state is State.SERVING and now >= member.heard_at + config.timeout_worker_healthcheck:
        logger.error(
            "%s has given no sign of life for %.0f s (--timeout-worker-healthcheck is %g s), and is replaced",
            member.name,
            now - member.heard_at,
            config.timeout_worker_healthcheck,
        )
        member.state = State.HUNG
        member.deadline = now + _REPORT_SECONDS
        member.handle.tell("report")
    if member.deadline is None or now < member.deadline:
        return
    if member.state is State.HUNG:
        shown = member.handle.signal(REPORT_SIGNAL)
        logger.error(
            "%s does not even say where it hangs%s",
            member.name,
            ": native code holds its interpreter; Python's stacks are on standard error" if shown else "",
        )
        give_up(member, now + 0.5)
    elif member.steps:
        # A signal alone does not say that there is no time left: a service manager sends it to all processes at once.
        member.handle.tell("stop", force=True, patient=False)
        number = member.steps.pop(0)
        name = signal.Signals(number).name
        if member.handle.signal(number):
            # One that has never been ready is most likely slow to start, and no news beside why the server ends.
            level = logging.DEBUG if member.steps and not member.served_at else logging.WARNING
            logger.log(level, "%s is sent %s: it has not ended", member.name, name)
            member.deadline = now + _FORCE_SECONDS if member.steps else None
        else:
            logger.error("%s does not end, and nothing else ends a thread: it is left", member.name)
            member.deadline, member.stuck = None, True


def why_replace(member: Member, config: Config, now: float) -> str:
    """Why *member*, which may be well, is to make room for another one; empty where it is not."""
    if member.state is not State.SERVING:
        return ""
    if member.requests >= member.most_requests:
        return f"it has taken {member.requests} requests"
    if now - member.served_at >= member.most_seconds:
        return f"it has served for {now - member.served_at:.0f} s"
    most = config.workers_max_rss
    used = resident_octets(member.handle.pid) if most is not None and member.handle.pid else None
    if most is not None and used is not None and used > most:
        return f"its memory is {used >> 20} MiB, and at most {most >> 20} are allowed"
    return ""
