"""Certificates are read as another library reads them, and what is none raises ValueError, whatever it is."""

from __future__ import annotations

import base64
import random
import ssl
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from miniasgi.server.tls.certificates import pem, pem_blocks, read_certificate, read_certificates
from tests.certificates import authority, chain_pem, encrypted_key, leaf

CN = "2.5.4.3"
TIME = b"\x17\x0d200101000000Z"  # of make(), as UTCTime
KEY = ec.generate_private_key(ec.SECP256R1())


def make(
    subject: x509.Name | None = None,
    since: datetime = datetime(2020, 1, 1, tzinfo=UTC),
    until: datetime = datetime(2030, 1, 1, tzinfo=UTC),
) -> bytes:
    """The DER of a certificate with any name and dates."""
    builder = x509.CertificateBuilder(
        issuer_name=x509.Name([]),
        subject_name=subject or x509.Name([]),
        public_key=KEY.public_key(),
        serial_number=1,
        not_valid_before=since,
        not_valid_after=until,
    )
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def named(*pairs: tuple[str, str]) -> x509.Name:
    return x509.Name([attribute(*pair) for pair in pairs])


def attribute(identifier: str, value: str) -> x509.NameAttribute[str]:
    # Unchecked, because what is odd is what is tested.
    return x509.NameAttribute(x509.ObjectIdentifier(identifier), value, _validate=False)


def element(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    length = bytes([len(content)]) if len(content) < 128 else b"\x82" + len(content).to_bytes(2, "big")
    return bytes([tag]) + length + content


def hand_made(value: bytes, identifier: bytes = b"\x55\x04\x03", times: int = 2) -> bytes:
    """The DER of a certificate with what no library writes: *value* under *identifier*, which is that of CN."""
    name = element(0x30, element(0x31, element(0x30, element(6, identifier), value)))
    contents = element(0x30, element(2, b"\1"), element(0x30), element(0x30), element(0x30, *[TIME] * times), name)
    return element(0x30, contents, element(0x30), element(3, b"\0"))


# PEM


def test_blocks_are_found_in_their_order_with_anything_around_them() -> None:
    octets = (
        b"a comment\n-----BEGIN A B-----\r\none\r\ntwo\r\n-----END A B-----\r\n\n-----BEGIN C-----\n-----END C----- \nx"
    )
    assert pem_blocks(octets) == [("A B", [b"one", b"two"]), ("C", [])]


@pytest.mark.parametrize(
    "octets", [b"", b"\n", b"text", b" -----BEGIN A-----\n", b"-----BEGIN A----\n", b"\x30\x82\x00"]
)
def test_a_file_may_have_no_block(octets: bytes) -> None:
    assert pem_blocks(octets) == []


@pytest.mark.parametrize(
    ("octets", "error"),
    [
        (b"-----BEGIN A-----\none\n", "the last A has no end"),
        (b"-----BEGIN A-----\none\n-----END B-----\n", "line 3 does not end the A before it"),
        (b"-----BEGIN A-----\n-----BEGIN A-----\n-----END A-----\n", "line 2 does not end the A before it"),
    ],
)
def test_a_block_without_its_end_is_told(octets: bytes, error: str) -> None:
    with pytest.raises(ValueError, match=f"^{error}$"):
        pem_blocks(octets)


def test_certificates_are_found_between_keys_and_in_their_order() -> None:
    one, two = leaf("one.example"), leaf("two.example")
    octets = chain_pem(one) + one.private_key_pem.bytes() + chain_pem(two) + authority().cert_pem.bytes()
    found = read_certificates(octets)
    assert "".join(pem(each.der) for each in found).encode() == (
        chain_pem(one) + chain_pem(two) + authority().cert_pem.bytes()
    )
    assert read_certificates(encrypted_key(one, "secret")) == []


def test_the_other_label_of_certificates_counts_too() -> None:
    octets = chain_pem(leaf("one.example")).replace(b" CERTIFICATE", b" X509 CERTIFICATE")
    assert len(read_certificates(octets)) == 1


def test_which_certificate_is_damaged_is_told() -> None:
    good = chain_pem(leaf("one.example"))
    with pytest.raises(ValueError, match=r"^certificate 2 of 2 is damaged: "):
        read_certificates(good + good.replace(b"\nMII", b"\nMI!"))
    with pytest.raises(
        ValueError, match=r"^certificate 1 of 1 is damaged: found the end where an element was expected$"
    ):
        read_certificates(b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")


@pytest.mark.parametrize("end", [b"!", b"A", b"AAAA", b"===="])
def test_what_is_not_base64_is_refused_even_at_the_end(end: bytes) -> None:
    good = pem(hand_made(element(12, b"x"))).encode()
    assert b"=" in good
    assert len(read_certificates(good)) == 1
    with pytest.raises(ValueError, match=r"^certificate 1 of 1 is damaged: "):
        read_certificates(good.replace(b"\n-----END", end + b"\n-----END"))


def test_pem_is_written_as_python_writes_it() -> None:
    for length in (1, 47, 48, 49, 96):
        der = bytes(range(length))
        assert pem(der) == ssl.DER_cert_to_PEM_cert(der)


# Dates


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (datetime(1950, 1, 1), datetime(2049, 12, 31, 23, 59, 59)),  # the first and the last that UTCTime has
        (datetime(1999, 12, 31, 23, 59, 59), datetime(2050, 1, 1)),
        (datetime(2024, 2, 29, 1, 2, 3), datetime(9999, 12, 31, 23, 59, 59)),  # RFC 5280 §4.1.2.5: for ever
    ],
)
def test_dates_of_both_kinds_are_read(since: datetime, until: datetime) -> None:
    found = read_certificate(make(since=since, until=until))
    assert (found.valid_from, found.valid_until) == (since.replace(tzinfo=UTC), until.replace(tzinfo=UTC))


