"""What --help prints, made from Config's options.

Knows the options and how wide a terminal is. Does not know what any of them means.
"""

from __future__ import annotations

import textwrap

from .config import OPTIONS
from .kinds import FLAG

__all__ = ["help_text"]

EXAMPLES = """\
Examples:
  {prog} myapp:app  # app of myapp.py, on http://127.0.0.1:8000
  {prog} myapp:create_app --factory
  {prog} myapp:app --host 0.0.0.0 --port 80 --root-path /api
  {prog} myapp:app --limit-request-body 10m --graceful-timeout 30s
  {prog} --static ./www --listing --open
  {prog} myapp:app --static ./build:/assets --precompressed
  {prog} myapp:app --workers auto --print-config > miniasgi.toml
  {prog} -c miniasgi.toml
"""

SOURCES = (
    "A value in brackets may be left out; a meaning ends with the default. Every option can also be set in the "
    "environment, --log-level as MINIASGI_LOG_LEVEL, and so on: pairs take on or off, repeatable options one value a "
    'line; or in a file: log-level = "debug". The command line wins, then the environment, then the file; so for '
    "repeatable options, too. SIZE is in octets, or with k, m or g in powers of 1024; TIME is in seconds, or with s, m "
    "or h."
)

#: What is no option of the server: the name, and what it does.
BESIDES = (
    ("APP", "The application, as module:attribute; dots are allowed in both."),
    (
        "-c, --config FILE",
        "Read options from FILE, in TOML; else from [tool.miniasgi] in the pyproject.toml of the current directory, if "
        "it is there. Also $MINIASGI_CONFIG.",
    ),
    (
        "--env-file FILE",
        "Set the variables of FILE, for the application and for options, unless they are set already; needs "
        "python-dotenv. Also $MINIASGI_ENV_FILE.",
    ),
    ("--print-config", "Print every option, its value and where it comes from, as a file for -c, and exit."),
    (
        "--check-config",
        "Do all that can be done without listening, such as importing APP and opening certificates, say whether it is "
        "good, and exit.",
    ),
    ("-h, --help", "Show this text and exit."),
    ("--version", "Show the versions of miniasgi and of what it runs on, and exit."),
    ("--hash-password", "Ask for a password, print its hash for --basic-auth, and exit."),
)


def help_text(prog: str, columns: int | None = None) -> str:
    """What --help prints on a terminal of so many *columns*, by default this one's; never too wide to read."""
    import shutil  # not needed to serve

    # 30: below it words stand alone; 100: above it lines are hard to follow.
    width = min(max(columns or shutil.get_terminal_size().columns, 30), 100)
    lines = [f"usage: {prog} APP [options]", f"       {prog} --static DIR [options]", f"       {prog} -c FILE", ""]
    lines += [*textwrap.wrap("Serve an ASGI application, a directory of files or both over HTTP/1.1.", width), ""]
    for name, meaning in BESIDES:
        lines += _entry(name, meaning, width)
    group = ""
    for option in OPTIONS:
        if option.group != group:
            group = option.group
            lines += ["", f"{group}:"]
        flags = " / ".join(filter(None, [option.flag, option.negative]))
        default = option.kind.show(option.default)
        others = [*option.aliases, *([f"${option.variable}"] if option.variable else [])]
        also = f" Also {', '.join(others)}." if others else ""
        # A no-break space, until the lines are made.
        shown = f"[{default}]".replace(" ", "\u00a0") if default and option.kind is not FLAG else ""
        meaning = f"{option.meaning}{also} {shown}".rstrip()
        lines += _entry(f"{flags} {option.kind.form}".rstrip(), meaning, width)
    lines += ["", *textwrap.wrap(SOURCES, width), "", EXAMPLES.format(prog=prog)]
    return "\n".join(lines)


def _entry(name: str, meaning: str, width: int) -> list[str]:
    # 30: most names stand beside their meaning, and 80 columns leave 50 for that. On a narrow terminal it stands below.
    column = 30 if width >= 70 else 6
    wrapped = [line.replace("\u00a0", " ") for line in textwrap.wrap(meaning, width - column, break_on_hyphens=False)]
    beside = len(name) <= column - 4
    first = f"  {name}".ljust(column) + wrapped.pop(0) if beside else f"  {name}"
    return [first, *(" " * column + line for line in wrapped)]
