"""Certificates for servers that speak TLS, and clients that trust nothing else.

Made in a folder that goes with the servers, by an authority of their own. Knows trustme; does not know servers.
"""

import ssl
from enum import Enum
from pathlib import Path

# Whom certificates are for: what requests have in their Host field, and where servers listen.
NAMES = ("bench.example", "127.0.0.1")


class KeyKind(Enum):
    """With what a server signs each full handshake; the values are trustme's names."""

    P256 = "ECDSA"
    RSA_2048 = "RSA"


def write_certificate(kind: KeyKind, folder: Path) -> None:
    """Make an authority and a certificate of its; write the certificate, its key, and whom clients have to trust."""
    import trustme  # in the extra dev; a workload that needs it says so

    key_type = trustme.KeyType[kind.value]
    authority = trustme.CA(key_type=key_type)
    issued = authority.issue_cert(*NAMES, key_type=key_type)
    authority.cert_pem.write_to_path(authority_in(folder))
    issued.private_key_pem.write_to_path(key_in(folder))
    certificate_in(folder).write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))


def certificate_in(folder: Path) -> Path:
    """Where the server's certificate is, in the folder of a group of servers."""
    return folder / "certificate.pem"


def key_in(folder: Path) -> Path:
    """Where the key to it is."""
    return folder / "key.pem"


def authority_in(folder: Path) -> Path:
    """Where the certificate of the authority is."""
    return folder / "authority.pem"


def client_context(authority: Path) -> ssl.SSLContext:
    """For clients that speak nothing but TLS 1.3, and trust that authority alone.

    No connection resumes a session of another one: for that, Python's clients have to be given one.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(authority)
    return context
