"""Where options come from: which source wins, what each says of itself, and what is wrong in which."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from miniasgi.config import OPTIONS, Config
from miniasgi.config.arguments import parse
from miniasgi.config.sources import Origin, Settings, Source, read_settings
from miniasgi.errors import UsageError

FOREIGN = [option for option in OPTIONS if option.variable]


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current one, which is empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(*words: str, file: str | None = None, **environ: str) -> Settings:
    """The settings of a command line, an environment, and a file that the command line names."""
    if file is not None:
        Path("my.toml").write_text(file, encoding="utf-8")
        words = ("-c", "my.toml", *words)
    return read_settings(parse(words, "prog"), environ)


def refusal(*words: str, file: str | None = None, **environ: str) -> str:
    with pytest.raises(UsageError) as caught:
        read(*words, file=file, **environ)
    return str(caught.value)


def test_nothing_said_is_the_default() -> None:
    assert read() == Settings(None, Config(), {})


@pytest.mark.parametrize(
    ("words", "environ", "file", "port", "origin"),
    [
        (["--port", "1"], {"MINIASGI_PORT": "2"}, "port = 3", 1, "command line, --port"),
        ([], {"MINIASGI_PORT": "2"}, "port = 3", 2, "environment, MINIASGI_PORT"),
        ([], {}, "port = 3", 3, "file, my.toml"),
        ([], {}, "", 8000, None),
    ],
    ids=["command line", "environment", "file", "default"],
)
def test_the_higher_source_wins_and_is_remembered(
    words: list[str], environ: Mapping[str, str], file: str, port: int, origin: str | None
) -> None:
    settings = read(*words, file=file, **environ)
    assert settings.config == Config(port=port)
    assert {name: str(each) for name, each in settings.origins.items()} == ({"port": origin} if origin else {})


def test_sources_are_asked_for_each_option_by_itself() -> None:
    settings = read("-w", "2", file="port = 3\nbacklog = 4\nworkers = 5", MINIASGI_BACKLOG="6")
    assert settings.config == Config(workers=2, port=3, backlog=6)


def test_what_a_lower_source_says_of_it_may_be_wrong() -> None:
    settings = read("--port", "1", file="port = 'x'\nhost = ''", MINIASGI_PORT="", MINIASGI_HOST="::1")
    assert settings.config == Config(port=1, host="::1")


def test_what_is_repeated_adds_up_within_a_source_and_is_replaced_by_a_higher_one() -> None:
    file, environ = "header = ['a: 1', 'b: 2']", {"MINIASGI_HEADER": "c: 3\nd: 4"}
    assert read(file=file).config.headers == ((b"a", b"1"), (b"b", b"2"))
    assert read(file=file, **environ).config.headers == ((b"c", b"3"), (b"d", b"4"))
    assert read("--header", "e: 5", "--header", "f: 6", file=file, **environ).config.headers == (
        (b"e", b"5"),
        (b"f", b"6"),
    )


def test_app_comes_from_any_source() -> None:
    assert read("a:b", file="app = 'c:d'", MINIASGI_APP="e:f").app == "a:b"
    assert read(file="app = 'c:d'", MINIASGI_APP=" e:f ").app == "e:f"
    settings = read(file="app = ' c:d '")
    assert (settings.app, settings.origins) == ("c:d", {"app": Origin(Source.FILE, "my.toml")})


@pytest.mark.parametrize(("value", "found"), [("''", "''"), ("5", "5"), ("[]", "[]")])
def test_app_in_a_file_is_a_text(value: str, found: str) -> None:
    expected = "expected module:attribute, such as myapp:app"
    assert refusal(file=f"app = {value}") == f"my.toml: app: found {found}, {expected}"


@pytest.mark.parametrize("variable", ["MINIASGI_PORT", "MINIASGI_APP", "MINIASGI_CONFIG", "MINIASGI_404"])
def test_a_variable_that_is_empty_is_refused(variable: str) -> None:
    assert refusal(**{variable: " "}) == f"{variable}: found nothing, expected a value; unset it for the default"


# Variables of other servers


def test_our_own_variable_wins_over_that_of_others() -> None:
    assert read(WEB_CONCURRENCY="4").config.workers == 4
    assert read(WEB_CONCURRENCY="x", MINIASGI_WORKERS="3").config.workers == 3
    assert read(file="workers = 2", WEB_CONCURRENCY="4").config.workers == 4


def test_that_of_others_may_be_empty() -> None:
    assert read(WEB_CONCURRENCY="").config == Config()
    assert read(WEB_CONCURRENCY=" ", file="workers = 2").config.workers == 2


def test_an_empty_list_of_trusted_proxies_trusts_nobody() -> None:
    settings = read(FORWARDED_ALLOW_IPS="")
    assert settings.config == Config(forwarded_allow_ips=())
    assert str(settings.origins["forwarded_allow_ips"]) == "environment, FORWARDED_ALLOW_IPS"


def test_a_wrong_one_is_refused_by_its_name() -> None:
    assert refusal(FORWARDED_ALLOW_IPS="proxy").startswith("FORWARDED_ALLOW_IPS: found 'proxy', expected addresses")


def test_a_variable_says_which_file_it_comes_from() -> None:
    settings = read_settings(parse([], "prog"), {"MINIASGI_PORT": "1"}, {"MINIASGI_PORT": ".env"})
    assert str(settings.origins["port"]) == "environment, MINIASGI_PORT (from .env)"


# Files


def test_a_file_is_named_by_the_command_line_or_a_variable(directory: Path) -> None:
    for name, port in (("one.toml", 1), ("two.toml", 2)):
        (directory / name).write_text(f"port = {port}", encoding="utf-8")
    assert read("-c", "one.toml", MINIASGI_CONFIG="two.toml").config.port == 1
    assert read(MINIASGI_CONFIG="two.toml").config.port == 2


def test_a_file_that_is_named_is_read_alone(directory: Path) -> None:
    (directory / "pyproject.toml").write_text("[tool.miniasgi]\nport = 1\nbacklog = 2", encoding="utf-8")
    settings = read()
    assert settings.config == Config(port=1, backlog=2)
    assert str(settings.origins["port"]) == "file, pyproject.toml"
    assert read(file="port = 3").config == Config(port=3)


def test_a_warning_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("miniasgi.config.sources.find_table", lambda: (None, "look out"))
    assert read() == Settings(None, Config(), {}, ("look out",))


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("MINIASGI_PROT", "MINIASGI_PORT"),
        ("MINIASGI_WORKER", "MINIASGI_WORKERS"),
        ("MINIASGI_NO_ACCESS_LOG", "MINIASGI_ACCESS_LOG"),
        ("MINIASGI_ENV_FILES", "MINIASGI_ENV_FILE"),
        ("MINIASGI_ZZZZZZ", None),
        ("MINIASGI_", None),
        ("PROT", None),
    ],
)
def test_a_variable_that_is_nearly_an_options_is_a_warning(variable: str, meant: str | None) -> None:
    expected = (f"{variable}: no such option, so it means nothing; did you mean {meant}?",) if meant else ()
    assert read(**{variable: "1", "MINIASGI_CONFIG": "/dev/null"}).warnings == expected


def test_a_wrong_value_is_refused_by_file_and_key() -> None:
    assert refusal(file="keep = 1").startswith("my.toml: keep: no such option")
    assert refusal(file="max_request = 1").startswith("my.toml: max_request: no such option")
    assert refusal(file="not_found = 5").startswith("my.toml: not_found: found 5, expected ")
    assert refusal(file="uds_mode = 400").startswith("my.toml: uds_mode: found a number, expected octal digits")


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("workers = 4", "workers", 4),
        ("workers = '4'", "workers", 4),
        ("workers = 'auto'", "workers", None),
        ("access-log = false", "access_log", False),
        ("access-log = 'off'", "access_log", False),
        ("timeout-keep-alive = 1.5", "timeout_keep_alive", 1.5),
        ("timeout-keep-alive = '2m'", "timeout_keep_alive", 120.0),
        ("limit-request-body = '10m'", "limit_request_body", 10 * 1024 * 1024),
        ("limit-request-body = 'none'", "limit_request_body", None),
        ("index = ['a', 'b']", "index", ("a", "b")),
        ("index = 'a,b'", "index", ("a", "b")),
        ('hide = "a\\nb"', "hide", ("a", "b")),
        ("proxy-headers = false", "proxy_headers", ()),
        ("forwarded-allow-ips = ['10.0.0.0/8']", "forwarded_allow_ips", ("10.0.0.0/8",)),
        ("ssl-sni = ['a=b,c']", "ssl_sni", (("a", "b", "c"),)),
    ],
)
def test_a_value_has_tomls_type_or_is_the_text_that_is_typed(text: str, name: str, value: object) -> None:
    assert read(file=text).config == Config.from_options(**{name: value})


# What means nothing without something else


def test_what_is_typed_needs_what_gives_it_a_meaning() -> None:
    assert refusal("--reload-dir", ".") == "--reload-dir: needs --reload"
    assert refusal("--ciphers", "x") == "--ciphers: needs --ssl-certfile"
    assert refusal("--live-reload") == "--live-reload: needs --static"


def test_it_may_come_from_anywhere() -> None:
    assert read("--reload-dir", ".", file="reload = true").config.reload
    assert read("--ssl-keyfile", "k", MINIASGI_SSL_CERTFILE="c").config.ssl_certfile == "c"


def test_a_factory_makes_up_for_a_certificate() -> None:
    assert read("--ssl-ciphers", "x", "--ssl-context-factory", "a:b").config.ssl_ciphers == "x"


def test_what_stands_elsewhere_may_be_meant_for_another_command() -> None:
    assert read(file="reload-delay = 1\nlisting = 'html'", MINIASGI_SPA="a.html").config.reload_delay == 1.0


def test_reading_again_finds_what_has_changed(directory: Path) -> None:
    arguments = parse(["-c", "my.toml", "--header", "a: b"], "prog")
    file = directory / "my.toml"
    found = []
    for port in (1, 2):
        file.write_text(f"port = {port}", encoding="utf-8")
        found.append(read_settings(arguments, {}).config)
    assert found == [Config(port=port, headers=((b"a", b"b"),)) for port in (1, 2)]


def test_there_are_variables_of_other_servers() -> None:
    assert [option.variable for option in FOREIGN] == ["FORWARDED_ALLOW_IPS", "WEB_CONCURRENCY"]
