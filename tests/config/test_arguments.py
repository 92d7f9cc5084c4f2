"""The words of a command line: what is APP, what is a value of what, and what is said of the others."""

from __future__ import annotations

import pytest

from miniasgi.config import OPTIONS
from miniasgi.config.arguments import FILES, FOREIGN, QUESTIONS, Arguments, parse
from miniasgi.config.foreign import GUNICORN
from miniasgi.config.options import Option
from miniasgi.config.uvicorn import REFUSED_OR_TAKEN

HINT = " (try 'prog --help')"


def parsed(*words: str) -> Arguments:
    arguments = parse(words, "prog")
    assert arguments.error is None, str(arguments.error)
    return arguments


def options(*words: str) -> list[tuple[str, str, str]]:
    """The field, the flag and the text of each option in *words*."""
    return [(option.name, typed, text) for option, typed, text in parsed(*words).options]


def error(*words: str) -> str:
    return str(parse(words, "prog").error)


def test_nothing_typed_is_nothing_said() -> None:
    assert parsed() == Arguments()


def test_app_may_stand_anywhere() -> None:
    for words in (["a:b", "-w", "2"], ["-w", "2", "a:b"], ["-w2", "--", "a:b"]):
        arguments = parsed(*words)
        assert (arguments.app, [given.text for given in arguments.options]) == ("a:b", ["2"])


def test_behind_two_dashes_there_is_only_app() -> None:
    assert parsed("--", "--port").app == "--port"
    assert error("--", "a:b", "--port") == f"'--port': one APP is expected, found 'a:b' too{HINT}"


@pytest.mark.parametrize("words", [["--port", "1"], ["--port=1"]])
def test_a_value_follows_a_space_or_an_equals_sign(words: list[str]) -> None:
    assert options(*words) == [("port", "--port", "1")]


@pytest.mark.parametrize("words", [["-w", "1"], ["-w=1"], ["-w1"]])
def test_a_short_flag_needs_neither(words: list[str]) -> None:
    assert options(*words) == [("workers", "-w", "1")]


def test_options_keep_their_order_and_how_they_were_typed() -> None:
    assert options("--keep-alive", "1", "--header", "a: b", "--header=c: d", "--no-access-log", "--factory") == [
        ("timeout_keep_alive", "--keep-alive", "1"),
        ("headers", "--header", "a: b"),
        ("headers", "--header", "c: d"),
        ("access_log", "--no-access-log", "off"),
        ("factory", "--factory", "on"),
    ]


@pytest.mark.parametrize("value", ["-", "-1", "-1.5s", "-x: a field"])
def test_what_cannot_be_a_flag_is_a_value(value: str) -> None:
    assert options("--header", value) == [("headers", "--header", value)]


@pytest.mark.parametrize("words", [["--port"], ["--port", "--factory"], ["--port", "-w"]])
def test_a_value_that_is_missing_is_said_to_be(words: list[str]) -> None:
    assert error(*words) == "--port: a value is missing, expected PORT"


# Values that may be left out


