"""The command line: APP and the options of Config in, an exit status out.

Knows Config's options, the environment, standard output and standard error. Does not know what any single option means,
but that files to serve stand in for APP: names, checks and documentation are all Config's. Imports the server only when
there is something to serve, so that --help is quick.
"""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from miniasgi._version import __version__
from miniasgi.config import OPTIONS, Config
from miniasgi.errors import StartupError, UsageError
from miniasgi.kinds import FLAG
from miniasgi.options import Option, did_you_mean

__all__ = ["main"]

INTERRUPTED = 130  # as a shell reports SIGINT: 128 + 2
CLOSED_PIPE = 141  # as a shell reports SIGPIPE: 128 + 13

EXAMPLES = """\
Examples:
  {prog} myapp:app  # app of myapp.py, on http://127.0.0.1:8000
  {prog} myapp:create_app --factory
  {prog} myapp:app --host 0.0.0.0 --port 80 --root-path /api
  {prog} myapp:app --limit-request-body 10m --graceful-timeout 30s
  {prog} --static ./www --listing --open
  {prog} myapp:app --static ./build:/assets --precompressed
"""

ENVIRONMENT = (
    "A value in brackets may be left out; a meaning ends with the default. Every option can also be set in the "
    "environment: --log-level as MINIASGI_LOG_LEVEL, and so on; pairs take on or off, repeatable options one value a "
    "line. The command line wins. SIZE is in octets, or with k, m or g in powers of 1024; TIME is in seconds, or with "
    "s, m or h."
)


