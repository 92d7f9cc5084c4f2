# ruff: noqa
"""Small ASGI app the conformance runner talks to (stdlib only).

    <server> echo_app:app      # one process / one worker, so that the counters are in one place

Paths
  (anything)        reads the whole body, answers 200 with a JSON description of what the app saw
  /early            answers 200 at once and never reads the body
  /stream           answers 200 in three pieces and states no length
  /sleep?ms=N       reads the body, waits, then answers as above
  /s204 /s304       answer 204 / 304 and (wrongly) hand over a body: the server must not put it on the wire
  /short /long      declare Content-Length 10 and hand over 5 bytes / declare 5 and hand over 10
  /raise            raises before the response; /raise-mid raises after the first piece of a stream
  /inject           puts CR LF into a response header value; /inject-nul a NUL; /inject-name a bad name
  /both             declares both Content-Length and Transfer-Encoding: chunked, then one 5-byte piece
  /nobody           sends http.response.start and then one empty final body
  /ws               WebSocket echo (text and binary); /ws-reject closes before accept;
  /ws-sub           accepts the last subprotocol the client offers
  /count            number of HTTP requests the app was called for (control requests not counted)
  /__stats?key=IP:PORT   what the app saw from that client address (the runner knows its own address)
"""

import asyncio
import hashlib
import json
from collections import OrderedDict

_stats = OrderedDict()
_total = {"n": 0}
_MAX_KEYS = 50000


def _key(scope):
    client = scope.get("client")
    if not client:
        return None
    host = str(client[0])
    if host.startswith("::ffff:"):
        host = host[7:]
    return "%s:%s" % (host, client[1])


def _entry(scope):
    key = _key(scope)
    if key is None:
        return {"calls": 0, "complete": 0, "disconnects": 0, "seen": []}
    entry = _stats.get(key)
    if entry is None:
        entry = _stats[key] = {"calls": 0, "complete": 0, "disconnects": 0, "seen": []}
        if len(_stats) > _MAX_KEYS:
            _stats.popitem(last=False)
    return entry


def _latin(value):
    return value.decode("latin-1") if isinstance(value, (bytes, bytearray)) else value


async def app(scope, receive, send):
    kind = scope["type"]
    if kind == "http":
        await _http(scope, receive, send)
    elif kind == "websocket":
        await _websocket(scope, receive, send)
    elif kind == "lifespan":
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await send({"type": "lifespan.shutdown.complete"})
                return


async def _json(send, obj, status=200):
    body = json.dumps(obj).encode("ascii")
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode("ascii")),
                (b"x-app", b"echo"),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def _start(send, status, headers):
    await send({"type": "http.response.start", "status": status, "headers": [(b"x-app", b"echo")] + headers})


async def _http(scope, receive, send):
    path = scope["path"]
    if path == "/__stats":
        key = scope.get("query_string", b"").decode("latin-1").partition("key=")[2]
        await _json(send, _stats.get(key) or {"calls": 0, "complete": 0, "disconnects": 0, "seen": []})
        return
    if path == "/__probe":
        await _json(send, {"probe": True})
        return
    if path == "/count":
        await _json(send, {"count": _total["n"]})
        return

    entry = _entry(scope)
    entry["calls"] += 1
    _total["n"] += 1
    if len(entry["seen"]) < 300:
        entry["seen"].append([scope["method"], _latin(scope.get("raw_path") or b"") or path])

    if path == "/early":
        await _start(send, 200, [(b"content-length", b"5")])
        await send({"type": "http.response.body", "body": b"early"})
        return

    digest = hashlib.sha256()
    kept = bytearray()
    length = 0
    complete = False
    while True:
        message = await receive()
        if message["type"] != "http.request":
            entry["disconnects"] += 1
            break
        data = message.get("body", b"")
        length += len(data)
        digest.update(data)
        if len(kept) < 8192:
            kept += data[: 8192 - len(kept)]
        if not message.get("more_body", False):
            complete = True
            entry["complete"] += 1
            break
    if not complete:
        return

    if path == "/stream":
        await _start(send, 200, [(b"content-type", b"text/plain")])
        for piece in (b"one-", b"two-", b"three"):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    if path == "/sleep":
        query = scope.get("query_string", b"").decode("latin-1")
        await asyncio.sleep(int(query.partition("ms=")[2] or "100") / 1000)
    if path in ("/s204", "/s304"):
        await _start(send, int(path[2:]), [])
        await send({"type": "http.response.body", "body": b"must-not-appear"})
        return
    if path == "/short":
        await _start(send, 200, [(b"content-length", b"10")])
        await send({"type": "http.response.body", "body": b"hello"})
        return
    if path == "/long":
        await _start(send, 200, [(b"content-length", b"5")])
        await send({"type": "http.response.body", "body": b"helloEXTRA"})
        return
    if path == "/raise":
        raise RuntimeError("deliberate, before the response")
    if path == "/raise-mid":
        await _start(send, 200, [(b"content-type", b"text/plain")])
        await send({"type": "http.response.body", "body": b"partial", "more_body": True})
        raise RuntimeError("deliberate, in mid-response")
    if path == "/inject":
        await _start(send, 200, [(b"x-value", b"a\r\nx-injected: yes"), (b"content-length", b"2")])
        await send({"type": "http.response.body", "body": b"ok"})
        return
    if path == "/inject-nul":
        await _start(send, 200, [(b"x-value", b"a\x00b"), (b"content-length", b"2")])
        await send({"type": "http.response.body", "body": b"ok"})
        return
    if path == "/inject-name":
        await _start(send, 200, [(b"x-injected: yes\r\nx", b"b"), (b"content-length", b"2")])
        await send({"type": "http.response.body", "body": b"ok"})
        return
    if path == "/both":
        await _start(send, 200, [(b"content-length", b"5"), (b"transfer-encoding", b"chunked")])
        await send({"type": "http.response.body", "body": b"hello"})
        return
    if path == "/nobody":
        await _start(send, 200, [])
        await send({"type": "http.response.body"})
        return

    await _json(
        send,
        {
            "method": scope["method"],
            "path": path,
            "raw_path": _latin(scope.get("raw_path")),
            "query": _latin(scope.get("query_string", b"")),
            "http_version": scope.get("http_version"),
            "scheme": scope.get("scheme"),
            "headers": [[_latin(n), _latin(v)] for n, v in scope["headers"]],
            "body_len": length,
            "body_sha256": digest.hexdigest(),
            "body": kept.decode("latin-1") if length <= 4096 else None,
            "count": _total["n"],
        },
    )


async def _websocket(scope, receive, send):
    entry = _entry(scope)
    entry["calls"] += 1
    entry["seen"].append(["WEBSOCKET", scope["path"]])
    message = await receive()
    if message["type"] != "websocket.connect":
        return
    if scope["path"] == "/ws-reject":
        await send({"type": "websocket.close", "code": 1000})
        return
    accept = {"type": "websocket.accept"}
    offered = list(scope.get("subprotocols") or [])
    if scope["path"] == "/ws-sub" and offered:
        accept["subprotocol"] = offered[-1]
    await send(accept)
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            entry["disconnects"] += 1
            entry["ws_close"] = message.get("code")
            return
        if message["type"] == "websocket.receive":
            if message.get("text") is not None:
                await send({"type": "websocket.send", "text": message["text"]})
            else:
                await send({"type": "websocket.send", "bytes": message.get("bytes", b"")})
