"""From APP and Config to the application that is served: loaded, and with the folders in front that Config names.

The one place where the server meets its own application for files; for everything else that is an application like any
other.
"""

from __future__ import annotations

from . import importer
from .config import Config
from .errors import UsageError
from .types import App

__all__ = ["application"]


def application(app: App | str | None, config: Config) -> App:
    """The application that *app* is or names, behind the folders of *config*; without *app* the folders alone.

    Raises StartupError: it cannot be loaded. UsageError: an option about files cannot be, or there is nothing to serve.
    """
    if isinstance(app, str):
        app = importer.load(app, factory=config.factory, app_dir=config.app_dir)
    if config.static:
        return _static_files(app, config)
    if app is None:
        raise UsageError("APP or --static DIR is missing")
    return app


def _static_files(app: App | None, config: Config) -> App:
    from .static import StaticFiles  # an application without files need not pay for it

    try:
        return StaticFiles(
            config.static,
            fallback=app,
            index=config.index,
            listing=config.listing,
            precompressed=config.precompressed,
            spa=config.spa,
            not_found=config.not_found,
            clean_urls=config.clean_urls,
            cache_control=config.cache_control,
            immutable=config.immutable,
            headers=config.static_headers,
            cors=config.cors,
            follow_symlinks=config.follow_symlinks,
            dotfiles=config.dotfiles,
            hide=config.hide,
            cache=config.static_cache,
            mime=config.mime,
            basic_auth=config.basic_auth,
            live_reload=config.live_reload,
        )
    except ValueError as error:
        raise UsageError(f"static files: {error}") from error
    except OSError as error:
        raise UsageError(f"static: {error.filename!r} cannot be read: {error.strerror}") from error
