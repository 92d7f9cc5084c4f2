"""Codecs by name."""

from __future__ import annotations

from .codec import PACKAGE, Codec, CodecFactory, CodecMissing, Offer, Sink

__all__ = ["load"]


def load(name: str) -> CodecFactory | None:
    """The codec called *name*: "websockets", "auto" for that one if the package can be had, or "none".

    Raises ImportError where the package asked for by name is not installed or too old, and LookupError for any other
    name. What "auto" stands for raises CodecMissing when it is called.
    """
    if name == "none":
        return None
    if name == "auto":
        return _on_demand
    if name != "websockets":
        raise LookupError(f"no WebSocket codec is called {name!r}")
    from .library import LibraryCodec

    return LibraryCodec


def _on_demand(sink: Sink, offer: Offer) -> Codec:
    """The library's codec, imported for the first WebSocket: most servers never have one, and start in a fifth less."""
    try:
        from .library import LibraryCodec
    except ImportError as error:
        raise CodecMissing(f"{PACKAGE}: {error}") from error
    return LibraryCodec(sink, offer)
