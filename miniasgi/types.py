"""What passes between a server and an application: ASGI's scopes, messages and callables.

Messages are plain dicts in ASGI, and applications add keys of their own, so the aliases stay as loose as the
specification (ASGI 3.0) is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

__all__ = ["App", "Field", "Fields", "Message", "Receive", "Scope", "Send"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

#: One field line: its lower-cased name and its value without the white space around it.
Field: TypeAlias = tuple[bytes, bytes]
Fields: TypeAlias = list[Field]
