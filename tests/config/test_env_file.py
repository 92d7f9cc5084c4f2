"""Variables from a file: which are set, who wins, and what is said of a file that cannot be read."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from miniasgi.config.env_file import load_env_file
from miniasgi.errors import UsageError


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """The process's own, as it was before."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def written(directory: Path, content: str | bytes) -> str:
    file = directory / ".env"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(file)


def refuse(warning: str) -> None:
    raise AssertionError(warning)


def refusal(path: str) -> str:
    with pytest.raises(UsageError) as caught:
        load_env_file(path, "--env-file", refuse)
    return str(caught.value)


@pytest.fixture
def dotenv() -> None:
    pytest.importorskip("dotenv")


@pytest.mark.usefixtures("dotenv")
def test_variables_are_set_except_those_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIASGI_PORT", "1")
    monkeypatch.delenv("MINIASGI_HOST", raising=False)
    path = written(tmp_path, "# comment\nMINIASGI_PORT=2\nexport MINIASGI_HOST='::1'\nNOTHING\n")
    assert load_env_file(path, "--env-file", refuse) == {"MINIASGI_HOST"}
    assert (os.environ["MINIASGI_PORT"], os.environ["MINIASGI_HOST"]) == ("1", "::1")
    assert "NOTHING" not in os.environ


@pytest.mark.usefixtures("dotenv")
def test_a_mark_of_the_encoding_at_the_start_is_no_part_of_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MINIASGI_PORT", raising=False)
    assert load_env_file(written(tmp_path, "\ufeffMINIASGI_PORT=2\n"), "--env-file", refuse) == {"MINIASGI_PORT"}
    monkeypatch.delenv("MINIASGI_PORT")


@pytest.mark.usefixtures("dotenv")
def test_what_is_no_variable_is_a_warning_that_names_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, "A_B_C=1\nthis is; none\nA_B_D=2\n")
    warnings: list[str] = []
    for _ in range(2):
        assert load_env_file(path, "--env-file", warnings.append) == {"A_B_C", "A_B_D"}
        del os.environ["A_B_C"], os.environ["A_B_D"]
    assert warnings == [f"{path}: line 2: found no variable, expected NAME=VALUE, and passed it over"] * 2
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("dotenv")
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    assert refusal(missing) == f"--env-file: cannot read {missing!r}: No such file or directory"
    assert refusal(str(tmp_path)) == f"--env-file: cannot read {str(tmp_path)!r}: Is a directory"


@pytest.mark.usefixtures("dotenv")
def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, b"A=\xff\n")
    assert refusal(path) == f"--env-file: found octets in {path!r} that are not UTF-8, expected NAME=VALUE lines"


@pytest.mark.usefixtures("dotenv")
def test_a_value_that_no_variable_can_have_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "A=b\0c\n")
    assert refusal(path) == f"--env-file: {path!r} sets a variable that cannot be: embedded null byte"


def test_without_the_package_its_name_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dotenv", None)
    assert refusal(written(tmp_path, "")) == (
        "--env-file: the package python-dotenv is not installed (pip install 'miniasgi[env]')"
    )
