"""What this process is, for whoever must not serve in it a second time. Light, because every start asks."""

from __future__ import annotations

__all__ = ["is_worker"]

#: Whether it is a worker that a supervisor has started; set by process_main.
is_worker = False
