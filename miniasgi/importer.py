"""From ``module:attribute`` to the object that it names, or one line that says what was looked for and where.

Knows Python's import system, errors, and options' way to suggest a name. Does not know what an application, a parser
or an event loop is, except that an ASGI application is called with three arguments. Its caller prints the errors.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from miniasgi.config.options import did_you_mean
from miniasgi.errors import StartupError

__all__ = ["brief", "load", "load_factory", "load_object", "takes", "user_traceback"]

IMPORT_MACHINERY = (__file__, importlib.__file__, "<frozen importlib")


def load_object(reference: str, *, what: str, app_dir: str = "") -> object:
    """The object that *reference*, ``module:attribute``, names, whatever it is.

    *app_dir*, or the current directory where it is empty, is put first in ``sys.path`` and stays there, because the
    user's code may import more of its neighbours later. *what* names the thing in error messages.

    Raises StartupError: one line for the user; ``details`` is the user's traceback where the user's code raised.
    """
    who = f"{what} {reference!r}"
    module_name, attribute = _split(reference, who)
    directory = os.path.abspath(app_dir)
    if sys.path[:1] != [directory]:
        sys.path.insert(0, directory)
    return _attribute(_import(module_name, who, directory), attribute, who)


def load(reference: str, *, what: str = "application", factory: bool = False, app_dir: str = "") -> Callable[..., Any]:
    """The callable that *reference* names, as load_object() finds it; with *factory*, what it returns when called.

    Raises StartupError, also for what cannot be called.
    """
    who = f"{what} {reference!r}"
    found = load_object(reference, what=what, app_dir=app_dir)
    if not callable(found):
        raise StartupError(f"{who}: found an object of type {type(found).__name__}, expected a callable")
    if factory:
        made = _make(found, who)
        if what == "application":
            _check_application(made, f"{who}: the factory's application")
        return made
    if what == "application":
        _check_application(found, who, may_be_factory=True)
    return found


def load_factory(reference: str, *, what: str, count: int) -> Callable[..., Any]:
    """The callable that *reference* names, which is to be called with *count* arguments.

    Raises StartupError, also where it cannot be called so: else each connection would fail, rather than the start.
    """
    found = load(reference, what=what)
    if takes(found, count) is False:
        raise StartupError(
            f"{what} {reference!r}: found a callable that takes {inspect.signature(found)}, expected one that can be "
            f"called with {count or 'no'} arguments"
        )
    return found


def _split(reference: str, who: str) -> tuple[str, str]:
    module, colon, attribute = reference.partition(":")
    names = [*module.split("."), *attribute.split(".")]
    if colon and all(name.isidentifier() for name in names):
        return module, attribute
    path = module.removesuffix(".py").replace(os.sep, ".").strip(".")
    guess = path if all(name.isidentifier() for name in path.split(".")) else "module"
    name = attribute if attribute.isidentifier() else "app"
    raise StartupError(f"{who}: expected module:attribute, such as {guess}:{name}")


def _import(name: str, who: str, directory: str) -> ModuleType:
    # A directory listing cached before the user's file was written would hide it.
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        # Where a frame of the user's is in it, an import inside the user's module failed, whatever its name.
        if (name == missing or name.startswith(missing + ".")) and not _frames(error):
            raise StartupError(f"{who}: {_not_found(missing, directory)}") from None
        raise StartupError(f"{who}: importing {name} failed: {brief(error)}", user_traceback(error)) from error
    except SyntaxError as error:
        # Also raised for text that the user's module compiles itself; that has no file to point at.
        where = f"syntax error in {error.filename}, line {error.lineno}" if error.lineno else brief(error)
        raise StartupError(f"{who}: {where}", user_traceback(error)) from error
    except SystemExit as error:
        raise StartupError(
            f"{who}: {name} exited while it was imported: {brief(error)}", user_traceback(error)
        ) from error
    except Exception as error:
        raise StartupError(f"{who}: importing {name} failed: {brief(error)}", user_traceback(error)) from error


def _not_found(missing: str, directory: str) -> str:
    import pkgutil  # only a mistake pays for it

    parent, _, last = missing.rpartition(".")
    if not parent:
        neighbours = [module.name for module in pkgutil.iter_modules([directory])]
        return f"no module named {missing} in {directory} or on sys.path{did_you_mean(last, neighbours)}"
    places = getattr(sys.modules.get(parent), "__path__", None)
    if places is None:
        return f"no module named {missing}: {parent} is a module, not a package"
    neighbours = [module.name for module in pkgutil.iter_modules(places)]
    return f"no module named {last} in package {parent} ({', '.join(places)}){did_you_mean(last, neighbours)}"


def _attribute(module: ModuleType, attribute: str, who: str) -> object:
    found: object = module
    for name in attribute.split("."):
        try:
            found = getattr(found, name)
        except AttributeError as error:
            if _frames(error):  # a property or a module's __getattr__, rather than nothing of that name
                raise StartupError(f"{who}: reading {name} failed: {brief(error)}", user_traceback(error)) from error
            raise StartupError(f"{who}: {_lacks(found, name)}") from None
        except Exception as error:
            raise StartupError(f"{who}: reading {name} failed: {brief(error)}", user_traceback(error)) from error
    return found


def _lacks(found: object, name: str) -> str:
    if not isinstance(found, ModuleType):
        return f"an object of type {type(found).__name__} has no attribute {name}{did_you_mean(name, dir(found))}"
    where = f" ({found.__file__})" if getattr(found, "__file__", None) else ""
    hint = did_you_mean(name, [each for each in vars(found) if not each.startswith("__")])
    candidates = _callables(found)
    if candidates:
        hint += f"; callable there: {', '.join(candidates[:5])}{', ...' if len(candidates) > 5 else ''}"
    return f"module {found.__name__}{where} has no attribute {name}{hint}"


def _callables(module: ModuleType) -> list[str]:
    """The public callables that *module* made itself, which leaves out the classes and functions that it imports."""
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and callable(value)
        and (
            not (inspect.isclass(value) or inspect.isroutine(value))
            or getattr(value, "__module__", None) == module.__name__
        )
    ]


def _make(factory: Callable[..., Any], who: str) -> Callable[..., Any]:
    if takes(factory, 0) is False:
        raise StartupError(f"{who}: with --factory, expected a callable that needs no arguments")
    try:
        made: object = factory()
    except SystemExit as error:
        raise StartupError(f"{who}: the factory exited: {brief(error)}", user_traceback(error)) from error
    except Exception as error:
        raise StartupError(f"{who}: the factory failed: {brief(error)}", user_traceback(error)) from error
    if inspect.iscoroutine(made):
        made.close()  # else Python warns that it was never awaited
        raise StartupError(f"{who}: the factory is async, expected a plain function that returns a callable")
    if not callable(made):
        raise StartupError(f"{who}: the factory returned an object of type {type(made).__name__}, expected a callable")
    return made


def _check_application(found: Callable[..., Any], who: str, *, may_be_factory: bool = False) -> None:
    """Refuse what cannot be an application, so that it is said once, now, rather than at each request."""
    if not _is_plain(found) or takes(found, 3) is not False:
        return
    if may_be_factory and takes(found, 0) and not inspect.iscoroutinefunction(found):
        raise StartupError(f"{who}: takes no scope, receive and send; if it makes the application, add --factory")
    signature = inspect.signature(found, follow_wrapped=False)
    raise StartupError(f"{who}: takes {signature}, expected an ASGI application (scope, receive, send){_advice(found)}")


def _is_plain(found: Callable[..., Any]) -> bool:
    """Whether it is written plainly what *found* takes: for other objects a signature may be missing or untrue."""
    if inspect.isfunction(found) or inspect.isclass(found):
        return True
    # Of an instance, as Flask's and Django's applications are: what its class calls.
    return inspect.isfunction(inspect.getattr_static(type(found), "__call__", None))


def _advice(found: Callable[..., Any]) -> str:
    """What to do with an application of another kind; empty where it is none that is known."""
    names = list(inspect.signature(found, follow_wrapped=False).parameters)
    if names[1:] == ["start_response"]:
        return "; for one of WSGI: wrap it with a2wsgi.WSGIMiddleware"
    if names == ["scope"]:
        return "; for one of ASGI 2: wrap it with asgiref.compatibility.guarantee_single_callable"
    return ""


def takes(found: Callable[..., Any], count: int) -> bool | None:
    """Whether *found* can be called with *count* arguments; None where Python cannot tell."""
    try:
        inspect.signature(found, follow_wrapped=False).bind(*range(count))
    except TypeError:
        return False
    except ValueError:
        return None
    return True


def brief(error: BaseException) -> str:
    """The type of *error* and the first line of its text."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    return _foreign(traceback.extract_tb(error.__traceback__))


def _foreign(frames: Iterable[traceback.FrameSummary]) -> list[traceback.FrameSummary]:
    return [frame for frame in frames if not frame.filename.startswith(IMPORT_MACHINERY)]


def user_traceback(error: BaseException) -> str:
    """The traceback of *error* without this module's frames and those of Python's import machinery.

    Ends without a line end; only the exception's own lines where no frame is left.
    """
    shown = traceback.TracebackException.from_exception(error)
    waiting: list[traceback.TracebackException | None] = [shown]
    while waiting:
        each = waiting.pop()
        if each is not None:
            each.stack = traceback.StackSummary.from_list(_foreign(each.stack))
            waiting += [each.__cause__, each.__context__, *(each.exceptions or ())]
    lines = shown.format() if shown.stack or shown.__cause__ or shown.__context__ else shown.format_exception_only()
    return "".join(lines).rstrip("\n")
