"""What people type who come from other servers: each flag has advice, and the advice names what there is."""

from __future__ import annotations

import re

import pytest

from miniasgi.config import OPTIONS, Config
from miniasgi.config.arguments import FILES, FOREIGN, QUESTIONS, parse
from miniasgi.config.foreign import Foreign, loop_advice, parser_advice, websocket_advice, worker_class_advice
from miniasgi.errors import UsageError

OURS = {flag for option in OPTIONS for flag in (option.flag, option.negative, *option.aliases) if flag}
OURS |= {*FILES, *QUESTIONS}


@pytest.mark.parametrize(("flag", "foreign"), FOREIGN.items(), ids=FOREIGN)
def test_a_flag_is_no_option_here_and_its_advice_names_options(flag: str, foreign: Foreign) -> None:
    assert flag not in OURS
    for named in re.findall(r"(?<![\w-])--[a-z][\w-]*", foreign.advice):
        assert named in OURS


@pytest.mark.parametrize(
    "flag",
    [
        *("-D", "-u", "-e", "-n", "--threads", "--worker-tmp-dir", "--chdir", "--control-socket", "--header-map"),
        *("--insecure-bind", "--quic-bind", "--verify-mode", "--read-timeout", "--debug"),
        *("--backpressure", "--blocking-threads", "--ssl-certificate", "--static-path-mount", "--url-path-prefix"),
    ],
)
def test_what_people_type_for_other_servers_is_answered(flag: str) -> None:
    assert re.fullmatch(r"(use|leave it out|not possible).{10,}", FOREIGN[flag].advice)


@pytest.mark.parametrize(
    "word", ["--http2-keep-alive-interval", "--http2-max-frame-size=5", "--no-http2-adaptive-window"]
)
def test_whatever_is_asked_for_of_http_2_is_not_possible(word: str) -> None:
    flag = word.partition("=")[0]
    assert str(parse([word, "1"], "prog").error).startswith(f"{flag}: not possible: HTTP/1.1 is spoken; ")


def test_a_time_in_milliseconds_is_not_taken_for_one_in_seconds() -> None:
    error = parse(["--http1-header-read-timeout", "30000"], "prog").error
    assert str(error) == "--http1-header-read-timeout: use --timeout-request-header, in seconds: 30 for 30000"


def test_a_size_in_megabytes_is_not_taken_for_one_in_octets() -> None:
    with pytest.raises(UsageError) as caught:
        Config(workers_max_rss="512")
    assert str(caught.value).startswith("workers_max_rss: found '512', expected a size of at least 1 MiB, such as ")


@pytest.mark.parametrize(
    "flag",
    [
        "-b",
        "-w",
        "-k",
        "-t",
        "-p",
        "-c",
        "--bind",
        "--keep-alive",
        "--graceful-timeout",
        "--certfile",
        "--pid",
        "--limit-request-field_size",
    ],
)
def test_what_means_the_same_is_taken(flag: str) -> None:
    assert flag in OURS


def test_a_word_of_which_nothing_is_known_gets_no_advice() -> None:
    assert {advice("x") for advice in (loop_advice, parser_advice, websocket_advice, worker_class_advice)} == {""}


@pytest.mark.parametrize("word", ["uvicorn.workers.UvicornWorker", "uvicorn_worker.UvicornH11Worker", "gevent", "sync"])
def test_a_worker_class_of_others_is_to_be_left_out(word: str) -> None:
    with pytest.raises(UsageError) as caught:
        Config(worker_class=word)
    assert str(caught.value).startswith(
        f"worker_class: found {word!r}, expected one of process or thread: leave it out, every worker runs ASGI"
    )


def test_a_websocket_library_of_others_is_to_be_left_out() -> None:
    assert Config(ws="websockets-sansio").ws == "websockets"
    with pytest.raises(UsageError, match=r"or module:factory: leave --ws out, applications notice no difference$"):
        Config(ws="wsproto")


@pytest.mark.parametrize(
    ("name", "word", "advice"),
    [
        ("loop", "zuvloop", "leave --loop out, auto is the fastest one installed"),
        ("http", "zttp", "leave --http out, all parsers mean the same"),
        ("http", "1", "leave --http out, it names the parser, and HTTP/1.1 is spoken"),
    ],
)
def test_an_event_loop_or_a_parser_of_others_is_to_be_left_out(name: str, word: str, advice: str) -> None:
    with pytest.raises(UsageError) as caught:
        Config(**{name: word})
    assert str(caught.value).endswith(f": {advice}")
