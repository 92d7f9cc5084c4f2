"""The options of static files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from miniasgi.hashed_names import HASHED_NAME

from .kinds import (
    FLAG,
    MIB,
    Kind,
    words,
)
from .options import option
from .static_kinds import (
    CACHE,
    CACHE_CONTROL,
    CORS,
    FIELDS,
    FOLDERS,
    HIDDEN,
    INDEX,
    PATTERN,
    TYPES,
    USERS,
    file,
)

__all__ = ["FileOptions"]


T = TypeVar("T")


def _static(default: T, kind: Kind, *, help: str, flag: str = "") -> T:
    return option(default, kind, group="Static files", help=help, flag=flag, needs="static")


# fmt: off
@dataclass(frozen=True, init=False, repr=False, eq=False)  # for Config alone to make
class FileOptions:
    """See miniasgi.config.Config."""

    static: tuple[tuple[str, str], ...] = option((), FOLDERS, group="Static files",
        help="Directory whose files are served, at / or below /mount; what is not there goes to APP, if any.")
    index: tuple[str, ...] = _static(("index.html",), INDEX,
        help="Files that are served for their directory, the first that exists; none serves none.")
    listing: tuple[str, ...] = _static((), words("html", "json", bare="html,json"),
        help="List a directory that has no index, as a page or as JSON, whichever the client asks for.")
    precompressed: tuple[str, ...] = _static((), words("br", "zstd", "gzip", bare="br,zstd,gzip"),
        help="Serve FILE.br, FILE.zst or FILE.gz in the place of FILE to clients that take the coding.")
    spa: str = _static("", file(bare="index.html"),
        help="File that is served, with 200, where a page is asked for that does not exist: for single-page "
             "applications.")
    not_found: str = _static("404.html", file(), flag="--404",
        help="File that is the content of a 404, where it exists. In Python, not_found.")
    clean_urls: bool = _static(False, FLAG,
        help="Serve about.html at /about, too.")
    cache_control: tuple[tuple[str, str], ...] = _static((), CACHE_CONTROL,
        help="Cache-Control of the files that GLOB fits; the first that does counts. A GLOB without / is held against "
             "the name alone.")
    immutable: str = _static(HASHED_NAME, PATTERN,
        help="Files whose path it finds are cached for a year. auto finds names with a hash of the content, such as "
             "app.4f3a9c1d.js; none switches it off.")
    static_headers: tuple[tuple[str, str, str], ...] = _static((), FIELDS, flag="--static-header",
        help="Field added to files, or to those that GLOB fits. What follows the last @ is a GLOB if it has *, [ or "
             "/; @* at the end keeps an @ in the value. In Python, triples in static_headers.")
    cors: str = _static("", CORS,
        help="Origin whose pages may read the files (Access-Control-Allow-Origin); left out, it is any.")
    follow_symlinks: bool = _static(False, FLAG,
        help="Follow symbolic links that lead out of the directory, too.")
    dotfiles: bool = _static(False, FLAG,
        help="Serve names that begin with a dot; else only .well-known is.")
    hide: tuple[str, ...] = _static((), HIDDEN,
        help="Files and directories that are answered as if they did not exist.")
    static_cache: tuple[str, int] = _static(("full", 64 * MIB), CACHE,
        help="What is remembered of files: nothing, what is known about them, or also the content of small ones, up to "
             "SIZE in all.")
    mime: tuple[tuple[str, str], ...] = _static((), TYPES,
        help="Content type of files with the extension EXT, such as md=text/markdown.")
    basic_auth: tuple[tuple[str, str], ...] = _static((), USERS,
        help="User who may read the files; then nobody else may. Other users of the machine can read a command line, "
             "but not the environment.")
    # fmt: on