def main(argv: Sequence[str] | None = None, *, prog: str = "miniasgi") -> int:
    """Serve what *argv*, by default the process's own arguments, asks for; the exit status.

    0 after a clean stop, 2 for a bad option, 3 where the server cannot start or what was asked for cannot be printed.
    """
    try:
        return _main(sys.argv[1:] if argv is None else argv, prog)
    except StartupError as error:
        print(error.report(), file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return INTERRUPTED


def _main(argv: Sequence[str], prog: str) -> int:
    arguments, rest = _Parser(prog).parse_known_args(argv)
    if arguments.help:
        return _print(help_text(prog))
    if arguments.version:
        return _print(version_text() + "\n")
    if arguments.hash_password:
        return _print(_hash_password() + "\n")
    hint = f" (try '{prog} --help')"
    for word in rest:
        if word.startswith("-"):
            raise UsageError(f"{word.partition('=')[0]}: no such option{_nearest_flag(word)}{hint}")
    if rest:
        raise UsageError(f"{rest[0]!r}: one APP is expected, found {arguments.app!r} too{hint}")
    config = read_config(arguments.given, os.environ)
    if arguments.app is None and not config.static:
        expected = "expected module:attribute, such as myapp:app, or a directory to serve"
        raise UsageError(f"APP or --static DIR is missing: {expected}{hint}")
    _check_needs(arguments.given, config)
    if arguments.app is not None and ":" not in arguments.app and os.path.isdir(arguments.app):
        raise UsageError(f"{arguments.app!r} is a directory: --static {arguments.app} serves it{hint}")

    from miniasgi.workers.run import run
    from miniasgi.workers.signals import ignore_gentle

    ignore_gentle()
    return run(arguments.app, config)


def _print(text: str) -> int:
    """Write *text* to standard output; the exit status.

    Raises StartupError: it cannot be written. A reader who has had enough, as of a pipe to head, is told nothing.
    """
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


def _nearest_flag(word: str) -> str:
    flags = [flag for each in OPTIONS for flag in (each.flag, each.negative, *each.aliases) if flag.startswith("--")]
    return did_you_mean(word.partition("=")[0], [*flags, "--help", "--version", "--hash-password"])


class _Given(argparse.Action):
    """Notes the option as the user typed it, with its text; read_config checks it."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option_string: Any = None
    ) -> None:
        option: Option = self.const
        negated = option_string == option.negative
        if values is option:  # what argparse puts where nothing was typed
            if not option.kind.bare:
                raise UsageError(f"{option_string}: a value is missing, expected {option.kind.metavar}")
            values = option.kind.bare
        # A flag has no value of its own: nargs=0 gives an empty list.
        value = values if isinstance(values, str) else "off" if negated else "on"
        namespace.given.append((option, option_string, value))


class _Parser(argparse.ArgumentParser):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, add_help=False, allow_abbrev=False)
        self.set_defaults(given=[])
        self.add_argument("app", nargs="?")
        self.add_argument("-h", "--help", action="store_true")
        self.add_argument("--version", action="store_true")
        self.add_argument("--hash-password", action="store_true")
        for each in OPTIONS:
            flags = [flag for flag in (each.flag, each.negative, *each.aliases) if flag]
            # "?" rather than one value: _Given then says what is missing, under the name that was typed.
            self.add_argument(*flags, dest="given", action=_Given, nargs="?" if each.kind.metavar else 0, const=each)

    def error(self, message: str) -> NoReturn:
        raise UsageError(
            message.removeprefix("argument ").replace("ignored explicit argument", "takes no value, found")
        )


def read_config(given: Sequence[tuple[Option, str, str]], environ: Mapping[str, str]) -> Config:
    """The Config of the command line, then of the environment, then of the defaults.

    *given* holds each option typed, the name it was typed as, and its text; the last wins, but repeatable ones add
    up. A variable whose option was typed is not looked at, and one that other servers have only where ours is unset;
    it may be empty, because others set it.

    Raises UsageError: the option as typed, or the variable, that has a wrong value.
    """
    values: dict[str, Any] = {}
    for option, typed, text in given:
        value = option.read(text, typed)
        values[option.name] = values.get(option.name, ()) + value if option.kind.repeatable else value
    for option in OPTIONS:
        if option.name in values:
            continue
        found = environ.get(option.env)
        if found is not None:
            if not found.strip():
                raise UsageError(f"{option.env}: found nothing, expected a value; unset it for the default")
            values[option.name] = option.read(found, option.env)
        elif environ.get(option.variable, "").strip():
            values[option.name] = option.read(environ[option.variable], option.variable)
    return Config(**values)


def _check_needs(given: Sequence[tuple[Option, str, str]], config: Config) -> None:
    # Only of what was typed: variables are often set once, for several commands.
    flags = {option.name: option.flag for option in OPTIONS}
    for option, typed, _ in given:
        if option.needs and not getattr(config, option.needs):
            raise UsageError(f"{typed}: needs {flags[option.needs]}")


def help_text(prog: str, columns: int | None = None) -> str:
    """What --help prints on a terminal of so many *columns*, by default this one's; never too wide to read."""
    import shutil  # not needed to serve

    width = min(max(columns or shutil.get_terminal_size().columns, 80), 100)
    lines = [f"usage: {prog} APP [options]", f"       {prog} --static DIR [options]", ""]
    lines += ["Serve an ASGI application, a directory of files or both over HTTP/1.1.", ""]
    lines += _entry("APP", "The application, as module:attribute; dots are allowed in both.", width)
    lines += _entry("-h, --help", "Show this text and exit.", width)
    lines += _entry("--version", "Show the versions of miniasgi and of what it runs on, and exit.", width)
    lines += _entry("--hash-password", "Ask for a password, print its hash for --basic-auth, and exit.", width)
    group = ""
    for option in OPTIONS:
        if option.group != group:
            group = option.group
            lines += ["", f"{group}:"]
        flags = " / ".join(filter(None, [option.flag, option.negative]))
        default = option.kind.show(option.default)
        others = [*option.aliases, *([f"${option.variable}"] if option.variable else [])]
        also = f" Also {', '.join(others)}." if others else ""
        shown = f" [{default}]" if default and option.kind is not FLAG else ""
        lines += _entry(f"{flags} {option.kind.form}".rstrip(), option.meaning + also + shown, width)
    lines += ["", *textwrap.wrap(ENVIRONMENT, width), "", EXAMPLES.format(prog=prog)]
    return "\n".join(lines)


def _entry(name: str, meaning: str, width: int) -> list[str]:
    # 30: most names stand beside their meaning, and 80 columns leave 50 for that.
    indent = " " * 30
    wrapped = textwrap.wrap(meaning, width - 30, break_on_hyphens=False)
    beside = len(name) <= 26
    first = f"  {name}".ljust(30) + wrapped.pop(0) if beside else f"  {name}"
    return [first, *(indent + line for line in wrapped)]


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
    return "\n".join(lines + [f"{name} {_version(name)}" for name in ("uvloop", "httptools", "h11")])


def _version(package: str) -> str:
    import importlib.metadata  # a fifth of the time that a server takes to start

    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
