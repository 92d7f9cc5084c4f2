"""load(): what a reference finds, and the one line for each way in which it finds nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from miniasgi.errors import StartupError
from miniasgi.importer import load, load_factory

APP = "async def app(scope, receive, send): pass\n"

Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes modules into an empty current directory; what is imported from there is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    written: set[str] = set()

    def write(files: Mapping[str, str] = {}, **modules: str) -> None:
        for name, source in {**files, **modules}.items():
            file = tmp_path / f"{name}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(source, encoding="utf-8")
            written.update(name.split("/"))

    yield write
    for name in list(sys.modules):
        if name.partition(".")[0] in written:
            del sys.modules[name]


def failure(reference: str, **options: Any) -> StartupError:
    with pytest.raises(StartupError) as caught:
        load(reference, **options)
    assert caught.value.exit_status == 3
    assert "\n" not in str(caught.value)
    assert "importlib" not in caught.value.details
    assert "importer.py" not in caught.value.details
    return caught.value


def message(reference: str, **options: Any) -> str:
    """The error's line, where the user's own code did not raise."""
    error = failure(reference, **options)
    assert error.details == ""
    return str(error)


def test_a_reference_finds_its_callable_in_the_current_directory(write: Write, tmp_path: Path) -> None:
    write(hello=APP)
    assert load("hello:app") is sys.modules["hello"].app
    assert sys.path[0] == str(tmp_path)


def test_dots_are_allowed_on_both_sides(write: Write) -> None:
    write({"pkg/inner/web": "class Holder:\n    async def app(scope, receive, send): ...\n"})
    assert load("pkg.inner.web:Holder.app") is sys.modules["pkg.inner.web"].Holder.app


def test_app_dir_comes_first_and_once(write: Write, tmp_path: Path) -> None:
    write({"here": APP, "sub/there": APP})
    assert load("there:app", app_dir="sub").__module__ == "there"
    load("there:app", app_dir=str(tmp_path / "sub"))
    assert sys.path[0] == str(tmp_path / "sub")
    assert sys.path.count(sys.path[0]) == 1


@pytest.mark.parametrize(
    ("reference", "such_as"),
    [
        ("hello", "hello:app"),
        ("hello:", "hello:app"),
        ("hello.py", "hello:app"),
        ("examples/hello.py:site", "examples.hello:site"),
        ("./hello.py", "hello:app"),
        (":app", "module:app"),
        ("", "module:app"),
        ("a b:app", "module:app"),
        ("a:b:c", "a:app"),
    ],
)
def test_a_malformed_reference_is_answered_with_a_well_formed_one(reference: str, such_as: str) -> None:
    assert message(reference) == f"application {reference!r}: expected module:attribute, such as {such_as}"


def test_a_missing_module_is_looked_for_in_a_named_directory(write: Write, tmp_path: Path) -> None:
    write(hello=APP)
    assert message("helo:app") == (
        f"application 'helo:app': no module named helo in {tmp_path} or on sys.path; did you mean hello?"
    )
    assert message("zzz.web:app") == f"application 'zzz.web:app': no module named zzz in {tmp_path} or on sys.path"


def test_a_missing_submodule_is_looked_for_in_its_package(write: Write, tmp_path: Path) -> None:
    write({"pkg/__init__": "", "pkg/web": APP})
    assert message("pkg.wbe:app").endswith(
        f"no module named wbe in package pkg ({tmp_path / 'pkg'}); did you mean web?"
    )


def test_a_module_is_no_package(write: Write) -> None:
    write(hello=APP)
    assert message("hello.web:app").endswith("no module named hello.web: hello is a module, not a package")


def test_a_failing_import_in_the_users_module_is_shown_as_the_users(write: Write, tmp_path: Path) -> None:
    write(hello="import missing_thing\n")
    error = failure("hello:app")
    assert str(error) == (
        "application 'hello:app': importing hello failed: ModuleNotFoundError: No module named 'missing_thing'"
    )
    assert error.details.splitlines()[:3] == [
        "Traceback (most recent call last):",
        f'  File "{tmp_path / "hello.py"}", line 1, in <module>',
        "    import missing_thing",
    ]
    assert error.details.endswith("\nModuleNotFoundError: No module named 'missing_thing'")


def test_a_package_that_fails_to_import_its_own_module_is_not_called_missing(write: Write) -> None:
    write({"pkg/__init__": "import pkg.web\n"})
    error = failure("pkg.web:app")
    assert "importing pkg.web failed: ModuleNotFoundError" in str(error)
    assert "import pkg.web" in error.details


def test_an_exception_at_import_keeps_only_the_users_frames_and_its_cause(write: Write, tmp_path: Path) -> None:
    write(
        settings="try:\n    {}['KEY']\nexcept KeyError as error:\n    raise ValueError('no KEY\\nin it') from error\n",
        hello="import settings\n",
    )
    error = failure("hello:app")
    assert str(error) == "application 'hello:app': importing hello failed: ValueError: no KEY"
    files = [line for line in error.details.splitlines() if line.startswith("  File ")]
    assert files == [
        f'  File "{tmp_path / "settings.py"}", line 2, in <module>',
        f'  File "{tmp_path / "hello.py"}", line 1, in <module>',
        f'  File "{tmp_path / "settings.py"}", line 4, in <module>',
    ]
    assert "The above exception was the direct cause" in error.details


def test_an_exception_group_at_import_is_shown_whole(write: Write) -> None:
    write(hello="raise ExceptionGroup('several', [ValueError('one')])\n")
    assert "ValueError: one" in failure("hello:app").details


def test_a_syntax_error_is_shown_with_its_caret_and_without_a_traceback(write: Write, tmp_path: Path) -> None:
    write(hello="x = 1\ndef app(:\n    pass\n")
    error = failure("hello:app")
    file = tmp_path / "hello.py"
    assert str(error) == f"application 'hello:app': syntax error in {file}, line 2"
    lines = error.details.splitlines()
    assert lines[:2] == [f'  File "{file}", line 2', "    def app(:"]
    assert lines[2].strip() == "^"
    assert lines[3:] == ["SyntaxError: invalid syntax"]


def test_a_syntax_error_in_an_imported_module_shows_who_imported_it(write: Write, tmp_path: Path) -> None:
    write(broken="def\n", hello="import broken\n")
    error = failure("hello:app")
    assert f"syntax error in {tmp_path / 'broken.py'}, line 1" in str(error)
    assert error.details.startswith("Traceback")
    assert "import broken" in error.details


def test_a_module_that_exits_does_not_end_the_server_silently(write: Write) -> None:
    write(hello="import sys\nsys.exit(0)\n", other="raise SystemExit\n")
    error = failure("hello:app")
    assert str(error) == "application 'hello:app': hello exited while it was imported: SystemExit: 0"
    assert "sys.exit(0)" in error.details
    assert str(failure("other:app")).endswith("other exited while it was imported: SystemExit")


def test_an_interrupt_at_import_is_let_through(write: Write) -> None:
    write(hello="raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load("hello:app")


def test_a_missing_attribute_names_the_nearest_and_the_callables(write: Write, tmp_path: Path) -> None:
    write(hello="from pathlib import Path\nfrom os import getcwd\n_hidden = len\nnumber = 1\n" + APP)
    assert message("hello:ap") == (
        f"application 'hello:ap': module hello ({tmp_path / 'hello.py'}) has no attribute ap; did you mean app?"
        "; callable there: app"
    )


def test_many_callables_are_cut_at_five(write: Write) -> None:
    write(hello="".join(f"def f{number}(a, b, c): ...\n" for number in range(7)))
    assert message("hello:zzz").endswith(" has no attribute zzz; callable there: f0, f1, f2, f3, f4, ...")


def test_an_empty_module_offers_nothing(write: Write) -> None:
    write(hello="")
    assert message("hello:zzz").endswith("hello.py) has no attribute zzz")


def test_a_missing_attribute_of_an_object_is_named(write: Write) -> None:
    write(hello="class Site: pass\nsite = Site()\nsite.app = print\n")
    assert message("hello:site.ap").endswith("an object of type Site has no attribute ap; did you mean app?")


@pytest.mark.parametrize("raised", ["AttributeError", "ValueError"])
def test_an_attribute_whose_reading_fails_shows_the_users_code(write: Write, raised: str) -> None:
    write(hello=f"def __getattr__(name):\n    if name == 'app':\n        raise {raised}('in here')\n")
    error = failure("hello:app")
    if raised == "ValueError":
        assert str(error) == "application 'hello:app': reading app failed: ValueError: in here"
    assert "in __getattr__" in error.details


def test_something_not_callable_is_named_by_its_type(write: Write) -> None:
    write(hello="app = {}\n")
    assert message("hello:app") == "application 'hello:app': found an object of type dict, expected a callable"


def test_a_factory_is_called_for_the_application(write: Write) -> None:
    write(hello=APP + "def create(name='x'):\n    return app\n")
    assert load("hello:create", factory=True) is sys.modules["hello"].app


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def create(name): ...", "with --factory, expected a callable that needs no arguments"),
        ("def create(): ...", "the factory returned an object of type NoneType, expected a callable"),
        ("async def create(): ...", "the factory is async, expected a plain function that returns a callable"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_factory_that_makes_no_callable_is_refused(write: Write, source: str, expected: str) -> None:
    write(hello=source)
    assert message("hello:create", factory=True) == f"application 'hello:create': {expected}"


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("raise ValueError('no database')", "the factory failed: ValueError: no database"),
        ("raise SystemExit(4)", "the factory exited: SystemExit: 4"),
    ],
)
def test_a_factory_that_raises_shows_the_users_traceback(write: Write, statement: str, expected: str) -> None:
    write(hello=f"def create():\n    {statement}\n")
    error = failure("hello:create", factory=True)
    assert str(error) == f"application 'hello:create': {expected}"
    assert "line 2, in create" in error.details


@pytest.mark.parametrize(
    "source",
    [
        "def app(): ...",
        "def app(settings=None): ...",
        "class app:\n    def __init__(self): ...\n    async def __call__(self, scope, receive, send): ...\n",
    ],
)
def test_what_looks_like_a_factory_is_answered_with_the_flag(write: Write, source: str) -> None:
    write(hello=source)
    assert message("hello:app") == (
        "application 'hello:app': takes no scope, receive and send; if it makes the application, add --factory"
    )


@pytest.mark.parametrize(
    ("source", "signature"),
    [
        ("async def app(): ...", "()"),
        ("async def app(scope, receive): ...", "(scope, receive)"),
        ("async def app(scope, receive, send, more): ...", "(scope, receive, send, more)"),
        ("class app:\n    def __init__(self, settings): ...\n", "(settings)"),
        ("class Site:\n    async def __call__(self, scope): ...\napp = Site()\n", "(scope)"),
    ],
)
def test_what_cannot_be_an_application_is_refused_now(write: Write, source: str, signature: str) -> None:
    write(hello=source)
    assert f"takes {signature}, expected an ASGI application (scope, receive, send)" in message("hello:app")


WSGI = "; for one of WSGI: wrap it with a2wsgi.WSGIMiddleware"
ASGI_2 = "; for one of ASGI 2: wrap it with asgiref.compatibility.guarantee_single_callable"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def app(environ, start_response): ...", f"takes (environ, start_response), {WSGI}"),
        # As those of Flask and Django.
        (
            "class A:\n    def __call__(self, env, start_response): ...\napp = A()",
            f"takes (env, start_response), {WSGI}",
        ),
        ("def app(scope): ...", f"takes (scope), {ASGI_2}"),
        ("class app:\n    def __init__(self, scope): ...\n", f"takes (scope), {ASGI_2}"),
        ("async def app(scope, receive): ...", "takes (scope, receive), "),
    ],
)
def test_an_application_of_another_kind_is_answered_with_what_wraps_it(
    write: Write, source: str, expected: str
) -> None:
    write(hello=source)
    takes, advice = expected.split(", ;") if ", ;" in expected else (expected.removesuffix(", "), "")
    line = f"{takes}, expected an ASGI application (scope, receive, send){advice and ';' + advice}"
    assert message("hello:app") == f"application 'hello:app': {line}"


def test_what_a_factory_makes_is_held_to_the_same(write: Write) -> None:
    write(hello="def create():\n    return lambda environ, start_response: []\n")
    assert message("hello:create", factory=True) == (
        "application 'hello:create': the factory's application: takes (environ, start_response), "
        f"expected an ASGI application (scope, receive, send){WSGI}"
    )


@pytest.mark.parametrize(
    "source",
    [
        "async def app(scope, receive, send, more=None): ...",
        "async def app(*args): ...",
        "class app:\n    def __init__(self, scope, receive, send): ...\n    def __await__(self): yield\n",
        "from functools import partial\nasync def serve(a, scope, receive, send): ...\napp = partial(serve, 1)\n",
        "from functools import wraps\n@wraps(int)\nasync def app(scope, receive, send): ...\n",
        "class Site:\n    async def serve(self, scope, receive, send): ...\napp = Site().serve\n",
        "class Site:\n    async def __call__(self, scope, receive, send): ...\napp = Site()\n",
        "class Site:\n    def __call__(self, *args): ...\napp = Site()\n",
    ],
)
def test_every_shape_of_application_is_taken(write: Write, source: str) -> None:
    write(hello=source)
    assert load("hello:app") is not None
    assert callable(load("hello:app"))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def make(sink, limits, more=None): ...", ""),
        ("make = print", ""),  # Python cannot tell what some take
        ("def make(sink): ...", "a callable that takes (sink), expected one that can be called with 2 arguments"),
    ],
)
def test_what_makes_something_must_take_what_it_is_given(write: Write, source: str, expected: str) -> None:
    write(hello=source)
    if not expected:
        assert load_factory("hello:make", what="parser", count=2) is sys.modules["hello"].make
        return
    with pytest.raises(StartupError) as caught:
        load_factory("hello:make", what="parser", count=2)
    assert str(caught.value) == f"parser 'hello:make': found {expected}"


def test_what_is_no_application_is_not_held_to_an_applications_shape(write: Write) -> None:
    write(hello="def new_loop(): ...")
    assert load("hello:new_loop", what="event loop") is sys.modules["hello"].new_loop
    assert message("hello:lop", what="event loop").startswith("event loop 'hello:lop': module hello ")
