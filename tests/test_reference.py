"""The pages that are made from tables say what these say."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from miniasgi.config import OPTIONS, Config
from miniasgi.config.options import Option
from miniasgi.config.uvicorn import ROWS
from miniasgi.reference import options_page, uvicorn_page

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "reference" / "options.md"


def test_the_page_is_what_the_generator_writes() -> None:
    assert PAGE.read_text(encoding="utf-8") == options_page(), (
        "run: python -m miniasgi.reference > docs/reference/options.md"
    )


def test_every_field_of_config_is_an_option_and_a_group_keeps_their_order() -> None:
    fields = [field.name for field in dataclasses.fields(Config)]
    groups = list(dict.fromkeys(each.group for each in OPTIONS))
    assert [each.name for each in OPTIONS] == [
        each.name
        for group in groups
        for each in sorted(OPTIONS, key=lambda option: fields.index(option.name))
        if each.group == group
    ]
    assert {each.name for each in OPTIONS} == set(fields)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_is_documented_in_a_sentence_and_has_a_row(option: Option) -> None:
    assert option.group
    assert re.fullmatch(r"[A-Z].{20,}\.", option.help)
    rows = [line for line in options_page().splitlines() if f"`{option.env}`" in line]
    assert len(rows) == 1
    assert option.help in rows[0]
    for flag in filter(None, [option.flag, option.negative, *option.aliases]):
        assert f"`{flag}" in rows[0]


def test_a_variable_of_other_servers_stands_behind_our_own() -> None:
    shown = re.findall(r"\| `(MINIASGI_\w+)`, `(\w+)` \|", options_page())
    assert shown == [(option.env, option.variable) for option in OPTIONS if option.variable]
    assert ("MINIASGI_WORKERS", "WEB_CONCURRENCY") in shown


def test_each_table_has_the_same_columns_in_every_row() -> None:
    rows = [line for line in options_page().splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {6}


@pytest.mark.parametrize("unit", ["octets", "seconds"])
def test_a_number_with_a_unit_names_it(unit: str) -> None:
    documented = [line for line in options_page().splitlines() if line.endswith(f" In {unit}. |")]
    assert len(documented) == sum(option.kind.unit == unit for option in OPTIONS) > 0


def test_a_value_that_may_be_left_out_is_in_brackets() -> None:
    bracketed = re.findall(r"^\| `(--[\w-]+) \[", options_page(), re.MULTILINE)
    assert bracketed == [option.flag for option in OPTIONS if option.kind.bare]


def test_what_is_repeatable_says_so() -> None:
    repeatable = re.findall(r"^\| `(--[\w-]+).* Repeatable\. \|$", options_page(), re.MULTILINE)
    assert repeatable == [option.flag for option in OPTIONS if option.kind.repeatable]


def test_a_group_is_not_split() -> None:
    headings = re.findall(r"^## (.+)$", options_page(), re.MULTILINE)
    assert len(headings) == len(set(headings))


def test_the_page_about_uvicorn_is_what_the_generator_writes() -> None:
    assert (DOCS / "uvicorn.md").read_text(encoding="utf-8") == uvicorn_page(), (
        "run: python -m miniasgi.reference uvicorn > docs/uvicorn.md"
    )


def test_every_option_of_uvicorn_has_a_row_with_what_becomes_of_it() -> None:
    rows = [line for line in uvicorn_page().splitlines() if line.startswith("| `")]
    assert [re.match(r"\| `(--[\w-]+)` \| (?:`--[\w-]+`)? ?\| (\w+) \|", line).groups() for line in rows] == [  # type: ignore[union-attr]  # None fails the test as well
        (row.flag, row.outcome) for row in ROWS
    ]
    assert "| `--ssl-version` |  | refused | Use `--ssl-min-version` 1.2 or 1.3. |" in rows


def test_the_page_about_configuration_names_every_key_that_needs_a_restart() -> None:
    from miniasgi.workers.rereading import NEEDS_RESTART

    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    section = page.partition("## Change it while the server runs")[2].partition("\n## ")[0]
    # What belongs to reload is named as that.
    names = {each.name for each in OPTIONS if f"`{each.flag.removeprefix('--')}`" in section} - {"workers"}
    assert names == {name for name in NEEDS_RESTART if not name.startswith("reload_")}
