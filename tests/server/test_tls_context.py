"""Contexts do what the options say, and what cannot be had is one line that names the option and the file."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from miniasgi.config import Config
from miniasgi.errors import StartupError, UsageError
from miniasgi.server.tls.certificates import pem
from miniasgi.server.tls.context import Context, ContextMaker, Made
from tests.certificates import (
    authority,
    chain_pem,
    client_context,
    encrypted_key,
    leaf,
    name_given,
    revocation_list,
    shake_hands,
    write,
    write_pair,
)

ONE = leaf("localhost")
TWO = leaf("two.example")
CLIENT = leaf("client@example.org")


def make(**options: Any) -> Made:
    return ContextMaker(Config(**options)).make()


def error_of(**options: Any) -> str:
    with pytest.raises(StartupError) as raised:
        make(**options)
    assert raised.value.exit_status == 3
    assert "\n" not in str(raised.value)
    return str(raised.value)


def usage_error_of(**options: Any) -> str:
    with pytest.raises(UsageError) as raised:
        make(**options)
    assert raised.value.exit_status == 2
    return str(raised.value)


@pytest.fixture
def pair(tmp_path: Path) -> dict[str, Any]:
    """The options for a certificate and its key."""
    certificate, key = write_pair(tmp_path, ONE)
    return {"ssl_certfile": certificate, "ssl_keyfile": key}


# One certificate


def test_a_client_gets_the_certificate_and_http_1_1(pair: dict[str, Any]) -> None:
    made = make(**pair)
    client, server = shake_hands(made.context, client_context())
    assert client.version() == "TLSv1.3"
    assert client.selected_alpn_protocol() == server.selected_alpn_protocol() == "http/1.1"
    assert [chain.where for chain in made.chains] == [f"--ssl-certfile {pair['ssl_certfile']!r}"]
    assert isinstance(made.context, Context)
    assert made.context.server_cert == chain_pem(ONE).decode()


def test_a_key_may_stand_in_the_file_of_the_certificate(tmp_path: Path) -> None:
    path = write(tmp_path / "both", ONE.private_key_and_cert_chain_pem.bytes())
    shake_hands(make(ssl_certfile=path).context, client_context())


def test_the_certificates_in_between_are_sent(tmp_path: Path) -> None:
    between = trustme.CA(authority(), organization_name="Between")
    certificate = between.issue_cert("localhost")
    assert len(certificate.cert_chain_pems) == 2
    certfile, keyfile = write_pair(tmp_path, certificate)
    made = make(ssl_certfile=certfile, ssl_keyfile=keyfile)
    shake_hands(made.context, client_context())
    assert len(made.chains[0].certificates) == 2


def test_an_encrypted_key_is_read_with_its_password(tmp_path: Path, pair: dict[str, Any]) -> None:
    pair["ssl_keyfile"] = write(tmp_path / "encrypted", encrypted_key(ONE, "pässword"))
    shake_hands(make(**pair, ssl_keyfile_password="pässword").context, client_context())


def test_a_password_that_no_key_needs_is_not_looked_at(pair: dict[str, Any]) -> None:
    make(**pair, ssl_keyfile_password="any")


def test_an_encrypted_key_needs_its_password(tmp_path: Path, pair: dict[str, Any]) -> None:
    path = pair["ssl_keyfile"] = write(tmp_path / "encrypted", encrypted_key(ONE, "password"))
    assert error_of(**pair) == (
        f"--ssl-keyfile {path!r}: found a private key that is encrypted, expected --ssl-keyfile-password"
    )
    assert error_of(**pair, ssl_keyfile_password="wrong") == (
        f"--ssl-keyfile {path!r}: found a private key that --ssl-keyfile-password does not decrypt"
    )


def test_the_key_of_another_certificate_is_told(tmp_path: Path, pair: dict[str, Any]) -> None:
    path = pair["ssl_keyfile"] = write(tmp_path / "other", TWO.private_key_pem.bytes())
    error = (
        f"--ssl-keyfile {path!r}: found a private key that does not match --ssl-certfile {pair['ssl_certfile']!r}, "
        "expected that of the first certificate there"
    )
    assert error_of(**pair) == error
    rsa = authority().issue_cert("localhost", key_type=trustme.KeyType.RSA)
    write(tmp_path / "other", rsa.private_key_pem.bytes())
    assert error_of(**pair) == error
    write(tmp_path / "other", encrypted_key(TWO, "password"))
    assert error_of(**pair, ssl_keyfile_password="password") == error


def test_a_certificate_without_a_key_is_told(pair: dict[str, Any]) -> None:
    path = pair["ssl_certfile"]
    assert error_of(ssl_certfile=path) == (
        f"--ssl-certfile {path!r}: found only CERTIFICATE, expected a private key in PEM; is it in another file?"
    )
    assert error_of(ssl_certfile=path, ssl_keyfile=path) == (
        f"--ssl-keyfile {path!r}: found only CERTIFICATE, expected a private key in PEM"
    )


def test_a_file_that_is_none_is_told_with_its_option(tmp_path: Path, pair: dict[str, Any]) -> None:
    missing = str(tmp_path / "missing")
    for option in ("ssl_certfile", "ssl_keyfile"):
        flag = "--" + option.replace("_", "-")
        assert error_of(**{**pair, option: missing}).startswith(f"{flag} {missing!r}: found no such file, expected ")
    found = error_of(**pair, ssl_ca_certs=missing, ssl_cert_reqs="required")
    assert found == f"--ssl-ca-certs {missing!r}: found no such file, expected certificates in PEM"
    found = error_of(**pair, ssl_sni=[("two.example", missing, missing)])
    assert found == f"--ssl-sni two.example {missing!r}: found no such file, expected certificates in PEM"


def test_what_only_openssl_sees_is_told(tmp_path: Path, pair: dict[str, Any]) -> None:
    key = ONE.private_key_pem.bytes().splitlines(keepends=True)
    pair["ssl_keyfile"] = write(tmp_path / "damaged", key[0], *key[2:])
    where = f"--ssl-certfile {pair['ssl_certfile']!r}"
    assert error_of(**pair).startswith(f"{where}: OpenSSL does not take this certificate and its key: ")


def test_an_authority_that_only_openssl_sees_through_is_told(tmp_path: Path, pair: dict[str, Any]) -> None:
    # The beginning is right, and nothing is where its key should be.
    contents = b"\2\1\1\x30\0\x30\0\x30\x1e" + 2 * b"\x17\x0d200101000000Z" + b"\x30\0"
    der = b"\x30%c\x30%c%b\x30\0\3\1\0" % (len(contents) + 7, len(contents), contents)
    path = write(tmp_path / "authorities", pem(der).encode())
    error = error_of(**pair, ssl_ca_certs=path, ssl_cert_reqs="required")
    assert error.startswith(f"--ssl-ca-certs {path!r}: OpenSSL cannot read a certificate in it: ")


# Settings


def test_tls_1_2_is_the_oldest_version(pair: dict[str, Any]) -> None:
    client = client_context()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    assert shake_hands(make(**pair).context, client)[0].version() == "TLSv1.2"
    with pytest.raises(ssl.SSLError):
        shake_hands(make(**pair, ssl_min_version="1.3").context, client)
    assert make(**pair).context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_ciphers_are_those_of_the_option(pair: dict[str, Any]) -> None:
    client = client_context()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    name = "ECDHE-ECDSA-CHACHA20-POLY1305"
    cipher = shake_hands(make(**pair, ssl_ciphers=name).context, client)[0].cipher()
    assert cipher is not None
    assert cipher[0] == name


def test_ciphers_that_openssl_does_not_know_are_told(pair: dict[str, Any]) -> None:
    assert usage_error_of(**pair, ssl_ciphers="NO-SUCH") == (
        "--ssl-ciphers: found 'NO-SUCH', in which OpenSSL knows no cipher of TLS 1.2; "
        "expected names that 'openssl ciphers -v' lists, with colons between them"
    )


def test_the_server_chooses_the_cipher_and_refuses_to_negotiate_again(pair: dict[str, Any]) -> None:
    context = make(**pair).context
    for option in (ssl.OP_CIPHER_SERVER_PREFERENCE, ssl.OP_NO_RENEGOTIATION, ssl.OP_NO_COMPRESSION):
        assert context.options & option


@pytest.mark.parametrize("reqs", ["none", "optional", "required"])
def test_clients_are_asked_for_a_certificate(tmp_path: Path, pair: dict[str, Any], reqs: str) -> None:
    if reqs != "none":
        pair["ssl_ca_certs"] = write(tmp_path / "authorities", "Größe\n".encode(), authority().cert_pem.bytes())
    context = make(**pair, ssl_cert_reqs=reqs).context
    _, server = shake_hands(context, client_context(CLIENT))
    assert (server.getpeercert(True) is not None) == (reqs != "none")
    if reqs == "required":
        with pytest.raises(ssl.SSLError):
            shake_hands(context, client_context())
    else:
        shake_hands(context, client_context())


@pytest.mark.parametrize("reqs", ["optional", "required"])
def test_a_client_with_a_certificate_of_somebody_else_is_refused(
    tmp_path: Path, pair: dict[str, Any], reqs: str
) -> None:
    pair["ssl_ca_certs"] = write(tmp_path / "authorities", authority().cert_pem.bytes())
    stranger = client_context(trustme.CA().issue_cert("client@example.org"))
    with pytest.raises(ssl.SSLError):
        shake_hands(make(**pair, ssl_cert_reqs=reqs).context, stranger)


# Options that make no sense together


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"ssl_keyfile": "k"}, "--ssl-keyfile: needs --ssl-certfile"),
        ({"ssl_sni": [("a.example", "c", "k")]}, "--ssl-sni: needs --ssl-certfile"),
        ({"ssl_min_version": "1.3"}, "--ssl-min-version: needs --ssl-certfile"),
        ({"ssl_cert_reqs": "required"}, "--ssl-cert-reqs: needs --ssl-certfile"),
        ({"ssl_context_factory": print, "ssl_keyfile": "k"}, "--ssl-keyfile: needs --ssl-certfile"),
        (
            {"ssl_certfile": "c", "ssl_cert_reqs": "required"},
            "--ssl-cert-reqs: found required, expected --ssl-ca-certs with the authorities of clients, too",
        ),
        (
            {"ssl_certfile": "c", "ssl_ca_certs": "a"},
            "--ssl-ca-certs: no client is asked for a certificate, expected --ssl-cert-reqs, too",
        ),
        (
            {"ssl_certfile": "c", "ssl_ciphers": "AES128", "ssl_min_version": "1.3"},
            "--ssl-ciphers: means nothing with --ssl-min-version 1.3, expected only one of both",
        ),
        (
            {"ssl_certfile": "c", "ssl_keyfile_password": "ß" * 513},
            "--ssl-keyfile-password: found 1026 octets, expected at most 1024",
        ),
    ],
)
def test_options_that_make_no_sense_together_are_told(options: dict[str, Any], error: str) -> None:
    assert usage_error_of(**options) == error


# Several certificates


@pytest.fixture
def names(tmp_path: Path, pair: dict[str, Any]) -> dict[str, Any]:
    """The options for several certificates; the common name of each is its place."""
    sni = []
    hosts = ("two.example", "*.two.example", "www.two.example", "TWO.example", "*.deep.two.example")
    for number, name in enumerate(hosts):
        certificate = authority().issue_cert("any.example", common_name=f"{number} {name}")
        sni.append((name, *write_pair(tmp_path, certificate, str(number))))
    return {**pair, "ssl_sni": sni}


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("two.example", "0 two.example"),  # and not the later one
        ("Two.EXAMPLE", "0 two.example"),
        ("www.two.example", "2 www.two.example"),  # though the one with a star comes first
        ("a.two.example", "1 *.two.example"),
        ("A.Two.example", "1 *.two.example"),
        ("a.b.two.example", "localhost"),  # a star is one label
        ("a.deep.two.example", "4 *.deep.two.example"),
        ("deep.two.example", "1 *.two.example"),
        ("example", "localhost"),
        ("other.example", "localhost"),
        (None, "localhost"),
    ],
)
def test_a_client_gets_the_certificate_of_the_name_it_asks_for(
    names: dict[str, Any], asked: str | None, given: str
) -> None:
    assert name_given(make(**names).context, asked) == given


def test_the_settings_are_the_same_for_all_names(tmp_path: Path, names: dict[str, Any]) -> None:
    names["ssl_ca_certs"] = write(tmp_path / "authorities", authority().cert_pem.bytes())
    context = make(**names, ssl_cert_reqs="required", ssl_min_version="1.3").context
    assert isinstance(context, Context)
    other = context.for_name("two.example")
    assert other is not None
    for each in (context, other):
        assert (each.verify_mode, each.minimum_version) == (ssl.CERT_REQUIRED, ssl.TLSVersion.TLSv1_3)
        assert each.get_ca_certs() == context.get_ca_certs()
        assert each.options == context.options
    assert len(context.get_ca_certs()) == 1
    client = client_context(CLIENT)
    client.check_hostname = False
    assert shake_hands(context, client, "two.example")[0].selected_alpn_protocol() == "http/1.1"
    stranger = client_context()
    stranger.check_hostname = False
    with pytest.raises(ssl.SSLError):
        shake_hands(context, stranger, "two.example")


# A factory of the user's


def stricter(config: Config, default: Any) -> ssl.SSLContext:
    context: ssl.SSLContext = default()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def test_a_factory_changes_the_context_of_the_options(pair: dict[str, Any]) -> None:
    made = make(**pair, ssl_context_factory=stricter)
    assert made.context.minimum_version is ssl.TLSVersion.TLSv1_3
    assert len(made.chains) == 1
    named = make(**pair, ssl_context_factory=f"{__name__}:stricter")
    assert named.context.minimum_version is ssl.TLSVersion.TLSv1_3


def test_a_factory_may_bring_the_certificate(tmp_path: Path) -> None:
    certfile, keyfile = write_pair(tmp_path, ONE)

    def own(config: Config, default: Any) -> ssl.SSLContext:
        context: ssl.SSLContext = default()
        context.load_cert_chain(certfile, keyfile)
        return context

    made = make(ssl_context_factory=own, ssl_min_version="1.3")
    client, _ = shake_hands(made.context, client_context())
    assert client.version() == "TLSv1.3"
    assert made.chains == []
    assert isinstance(made.context, Context)
    assert made.context.server_cert is None  # of what somebody else has loaded, nothing is known


def test_a_certificate_that_a_factory_loads_on_top_is_not_taken_for_that_of_the_options(
    tmp_path: Path, pair: dict[str, Any]
) -> None:
    other = write_pair(tmp_path, authority().issue_cert("localhost"), "other")

    def own(config: Config, default: Any) -> ssl.SSLContext:
        context: ssl.SSLContext = default()
        context.load_cert_chain(*other)
        return context

    context = make(**pair, ssl_context_factory=own).context
    assert isinstance(context, Context)
    assert context.server_cert is None


def test_a_factory_reaches_the_contexts_of_all_names(names: dict[str, Any]) -> None:
    seen: list[Any] = []

    def all_of_them(config: Config, default: Any) -> ssl.SSLContext:
        context: Context = default()
        seen.extend(context.by_name)
        return context

    make(**names, ssl_context_factory=all_of_them)
    assert seen == ["two.example", "*.two.example", "www.two.example", "*.deep.two.example"]


def test_a_factory_may_refuse_clients_whose_certificate_is_revoked(tmp_path: Path, pair: dict[str, Any]) -> None:
    authorities = write(tmp_path / "authorities", authority().cert_pem.bytes())
    other = leaf("other@example.org")
    revoked = write(tmp_path / "revoked", revocation_list(CLIENT))

    def checking(config: Config, default: Any) -> ssl.SSLContext:
        context: ssl.SSLContext = default()
        context.load_verify_locations(revoked)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        return context

    made = make(**pair, ssl_ca_certs=authorities, ssl_cert_reqs="required", ssl_context_factory=checking)
    shake_hands(made.context, client_context(other))
    with pytest.raises(ssl.SSLError, match="revoked"):
        shake_hands(made.context, client_context(CLIENT))


def test_a_factory_is_called_each_time(pair: dict[str, Any]) -> None:
    maker = ContextMaker(Config(**pair, ssl_context_factory=stricter))
    assert maker.make().context is not maker.make().context


def broken(config: Config, default: Any) -> ssl.SSLContext:
    raise LookupError("no such secret")


def leaving(config: Config, default: Any) -> ssl.SSLContext:
    raise SystemExit("done")


async def waiting(config: Config, default: Any) -> ssl.SSLContext:
    raise AssertionError("nobody waits for it")


@pytest.mark.parametrize(
    ("factory", "error"),
    [
        (broken, "--ssl-context-factory failed: LookupError: no such secret"),
        (leaving, "--ssl-context-factory failed: SystemExit: done"),
        (waiting, "--ssl-context-factory returned an object of type coroutine, expected an ssl.SSLContext"),
        (
            lambda config, default: None,
            "--ssl-context-factory returned an object of type NoneType, expected an ssl.SSLContext",
        ),
        (
            lambda config, default: ssl.create_default_context(),
            "--ssl-context-factory returned a context for clients, expected ssl.PROTOCOL_TLS_SERVER",
        ),
        (lambda: None, "--ssl-context-factory: expected a callable that takes the Config and a callable"),
    ],
)
def test_a_factory_that_makes_no_context_is_told(factory: object, error: str) -> None:
    assert error_of(ssl_context_factory=factory) == error


def test_the_traceback_of_a_factory_is_among_the_details() -> None:
    with pytest.raises(StartupError) as raised:
        make(ssl_context_factory=broken)
    assert "in broken\n" in raised.value.details


def test_a_factory_that_does_not_exist_is_told() -> None:
    error = error_of(ssl_context_factory="no_such_module:make")
    assert error.startswith("TLS context factory 'no_such_module:make': no module named no_such_module in ")


def test_what_is_wrong_with_a_file_is_told_through_a_factory(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    assert error_of(ssl_certfile=missing, ssl_context_factory=stricter).startswith(f"--ssl-certfile {missing!r}: ")


# Looking at files


def test_every_file_is_looked_at(tmp_path: Path, names: dict[str, Any]) -> None:
    names["ssl_ca_certs"] = write(tmp_path / "authorities", authority().cert_pem.bytes())
    maker = ContextMaker(Config(**names, ssl_cert_reqs="optional"))
    seen = maker.look()
    assert len(seen) == 3 + 2 * 5
    for path in tmp_path.iterdir():
        before = maker.look()
        write(path, path.read_bytes())
        assert maker.look() != before
