"""How a server is told what to do: options, their kinds, and where their values come from."""

from .config import OPTIONS, Config

__all__ = ["OPTIONS", "Config"]
