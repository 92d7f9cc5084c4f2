"""What type a file's name gives it."""

from __future__ import annotations

import re

import pytest

from miniasgi.static.mime import _TABLE, _TYPES, UNKNOWN, content_type

TEXT = b"text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("expected", "extensions"),
    [
        (b"text/html; charset=utf-8", "html htm"),
        (b"text/css; charset=utf-8", "css"),
        (b"text/javascript; charset=utf-8", "js mjs cjs"),
        (b"text/csv; charset=utf-8", "csv"),
        (b"text/vtt; charset=utf-8", "vtt"),
        (b"text/calendar; charset=utf-8", "ics"),
        (b"text/vcard; charset=utf-8", "vcf"),
        (b"text/markdown; charset=utf-8", "md"),
        (TEXT, "txt log ini py c h rs go toml sh scss jsx"),
        (b"application/json", "json map"),
        (b"application/ld+json", "jsonld"),
        (b"application/geo+json", "geojson"),
        (b"application/manifest+json", "webmanifest"),
        (b"application/yaml", "yaml yml"),
        (b"application/xml", "xml"),
        (b"application/xhtml+xml", "xhtml"),
        (b"application/rss+xml", "rss"),
        (b"application/atom+xml", "atom"),
        (b"application/wasm", "wasm"),
        (b"application/pdf", "pdf"),
        (b"application/zip", "zip"),
        (b"application/gzip", "gz tgz"),
        (b"application/x-bzip2", "bz2"),
        (b"application/x-xz", "xz"),
        (b"application/zstd", "zst"),
        (b"application/x-tar", "tar"),
        (b"application/vnd.apple.mpegurl", "m3u8"),
        (b"application/dash+xml", "mpd"),
        (b"application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
        (b"application/vnd.oasis.opendocument.text", "odt"),
        (b"application/vnd.debian.binary-package", "deb"),
        (b"application/x-x509-ca-cert", "pem crt der"),
        (b"application/octet-stream", "bin exe dll br unknown"),
        (b"font/woff2", "woff2"),
        (b"font/woff", "woff"),
        (b"font/ttf", "ttf"),
        (b"image/png", "png"),
        (b"image/apng", "apng"),
        (b"image/jpeg", "jpg jpeg"),
        (b"image/svg+xml", "svg"),
        (b"image/avif", "avif"),
        (b"image/jxl", "jxl"),
        (b"image/heic", "heic"),
        (b"image/webp", "webp"),
        (b"image/x-icon", "ico"),
        (b"audio/mpeg", "mp3"),
        (b"audio/ogg", "ogg opus"),
        (b"audio/wav", "wav"),
        (b"audio/mp4", "m4a"),
        (b"video/mp4", "mp4"),
        (b"video/webm", "webm"),
        (b"video/mp2t", "ts"),
        (b"video/iso.segment", "m4s"),
        (b"model/gltf-binary", "glb"),
        (b"model/vnd.usdz+zip", "usdz"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.decode(),
)
def test_an_extension_has_its_type(expected: bytes, extensions: str) -> None:
    assert {content_type(f"name.{extension}".encode()) for extension in extensions.split()} == {expected}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"x.js.gz", b"application/gzip"),
        (b"x.tar.xz", b"application/x-xz"),
        (b"x.html.txt", TEXT),
        (b"x.svg.unknown", UNKNOWN),
    ],
)
def test_only_the_last_extension_counts(name: bytes, expected: bytes) -> None:
    assert content_type(name) == expected


@pytest.mark.parametrize("name", [b"INDEX.HTML", b"Index.Html", b".x.html", b"a b.html", b"\xff\xfe.html", b" .html"])
def test_neither_case_nor_what_stands_before_the_extension_matters(name: bytes) -> None:
    assert content_type(name) == b"text/html; charset=utf-8"


@pytest.mark.parametrize(
    "name", [b"noext", b"html", b"x.", b"x.html.", b".htaccess", b".html", b"..html", b".", b"", b"x.html ", b"x.\xff"]
)
def test_a_name_without_a_known_extension_is_of_an_unknown_type(name: bytes) -> None:
    assert content_type(name) == b"application/octet-stream"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"apple-app-site-association", b"application/json"),
        (b"openid-configuration", b"application/json"),
        (b"oauth-authorization-server", b"application/json"),
        (b"Apple-App-Site-Association", UNKNOWN),
        (b"apple-app-site-association.html", b"text/html; charset=utf-8"),
    ],
)
def test_some_names_are_laid_down_without_an_extension(name: bytes, expected: bytes) -> None:
    assert content_type(name) == expected


def test_the_users_types_win_and_are_sent_as_they_are() -> None:
    overrides = {"html": b"text/html; charset=iso-8859-1", "new": b"text/x-new", "é": b"image/x-accent"}
    assert content_type(b"x.html", overrides) == b"text/html; charset=iso-8859-1"
    assert content_type(b"x.NEW", overrides) == b"text/x-new"
    assert content_type("x.É".encode(), overrides) == b"image/x-accent"
    assert content_type(b"x.\xff", overrides) == UNKNOWN
    assert content_type(b"x.css", overrides) == b"text/css; charset=utf-8"
    assert content_type(b".new", overrides) == UNKNOWN
    assert content_type(b"new", overrides) == UNKNOWN


def test_each_extension_stands_in_the_table_once_and_in_lower_case() -> None:
    lines = [line.split() for line in _TABLE.splitlines() if line and not line.startswith(b"#")]
    extensions = [extension for _, *line in lines for extension in line]
    assert sorted(extensions) == sorted(_TYPES)
    assert len(extensions) == len(_TYPES) > 500
    assert [extension for extension in extensions if not re.fullmatch(rb"[0-9a-z]+", extension)] == []


def test_each_type_is_one_and_text_alone_states_its_encoding() -> None:
    token = rb"[!#$&^_.+\-0-9a-z]+"
    text = re.compile(rb"text/" + token + rb"; charset=utf-8")
    other = re.compile(rb"(?:application|audio|chemical|font|image|message|model|video)/" + token)
    assert [kind for kind in _TYPES.values() if not text.fullmatch(kind) and not other.fullmatch(kind)] == []
