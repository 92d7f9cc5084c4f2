"""Options in a file: which keys and values are taken, which file is read, and what is said of a wrong one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from miniasgi.config import OPTIONS
from miniasgi.config.options import Option
from miniasgi.config.toml_file import Table, find_table, load_table, read_value
from miniasgi.errors import UsageError

BY_NAME = {option.name: option for option in OPTIONS}


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current one, which is empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(text: str | bytes, name: str = "my.toml") -> Table:
    Path(name).write_bytes(text.encode() if isinstance(text, str) else text)
    return load_table(name)


def refusal(text: str | bytes, name: str = "my.toml") -> str:
    """What is said of a file, behind its name."""
    with pytest.raises(UsageError) as caught:
        load(text, name)
    message = str(caught.value)
    assert message.startswith(f"{name}: ")
    return message.removeprefix(f"{name}: ")


# Keys


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("app", "app"),
        ("port", "port"),
        ("ssl-certfile", "ssl_certfile"),
        ("ssl_certfile", "ssl_certfile"),
        ("header", "headers"),
        ("headers", "headers"),
        ("404", "not_found"),
        ("not_found", "not_found"),
        ("not-found", "not_found"),
        ("static-header", "static_headers"),
        ("static_headers", "static_headers"),
    ],
)
def test_a_key_is_an_options_name_with_either_kind_of_dash(key: str, name: str) -> None:
    assert load(f"{key} = 1") == Table("my.toml", {name: (key, 1)})


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_has_a_key(option: Option) -> None:
    for key in (option.flag.removeprefix("--"), option.name):
        assert set(load(f"{key} = 1").entries) == {option.name}


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("prot", "; did you mean port?"),
        ("appp", "; did you mean app?"),
        ("log_levle", "; did you mean log-level?"),
        ("--port", "; did you mean port?"),
        ("keep-alive", "; did you mean timeout-keep-alive?"),
        ("keep_alive", "; did you mean timeout-keep-alive?"),
        ("w", "; did you mean workers?"),
        ("MINIASGI_PORT", "; did you mean port?"),
        ("no-access-log", "; did you mean access-log = false?"),
        ("zzzzzz", ""),
        ("http2", "; did you mean http?"),
        ("config", "; it can be typed, but not stand in a file"),
        ("env_file", "; it can be typed, but not stand in a file"),
        ("check-config", "; it can be typed, but not stand in a file"),
    ],
)
def test_a_key_that_is_no_option_is_refused_with_the_nearest(key: str, hint: str) -> None:
    assert refusal(f'port = 1\n"{key}" = true') == f"{key}: no such option{hint}"


def test_a_table_that_is_no_option_is_answered_with_where_options_stand() -> None:
    assert refusal("[server]\nport = 1") == "server: no such option; expected options at the top, in no table"


def test_one_option_under_two_names_is_refused() -> None:
    assert refusal("header = []\nheaders = []") == "found header and headers, expected one of them: they are the same"


# Values


def test_permissions_as_a_number_are_another_number_than_was_meant() -> None:
    mode = BY_NAME["uds_mode"]
    assert read_value(mode, "660", "a.toml: uds-mode") == 0o660
    for text in ("400", "0o660"):
        value = load(f"uds-mode = {text}").entries["uds_mode"][1]
        with pytest.raises(UsageError) as caught:
            read_value(mode, value, "a.toml: uds-mode")
        assert str(caught.value) == 'a.toml: uds-mode: found a number, expected octal digits in quotes, such as "660"'


@pytest.mark.parametrize("text", ["1979-05-27T07:32:00Z", "07:32:00", "{ a = 1 }", "[{}]", "[[[]]]", "inf"])
@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_a_value_of_a_type_that_does_not_fit_is_never_another_error(option: Option, text: str) -> None:
    value = load(f"{option.name} = {text}").entries[option.name][1]
    with pytest.raises(UsageError, match=r"^key: found .+, expected "):
        read_value(option, value, "key")


def test_a_version_may_be_a_number() -> None:
    assert read_value(BY_NAME["ssl_min_version"], 1.3, "key") == "1.3"


# Files


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("port = ", "found no TOML, expected options in TOML: Invalid value (at end of document)"),
        (b"a = '\xff'", "found octets that are not UTF-8, expected options in TOML"),
        ("[tool.miniasgi]\nport = 1", "tool: no such option; expected options at the top: [tool.miniasgi] is for a "
                                      "file called pyproject.toml"),
    ],
    ids=["no TOML", "octets", "table"],
)  # fmt: skip
def test_what_is_no_file_of_options_is_refused(text: str | bytes, message: str) -> None:
    assert refusal(text) == message


@pytest.mark.parametrize("text", [f"port = {'9' * 5000}", f"port = {'[' * 100_000}"], ids=["digits", "brackets"])
def test_what_python_cannot_take_is_refused_like_everything_else(text: str) -> None:
    assert refusal(text).startswith("found no TOML, expected options in TOML: ")


def test_line_ends_may_be_those_of_windows() -> None:
    assert set(load(b"port = 1\r\nworkers = 2\r\n").entries) == {"port", "workers"}


def test_a_mark_of_the_encoding_at_the_start_is_passed_over() -> None:
    assert set(load("\ufeffport = 1".encode()).entries) == {"port"}


def test_a_file_that_cannot_be_read_is_one_line(directory: Path) -> None:
    (directory / "a").mkdir()
    for path, reason in (("missing.toml", "No such file or directory"), ("a", "Is a directory")):
        with pytest.raises(UsageError) as caught:
            load_table(path)
        assert str(caught.value) == f"{path}: cannot be read: {reason}"
    with pytest.raises(UsageError, match=r"^'': cannot be read: No such file or directory$"):
        load_table("")
    with pytest.raises(UsageError, match="cannot be read: embedded null byte"):
        load_table("a\0b")


def test_a_program_for_gunicorn_is_refused_with_what_to_do() -> None:
    assert refusal("workers = 4", "gunicorn.conf.py") == (
        "found Python, expected options in TOML; miniasgi --print-config shows how that looks, and --hooks is for what "
        "is to be called (docs/configuration.md)"
    )


# pyproject.toml


def test_a_pyproject_that_is_named_must_have_the_table() -> None:
    assert load("[tool.miniasgi]\nport = 1", "pyproject.toml").entries == {"port": ("port", 1)}
    assert refusal("[tool.other]", "pyproject.toml") == (
        "found no [tool.miniasgi], expected one in a file of this name"
    )
    assert refusal("tool = 1", "pyproject.toml").startswith("found no [tool.miniasgi]")
    assert refusal("[tool]\nminiasgi = 1", "pyproject.toml") == "tool.miniasgi: found a value, expected a table"


def found(text: str) -> Table | None:
    Path("pyproject.toml").write_text(text, encoding="utf-8")
    table, warning = find_table()
    assert warning == ""
    return table


def test_the_table_of_the_current_directory_is_found() -> None:
    assert found("[project]\nname = 'x'\n[tool.miniasgi]\nport = 1") == Table("pyproject.toml", {"port": ("port", 1)})
    assert found("[tool.miniasgi]") == Table("pyproject.toml", {})


@pytest.mark.parametrize(
    "text",
    ["", "[project]\nname = 'miniasgi'", "this is no TOML", "tool = 'miniasgi'"],
    ids=["", "name", "none", "tool"],
)
def test_a_file_that_is_not_about_options_is_left_alone(text: str) -> None:
    assert found(text) is None


def test_without_a_file_there_is_nothing_to_say(directory: Path) -> None:
    assert find_table() == (None, "")
    (directory / "pyproject.toml").mkdir()
    assert find_table() == (None, "")


def test_a_file_that_mentions_us_must_be_right() -> None:
    for text, message in (
        ("[tool.miniasgi]\nport =", "found no TOML"),
        ("[tool.miniasgi]\nprot = 1", "prot: no such option; did you mean port?"),
        ("[tool]\nminiasgi = 1", "tool.miniasgi: found a value, expected a table"),
    ):
        Path("pyproject.toml").write_text(text, encoding="utf-8")
        with pytest.raises(UsageError) as caught:
            find_table()
        assert str(caught.value).startswith(f"pyproject.toml: {message}")


def test_a_file_that_may_not_be_read_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, mode: str) -> None:
        raise PermissionError(13, os.strerror(13), path)

    monkeypatch.setattr("builtins.open", refuse)
    assert find_table() == (
        None,
        "pyproject.toml: cannot be read, so nothing in it counts: Permission denied",
    )
