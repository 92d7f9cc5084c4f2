"""The command line: what it makes of its arguments and the environment, what it prints, how it exits."""

from __future__ import annotations

import getpass
import io
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest

from miniasgi.cli import main
from miniasgi.config import OPTIONS, Config
from miniasgi.config.options import Option
from miniasgi.errors import StartupError
from tests.kept import signals_kept

ROOT = Path(__file__).parents[1]
RUN = "miniasgi.workers.run"  # the module whose run the command line calls


Reread = Callable[[], tuple[str | None, Config]]


class FakeServer:
    """Stands where the server's run stands: notes what it was called with, ends as it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str | None, Config]] = []
        self.ending: int | BaseException = 0
        self.reread: Reread  # set by run()

    def run(self, app: str | None, config: Config, reread: Reread) -> int:
        self.calls.append((app, config))
        self.reread = reread
        if isinstance(self.ending, BaseException):
            raise self.ending
        return self.ending

    @property
    def config(self) -> Config:
        ((_, config),) = self.calls
        return config


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    for option in OPTIONS:
        monkeypatch.delenv(option.env, raising=False)
        monkeypatch.delenv(option.variable or option.env, raising=False)
    for name in ("MINIASGI_APP", "MINIASGI_CONFIG", "MINIASGI_ENV_FILE"):
        monkeypatch.delenv(name, raising=False)
    fake = FakeServer()
    module = ModuleType(RUN)
    module.run = fake.run  # type: ignore[attr-defined]  # a module made by hand
    monkeypatch.setitem(sys.modules, RUN, module)
    with signals_kept():
        yield fake


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """The one line that a refused command line prints, without the program's name."""
    assert main(list(argv)) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert re.fullmatch(r"miniasgi: [^\n]+\n", printed.err)
    return printed.err[len("miniasgi: ") : -1]


def test_without_options_everything_is_as_by_default(server: FakeServer) -> None:
    assert main(["my.app:app"]) == 0
    assert server.calls == [("my.app:app", Config())]


def test_options_may_stand_on_either_side_of_app(server: FakeServer) -> None:
    assert main(["--port", "1", "a:b", "--host=::1"]) == 0
    assert server.calls == [("a:b", Config(port=1, host="::1"))]


