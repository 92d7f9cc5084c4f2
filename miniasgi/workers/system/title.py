"""What a process calls itself in the system's list of processes. The only file that imports setproctitle."""

from __future__ import annotations

__all__ = ["set_title", "title"]


def title(role: str, app: str) -> str:
    """The title of a process: its *role*, such as "supervisor" or "worker 2", and the *app*, if there is one."""
    return f"miniasgi: {role} {app}".rstrip()


def set_title(text: str) -> None:
    """Show *text* as this process's command line, where the package setproctitle is installed; else do nothing."""
    try:
        # unused-ignore: it is found where somebody has installed it.
        import setproctitle  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return
    # A name that is not UTF-8 cannot be shown; that it is no application will be said by whoever looks for it.
    setproctitle.setproctitle(text.encode("utf-8", "replace").decode())