@pytest.mark.parametrize(
    "time",
    [
        b"\x17\x0d201301000000Z",  # month 13
        b"\x17\x0d200230000000Z",  # 30 February
        b"\x17\x0d200101240000Z",  # hour 24
        b"\x17\x0d200101000060Z",  # a leap second, which Python's dates do not have
        b"\x17\x0d200101000061Z",
        b"\x17\x0d200101000000+",
        b"\x17\x0d2001010000 0Z",
        b"\x18\x0d200101000000Z",  # GeneralizedTime with a year of two digits
        b"\x0c\x0d200101000000Z",  # a text
    ],
)
def test_what_is_no_time_is_refused(time: bytes) -> None:
    der = make()
    assert der.count(TIME) == 1
    with pytest.raises(ValueError):
        read_certificate(der.replace(TIME, time))


# Names


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (named(), ""),
        (named((CN, "one")), "CN=one"),
        (named(("2.5.4.6", "DE"), ("2.5.4.10", "Company"), (CN, "one")), "CN=one,O=Company,C=DE"),
        (named(("0.9.2342.19200300.100.1.25", "org"), ("0.9.2342.19200300.100.1.1", "me")), "UID=me,DC=org"),
        (named((CN, 'a,b+c"d\\e<f>g;h=i#j')), r"CN=a\,b\+c\"d\\e\<f\>g\;h=i#j"),
        (named((CN, "#one")), r"CN=\#one"),
        (named((CN, " one  two ")), r"CN=\ one  two\ "),
        (named((CN, " ")), r"CN=\ "),
        (named((CN, "  ")), r"CN=\ \ "),
        (named((CN, "\\ ")), r"CN=\\\ "),
        (named((CN, "a\0b\nc\x7f\x85\u2028")), r"CN=a\00b\0ac\7f\c2\85\e2\80\a8"),
        (named((CN, "Ünï ★ 𝄞")), "CN=Ünï ★ 𝄞"),
        (
            named(("2.5.4.5", "12"), ("1.2.840.113549.1.9.1", "a@b.c")),
            "1.2.840.113549.1.9.1=#16056140622e63,serialNumber=12",
        ),
        (named(("2.999.3", "x")), "2.999.3=#0c0178"),  # X.690 §8.19.5: its first octets are 0x88 0x37
        (
            x509.Name(
                [
                    x509.RelativeDistinguishedName([attribute("2.5.4.10", "Company")]),
                    x509.RelativeDistinguishedName([attribute(CN, "one"), attribute("2.5.4.11", "unit")]),
                ]
            ),
            "CN=one+OU=unit,O=Company",
        ),
    ],
)
def test_a_name_is_written_as_rfc_4514_has_it(name: x509.Name, text: str) -> None:
    assert read_certificate(make(name)).subject == text


@pytest.mark.parametrize(
    ("tag", "codec", "text"),
    [
        (12, "utf-8", "café"),  # UTF8String
        (18, "ascii", "12 34"),  # NumericString
        (19, "ascii", "plain"),  # PrintableString
        (20, "latin-1", "café"),  # TeletexString
        (22, "ascii", "plain"),  # IA5String
        (26, "ascii", "plain"),  # VisibleString
        (28, "utf-32-be", "café 𝄞"),  # UniversalString
        (30, "utf-16-be", "café 𝄞"),  # BMPString
    ],
)
def test_every_kind_of_string_is_read(tag: int, codec: str, text: str) -> None:
    assert read_certificate(hand_made(element(tag, text.encode(codec)))).subject == f"CN={text}"


