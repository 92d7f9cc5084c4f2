"""What is asked of the servers of files: which files there are, and which requests for them.

The content is random, as that of compressed files is, and the same in each run.
"""

import functools
import random
from collections.abc import Callable, Mapping, Sequence

from .exchange import Exchange, request
from .workload import Family, Workload

KIBIBYTE = 1024
FOLDERS, FILES_PER_FOLDER = 100, 100
RANGE_FIRST, RANGE_LAST = 1000, 1999
_SEED = 9110


@functools.cache
def _one_file(name: str, octets: int) -> Mapping[str, bytes]:
    return {name: random.Random(f"{_SEED} {name}").randbytes(octets)}


@functools.cache
def _many_files() -> Mapping[str, bytes]:
    """As many as a site with all its pictures has, and more than one would want to read into memory each time."""
    chance = random.Random(_SEED)
    return {
        f"folder-{folder:02}/file-{folder:02}{number:02}.bin": chance.randbytes(KIBIBYTE)
        for folder in range(FOLDERS)
        for number in range(FILES_PER_FOLDER)
    }


def _get(prefix: str, name: str, content: bytes) -> Exchange:
    return Exchange(request("GET", f"{prefix}/{name}"), content)


def _get_range(prefix: str, name: str, content: bytes) -> Exchange:
    write = request("GET", f"{prefix}/{name}", f"Range: bytes={RANGE_FIRST}-{RANGE_LAST}")
    return Exchange(write, content[RANGE_FIRST : RANGE_LAST + 1], 206)


def _static(
    name: str,
    title: str,
    files: Callable[[], Mapping[str, bytes]],
    ask: Callable[[str, str, bytes], Exchange] = _get,
    is_conditional: bool = False,
    connections: int = 64,
    least_seconds: float = 0.0,
    warm_up_seconds: float = 0.5,
) -> Workload:
    def exchanges(prefix: str) -> Sequence[Exchange]:
        asked = [ask(prefix, path, content) for path, content in files().items()]
        random.Random(_SEED).shuffle(asked)
        return asked

    return Workload(
        name,
        title,
        exchanges,
        family=Family.STATIC,
        files=files,
        is_conditional=is_conditional,
        connections=connections,
        least_seconds=least_seconds,
        warm_up_seconds=warm_up_seconds,
    )


_1K = functools.partial(_one_file, "1k.bin", KIBIBYTE)
_16K = functools.partial(_one_file, "16k.bin", 16 * KIBIBYTE)
_100K = functools.partial(_one_file, "100k.bin", 100 * KIBIBYTE)
_10M = functools.partial(_one_file, "10m.bin", 10 * KIBIBYTE * KIBIBYTE)

STATIC_WORKLOADS: tuple[Workload, ...] = (
    _static("static-1k", "file of 1 KiB", _1K),
    _static("static-16k", "file of 16 KiB", _16K),
    _static("static-100k", "file of 100 KiB", _100K),
    _static("static-10m", "file of 10 MiB", _10M, connections=8, least_seconds=3.0, warm_up_seconds=1.5),
    _static("static-304", "file not modified", _1K, is_conditional=True),
    _static("static-range", "1,000 octets of a file of 100 KiB", _100K, _get_range),
    # Warmed up for as long as a server that remembers files takes to have seen each of them.
    _static("static-10k-files", f"{FOLDERS * FILES_PER_FOLDER:,} files of 1 KiB", _many_files, warm_up_seconds=1.5),
)