def test_every_option_can_be_typed_and_every_variable_set(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    other = {
        "factory": "on",
        "app_dir": str(ROOT),
        "lifespan": "off",
        "root_path": "/r",
        "host": "::1",
        "port": "1",
        "bind": "[::1]:80",
        "uds": "my.sock",
        "uds_mode": "600",
        "uds_owner": "me:us",
        "fd": "3",
        "backlog": "2",
        "reuse_port": "off",
        "workers": "auto",
        "worker_class": "thread",
        "executor_threads": "3",
        "preload": "on",
        "timeout_worker_healthcheck": "1m",
        "limit_max_requests": "1000",
        "limit_max_requests_jitter": "100",
        "workers_lifetime": "1h",
        "workers_lifetime_jitter": "5m",
        "workers_max_rss": "1g",
        "hooks": "my.hooks:hooks",
        "pid": "my.pid",
        "loop": "asyncio",
        "http": "h11",
        "ws": "none",
        "ws_max_size": "1m",
        "ws_max_queue": "8",
        "ws_ping_interval": "0",
        "ws_ping_timeout": "5",
        "ws_per_message_deflate": "off",
        "server_header": "off",
        "date_header": "off",
        "headers": "a:b",
        "static": f"{ROOT}:/assets",
        "index": "default.html,index.htm",
        "listing": "json",
        "precompressed": "gzip,br",
        "spa": "app.html",
        "not_found": "none",
        "clean_urls": "on",
        "cache_control": "*.css=max-age=60",
        "immutable": "none",
        "static_headers": "a: b@*.html",
        "cors": "https://example.org",
        "follow_symlinks": "on",
        "dotfiles": "on",
        "hide": "*.bak",
        "static_cache": "off",
        "mime": "md=text/markdown",
        "basic_auth": "me:hash",
        "ssl_certfile": "cert.pem",
        "ssl_keyfile": "key.pem",
        "ssl_keyfile_password": "secret",
        "ssl_sni": "*.example.org=cert,key",
        "ssl_min_version": "1.3",
        "ssl_ciphers": "ECDHE+AESGCM",
        "ssl_ca_certs": "ca.pem",
        "ssl_cert_reqs": "required",
        "ssl_context_factory": "my.tls:make",
        "proxy_headers": "off",
        "forwarded_allow_ips": "*",
        "proxy_protocol": "on",
        "log_level": "trace",
        "access_log": "off",
        "log_format": "json",
        "access_log_format": "%(h)s",
        "access_logfile": "access.log",
        "error_logfile": "error.log",
        "log_config": "log.toml",
        "use_colors": "off",
        "request_id": "x-request-id",
        "limit_request_line": "1k",
        "limit_request_field_size": "2k",
        "limit_request_fields": "3",
        "limit_request_head": "4k",
        "limit_request_body": "5m",
        "limit_concurrency": "6",
        "limit_queue": "7",
        "timeout_request_header": "7",
        "timeout_request_body": "8s",
        "timeout_keep_alive": "9m",
        "timeout_write": "1h",
        "timeout_graceful_shutdown": "0",
        "timeout_queue": "1",
        "timeout_ssl_handshake": "2",
        "reload": "on",
        "reload_dir": str(ROOT),
        "reload_include": "*.css",
        "reload_exclude": "build",
        "reload_delay": "1",
        "open": "on",
        "live_reload": "on",
    }
    expected = Config.from_options(**other)
    argv = ["a:b"]
    for option in OPTIONS:
        text = other[option.name]
        assert getattr(expected, option.name) != option.default
        if option.kind.metavar:
            argv += [option.flag, text]
        else:
            argv.append(option.flag if text == "on" else option.negative)
    assert main(argv) == 0
    for option in OPTIONS:
        monkeypatch.setenv(option.env, other[option.name])
    assert main(["a:b"]) == 0
    assert server.calls == [("a:b", expected), ("a:b", expected)]


def test_the_command_line_wins_over_the_environment(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIASGI_PORT", "9000")
    monkeypatch.setenv("MINIASGI_BACKLOG", "10")
    monkeypatch.setenv("MINIASGI_ACCESS_LOG", "off")
    monkeypatch.setenv("MINIASGI_HEADER", "a: 1\nb: 2")
    assert main(["a:b", "--port", "9001", "--access-log", "--header", "c:3"]) == 0
    assert server.config == Config(port=9001, backlog=10, access_log=True, headers=((b"c", b"3"),))


def test_a_wrong_variable_does_not_matter_where_its_option_is_typed(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIASGI_PORT", "tcp://10.0.0.1:80")
    assert main(["a:b", "--port", "1"]) == 0
    assert server.config.port == 1


@pytest.mark.parametrize(
    ("typed", "own", "foreign", "workers"),
    [
        ([], None, "4", 4),
        ([], None, " 4 ", 4),
        ([], None, "auto", None),
        ([], "3", "4", 3),
        ([], "3", "x", 3),
        (["--workers", "2"], "3", "4", 2),
        (["-w2"], None, "x", 2),
        # Others set it, and some to nothing.
        ([], None, "", 1),
        ([], None, " ", 1),
        ([], None, None, 1),
    ],
)
def test_a_variable_of_other_servers_is_the_last_to_be_looked_at(
    server: FakeServer,
    monkeypatch: pytest.MonkeyPatch,
    typed: list[str],
    own: str | None,
    foreign: str | None,
    workers: int | None,
) -> None:
    for name, value in (("MINIASGI_WORKERS", own), ("WEB_CONCURRENCY", foreign)):
        if value is not None:
            monkeypatch.setenv(name, value)
    assert main(["a:b", *typed]) == 0
    assert server.config == Config(workers=workers)


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("WEB_CONCURRENCY", "0", "found '0', expected a whole number from 1 to 1024, or auto"),
        ("MINIASGI_WORKERS", "", "found nothing, expected a value; unset it for the default"),
        (
            "MINIASGI_REUSE_PORT",
            "x",
            "found 'x', expected on or off (also yes, no, true, false, 1, 0), or auto",
        ),
        ("MINIASGI_PORT", "x", "found 'x', expected a whole number from 0 to 65535"),
        ("MINIASGI_PORT", "", "found nothing, expected a value; unset it for the default"),
        ("MINIASGI_ROOT_PATH", " ", "found nothing, expected a value; unset it for the default"),
        ("MINIASGI_ACCESS_LOG", "x", "found 'x', expected on or off (also yes, no, true, false, 1, 0)"),
        ("MINIASGI_HEADER", "a:1\nb", "found 'b', expected NAME:VALUE"),
    ],
)
def test_a_wrong_variable_is_refused_by_its_name(
    server: FakeServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    value: str,
    message: str,
) -> None:
    monkeypatch.setenv(variable, value)
    assert refused(capsys, "a:b") == f"{variable}: {message}"
    assert server.calls == []


def test_the_last_of_a_repeated_option_wins(server: FakeServer) -> None:
    assert main(["a:b", "--keep-alive", "5", "--timeout-keep-alive", "6", "--no-access-log", "--access-log"]) == 0
    assert server.config == Config(timeout_keep_alive=6.0, access_log=True)


def test_repeated_fields_add_up_in_order(server: FakeServer) -> None:
    assert main(["a:b", "--header", "b: 1", "--header=a:2", "--header", "B:3"]) == 0
    assert server.config.headers == ((b"b", b"1"), (b"a", b"2"), (b"b", b"3"))


def test_a_directory_may_be_served_without_an_app(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = Config(static=((str(tmp_path), ""),))
    assert main(["--static", str(tmp_path)]) == 0
    monkeypatch.setenv("MINIASGI_STATIC", str(tmp_path))
    assert main([]) == 0
    assert server.calls == [(None, config), (None, config)]


def test_directories_add_up_in_order_also_at_one_mount(server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "a:b").mkdir()
    first, second = str(tmp_path), str(tmp_path / "a:b")
    assert main(["c:d", "--static", f"{first}:/m", "--static", f"{second}:/m/", "--static", second]) == 0
    assert server.config.static == ((first, "/m"), (second, "/m"), (second, ""))


@pytest.mark.parametrize("option", [each for each in OPTIONS if each.kind.bare], ids=lambda option: option.name)
def test_a_value_in_brackets_may_be_left_out(server: FakeServer, tmp_path: Path, option: Option) -> None:
    bare = option.read(option.kind.bare, option.flag)
    assert main([option.flag, "--static", str(tmp_path)]) == 0
    assert main(["--static", str(tmp_path), option.flag]) == 0
    # That of --proxy-headers is the default, and there to be typed as for uvicorn.
    assert (bare != option.default) == (option.name != "proxy_headers")
    assert [getattr(config, option.name) for _, config in server.calls] == [bare, bare]


def test_a_value_in_brackets_may_be_given_either_way(server: FakeServer, tmp_path: Path) -> None:
    assert main(["--static", str(tmp_path), "--listing=json", "--spa", "app.html"]) == 0
    assert (server.config.listing, server.config.spa) == (("json",), "app.html")


def test_in_the_environment_a_value_in_brackets_is_needed(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MINIASGI_LISTING", "")
    assert refused(capsys, "a:b") == "MINIASGI_LISTING: found nothing, expected a value; unset it for the default"


def test_in_the_environment_a_repeatable_option_has_one_value_a_line(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MINIASGI_STATIC", f"{tmp_path}\n{tmp_path}:/m\n")
    monkeypatch.setenv("MINIASGI_HIDE", "*.bak\nprivate, too")
    assert main([]) == 0
    assert server.config.static == ((str(tmp_path), ""), (str(tmp_path), "/m"))
    assert server.config.hide == ("*.bak", "private, too")


def test_a_variable_that_needs_another_option_does_not_matter_without_it(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIASGI_LISTING", "html")
    assert main(["a:b"]) == 0
    assert server.config.listing == ("html",)


def test_a_list_with_commas_is_replaced_by_the_last_one(server: FakeServer, tmp_path: Path) -> None:
    assert main(["--static", str(tmp_path), "--index", "a", "--index", "b,c"]) == 0
    assert server.config.index == ("b", "c")


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("--keep-alive", "timeout_keep_alive"),
        ("--graceful-timeout", "timeout_graceful_shutdown"),
        ("--h11-max-incomplete-event-size", "limit_request_head"),
        ("-w", "workers"),
        ("--timeout", "timeout_worker_healthcheck"),
        ("-t", "timeout_worker_healthcheck"),
        ("--max-requests", "limit_max_requests"),
        ("--max-requests-jitter", "limit_max_requests_jitter"),
    ],
)
def test_an_alias_is_its_option_and_keeps_its_name_in_errors(
    server: FakeServer, capsys: pytest.CaptureFixture[str], alias: str, name: str
) -> None:
    assert main(["a:b", alias, "123"]) == 0
    assert getattr(server.config, name) == 123
    assert refused(capsys, "a:b", alias, "x").startswith(f"{alias}: found 'x', expected ")


@pytest.mark.parametrize(
    ("argv", "name", "value"),
    [
        (["-w", "4"], "workers", 4),
        (["-w4"], "workers", 4),
        (["-w=4"], "workers", 4),
        (["-wauto"], "workers", None),
        (["-w4", "--workers", "2", "-w", "3"], "workers", 3),
        (["-k", "thread"], "worker_class", "thread"),
        (["-kthread"], "worker_class", "thread"),
        (["-p", "a.pid"], "pid", "a.pid"),
        (["-pa.pid"], "pid", "a.pid"),
        (["--pid-file", "a.pid"], "pid", "a.pid"),
        (["-t", "60"], "timeout_worker_healthcheck", 60.0),
        (["-t2m"], "timeout_worker_healthcheck", 120.0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_short_flag_takes_its_value_with_or_without_a_space(
    server: FakeServer, argv: list[str], name: str, value: object
) -> None:
    expected = Config.from_options(**{name: value})
    assert main(["a:b", *argv]) == main([*argv, "a:b"]) == 0
    assert server.calls == [("a:b", expected), ("a:b", expected)]


@pytest.mark.parametrize(("flag", "value"), [("--reuse-port", True), ("--no-reuse-port", False)])
def test_a_pair_that_is_automatic_can_be_switched_either_way(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, flag: str, value: bool
) -> None:
    monkeypatch.setenv("MINIASGI_REUSE_PORT", "auto")
    assert main(["a:b"]) == main(["a:b", flag]) == 0
    monkeypatch.setenv("MINIASGI_REUSE_PORT", "on" if value else "off")
    assert main(["a:b"]) == 0
    assert [config.reuse_port for _, config in server.calls] == [None, value, value]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["a:b", "--port", "x"], "--port: found 'x', expected a whole number from 0 to 65535"),
        (["a:b", "--port=-1"], "--port: found '-1', expected a whole number from 0 to 65535"),
        (["a:b", "--port", "-1"], "--port: found '-1', expected a whole number from 0 to 65535"),
        (["a:b", "--port="], "--port: found '', expected a whole number from 0 to 65535"),
        (["a:b", "--port"], "--port: a value is missing, expected PORT"),
        (["a:b", "--keep-alive", "--factory"], "--keep-alive: a value is missing, expected TIME"),
        (["a:b", "--header", "a"], "--header: found 'a', expected NAME:VALUE"),
        (["a:b", "--prot=80"], "--prot: no such option; did you mean --port? (try 'miniasgi --help')"),
        (["--prot", "80", "a:b"], "--prot: no such option; did you mean --port? (try 'miniasgi --help')"),
        (["a:b", "--acess-log"], "--acess-log: no such option; did you mean --access-log? (try 'miniasgi --help')"),
        (["a:b", "--no-factory"], "--no-factory: no such option; did you mean --factory? (try 'miniasgi --help')"),
        (["a:b", "--zzzzzz"], "--zzzzzz: no such option (try 'miniasgi --help')"),
        (["a:b", "-W", "4"], "-W: no such option (try 'miniasgi --help')"),
        (["a:b", "-"], "-: no such option (try 'miniasgi --help')"),
        (["a:b", "-w"], "-w: a value is missing, expected N|auto"),
        (["-w", "a:b"], "-w: found 'a:b', expected a whole number from 1 to 1024, or auto"),
        (["a:b", "-w", "-1"], "-w: found '-1', expected a whole number from 1 to 1024, or auto"),
        (["a:b", "-t", "-w4"], "-t: a value is missing, expected TIME"),
        (["a:b", "-k", "fork"], "-k: found 'fork', expected one of process or thread"),
        (["a:b", "-p", "."], "-p: found '.', expected the path of a file"),
        (["a:b", "--reload-dir", "."], "--reload-dir: needs --reload"),
        (["a:b", "--reload-delay=1"], "--reload-delay: needs --reload"),
        (
            [],
            "APP or --static DIR is missing: expected module:attribute, such as myapp:app, or a directory to serve "
            "(try 'miniasgi --help')",
        ),
        (["--static"], "--static: a value is missing, expected DIR[:/mount]"),
        (["--static", "missing"], "--static: found 'missing', expected a directory that exists"),
        (
            ["a:b", "--static", ".", "--basic-auth", ""],
            "--basic-auth: found something that is not shown here, expected USER:HASH, a HASH being what miniasgi "
            "--hash-password prints",
        ),
        (["a:b", "--listing"], "--listing: needs --static"),
        (["a:b", "--spa", "none"], "--spa: needs --static"),
        (["a:b", "--live-reload"], "--live-reload: needs --static"),
        (
            ["a:b", "--listing="],
            "--listing: found '', expected one or more of html, json, with commas between them, or none",
        ),
        (
            ["a:b", "--static", ".", "--spa", "c:d"],
            "'c:d': one APP is expected, found 'a:b' too (try 'miniasgi --help')",
        ),
        (
            ["--static", ".", "--spa=a:b"],
            "--spa: found 'a:b', expected a file's path inside DIR, such as index.html, or none",
        ),
        (["--hash-pasword"], "--hash-pasword: no such option; did you mean --hash-password? (try 'miniasgi --help')"),
        (["a:b", "c:d"], "'c:d': one APP is expected, found 'a:b' too (try 'miniasgi --help')"),
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_refused_in_one_line(
    server: FakeServer, capsys: pytest.CaptureFixture[str], argv: list[str], message: str
) -> None:
    assert refused(capsys, *argv) == message
    assert server.calls == []


def test_an_option_cannot_be_shortened(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "a:b", "--por", "1").startswith("--por: no such option; did you mean --port?")


def test_what_switches_off_and_what_is_no_pair_take_no_value(
    server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    for word, value in (("--no-access-log=1", "1"), ("--factory=on", "on"), ("--no-proxy-headers=for", "for")):
        assert refused(capsys, "a:b", word) == f"{word.partition('=')[0]}: takes no value, found {value!r}"


@pytest.mark.parametrize("status", [0, 3])
def test_the_servers_exit_status_is_the_programs(server: FakeServer, status: int) -> None:
    server.ending = status
    assert main(["a:b"]) == status


def test_a_failed_start_prints_the_details_then_one_line(
    server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.ending = StartupError("cannot listen:\nin use", "Traceback of the user's\nValueError: x")
    assert main(["a:b"]) == 3
    assert capsys.readouterr() == ("", "Traceback of the user's\nValueError: x\nminiasgi: cannot listen: in use\n")


def test_a_failed_start_without_details_is_one_line(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.ending = StartupError("cannot listen")
    assert main(["a:b"]) == 3
    assert capsys.readouterr() == ("", "miniasgi: cannot listen\n")


def test_an_interrupt_prints_no_traceback(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.ending = KeyboardInterrupt()
    assert main(["a:b"]) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_is_printed_without_an_app_and_serves_nothing(
    server: FakeServer, capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    assert main([flag]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("usage: miniasgi APP [options]\n")
    assert printed.err == ""
    assert server.calls == []


def test_version_names_what_the_server_runs_on(
    server: FakeServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(package: str) -> str:
        if package == "uvloop":
            raise metadata.PackageNotFoundError(package)
        return f"of-{package}"

    monkeypatch.setattr(metadata, "version", version)
    assert main(["--version"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("miniasgi ")
    assert lines[1].endswith(f" {'.'.join(map(str, sys.version_info[:3]))}")
    assert lines[2:] == ["uvloop not installed", "httptools of-httptools", "h11 of-h11", "websockets of-websockets"]


# Files


def test_everything_may_stand_in_a_file(server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "my.toml"
    file.write_text("app = 'a:b'\nport = 1", encoding="utf-8")
    assert main(["-c", str(file)]) == 0
    monkeypatch.setenv("MINIASGI_CONFIG", str(file))
    assert main(["c:d", "--port", "2"]) == 0
    assert server.calls == [("a:b", Config(port=1)), ("c:d", Config(port=2))]


def test_the_server_can_read_the_file_again(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "my.toml"
    file.write_text("port = 1", encoding="utf-8")
    monkeypatch.setenv("MINIASGI_BACKLOG", "5")
    assert main(["a:b", "-c", str(file), "--header", "a: b"]) == 0
    file.write_text("port = 2\nbacklog = 3\nheader = ['c: d']\napp = 'e:f'", encoding="utf-8")
    monkeypatch.setenv("MINIASGI_BACKLOG", "6")  # as a hook may do
    assert server.reread() == ("a:b", Config(port=2, backlog=5, headers=((b"a", b"b"),)))
    file.write_text("prot = 2", encoding="utf-8")
    with pytest.raises(StartupError, match="prot: no such option"):
        server.reread()


def test_variables_from_a_file_are_the_environments_own(
    server: FakeServer, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("dotenv")
    for name in ("MINIASGI_PORT", "FROM_FILE"):
        monkeypatch.setenv(name, "")  # so that it is as before afterwards
        monkeypatch.delenv(name)
    monkeypatch.setenv("MINIASGI_BACKLOG", "5")
    file = tmp_path / ".env"
    file.write_text("MINIASGI_PORT=1\nMINIASGI_BACKLOG=6\nFROM_FILE=x", encoding="utf-8")
    assert main(["a:b", "--env-file", str(file)]) == 0
    assert server.config == Config(port=1, backlog=5)
    assert os.environ["FROM_FILE"] == "x"
    monkeypatch.delenv("MINIASGI_PORT")
    monkeypatch.setenv("MINIASGI_ENV_FILE", str(file))
    assert main(["--print-config"]) == 0
    assert f"port = 1  # environment, MINIASGI_PORT (from {file})\n" in capsys.readouterr().out
    assert refused(capsys, "a:b", "--env-file", "missing") == (
        "--env-file: cannot read 'missing': No such file or directory"
    )


def test_a_file_of_variables_is_not_named_by_an_empty_one(
    server: FakeServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIASGI_ENV_FILE", "")
    assert refused(capsys, "a:b") == "MINIASGI_ENV_FILE: found nothing, expected a value; unset it for the default"


def test_a_warning_about_files_stands_on_standard_error(
    server: FakeServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("miniasgi.config.sources.find_table", lambda: (None, "look out"))
    assert main(["a:b"]) == 0
    assert capsys.readouterr() == ("", "miniasgi: warning: look out\n")


@pytest.mark.parametrize("app", [[], ["a:b"]])
def test_the_configuration_is_printed_with_or_without_an_app(
    server: FakeServer, capsys: pytest.CaptureFixture[str], app: list[str]
) -> None:
    assert main(["--print-config", "-w4", *app]) == 0
    printed = capsys.readouterr()
    assert "\nworkers = 4  # command line, -w\n" in printed.out
    assert ('\napp = "a:b"  # command line\n' in printed.out) == bool(app)
    assert (printed.err, server.calls) == ("", [])


@pytest.fixture
def rehearsal(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str | None, Config]]:
    """What is rehearsed, without doing it."""
    calls = []
    module = ModuleType("miniasgi.workers.rehearsal")

    def rehearse(app: str | None, config: Config) -> str:
        calls.append((app, config))
        if config.port == 1:
            raise StartupError("not so good")
        return "all of it"

    module.rehearse = rehearse  # type: ignore[attr-defined]  # a module made by hand
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return calls


def test_a_configuration_that_is_good_is_said_to_be(
    server: FakeServer, capsys: pytest.CaptureFixture[str], rehearsal: list[tuple[str | None, Config]]
) -> None:
    assert main(["a:b", "--check-config"]) == 0
    assert capsys.readouterr() == ("the configuration is good: all of it\n", "")
    assert main(["a:b", "--check-config", "--port", "1"]) == 3
    assert capsys.readouterr() == ("", "miniasgi: not so good\n")
    assert refused(capsys, "--check-config").startswith("APP or --static DIR is missing")
    assert rehearsal == [("a:b", Config()), ("a:b", Config(port=1))]
    assert server.calls == []


class FullDisk(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


class GonePipe(io.StringIO):
    """Takes what is written, and fails when it is to leave, as a file with a buffer does."""

    def flush(self) -> None:
        raise BrokenPipeError(32, "Broken pipe")


@pytest.mark.parametrize("flag", ["--help", "--version", "--hash-password"])
@pytest.mark.usefixtures("hashing")
def test_what_cannot_be_printed_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("secret\n"))
    monkeypatch.setattr(sys, "stdout", FullDisk())
    assert main([flag]) == 3
    assert sys.stdout.closed
    assert capsys.readouterr().err == "miniasgi: cannot write to standard output: No space left on device\n"


@pytest.mark.parametrize("flag", ["--help", "--version", "--hash-password"])
@pytest.mark.usefixtures("hashing")
def test_a_reader_who_has_gone_is_told_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("secret\n"))
    monkeypatch.setattr(sys, "stdout", GonePipe())
    assert main([flag]) == 141
    assert capsys.readouterr().err == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the place of the real hash, which takes its time."""

    def hash_password(password: str) -> str:
        if password == "\a":
            raise ValueError("the password contains control characters")
        return f"hash-of-{password}"

    module = ModuleType("miniasgi.static.auth")
    module.hash_password = hash_password  # type: ignore[attr-defined]  # a module made by hand
    monkeypatch.setitem(sys.modules, "miniasgi.static.auth", module)


def type_passwords(monkeypatch: pytest.MonkeyPatch, *passwords: str) -> list[tuple[str, object]]:
    """Passwords for a terminal, then its end; the prompts, as they come, and where they are written."""
    prompts: list[tuple[str, object]] = []
    waiting = list(passwords)

    def ask(prompt: str, stream: object) -> str:
        prompts.append((prompt, stream))
        if not waiting:
            raise EOFError
        return waiting.pop(0)

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(getpass, "getpass", ask)
    return prompts


@pytest.mark.usefixtures("hashing")
def test_a_password_on_a_terminal_is_asked_for_twice(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = type_passwords(monkeypatch, "secret", "secret")
    assert main(["--hash-password"]) == 0
    assert capsys.readouterr() == ("hash-of-secret\n", "")
    assert prompts == [("Password: ", sys.stderr), ("Again: ", sys.stderr)]


@pytest.mark.usefixtures("hashing")
@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["one", "two"], "found two different passwords, expected the same twice"),
        (["one", ""], "found two different passwords, expected the same twice"),
        ([""], "found nothing, expected a password, as one line"),
        ([], "found nothing, expected a password, as one line"),
    ],
)
def test_a_password_that_is_not_typed_twice_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: list[str], message: str
) -> None:
    type_passwords(monkeypatch, *typed)
    assert refused(capsys, "--hash-password") == f"--hash-password: {message}"


@pytest.mark.usefixtures("hashing")
@pytest.mark.parametrize("piped", ["two words ", "two words \n", "two words \r\n", "two words \nmore\n"])
def test_a_password_that_is_piped_is_the_first_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], piped: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(piped, newline=""))
    assert main(["--hash-password"]) == 0
    assert capsys.readouterr() == ("hash-of-two words \n", "")


@pytest.mark.usefixtures("hashing")
@pytest.mark.parametrize(
    ("stdin", "message"),
    [
        (None, "found nothing, expected a password, as one line"),
        (io.StringIO(), "found nothing, expected a password, as one line"),
        (io.StringIO("\n"), "found nothing, expected a password, as one line"),
        (io.StringIO("\a\n"), "the password contains control characters"),
        (io.TextIOWrapper(io.BytesIO(b"\xff\n"), "utf-8"), "found octets that are not UTF-8, expected a password"),
    ],
    ids=["closed", "empty", "blank", "bell", "octets"],
)
def test_what_is_no_password_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stdin: object, message: str
) -> None:
    monkeypatch.setattr(sys, "stdin", stdin)
    assert refused(capsys, "--hash-password") == f"--hash-password: {message}"


def test_the_hash_of_a_password_fits_an_option(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "miniasgi", "--hash-password"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        input="secret\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"[\w.-]+\n", done.stdout)
    assert Config.from_options(basic_auth=f"me:{done.stdout}").basic_auth == (("me", done.stdout.strip()),)


def run(
    *arguments: str, cwd: Path, stdout: int = subprocess.PIPE, stderr: int = subprocess.PIPE, **environ: str
) -> subprocess.CompletedProcess[str]:
    foreign = {option.variable for option in OPTIONS}
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("MINIASGI_") and name not in foreign
    }
    environment["PYTHONPATH"] = str(ROOT)
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment | environ,
        stdout=stdout,
        stderr=stderr,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def test_the_module_runs_under_the_name_it_was_called_by(tmp_path: Path) -> None:
    done = run("-m", "miniasgi", "--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: python -m miniasgi APP [options]\n")


# --help is longer than the buffer of standard output, --version is not: they fail in different places.
@pytest.mark.parametrize("flag", ["--help", "--version"])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_the_interpreter_adds_nothing_to_what_is_said_of_a_full_disk(tmp_path: Path, flag: str) -> None:
    with open("/dev/full", "wb") as full:
        done = run("-m", "miniasgi", flag, cwd=tmp_path, stdout=full.fileno())
    assert done.returncode == 3
    assert done.stderr == "miniasgi: cannot write to standard output: No space left on device\n"


@pytest.mark.parametrize("buffering", [(), ("-u",)], ids=["buffered", "unbuffered"])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_an_error_that_cannot_be_written_keeps_its_exit_status(tmp_path: Path, buffering: tuple[str, ...]) -> None:
    with open("/dev/full", "wb") as full:
        done = run(*buffering, "-m", "miniasgi", "--bad", cwd=tmp_path, stderr=full.fileno(), PYTHONUNBUFFERED="")
    assert done.returncode == 2


def test_without_standard_error_nothing_is_said_on_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["--bad"]) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_the_configuration_is_printed_in_utf_8_as_toml_has_to_be(tmp_path: Path, encoding: str) -> None:
    words = ("-m", "miniasgi", "--root-path", "/äλ", "--print-config")
    done = run(*words, cwd=tmp_path, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, "")
    assert '\nroot-path = "/äλ"  # command line, --root-path\n' in done.stdout


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_the_interpreter_says_nothing_of_a_closed_pipe(tmp_path: Path, flag: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = run("-m", "miniasgi", flag, cwd=tmp_path, stdout=writer)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.slow
def test_what_is_said_of_folders_stands_in_the_log_like_everything_else(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("-m", "miniasgi", "--static", ".", "--spa", "--port", port, cwd=tmp_path)
    warning, error = done.stderr.splitlines()
    assert warning[20:] == "warning .: there is no file index.html yet, which is to be served"
    assert error == f"miniasgi: cannot listen on 127.0.0.1:{port}: Address already in use"


def test_the_process_ends_with_the_status_of_a_bad_option(tmp_path: Path) -> None:
    done = run("-m", "miniasgi", "a:b", "--port", "x", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "miniasgi: --port: found 'x', expected a whole number from 0 to 65535\n"


def test_what_is_printed_is_a_file_that_is_good(tmp_path: Path) -> None:
    (tmp_path / "myapp.py").write_text("async def app(scope, receive, send): ...\n", encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text("[tool.miniasgi]\napp = 'myapp:app'\nport = 9000", encoding="utf-8")
    printed = run("-m", "miniasgi", "--loop", "asyncio", "--print-config", cwd=tmp_path)
    assert (printed.returncode, printed.stderr) == (0, "")
    assert "\nport = 9000  # file, pyproject.toml\n" in printed.stdout
    (tmp_path / "my.toml").write_text(printed.stdout, encoding="utf-8")
    (tmp_path / "pyproject.toml").unlink()
    checked = run("-m", "miniasgi", "-c", "my.toml", "--check-config", cwd=tmp_path)
    said = "the configuration is good: myapp:app on 127.0.0.1:9000, http, asyncio, 1 worker process\n"
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, said, "")


@pytest.mark.parametrize("words", [["--check-config"], []], ids=["check", "start"])
def test_what_turns_out_to_be_wrong_is_called_as_it_was_said(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "my.toml").write_text('ssl_ciphers = "ECDHE+AESGCM"', encoding="utf-8")
    (tmp_path / "myapp.py").write_text("async def app(scope, receive, send): ...\n", encoding="utf-8")
    done = run("-m", "miniasgi", "-c", "my.toml", *words, cwd=tmp_path, MINIASGI_APP="myapp:app", MINIASGI_PORT="0")
    said = "miniasgi: --ssl-ciphers: needs --ssl-certfile (--ssl-ciphers is from the file, my.toml)\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)


def test_what_is_not_good_ends_with_its_own_status(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text("app = 'missing:app'", encoding="utf-8")
    for words, status, begins in (
        (["--check-config"], 3, "application 'missing:app': no module named missing"),
        (["--check-config", "--preload", "--reload"], 2, "--preload: found --reload, too"),
        (["--daemon"], 2, "--daemon: not possible"),
    ):
        done = run("-m", "miniasgi", "-c", "my.toml", *words, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (status, "")
        assert re.fullmatch(rf"miniasgi: {begins}[^\n]+\n", done.stderr)


def test_help_loads_neither_the_server_nor_asyncio(tmp_path: Path) -> None:
    script = (
        "import sys; from miniasgi.cli import main; main(['--help']); "
        "names = ('asyncio', 'argparse', 'dotenv', 'getpass', 'hashlib', 'tomllib', 'miniasgi.server', "
        "'miniasgi.static', 'miniasgi.workers'); "
        "print([name for name in sys.modules if name in names], file=sys.stderr)"
    )
    done = run("-c", script, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "[]\n")
