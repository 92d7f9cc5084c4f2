#!/usr/bin/env python3
# ruff: noqa
"""Runs http11.json against a server that serves echo_app.py and judges the answers.

    python3 run_http11.py 127.0.0.1:8000                 whole messages in one write
    python3 run_http11.py 127.0.0.1:8000 --dribble       octet by octet
    python3 run_http11.py 127.0.0.1:8000 --split         every case cut in two at every octet (slow; --split-stride N)
    options: --json FILE  --only REGEX  --group A,B  --severity must  --concurrency N  --scale F  --verbose  --list

Standard library only.  Exit code: 0 when no "must" case failed, 1 otherwise, 2 when the server is not there.

A case: {"id", "group", "raw" | "raw_b64" | "raw_parts" [[text, times], ...] | "steps", "expect", "severity", "why",
"source"}.  Text is latin-1.  A step is one of {"send": text}, {"send_parts": [[text, times], ...]}, {"pause": s},
{"await": n finished answers}, {"await_interim": true}, {"await_ws": n messages or pongs}, {"half_close": true}.

"expect" is one alternative or {"any_of": [alternatives]}; a case passes when one alternative fits.  An alternative
with "warn": true is allowed by the RFC but is not the better choice; it is counted apart.  Keys of an alternative:
  status            list of codes, "2xx".."5xx", "none" (connection ended without an answer), "wait" (no answer, still open)
  close             true: server must end the connection; false: it must stay usable (checked with one more request)
  app_called        true/false: the app was / was not called.  app_complete: false = app never saw a whole body
  body_seen_by_app  text of the body the app got (first answer)
  echo              what the app says it saw: method, path, raw_path, query, scheme, body_len (value or list of values),
                    path_not, header {name: [values] or {"re": ..}}, no_header [names], no_header_value [name, value]
  second_response   what the second answer must be like; without it (and without "responses") there must be exactly one
  responses         one entry per answer, in order; or {"repeat": n, "each": entry}
  resp_headers      require {name: regex}, require_any [names], forbid [names], forbid_re {name: regex}
  resp_body "empty", text, status_line, forbid_text, truncated, forbid_both_lengths
  interim           exact set of 1xx codes seen; max_interim
  ws                after a 101: messages, pongs, close (codes; 1005 = close frame without code, null = no close frame
                    but connection ended, "open")
"""

import argparse
import asyncio
import base64
import json
import os
import random
import re
import socket
import sys
import time

TCHAR = re.compile(rb"^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$")
STATUS = re.compile(rb"^HTTP/1\.[01] (\d\d\d)(?: |$)")
PROBE = b"GET /__probe HTTP/1.1\r\nHost: localhost\r\n\r\n"


# ------------------------------------------------------------------------------------------------ answers
class Answer:
    __slots__ = ("status", "line", "headers", "body", "complete", "framing", "json_cache")

    def get(self, name):
        return [v for n, v in self.headers if n == name]

    @property
    def json(self):
        if self.json_cache is None:
            try:
                self.json_cache = json.loads(self.body.decode("latin-1"))
                if not isinstance(self.json_cache, dict):
                    self.json_cache = {}
            except ValueError:
                self.json_cache = {}
        return self.json_cache

    @property
    def from_app(self):
        return bool(self.get("x-app"))


