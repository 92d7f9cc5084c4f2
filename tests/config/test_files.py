"""The options of static files: each means nothing without a directory to serve."""

from __future__ import annotations

from miniasgi.config import OPTIONS


def test_each_of_them_needs_a_directory() -> None:
    group = [option for option in OPTIONS if option.group == "Static files"]
    assert [option.name for option in group if option.needs != "static"] == ["static"]
