"""Files for Python's logging: each syntax is put into effect, and what is wrong with one is said in a line."""

from __future__ import annotations

import builtins
import logging
import re
from pathlib import Path
from typing import Any

import pytest

from miniasgi.errors import StartupError, UsageError
from miniasgi.observe.log_config import apply_file

logger = logging.getLogger("tests.log_config")
other = logging.getLogger("tests.other")

pytestmark = pytest.mark.usefixtures("unconfigured")

JSON = """{"version": 1,
 "formatters": {"plain": {"format": "%(levelname)s %(message)s"}},
 "handlers": {"file": {"class": "logging.FileHandler", "filename": "LOG", "formatter": "plain"}},
 "loggers": {"tests.log_config": {"handlers": ["file"], "level": "INFO", "propagate": false}}}"""

TOML = """version = 1
[formatters.plain]
format = "%(levelname)s %(message)s"
[handlers.file]
class = "logging.FileHandler"
filename = "LOG"
formatter = "plain"
[loggers."tests.log_config"]
handlers = ["file"]
level = "INFO"
propagate = false
"""

YAML = """version: 1
formatters:
  plain: {format: "%(levelname)s %(message)s"}
handlers:
  file: {class: logging.FileHandler, filename: LOG, formatter: plain}
loggers:
  tests.log_config: {handlers: [file], level: INFO, propagate: no}
"""

INI = """[loggers]
keys = root, ours
[handlers]
keys = file
[formatters]
keys = plain
[logger_root]
handlers =
[logger_ours]
qualname = tests.log_config
handlers = file
level = INFO
propagate = 0
[handler_file]
class = FileHandler
args = ("LOG",)
formatter = plain
[formatter_plain]
format = %(levelname)s %(message)s
"""


def file(path: Path, text: str) -> str:
    path.write_text(text.replace("LOG", str(path.with_name("log"))), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", JSON),
        ("a.toml", TOML),
        ("a.yaml", YAML),
        ("a.yml", YAML),
        ("a.ini", INI),
        ("a.conf", INI),
        ("a.cfg", INI),
        ("A.JSON", JSON),
        ("bom.json", "\ufeff" + JSON),
        ("bom.ini", "\ufeff" + INI),
    ],
)
def test_each_syntax_is_put_into_effect(tmp_path: Path, name: str, text: str) -> None:
    if text is YAML:
        pytest.importorskip("yaml")
    apply_file(file(tmp_path / name, text))
    logger.info("hello")
    logger.debug("not this")
    assert (tmp_path / "log").read_text() == "INFO hello\n"


@pytest.mark.parametrize(("name", "text"), [("a.json", JSON), ("a.ini", INI)])
def test_loggers_that_a_file_does_not_name_go_on(tmp_path: Path, name: str, text: str) -> None:
    apply_file(file(tmp_path / name, text))
    assert other.disabled is False


def test_a_file_may_switch_others_off(tmp_path: Path) -> None:
    apply_file(file(tmp_path / "a.json", JSON.replace("1,", '1, "disable_existing_loggers": true,', 1)))
    assert other.disabled is True