@pytest.mark.parametrize(
    ("tag", "content"),
    [
        (12, b"\xff"),
        (22, b"caf\xc3\xa9"),
        (30, b"\xd8\x00"),  # half of a pair
        (30, b"odd"),
        (28, b"\x00\x11\x00\x00"),  # past the last character
        (4, b"octets"),
        (0x30, b"anything"),
    ],
)
def test_a_value_that_is_no_text_is_written_as_octets(tag: int, content: bytes) -> None:
    value = element(tag, content)
    assert read_certificate(hand_made(value)).subject == f"CN=#{value.hex()}"


# DER


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(der: bytes) -> bytes:
        assert old in der
        return der.replace(old, new, 1)

    return change


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda der: der[:-1], "found [0-9]+ octets where [0-9]+ were expected"),
        (lambda der: der + b"\0", "found 1 octets too many"),
        (lambda der: b"\x31" + der[1:], "found tag 0x31 where 0x30 was expected"),
        (lambda der: b"\x3f" + der[1:], "found a tag of several octets"),
        (lambda der: b"\x30\x80" + der[4:], "found a length that DER does not have"),
        (lambda der: b"\x30\x85\0\0\0\0\1\0", "found a length that DER does not have"),
        (lambda der: b"\x30\x82\0\x7f" + der[4:], "found a length that DER does not have"),
        (lambda der: b"\x30\x81\x7f" + der[4:], "found a length that DER does not have"),
        (lambda der: b"\x30\x83\0" + der[2:], "found a length that DER does not have"),
        (replaced(b"\x06\x03\x55\x04\x03", b"\x06\x03\x55\x04\x83"), "found something else where an object identifier"),
        (
            replaced(b"\x06\x03\x55\x04\x03", b"\x06\x03\x55\x80\x03"),
            "found an object identifier that DER does not have",
        ),
        (replaced(b"\x06\x03\x55\x04\x03", b"\x05\x03\x55\x04\x03"), "found tag 0x05 where 0x06 was expected"),
    ],
)
def test_what_is_not_der_is_refused(change: Callable[[bytes], bytes], error: str) -> None:
    der = make(named((CN, "XX")))
    with pytest.raises(ValueError, match=f"^{error}"):
        read_certificate(change(der))


def test_an_identifier_of_any_length_is_refused() -> None:
    text = element(12, b"x")
    assert read_certificate(hand_made(text, b"\x2a" + b"\1" * 63)).subject == "1.2" + ".1" * 63 + "=#0c0178"
    assert read_certificate(hand_made(text, b"\x2a" + b"\xff" * 62 + b"\0")).subject.endswith("=#0c0178")
    for identifier in (b"", b"\x2a" + b"\1" * 64, b"\xff" * 5000 + b"\0"):
        with pytest.raises(ValueError, match="object identifier was expected"):
            read_certificate(hand_made(text, identifier))


def test_more_than_there_should_be_is_refused() -> None:
    text = element(12, b"x")
    with pytest.raises(ValueError, match=r"^found 3 octets too many$"):
        read_certificate(hand_made(text + text))
    with pytest.raises(ValueError, match=r"^found 15 octets too many$"):
        read_certificate(hand_made(text, times=3))


def test_every_beginning_of_a_certificate_is_refused() -> None:
    der = make(named((CN, "one"), ("2.5.4.10", "Company")))
    for length in range(len(der)):
        with pytest.raises(ValueError):
            read_certificate(der[:length])


def test_garbage_raises_nothing_but_value_error() -> None:
    chance = random.Random(20261124)
    seeds = [
        make(named((CN, "one"), ("2.5.4.10", "Company")), until=datetime(2060, 1, 1)),
        base64.b64decode(b"".join(chain_pem(leaf("one.example")).splitlines()[1:-1])),
    ]
    read = refused = 0
    for _ in range(6000):
        octets = bytearray(chance.choice(seeds))
        for _ in range(chance.randrange(1, 4)):
            # The head of the certificate has everything that is read; the rest is a key and a signature.
            at = chance.randrange(220)
            kind = chance.randrange(3)
            if kind == 0:
                octets[at] = chance.choice((0, 1, 0x7F, 0x80, 0x81, 0x84, 0xFF, chance.randrange(256)))
            elif kind == 1:
                del octets[at : at + chance.randrange(1, 5)]
            else:
                octets[at:at] = chance.randbytes(chance.randrange(1, 5))
        try:
            found = read_certificate(bytes(octets))
            assert found.subject.isprintable()
            read += 1
        except ValueError:
            refused += 1
    assert read > 100
    assert refused > 1000


def test_garbage_in_pem_raises_nothing_but_value_error() -> None:
    chance = random.Random(20261124)
    seed = chain_pem(leaf("one.example"))
    read = refused = 0
    for _ in range(2000):
        octets = bytearray(seed)
        for _ in range(chance.randrange(1, 4)):
            octets[chance.randrange(len(octets))] = chance.choice(b"\n\r-= AZ\0\xff")
        try:
            read_certificates(bytes(octets))
            read += 1
        except ValueError:
            refused += 1
    assert read > 10
    assert refused > 100
