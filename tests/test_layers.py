"""The house as docs/design.md draws it: who may import whom, and how large a file may get.

Imports inside functions count too; those for type checkers alone do not, because they make nothing depend on anything
when the program runs.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "miniasgi"
FILES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES = 350

# What each room may use of the package; itself it always may. A room is a directory, or a module that stands alone.
MAY_IMPORT = {
    "errors": set(),
    "types": set(),
    "_version": set(),
    "dates": set(),
    "hashed_names": set(),
    "page_cache": set(),
    "config": {"hashed_names", "errors"},
    "importer": {"config", "errors"},
    "reference": {"config"},
    "http1": {"errors", "types"},
    "observe": {"config", "http1", "errors", "types"},
    "static": {"types", "dates", "hashed_names", "page_cache"},
    "websocket": {"http1", "errors", "types"},
    "asgi": {"http1", "errors", "types"},
    # Where the server meets its own application for files: neither knows the other.
    "application": {"config", "importer", "static", "errors", "types"},
    "server": {
        "asgi",
        "http1",
        "websocket",
        "observe",
        "application",
        "config",
        "dates",
        "importer",
        "page_cache",
        "errors",
        "types",
        "_version",
    },
    "workers": {"server", "observe", "config", "importer", "errors", "types", "_version"},
    "cli": {"workers", "server", "static", "config", "errors", "_version"},
    "testing": {"http1", "errors", "types"},
    "__init__": {"server", "workers", "static", "config", "types", "_version"},
    "__main__": {"cli"},
}
# Of a room with rooms inside: what each of these may use of it. What stands in no inner room puts them together.
INNER_MAY_IMPORT = {
    "http1/parsers": {"chunked", "grammar", "head", "memory", "parser"},
    "server/tls": set(),
    "server/sockets": set(),
    "server/connections": {"sockets", "service", "provenance"},
    "workers/system": set(),
    "workers/watching": set(),
    "workers/serving": {"system"},
    "workers/kinds": {"serving", "system"},
    "workers/supervision": {"kinds", "serving", "system"},
}
# What would let a room do what another is for.
MUST_NOT_IMPORT = {
    "http1": {"asyncio", "socket", "ssl", "select", "selectors", "time", "datetime", "signal", "logging", "threading"},
    "asgi": {"socket", "ssl", "select", "selectors", "signal"},
    "config": {"asyncio", "socket", "logging"},
    "cli": {"asyncio", "socket", "logging"},
}
# A package that may be missing is a matter for one file.
OPTIONAL = {
    "dotenv": "config/env_file.py",
    "h11": "http1/parsers/h11.py",
    "httptools": "http1/parsers/httptools.py",
    "uvloop": "server/loops.py",
    "setproctitle": "workers/system/title.py",
    "watchfiles": "workers/watching/source_watch.py",
    "websockets": "websocket/library.py",
    "yaml": "observe/log_config.py",
}
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes())


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(tree: ast.Module, path: Path) -> Iterator[str]:
    """The full names of the modules and objects that a file imports when it runs."""
    package = module_name(path) if path.name == "__init__.py" else module_name(path).rpartition(".")[0]
    for node in at_run_time(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            base = parents[: len(parents) - node.level + 1] if node.level else []
            prefix = ".".join([*base, *filter(None, [node.module])])
            yield from (f"{prefix}.{alias.name}" for alias in node.names)


def at_run_time(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from at_run_time(child)


def imported_rooms(path: Path) -> set[str]:
    """The rooms of the package that a file uses; "__init__" for the package itself."""
    rooms = set()
    for name in imports(parsed(path), path):
        package, _, rest = name.partition(".")
        if package == "miniasgi":
            first = rest.partition(".")[0]
            is_room = (PACKAGE / first).is_dir() or (PACKAGE / f"{first}.py").is_file()
            rooms.add(first if first and is_room else "__init__")
    return rooms - {room(path)}


def test_imports_are_found_however_they_are_written() -> None:
    text = (
        "import a.b\nfrom ..errors import X\nfrom . import writing\nfrom .. import importer\n"
        "def f():\n    from c import d\nif TYPE_CHECKING:\n    import e\n"
    )
    assert list(imports(ast.parse(text), PACKAGE / "server" / "run.py")) == [
        "a.b",
        "miniasgi.errors.X",
        "miniasgi.server.writing",
        "miniasgi.importer",
        "c.d",
    ]
    package = list(imports(ast.parse("from .cases import X"), PACKAGE / "testing" / "__init__.py"))
    assert package == ["miniasgi.testing.cases.X"]


@each_file
def test_imports_go_one_way(path: Path) -> None:
    assert room(path) in MAY_IMPORT, f"say in MAY_IMPORT what {room(path)} may use"
    assert imported_rooms(path) - MAY_IMPORT[room(path)] == set()


@pytest.mark.parametrize(("inner", "allowed"), INNER_MAY_IMPORT.items())
def test_so_they_do_between_rooms_inside_a_room(inner: str, allowed: set[str]) -> None:
    outer = f"miniasgi.{inner.partition('/')[0]}."
    found = {
        name.removeprefix(outer).partition(".")[0]
        for path in (PACKAGE / inner).glob("*.py")
        for name in imports(parsed(path), path)
        if name.startswith(outer)
    }
    assert found - {inner.partition("/")[2]} - allowed == set()


def test_every_room_inside_a_room_is_among_them() -> None:
    inner = {path.parent.relative_to(PACKAGE).as_posix() for path in PACKAGE.glob("*/*/__init__.py")}
    assert inner == set(INNER_MAY_IMPORT)


def test_no_room_imports_one_that_imports_it() -> None:
    def reachable(start: str) -> set[str]:
        found: set[str] = set()
        waiting = [start]
        while waiting:
            new = MAY_IMPORT[waiting.pop()] - found
            found |= new
            waiting += new
        return found

    assert [name for name in MAY_IMPORT if name in reachable(name)] == []


@each_file
def test_rooms_keep_to_their_own_business(path: Path) -> None:
    packages = {name.partition(".")[0] for name in imports(parsed(path), path)}
    assert packages & MUST_NOT_IMPORT.get(room(path), set()) == set()


@pytest.mark.parametrize(("package", "file"), OPTIONAL.items())
def test_an_optional_package_is_imported_in_one_file(package: str, file: str) -> None:
    found = [
        path.relative_to(PACKAGE).as_posix()
        for path in FILES
        if package in {name.partition(".")[0] for name in imports(parsed(path), path)}
    ]
    assert found == [file]


@each_file
def test_no_file_is_too_long_to_keep_in_mind(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@each_file
def test_a_file_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(parsed(path))


@each_file
def test_names_in_all_exist_once(path: Path) -> None:
    if path.name == "__main__.py":
        return
    if path.as_posix().endswith(tuple(OPTIONAL.values())):
        pytest.importorskip(path.stem if path.stem in OPTIONAL else "uvloop")
    module = importlib.import_module(module_name(path))
    names = getattr(module, "__all__", [])
    assert [name for name in names if not hasattr(module, name)] == []
    assert len(set(names)) == len(names)


def test_the_diagram_in_the_documentation_is_the_table_of_states() -> None:
    from miniasgi.server.connections.ending import TRANSITIONS

    page = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    drawn = set(re.findall(r"^    ([A-Z]+) --> ([A-Z]+)\b", page, re.MULTILINE))
    # Below the diagram: every state but the last two also goes to CLOSED, which is not drawn.
    lost = {(state.name, "CLOSED") for state in TRANSITIONS if state.name not in ("CLOSED", "UPGRADED")}
    assert drawn | lost == {(state.name, other.name) for state, others in TRANSITIONS.items() for other in others}
