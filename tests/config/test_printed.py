"""All options as a file: where each comes from, that the same is read again, and that secrets are not in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from miniasgi.config import OPTIONS, Config
from miniasgi.config.arguments import parse
from miniasgi.config.printed import settings_page
from miniasgi.config.sources import Origin, Settings, Source, read_settings

SECRETS = {"ssl_keyfile_password": "hunter2", "basic_auth": [("me", "hunter2")]}


def line(key: str, **options: Any) -> str:
    """The line of one option."""
    page = settings_page(Settings(None, Config.from_options(**options), {}))
    (found,) = [each for each in page.splitlines() if re.match(rf"(?:# )?{key} = ", each)]
    return found


def read_again(settings: Settings, path: Path) -> Settings:
    path.write_text(settings_page(settings), encoding="utf-8")
    return read_settings(parse(["-c", str(path)], "prog"), {})


def test_every_option_is_there_under_its_group_and_by_default_says_so() -> None:
    lines = settings_page(Settings(None, Config(), {})).splitlines()
    assert '# app = "module:attribute"  # default' in lines
    for option in OPTIONS:
        assert f"# {option.group}" in lines
        (found,) = [each for each in lines if each.startswith(f"{option.flag.removeprefix('--')} = ")]
        assert found.endswith("  # default")


def test_each_says_where_it_comes_from() -> None:
    origins = {
        "app": Origin(Source.COMMAND_LINE),
        "port": Origin(Source.COMMAND_LINE, "--port"),
        "backlog": Origin(Source.FILE, "a\nb.toml"),
    }
    lines = settings_page(Settings("a:b", Config(port=1), origins)).splitlines()
    assert {
        'app = "a:b"  # command line',
        "port = 1  # command line, --port",
        r"backlog = 2048  # 'file, a\nb.toml'",
        'host = "127.0.0.1"  # default',
    } <= set(lines)


@pytest.mark.parametrize(
    ("key", "options", "text"),
    [
        ("port", {"port": 80}, "80"),
        ("access-log", {"access_log": False}, "false"),
        ("use-colors", {}, '"auto"'),
        ("use-colors", {"use_colors": True}, "true"),
        ("fd", {}, '"none"'),
        ("fd", {"fd": 3}, "3"),
        ("uds-mode", {"uds_mode": 0o600}, '"600"'),
        ("timeout-keep-alive", {"timeout_keep_alive": 90}, '"90 s"'),
        ("limit-request-head", {"limit_request_head": "64k"}, '"64 KiB"'),
        ("listing", {"listing": ("html", "json")}, '"html,json"'),
        ("proxy-headers", {"proxy_headers": ()}, '"off"'),
        ("bind", {"bind": [":80", "fd://3"]}, '[":80", "fd://3"]'),
        ("header", {"headers": [("a", 'quo"ted \\ \t é')]}, r'["a: quo\"ted \\ \t é"]'),
        ("404", {"not_found": ""}, '"none"'),
        ("immutable", {}, '"auto"'),
        ("immutable", {"immutable": "\x7f\n"}, r'"\u007f\n"'),
        # As it would be typed it would mean something else.
        ("static-header", {"static_headers": [("a", "b", "c.html")]}, '[["a", "b", "c.html"]]'),
    ],
)
def test_a_value_is_written_as_toml_has_it(key: str, options: dict[str, Any], text: str) -> None:
    assert line(key, **options) == f"{key} = {text}  # default"


def test_a_directory_whose_name_is_no_text_is_left_out(tmp_path: Path) -> None:
    path = str(tmp_path / "a\udcff")
    Path(path).mkdir()
    assert line("static", static=[(path, "")]) == "# static = (cannot be written here)  # default"


def test_the_defaults_are_read_again(tmp_path: Path) -> None:
    assert read_again(Settings(None, Config(), {}), tmp_path / "a.toml").config == Config()


def test_everything_else_is_read_again_too(tmp_path: Path) -> None:
    config = Config.from_options(
        app_dir=str(tmp_path),
        bind=["[::1]:80", "unix:a b", "fd://3"],
        uds_mode="660",
        reuse_port=False,
        workers=None,
        timeout_keep_alive=1234567.25,
        timeout_write=0.00002,
        workers_lifetime="1h",
        limit_request_body=12345,
        workers_max_rss="1g",
        headers=[("a", b"\xe9\xff: c"), ("b", "")],
        static=[(str(tmp_path), "/a"), (str(tmp_path), "")],
        static_headers=[("a", "b@c", "*"), ("a", "b", "c.html")],
        cache_control=[("*.css", "max-age=60, public")],
        immutable=r"\d+\.js$",
        static_cache=("full", 1000),
        mime=["md=text/markdown; charset=utf-8"],
        cors="*",
        ssl_certfile="c.pem",
        ssl_sni=["a=b,c", "*.d=e"],
        ssl_min_version="1.3",
        ssl_cert_reqs=2,
        proxy_headers="x-forwarded",
        forwarded_allow_ips=["10.0.0.0/8", "unix:"],
        access_log_format='%(h)s "%(r)s" \\',
        use_colors=False,
        reload_dir=[str(tmp_path)],
    )
    settings = Settings("my.app:make", config, {})
    again = read_again(settings, tmp_path / "a.toml")
    assert (again.app, again.config) == ("my.app:make", config)


def test_secrets_are_not_shown_and_their_lines_are_comments(tmp_path: Path) -> None:
    config = Config.from_options(static=str(tmp_path), ssl_certfile="c", **SECRETS)
    origins = {"ssl_keyfile_password": Origin(Source.ENVIRONMENT, "MINIASGI_SSL_KEYFILE_PASSWORD")}
    settings = Settings(None, config, origins)
    page = settings_page(settings)
    assert "hunter2" not in page
    assert "\n# basic-auth = (not shown)  # default\n" in page
    assert "\n# ssl-keyfile-password = (not shown)  # environment, MINIASGI_SSL_KEYFILE_PASSWORD\n" in page
    assert read_again(settings, tmp_path / "a.toml").config == Config.from_options(
        static=str(tmp_path), ssl_certfile="c"
    )


def test_every_kind_that_is_secret_is_tested_here() -> None:
    assert {option.name for option in OPTIONS if option.kind.secret} <= set(SECRETS)