def parse_answers(buf, eof, methods):
    """-> (final answers, interim codes, offset of unparsed rest, error or None).  The last answer may be incomplete."""
    finals, interim, pos = [], [], 0
    while pos < len(buf):
        end = buf.find(b"\r\n\r\n", pos)
        if end < 0:
            if eof:
                return finals, interim, pos, "answer head cut short: %r" % bytes(buf[pos : pos + 60])
            start = bytes(buf[pos : pos + 9])
            if not (b"HTTP/1.1 ".startswith(start[:9]) or b"HTTP/1.0 ".startswith(start[:9])):
                return finals, interim, pos, "not an HTTP/1 answer: %r" % bytes(buf[pos : pos + 60])
            return finals, interim, pos, None
        lines = bytes(buf[pos:end]).split(b"\r\n")
        m = STATUS.match(lines[0])
        if not m:
            return finals, interim, pos, "bad status line: %r" % lines[0][:60]
        a = Answer()
        a.status, a.line, a.headers, a.body = int(m.group(1)), lines[0].decode("latin-1"), [], b""
        a.complete, a.framing, a.json_cache = False, None, None
        for line in lines[1:]:
            name, sep, value = line.partition(b":")
            if not sep or not TCHAR.match(name) or b"\n" in value:
                return finals, interim, pos, "bad field line in answer: %r" % line[:60]
            a.headers.append((name.decode("latin-1").lower(), value.strip(b" \t").decode("latin-1")))
        pos = end + 4
        if 100 <= a.status < 200 and a.status != 101:
            interim.append(a.status)
            continue
        finals.append(a)
        if a.status == 101:
            a.complete = True
            return finals, interim, pos, None
        index = len(finals) - 1
        method = methods[index] if index < len(methods) else "GET"
        te = ",".join(a.get("transfer-encoding")).lower()
        lengths = set(a.get("content-length"))
        if method == "HEAD" or a.status in (204, 304):
            a.framing, a.complete = "none", True
        elif method == "CONNECT" and 200 <= a.status < 300 and not te and not lengths:
            a.framing, a.complete = "tunnel", True
            return finals, interim, pos, None
        elif te:
            a.framing = "chunked"
            if te.strip() != "chunked":
                return finals, interim, pos, "answer with Transfer-Encoding %r" % te
            body = bytearray()
            while True:
                eol = buf.find(b"\r\n", pos)
                if eol < 0:
                    break
                size_text = bytes(buf[pos:eol]).partition(b";")[0].strip()
                if not re.match(rb"^[0-9A-Fa-f]{1,16}$", size_text):
                    return finals, interim, pos, "bad chunk size in answer: %r" % size_text[:30]
                size = int(size_text, 16)
                if size == 0:
                    if bytes(buf[eol + 2 : eol + 4]) == b"\r\n":
                        pos, a.complete = eol + 4, True
                        break
                    tend = buf.find(b"\r\n\r\n", eol)
                    if tend >= 0:
                        pos, a.complete = tend + 4, True
                    break
                if len(buf) < eol + 2 + size + 2:
                    body += buf[eol + 2 : eol + 2 + size]
                    pos = len(buf)
                    break
                body += buf[eol + 2 : eol + 2 + size]
                if bytes(buf[eol + 2 + size : eol + 4 + size]) != b"\r\n":
                    return finals, interim, pos, "chunk data in answer not ended by CRLF"
                pos = eol + 4 + size
            a.body = bytes(body)
            if not a.complete:
                return finals, interim, pos, None
        elif lengths:
            a.framing = "length"
            if len(lengths) > 1 or not next(iter(lengths)).isdigit():
                return finals, interim, pos, "bad Content-Length in answer: %r" % sorted(lengths)
            n = int(next(iter(lengths)))
            a.body = bytes(buf[pos : pos + n])
            a.complete = len(a.body) == n
            pos += len(a.body)
            if not a.complete:
                return finals, interim, pos, None
        else:
            a.framing = "eof"
            a.body = bytes(buf[pos:])
            a.complete = eof
            return finals, interim, len(buf), None
    return finals, interim, pos, None


def parse_ws(data):
    """-> dict of what the server sent after a 101."""
    out = {"messages": [], "pongs": [], "close": None, "error": None}
    pos, parts = 0, None
    while pos + 2 <= len(data):
        b0, b1 = data[pos], data[pos + 1]
        n, head = b1 & 127, 2
        if b1 & 128:
            out["error"] = "masked frame from the server"
            return out
        if n == 126:
            n, head = int.from_bytes(data[pos + 2 : pos + 4], "big"), 4
        elif n == 127:
            n, head = int.from_bytes(data[pos + 2 : pos + 10], "big"), 10
        if len(data) < pos + head + n:
            break
        payload = bytes(data[pos + head : pos + head + n])
        pos += head + n
        op, fin = b0 & 15, b0 & 128
        if op == 8:
            out["close"] = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
            break
        if op == 10:
            out["pongs"].append(payload.decode("latin-1"))
        elif op in (0, 1, 2):
            parts = payload if op else (parts or b"") + payload
            if fin:
                out["messages"].append(parts.decode("latin-1"))
                parts = None
    return out


