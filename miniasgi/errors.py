"""Every exception that miniasgi raises: whose fault it is, and what to answer.

    MiniasgiError
      RequestError              the client's fault; .status is the answer, str(error) is for the log only
        BadRequest 400 · RequestTimeout 408 · ContentTooLarge 413 · TargetTooLong 414 · ExpectationFailed 417
        HeadTooLarge 431 · NotImplementedMethod, UnknownCoding 501 · Overloaded 503 · VersionNotSupported 505
      ApplicationError          the application's fault: a message of the wrong kind, order or length
        FileEnded               nobody's: somebody has changed a file that is being sent
      ClientDisconnected        (also an OSError) nobody's fault; never logged as an error
      StartupError              configuration, import, bind, lifespan; .exit_status is the process's
        UsageError              a bad option; exit status 2

Knows nothing else of the package, so that every other module may import it.
"""

from __future__ import annotations

__all__ = [
    "ApplicationError",
    "BadRequest",
    "ClientDisconnected",
    "ContentTooLarge",
    "ExpectationFailed",
    "FileEnded",
    "HeadTooLarge",
    "MiniasgiError",
    "NotImplementedMethod",
    "Overloaded",
    "RequestError",
    "RequestTimeout",
    "StartupError",
    "TargetTooLong",
    "UnknownCoding",
    "UsageError",
    "VersionNotSupported",
]


class MiniasgiError(Exception):
    """Anything that miniasgi raises on purpose."""


class RequestError(MiniasgiError):
    """A request that is refused; its text says what was found, for the log, and never goes back to the client."""

    status = 400
    #: Field lines that the answer gets.
    fields = b""


class BadRequest(RequestError):
    """The octets are not HTTP/1.1, or mean two things at once (RFC 9110 §15.5.1)."""


class RequestTimeout(RequestError):
    """The client took too long to finish its request (RFC 9110 §15.5.9)."""

    status = 408


class ContentTooLarge(RequestError):
    """The content is longer than this server takes (RFC 9110 §15.5.14)."""

    status = 413


class TargetTooLong(RequestError):
    """The request line is longer than this server takes (RFC 9110 §15.5.15)."""

    status = 414


class ExpectationFailed(RequestError):
    """An expectation other than 100-continue (RFC 9110 §15.5.18)."""

    status = 417


class HeadTooLarge(RequestError):
    """A field, the fields together or their number exceed a limit (RFC 6585 §5)."""

    status = 431


class NotImplementedMethod(RequestError):
    """A method that no application behind this server could answer (RFC 9110 §15.6.2)."""

    status = 501


class UnknownCoding(RequestError):
    """A transfer coding that this server cannot undo (RFC 9112 §6.1)."""

    status = 501


class VersionNotSupported(RequestError):
    """A major version of HTTP other than 1 (RFC 9110 §15.6.6)."""

    status = 505


class Overloaded(RequestError):
    """Nobody's fault: as many requests run and wait as ``limit_concurrency`` allows (RFC 9110 §15.6.4)."""

    status = 503
    # 5 s: half of what a server that stops gives its requests, by default.
    fields = b"retry-after: 5\r\n"


class ApplicationError(MiniasgiError):
    """The application broke the ASGI specification; the text says what was found and what was expected."""


class FileEnded(ApplicationError):
    """A file that is being sent has less in it than was announced, or cannot be read any more."""


class ClientDisconnected(MiniasgiError, OSError):
    """The client has gone; raised by ``send()`` (ASGI HTTP 2.4, "Disconnected Client")."""


class StartupError(MiniasgiError):
    """The server cannot start. The text is one line for the user; *details* may hold the user's own traceback."""

    exit_status = 3

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details

    def report(self) -> str:
        """What the user is told: the details, then one line, whatever an exception's text holds."""
        line = " ".join(["miniasgi:", *str(self).splitlines()])
        if not line.isprintable():
            # A terminal obeys control characters, and a word or a key that was typed or read may have any.
            line = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)
        return f"{self.details.rstrip()}\n{line}" if self.details else line


class UsageError(StartupError):
    """An option that cannot be: unknown, malformed or out of its range."""

    exit_status = 2
