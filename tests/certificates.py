"""Certificates for tests: an authority, what it signs, the files of both, and handshakes without a socket."""

from __future__ import annotations

import functools
import ssl
from datetime import UTC, datetime
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

#: When the tests take place, as far as a clock of theirs says so.
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@functools.cache
def authority() -> trustme.CA:
    """Who signs, one for all tests; valid from 2000 to 2999, as is what it signs unless it is told otherwise."""
    return trustme.CA(organization_name="Tests")


@functools.cache
def leaf(*names: str, since: datetime | None = None, until: datetime | None = None) -> trustme.LeafCert:
    """A certificate for the hosts *names*, always the same one for the same names and dates."""
    return authority().issue_cert(*names, common_name=names[0], not_before=since, not_after=until)


def chain_pem(certificate: trustme.LeafCert) -> bytes:
    return b"".join(each.bytes() for each in certificate.cert_chain_pems)


def write(path: Path, *pieces: bytes) -> str:
    """The path of a file that has been replaced, as renewals do it, by one with *pieces* in it."""
    new = path.with_name(path.name + ".new")
    new.write_bytes(b"".join(pieces))
    new.replace(path)
    return str(path)


def write_pair(directory: Path, certificate: trustme.LeafCert, name: str = "server") -> tuple[str, str]:
    """The paths of a certificate and its key, in two files."""
    return (
        write(directory / f"{name}.pem", chain_pem(certificate)),
        write(directory / f"{name}.key", certificate.private_key_pem.bytes()),
    )


def encrypted_key(certificate: trustme.LeafCert, password: str) -> bytes:
    key = serialization.load_pem_private_key(certificate.private_key_pem.bytes(), None)
    encryption = serialization.BestAvailableEncryption(password.encode())
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def revocation_list(certificate: trustme.LeafCert) -> bytes:
    """The authority's word, in PEM, that *certificate* counts no more."""
    number = x509.load_pem_x509_certificate(chain_pem(certificate)).serial_number
    since = datetime(2020, 1, 1, tzinfo=UTC)
    revoked = x509.RevokedCertificateBuilder(number, since).build()
    issuer = x509.load_pem_x509_certificate(authority().cert_pem.bytes()).subject
    until = datetime(2200, 1, 1, tzinfo=UTC)
    builder = x509.CertificateRevocationListBuilder(issuer, since, until, revoked_certificates=[revoked])
    key = serialization.load_pem_private_key(authority().private_key_pem.bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def client_context(certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
    """For a client that trusts the authority, and shows *certificate* if it is asked for one."""
    context = ssl.create_default_context(cadata=authority().cert_pem.bytes().decode())
    context.set_alpn_protocols(["h2", "http/1.1"])
    if certificate is not None:
        certificate.configure_cert(context)
    return context


def careless_client_context() -> ssl.SSLContext:
    """For a client that takes any certificate, an expired one too."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def shake_hands(
    server: ssl.SSLContext,
    client: ssl.SSLContext,
    name: str | None = "localhost",
    session: ssl.SSLSession | None = None,
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """The client's and the server's side of a connection that has come about; raises ssl.SSLError where none does."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_server, server_hostname=name, session=session)
    other = server.wrap_bio(to_server, to_client, server_side=True)
    waiting = [one, other]
    while waiting:
        for each in waiting[:]:
            try:
                each.do_handshake()
                waiting.remove(each)
            except ssl.SSLWantReadError:
                pass
    other.write(b"x")  # behind the tickets of TLS 1.3, which a client reads with the first octets
    one.read(1)
    return one, other


def name_given(server: ssl.SSLContext, name: str | None) -> str:
    """The common name in the certificate that a client gets which asks for *name*."""
    client = client_context()
    client.check_hostname = False
    subject = shake_hands(server, client, name)[0].getpeercert()["subject"]  # type: ignore[index]  # a dictionary
    return str(next(part[0][1] for part in subject if part[0][0] == "commonName"))
