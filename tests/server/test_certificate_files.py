"""Files of certificates: what is wrong with one is a line, and so is what its dates mean."""

from __future__ import annotations

import errno
import logging
import os
from datetime import timedelta
from pathlib import Path

import pytest

from miniasgi.errors import StartupError
from miniasgi.server.tls import certificate_files
from miniasgi.server.tls.certificate_files import Chain, check_key, read_chain, stamp_of
from miniasgi.server.tls.certificates import read_certificates
from tests.certificates import NOW, authority, chain_pem, encrypted_key, leaf, write

DAY = timedelta(days=1)
GOOD = leaf("localhost")


def error_of(path: Path | str) -> str:
    with pytest.raises(StartupError) as raised:
        read_chain("--option", str(path))
    assert raised.value.exit_status == 3
    return str(raised.value)


# Reading


def test_all_certificates_of_a_file_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "file", GOOD.private_key_pem.bytes(), chain_pem(GOOD), authority().cert_pem.bytes())
    chain = read_chain("--option", path)
    assert (chain.where, len(chain.certificates), chain.authorities) == ("--option", 2, False)
    assert read_chain("--option", path, authorities=True).authorities
    check_key("--option", path)


@pytest.mark.parametrize(
    ("octets", "error"),
    [
        (b"", "found an empty file, expected certificates in PEM"),
        (b"hello\n", "found something that is not PEM, expected certificates in PEM"),
        (b"\x30\x82\x01\x00", "found something that is not PEM, expected certificates in PEM"),
        (GOOD.private_key_pem.bytes(), "found only EC PRIVATE KEY, expected certificates in PEM"),
        (chain_pem(GOOD)[:-30], "found damaged PEM: the last CERTIFICATE has no end"),
        (
            b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
            "certificate 1 of 1 is damaged: found the end where an element was expected",
        ),
    ],
)
def test_a_file_without_certificates_is_told(tmp_path: Path, octets: bytes, error: str) -> None:
    assert error_of(write(tmp_path / "file", octets)) == f"--option: {error}"


def test_a_path_that_leads_to_no_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    expected = "expected certificates in PEM"
    assert error_of(tmp_path / "missing") == f"--option: found no such file, {expected}"
    assert error_of(tmp_path / "file" / "below") == "--option: cannot be read: Not a directory"
    assert error_of(tmp_path) == f"--option: found a directory, {expected}"
    assert error_of(tmp_path / "pipe") == f"--option: found no regular file, {expected}"
    assert error_of("a\0b").startswith("--option: cannot be read: ")


def test_a_file_that_must_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    path = write(tmp_path / "file", chain_pem(GOOD))
    monkeypatch.setattr(certificate_files, "open", refuse, raising=False)  # who runs the tests may read everything
    assert error_of(path) == "--option: cannot be read: Permission denied"


def test_a_file_without_end_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "file", chain_pem(GOOD))
    monkeypatch.setattr(certificate_files, "MOST_OCTETS", os.path.getsize(path))
    read_chain("--option", path)
    monkeypatch.setattr(certificate_files, "MOST_OCTETS", os.path.getsize(path) - 1)
    assert error_of(path).startswith("--option: found more than ")


def test_a_key_may_be_encrypted(tmp_path: Path) -> None:
    check_key("--option", write(tmp_path / "file", encrypted_key(GOOD, "secret")))


def test_a_file_without_a_key_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "file", chain_pem(GOOD), authority().cert_pem.bytes())
    with pytest.raises(StartupError, match=r"^--option: found only CERTIFICATE, expected a private key in PEM$"):
        check_key("--option", path)


def test_a_stamp_is_another_one_when_a_link_leads_elsewhere(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path / name, b"the same")
        os.utime(tmp_path / name, ns=(1, 1))
    link = tmp_path / "link"
    link.symlink_to("one")
    paths = [str(link), str(tmp_path / "missing"), "a\0b"]
    before = stamp_of(paths)
    assert before[1:] == (None, None)
    assert stamp_of(paths) == before
    link.unlink()
    link.symlink_to("two")
    assert stamp_of(paths) != before


# Dates


def chain(since: timedelta, until: timedelta, *, authorities: bool = False) -> Chain:
    """One that is valid from and until so long after NOW."""
    certificate = leaf("localhost", since=NOW + since, until=NOW + until)
    return Chain("--option", read_certificates(chain_pem(certificate)), authorities)


def test_nothing_is_said_of_a_certificate_that_is_valid_for_two_weeks_more() -> None:
    found = chain(-DAY, 14 * DAY)
    assert found.trouble(NOW) == ""
    assert list(found.remarks(NOW)) == []


def test_a_certificate_that_expires_soon_is_a_warning() -> None:
    found = chain(-DAY, 14 * DAY)
    line = "--option: the certificate expires on 2026-06-15 12:00:00 UTC; days left: 13"
    assert list(found.remarks(NOW + timedelta(seconds=1))) == [(logging.WARNING, line)]
    assert found.trouble(NOW + 14 * DAY) == ""


def test_an_expired_certificate_is_an_error() -> None:
    found = chain(-2 * DAY, -DAY)
    line = "--option: the certificate expired on 2026-05-31 12:00:00 UTC: clients will refuse it"
    assert found.trouble(NOW) == line
    assert list(found.remarks(NOW)) == [(logging.ERROR, line)]


def test_a_certificate_that_is_not_valid_yet_is_an_error() -> None:
    found = chain(DAY, 90 * DAY)
    line = "--option: the certificate is not valid before 2026-06-02 12:00:00 UTC: clients will refuse it"
    assert list(found.remarks(NOW)) == [(logging.ERROR, line)]
    assert found.trouble(NOW + DAY) == ""


def test_an_expired_certificate_behind_the_first_is_a_warning() -> None:
    good, old = chain(-DAY, 90 * DAY), chain(-2 * DAY, -DAY)
    found = Chain("--option", good.certificates + old.certificates)
    assert found.trouble(NOW) == ""
    (remark,) = found.remarks(NOW)
    name = old.certificates[0].subject
    line = f"--option: certificate 2 of 2, {name}, expired on 2026-05-31 12:00:00 UTC: clients may refuse it"
    assert remark == (logging.WARNING, line)


def test_an_authority_that_has_expired_or_is_not_valid_yet_is_a_warning() -> None:
    old, new = chain(-2 * DAY, -DAY, authorities=True), chain(DAY, 9 * DAY, authorities=True)
    found = Chain("--option", old.certificates + new.certificates, authorities=True)
    assert found.trouble(NOW) == ""
    one, two = (each.subject for each in found.certificates)
    refused = "clients' certificates from it are refused"
    assert list(found.remarks(NOW)) == [
        (logging.WARNING, f"--option: certificate 1 of 2, {one}, expired on 2026-05-31 12:00:00 UTC: {refused}"),
        (logging.WARNING, f"--option: certificate 2 of 2, {two}, begins on 2026-06-02 12:00:00 UTC: {refused}"),
    ]
