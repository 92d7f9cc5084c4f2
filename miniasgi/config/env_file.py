"""Variables from a file into the environment. The only file that imports python-dotenv.

Knows that file's form by that package alone. Does not know which variables mean something.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable

from miniasgi.errors import UsageError

__all__ = ["load_env_file"]


def load_env_file(path: str, called: str, warn: Callable[[str], None]) -> set[str]:
    """Set the variables of the file *path* in this process's environment, except those that are set there already.

    Returns the names of those that have been set. Whatever this process starts later has them, too. *warn* is told of
    each line of the file that is passed over, because it says nothing.

    Raises UsageError: one line that begins with *called*, the option as the user wrote it; the package python-dotenv is
    missing, the file cannot be read, or a value cannot be a variable's.
    """
    try:
        from dotenv import load_dotenv
        from dotenv.parser import parse_stream
    except ImportError:
        raise UsageError(
            f"{called}: the package python-dotenv is not installed (pip install 'miniasgi[env]')"
        ) from None
    before = set(os.environ)
    try:
        with open(path, encoding="utf-8-sig") as file:
            bindings = list(parse_stream(file))
        for binding in bindings:
            if binding.error:
                warn(
                    f"{path}: line {binding.original.line}: found no variable, expected NAME=VALUE, and passed it over"
                )
        # Without those that the package would log itself, and not name the file.
        good = "".join(binding.original.string for binding in bindings if not binding.error)
        load_dotenv(stream=io.StringIO(good), override=False)
    except OSError as error:
        raise UsageError(f"{called}: cannot read {path!r}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{called}: found octets in {path!r} that are not UTF-8, expected NAME=VALUE lines") from None
    except ValueError as error:  # NUL in a value, or a name that no variable can have
        raise UsageError(f"{called}: {path!r} sets a variable that cannot be: {error}") from None
    return set(os.environ) - before
