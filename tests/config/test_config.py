"""Config: what each kind of option takes, what it refuses, and how it says so."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest

from miniasgi.config import OPTIONS, Config
from miniasgi.config.kinds import KIB, MIB
from miniasgi.config.options import Option
from miniasgi.errors import UsageError
from miniasgi.hashed_names import HASHED_NAME

BY_NAME = {each.name: each for each in OPTIONS}

TIMEOUTS = [name for name in BY_NAME if name.startswith("timeout_")]
# Not workers_max_rss, which has another bound.
SIZES = [each.name for each in OPTIONS if each.kind.unit == "octets" and each.name != "workers_max_rss"]
SWITCHES = [name for name, option in BY_NAME.items() if not option.kind.metavar]


def refusal(name: str, value: object) -> str:
    with pytest.raises(UsageError) as caught:
        Config.from_options(**{name: value})
    message = str(caught.value)
    assert caught.value.exit_status == 2
    assert message.startswith(f"{name}: found ")
    assert ", expected " in message
    assert "\n" not in message
    return message


def test_the_defaults_are_those_that_the_documentation_promises() -> None:
    assert dataclasses.asdict(Config()) == {
        "factory": False,
        "app_dir": "",
        "lifespan": "auto",
        "root_path": "",
        "host": "127.0.0.1",
        "port": 8000,
        "bind": (),
        "uds": "",
        "uds_mode": 0o666,
        "uds_owner": "",
        "fd": None,
        "backlog": 2048,
        "reuse_port": None,
        "workers": 1,
        "worker_class": "process",
        "executor_threads": None,
        "preload": False,
        "timeout_worker_healthcheck": 30.0,
        "limit_max_requests": None,
        "limit_max_requests_jitter": 0,
        "workers_lifetime": None,
        "workers_lifetime_jitter": 0.0,
        "workers_max_rss": None,
        "ws": "auto",
        "ws_max_size": 16 * 1024 * 1024,
        "ws_max_queue": 32,
        "ws_ping_interval": 20.0,
        "ws_ping_timeout": 20.0,
        "ws_per_message_deflate": True,
        "hooks": "",
        "pid": "",
        "loop": "auto",
        "http": "auto",
        "server_header": True,
        "date_header": True,
        "headers": (),
        "static": (),
        "index": ("index.html",),
        "listing": (),
        "precompressed": (),
        "spa": "",
        "not_found": "404.html",
        "clean_urls": False,
        "cache_control": (),
        "immutable": HASHED_NAME,
        "static_headers": (),
        "cors": "",
        "follow_symlinks": False,
        "dotfiles": False,
        "hide": (),
        "static_cache": ("full", 64 * MIB),
        "mime": (),
        "basic_auth": (),
        "ssl_certfile": "",
        "ssl_keyfile": "",
        "ssl_keyfile_password": "",
        "ssl_sni": (),
        "ssl_min_version": "1.2",
        "ssl_ciphers": "",
        "ssl_ca_certs": "",
        "ssl_cert_reqs": "none",
        "ssl_context_factory": "",
        "proxy_headers": ("for", "proto"),
        "forwarded_allow_ips": ("127.0.0.1", "::1", "unix:"),
        "proxy_protocol": False,
        "log_level": "info",
        "access_log": True,
        "log_format": "text",
        "access_log_format": "default",
        "access_logfile": "-",
        "error_logfile": "-",
        "log_config": "",
        "use_colors": None,
        "request_id": "",
        "limit_request_line": 16 * KIB,
        "limit_request_field_size": 16 * KIB,
        "limit_request_fields": 100,
        "limit_request_head": 64 * KIB,
        "limit_request_body": None,
        "limit_concurrency": None,
        "limit_queue": 1000,
        "timeout_request_header": 10.0,
        "timeout_request_body": 30.0,
        "timeout_keep_alive": 75.0,
        "timeout_write": 60.0,
        "timeout_graceful_shutdown": 10.0,
        "timeout_queue": 30.0,
        "timeout_ssl_handshake": 10.0,
        "reload": False,
        "reload_dir": (),
        "reload_include": (),
        "reload_exclude": (),
        "reload_delay": 0.25,
        "open": False,
        "live_reload": False,
    }


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().port = 1  # type: ignore[misc]  # the point of the test


def test_a_changed_copy_is_checked_too() -> None:
    assert dataclasses.replace(Config(), port=9000).port == 9000
    with pytest.raises(UsageError):
        dataclasses.replace(Config(), port=-1)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_a_default_reads_back_from_how_it_is_shown(option: Option) -> None:
    assert option.read(option.kind.show(option.default) or option.default, option.flag) == option.default


@pytest.mark.parametrize(("value", "port"), [(0, 0), (65535, 65535), ("8080", 8080), (" 80 ", 80)])
def test_a_port_is_a_number_or_its_text(value: object, port: int) -> None:
    assert Config.from_options(port=value).port == port


@pytest.mark.parametrize("value", ["x", "", "-1", "65536", 70000, -1, True, None, 80.0, "8_0", "٨", "9" * 5000, b"80"])
def test_what_is_no_port_is_refused(value: object) -> None:
    assert refusal("port", value).endswith("expected a whole number from 0 to 65535")


def test_a_very_long_value_is_cut_in_the_error() -> None:
    assert len(refusal("port", "x" * 100_000)) < 280


def test_a_line_end_in_a_value_stays_out_of_the_error() -> None:
    assert refusal("lifespan", "on\nforged line") == (
        "lifespan: found 'on\\nforged line', expected one of auto, on or off"
    )


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize(
    ("value", "octets"),
    [
        (1, 1),
        ("65536", 65536),
        ("64k", 64 * KIB),
        ("64K", 64 * KIB),
        ("64 KiB", 64 * KIB),
        ("10m", 10 * MIB),
        ("10MiB", 10 * MIB),
        ("1g", 1024 * MIB),
        ("1gib", 1024 * MIB),
    ],
)
def test_a_size_is_in_octets_or_powers_of_1024(name: str, value: object, octets: int) -> None:
    assert getattr(Config.from_options(**{name: value}), name) == octets


@pytest.mark.parametrize(("value", "octets"), [("1m", MIB), ("400m", 400 * MIB), (MIB, MIB), ("none", None)])
def test_memory_is_a_size_that_a_process_can_have(value: object, octets: int | None) -> None:
    assert Config.from_options(workers_max_rss=value).workers_max_rss == octets
    for small in (1, "512", "1023k", MIB - 1, "x"):
        assert refusal("workers_max_rss", small).endswith(
            "expected a size of at least 1 MiB, such as 10m or 1g, or none for no limit"
        )


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("value", [0, -1, "0", "0k", "", "k", "1.5k", "64kb", "1t", "-1k", 1.0, False])
def test_what_is_no_size_is_refused(name: str, value: object) -> None:
    assert "expected a size of at least 1 octet, such as 65536, 64k, 10m or 1g" in refusal(name, value)


@pytest.mark.parametrize(
    "name",
    ["limit_request_body", "limit_concurrency", "limit_max_requests", "workers_lifetime", "workers_max_rss"],
)
@pytest.mark.parametrize("value", [None, "none", "None"])
def test_none_takes_an_optional_limit_away(name: str, value: object) -> None:
    assert getattr(Config.from_options(**{name: value}), name) is None


@pytest.mark.parametrize("value", [None, "none"])
def test_the_limits_of_a_head_cannot_be_taken_away(value: object) -> None:
    assert "none for no limit" not in refusal("limit_request_head", value)


def test_an_optional_limit_says_that_none_is_possible() -> None:
    assert refusal("limit_concurrency", 0).endswith("a whole number of at least 1, or none for no limit")


@pytest.mark.parametrize("name", ["workers", "executor_threads", "reuse_port"])
@pytest.mark.parametrize("value", [None, "auto", "Auto"])
def test_auto_is_none_where_the_server_finds_a_value_itself(name: str, value: object) -> None:
    assert getattr(Config.from_options(**{name: value}), name) is None


@pytest.mark.parametrize("name", ["workers", "executor_threads"])
@pytest.mark.parametrize("value", [0, 1025, "none", "", 1.0, True])
def test_how_many_is_a_number_or_auto(name: str, value: object) -> None:
    assert refusal(name, value).endswith("expected a whole number from 1 to 1024, or auto")


@pytest.mark.parametrize("name", ["limit_max_requests_jitter", "workers_lifetime_jitter"])
def test_nothing_may_be_added_at_random(name: str) -> None:
    assert getattr(Config.from_options(**{name: "0"}), name) == 0
    refusal(name, None)


def test_what_is_reloaded_is_lines_or_lists(tmp_path: Path) -> None:
    config = Config.from_options(reload_dir=[str(tmp_path)], reload_include="*.css\n*.html", reload_exclude="build")
    assert config.reload_dir == (str(tmp_path),)
    assert (config.reload_include, config.reload_exclude) == (("*.css", "*.html"), ("build",))
    assert refusal("reload_dir", str(tmp_path / "missing")).endswith("expected a directory that exists")
    assert refusal("reload_include", [""]).endswith("expected a pattern such as *.css")


def test_hooks_are_named_and_the_pid_goes_to_a_file(tmp_path: Path) -> None:
    config = Config(hooks="my.hooks:Hooks", pid=str(tmp_path / "pid"))
    assert (config.hooks, config.pid) == ("my.hooks:Hooks", str(tmp_path / "pid"))
    assert refusal("hooks", "hooks").endswith("expected module:attribute, with dots allowed in both")
    assert refusal("pid", str(tmp_path)).endswith("expected the path of a file")


@pytest.mark.parametrize("name", TIMEOUTS)
@pytest.mark.parametrize(
    ("value", "seconds"),
    [(30, 30.0), (0.5, 0.5), ("30", 30.0), ("30s", 30.0), ("1.5 s", 1.5), ("2m", 120.0), ("1H", 3600.0)],
)
def test_a_time_is_in_seconds_or_says_its_unit(name: str, value: object, seconds: float) -> None:
    found = getattr(Config.from_options(**{name: value}), name)
    assert (type(found), found) == (float, seconds)


@pytest.mark.parametrize("name", TIMEOUTS)
@pytest.mark.parametrize(
    "value", [-1, "-1", "", "s", "1d", "1e3", "none", None, True, math.nan, math.inf, "inf", 10**400, "9" * 400]
)
def test_what_is_no_time_is_refused(name: str, value: object) -> None:
    assert "such as 30, 1.5s, 2m or 1h" in refusal(name, value)


@pytest.mark.parametrize("value", [0, 0.0, "0", "0s"])
def test_only_the_graceful_shutdown_may_take_no_time(value: object) -> None:
    assert Config.from_options(timeout_graceful_shutdown=value).timeout_graceful_shutdown == 0
    for name in TIMEOUTS:
        if name != "timeout_graceful_shutdown":
            assert "a time of more than 0 seconds" in refusal(name, value)


@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_takes_the_usual_words(name: str) -> None:
    for value in (True, "on", "YES", "true", "1"):
        assert getattr(Config.from_options(**{name: value}), name) is True
    for value in (False, "off", "no", "False", "0"):
        assert getattr(Config.from_options(**{name: value}), name) is False


@pytest.mark.parametrize("value", ["", "maybe", None, 2, [], "onn"])
def test_what_is_neither_on_nor_off_is_refused(value: object) -> None:
    assert "expected on or off" in refusal("access_log", value)


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("lifespan", "OFF", "off"),
        ("log_level", "Warning", "warning"),
        ("loop", "uvloop", "uvloop"),
        ("loop", "my.loops:Loop.new", "my.loops:Loop.new"),
        ("http", "mine:Parser", "mine:Parser"),
    ],
)
def test_a_choice_is_one_of_its_words_or_the_users_own(name: str, value: str, read: str) -> None:
    assert getattr(Config.from_options(**{name: value}), name) == read


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("lifespan", "my:own", "one of auto, on or off"),
        ("loop", "gevent", "one of auto, asyncio, uvloop or module:callable"),
        ("loop", "a:", "one of auto, asyncio, uvloop or module:callable"),
        ("http", ":b", "one of auto, handwritten, h11, httptools or module:factory"),
        ("http", "a b:c", "one of auto, handwritten, h11, httptools or module:factory"),
        ("log_level", 10, "one of critical, error, warning, info, debug or trace"),
    ],
)
def test_another_word_is_refused_with_the_words_there_are(name: str, value: object, expected: str) -> None:
    assert refusal(name, value) == f"{name}: found {value!r}, expected {expected}"


@pytest.mark.parametrize(
    ("value", "host"), [("localhost", "localhost"), ("0.0.0.0", "0.0.0.0"), ("::1", "::1"), ("[::1]", "::1")]
)
def test_a_host_is_a_name_or_an_address(value: str, host: str) -> None:
    assert Config(host=value).host == host


@pytest.mark.parametrize("value", ["", "localhost:80", "[::1]:80", "a b", "a\x00b", "a\n", None, b"localhost"])
def test_a_host_with_a_port_or_control_characters_is_refused(value: object) -> None:
    assert refusal("host", value).endswith("expected an address or a host name, without a port")


@pytest.mark.parametrize(("value", "path"), [("", ""), ("/api", "/api"), ("/api/", "/api"), ("/", ""), ("/é", "/é")])
def test_a_root_path_never_ends_with_a_slash(value: str, path: str) -> None:
    assert Config(root_path=value).root_path == path


@pytest.mark.parametrize("value", ["api", "/a?b", "/a#b", "/a\r\nb", None])
def test_a_root_path_is_a_path(value: object) -> None:
    assert refusal("root_path", value).endswith("expected a path that begins with /, such as /api")


def test_an_app_dir_must_exist(tmp_path: Path) -> None:
    assert Config(app_dir=str(tmp_path)).app_dir == str(tmp_path)
    assert refusal("app_dir", str(tmp_path / "missing")).endswith("expected a directory that exists")


@pytest.mark.parametrize(
    "value",
    [
        [("X-One", "1"), (b"x-two", b" two words ")],
        (["x-ONE", b"1"], ("X-Two", "two words")),
        ["X-One:1", "X-Two: two words "],
        "X-One: 1\nX-Two: two words",
    ],
)
def test_fields_are_lines_or_pairs_and_names_become_lower_case(value: object) -> None:
    assert Config.from_options(headers=value).headers == ((b"x-one", b"1"), (b"x-two", b"two words"))


def test_a_field_value_may_be_empty_hold_colons_tabs_and_any_other_octet() -> None:
    found = Config.from_options(headers=["a:", "b:c:d", ("e", "f\tg"), ("h", b"\xe9\xff"), ("i", "é")]).headers
    assert found == ((b"a", b""), (b"b", b"c:d"), (b"e", b"f\tg"), (b"h", b"\xe9\xff"), (b"i", b"\xe9"))


@pytest.mark.parametrize("name", ["", "a b", " a", "a ", "a\r", "é", "a(", "a\x00"])
def test_a_field_name_must_be_a_token(name: str) -> None:
    assert "expected a field name of letters, digits" in refusal("headers", [(name, "v")])


@pytest.mark.parametrize("octet", [*range(9), *range(10, 32), 127])
def test_a_field_value_must_hold_no_control_octet(octet: int) -> None:
    value = b"a%cb" % octet
    assert refusal("headers", [("x", value)]).endswith("expected a field value without control characters")


@pytest.mark.parametrize("name", ["Connection", "content-length", "Keep-Alive", "Transfer-Encoding", "upgrade"])
def test_a_field_that_frames_the_message_is_refused(name: str) -> None:
    assert "a field that does not frame the message" in refusal("headers", [(name, "1")])


@pytest.mark.parametrize("value", [5, None, "x", ["x"], [5], [("a",)], [("a", "b", "c")], [("a", 1)], ["a: \u20ac"]])
def test_what_is_no_field_is_refused(value: object) -> None:
    refusal("headers", value)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("prot", "; did you mean port?"),
        ("header", "; did you mean headers?"),
        ("keep_alive", "; did you mean timeout_keep_alive?"),
        ("h11_max_incomplete_event_size", "; did you mean limit_request_head?"),
        ("timeout", "; did you mean timeout_worker_healthcheck?"),
        ("pid_file", "; did you mean pid?"),
        ("w", "; did you mean workers?"),
        ("zzzzzz", ""),
    ],
)
def test_an_unknown_option_is_refused_with_the_nearest_name(name: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        Config.from_options(**{"host": "::1", name: 1})
    assert str(caught.value) == f"{name}: no such option{hint}"


def test_no_two_options_share_a_flag_or_a_variable() -> None:
    flags = [flag for each in OPTIONS for flag in (each.flag, each.negative, *each.aliases) if flag]
    variables = [name for each in OPTIONS for name in (each.env, each.variable) if name]
    assert len(set(flags)) == len(flags)
    assert len(set(variables)) == len(variables)
    assert (BY_NAME["static_headers"].flag, BY_NAME["static_headers"].env) == (
        "--static-header",
        "MINIASGI_STATIC_HEADER",
    )
    assert (BY_NAME["not_found"].flag, BY_NAME["not_found"].env) == ("--404", "MINIASGI_404")
    assert (BY_NAME["headers"].flag, BY_NAME["headers"].env) == ("--header", "MINIASGI_HEADER")
    assert (BY_NAME["access_log"].negative, BY_NAME["factory"].negative) == ("--no-access-log", "")


def test_an_option_that_means_nothing_without_another_says_so() -> None:
    needing = {need: {each.name for each in OPTIONS if each.needs == need} for need in {each.needs for each in OPTIONS}}
    del needing[""]
    assert needing == {
        "static": {each.name for each in OPTIONS if each.group == "Static files"} - {"static"} | {"live_reload"},
        "reload": {"reload_dir", "reload_include", "reload_exclude", "reload_delay"},
        "ssl_certfile": {
            "ssl_keyfile",
            "ssl_keyfile_password",
            "ssl_sni",
            "ssl_min_version",
            "ssl_ciphers",
            "ssl_ca_certs",
            "ssl_cert_reqs",
        },
    }


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_a_wrong_value_is_never_another_error(option: Option) -> None:
    class Strange:
        __hash__ = None  # type: ignore[assignment]  # as of a list

        def __repr__(self) -> str:
            raise RuntimeError("not now")

    strange = Strange()
    for value in (strange, [strange], [("x", strange)], [(strange, "x")], [("x", "y", strange)], ("full", strange)):
        with pytest.raises(UsageError, match=f"^{option.name}: found .+, expected "):
            Config.from_options(**{option.name: value})


def test_a_config_of_static_files_is_that_of_its_texts(tmp_path: Path) -> None:
    assert Config.from_options(static=[(str(tmp_path), "/a")], hide=["*.bak"], spa="index.html") == Config.from_options(
        static=f"{tmp_path}:/a/", hide="*.bak", spa="index.html"
    )
