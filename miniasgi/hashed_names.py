"""How bundlers name files whose content never changes: with a hash of it before the extension.

Knows a pattern, and nothing else.
"""

from __future__ import annotations

__all__ = ["HASHED_NAME"]

# To keep for ever what does change is worse than to ask again for what does not: dates, versions, numbers, UUIDs and
# words must not look like hashes, and pages and documents are never taken for assets. Each repetition is bounded.
_CHARACTER = "[A-Za-z0-9_-]"
_HEXADECIMAL = (
    r"(?=[0-9]*[a-f])(?=[a-f]*[0-9])"
    r"(?!(?:[a-f]{4,}[0-9]+|[0-9]+[a-f])\.)"  # face0001, 12345678a
    r"[0-9a-f]{8,128}"
)
_BASE32 = r"(?=[A-Z]{0,7}[2-7]{1,7}[A-Z])[A-Z2-7]{8}"
_BASE64 = (
    rf"(?={_CHARACTER}{{0,63}}[0-9][A-Za-z])"  # not NotoSansJP9, whose number comes last
    rf"(?={_CHARACTER}{{0,63}}[a-z0-9][A-Z])"
    rf"(?={_CHARACTER}{{0,63}}(?:[a-z0-9][A-Z]|[0-9][a-z]){_CHARACTER}{{0,63}}(?:[a-z0-9][A-Z]|[0-9][a-z]))"
    rf"(?!{_CHARACTER}{{0,63}}(?:[a-z]{{4}}|[0-9]{{4}}))"  # neither words nor years
    rf"{_CHARACTER}{{8,64}}"
)
_ASSET = "avif|c?js|css|eot|gif|ico|jpe?g|json|map|mjs|mp[34]|otf|png|svg|ttf|wasm|web[mp]|woff2?"
#: Where it is found, a path ends in the name of an asset with a hash of its content before the extension.
HASHED_NAME = (
    r"(?<!-[0-9a-f]{4})"  # the last part of a UUID
    r"[-._](?!(?:19|20)[0-9]{2})"  # dates
    rf"(?:{_HEXADECIMAL}|{_BASE32}|{_BASE64})"
    rf"(?:\.[A-Za-z][A-Za-z0-9]{{0,15}})?\.(?:{_ASSET})\Z"
)