@pytest.mark.parametrize(
    ("words", "text", "app"),
    [
        (["--listing"], "html,json", None),
        (["--listing", "myapp:app"], "html,json", "myapp:app"),
        (["--listing", "json", "myapp:app"], "json", "myapp:app"),
        (["--listing", "--", "myapp:app"], "html,json", "myapp:app"),
        # Meant as a value, though a wrong one.
        (["--listing", "xml"], "xml", None),
        (["--listing=myapp:app"], "myapp:app", None),
        (["--proxy-headers", "myapp:app"], "for,proto", "myapp:app"),
        (["--proxy-headers", "x-forwarded", "my.app:app"], "x-forwarded", "my.app:app"),
        (["--no-proxy-headers", "myapp:app"], "off", "myapp:app"),
        (["--cors", "http://localhost:3000"], "http://localhost:3000", None),
        (["--spa", "myapp:app"], "index.html", "myapp:app"),
        (["--spa", "app.html"], "app.html", None),
        (["--ws-per-message-deflate", "false"], "false", None),
        (["--ws-per-message-deflate", "True", "a:b"], "True", "a:b"),
        (["--ws-per-message-deflate", "a:b"], "on", "a:b"),
        (["--no-ws-per-message-deflate", "a:b"], "off", "a:b"),
        (["--use-colors", "auto"], "auto", None),
        # A switch has a value seldom enough for this to be APP.
        (["--access-log", "www"], "on", "www"),
        (["--access-log=www"], "www", None),
        # What can only be switched on never has one.
        (["--factory", "on"], "on", "on"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_value_that_may_be_left_out_does_not_swallow_app(words: list[str], text: str, app: str | None) -> None:
    arguments = parsed(*words)
    assert ([given.text for given in arguments.options], arguments.app) == ([text], app)


@pytest.mark.parametrize("option", [each for each in OPTIONS if each.kind.bare], ids=lambda option: option.name)
def test_app_is_never_read_as_a_value(option: Option) -> None:
    assert parsed(option.flag, "myapp:app").app == "myapp:app"


@pytest.mark.parametrize(
    ("word", "value"), [("--factory=on", "on"), ("--no-access-log=1", "1"), ("--help=x", "x"), ("--version=", "")]
)
def test_what_takes_no_value_says_so(word: str, value: str) -> None:
    assert error(word) == f"{word.partition('=')[0]}: takes no value, found {value!r}"


# Besides options


def test_files_are_named_by_the_last_who_does() -> None:
    assert parsed("-c", "a", "--env-file=b").files == {"config": ("-c", "a"), "env-file": ("--env-file", "b")}
    assert parsed("-ca", "--config", "b").files == {"config": ("--config", "b")}
    assert error("-c") == "-c: a value is missing, expected FILE"


@pytest.mark.parametrize("flag", QUESTIONS)
def test_a_question_is_noted(flag: str) -> None:
    arguments = parsed("a:b", flag)
    assert (arguments.app, arguments.asked) == ("a:b", {QUESTIONS[flag]})


def test_help_is_noted_even_if_something_is_wrong() -> None:
    assert parse(["--prot", "--help"], "prog").asked == {"help"}
    assert "help" in parse(["-h", "--prot"], "prog").asked


# What is wrong


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("--prot", "; did you mean --port?"),
        ("--prot=80", "; did you mean --port?"),
        ("-port", "; did you mean --port?"),
        ("-host", "; did you mean --host?"),
        ("-reload", "; did you mean --reload?"),
        ("--conifg", "; did you mean --config?"),
        ("--chek-config", "; did you mean --check-config?"),
        ("--zzzzzz", ""),
        ("-z", ""),
        ("-", ""),
    ],
)
def test_no_option_is_refused_with_the_nearest(word: str, hint: str) -> None:
    assert error("a:b", word) == f"{word.partition('=')[0]}: no such option{hint}{HINT}"


def test_only_the_first_mistake_is_told() -> None:
    assert error("--one", "--two").startswith("--one: ")


# Other servers' flags


@pytest.mark.parametrize("flag", [flag for flag, foreign in FOREIGN.items() if foreign.advice])
def test_what_means_something_else_is_refused_with_advice(flag: str) -> None:
    for words in ([flag], [f"{flag}=x"] if flag.startswith("--") else [f"{flag}x"], ["a:b", flag, "x"]):
        assert error(*words) == f"{flag}: {FOREIGN[flag].advice}"


def test_what_is_so_anyway_is_taken() -> None:
    arguments = parsed("--reset-contextvars", "myapp:app", "--interface", "auto", "--interface=asgi3")
    assert (arguments.app, arguments.options) == ("myapp:app", [])
    assert error("--reset-contextvars=1") == "--reset-contextvars: takes no value, found '1'"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--interface", "wsgi"], "found 'wsgi', expected auto or asgi3: wrap the application with a2wsgi."),
        (["--interface=asgi2"], "found 'asgi2', expected auto or asgi3: wrap the application with asgiref."),
        (["--interface", "rsgi"], "found 'rsgi', expected auto or asgi3"),
        (["--interface"], "a value is missing, expected auto|asgi3|asgi2|wsgi"),
    ],
)
def test_an_interface_that_is_not_spoken_is_refused(words: list[str], message: str) -> None:
    assert error("a:b", *words).startswith(f"--interface: {message}")


def test_no_flag_has_two_meanings() -> None:
    ours = [flag for each in OPTIONS for flag in (each.flag, each.negative, *each.aliases) if flag]
    every = [*ours, *QUESTIONS, *FILES, *GUNICORN, *REFUSED_OR_TAKEN]
    assert sorted(set(every)) == sorted(every)
