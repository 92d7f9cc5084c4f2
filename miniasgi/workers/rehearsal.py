"""All that a start can fail at, tried without listening: what --check-config does.

Knows who in the server reads which option. The application is imported, but not started: its lifespan may do what is
not meant to be done twice.
"""

from __future__ import annotations

from ..config import Config
from ..errors import StartupError
from ..types import App
from .check import check
from .serving.hooks import Hooks
from .serving.spec import WorkerSpec
from .system.exits import count

__all__ = ["rehearse"]


def rehearse(app: str | None, config: Config) -> str:
    """What would be served, and how, in a few words.

    Opens log files as the server does. Raises StartupError, or UsageError for an option: what the server would refuse.
    """
    check(config)
    # Only who starts a worker has the server; here it is for the few that ask.
    from .. import importer
    from ..observe import logs
    from ..server.connections.websocket import codec_factory
    from ..server.loops import loop_factory
    from ..server.server import Server, parser_factory
    from ..server.tls.options import speaks_tls
    from ..server.tls.tls import Tls

    found: App | None = None
    if app is not None:
        found = importer.load(app, factory=config.factory, app_dir=config.app_dir)
    # After the import, as in a worker, because an application's own logging may undo what is before it.
    logs.configure(config)
    Hooks.load(config.hooks, config.app_dir)
    Server(found, config)  # opens the folders
    parser_factory(config.http)
    codec_factory(config.ws)
    loop = loop_factory(config.loop)()
    loop.close()
    scheme = "http"
    if speaks_tls(config):
        scheme = "https"
        troubles = Tls(config).check_dates()
        if troubles:
            raise StartupError(troubles[0])
    workers = f"worker {config.worker_class}"
    many = "as many workers as CPUs" if config.workers is None else count(config.workers, workers, _ending(config))
    name = WorkerSpec(app, config).app_name
    return f"{name} on {' and '.join(_addresses(config))}, {scheme}, {type(loop).__module__.partition('.')[0]}, {many}"


def _ending(config: Config) -> str:
    return "es" if config.worker_class == "process" else "s"


def _addresses(config: Config) -> list[str]:
    """Where it would listen, as the user has said it."""
    found = [str(each) for each in config.bind]
    if config.uds:
        found.append(f"unix:{config.uds}")
    if config.fd is not None:
        found.append(f"fd://{config.fd}")
    host = f"[{config.host}]" if ":" in config.host else config.host
    return found or [f"{host}:{config.port}"]