# ------------------------------------------------------------------------------------------------ connection
class Conn:
    def __init__(self, host, port, source):
        self.addr, self.source = (host, port), source
        self.buf, self.eof, self.reset = bytearray(), False, False
        self.event, self.last = asyncio.Event(), time.monotonic()
        self.task = self.key = None

    async def open(self):
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in self.addr[0] else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.setblocking(False)
        if self.source:
            try:
                self.sock.bind((self.source, 0))
            except OSError:
                pass
        await asyncio.wait_for(loop.sock_connect(self.sock, self.addr), 5)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        name = self.sock.getsockname()
        self.key = "%s:%d" % (name[0], name[1])
        self.task = asyncio.ensure_future(self._read())

    async def _read(self):
        loop = asyncio.get_running_loop()
        try:
            while True:
                data = await loop.sock_recv(self.sock, 262144)
                self.last = time.monotonic()
                if not data:
                    break
                self.buf += data
                self.event.set()
                if len(self.buf) > 4000000:  # enough seen; more would only be slow to parse
                    return
        except OSError:
            self.reset = True
        self.last = time.monotonic()
        self.eof = True
        self.event.set()

    async def send(self, data):
        loop = asyncio.get_running_loop()
        try:
            await asyncio.wait_for(loop.sock_sendall(self.sock, data), 10)
            return True
        except (OSError, asyncio.TimeoutError):
            return False

    async def wait(self, seconds):
        self.event.clear()
        if self.eof:
            return
        try:
            await asyncio.wait_for(self.event.wait(), max(0.001, seconds))
        except asyncio.TimeoutError:
            pass

    def half_close(self):
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    async def close(self):
        if self.task:
            self.task.cancel()
            try:
                await self.task
            except (asyncio.CancelledError, Exception):
                pass
        try:
            self.sock.close()
        except OSError:
            pass


