"""Certificates are renewed without a gap, dates are told in time, and applications learn how a client is connected."""

from __future__ import annotations

import asyncio
import gc
import logging
import ssl
import weakref
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from miniasgi.config import Config
from miniasgi.errors import StartupError
from miniasgi.server.tls import tls as module
from miniasgi.server.tls.certificates import pem, read_certificates
from miniasgi.server.tls.tls import Tls
from tests.certificates import (
    NOW,
    authority,
    careless_client_context,
    chain_pem,
    client_context,
    leaf,
    shake_hands,
    write,
    write_pair,
)
from tests.support import Clock, run_on

DAY = timedelta(days=1)
GOOD = leaf("localhost")
CLIENT = authority().issue_cert("client@example.org", common_name='Smith, "Jo"', organization_name="Company")


@pytest.fixture
def clock() -> Clock:
    found = Clock()
    found.seconds = NOW.timestamp()
    return found


class Log:
    """What the server has logged since it was last asked."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "miniasgi.server")
        self._caplog = caplog

    def take(self) -> list[tuple[str, str]]:
        found = [(record.levelname.lower(), record.getMessage()) for record in self._caplog.records]
        self._caplog.clear()
        return found


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Log:
    return Log(caplog)


class Pair:
    """A certificate and its key in files, and a server that has them."""

    def __init__(self, directory: Path, clock: Clock, certificate: trustme.LeafCert = GOOD, **options: Any) -> None:
        self.directory = directory
        self.certfile, self.keyfile = write_pair(directory, certificate)
        self.where = f"--ssl-certfile {self.certfile!r}"
        self.tls = Tls(Config(ssl_certfile=self.certfile, ssl_keyfile=self.keyfile, **options), clock=clock)

    def replace(self, certificate: trustme.LeafCert) -> None:
        write_pair(self.directory, certificate)

    def given(self) -> str:
        """What the next client gets, as PEM."""
        client, _ = shake_hands(self.tls.context, careless_client_context())
        return pem(client.getpeercert(True) or b"")


def text(certificate: trustme.LeafCert) -> str:
    return chain_pem(certificate).decode()


# Starting


def test_what_is_wrong_with_a_file_prevents_the_start(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match=r"^--ssl-certfile '.*': found no such file, expected certificates in PEM$"):
        Tls(Config(ssl_certfile=str(tmp_path / "missing")))


def test_nothing_is_logged_of_good_certificates(tmp_path: Path, clock: Clock, log: Log) -> None:
    pair = Pair(tmp_path, clock)
    assert pair.given() == text(GOOD)
    assert pair.tls.check_dates() == []
    assert log.take() == []


def test_the_time_is_that_of_the_system(tmp_path: Path, log: Log) -> None:
    old = leaf("localhost", since=NOW - 2000 * DAY, until=NOW - 1000 * DAY)
    certfile, keyfile = write_pair(tmp_path, old)
    assert len(Tls(Config(ssl_certfile=certfile, ssl_keyfile=keyfile)).check_dates()) == 1
    assert [level for level, _ in log.take()] == ["error"]


# Dates


def test_an_expired_certificate_is_served_and_told(tmp_path: Path, clock: Clock, log: Log) -> None:
    old = leaf("localhost", since=NOW - 2 * DAY, until=NOW - DAY)
    pair = Pair(tmp_path, clock, old)
    line = f"{pair.where}: the certificate expired on 2026-05-31 12:00:00 UTC: clients will refuse it"
    assert pair.tls.check_dates() == [line]
    assert log.take() == [("error", line)]
    assert pair.given() == text(old)


def test_each_bad_certificate_is_told(tmp_path: Path, clock: Clock, log: Log) -> None:
    old = leaf("localhost", since=NOW - 2 * DAY, until=NOW - DAY)
    new = leaf("localhost", since=NOW + DAY, until=NOW + 90 * DAY)
    sni = [("a.example", *write_pair(tmp_path, new, "a")), ("b.example", *write_pair(tmp_path, GOOD, "b"))]
    pair = Pair(tmp_path, clock, old, ssl_sni=sni)
    lines = pair.tls.check_dates()
    assert [line.partition(":")[0] for line in lines] == [pair.where, f"--ssl-sni a.example {sni[0][1]!r}"]
    assert log.take() == [("error", line) for line in lines]


def test_a_certificate_that_is_not_renewed_is_told_while_the_server_runs(
    tmp_path: Path, clock: Clock, log: Log
) -> None:
    pair = Pair(tmp_path, clock, leaf("localhost", since=NOW, until=NOW + 15 * DAY))
    said = []
    for hour in range(17 * 24):
        clock.seconds = (NOW + timedelta(hours=hour, seconds=1)).timestamp()
        pair.tls.check_files()
        said += [(hour, level) for level, _ in log.take()]
    # One line a day for two weeks, and one when it is too late.
    assert said == [(24 * day, "warning") for day in range(1, 15)] + [(24 * 15, "error")]
    assert len(pair.tls.check_dates()) == 1


# Reloading


def test_a_reload_gives_new_clients_the_new_certificate(tmp_path: Path, clock: Clock, log: Log) -> None:
    pair = Pair(tmp_path, clock)
    new = leaf("localhost", since=NOW, until=NOW + 90 * DAY)
    _, open_connection = shake_hands(pair.tls.context, client_context())
    old_context = pair.tls.context
    pair.replace(new)
    assert pair.given() == text(GOOD)
    assert pair.tls.reload() is True
    assert pair.given() == text(new)
    assert open_connection.context is old_context
    assert pair.tls.extension(open_connection)["server_cert"] == text(GOOD)
    assert log.take() == [("info", "TLS: certificates read again, valid until 2026-08-30 12:00:00 UTC")]


def test_an_old_context_goes_with_its_last_connection(tmp_path: Path, clock: Clock) -> None:
    sni = [("a.example", *write_pair(tmp_path, GOOD, "a"))]
    pair = Pair(tmp_path, clock, ssl_sni=sni)
    old = weakref.ref(pair.tls.context)
    _, connection = shake_hands(pair.tls.context, careless_client_context(), "a.example")
    pair.tls.reload()
    del connection
    gc.collect()
    assert old() is None


def test_a_reload_that_fails_leaves_the_old_certificate(tmp_path: Path, clock: Clock, log: Log) -> None:
    pair = Pair(tmp_path, clock)
    before = pair.tls.context
    write(Path(pair.certfile), b"nonsense")
    assert pair.tls.reload() is False
    assert pair.tls.context is before
    assert log.take() == [
        (
            "error",
            f"TLS goes on with the old certificates: {pair.where}: found something that is not PEM, "
            "expected certificates in PEM",
        )
    ]


def test_an_expired_certificate_does_not_replace_a_good_one(tmp_path: Path, clock: Clock, log: Log) -> None:
    pair = Pair(tmp_path, clock)
    pair.replace(leaf("localhost", since=NOW - 2 * DAY, until=NOW - DAY))
    assert pair.tls.reload() is False
    assert pair.given() == text(GOOD)
    line = f"{pair.where}: the certificate expired on 2026-05-31 12:00:00 UTC: clients will refuse it"
    assert log.take() == [("error", f"TLS goes on with the old certificates: {line}")]
    assert pair.tls.check_dates() == []


def test_an_expired_certificate_replaces_one_that_has_expired_too(tmp_path: Path, clock: Clock, log: Log) -> None:
    pair = Pair(tmp_path, clock, leaf("localhost", since=NOW - 3 * DAY, until=NOW - 2 * DAY))
    newer = leaf("localhost", since=NOW - 2 * DAY, until=NOW - DAY)
    pair.replace(newer)
    log.take()
    assert pair.tls.reload() is True
    assert pair.given() == text(newer)
    assert [level for level, _ in log.take()] == ["info", "error"]


def test_a_reload_tells_again_what_is_still_wrong(tmp_path: Path, clock: Clock, log: Log) -> None:
    pair = Pair(tmp_path, clock, leaf("localhost", since=NOW - 2 * DAY, until=NOW - DAY))
    pair.tls.check_files()
    assert [level for level, _ in log.take()] == ["error"]
    pair.tls.reload()
    assert [level for level, _ in log.take()] == ["info", "error"]


def test_a_certificate_that_is_not_valid_yet_is_taken_when_it_is(tmp_path: Path, clock: Clock, log: Log) -> None:
    pair = Pair(tmp_path, clock)
    new = leaf("localhost", since=NOW + DAY, until=NOW + 90 * DAY)
    pair.replace(new)
    for _ in range(4):
        pair.tls.check_files()
    assert [level for level, _ in log.take()] == ["error"]
    assert pair.given() == text(GOOD)
    clock.seconds += DAY.total_seconds()
    pair.tls.check_files()
    assert pair.given() == text(new)
    assert [level for level, _ in log.take()] == ["info"]
    pair.tls.check_files()
    assert log.take() == []


def test_a_factory_is_called_at_each_reload_and_its_failure_is_told(clock: Clock, log: Log) -> None:
    answers: list[Any] = []

    def factory(config: Config, default: Any) -> Any:
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    one, two = (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for _ in range(2))
    answers[:] = [one, two, LookupError("no such secret")]
    tls = Tls(Config(ssl_context_factory=factory), clock=clock)
    assert tls.context is one
    assert tls.reload() is True
    assert tls.context is two
    assert log.take() == [("info", "TLS: certificates read again")]
    assert tls.reload() is False
    assert tls.context is two
    ((level, line),) = log.take()
    assert level == "error"
    assert line.startswith(
        "TLS goes on with the old certificates: --ssl-context-factory failed: LookupError: no such secret\nTraceback "
    )


# Files that change


def test_files_that_do_not_change_are_not_read_again(tmp_path: Path, clock: Clock, log: Log) -> None:
    pair = Pair(tmp_path, clock)
    before = pair.tls.context
    for _ in range(5):
        pair.tls.check_files()
    assert pair.tls.context is before
    assert log.take() == []


def test_a_renewal_in_two_steps_is_read_once_and_without_an_error(tmp_path: Path, clock: Clock, log: Log) -> None:
    pair = Pair(tmp_path, clock)
    new = leaf("localhost", since=NOW, until=NOW + 90 * DAY)
    write(Path(pair.certfile), chain_pem(new))
    pair.tls.check_files()
    write(Path(pair.keyfile), new.private_key_pem.bytes())
    pair.tls.check_files()
    assert pair.given() == text(GOOD)
    pair.tls.check_files()
    assert pair.given() == text(new)
    pair.tls.check_files()
    assert [level for level, _ in log.take()] == ["info"]


def test_a_renewal_that_pauses_in_between_is_an_error_once(tmp_path: Path, clock: Clock, log: Log) -> None:
    pair = Pair(tmp_path, clock)
    new = leaf("localhost", since=NOW, until=NOW + 90 * DAY)
    write(Path(pair.certfile), chain_pem(new))
    for _ in range(5):
        pair.tls.check_files()
    ((level, line),) = log.take()
    assert level == "error"
    assert "found a private key that does not match" in line
    assert pair.given() == text(GOOD)
    write(Path(pair.keyfile), new.private_key_pem.bytes())
    for _ in range(2):
        pair.tls.check_files()
    assert pair.given() == text(new)
    assert [level for level, _ in log.take()] == ["info"]


def test_a_file_that_is_missing_for_a_while_is_no_error(tmp_path: Path, clock: Clock, log: Log) -> None:
    pair = Pair(tmp_path, clock)
    for path in (pair.certfile, pair.keyfile):
        Path(path).unlink()
    pair.tls.check_files()
    pair.replace(GOOD)
    for _ in range(3):
        pair.tls.check_files()
    assert [level for level, _ in log.take()] == ["info"]


def test_a_file_that_stays_away_is_an_error_once(tmp_path: Path, clock: Clock, log: Log) -> None:
    pair = Pair(tmp_path, clock)
    Path(pair.certfile).unlink()
    for _ in range(5):
        pair.tls.check_files()
    ((level, line),) = log.take()
    assert level == "error"
    assert line.endswith("found no such file, expected certificates in PEM")
    assert pair.given() == text(GOOD)


def test_a_link_to_a_directory_that_is_swapped_is_a_renewal(tmp_path: Path, clock: Clock, log: Log) -> None:
    # As Kubernetes has it: the file is a link into ..data, which is a link to a directory of the day.
    new = leaf("localhost", since=NOW, until=NOW + 90 * DAY)
    for name, certificate in (("monday", GOOD), ("tuesday", new)):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "tls.pem", certificate.private_key_and_cert_chain_pem.bytes())
    (tmp_path / "..data").symlink_to("monday")
    (tmp_path / "tls.pem").symlink_to("..data/tls.pem")
    tls = Tls(Config(ssl_certfile=str(tmp_path / "tls.pem")), clock=clock)
    (tmp_path / "..new").symlink_to("tuesday")
    (tmp_path / "..new").replace(tmp_path / "..data")
    for _ in range(2):
        tls.check_files()
    assert [level for level, _ in log.take()] == ["info"]
    client, _ = shake_hands(tls.context, careless_client_context())
    assert pem(client.getpeercert(True) or b"") == text(new)


def test_files_that_change_back_are_read_again(tmp_path: Path, clock: Clock, log: Log) -> None:
    pair = Pair(tmp_path, clock)
    write(Path(pair.certfile), b"nonsense")
    for _ in range(2):
        pair.tls.check_files()
    pair.replace(GOOD)
    for _ in range(2):
        pair.tls.check_files()
    assert [level for level, _ in log.take()] == ["error", "info"]


# What applications are told

# OpenSSL adds, where it knows the authority, the authority's own certificate.
SENT = [text(CLIENT), authority().cert_pem.bytes().decode()]


@pytest.fixture
def mutual(tmp_path: Path, clock: Clock) -> Tls:
    """A server that takes clients with and without a certificate."""
    path = write(tmp_path / "authorities", authority().cert_pem.bytes())
    return Pair(tmp_path, clock, ssl_ca_certs=path, ssl_cert_reqs="optional").tls


def test_an_application_learns_of_a_client_without_a_certificate(mutual: Tls) -> None:
    _, server = shake_hands(mutual.context, client_context())
    assert mutual.extension(server) == {
        "server_cert": text(GOOD),
        "client_cert_chain": [],
        "client_cert_name": None,
        "client_cert_error": None,
        "tls_version": 0x0304,
        "cipher_suite": 0x1302,  # RFC 8446 appendix B.4: TLS_AES_256_GCM_SHA384
    }


def test_an_application_learns_of_a_clients_certificate(mutual: Tls) -> None:
    _, server = shake_hands(mutual.context, client_context(CLIENT))
    found = mutual.extension(server)
    assert found["client_cert_chain"] == SENT
    unit = read_certificates(chain_pem(CLIENT))[0].subject.split(",OU=")[1]
    assert found["client_cert_name"] == rf"CN=Smith\, \"Jo\",OU={unit}"
    assert found["client_cert_name"].endswith(",O=Company")
    assert found["client_cert_error"] is None


def test_an_application_learns_of_all_certificates_that_a_client_sends(mutual: Tls) -> None:
    between = trustme.CA(authority())
    client = between.issue_cert("client@example.org")
    _, server = shake_hands(mutual.context, client_context(client))
    assert mutual.extension(server)["client_cert_chain"] == [
        text(client).partition("-----END CERTIFICATE-----\n")[0] + "-----END CERTIFICATE-----\n",
        between.cert_pem.bytes().decode(),
    ]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_that_is_resumed_is_still_of_the_same_client(mutual: Tls, version: ssl.TLSVersion) -> None:
    context = client_context(CLIENT)
    context.maximum_version = version
    client, server = shake_hands(mutual.context, context)
    again, resumed = shake_hands(mutual.context, context, session=client.session)
    assert again.session_reused
    # Of a session, OpenSSL keeps the client's own certificate only.
    assert mutual.extension(resumed) == {**mutual.extension(server), "client_cert_chain": [text(CLIENT)]}


def test_an_application_learns_of_tls_1_2(mutual: Tls) -> None:
    client = client_context()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    found = mutual.extension(shake_hands(mutual.context, client)[1])
    assert (found["tls_version"], found["cipher_suite"]) == (0x0303, 0xC02B)  # RFC 5289 §5


def test_an_application_learns_which_of_several_certificates_a_client_got(tmp_path: Path, clock: Clock) -> None:
    other = leaf("a.example")
    tls = Pair(tmp_path, clock, ssl_sni=[("a.example", *write_pair(tmp_path, other, "a"))]).tls
    for name, certificate in (("a.example", other), ("localhost", GOOD)):
        _, server = shake_hands(tls.context, client_context(), name)
        assert tls.extension(server)["server_cert"] == text(certificate)


def test_of_a_context_of_the_users_own_the_certificate_is_not_known(clock: Clock) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    GOOD.configure_cert(context)
    tls = Tls(Config(ssl_context_factory=lambda config, default: context), clock=clock)
    found = tls.extension(shake_hands(context, client_context())[1])
    assert found["server_cert"] is None
    assert found["cipher_suite"] == 0x1302


class Told:
    """An ssl object that says what a test has it say."""

    def __init__(self, certificate: bytes, chain: list[bytes] | None, cipher: tuple[str, str, int] | None) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.getpeercert = lambda binary_form: certificate
        self.get_unverified_chain = lambda: chain or []
        self.cipher = lambda: cipher
        self.version = lambda: None


def told(certificate: bytes, chain: list[bytes] | None = None, cipher: tuple[str, str, int] | None = None) -> Any:
    return Told(certificate, chain, cipher)


def test_a_certificate_that_cannot_be_read_is_none(mutual: Tls) -> None:
    found = mutual.extension(told(b"\x30\x80", [b"\x30\x80"]))
    assert (found["client_cert_chain"], found["client_cert_name"]) == ([], None)


def test_a_chain_that_does_not_begin_with_the_clients_own_is_left_out(mutual: Tls) -> None:
    one, two = (read_certificates(chain_pem(each))[0] for each in (GOOD, leaf("a.example")))
    assert mutual.extension(told(one.der, [one.der, two.der]))["client_cert_chain"] == [pem(one.der), pem(two.der)]
    for chain in ([two.der, one.der], [], None):
        assert mutual.extension(told(one.der, chain))["client_cert_chain"] == [pem(one.der)]


@pytest.mark.parametrize("cipher", [None, ("NO-SUCH", "TLSv9", 1)])
def test_what_is_not_known_of_a_connection_is_none(mutual: Tls, cipher: tuple[str, str, int] | None) -> None:
    found = mutual.extension(told(b"", cipher=cipher))
    assert (found["tls_version"], found["cipher_suite"]) == (None, None)


class Greeter(asyncio.Protocol):
    """Answers the first octets with a word, and writes down what is known of the connection."""

    def __init__(self, tls: Tls, seen: list[dict[str, Any]]) -> None:
        self._tls, self._seen = tls, seen

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._seen.append(self._tls.extension(transport.get_extra_info("ssl_object")))

    def data_received(self, data: bytes) -> None:
        self.transport.write(b"hello " + data)
        self.transport.close()


def test_both_loops_take_the_context_and_tell_of_the_client(loop_name: str, mutual: Tls) -> None:
    seen: list[dict[str, Any]] = []

    async def talk() -> bytes:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Greeter(mutual, seen), "127.0.0.1", 0, ssl=mutual.context)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client_context(CLIENT), server_hostname="localhost"
        )
        writer.write(b"client")
        answer = await reader.read()
        writer.close()
        server.close()
        await server.wait_closed()
        return answer

    assert run_on(loop_name, talk()) == b"hello client"
    (found,) = seen
    assert found["server_cert"] == text(GOOD)
    assert found["client_cert_chain"] == SENT
    assert found["client_cert_name"].startswith(r"CN=Smith\, \"Jo\",OU=")
    assert (found["tls_version"], found["cipher_suite"]) == (0x0304, 0x1302)


def test_the_public_names_are_those_that_are_told() -> None:
    assert {*module.__all__} == {"Tls"}
