"""Starts a server with sockets that are open already, in the way of systemd.

TESTS_SOCKETS names them, ``tcp`` or ``unix:PATH``, and TESTS_ARGUMENTS has the server's arguments, both in JSON. After
``shell``, the server is started as a child, as a shell does that stays.
"""

from __future__ import annotations

import json
import os
import socket
import sys


def main() -> None:
    environ = dict(os.environ)
    sockets, arguments = (json.loads(environ.pop(name)) for name in ("TESTS_SOCKETS", "TESTS_ARGUMENTS"))
    opened = []
    for word in sockets:
        if word == "tcp":
            opened.append(socket.create_server(("127.0.0.1", 0)))
        elif word.startswith("unix:"):
            bound = socket.socket(socket.AF_UNIX)
            bound.bind(word.removeprefix("unix:"))
            bound.listen()
            opened.append(bound)
    # Out of the way first: the numbers from 3 on may be their own.
    high = [os.dup2(each.fileno(), 100 + index) for index, each in enumerate(opened)]
    for number, each in enumerate(high, 3):
        os.dup2(each, number, inheritable=True)
        os.close(each)
    command = [sys.executable, "-m", "miniasgi", *arguments]
    environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(opened))}
    if "shell" in sockets and (child := os.fork()):
        os.waitpid(child, 0)
    else:
        os.execve(command[0], command, environ)


if __name__ == "__main__":
    main()