def refused(path: Path, kind: type[StartupError] = UsageError) -> str:
    with pytest.raises(StartupError) as caught:
        apply_file(str(path))
    assert type(caught.value) is kind
    assert caught.value.details == ""
    said = str(caught.value)
    start = f"--log-config {path}: "
    assert said.startswith(start) and "\n" not in said
    return said.removeprefix(start)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.json", "{", "not JSON: Expecting property name .* line 1 column 2"),
        ("a.json", "[" * 100_000, "not JSON: .*recursion"),
        ("a.json", "[]", "found a list, expected a table of logging's dictConfig, with version = 1"),
        ("a.json", "7", "found a value of type int, expected a table"),
        ("a.json", "{}", ".*version"),
        ("a.json", '{"version": 2}', "Unsupported version: 2"),
        ("a.json", JSON.replace('"INFO"', '"LOUD"'), "Unable to configure logger 'tests.log_config': .*'LOUD'"),
        ("a.json", JSON.replace('["file"]', '["fiel"]'), "Unable to configure logger 'tests.log_config'.*'fiel'"),
        ("a.json", JSON.replace('"formatter": "plain"', '"formatter": "x"'), "Unable to .*'file': .*'x' is missing"),
        ("a.json", JSON.replace("logging.FileHandler", "no.such"), "Unable to configure handler 'file': .*'no"),
        ("a.json", JSON.replace("LOG", "/no/such/log"), "Unable to configure handler 'file': .*No such file"),
        ("a.toml", "version = ", "not TOML: Invalid value"),
        ("a.ini", "nothing", "not a configuration of logging's fileConfig: File contains no section headers"),
        ("a.ini", "", r"found no \[loggers\] with keys, expected loggers, handlers and formatters"),
        ("a.ini", INI.replace("[formatters]", "[x]"), r"found no \[formatters\] with keys"),
        ("a.ini", INI.replace("root, ours", "ours"), r"found no root among the keys of \[loggers\], expected it"),
        ("a.ini", INI.replace("[handler_file]", "[x]"), "'handler_file' is missing"),
        ("a.ini", INI.replace("[logger_ours]", "[x]"), "'logger_ours' is missing"),
        ("a.ini", INI.replace("FileHandler", "NoHandler"), ".*NoHandler"),
        ("a.ini", INI.replace('("LOG",)', "(oops,)"), ".*oops"),
        ("a.ini", INI.replace("level = INFO", "level = LOUD"), ".*LOUD"),
        ("a.xml", "", r"found the ending '\.xml', expected one of \.json, \.toml, \.yaml, \.yml, \.ini, \.conf, \.cfg"),
        ("a", "", "found the ending '', expected one of"),
    ],
)
def test_a_broken_file_is_one_line_that_says_what_is_wrong(tmp_path: Path, name: str, text: str, reason: str) -> None:
    file(tmp_path / name, text)
    assert re.match(reason, refused(tmp_path / name))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: [", "not YAML: "),
        ("a: 2026-99-99", "not YAML: "),
        ("!!python/object/apply:os.system [x]", "not YAML: could not determine a constructor"),
        ("- 1", "found a list, expected a table"),
        ("", "found nothing, expected a table"),
        ("words", "found a text, expected a table"),
    ],
)
def test_broken_yaml_is_one_line_that_says_what_is_wrong(tmp_path: Path, text: str, reason: str) -> None:
    pytest.importorskip("yaml")
    file(tmp_path / "a.yaml", text)
    assert refused(tmp_path / "a.yaml").startswith(reason)


def test_yaml_without_its_package_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = builtins.__import__

    def missing(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "yaml":
            raise ImportError(name)
        return load(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", missing)
    file(tmp_path / "a.yaml", YAML)
    said = refused(tmp_path / "a.yaml", StartupError)
    assert said == "the package PyYAML is not installed (pip install 'miniasgi[yaml]')"


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.json") == "No such file or directory, expected a file that can be read"
    (tmp_path / "dir.json").mkdir()
    assert refused(tmp_path / "dir.json") == "Is a directory, expected a file that can be read"
    (tmp_path / "latin.json").write_bytes(b"\xff")
    assert refused(tmp_path / "latin.json").startswith("found octets that are not UTF-8 (invalid start byte)")


def test_what_a_class_of_the_users_raises_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "users_handlers.py").write_text(
        "import logging\nclass Broken(logging.Handler):\n    def __init__(self):\n"
        "        raise RuntimeError('no\\nluck')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    file(tmp_path / "a.json", '{"version": 1, "handlers": {"x": {"class": "users_handlers.Broken"}}}')
    assert refused(tmp_path / "a.json").endswith("no luck")
