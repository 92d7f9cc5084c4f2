"""The command line: APP and the options of Config in, an exit status out.

Knows what may be asked for in the place of serving, standard output and standard error. Does not know what any single
option means, but that files to serve stand in for APP, nor where options come from (config). Imports the server only
when there is something to serve, so that --help is quick.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

from miniasgi._version import __version__
from miniasgi.config import Config
from miniasgi.config.arguments import Arguments, parse
from miniasgi.config.sources import ENV_FILE_VARIABLE, Settings, own_variable, read_settings
from miniasgi.errors import StartupError, UsageError

__all__ = ["main"]

INTERRUPTED = 130  # as a shell reports SIGINT: 128 + 2
CLOSED_PIPE = 141  # as a shell reports SIGPIPE: 128 + 13


def main(argv: Sequence[str] | None = None, *, prog: str = "miniasgi") -> int:
    """Serve what *argv*, by default the process's own arguments, asks for; the exit status.

    0 after a clean stop, 2 for a bad option, 3 where the server cannot start or what was asked for cannot be printed.
    """
    try:
        return _main(sys.argv[1:] if argv is None else argv, prog)
    except StartupError as error:
        _say(error.report())
        return error.exit_status
    except KeyboardInterrupt:
        return INTERRUPTED


def _main(argv: Sequence[str], prog: str) -> int:
    arguments = parse(argv, prog)
    if "help" in arguments.asked:
        from miniasgi.config.help_text import help_text

        return _print(help_text(prog))
    if "version" in arguments.asked:
        return _print(version_text() + "\n")
    if arguments.error is not None:
        raise arguments.error
    if "hash-password" in arguments.asked:
        return _print(_hash_password() + "\n")
    read = _reader(arguments)
    settings = read()
    for warning in settings.warnings:
        _warn(warning)
    if "print-config" in arguments.asked:
        from miniasgi.config.printed import settings_page

        return _print(settings_page(settings))
    app, config = settings.app, settings.config
    hint = f" (try '{prog} --help')"
    if app is None and not config.static:
        expected = "expected module:attribute, such as myapp:app, or a directory to serve"
        raise UsageError(f"APP or --static DIR is missing: {expected}{hint}")
    if app is not None and ":" not in app and os.path.isdir(app):
        raise UsageError(f"{app!r} is a directory: --static {app} serves it{hint}")
    try:
        if "check-config" in arguments.asked:
            from miniasgi.workers.rehearsal import rehearse

            return _print(f"the configuration is good: {rehearse(app, config)}\n")
        return _serve(app, config, read)
    except StartupError as error:
        from miniasgi.config.explained import explained

        raise explained(error, settings.origins) from error


def _serve(app: str | None, config: Config, read: Callable[[], Settings]) -> int:
    from miniasgi.workers.run import run
    from miniasgi.workers.system.exits import bound_exit
    from miniasgi.workers.system.signals import ignore_gentle

    ignore_gentle()

    def reread() -> tuple[str | None, Config]:
        again = read()
        return again.app, again.config

    status = run(app, config, reread)
    bound_exit(status, config.timeout_graceful_shutdown)
    return status


def _reader(arguments: Arguments) -> Callable[[], Settings]:
    """What reads the settings, also again while the server runs; the file of variables is read once, now."""
    named = arguments.files.get("env-file")
    variable = None if named is not None else own_variable(os.environ, ENV_FILE_VARIABLE)
    if variable is not None:
        named = ENV_FILE_VARIABLE, variable
    from_file: dict[str, str] = {}
    if named is not None:
        from miniasgi.config.env_file import load_env_file  # for the few that have one

        called, path = named
        from_file = dict.fromkeys(load_env_file(path, called, _warn), path)
    # A copy, because a hook of the user's may set variables later.
    environ = dict(os.environ)
    return lambda: read_settings(arguments, environ, from_file)


def _say(text: str) -> None:
    from miniasgi.workers.system.streams import say  # which most starts have no use for

    say(text)


def _warn(text: str) -> None:
    _say(f"miniasgi: warning: {text}")


def _print(text: str) -> int:
    """Write *text* to standard output; the exit status.

    Raises StartupError: it cannot be written. A reader who has had enough, as of a pipe to head, is told nothing.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # TOML is UTF-8 wherever it is written, and what is no character in it cannot be printed otherwise.
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        # At once: what fails when the interpreter exits is reported by the interpreter, in several lines.
        print(text, end="", flush=True)
    except OSError as error:
        with suppress(OSError):  # the same once more; closed, it is not written a third time at the exit
            sys.stdout.close()
        if isinstance(error, BrokenPipeError):
            return CLOSED_PIPE
        raise StartupError(f"cannot write to standard output: {error.strerror or error}") from None
    return 0


def _hash_password() -> str:
    from miniasgi.static.auth import hash_password

    try:
        return hash_password(_ask_password())
    except UnicodeDecodeError as error:
        raise UsageError(
            f"--hash-password: found octets that are not {error.encoding.upper()}, expected a password"
        ) from None
    except ValueError as error:
        raise UsageError(f"--hash-password: {error}") from None


def _ask_password() -> str:
    """The password typed twice on a terminal, where nothing is shown, or the first line of standard input."""
    if sys.stdin is None or not sys.stdin.isatty():
        password = sys.stdin.readline().rstrip("\r\n") if sys.stdin is not None else ""
    else:
        import getpass  # only this pays for it

        try:
            password = getpass.getpass("Password: ", sys.stderr)
            if password and getpass.getpass("Again: ", sys.stderr) != password:
                raise UsageError("--hash-password: found two different passwords, expected the same twice")
        except EOFError:
            password = ""
    if not password:
        raise UsageError("--hash-password: found nothing, expected a password, as one line")
    return password


def version_text() -> str:
    """The versions of miniasgi, of Python and of each optional package, one a line."""
    import platform  # not needed to serve, like the others that are imported where they are used

    lines = [f"miniasgi {__version__}", f"{platform.python_implementation()} {platform.python_version()}"]
    return "\n".join(lines + [f"{name} {_version(name)}" for name in ("uvloop", "httptools", "h11", "websockets")])


def _version(package: str) -> str:
    import importlib.metadata  # a fifth of the time that a server takes to start

    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
