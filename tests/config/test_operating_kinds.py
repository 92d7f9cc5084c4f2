"""The kinds that only operation takes: what each reads and refuses, and that what is shown is read as the same."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from miniasgi.config.kinds import Kind, Refused
from miniasgi.config.operating_kinds import (
    CERT_REQS,
    FACTORY,
    FIELD_NAME,
    LOG_FILE,
    LOG_FORMAT,
    PASSWORD,
    PEERS,
    PROXY_FIELDS,
    SNI,
)

ALL = ("for", "proto", "host", "port", "prefix")


def read(kind: Kind, value: object) -> object:
    """What *kind* makes of *value*; the same comes of it, and of how it is shown."""
    found = kind.read(value)
    assert kind.read(found) == found
    assert kind.read(kind.show(found) or found) == found
    return found


def refusal(kind: Kind, value: object) -> str:
    with pytest.raises(Refused) as caught:
        kind.read(value)
    return str(caught.value)


# Proxies


@pytest.mark.parametrize(
    ("value", "fields"),
    [
        ("for", ("for",)),
        (" Proto , FOR,for", ("for", "proto")),
        ("x-forwarded", ALL),
        ("forwarded", ("forwarded",)),
        (["prefix", "host"], ("host", "prefix")),
        # What uvicorn's switch believes, too: more must be asked for.
        ("on", ("for", "proto")),
        (True, ("for", "proto")),
        ("off", ()),
        ("none", ()),
        (False, ()),
        ((), ()),
        ([], ()),
    ],
)
def test_what_is_believed_of_proxies_is_some_fields_in_one_order(value: object, fields: tuple[str, ...]) -> None:
    assert read(PROXY_FIELDS, value) == fields


def test_the_flag_alone_is_what_it_is_for_uvicorn() -> None:
    assert PROXY_FIELDS.read(PROXY_FIELDS.bare) == PROXY_FIELDS.read(True) == ("for", "proto")


@pytest.mark.parametrize("value", ["", ",", "for,", "for,off", "forwarded,for", "myapp:app", None, 1, [1], {}])
def test_other_fields_are_refused(value: object) -> None:
    assert refusal(PROXY_FIELDS, value) == (
        f"found {value!r}, expected x-forwarded, forwarded, off, or some of for, proto, host, port and prefix with "
        "commas between them"
    )


@pytest.mark.parametrize(
    ("value", "peers"),
    [
        ("127.0.0.1", ("127.0.0.1",)),
        (" ::1 , unix:,*,::1", ("::1", "unix:", "*")),
        ("10.0.0.0/8,10.1.2.3/8", ("10.0.0.0/8",)),
        ("10.0.0.1/32", ("10.0.0.1",)),
        (["2001:DB8::/32", "192.168.0.0/255.255.0.0"], ("2001:db8::/32", "192.168.0.0/16")),
        ("", ()),
        ("none", ()),
        ([], ()),
    ],
)
def test_trusted_peers_are_addresses_and_networks(value: object, peers: tuple[str, ...]) -> None:
    assert read(PEERS, value) == peers


def test_trust_in_nobody_can_be_typed_and_is_shown() -> None:
    assert PEERS.show(()) == "none"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("proxy.example", "'proxy.example'"),
        ("10.0.0.0/33", "'10.0.0.0/33'"),
        ("127.0.0.1:80", "'127.0.0.1:80'"),
        ("unix", "'unix'"),
        ("::1,none", "'none'"),
        ([127], "127"),
        ([b"\x7f\x00\x00\x01"], repr(b"\x7f\x00\x00\x01")),
        (2130706433, "2130706433"),
        (None, "None"),
        (True, "True"),
    ],
)
def test_what_is_no_peer_is_refused_alone(value: object, found: str) -> None:
    assert refusal(PEERS, value) == (
        f"found {found}, expected addresses, networks such as 10.0.0.0/8, unix: for Unix sockets, or *, with commas "
        "between them, or none"
    )


# TLS


@pytest.mark.parametrize(
    ("value", "item"),
    [
        ("example.org=c.pem,k.pem", ("example.org", "c.pem", "k.pem")),
        ("Example.ORG = c.pem , k.pem ", ("example.org", "c.pem", "k.pem")),
        ("*.example.org=both.pem", ("*.example.org", "both.pem", "")),
        ("my_app=a=b.pem", ("my_app", "a=b.pem", "")),
        ([("a", "c", "k")], ("a", "c", "k")),
        ([["a", "c"]], ("a", "c", "")),
    ],
)
def test_a_certificate_for_a_name_has_its_key_beside_it_or_within(value: object, item: tuple[str, str, str]) -> None:
    assert read(SNI, value) == (item,)
    assert SNI.read([SNI.show_one(item)]) == (item,)


@pytest.mark.parametrize(
    "item",
    [
        "",
        "a",
        "a=",
        "=c",
        "a=c,k,x",
        "*=c",
        "a.*.b=c",
        "-a=c",
        "a/b=c",
        "ä=c",
        "a=c\x00",
        ("a", "c,d", "k"),
        ("a", "c\n", "k\x01"),
        ("a",),
        ("a", 5),
        None,
        5,
    ],
)
def test_what_is_no_certificate_for_a_name_is_refused(item: object) -> None:
    expected = "expected NAME=CERT,KEY, where NAME is a host name or *.DOMAIN"
    assert refusal(SNI, [item]) == f"found {item!r}, {expected}"


@pytest.mark.parametrize(
    ("value", "word"),
    [("none", "none"), (" Required ", "required"), ("1", "optional"), (2, "required"), (ssl.CERT_OPTIONAL, "optional")],
)
def test_whether_clients_need_certificates_is_a_word_or_the_number_of_pythons(value: object, word: str) -> None:
    assert read(CERT_REQS, value) == word


@pytest.mark.parametrize("value", ["", "3", "yes", 3, -1, pytest.param(10**5000, id="huge"), 1.0, True, None, [1]])
def test_other_demands_are_refused(value: object) -> None:
    assert refusal(CERT_REQS, value).endswith("expected one of none, optional or required")


def test_a_factory_is_named_or_in_python_given() -> None:
    assert [read(FACTORY, value) for value in ("", " my.tls:make.it ")] == ["", "my.tls:make.it"]
    assert read(FACTORY, len) is len
    assert FACTORY.show(len) == ""


@pytest.mark.parametrize("value", ["make", "a:", ":b", "a b:c", "a:1", None, 5])
def test_what_is_no_factory_is_refused(value: object) -> None:
    assert refusal(FACTORY, value) == f"found {value!r}, expected module:callable, or in Python a callable"


@pytest.mark.parametrize("value", ["", "two words ", "ä\n"])
def test_a_password_is_any_text_and_never_shown(value: str) -> None:
    assert PASSWORD.read(value) == value
    assert PASSWORD.show(value) == ""
    assert PASSWORD.secret


@pytest.mark.parametrize("value", ["secret\0", b"secret", None])
def test_even_a_wrong_password_is_not_shown(value: object) -> None:
    assert refusal(PASSWORD, value) == "found something that is not shown here, expected a password"


# Logs


def test_a_log_is_a_file_or_the_standard_stream(tmp_path: Path) -> None:
    assert [read(LOG_FILE, value) for value in ("-", "access.log")] == ["-", "access.log"]
    for value in ("", " ", str(tmp_path), "a\x00b", None):
        assert refusal(LOG_FILE, value) == f"found {value!r}, expected the path of a file, or -"


def test_the_format_of_a_log_is_any_text_that_can_be_printed() -> None:
    assert read(LOG_FORMAT, '%(h)s "%(r)s"') == '%(h)s "%(r)s"'
    for value in ("", " ", "a\n", None):
        expected = "expected default, common, combined, json or a format of your own"
        assert refusal(LOG_FORMAT, value) == f"found {value!r}, {expected}"


def test_a_field_is_named_in_any_case() -> None:
    assert [read(FIELD_NAME, value) for value in ("", "X-Request-ID")] == ["", "x-request-id"]
    for value in ("a b", "a:", "ä", "\u20ac", None):
        assert refusal(FIELD_NAME, value) == f"found {value!r}, expected the name of a field, such as X-Request-ID"
