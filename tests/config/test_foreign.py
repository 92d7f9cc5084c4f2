"""What people type who come from other servers: each flag has advice, and the advice names what there is."""

from __future__ import annotations

import re

import pytest

from miniasgi.config import OPTIONS, Config
from miniasgi.config.arguments import FILES
from miniasgi.config.foreign import GUNICORN, Foreign, websocket_advice, worker_class_advice
from miniasgi.config.uvicorn import REFUSED_OR_TAKEN
from miniasgi.errors import UsageError

OURS = {flag for option in OPTIONS for flag in (option.flag, option.negative, *option.aliases) if flag} | set(FILES)
EVERY = {**GUNICORN, **REFUSED_OR_TAKEN}


@pytest.mark.parametrize(("flag", "foreign"), EVERY.items(), ids=EVERY)
def test_a_flag_is_no_option_here_and_its_advice_names_options(flag: str, foreign: Foreign) -> None:
    assert flag not in OURS
    for named in re.findall(r"(?<![\w-])--[a-z][\w-]*", foreign.advice):
        assert named in OURS


@pytest.mark.parametrize("flag", ["-D", "-u", "-e", "-n", "--threads", "--worker-tmp-dir", "--chdir"])
def test_what_people_type_for_gunicorn_is_answered(flag: str) -> None:
    assert re.fullmatch(r"(use|leave it out|not possible).{10,}", GUNICORN[flag].advice)


@pytest.mark.parametrize(
    "flag", ["-b", "-w", "-k", "-t", "-p", "-c", "--bind", "--keep-alive", "--graceful-timeout", "--certfile", "--pid"]
)
def test_what_means_the_same_is_taken(flag: str) -> None:
    assert flag in OURS


def test_a_word_of_which_nothing_is_known_gets_no_advice() -> None:
    assert [websocket_advice("x"), worker_class_advice("x")] == ["", ""]


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
