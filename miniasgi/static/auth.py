"""Who may read: HTTP's Basic scheme (RFC 7617) over hashes made with scrypt (RFC 7914).

Knows the Authorization field and nothing else of a request. Passwords are never kept, and neither they nor their
hashes are ever in a message.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import threading
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["BasicAuth", "hash_password"]

# 16 MiB and about 45 ms: what RFC 7914 §2 gives for interactive logins, as far as memory goes.
_LOGARITHM, _BLOCK_SIZE, _PARALLELIZATION = 14, 8, 1
_SALT_OCTETS, _KEY_OCTETS = 16, 32
# Eight times that, 128 MiB: the most that one request may cost, whatever a hash says.
_MOST_WORK = 8 * (_BLOCK_SIZE << _LOGARITHM)
_LOGARITHMS, _BLOCK_SIZES, _PARALLELIZATIONS = range(10, 18), range(8, 33), range(1, 17)
# 22 and 43: 16 and 32 octets in base64url. Two digits: enough for all that is allowed, and bounded.
_HASH = re.compile(r"scrypt\.([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{1,2})\.([\w-]{22})\.([\w-]{43})", re.ASCII)

# A user and a password of the greatest length fit, in base64.
_MOST_FIELD_OCTETS = 4096
_MOST_NAME_OCTETS = 1024
_MOST_REMEMBERED = 256
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def hash_password(password: str) -> str:
    """What to give BasicAuth for *password*: ``scrypt.14.8.1.SALT.KEY``, another one each time.

    SALT and KEY are base64url without padding, so that neither a shell nor ``USER:HASH`` minds any of its characters.
    It takes 16 MiB and some 45 ms.

    Raises:
        ValueError: the password is empty, too long (over 1024 octets of UTF-8), or cannot be sent (RFC 7617 §2: control
            characters).
    """
    secret = _octets(password, "the password")
    salt = os.urandom(_SALT_OCTETS)
    recipe = _Hash(_LOGARITHM, _BLOCK_SIZE, _PARALLELIZATION, salt, b"")
    parameters = f"{_LOGARITHM}.{_BLOCK_SIZE}.{_PARALLELIZATION}"
    return f"scrypt.{parameters}.{_base64url(salt)}.{_base64url(recipe.derive(secret))}"


class BasicAuth:
    """The users that are let in, and who of them has been already.

    Attributes:
        challenge: the value of WWW-Authenticate in a 401.
    """

    # UTF-8 is the only charset that RFC 7617 §2.1 knows; a browser that is not told may send Latin-1.
    challenge = b'Basic realm="files", charset="UTF-8"'

    def __init__(self, users: Sequence[tuple[str, str]]) -> None:
        """Take (user, hash) pairs, each hash made by hash_password().

        Raises:
            ValueError: there is no user, a name cannot be one, or is there twice, or a hash is none, or too costly.
        """
        if not users:
            raise ValueError("basic_auth is empty, expected at least one user and hash")
        self._hashes: dict[bytes, _Hash] = {}
        for user, hashed in users:
            name = _octets(user, "the user name")
            if b":" in name:
                # RFC 7617 §2: the first colon ends the name.
                raise ValueError(f"the user name {user!r} contains a colon, which Basic authentication cannot send")
            if name in self._hashes:
                raise ValueError(f"the user {user!r} is there twice, expected once")
            self._hashes[name] = _Hash.read(user, hashed)
        self._decoys = tuple(self._hashes.values())
        # Of this instance alone: nobody can know beforehand what a digest will be, nor look for equal ones elsewhere.
        self._digest_key = os.urandom(32)
        # The digests of good credentials, the oldest first. Written with the lock held, read without.
        self._remembered: dict[bytes, None] = {}
        # One scrypt at a time: each takes 16 MiB or more, and anybody may ask for one.
        self._lock = threading.Lock()

    def remembers(self, authorization: bytes) -> bool | None:
        """What is known at once about a value of the Authorization field; fast, for the event loop.

        Returns:
            True: these credentials have been good before. False: they are malformed, so refuse. None: ask check().
        """
        # Before anything is computed: what costs most, a digest, is then bounded.
        if len(authorization) > _MOST_FIELD_OCTETS:
            return False
        if self._digest(authorization) in self._remembered:
            return True
        return None if _credentials(authorization) else False

    def check(self, authorization: bytes) -> bool:
        """Whether a value of the Authorization field lets in; remembers it if so.

        For a thread: it computes for 45 ms and more, and waits while another thread does. It takes as long for a user
        that there is not as for a wrong password.
        """
        credentials = _credentials(authorization)
        if credentials is None:
            return False
        user, password = map(_normalized, credentials)
        digest = self._digest(authorization)
        # Hashes may differ in cost. A name that is nobody's always meets the same one of them, as a user's would.
        known = self._hashes.get(user)
        decoy = self._decoys[int.from_bytes(self._digest(user), "big") % len(self._decoys)]
        with self._lock:
            # A browser sends its first requests side by side: the others need not compute again.
            if digest in self._remembered:
                return True
            matches = (known or decoy).matches(password)
            if not matches or known is None:
                return False
            if len(self._remembered) >= _MOST_REMEMBERED:
                del self._remembered[next(iter(self._remembered))]
            self._remembered[digest] = None
            return True

    def _digest(self, data: bytes) -> bytes:
        return hashlib.blake2b(data, key=self._digest_key, digest_size=32).digest()


class _Hash(NamedTuple):
    """What is kept of a password."""

    logarithm: int
    block_size: int
    parallelization: int
    salt: bytes
    key: bytes

    @classmethod
    def read(cls, user: str, hashed: str) -> _Hash:
        """Raises ValueError, which names *user* but does not show *hashed*: it may be a password."""
        found = _HASH.fullmatch(hashed)
        if found is None:
            raise ValueError(
                f"the hash of user {user!r} is not one, expected the output of `miniasgi --hash-password`"
                " (a password itself is not accepted)"
            )
        logarithm, block_size, parallelization = (int(found[group]) for group in (1, 2, 3))
        if (
            logarithm not in _LOGARITHMS
            or block_size not in _BLOCK_SIZES
            or parallelization not in _PARALLELIZATIONS
            or (block_size * parallelization) << logarithm > _MOST_WORK
        ):
            raise ValueError(
                f"the hash of user {user!r} has the scrypt parameters ln={logarithm}, r={block_size},"
                f" p={parallelization}, expected ln {_LOGARITHMS[0]} to {_LOGARITHMS[-1]},"
                f" r {_BLOCK_SIZES[0]} to {_BLOCK_SIZES[-1]}, p {_PARALLELIZATIONS[0]} to {_PARALLELIZATIONS[-1]},"
                f" and 2**ln * r * p at most {_MOST_WORK}; make another with `miniasgi --hash-password`"
            )
        salt, key = (base64.urlsafe_b64decode(found[group] + "==") for group in (4, 5))
        return cls(logarithm, block_size, parallelization, salt, key)

    def derive(self, password: bytes) -> bytes:
        """The key that *password* leads to."""
        count = 1 << self.logarithm
        return hashlib.scrypt(
            password,
            salt=self.salt,
            n=count,
            r=self.block_size,
            p=self.parallelization,
            # What OpenSSL counts: it refuses more than 32 MiB unless it is told.
            maxmem=128 * self.block_size * (count + self.parallelization + 2),
            dklen=_KEY_OCTETS,
        )

    def matches(self, password: bytes) -> bool:
        return hmac.compare_digest(self.derive(password), self.key)


def _credentials(authorization: bytes) -> tuple[str, str] | None:
    """The user and the password as they were sent; None if *authorization* has none (RFC 7617 §2)."""
    if len(authorization) > _MOST_FIELD_OCTETS:
        return None
    scheme, _, encoded = authorization.partition(b" ")
    # RFC 9110 §11.1: the name of a scheme has no case. §11.4: 1*SP.
    if scheme.lower() != b"basic":
        return None
    try:
        text = binascii.a2b_base64(encoded.strip(b" "), strict_mode=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    user, colon, password = text.partition(":")
    if not colon or _CONTROL.search(text):
        return None
    return user, password


def _normalized(text: str) -> bytes:
    """RFC 7617 §2.1: both sides mean Normalization Form C, which not every keyboard and terminal gives.

    Not for the event loop: 4 KiB of combining marks, which it sorts, take 2 ms (3.13).
    """
    return unicodedata.normalize("NFC", text).encode()


def _octets(text: str, what: str) -> bytes:
    """A user or a password as it will be compared. Raises ValueError for what no client could send."""
    # Its text is shown nowhere: it may be a password.
    if not text:
        raise ValueError(f"{what} is empty")
    if _CONTROL.search(text):
        raise ValueError(f"{what} contains a control character, which Basic authentication cannot send")
    try:
        data = _normalized(text)
    except UnicodeEncodeError:
        # `from None`: the exception's own message would show the text.
        raise ValueError(f"{what} is not text that can be encoded in UTF-8") from None
    if len(data) > _MOST_NAME_OCTETS:
        raise ValueError(f"{what} has {len(data)} octets, expected at most {_MOST_NAME_OCTETS}")
    return data


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
