"""The options of what serves: those whose kinds are their own, as a whole Config takes them."""

from __future__ import annotations

import pytest

from miniasgi.config import OPTIONS, Config
from miniasgi.config.addresses import Descriptor, TcpAddress, UnixAddress
from miniasgi.errors import UsageError

BY_NAME = {option.name: option for option in OPTIONS}


def test_addresses_may_be_mixed_and_keep_their_order() -> None:
    config = Config.from_options(bind=["[::]:443", "unix:a.sock", "fd://3"], uds_mode="660", uds_owner="me:us")
    assert config.bind == (TcpAddress("::", 443), UnixAddress("a.sock"), Descriptor(3))
    assert (config.uds_mode, config.uds_owner) == (0o660, "me:us")


def test_a_descriptor_that_is_missing_is_no_limit() -> None:
    assert Config.from_options(fd="none").fd is None
    with pytest.raises(UsageError) as caught:
        Config.from_options(fd=-1)
    assert str(caught.value) == "fd: found -1, expected a whole number of at least 0, or none for no descriptor"


@pytest.mark.parametrize(
    ("name", "aliases"),
    [
        ("bind", {"-b"}),
        ("workers", {"-w"}),
        ("worker_class", {"-k"}),
        ("pid", {"-p", "--pid-file"}),
        ("timeout_worker_healthcheck", {"-t", "--timeout"}),
    ],
)
def test_hands_that_know_gunicorn_find_their_flags(name: str, aliases: set[str]) -> None:
    assert set(BY_NAME[name].aliases) == aliases
