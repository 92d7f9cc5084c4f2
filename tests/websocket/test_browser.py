"""The chat as a browser shows it: two tabs that hear each other, a server that goes and comes back, a hostile text.

Chromium is driven through the pipe that it offers to developers' tools, so the page needs nothing for the tests, and
its policy holds as it does for anybody. Needs Chromium.
"""

from __future__ import annotations

import json
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# 60 s: a browser that starts on a machine with other things to do.
PATIENCE_SECONDS = 60.0
# The page itself tells when what it is asked for has come, whichever event brings it.
_UNTIL = """new Promise((resolve) => {
  const look = () => {
    if (!(%s)) return;
    observer.disconnect();
    removeEventListener("focusin", look);
    resolve();
  };
  const observer = new MutationObserver(look);
  observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
  addEventListener("focusin", look);
  look();
})"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.skipif(find_spec("websockets") is None, reason="the package websockets is not installed"),
]


class Browser:
    """The browser's end of the pipe: commands and their results, one after the other."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._commands = process.stdin
        self._results = process.stdout
        self._rest = b""
        self._number = 0
        self.violations: list[str] = []  # of the pages' policies, and errors that scripts have not caught

    def tab(self, url: str) -> Tab:
        target = self.command("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.command("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        tab = Tab(self, target, session)
        for domain in ("Page", "Log", "Runtime"):
            tab.command(f"{domain}.enable")
        tab.command("Page.navigate", {"url": url})
        return tab

    def command(self, method: str, parameters: dict[str, Any] | None = None, session: str | None = None) -> Any:
        """The result of a command, to the browser or to a tab's *session*."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters or {}}
        if session:
            message["sessionId"] = session
        self._commands.write(json.dumps(message).encode() + b"\0")
        self._commands.flush()
        while (told := self._read()).get("id") != self._number:
            self._note(told)
        assert "error" not in told, (method, told["error"])
        return told["result"]

    def _note(self, event: dict[str, Any]) -> None:
        if event["method"] == "Runtime.exceptionThrown":
            self.violations.append(str(event["params"]["exceptionDetails"]))
        elif event["method"] == "Log.entryAdded" and event["params"]["entry"]["source"] == "security":
            self.violations.append(event["params"]["entry"]["text"])

    def _read(self) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE_SECONDS
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._results], [], [], max(end - time.monotonic(), 0))
            assert ready, "the browser says nothing"
            data = self._results.read(65536)
            assert data, "the browser has ended"
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\0")
        told: dict[str, Any] = json.loads(line)
        return told


class Tab:
    """One page: what it shows, and what is typed there."""

    def __init__(self, browser: Browser, target: str, session: str) -> None:
        self._browser = browser
        self._target = target
        self._session = session

    def command(self, method: str, parameters: dict[str, Any] | None = None) -> Any:
        return self._browser.command(method, parameters, self._session)

    def evaluate(self, expression: str) -> Any:
        """The value of *expression* in the page, which may be a promise of it."""
        parameters = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        found = self.command("Runtime.evaluate", parameters)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Wait until *condition* holds in the page; it is asked again after each change that can be seen."""
        self.evaluate(_UNTIL % condition)

    def wait_for_text(self, selector: str, text: str) -> None:
        """Wait until something that *selector* finds shows *text*, alone."""
        shows = f"(found) => found.textContent === {json.dumps(text)}"
        self.wait_for(f"[...document.querySelectorAll({json.dumps(selector)})].some({shows})")

    def type(self, text: str) -> None:
        """Type into what has the focus, and press Enter."""
        self.command("Input.insertText", {"text": text})
        self.press("Enter", "\r", 13)

    def press(self, key: str, text: str, code: int, modifiers: int = 0) -> None:
        event = {"key": key, "code": key, "text": text, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        self.command("Input.dispatchKeyEvent", {"type": "keyDown", **event})
        self.command("Input.dispatchKeyEvent", {"type": "keyUp", **event})

    def enter(self, name: str) -> None:
        """Give *name*, with the focus where the page has put it, and wait to be let in."""
        self.wait_for('document.activeElement?.id === "name"')
        self.type(name)
        self.wait_for_text("#status", "Connected")

    def log(self) -> list[str]:
        """What stands in the log: notes as they are, and who has said what."""
        found: list[str] = self.evaluate(
            """[...document.querySelectorAll("#log p")].map((line) => line.matches(".said")
              ? [line.querySelector("bdi"), line.lastChild].map((part) => part.textContent).join(": ")
              : line.textContent)"""
        )
        return found


@contextmanager
def browsing(profile: Path) -> Iterator[Browser]:
    """Chromium without a window."""
    assert CHROMIUM is not None
    flags = (
        "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --remote-debugging-pipe"
    )
    # The pipe's ends are descriptors 3 and 4 there.
    command = ["sh", "-c", 'exec "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1', "sh", CHROMIUM, *flags.split()]
    command.append(f"--user-data-dir={profile}")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        try:
            yield Browser(process)
        finally:
            process.kill()


@contextmanager
def serving(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The chat on *port*, which listens; a page must find it there again."""
    command = [sys.executable, "-m", "miniasgi", "examples.chat:app", "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            while line and b" on http://" not in line:
                line = process.stderr.readline()
            assert line, "the server has ended"
            yield process
        finally:
            process.kill()


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number: int = listener.getsockname()[1]
    return number


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with browsing(tmp_path / "profile") as browser:
        yield browser
        assert browser.violations == []


def test_two_tabs_hear_each_other_and_see_each_other_leave(browser: Browser, port: int) -> None:
    with serving(port):
        ada = browser.tab(f"http://127.0.0.1:{port}/")
        ada.enter("Ada")
        grace = browser.tab(f"http://127.0.0.1:{port}/")
        grace.enter("Grace")
        ada.wait_for_text("#log p", "Grace has come.")
        assert ada.evaluate('document.getElementById("people").textContent') == "You, Grace"
        assert grace.evaluate('document.getElementById("people").textContent') == "You, Ada"

        grace.type("Good morning!")
        ada.wait_for_text(".said.theirs > :last-child", "Good morning!")
        # The focus is where one writes from the first moment on, and stays there.
        ada.command("Input.insertText", {"text": "Good"})
        ada.press("Enter", "\r", 13, modifiers=8)  # with Shift
        ada.type("evening!")
        grace.wait_for_text(".said.theirs > :last-child", "Good\nevening!")
        ada.wait_for_text(".said.mine > :last-child", "Good\nevening!")
        ada.evaluate("location.assign('about:blank')")
        grace.wait_for_text("#log p", "Ada has left.")
        assert grace.log() == ["You are here as Grace.", "Grace: Good morning!", "Ada: Good\nevening!", "Ada has left."]
        assert grace.evaluate('document.getElementById("people").textContent') == "You"


def test_a_page_comes_back_when_the_server_does_and_loses_nothing_that_was_written(browser: Browser, port: int) -> None:
    with serving(port) as server:
        tab = browser.tab(f"http://127.0.0.1:{port}/")
        tab.enter("Ada")
        server.send_signal(signal.SIGTERM)
        tab.wait_for_text("#log p", "The server stops. It will be back.")
        assert server.wait(PATIENCE_SECONDS) == 0
    tab.type("Is anybody there?")  # there is not: it stays where it was written
    assert tab.evaluate('document.getElementById("text").value') == "Is anybody there?"
    assert tab.evaluate('document.getElementById("send").ariaDisabled') == "true"
    with serving(port):
        tab.wait_for_text("#status", "Connected")
        tab.press("Enter", "\r", 13)
        tab.wait_for_text(".said.mine > :last-child", "Is anybody there?")
        assert tab.evaluate('document.getElementById("text").value') == ""


def test_a_hostile_name_and_text_are_shown_and_not_obeyed(browser: Browser, port: int) -> None:
    hostile = "<img src=x onerror=window.harm=1><script>window.harm=1</script>"
    with serving(port):
        tab = browser.tab(f"http://127.0.0.1:{port}/")
        tab.enter(hostile[:32])
        tab.type(hostile)
        tab.wait_for_text(".said.mine > :last-child", hostile)
        assert tab.log() == [f"You are here as {hostile[:32]}.", f"{hostile[:32]}: {hostile}"]
        assert tab.evaluate('[window.harm, document.querySelectorAll("main img, main script").length]') == [None, 0]
