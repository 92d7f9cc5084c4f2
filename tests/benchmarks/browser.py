"""Requests as browsers send them: twelve fields whose values differ from request to request.

Deterministic: the same requests in each run and for each server.
"""

import random

# More than any cache of field lines in a server would sensibly hold.
DISTINCT_REQUESTS = 4096

_LANGUAGES = ("en-GB,en;q=0.9", "de-DE,de;q=0.8,en;q=0.5", "fr-FR,fr;q=0.9", "pt-BR,pt;q=0.7", "ja-JP,ja;q=0.9")
_PLATFORMS = (
    ("X11; Linux x86_64", '"Linux"'),
    ("Windows NT 10.0; Win64; x64", '"Windows"'),
    ("Macintosh; Intel Mac OS X 10_15_7", '"macOS"'),
)
_PAGES = ("products", "articles", "search", "account", "checkout", "help")


def browser_requests() -> list[bytes]:
    """DISTINCT_REQUESTS complete GET requests for `/`."""
    chance = random.Random(2119)
    return [_request(chance) for _ in range(DISTINCT_REQUESTS)]


def _request(chance: random.Random) -> bytes:
    version = chance.randrange(110, 140)
    build = f"{version}.0.{chance.randrange(5000, 7000)}.{chance.randrange(200)}"
    platform, platform_hint = chance.choice(_PLATFORMS)
    page = f"{chance.choice(_PAGES)}/{chance.randrange(1_000_000)}"
    session, visitor = chance.randbytes(16).hex(), chance.randrange(10**9)
    lines = [
        "GET / HTTP/1.1",
        "Host: bench.example",
        "Connection: keep-alive",
        f'sec-ch-ua: "Chromium";v="{version}", "Not?A_Brand";v="{chance.randrange(8, 100)}"',
        f"sec-ch-ua-platform: {platform_hint}",
        f"User-Agent: Mozilla/5.0 ({platform}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{build} Safari/537.36",
        f"Accept: text/html,application/xhtml+xml,application/xml;q=0.{chance.randrange(1, 10)},image/avif,*/*;q=0.8",
        f"Referer: https://bench.example/{page}?ref={chance.randrange(10**6)}",
        f"Accept-Encoding: gzip, deflate, br;q=0.{chance.randrange(1, 10)}, zstd",
        f"Accept-Language: {chance.choice(_LANGUAGES)},*;q=0.{chance.randrange(1, 5)}",
        f"Cookie: session={session}; visitor={visitor}; theme={chance.choice(('dark', 'light'))}",
        f'If-None-Match: W/"{chance.randbytes(8).hex()}"',
        f"X-Request-ID: {chance.randbytes(16).hex()}",
    ]
    return "\r\n".join([*lines, "", ""]).encode()