async def simple_get(host, port, target, source=None):
    conn = Conn(host, port, source)
    await conn.open()
    try:
        await conn.send(("GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % target).encode())
        end = time.monotonic() + 5
        while time.monotonic() < end:
            finals, _, _, error = parse_answers(conn.buf, conn.eof, ["GET"])
            if error or conn.eof or (finals and finals[0].complete):
                break
            await conn.wait(end - time.monotonic())
        finals, _, _, error = parse_answers(conn.buf, conn.eof, ["GET"])
        return (finals[0] if finals else None), conn.key
    finally:
        await conn.close()


# ------------------------------------------------------------------------------------------------ judging
def alternatives(expect):
    return expect["any_of"] if "any_of" in expect else [expect]


def answers_wanted(alt):
    if "ws" in alt:
        return 1
    if "responses" in alt:
        r = alt["responses"]
        return r["repeat"] if isinstance(r, dict) else len(r)
    if any(s in ("none", "wait") for s in alt.get("status", [])) and len(alt["status"]) == 1:
        return 0
    return 2 if alt.get("second_response") else 1


def status_fits(status, wanted):
    for w in wanted:
        if w == status or (
            isinstance(w, str) and len(w) == 3 and w.endswith("xx") and status is not None and str(status)[0] == w[0]
        ):
            return True
    return False


def in_list(value, wanted):
    return value in wanted if isinstance(wanted, list) else value == wanted


def check_echo(answer, echo):
    if not answer.from_app:
        return "answer is not from the app"
    seen = answer.json
    for key, wanted in echo.items():
        if key == "header":
            for name, values in wanted.items():
                got = [v for n, v in seen.get("headers", []) if n == name]
                if isinstance(values, dict):
                    if len(got) != 1 or not re.search(values["re"], got[0], re.S):
                        return "app saw header %s = %r" % (name, got)
                elif got != values:
                    return "app saw header %s = %r, not %r" % (name, got, values)
        elif key == "no_header":
            for name in wanted:
                if any(n.strip().lower() == name.strip() for n, _ in seen.get("headers", [])):
                    return "app saw header %s" % name
        elif key == "no_header_value":
            if [wanted[0].lower(), wanted[1]] in seen.get("headers", []):
                return "app saw trailer %s as a header" % wanted[0]
        elif key == "path_not":
            if seen.get("path") == wanted:
                return "app saw path %r" % wanted
        elif not in_list(seen.get(key), wanted):
            return "app saw %s = %r, not %r" % (key, seen.get(key), wanted)
    return None


def check_answer(answer, want):
    """One answer against one entry; None when it fits."""
    if not status_fits(answer.status, want.get("status", ["2xx"])):
        return "status %d" % answer.status
    if want.get("truncated"):
        if answer.complete:
            return "answer looks complete"
    elif not answer.complete:
        return "answer is cut short"
    heads = want.get("resp_headers", {})
    for name, regex in heads.get("require", {}).items():
        if not any(re.search(regex, v) for v in answer.get(name)):
            return "answer header %s is %r" % (name, answer.get(name))
    if heads.get("require_any") and not any(answer.get(n) for n in heads["require_any"]):
        return "answer has none of %s" % ", ".join(heads["require_any"])
    for name in heads.get("forbid", []):
        if answer.get(name):
            return "answer has header %s" % name
    for name, regex in heads.get("forbid_re", {}).items():
        if any(re.search(regex, v) for v in answer.get(name)):
            return "answer header %s is %r" % (name, answer.get(name))
    if want.get("resp_body") == "empty" and answer.body:
        return "answer has a body"
    if "text" in want and answer.body.decode("latin-1") != want["text"]:
        return "answer body is %r" % answer.body[:40]
    if "forbid_text" in want and want["forbid_text"] in answer.body.decode("latin-1"):
        return "answer repeats %r" % want["forbid_text"]
    if "status_line" in want and not re.search(want["status_line"], answer.line):
        return "status line %r" % answer.line
    if want.get("forbid_both_lengths") and answer.get("content-length") and answer.get("transfer-encoding"):
        return "answer has both length headers"
    if "echo" in want:
        problem = check_echo(answer, want["echo"])
        if problem:
            return problem
    return None


def check_ws(seen, want, eof):
    if "any_of" in want:
        problems = []
        for alt in want["any_of"]:
            problem = check_ws(seen, alt, eof)
            if problem is None:
                return ("warn",) if alt.get("warn") else None
            if problem == ("warn",):
                return problem
            problems.append(problem)
        return "; ".join(problems)
    if seen["error"]:
        return seen["error"]
    if "messages" in want and seen["messages"] != want["messages"]:
        return "messages %r" % [m[:20] for m in seen["messages"]]
    if "pongs" in want and seen["pongs"] != want["pongs"]:
        return "pongs %r" % [m[:20] for m in seen["pongs"]]
    if "close" in want:
        got = seen["close"] if seen["close"] is not None else (None if eof else "open")
        if got not in want["close"]:
            return "close %r" % (got,)
    return None


class Result:
    def __init__(self):
        self.finals, self.interim, self.error = [], [], None
        self.eof = self.reset = False
        self.closed = None  # True / False (usable) / "desync"
        self.stats = None
        self.ws = None
        self.half_closed = False


def judge(alt, res, final):
    """None or ("warn",) when the alternative fits, else a text.  final=False leaves out the connection's state."""
    finals = res.finals
    if res.error:
        return res.error
    wanted_status = alt.get("status", ["2xx"])
    status_problem = None
    if not finals:
        if res.eof and "none" in wanted_status:
            pass
        elif not res.eof and "wait" in wanted_status:
            pass
        else:
            status_problem = "no answer, connection %s" % ("ended" if res.eof else "left open")
    if status_problem:
        return status_problem
    soft = False
    if finals:
        if "responses" in alt:
            entries = alt["responses"]
            if isinstance(entries, dict):
                entries = [entries["each"]] * entries["repeat"]
            if len(finals) != len(entries):
                return "%d answers (%s), not %d" % (
                    len(finals),
                    ",".join(str(a.status) for a in finals[:8]),
                    len(entries),
                )
            for a, e in zip(finals, entries):
                problem = check_answer(a, e)
                if problem:
                    return problem
        else:
            problem = check_answer(finals[0], alt)
            if problem:
                return problem
            more = finals[1:]
            if alt.get("second_response"):
                if len(more) != 1:
                    return "%d answers (%s), not 2" % (len(finals), ",".join(str(a.status) for a in finals[:8]))
                problem = check_answer(more[0], alt["second_response"])
                if problem:
                    return "second answer: " + problem
            elif more:
                return "extra answer(s): %s" % ",".join(str(a.status) for a in more[:5])
        body = alt.get("body_seen_by_app")
        if body is not None and finals[0].from_app:
            if finals[0].json.get("body") != body:
                return "app saw body %r" % str(finals[0].json.get("body"))[:40]
    if "interim" in alt and sorted(set(res.interim)) != sorted(alt["interim"]):
        return "interim answers %r" % res.interim
    if "max_interim" in alt and len(res.interim) > alt["max_interim"]:
        return "interim answers %r" % res.interim
    if "ws" in alt:
        problem = check_ws(
            res.ws or {"messages": [], "pongs": [], "close": None, "error": "no 101"}, alt["ws"], res.eof
        )
        if problem == ("warn",):
            soft = True
        elif problem:
            return problem
    if not final:
        return None
    close = alt.get("close")
    if close is True and not res.eof:
        return "connection left open"
    if close is False and not res.half_closed:
        if res.closed is True:
            return "connection closed"
        if res.closed == "desync":
            return "next request not answered properly"
    if res.stats is not None:
        calls, complete = res.stats["calls"], res.stats["complete"]
        if alt.get("app_called") is True and calls == 0:
            return "app was not called"
        if alt.get("app_called") is False and calls:
            return "app was called"
        if alt.get("app_complete") is False and complete:
            return "app was given a complete body"
    else:
        called = any(a.from_app for a in finals)
        if alt.get("app_called") is True and not called and finals and finals[0].status != 101:
            return "no answer from the app"
        if alt.get("app_called") is False and called:
            return "app was called"
        if alt.get("app_complete") is False and called:
            return "app answered"
    return ("warn",) if soft else None


# ------------------------------------------------------------------------------------------------ running
class Runner:
    def __init__(self, args):
        self.args = args
        self.host, self.port = args.host, args.port
        self.scale = args.scale
        # The app keeps its counters by client address, so no address may come twice in a run: on Linux every
        # connection to a loopback server gets a source address of its own, elsewhere a used port is not used again.
        self.own_sources = bool(re.match(r"^127\.", self.host)) and sys.platform.startswith("linux")
        self.net, self.serial, self.used = random.randint(1, 120), 0, set()
        self.use_stats = False

    @property
    def source(self):
        if not self.own_sources:
            return None
        self.serial += 1
        n = self.serial
        return "127.%d.%d.%d" % (self.net + n // 62500 % 120, n // 250 % 250, n % 250 + 2)

    async def connect(self):
        for _ in range(20):
            conn = Conn(self.host, self.port, self.source)
            await conn.open()
            if conn.key not in self.used:
                break
            await conn.close()
        self.used.add(conn.key)
        return conn

    async def prepare(self):
        try:
            answer, key = await simple_get(self.host, self.port, "/prep", self.source)
        except (OSError, asyncio.TimeoutError) as exc:
            print("cannot reach %s:%d: %s" % (self.host, self.port, exc), file=sys.stderr)
            return False
        if answer is None or not answer.from_app:
            print("the server does not seem to serve echo_app.py", file=sys.stderr)
            return False
        good = 0
        for _ in range(6):
            answer, _k = await simple_get(self.host, self.port, "/__stats?key=" + key)
            good += bool(answer and answer.json.get("calls") == 1)
        self.use_stats = good == 6
        return True

    async def stats(self, key):
        if not self.use_stats:
            return None
        try:
            answer, _ = await simple_get(self.host, self.port, "/__stats?key=" + key)
        except (OSError, asyncio.TimeoutError):
            return None
        return answer.json if answer and "calls" in answer.json else None

    def raw_steps(self, case):
        if "steps" in case:
            out = []
            for s in case["steps"]:
                if "send" in s:
                    s = {"send": s["send"].encode("latin-1")}
                elif "send_parts" in s:
                    s = {"send": b"".join(t.encode("latin-1") * n for t, n in s["send_parts"])}
                out.append(s)
            return out
        if "raw_b64" in case:
            data = base64.b64decode(case["raw_b64"])
        elif "raw_parts" in case:
            data = b"".join(t.encode("latin-1") * n for t, n in case["raw_parts"])
        else:
            data = case["raw"].encode("latin-1")
        return [{"send": data}]

    async def emit(self, conn, data, mode, cut):
        if mode == "dribble" and len(data) <= 8192:
            for i in range(len(data)):
                if conn.eof or not await conn.send(data[i : i + 1]):
                    return
                await asyncio.sleep(0)
                if i % 16 == 0:
                    await asyncio.sleep(0.0005)
        elif mode == "dribble":
            for i in range(0, len(data), 1021):
                if conn.eof or not await conn.send(data[i : i + 1021]):
                    return
                await asyncio.sleep(0)
        elif cut:
            if await conn.send(data[:cut]):
                await asyncio.sleep(0.004 * self.scale)
                await conn.send(data[cut:])
        else:
            await conn.send(data)

    async def run_once(self, case, mode="whole", cut=0, scale=1.0):
        scale *= self.scale
        res = Result()
        alts = alternatives(case["expect"])
        steps = self.raw_steps(case)
        first = next((s["send"] for s in steps if "send" in s), b"").lstrip()
        methods = case.get("methods") or [first.split(b" ", 1)[0].decode("latin-1")]
        most = max(answers_wanted(a) for a in alts)
        only_wait = all(a.get("status") == ["wait"] for a in alts)
        is_ws = any("ws" in a for a in alts)
        try:
            conn = await self.connect()
        except (OSError, asyncio.TimeoutError) as exc:
            res.error = "cannot connect: %s" % exc
            return res, [(a, res.error) for a in alts]
        try:
            for step in steps:
                if "send" in step:
                    await self.emit(conn, step["send"], mode, cut)
                elif "pause" in step:
                    await asyncio.sleep(step["pause"])
                elif "half_close" in step:
                    conn.half_close()
                    res.half_closed = True
                elif "await" in step or "await_interim" in step:
                    end = time.monotonic() + 1.5 * scale
                    while time.monotonic() < end and not conn.eof:
                        finals, interim, _, error = parse_answers(conn.buf, conn.eof, methods)
                        done = sum(a.complete for a in finals)
                        if error or done >= step.get("await", 1) or ("await_interim" in step and interim):
                            break
                        await conn.wait(end - time.monotonic())
                elif "await_ws" in step:
                    end = time.monotonic() + 1.0 * scale
                    while time.monotonic() < end and not conn.eof:
                        finals, _, rest, error = parse_answers(conn.buf, conn.eof, methods)
                        if error or (finals and finals[0].status != 101):
                            break
                        seen = parse_ws(conn.buf[rest:]) if finals else None
                        if seen and (
                            seen["close"] is not None or len(seen["messages"]) + len(seen["pongs"]) >= step["await_ws"]
                        ):
                            break
                        await conn.wait(end - time.monotonic())
            sent = time.monotonic()
            quiet = (0.12 if not is_ws else 0.25) * scale
            while True:
                finals, interim, rest, error = parse_answers(conn.buf, conn.eof, methods)
                if conn.eof or error:
                    break
                now = time.monotonic()
                idle = now - max(conn.last, sent)
                done = sum(a.complete for a in finals)
                if is_ws and finals and finals[0].status == 101:
                    seen = parse_ws(conn.buf[rest:])
                    limit = 0.15 * scale if seen["close"] is not None else 1.0 * scale
                    if any("open" in (a.get("ws", {}).get("close") or []) for a in alts):
                        limit = 0.5 * scale
                elif only_wait:
                    limit = 0.35 * scale
                elif done >= max(most, 1):
                    limit = quiet
                elif finals:
                    limit = 0.8 * scale
                else:
                    limit = 1.3 * scale
                if idle >= limit:
                    break
                await conn.wait(limit - idle + 0.001)
            res.finals, res.interim, rest, res.error = finals, interim, rest, error
            if is_ws and finals and finals[0].status == 101:
                res.ws = parse_ws(conn.buf[rest:])
            res.eof = conn.eof
            candidates = [a for a in alts if judge(a, res, False) in (None, ("warn",))]
            if candidates and not conn.eof and any(a.get("close") is True for a in candidates):
                end = time.monotonic() + 1.5 * scale
                count = len(finals)
                while not conn.eof and time.monotonic() < end:
                    await conn.wait(end - time.monotonic())
                    finals, interim, rest, error = parse_answers(conn.buf, conn.eof, methods)
                    if len(finals) > count:
                        break
                finals, interim, rest, error = parse_answers(conn.buf, conn.eof, methods)
                res.finals, res.interim, res.error, res.eof = finals, interim, error, conn.eof
            if conn.eof:
                res.closed = True
            elif any(a.get("close") is False for a in candidates) and not res.half_closed:
                before = len(finals)
                await conn.send(PROBE)
                end = time.monotonic() + 1.5 * scale
                ok = False
                while time.monotonic() < end:
                    finals, interim, rest, error = parse_answers(conn.buf, conn.eof, methods)
                    if error or conn.eof or (len(finals) > before and finals[-1].complete):
                        break
                    await conn.wait(end - time.monotonic())
                finals, _, _, error = parse_answers(conn.buf, conn.eof, methods)
                if len(finals) == before + 1 and finals[-1].json.get("probe") is True:
                    ok = True
                res.closed = False if ok else (True if conn.eof and len(finals) == before else "desync")
            key = conn.key
            if mode != "split" or not candidates:
                res.stats = await self.stats(key)
            verdicts = [(a, judge(a, res, True)) for a in alts]
            if case.get("h2_ok") and len(conn.buf) >= 9 and conn.buf[3] == 4 and not res.finals:
                verdicts = [(alts[0], None)]
            if res.stats and not case.get("evil_ok"):
                bad = [s for s in res.stats.get("seen", []) if s[1].startswith("/evil")]
                if bad:
                    verdicts = [(a, "smuggled request %s %s reached the app" % tuple(bad[0])) for a in alts]
            return res, verdicts
        finally:
            await conn.close()

    @staticmethod
    def verdict(verdicts):
        best = None
        for alt, problem in verdicts:
            if problem is None and not alt.get("warn"):
                return "pass", ""
            if problem is None or problem == ("warn",):
                best = ("warn", "")
        if best:
            return best
        texts = []
        for _, problem in verdicts:
            if problem not in texts:
                texts.append(problem)
        return "fail", " | ".join(texts)

    async def run_case(self, case, mode):
        last = None
        for attempt in range(1 + self.args.retries):
            res, verdicts = await self.run_once(case, mode, scale=1.0 if attempt == 0 else 2.5)
            last = self.verdict(verdicts)
            if last[0] != "fail":
                break
        got = ",".join(str(a.status) for a in res.finals[:6]) or ("closed" if res.eof else "silent")
        return {
            "id": case["id"],
            "group": case["group"],
            "severity": case["severity"],
            "verdict": last[0],
            "problem": last[1],
            "got": got + ("" if len(res.finals) <= 6 else ",.."),
            "closed": res.eof,
            "app_calls": res.stats["calls"] if res.stats else None,
        }

    async def run_split(self, case):
        steps = self.raw_steps(case)
        if "steps" in case or len(steps[0]["send"]) > self.args.split_max:
            return None
        data = steps[0]["send"]
        bad = []
        whole = await self.run_case(case, "whole")
        if whole["verdict"] == "fail":
            whole["problem"] = "fails whole as well: " + whole["problem"]
            return whole
        for cut in range(1, len(data), self.args.split_stride):
            _, verdicts = await self.run_once(case, "split", cut)
            if self.verdict(verdicts)[0] == "fail":
                _, verdicts = await self.run_once(case, "split", cut, 2.5)
                v = self.verdict(verdicts)
                if v[0] == "fail":
                    bad.append((cut, v[1]))
        return {
            "id": case["id"],
            "group": case["group"],
            "severity": case["severity"],
            "verdict": "fail" if bad else "pass",
            "problem": "; ".join("cut at %d: %s" % b for b in bad[:3]),
            "got": "%d of %d cuts differ" % (len(bad), len(range(1, len(data), self.args.split_stride))),
            "closed": None,
            "app_calls": None,
        }


async def run_all(args, cases):
    runner = Runner(args)
    if not await runner.prepare():
        return None, None
    gate = asyncio.Semaphore(args.concurrency)
    results = []

    async def one(case):
        async with gate:
            try:
                if args.split:
                    r = await runner.run_split(case)
                else:
                    r = await runner.run_case(case, "dribble" if args.dribble else "whole")
            except Exception as exc:  # a bug here must not hide the rest
                r = {
                    "id": case["id"],
                    "group": case["group"],
                    "severity": case["severity"],
                    "verdict": "fail",
                    "problem": "runner: %r" % exc,
                    "got": "",
                    "closed": None,
                    "app_calls": None,
                }
            if r is not None:
                results.append(r)

    await asyncio.gather(*(one(c) for c in cases))
    order = {c["id"]: i for i, c in enumerate(cases)}
    results.sort(key=lambda r: order[r["id"]])
    return runner, results


def table(results):
    groups, rows = [], {}
    for r in results:
        if r["group"] not in rows:
            groups.append(r["group"])
            rows[r["group"]] = {}
        cell = rows[r["group"]].setdefault(r["severity"], {"pass": 0, "warn": 0, "fail": 0})
        cell[r["verdict"]] += 1
    lines = ["%-14s %14s %14s %14s %8s" % ("group", "must ok/all", "should ok/all", "may ok/all", "warn")]
    total = {}
    for g in groups + ["TOTAL"]:
        cells, warns = [], 0
        for sev in ("must", "should", "may"):
            if g == "TOTAL":
                c = total.get(sev, {"pass": 0, "warn": 0, "fail": 0})
            else:
                c = rows[g].get(sev, {"pass": 0, "warn": 0, "fail": 0})
                t = total.setdefault(sev, {"pass": 0, "warn": 0, "fail": 0})
                for k in c:
                    t[k] += c[k]
            n = sum(c.values())
            warns += c["warn"]
            cells.append("%d/%d" % (c["pass"] + c["warn"], n) if n else "-")
        lines.append("%-14s %14s %14s %14s %8d" % (g, cells[0], cells[1], cells[2], warns))
    return "\n".join(lines)


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("target", help="HOST:PORT")
    p.add_argument("--cases", default=os.path.join(here, "http11.json"))
    p.add_argument("--json", metavar="FILE", help="write all results here ('-' for standard output)")
    p.add_argument("--only", help="regular expression on case ids")
    p.add_argument("--group", help="comma-separated groups")
    p.add_argument("--severity", help="comma-separated: must,should,may")
    p.add_argument("--concurrency", type=int, default=40)
    p.add_argument("--scale", type=float, default=1.0, help="multiply all waiting times")
    p.add_argument("--retries", type=int, default=1, help="extra tries of a failed case (with longer waits)")
    p.add_argument("--dribble", action="store_true")
    p.add_argument("--split", action="store_true")
    p.add_argument("--split-stride", type=int, default=1)
    p.add_argument("--split-max", type=int, default=600)
    p.add_argument("--verbose", action="store_true", help="also print the warnings")
    p.add_argument("--list", action="store_true")
    args = p.parse_args()
    host, _, port = args.target.rpartition(":")
    args.host, args.port = host.strip("[]") or "127.0.0.1", int(port)
    with open(args.cases, encoding="utf-8") as f:
        cases = json.load(f)["cases"]
    if args.only:
        cases = [c for c in cases if re.search(args.only, c["id"])]
    if args.group:
        cases = [c for c in cases if c["group"] in args.group.split(",")]
    if args.severity:
        cases = [c for c in cases if c["severity"] in args.severity.split(",")]
    if args.list:
        for c in cases:
            print("%-28s %-13s %-7s %s" % (c["id"], c["group"], c["severity"], c["why"]))
        return 0
    began = time.monotonic()
    runner, results = asyncio.run(run_all(args, cases))
    if results is None:
        return 2
    took = time.monotonic() - began
    to_stdout = args.json == "-"
    out = sys.stderr if to_stdout else sys.stdout
    by_id = {c["id"]: c for c in cases}
    print(table(results), file=out)
    for r in results:
        if r["verdict"] == "fail" or (args.verbose and r["verdict"] == "warn"):
            print(
                "%-4s %-6s %-26s got %-14s %s" % (r["verdict"].upper(), r["severity"], r["id"], r["got"], r["problem"]),
                file=out,
            )
            if args.verbose:
                print("%12s%s [%s]" % ("", by_id[r["id"]]["why"], by_id[r["id"]]["source"]), file=out)
    print(
        "%d cases, %.1f s, app counters %s"
        % (
            len(results),
            took,
            "used" if runner.use_stats else "not usable (several workers?): judged by the answers alone",
        ),
        file=out,
    )
    if args.json:
        summary = {
            "target": args.target,
            "mode": "split" if args.split else "dribble" if args.dribble else "whole",
            "seconds": round(took, 1),
            "app_counters": runner.use_stats,
            "results": results,
        }
        text = json.dumps(summary, indent=1)
        if to_stdout:
            print(text)
        else:
            with open(args.json, "w", encoding="utf-8") as f:
                f.write(text + "\n")
    return 1 if any(r["verdict"] == "fail" and r["severity"] == "must" for r in results) else 0


if __name__ == "__main__":
    sys.exit(main())
