"""The certificates of the benchmarks' servers: of which kind they are, and who takes them."""

import ssl
from pathlib import Path

import pytest

from .certificates import (
    NAMES,
    KeyKind,
    authority_in,
    certificate_in,
    client_context,
    key_in,
    write_certificate,
)

pytest.importorskip("trustme")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_certificate(KeyKind.P256, tmp_path)
    return tmp_path


def server_context(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_in(folder), key_in(folder))
    return context


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> str | None:
    """The version that both speak, after a handshake in memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_server, server_hostname=name)
    other = server.wrap_bio(to_server, to_client, server_side=True)
    waiting = [one, other]
    while waiting:
        side = waiting.pop(0)
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            waiting.append(side)
    return one.version()


@pytest.mark.parametrize("name", NAMES)
def test_a_client_takes_the_certificate_of_its_authority(folder: Path, name: str) -> None:
    assert shake_hands(server_context(folder), client_context(authority_in(folder)), name) == "TLSv1.3"


def test_a_client_takes_no_other_authority_s(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    write_certificate(KeyKind.P256, other)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server_context(folder), client_context(authority_in(other)), NAMES[0])


def test_a_client_speaks_nothing_older_than_tls_1_3(folder: Path) -> None:
    server = server_context(folder)
    server.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match="PROTOCOL"):
        shake_hands(server, client_context(authority_in(folder)), NAMES[0])


@pytest.mark.parametrize(("kind", "bits"), [(KeyKind.P256, 256), (KeyKind.RSA_2048, 2048)])
def test_the_key_is_of_the_kind_that_was_asked_for(tmp_path: Path, kind: KeyKind, bits: int) -> None:
    x509 = pytest.importorskip("cryptography.x509")  # trustme needs it
    write_certificate(kind, tmp_path)
    key = x509.load_pem_x509_certificate(certificate_in(tmp_path).read_bytes()).public_key()
    assert key.key_size == bits
