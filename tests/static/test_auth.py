"""Who is let in, what that costs, and which users cannot be."""

from __future__ import annotations

import base64
import hashlib
import re
import threading
from typing import Any

import pytest

from miniasgi.static.auth import BasicAuth, hash_password


def field(credentials: str | bytes, scheme: str = "Basic") -> bytes:
    octets = credentials.encode() if isinstance(credentials, str) else credentials
    return scheme.encode() + b" " + base64.b64encode(octets)


def cheap(password: str, logarithm: int = 10, block_size: int = 8, parallelization: int = 1) -> str:
    """A hash of the least cost allowed, so that tests are fast."""
    salt = b"0123456789abcdef"
    key = hashlib.scrypt(password.encode(), salt=salt, n=1 << logarithm, r=block_size, p=parallelization, dklen=32)
    encoded = [base64.urlsafe_b64encode(octets).rstrip(b"=").decode() for octets in (salt, key)]
    return ".".join(["scrypt", str(logarithm), str(block_size), str(parallelization), *encoded])


@pytest.fixture
def derivations(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The keyword arguments of each call of scrypt."""
    calls: list[dict[str, Any]] = []
    real = hashlib.scrypt

    def counted(password: bytes, **keywords: Any) -> bytes:
        calls.append(keywords)
        return real(password, **keywords)

    monkeypatch.setattr(hashlib, "scrypt", counted)
    return calls


def test_a_hash_names_its_parameters_and_lets_its_password_in() -> None:
    hashed = hash_password("open sesame")
    assert re.fullmatch(r"scrypt\.14\.8\.1\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}", hashed)
    auth = BasicAuth([("ali", hashed)])
    assert [auth.check(field("ali:open sesame")), auth.check(field("ali:open barley"))] == [True, False]


def test_two_hashes_of_one_password_differ() -> None:
    assert hash_password("x") != hash_password("x")


@pytest.mark.parametrize(
    ("password", "message"),
    [
        ("", "the password is empty"),
        ("a\nb", "the password contains a control character, which Basic authentication cannot send"),
        ("a\x7f", "the password contains a control character, which Basic authentication cannot send"),
        ("\udcff", "the password is not text that can be encoded in UTF-8"),
        ("é" * 513, "the password has 1026 octets, expected at most 1024"),
    ],
)
def test_a_password_that_no_client_can_send_has_no_hash(password: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        hash_password(password)
    assert str(caught.value) == message


def test_the_challenge_asks_for_utf_8() -> None:
    assert BasicAuth([("ali", cheap("x"))]).challenge == b'Basic realm="files", charset="UTF-8"'


def test_good_credentials_are_asked_about_once() -> None:
    auth = BasicAuth([("ali", cheap("x"))])
    assert [auth.remembers(field("ali:x")), auth.check(field("ali:x")), auth.remembers(field("ali:x"))] == [
        None,
        True,
        True,
    ]


@pytest.mark.parametrize("credentials", ["ali:y", "baba:x", ":x", "ali:", "Ali:x", "ali:x:", " ali:x"])
def test_wrong_credentials_are_not_remembered(credentials: str) -> None:
    auth = BasicAuth([("ali", cheap("x"))])
    assert [auth.remembers(field(credentials)), auth.check(field(credentials)), auth.remembers(field(credentials))] == [
        None,
        False,
        None,
    ]


@pytest.mark.parametrize(
    "authorization",
    [
        b"",
        b"Basic",
        b"Basic ",
        b"Bearer YWxpOng=",
        b"BasicYWxpOng=",
        b"Basic\tYWxpOng=",
        pytest.param(b"Basic YWxpOng", id="no padding"),
        pytest.param(b"Basic YWxpOng==", id="too much padding"),
        pytest.param(b"Basic YWxp Ong=", id="a space inside"),
        pytest.param(b"Basic YWxpOng=YQ==", id="two"),
        pytest.param(b"Basic YWxpO-g=", id="of the URL alphabet"),
        pytest.param(b"Basic \xff\xff\xff\xff", id="not ASCII"),
        pytest.param(field("ali"), id="no colon"),
        pytest.param(field(b"ali:\xff"), id="not UTF-8"),
        pytest.param(field("ali:x\n"), id="a control character"),
        pytest.param(field("ali:" + "x" * 3069), id="too long"),
    ],
)
def test_malformed_credentials_are_refused_without_computing(
    authorization: bytes, derivations: list[dict[str, Any]]
) -> None:
    auth = BasicAuth([("ali", cheap("x"))])
    derivations.clear()
    assert [auth.remembers(authorization), auth.check(authorization), derivations] == [False, False, []]


@pytest.mark.parametrize(
    "authorization", [field("ali:x", "basic"), field("ali:x", "BASIC"), field("ali:x", "Basic ") + b" "]
)
def test_the_scheme_has_no_case_and_spaces_may_surround_what_follows(authorization: bytes) -> None:
    assert BasicAuth([("ali", cheap("x"))]).check(authorization)


def test_the_first_colon_ends_the_name() -> None:
    assert BasicAuth([("ali", cheap("a:b"))]).check(field("ali:a:b"))


def test_the_longest_name_and_password_are_let_in() -> None:
    name, password = "é" * 512, "p" * 1024
    auth = BasicAuth([(name, hash_password(password))])
    assert auth.remembers(field(f"{name}:{password}")) is None
    assert auth.check(field(f"{name}:{password}"))


def test_a_letter_and_its_accent_may_be_typed_as_one_or_as_two() -> None:
    auth = BasicAuth([("zoe\u0308", hash_password("cafe\u0301"))])
    assert [auth.check(field("zo\u00eb:caf\u00e9")), auth.check(field("zoe\u0308:cafe\u0301"))] == [True, True]


def test_each_user_has_a_password() -> None:
    auth = BasicAuth([("ali", cheap("x")), ("baba", cheap("y"))])
    assert [auth.check(field(text)) for text in ("ali:x", "baba:y", "ali:y", "baba:x")] == [True, True, False, False]


def test_somebody_unknown_is_refused_even_with_the_password_of_somebody_known() -> None:
    auth = BasicAuth([("ali", cheap("x"))])
    assert [auth.check(field(f"{name}:x")) for name in ("al", "baba", "", "ALI")] == [False] * 4


def test_an_unknown_user_costs_what_a_wrong_password_costs(derivations: list[dict[str, Any]]) -> None:
    auth = BasicAuth([("ali", cheap("x"))])
    derivations.clear()
    auth.check(field("ali:wrong"))
    auth.check(field("baba:wrong"))
    wrong, unknown = derivations
    assert unknown == wrong


def test_an_unknown_user_always_costs_the_same_where_hashes_differ_in_cost(derivations: list[dict[str, Any]]) -> None:
    auth = BasicAuth([("ali", cheap("x", 10)), ("baba", cheap("y", 11))])
    derivations.clear()
    for number in range(4):
        for _ in range(2):
            auth.check(field(f"{number}:wrong"))
    costs = [call["n"] for call in derivations]
    assert costs[::2] == costs[1::2]
    assert set(costs) <= {1024, 2048}


def test_what_is_remembered_is_bounded_and_the_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    auth = BasicAuth([("ali", f"scrypt.10.8.1.{'A' * 22}.{'A' * 43}")])
    monkeypatch.setattr(hashlib, "scrypt", lambda password, **keywords: bytes(32))
    spellings = [b"Basic" + b" " * spaces + field("ali:x")[6:] for spaces in range(1, 259)]
    assert all(auth.check(spelling) for spelling in spellings)
    assert [auth.remembers(spelling) for spelling in spellings] == [None, None] + [True] * 256


def test_what_is_remembered_is_neither_the_password_nor_the_same_in_another_instance() -> None:
    first, second = (BasicAuth([("ali", cheap("x"))]) for _ in range(2))
    assert first.check(field("ali:x")) and second.check(field("ali:x"))
    assert [len(digest) for digest in first._remembered] == [32]
    assert first._remembered.keys().isdisjoint(second._remembered)


def test_requests_side_by_side_compute_one_at_a_time_and_good_ones_once(monkeypatch: pytest.MonkeyPatch) -> None:
    auth = BasicAuth([("ali", cheap("x"))])
    real = hashlib.scrypt
    begun, allowed, computing = threading.Event(), threading.Event(), threading.Lock()
    alone: list[bool] = []

    def slow(password: bytes, **keywords: Any) -> bytes:
        alone.append(computing.acquire(blocking=False))
        begun.set()
        allowed.wait(10)
        computing.release()
        return real(password, **keywords)

    monkeypatch.setattr(hashlib, "scrypt", slow)
    answers: list[bool] = []
    threads = [threading.Thread(target=lambda: answers.append(auth.check(field("ali:x")))) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert begun.wait(10)
    allowed.set()
    for thread in threads:
        thread.join(10)
    assert (answers, alone) == ([True] * 4, [True])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "the user name is empty"),
        ("a:b", "the user name 'a:b' contains a colon, which Basic authentication cannot send"),
        ("a\tb", "the user name contains a control character, which Basic authentication cannot send"),
        ("a" * 1025, "the user name has 1025 octets, expected at most 1024"),
    ],
)
def test_a_name_that_no_client_can_send_is_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        BasicAuth([(name, cheap("x"))])
    assert str(caught.value) == message


def test_a_user_is_there_once() -> None:
    with pytest.raises(ValueError) as caught:
        BasicAuth([("zo\u00eb", cheap("x")), ("zoe\u0308", cheap("y"))])
    assert str(caught.value) == "the user 'zoe\u0308' is there twice, expected once"


def test_nobody_is_no_one_to_let_in() -> None:
    with pytest.raises(ValueError) as caught:
        BasicAuth([])
    assert str(caught.value) == "basic_auth is empty, expected at least one user and hash"


@pytest.mark.parametrize(
    "hashed",
    [
        "hunter2",
        "",
        "scrypt.14.8.1",
        cheap("x") + "=",
        cheap("x") + "\n",
        cheap("x")[:-1],
        cheap("x").upper(),
        "scrypt.1000000000.8.1." + "A" * 22 + "." + "A" * 43,
        "scrypt.14.8.-1." + "A" * 22 + "." + "A" * 43,
    ],
)
def test_a_password_in_the_place_of_a_hash_is_refused_and_not_shown(hashed: str) -> None:
    with pytest.raises(ValueError) as caught:
        BasicAuth([("ali", hashed)])
    assert str(caught.value) == (
        "the hash of user 'ali' is not one, expected the output of `miniasgi --hash-password`"
        " (a password itself is not accepted)"
    )


@pytest.mark.parametrize(
    "parameters", [(30, 8, 1), (18, 8, 1), (9, 8, 1), (14, 7, 1), (14, 99, 1), (14, 8, 0), (17, 8, 2), (14, 8, 17)]
)
def test_a_hash_that_costs_too_little_or_too_much_is_refused(parameters: tuple[int, int, int]) -> None:
    logarithm, block_size, parallelization = parameters
    with pytest.raises(ValueError) as caught:
        BasicAuth([("ali", f"scrypt.{logarithm}.{block_size}.{parallelization}.{'A' * 22}.{'A' * 43}")])
    assert str(caught.value) == (
        f"the hash of user 'ali' has the scrypt parameters ln={logarithm}, r={block_size}, p={parallelization},"
        " expected ln 10 to 17, r 8 to 32, p 1 to 16, and 2**ln * r * p at most 1048576;"
        " make another with `miniasgi --hash-password`"
    )


@pytest.mark.parametrize(
    "parameters",
    [(10, 8, 16), (10, 32, 4), *(pytest.param(each, marks=pytest.mark.slow) for each in [(17, 8, 1), (12, 16, 16)])],
)
def test_the_memory_that_a_hash_needs_is_given_to_it(parameters: tuple[int, int, int]) -> None:
    logarithm, block_size, parallelization = parameters
    auth = BasicAuth([("ali", f"scrypt.{logarithm}.{block_size}.{parallelization}.{'A' * 22}.{'A' * 43}")])
    assert auth.check(field("ali:x")) is False
