#!/usr/bin/env python3
# ruff: noqa
"""Judge for static file serving (stdlib only, Linux/macOS).

  run_static.py --cmd "miniasgi --static {root} --port {port}" \
      --profile "listing=miniasgi --static {root} --port {port} --listing" ...
  run_static.py --anchor nginx            # reference servers, for calibration
  run_static.py --anchor nginx --anchor caddy --json out.json

Placeholders in a command: {root} served directory, {port} TCP port on 127.0.0.1,
{tmp} scratch directory (writable, outside the root). The command is split with
shlex unless --shell is given. Profiles: default, listing, precompressed, spa,
notfound, cleanurls, mounted ("mounted" serves {root} under /static/). A profile
without a command is skipped; its cases count as "n/a", not as failures.

Only processes started here are ended (by their own session id).
"""

import argparse, base64, gzip, hashlib, html.parser, json, os, random, re, shlex, shutil, signal
import socket, stat, subprocess, sys, tempfile, threading, time, urllib.parse
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
SECRET = b"SECRET-OUTSIDE"
TIMEOUT = 5.0
IMFRE = re.compile(
    r"^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT$"
)


# ------------------------------------------------------------------ fixtures
class Tree:
    def __init__(self, doc, tame=False):
        self.doc = doc
        self.skipped = set()
        self.tmp = os.path.realpath(tempfile.mkdtemp(prefix="static-cases-"))
        self.base = os.path.join(self.tmp, "site")
        self.root = os.path.join(self.base, "www")
        self.scratch = os.path.join(self.tmp, "scratch")
        os.makedirs(self.root)
        os.makedirs(self.scratch)
        os.chmod(self.tmp, 0o755)
        self.by = {f["path"]: f for f in doc["fixtures"]}
        self.cache = {}
        self.socks = []
        for f in doc["fixtures"]:
            if tame and (
                f["kind"] in ("fifo", "socket")
                or f["path"].startswith("hostile/")
                or "\r" in f["path"]
                or f.get("target") in ("link-loop", "does-not-exist")
            ):
                self.skipped.add(f["path"])
                continue
            self.build(f)

    def path(self, p):
        return os.path.join(self.base, p[1:]) if p.startswith("@") else os.path.join(self.root, p)

    def data(self, p):
        """bytes of a (small) regular fixture"""
        if p in self.cache:
            return self.cache[p]
        f = self.by[p]
        if f["kind"] == "symlink":
            raise KeyError(p)
        c = f["content"]
        if "text" in c:
            b = c["text"].encode("utf-8", "surrogateescape")
        elif "pattern" in c:
            b = "".join(c["pattern"] % i for i in range(c["count"])).encode()
        elif "repeat" in c:
            b = c["repeat"].encode() * c["size"]
        elif "b64" in c:
            b = base64.b64decode(c["b64"])
        elif "gzip_of" in c:
            b = gzip.compress(self.data(c["gzip_of"]), 9, mtime=0)
        elif "gzip_text" in c:
            b = gzip.compress(c["gzip_text"].encode(), 9, mtime=0)
        elif "prng" in c:
            n, out, i = c["size"], [], 0
            while i * 32 < n:
                out.append(hashlib.sha256(("%s:%d" % (c["prng"], i)).encode()).digest())
                i += 1
            b = b"".join(out)[:n]
        else:
            raise ValueError(c)
        self.cache[p] = b
        return b

    def build(self, f):
        p = self.path(f["path"])
        k = f["kind"]
        os.makedirs(os.path.dirname(p), exist_ok=True)
        if k == "dir":
            os.makedirs(p, exist_ok=True)
        elif k == "symlink":
            os.symlink(f["target"], p)
        elif k == "fifo":
            os.mkfifo(p)
        elif k == "socket":
            s = socket.socket(socket.AF_UNIX)
            cwd = os.getcwd()
            os.chdir(os.path.dirname(p))  # sun_path is short
            try:
                s.bind(os.path.basename(p))
            finally:
                os.chdir(cwd)
            self.socks.append(s)
        else:
            c = f["content"]
            if "sparse" in c:
                with open(p, "wb") as fh:
                    fh.seek(c["sparse"])
                    fh.write(c["tail"].encode())
            else:
                with open(p, "wb") as fh:
                    fh.write(self.data(f["path"]))
            self.utime(p, f["mtime"])

    @staticmethod
    def utime(p, t):
        ns = int(round(t * 1e9))
        os.utime(p, ns=(ns, ns))

    def write(self, rel, data, mtime):
        p = self.path(rel)
        os.makedirs(os.path.dirname(p), exist_ok=True)
        t = os.path.join(self.scratch, "w%d" % random.getrandbits(40))
        with open(t, "wb") as fh:
            fh.write(data)
        self.utime(t, mtime)
        os.replace(t, p)

    def restore(self, rel):
        self.gen = getattr(self, "gen", 0) + 1  # a new mtime each time, so that stat caches notice
        f = self.by[rel]
        self.write(rel, self.data(rel), f["mtime"] + 1000 + self.gen)

    def close(self):
        for s in self.socks:
            s.close()
        shutil.rmtree(self.tmp, ignore_errors=True)


# ------------------------------------------------------------------ HTTP client
class Resp:
    __slots__ = ("status", "headers", "body", "extra", "err", "ms", "complete", "eof", "raw_len", "version")

    def get(self, n):
        v = [b for a, b in self.headers if a == n]
        return ", ".join(v) if v else None

    def all(self, n):
        return [b for a, b in self.headers if a == n]


class Conn:
    def __init__(self, host, port, rcvbuf=None, timeout=TIMEOUT):
        self.s = socket.socket(socket.AF_INET)
        if rcvbuf:
            self.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.s.settimeout(timeout)
        self.s.connect((host, port))
        self.buf = bytearray()
        self.eof = False
        self.timeout = timeout

    def send(self, b):
        self.s.sendall(b)

    def fill(self, deadline):
        if self.eof:
            return False
        left = deadline - time.monotonic()
        if left <= 0:
            raise socket.timeout()
        self.s.settimeout(left)
        try:
            d = self.s.recv(1 << 18)
        except (ConnectionResetError, BrokenPipeError):
            d = b""
        if not d:
            self.eof = True
            return False
        self.buf += d
        return True

    def response(self, method, deadline=None):
        t0 = time.monotonic()
        deadline = deadline or t0 + self.timeout
        r = Resp()
        r.err = None
        r.body = b""
        r.extra = b""
        r.headers = []
        r.status = 0
        r.complete = False
        r.eof = False
        r.version = ""
        try:
            while True:
                while True:
                    i = self.buf.find(b"\r\n\r\n")
                    if i >= 0:
                        break
                    if len(self.buf) > 200000:
                        r.err = "head too long"
                        return self._fin(r, t0)
                    if not self.fill(deadline):
                        r.err = (
                            "closed without a response" if not self.buf else "truncated head: %r" % bytes(self.buf[:80])
                        )
                        return self._fin(r, t0)
                head = bytes(self.buf[:i])
                del self.buf[: i + 4]
                lines = head.split(b"\r\n")
                m = re.match(rb"^(HTTP/\d\.\d) (\d{3})(?: .*)?$", lines[0])
                if not m:
                    r.err = "bad status line %r" % lines[0][:80]
                    return self._fin(r, t0)
                r.version = m.group(1).decode()
                r.status = int(m.group(2))
                r.headers = []
                for ln in lines[1:]:
                    k, c, v = ln.partition(b":")
                    if (
                        not c
                        or not re.match(rb"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", k)
                        or b"\n" in v
                        or b"\r" in v
                        or b"\0" in v
                    ):
                        r.err = "bad header line %r" % ln[:80]
                        return self._fin(r, t0)
                    r.headers.append((k.decode().lower(), v.strip(b" \t").decode("latin-1")))
                if 100 <= r.status < 200 and r.status != 101:
                    continue
                break
            te = (r.get("transfer-encoding") or "").lower()
            cl = r.all("content-length")
            if len(set(cl)) > 1:
                r.err = "several Content-Length %r" % cl
                return self._fin(r, t0)
            if te and cl:
                r.err = "Transfer-Encoding and Content-Length together"
                return self._fin(r, t0)
            if cl and not re.match(r"^\d+$", cl[0]):
                r.err = "bad Content-Length %r" % cl
                return self._fin(r, t0)
            if method == "HEAD" or r.status in (204, 304):
                r.complete = True
            elif "chunked" in te:
                out = []
                while True:
                    while b"\r\n" not in self.buf:
                        if not self.fill(deadline):
                            r.err = "truncated chunked body"
                            r.body = b"".join(out)
                            return self._fin(r, t0)
                    i = self.buf.find(b"\r\n")
                    n = int(bytes(self.buf[:i]).split(b";")[0], 16)
                    del self.buf[: i + 2]
                    while len(self.buf) < n + 2:
                        if not self.fill(deadline):
                            r.err = "truncated chunked body"
                            r.body = b"".join(out)
                            return self._fin(r, t0)
                    out.append(bytes(self.buf[:n]))
                    del self.buf[: n + 2]
                    if n == 0:
                        break
                r.body = b"".join(out)
                r.complete = True
            elif cl:
                n = int(cl[0])
                if n > 100_000_000:
                    r.err = "refusing to read a %d-byte body (status %d)" % (n, r.status)
                    return self._fin(r, t0)
                while len(self.buf) < n:
                    if not self.fill(deadline):
                        r.err = "body shorter (%d) than Content-Length (%d)" % (len(self.buf), n)
                        r.body = bytes(self.buf)
                        self.buf.clear()
                        return self._fin(r, t0)
                r.body = bytes(self.buf[:n])
                del self.buf[:n]
                r.complete = True
            else:
                while self.fill(deadline):
                    pass
                r.body = bytes(self.buf)
                self.buf.clear()
                r.complete = True
        except socket.timeout:
            r.err = "timeout after %.1f s" % (time.monotonic() - t0)
        except ValueError as e:
            r.err = "bad chunk framing: %s" % e
        except OSError as e:
            r.err = "socket: %s" % e
        return self._fin(r, t0)

    def _fin(self, r, t0):
        r.ms = (time.monotonic() - t0) * 1000
        r.eof = self.eof
        return r

    def close(self):
        try:
            self.s.close()
        except OSError:
            pass


# ------------------------------------------------------------------ server under test
class Server:
    settle = 0.3  # seconds that a server has after it listens; some begin to do so before they can answer

    def __init__(self, argv, env=None, shell=False, cwd=None, log=None):
        self.argv, self.env, self.shell, self.cwd, self.log = argv, env, shell, cwd, log
        self.p = None

    def start(self, port, wait=20):
        e = dict(os.environ)
        e.update(self.env or {})
        e.setdefault("PYTHONUNBUFFERED", "1")
        self.port = port
        self.p = subprocess.Popen(
            self.argv,
            shell=self.shell,
            env=e,
            cwd=self.cwd,
            stdin=subprocess.DEVNULL,
            stdout=self.log or subprocess.DEVNULL,
            stderr=self.log or subprocess.DEVNULL,
            start_new_session=True,
            restore_signals=True,
        )
        end = time.monotonic() + wait
        while time.monotonic() < end:
            if self.p.poll() is not None:
                raise RuntimeError("server exited with %s" % self.p.returncode)
            try:
                socket.create_connection(("127.0.0.1", port), 0.5).close()
                time.sleep(self.settle)
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError("server did not listen on %d" % port)

    def pids(self):
        out = []
        if not os.path.isdir("/proc/self"):
            return out
        for d in os.listdir("/proc"):
            if d.isdigit():
                try:
                    s = open("/proc/%s/stat" % d, "rb").read().rsplit(b")", 1)[1].split()
                    if int(s[3]) == self.p.pid and s[0] != b"Z":
                        out.append(int(d))
                except (OSError, IndexError):
                    pass
        return out

    def alive(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def stop(self):
        if not self.p:
            return
        for sig in (signal.SIGTERM, signal.SIGKILL):
            pids = self.pids() or [self.p.pid]
            for pid in pids:
                try:
                    os.kill(pid, sig)
                except OSError:
                    pass
            end = time.monotonic() + 3
            while time.monotonic() < end:
                self.p.poll()
                if not self.pids():
                    break
                time.sleep(0.05)
            else:
                continue
            break
        try:
            self.p.wait(2)
        except subprocess.TimeoutExpired:
            pass
        self.p = None

    def fds_under(self, prefix):
        n = 0
        for pid in self.pids():
            try:
                for f in os.listdir("/proc/%d/fd" % pid):
                    try:
                        if os.readlink("/proc/%d/fd/%s" % (pid, f)).startswith(prefix):
                            n += 1
                    except OSError:
                        pass
            except OSError:
                return None
        return n

    def rss(self):
        t = 0
        for pid in self.pids():
            try:
                t += int(open("/proc/%d/statm" % pid).read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            except (OSError, IndexError):
                pass
        return t


def free_port():
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    p = s.getsockname()[1]
    s.close()
    return p


# ------------------------------------------------------------------ judge
class Hrefs(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.h = []

    def handle_starttag(self, tag, attrs):
        if tag == "a":
            for k, v in attrs:
                if k == "href" and v is not None:
                    self.h.append(v)


def hrefs(body):
    p = Hrefs()
    p.feed(body.decode("utf-8", "surrogateescape"))
    p.close()
    return p.h


class Skip(Exception):
    pass


class Bad(Exception):
    pass


class Unsup(Exception):
    pass


class Judge:
    def __init__(self, tree, server, port, prefix=""):
        self.t, self.srv, self.port, self.prefix = tree, server, port, prefix
        self.host = "127.0.0.1:%d" % port
        self.canary = "c%x" % random.getrandbits(60)

    # --- request building
    def subst(self, s, ctx):
        if "${" not in s:
            return s
        out = self.t.path("@outside/secret.txt")
        m = {
            "host": self.host,
            "outside": out,
            "outside_enc": out.replace("/", "%2F"),
            "root": self.t.root,
            "canary": self.canary,
        }

        def rep(k):
            k = k.group(1)
            if k in m:
                return m[k]
            if k.startswith("saved."):
                _, name, h = k.split(".", 2)
                v = ctx["saved"][name].get(h)
                if v is None:
                    raise Unsup("no %s in the earlier response" % h)
                return v
            if k.startswith("etag"):
                b = ctx["gzbase"]() if k == "etag_gzip" else ctx["baseline"]()
                e = b.get("etag")
                if not e:
                    raise Unsup("no ETag from the server")
                ctx["weak"] = e.startswith("W/")
                op = e[2:] if e.startswith("W/") else e
                if k == "etag_gzip":
                    if b.get("content-encoding") != "gzip":
                        raise Skip("no gzip variant served")
                    return e
                if k == "etag":
                    return e
                if k == "etag_opaque":
                    return op
                if k == "etag_inner":
                    return op.strip('"')
                if k == "etag_swapcase":
                    x = op.swapcase()
                    if x == op:
                        raise Skip("ETag has no letters")
                    return x
                if k == "etag_truncated":
                    return op[:-2] + '"'
            raise KeyError(k)

        return re.sub(r"\$\{([^}]+)\}", rep, s)

    def wire(self, rq, ctx, close=True):
        h = [(k, self.subst(v, ctx)) for k, v in rq.get("headers", [])]
        names = {k.lower() for k, _ in h}
        head = []
        if "host" not in names:
            head.append(("Host", self.host))
        head += h
        if close and "connection" not in names:
            head.append(("Connection", "close"))
        t = self.subst(rq["target"], ctx)
        if self.prefix and t.startswith("/"):
            t = self.prefix + t
        elif self.prefix and t.startswith("http://" + self.host + "/"):
            t = t.replace(self.host, self.host + self.prefix, 1)
        s = (
            "%s %s %s\r\n" % (rq["method"], t, rq.get("version", "HTTP/1.1"))
            + "".join("%s: %s\r\n" % x for x in head)
            + "\r\n"
        )
        try:
            b = s.encode("latin-1")
        except UnicodeEncodeError:
            b = s.encode("utf-8")
        return b + rq.get("body", "").encode("latin-1")

    def one(self, rq, ctx, timeout=TIMEOUT):
        b = self.wire(rq, ctx)
        try:
            c = Conn("127.0.0.1", self.port, timeout=timeout)
        except OSError as e:
            r = Resp()
            r.err = "connect: %s" % e
            r.status = 0
            r.headers = []
            r.body = b""
            r.extra = b""
            r.ms = 0
            r.complete = False
            r.eof = True
            r.version = ""
            return r
        try:
            try:
                c.send(b)
            except OSError:
                pass
            r = c.response(rq["method"])
            if r.complete and not r.err:  # surplus bytes after the framed response?
                end = time.monotonic() + 0.15
                try:
                    while not c.eof and time.monotonic() < end:
                        c.fill(end)
                except (socket.timeout, OSError):
                    pass
                if c.buf:
                    r.extra = bytes(c.buf)
            return r
        finally:
            c.close()

    # --- expectations
    def body_ok(self, r, b, rq, ctx):
        t = self.t
        if b.get("empty"):
            if r.body:
                return "body not empty (%d bytes)" % len(r.body)
        if "fixture" in b:
            w = t.data(b["fixture"])
            if "range" in b:
                w = w[b["range"][0] : b["range"][1] + 1]
            if r.body != w:
                return "body differs: got %d bytes %r, want %d bytes" % (len(r.body), r.body[:24], len(w))
        if "text" in b and r.body != b["text"].encode():
            return "body differs: %r" % r.body[:60]
        for s in b.get("contains", []):
            if s.encode() not in r.body:
                return "body lacks %r" % s
        if "contains_any" in b and not any(s.encode() in r.body for s in b["contains_any"]):
            return "body lacks any of %r" % b["contains_any"]
        for s in b.get("not_contains", []):
            s = self.subst(s, ctx)
            if s.encode() in r.body:
                return "body contains %r" % (s if len(s) < 40 else s[:40])
        if "multipart" in b:
            return self.multipart_ok(r, b["multipart"])
        if "hrefs" in b:
            hs = hrefs(r.body)
            got = {
                urllib.parse.unquote(
                    urllib.parse.urlsplit(
                        urllib.parse.urljoin("http://h" + urllib.parse.urlsplit(rq["target"]).path, h)
                    )
                    .path.rstrip("/")
                    .rsplit("/", 1)[-1]
                )
                for h in hs
            }
            for w in b["hrefs"]:
                if w.rstrip("/") not in got:
                    return "listing lacks a link to %r" % w
                if w.endswith("/") and not any(
                    urllib.parse.urlsplit(h).path.rstrip().endswith("/") and w.rstrip("/") in h for h in hs
                ):
                    return "directory link %r lacks the slash" % w
        if "not_href_re" in b:
            for h in hrefs(r.body):
                if re.search(b["not_href_re"], h):
                    return "href %r" % h
        if "href_re" in b and not any(re.search(b["href_re"], h) for h in hrefs(r.body)):
            return "no href like %s" % b["href_re"]
        if "json_names" in b:
            try:
                j = json.loads(r.body)
            except ValueError:
                return "not JSON"
            names = set()

            def walk(x):
                if isinstance(x, dict):
                    for k in ("name", "path", "url", "filename", "base"):
                        if isinstance(x.get(k), str):
                            names.add(x[k].strip("/").rsplit("/", 1)[-1])
                    for v in x.values():
                        walk(v)
                elif isinstance(x, list):
                    for v in x:
                        walk(v)
                elif isinstance(x, str):
                    names.add(x.strip("/").rsplit("/", 1)[-1])

            walk(j)
            for w in b["json_names"]:
                if w not in names:
                    return "JSON lacks %r" % w
        if "links_roundtrip" in b:
            return self.roundtrip(r, b["links_roundtrip"], rq)
        return None

    def roundtrip(self, r, prefix, rq):
        want = {p[len(prefix) :]: p for p in self.t.by if p.startswith(prefix) and self.t.by[p]["kind"] == "file"}
        base = "http://h" + rq["target"]
        found = {}
        for h in hrefs(r.body):
            u = urllib.parse.urlsplit(urllib.parse.urljoin(base, h.strip(" ") if False else h))
            if u.scheme not in ("http", ""):
                continue
            name = os.fsdecode(urllib.parse.unquote_to_bytes(u.path.encode("utf-8", "surrogateescape"))).rsplit("/", 1)[
                -1
            ]
            if name in want and u.path.startswith("/" + prefix):
                found[name] = u.path + ("?" + u.query if u.query else "")
        miss = sorted(set(want) - set(found))
        if miss:
            return "no working link for %d of %d names, e.g. %r" % (len(miss), len(want), miss[0])
        for n, p in found.items():
            rr = self.one(
                {"method": "GET", "target": p.encode("utf-8", "surrogateescape").decode("latin-1"), "headers": []}, {}
            )
            if rr.status != 200 or rr.body != self.t.data(want[n]):
                return "link %r -> %s" % (p, rr.status or rr.err)
        return None

    def multipart_ok(self, r, m):
        ct = r.get("content-type") or ""
        g = re.match(r'^multipart/byteranges; *boundary="?([^";]+)"?$', ct, re.I)
        if not g:
            return "Content-Type %r" % ct
        d = b"--" + g.group(1).encode()
        data = self.t.data(m["fixture"])
        parts = (b"\r\n" + r.body).split(b"\r\n" + d)
        if len(parts) < 3 or not parts[-1].startswith(b"--"):
            return "multipart not terminated"
        if parts[0].strip():
            return "multipart preamble %r" % parts[0][:40]
        got = []
        for p in parts[1:-1]:
            p = p.lstrip(b" \t")
            if not p.startswith(b"\r\n"):
                return "bad part delimiter"
            h, sep, b = p[2:].partition(b"\r\n\r\n")
            if not sep:
                return "part without header block"
            hd = {}
            for ln in h.split(b"\r\n"):
                k, _, v = ln.partition(b":")
                hd[k.strip().lower().decode("latin-1")] = v.strip().decode("latin-1")
            c = re.match(r"^bytes (\d+)-(\d+)/(\d+)$", hd.get("content-range", ""))
            if not c:
                return "part without Content-Range"
            a, z, n = map(int, c.groups())
            if n != m["total"] or b != data[a : z + 1]:
                return "part %d-%d/%d: wrong bytes" % (a, z, n)
            if "part_type" in m and not re.search(m["part_type"], hd.get("content-type", "")):
                return "part Content-Type %r" % hd.get("content-type")
            got.append([a, z])
        if got != m["ranges"]:
            return "parts %r, want %r" % (got, m["ranges"])
        return None

    def header_ok(self, r, n, w, ctx, case):
        v = r.get(n)
        if w is None:
            return None if v is None else "%s present: %r" % (n, v)
        if isinstance(w, str):
            return None if v == w else "%s: %r, want %r" % (n, v, w)
        if v is None:
            if w.get("optional") or ("not_re" in w):
                return None
            if "same_as" in w and not w.get("present"):
                b = ctx["baseline"]() if w["same_as"] == "baseline" else ctx["saved"][w["same_as"]]
                return None if b.get(n) is None else "%s missing (baseline has %r)" % (n, b.get(n))
            return "%s missing" % n
        if "re" in w and not re.search(w["re"], v):
            return "%s: %r !~ %s" % (n, v, w["re"])
        if "not_re" in w and re.search(w["not_re"], v):
            return "%s: %r" % (n, v)
        if "same_as" in w:
            b = ctx["baseline"]() if w["same_as"] == "baseline" else ctx["saved"][w["same_as"]]
            if b.get(n) != v:
                return "%s: %r, baseline %r" % (n, v, b.get(n))
        if "differs_from" in w:
            b = ctx["baseline"]() if w["differs_from"] == "baseline" else ctx["saved"][w["differs_from"]]
            if b.get(n) == v and not (case.get("allow_weak_same") and v.startswith("W/")):
                return "%s unchanged: %r" % (n, v)
        if "size_of" in w and v != str(len(self.t.data(w["size_of"]))):
            return "%s: %r, want %d" % (n, v, len(self.t.data(w["size_of"])))
        return None

    def flat(self, r, e, rq, ctx, case):
        st = e.get("status")
        if st is not None and r.status not in (st if isinstance(st, list) else [st]):
            return "status %d, want %s" % (r.status, st)
        for n, w in e.get("headers", {}).items():
            m = self.header_ok(r, n, w, ctx, case)
            if m:
                return m
        if "body" in e and rq["method"] != "HEAD" or e.get("body", {}).get("empty"):
            m = self.body_ok(r, e.get("body", {}), rq, ctx)
            if m:
                return m
        return None

    def invariant(self, r, rq, e, case):
        if r.err:
            return r.err
        if r.extra:
            return "%d surplus bytes after the response: %r" % (len(r.extra), r.extra[:40])
        if SECRET in r.body and not case.get("allow_secret"):
            return "LEAK: a file outside the root was served"
        if b"root:x:0:0" in r.body:
            return "LEAK: passwd"
        allowed = set()
        for x in [e] + e.get("any_of", []):
            s = x.get("status")
            allowed |= set(s if isinstance(s, list) else [s])
        if r.status >= 500 and r.status not in allowed:
            return "status %d (server error)" % r.status
        for n in ("content-length", "content-type", "etag", "last-modified", "location", "content-range", "date"):
            if len(r.all(n)) > 1:
                return "duplicate %s" % n
        if r.status == 206 and rq["method"] != "HEAD":
            cr = r.get("content-range")
            ct = r.get("content-type") or ""
            if not ct.lower().startswith("multipart/byteranges"):
                m = re.match(r"^bytes (\d+)-(\d+)/(\d+|\*)$", cr or "")
                if not m:
                    return "206 with Content-Range %r" % cr
                if int(m.group(2)) - int(m.group(1)) + 1 != len(r.body):
                    return "206: Content-Range %s but %d bytes" % (cr, len(r.body))
        return None

    def offsite(self, r):
        loc = r.get("location")
        if loc is None or not 300 <= r.status < 400:
            return None
        l = re.sub(r"[\t\r\n]", "", loc).strip().replace("\\", "/")
        if l.startswith("//"):
            return "open redirect: Location %r" % loc
        m = re.match(r"^([a-z][a-z0-9+.-]*):(//)?([^/]*)", l, re.I)
        if m and m.group(3) != self.host:
            return "off-site redirect: Location %r" % loc
        return None

    def expect(self, r, e, rq, ctx, case):
        if (r.err or "").startswith(("closed without", "socket:")) and any(
            x.get("allow_close") for x in [e] + e.get("any_of", [])
        ):
            return None
        m = self.invariant(r, rq, e, case)
        if m:
            return m
        if case.get("no_offsite_redirect"):
            m = self.offsite(r)
            if m:
                return m
        if ctx.get("weak") and "expect_if_weak_etag" in case:
            e = case["expect_if_weak_etag"]
        if "any_of" in e:
            ms = [self.flat(r, x, rq, ctx, case) for x in e["any_of"]]
            if any(x is None for x in ms):
                return None
            if case["id"] == "pre-cross-inm":
                pass
            return " | ".join(dict.fromkeys(ms))[:300]
        m = self.flat(r, e, rq, ctx, case)
        if m and case.get("allow_weak_same") and case["id"] == "pre-cross-inm" and ctx.get("weak") and r.status == 304:
            return None
        return m

    # --- cases
    def run(self, case):
        ctx = {"saved": {}}
        rq0 = case.get("request")
        memo = {}

        def base(gz=False):
            k = "gz" if gz else "b"
            if k not in memo:
                b = case.get("baseline") or {}
                src = rq0
                hs = b.get("headers")
                if hs is None:
                    hs = [
                        h
                        for h in (src or {}).get("headers", [])
                        if h[0].lower() in ("accept-encoding", "accept", "host")
                    ]
                if gz:
                    hs = [["Accept-Encoding", "gzip"]]
                memo[k] = self.one(
                    {"method": "GET", "target": b.get("target") or src["target"], "headers": hs}, {"saved": {}}
                )
                if memo[k].err:
                    raise Bad("baseline GET: " + memo[k].err)
            return memo[k]

        ctx["baseline"] = base
        ctx["gzbase"] = lambda: base(True)
        try:
            if "special" in case:
                return getattr(self, "sp_" + case["special"])(case)
            if "steps" in case:
                return self.steps(case, ctx)
            r = self.one(rq0, ctx)
            m = self.expect(r, case["expect"], rq0, ctx, case)
            if m is None and "max_ms" in case and r.ms > case["max_ms"]:
                m = "took %.0f ms (limit %d)" % (r.ms, case["max_ms"])
            if m is None and "max_body" in case and len(r.body) > case["max_body"]:
                m = "amplified: %d body bytes (limit %d)" % (len(r.body), case["max_body"])
            return m
        except Skip as e:
            return ("skip", str(e))
        except Unsup as e:
            return ("unsup", str(e))
        except Bad as e:
            return str(e)

    def steps(self, case, ctx):
        for i, s in enumerate(case["steps"]):
            d = s["do"]
            if d == "write":
                self.t.write(s["path"], s["content"]["text"].encode(), s["mtime"])
            elif d == "unlink":
                os.unlink(self.t.path(s["path"]))
            elif d == "sleep":
                time.sleep(s["s"])
            elif d == "request":
                end = time.monotonic() + s.get("retry_s", 0)
                while True:
                    r = self.one(s["request"], ctx)
                    m = self.expect(r, s["expect"], s["request"], ctx, case)
                    if m is None or time.monotonic() >= end:
                        break
                    time.sleep(0.2)
                if m:
                    return "step %d: %s" % (i + 1, m)
                if "save" in s:
                    ctx["saved"][s["save"]] = r
            elif d == "conn":
                ex = s["exchanges"]
                c = Conn("127.0.0.1", self.port, timeout=10)
                said_close = False
                try:
                    if s["pipelined"]:
                        c.send(
                            b"".join(self.wire(x["request"], ctx, close=(j == len(ex) - 1)) for j, x in enumerate(ex))
                        )
                    for j, x in enumerate(ex):
                        if not s["pipelined"]:
                            try:
                                c.send(self.wire(x["request"], ctx, close=(j == len(ex) - 1)))
                            except OSError as e:
                                if not said_close:
                                    return "exchange %d: %s" % (j + 1, e)
                        r = c.response(x["request"]["method"])
                        if r.err and r.err.startswith("closed without") and x.get("optional_if_closed"):
                            break
                        if (
                            r.err and r.err.startswith(("closed without", "socket:")) and said_close
                        ):  # announced: legitimate
                            if s["pipelined"]:
                                break
                            c.close()
                            c = Conn("127.0.0.1", self.port, timeout=10)
                            c.send(self.wire(x["request"], ctx, close=(j == len(ex) - 1)))
                            r = c.response(x["request"]["method"])
                        said_close = "close" in (r.get("connection") or "").lower()
                        if r.err and r.err.startswith("closed without") and j and not s["pipelined"]:
                            return "exchange %d: connection not kept alive" % (j + 1)
                        m = self.expect(r, x["expect"], x["request"], ctx, case)
                        if m:
                            return "exchange %d: %s" % (j + 1, m)
                finally:
                    c.close()
        return None

    # --- special scenarios
    def _open_slow(self, path="/slow.bin", rcvbuf=8192):
        c = Conn("127.0.0.1", self.port, rcvbuf=rcvbuf, timeout=10)
        c.send(("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % (self.prefix + path, self.host)).encode())
        d = b""
        while b"\r\n\r\n" not in d:
            x = c.s.recv(1024)
            if not x:
                raise Bad("closed before the head")
            d += x
        if b" 200" not in d.split(b"\r\n", 1)[0]:
            raise Bad("status line %r" % d.split(b"\r\n", 1)[0])
        h, _, rest = d.partition(b"\r\n\r\n")
        m = re.search(rb"(?i)\r\ncontent-length: *(\d+)", h)
        chunked = re.search(rb"(?i)\r\ntransfer-encoding: *chunked", h) is not None
        return c, int(m.group(1)) if m else None, rest, chunked

    def _drain(self, c, rest, limit=15):
        h = {}
        n = len(rest)
        seen = set(rest)
        c.s.settimeout(limit)
        end = time.monotonic() + limit
        try:
            while time.monotonic() < end:
                d = c.s.recv(1 << 18)
                if not d:
                    return n, seen, True
                n += len(d)
                seen |= set(d[:1]) | set(d[-1:]) | (set() if len(d.strip(d[:1])) == 0 else set(d))
        except socket.timeout:
            return n, seen, False
        except OSError:
            return n, seen, True
        return n, seen, False

    def _ten(self):
        r = self.one({"method": "GET", "target": "/ten.txt", "headers": []}, {})
        return (
            None
            if r.status == 200 and r.body == b"0123456789"
            else "server unhealthy afterwards: %s" % (r.err or r.status)
        )

    def _settle(self, n=33554432):
        """a stat cache of up to ~2 s is fine: wait until the restored file is seen"""
        end = time.monotonic() + 3
        while time.monotonic() < end:
            r = self.one({"method": "HEAD", "target": "/slow.bin", "headers": []}, {})
            if r.get("content-length") in (None, str(n)):
                return
            time.sleep(0.2)

    def sp_truncate_mid_transfer(self, case):
        try:
            c, cl, rest, ch = self._open_slow()
            os.truncate(self.t.path("slow.bin"), 1000)
            n, seen, eof = self._drain(c, rest)
            c.close()
            if not eof:
                return "connection hangs after the file was truncated"
            if cl is not None and n > cl:
                return "more than Content-Length bytes"
            return self._ten()
        finally:
            self.t.restore("slow.bin")
            time.sleep(2.3)  # a stat/fd cache of up to 2 s is fine

    def sp_grow_mid_transfer(self, case):
        self._settle()
        try:
            c, cl, rest, ch = self._open_slow()
            with open(self.t.path("slow.bin"), "ab") as f:
                f.write(b"B" * 4000000)
            n, seen, eof = self._drain(c, rest)
            c.close()
            if not eof:
                return "hang"
            if cl is None:
                return "no Content-Length" if not ch else None
            if n != cl:
                return "%d body bytes, Content-Length %d" % (n, cl)
            return self._ten()
        finally:
            self.t.restore("slow.bin")

    def sp_replace_mid_transfer(self, case):
        self._settle()
        try:
            c, cl, rest, ch = self._open_slow()
            self.t.write("slow.bin", b"B" * 33554432, self.t.by["slow.bin"]["mtime"] + 999)
            n, seen, eof = self._drain(c, rest)
            c.close()
            if not eof:
                return "hang"
            if ord("A") in seen and ord("B") in seen:
                return "torn body: old and new version mixed"
            if cl is not None and n != cl:
                return "%d body bytes, Content-Length %d" % (n, cl)
            return self._ten()
        finally:
            self.t.restore("slow.bin")

    def sp_abort_fd_leak(self, case):
        self._settle()
        before = self.srv.fds_under(self.t.root) if self.srv else None
        for i in range(40):
            c, *_ = self._open_slow()
            c.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0") if i % 2 else None
            c.close()
        m = self._ten()
        if m:
            return m
        if before is None:
            return ("skip", "no /proc")
        for _ in range(20):
            after = self.srv.fds_under(self.t.root)
            if after <= before + 3:
                return None
            time.sleep(0.25)
        return "%d descriptors left open after 40 aborts" % (after - before)

    def sp_concurrent_big(self, case):
        w = self.t.data("big.bin")
        with ThreadPoolExecutor(24) as ex:
            rs = list(
                ex.map(
                    lambda _: self.one({"method": "GET", "target": "/big.bin", "headers": []}, {}, timeout=20),
                    range(24),
                )
            )
        bad = [r for r in rs if r.err or r.status != 200 or r.body != w]
        return "%d of 24 downloads wrong: %s" % (len(bad), bad[0].err or bad[0].status) if bad else None

    def sp_slow_reader(self, case):
        cs = []
        try:
            for _ in range(20):
                cs.append(self._open_slow()[0])
            time.sleep(0.3)
            worst = 0
            for _ in range(8):
                r = self.one({"method": "GET", "target": "/ten.txt", "headers": []}, {})
                if r.err or r.status != 200:
                    return "small file failed: %s" % (r.err or r.status)
                worst = max(worst, r.ms)
            return "small file took %.0f ms behind 20 stalled downloads" % worst if worst > 800 else None
        finally:
            for c in cs:
                c.close()

    def sp_nagle(self, case):
        c = Conn("127.0.0.1", self.port)
        c.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ts = []
        try:
            for i in range(25):
                c.send(("GET %s/ten.txt HTTP/1.1\r\nHost: %s\r\n\r\n" % (self.prefix, self.host)).encode())
                r = c.response("GET")
                if r.err or r.status != 200:
                    return "not kept alive: %s" % (r.err or r.status)
                ts.append(r.ms)
        finally:
            c.close()
        ts = sorted(ts[3:])
        med = ts[len(ts) // 2]
        return "median %.1f ms per kept-alive request (Nagle/delayed ACK?)" % med if med > 25 else None

    def sp_memory(self, case):
        if not self.srv:
            return ("skip", "no process")
        for _ in range(2):
            self.one({"method": "GET", "target": "/big.bin", "headers": []}, {})
        a = self.srv.rss()
        if not a:
            return ("skip", "no /proc")
        cs = []
        try:
            for _ in range(10):
                cs.append(self._open_slow()[0])
            time.sleep(1.5)
            b = self.srv.rss()
        finally:
            for c in cs:
                c.close()
        return "RSS grew by %d MB for 10 stalled 32 MB downloads" % ((b - a) >> 20) if b - a > 64 << 20 else None

    def sp_never_torn(self, case):
        A, B = b"A" * 40000, b"B" * 25000
        stop = threading.Event()
        t0 = self.t.by["mut/torn.bin"]["mtime"]

        def flip():
            i = 0
            while not stop.is_set():
                i += 1
                self.t.write("mut/torn.bin", (A, B)[i % 2], t0 + i)
                time.sleep(0.004)

        th = threading.Thread(target=flip, daemon=True)
        th.start()
        tags = {}
        n = 0
        try:
            end = time.monotonic() + 2.0
            while time.monotonic() < end and n < 400:
                r = self.one_fast("/mut/torn.bin")
                n += 1
                if r.err:
                    return "request %d: %s" % (n, r.err)
                if r.status != 200:
                    return "request %d: status %d" % (n, r.status)
                if r.body not in (A, B):
                    return "request %d: torn body (%d bytes)" % (n, len(r.body))
                e = r.get("etag")
                if e and not e.startswith("W/") and tags.setdefault(e, r.body[:1]) != r.body[:1]:
                    return "one strong ETag for two different bodies"
        finally:
            stop.set()
            th.join()
            self.t.restore("mut/torn.bin")
        return None

    def one_fast(self, target):
        c = Conn("127.0.0.1", self.port)
        try:
            c.send(
                (
                    "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % (self.prefix + target, self.host)
                ).encode()
            )
            return c.response("GET")
        finally:
            c.close()


# ------------------------------------------------------------------ anchors (reference servers for calibration)
def which(*names):
    for n in names:
        p = os.environ.get("ANCHOR_" + os.path.basename(n).upper().replace("-", "_")) or shutil.which(n)
        if p:
            return p
    return None


def put(tmp, name, text):
    p = os.path.join(tmp, name)
    open(p, "w").write(text)
    return p


PROFILES = ("default", "listing", "precompressed", "spa", "notfound", "cleanurls", "mounted")


def a_nginx(root, port, tmp, prof):
    loc = {
        "default": "",
        "listing": "autoindex on;",
        "precompressed": "gzip_static on; gzip_vary on;",
        "spa": "try_files $uri $uri/ /index.html;",
        "notfound": "error_page 404 /404.html;",
        "cleanurls": "try_files $uri $uri.html $uri/ =404;",
        "mounted": "",
    }[prof]
    where = (
        "location /static/ { alias %s/; }" % root if prof == "mounted" else "root %s; location / { %s }" % (root, loc)
    )
    mt = next(
        (
            p
            for p in ("/etc/nginx/mime.types", "/usr/local/etc/nginx/mime.types", "/opt/homebrew/etc/nginx/mime.types")
            if os.path.exists(p)
        ),
        None,
    )
    user = "user root;" if os.getuid() == 0 else ""
    c = put(
        tmp,
        "nginx-%s.conf" % prof,
        "%s daemon off; pid %s/n.pid; error_log %s/n.err; worker_processes 1; events {} http { include %s; default_type application/octet-stream; access_log off; client_body_temp_path %s/b; proxy_temp_path %s/p; fastcgi_temp_path %s/f; uwsgi_temp_path %s/u; scgi_temp_path %s/s; sendfile on; tcp_nopush on; server { listen 127.0.0.1:%d; index index.html; %s } }"
        % (user, tmp, tmp, mt, tmp, tmp, tmp, tmp, tmp, port, where),
    )
    return [which("nginx"), "-c", c, "-p", tmp, "-e", os.path.join(tmp, "n.err")], {}


def a_caddy(root, port, tmp, prof):
    b = {
        "default": "file_server",
        "listing": "file_server browse",
        "precompressed": "file_server {\n precompressed zstd br gzip\n }",
        "spa": "try_files {path} /index.html\n file_server",
        "notfound": "file_server\n handle_errors {\n rewrite * /404.html\n file_server\n }",
        "cleanurls": "try_files {path} {path}.html\n file_server",
        "mounted": "handle_path /static/* {\n file_server\n }\n respond 404",
    }[prof]
    c = put(
        tmp,
        "Caddyfile-" + prof,
        "{\n admin off\n auto_https off\n}\nhttp://:%d {\n bind 127.0.0.1\n root * %s\n %s\n}\n" % (port, root, b),
    )
    return [which("caddy"), "run", "--adapter", "caddyfile", "--config", c], {
        "HOME": tmp,
        "XDG_DATA_HOME": tmp,
        "XDG_CONFIG_HOME": tmp,
    }


def a_lighttpd(root, port, tmp, prof):
    if prof in ("precompressed", "spa", "cleanurls"):
        return None
    x = {
        "listing": 'dir-listing.activate = "enable"\ndir-listing.encoding = "utf-8"\n',
        "notfound": 'server.error-handler = "/404.html"\n',
        "mounted": 'server.modules += ("mod_alias")\nalias.url = ("/static/" => "%s/")\n' % root,
    }.get(prof, "")
    mime = (
        'include_shell "/usr/share/lighttpd/create-mime.conf.pl"\n'
        if os.path.exists("/usr/share/lighttpd/create-mime.conf.pl")
        else ""
    )
    c = put(
        tmp,
        "lighttpd-%s.conf" % prof,
        'server.document-root = "%s"\nserver.bind = "127.0.0.1"\nserver.port = %d\nserver.errorlog = "%s/l.err"\nindex-file.names = ("index.html")\n%s%s'
        % (root, port, tmp, x, mime),
    )
    return [which("lighttpd"), "-D", "-f", c], {}


GO_SRC = """package main
import ("net/http"; "os"; "strings")
func main() { fs := http.FileServer(http.Dir(os.Args[2])); if len(os.Args) > 3 { fs = http.StripPrefix(strings.TrimSuffix(os.Args[3], "/"), fs) ; http.Handle(os.Args[3], fs) } else { http.Handle("/", fs) } ; srv := &http.Server{Addr: "127.0.0.1:" + os.Args[1]} ; if len(os.Args) <= 3 { srv.Handler = fs } ; panic(srv.ListenAndServe()) }
"""


def a_go(root, port, tmp, prof):
    if prof not in ("default", "listing", "mounted"):
        return None
    d = os.path.join(tempfile.gettempdir(), "static-cases-go")
    exe = os.path.join(d, "gofs")
    if not os.path.exists(exe):
        os.makedirs(d, exist_ok=True)
        put(d, "main.go", GO_SRC)
        subprocess.run(
            ["nice", "-n", "19", which("go"), "build", "-p", "1", "-o", exe, "main.go"],
            cwd=d,
            check=True,
            env=dict(os.environ, GO111MODULE="off", CGO_ENABLED="0", GOCACHE=os.path.join(d, "cache"), HOME=d),
        )
    return [exe, str(port), root] + (["/static/"] if prof == "mounted" else []), {}


def a_httpserver(root, port, tmp, prof):
    if prof not in ("default", "listing"):
        return None
    return [
        sys.executable,
        "-m",
        "http.server",
        str(port),
        "--bind",
        "127.0.0.1",
        "--directory",
        root,
        "--protocol",
        "HTTP/1.1",
    ], {}


def py():
    return os.environ.get("ANCHOR_PYTHON", sys.executable)


def asgi(tmp, name, text, port, server="uvicorn"):
    put(tmp, name + ".py", text)
    if server == "uvicorn":
        return [
            py(),
            "-m",
            "uvicorn",
            name + ":app",
            "--app-dir",
            tmp,
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--no-access-log",
            "--log-level",
            "warning",
        ], {}


def a_starlette(root, port, tmp, prof):
    if prof not in ("default", "notfound", "mounted"):
        return None
    return asgi(
        tmp,
        "st_" + prof,
        "from starlette.applications import Starlette\nfrom starlette.routing import Mount\nfrom starlette.staticfiles import StaticFiles\napp=Starlette(routes=[Mount(%r, StaticFiles(directory=%r, html=True))])\n"
        % ("/static" if prof == "mounted" else "/", root),
        port,
    )


def a_servestatic(root, port, tmp, prof):
    if prof not in ("default", "precompressed", "mounted"):
        return None
    return asgi(
        tmp,
        "ss_" + prof,
        "from servestatic import ServeStaticASGI\napp=ServeStaticASGI(None, root=%r, index_file=True%s)\n"
        % (root, ", prefix='static/'" if prof == "mounted" else ""),
        port,
    )


def a_servestatic_autorefresh(root, port, tmp, prof):
    if prof not in ("default", "precompressed", "mounted"):
        return None
    return asgi(
        tmp,
        "sa_" + prof,
        "from servestatic import ServeStaticASGI\napp=ServeStaticASGI(None, root=%r, index_file=True, autorefresh=True%s)\n"
        % (root, ", prefix='static/'" if prof == "mounted" else ""),
        port,
    )


def a_blacknoise(root, port, tmp, prof):
    if prof not in ("default", "precompressed", "mounted"):
        return None
    return asgi(
        tmp,
        "bn_" + prof,
        "from blacknoise import BlackNoise\nfrom starlette.responses import PlainTextResponse\nasync def nf(scope, receive, send):\n    if scope['type']=='http': await PlainTextResponse('nf', status_code=404)(scope, receive, send)\napp=BlackNoise(nf)\napp.add(%r, %r)\n"
        % (root, "/static" if prof == "mounted" else "/"),
        port,
    )


def a_whitenoise(root, port, tmp, prof):
    if prof not in ("default", "precompressed", "mounted"):
        return None
    put(
        tmp,
        "wn_%s.py" % prof,
        "from whitenoise import WhiteNoise\ndef nf(e, s):\n    s('404 Not Found', [('Content-Type','text/plain'),('Content-Length','2')]); return [b'nf']\napp=WhiteNoise(nf, root=%r, index_file=True%s)\n"
        % (root, ", prefix='static/'" if prof == "mounted" else ""),
    )
    return [
        py(),
        "-m",
        "granian",
        "--interface",
        "wsgi",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--no-ws",
        "--log-level",
        "warning",
        "wn_%s:app" % prof,
    ], {"PYTHONPATH": tmp}


def a_aiohttp(root, port, tmp, prof):
    if prof not in ("default", "listing", "precompressed", "mounted"):
        return None
    s = put(
        tmp,
        "ah_%s.py" % prof,
        "from aiohttp import web\napp=web.Application()\napp.router.add_static(%r, %r, show_index=%r)\nweb.run_app(app, host='127.0.0.1', port=%d, print=None, access_log=None)\n"
        % ("/static/" if prof == "mounted" else "/", root, prof == "listing", port),
    )
    return [py(), s], {}


def a_granian(root, port, tmp, prof):
    if prof not in ("default", "mounted"):
        return None
    put(
        tmp,
        "gr_app.py",
        "async def app(scope, receive, send):\n    if scope['type']=='lifespan': return\n    await send({'type':'http.response.start','status':404,'headers':[(b'content-length',b'2')]})\n    await send({'type':'http.response.body','body':b'nf'})\n",
    )
    return [
        py(),
        "-m",
        "granian",
        "--interface",
        "asgi",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--no-ws",
        "--log-level",
        "warning",
        "--static-path-route",
        "/static",
        "--static-path-mount",
        root,
        "--static-path-dir-to-file",
        "index.html",
        "gr_app:app",
    ], {"PYTHONPATH": tmp}


def nodebin(n):
    d = os.environ.get("ANCHOR_NODE_BIN")
    p = os.path.join(d, n) if d else shutil.which(n)
    return p if p and os.path.exists(p) else None


def a_serve(root, port, tmp, prof):
    if prof not in ("default", "listing", "spa", "notfound", "cleanurls"):
        return None
    return [nodebin("serve"), "-l", "tcp://127.0.0.1:%d" % port, "-n", "-L"] + (["-s"] if prof == "spa" else []) + [
        root
    ], {"NO_UPDATE_CHECK": "1"}


def a_http_server(root, port, tmp, prof):
    if prof not in ("default", "listing", "precompressed", "notfound", "cleanurls"):
        return None
    return [nodebin("http-server"), root, "-a", "127.0.0.1", "-p", str(port), "-s"] + (
        ["-g", "-b"] if prof == "precompressed" else []
    ) + (["-d", "false"] if prof != "listing" else []), {}


def a_sirv(root, port, tmp, prof):
    if prof not in ("default", "precompressed", "spa", "cleanurls"):
        return None
    return [nodebin("sirv"), root, "--host", "127.0.0.1", "--port", str(port), "--quiet", "--etag"] + (
        ["--gzip", "--brotli"] if prof == "precompressed" else []
    ) + (["--single"] if prof == "spa" else []), {}


def a_express(root, port, tmp, prof):
    if prof not in ("default", "cleanurls", "mounted"):
        return None
    nm = os.path.join(os.path.dirname(os.environ.get("ANCHOR_NODE_BIN", ".")), "")
    s = put(
        tmp,
        "ex_%s.js" % prof,
        "const express=require('express');const app=express();app.disable('x-powered-by');app.use(%s,express.static(%s%s));app.listen(%d,'127.0.0.1');\n"
        % (
            json.dumps("/static" if prof == "mounted" else "/"),
            json.dumps(root),
            ",{extensions:['html']}" if prof == "cleanurls" else "",
            port,
        ),
    )
    return [which("node"), s], {"NODE_PATH": nm.rstrip("/"), "NODE_ENV": "production"}


ANCHORS = {
    "nginx": a_nginx,
    "caddy": a_caddy,
    "go": a_go,
    "lighttpd": a_lighttpd,
    "http.server": a_httpserver,
    "starlette": a_starlette,
    "whitenoise": a_whitenoise,
    "servestatic": a_servestatic,
    "servestatic-autorefresh": a_servestatic_autorefresh,
    "blacknoise": a_blacknoise,
    "aiohttp": a_aiohttp,
    "granian": a_granian,
    "express": a_express,
    "serve": a_serve,
    "http-server": a_http_server,
    "sirv": a_sirv,
}

# ------------------------------------------------------------------ driver
TAME = {
    "whitenoise",
    "servestatic",
    "sirv",
}  # they walk the tree at start and die on dangling links / loops / odd names
PREFIX = {"granian": "/static"}  # cannot mount at /


def evaluate(name, make, doc, args):
    """make(root, port, tmp, profile) -> (argv, env) or None; results: pass, fail, unsup (needs an ETag the server does not send; counts against it), skip, n/a"""
    res = {}
    tree = Tree(doc, args.tame or name in TAME)
    logf = open(args.log, "ab") if args.log else None
    try:
        for prof in PROFILES:
            cases = [
                c
                for c in doc["cases"]
                if c["profile"] == prof
                and (not args.only or re.search(args.only, c["id"]) or re.search(args.only, c["group"]))
            ]
            if not cases:
                continue
            port = free_port()
            try:
                mk = make(tree.root, port, tree.scratch, prof)
            except Exception as e:
                mk = None
                print("%s/%s: %s" % (name, prof, e), file=sys.stderr)
            if not mk or not mk[0] or not (mk[0] if isinstance(mk[0], str) else mk[0][0]):
                for c in cases:
                    res[c["id"]] = ("n/a", "profile not configured")
                continue
            srv = Server(mk[0], mk[1], shell=isinstance(mk[0], str), cwd=tree.scratch, log=logf)
            try:
                srv.start(port)
            except Exception as e:
                srv.stop()
                print("%s/%s: cannot start: %s" % (name, prof, e), file=sys.stderr)
                for c in cases:
                    res[c["id"]] = ("dead", "server did not start")
                continue
            j = Judge(tree, srv, port, PREFIX.get(name, "") if prof == "default" else "")
            n = 0
            try:
                for c in cases:
                    if tree.skipped.intersection(f["path"] for f in c["setup"]):
                        res[c["id"]] = ("skip", "fixture left out (--tame)")
                        continue
                    try:
                        m = j.run(c)
                    except Bad as e:
                        m = str(e)
                    except Exception as e:
                        m = "judge: %s: %s" % (type(e).__name__, e)
                    if isinstance(m, tuple):
                        res[c["id"]] = m
                    else:
                        res[c["id"]] = ("pass", "") if m is None else ("fail", m)
                    if m is not None and not srv.alive():
                        res[c["id"]] = ("fail", "SERVER DIED: %s" % (m,))
                        srv.stop()
                        srv.start(port)
                    if args.verbose and res[c["id"]][0] != "pass":
                        print("  %-4s %-28s %s" % (res[c["id"]][0], c["id"], res[c["id"]][1]), flush=True)
            finally:
                srv.stop()
    finally:
        tree.close()
        if logf:
            logf.close()
    return res


def summarize(doc, res):
    by = {}
    for c in doc["cases"]:
        if c["id"] not in res:
            continue
        s = res[c["id"]][0]
        for k in (
            (("group", c["group"]), ("sev", c["severity"]))
            + ((("core", "all"),) if c["severity"] in ("must", "should") and c["profile"] == "default" else ())
            + ((("opt", "all"),) if c["severity"] in ("must", "should") and c["profile"] != "default" else ())
        ):
            t = by.setdefault(k, {"pass": 0, "fail": 0, "unsup": 0, "dead": 0, "skip": 0, "n/a": 0})
            t[s] += 1
    return by


def frac(t):
    n = t["pass"] + t["fail"] + t["unsup"] + t["dead"] if t else 0
    return "%d/%d" % (t["pass"], n) if n else "n/a"


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--cases", default=os.path.join(HERE, "static.json"))
    ap.add_argument("--cmd", help="command template for the default profile")
    ap.add_argument("--profile", action="append", default=[], metavar="NAME=TEMPLATE")
    ap.add_argument("--shell", action="store_true")
    ap.add_argument("--name", default="server")
    ap.add_argument("--anchor", action="append", default=[], help="one of: " + ", ".join(ANCHORS))
    ap.add_argument("--only", help="regex on case id or group")
    ap.add_argument("--json")
    ap.add_argument("--log")
    ap.add_argument(
        "--tame", action="store_true", help="leave FIFOs, sockets, broken links and hostile names out of the tree"
    )
    ap.add_argument("--markdown", action="store_true")
    ap.add_argument("-v", "--verbose", action="store_true")
    ap.add_argument("--list", action="store_true")
    args = ap.parse_args()
    doc = json.load(open(args.cases))
    if args.list:
        for c in doc["cases"]:
            print("%-26s %-14s %-8s %-13s %s" % (c["id"], c["group"], c["severity"], c["profile"], c["why"]))
        return 0
    runs = []
    if args.cmd or args.profile:
        tm = {"default": args.cmd}
        tm.update(dict(p.split("=", 1) for p in args.profile))

        def make(root, port, tmp, prof):
            t = tm.get(prof)
            if not t:
                return None
            t = t.replace("{root}", root).replace("{port}", str(port)).replace("{tmp}", tmp)
            return (t if args.shell else shlex.split(t)), {}

        runs.append((args.name, make))
    for a in args.anchor:
        runs.append((a, ANCHORS[a]))
    if not runs:
        ap.error("give --cmd or --anchor")
    out = {}
    for name, mk in runs:
        t = time.time()
        out[name] = evaluate(name, mk, doc, args)
        by = summarize(doc, out[name])
        print("\n== %s  (%.0f s)" % (name, time.time() - t))
        print(
            "core (default profile, must+should): %s   options (must+should): %s   features: %s   policy: %s"
            % (
                frac(by.get(("core", "all"))),
                frac(by.get(("opt", "all"))),
                frac(by.get(("sev", "feature"))),
                frac(by.get(("sev", "policy"))),
            )
        )
        print("%-14s %5s %5s %5s %5s %5s" % ("group", "pass", "fail", "unsup", "skip", "n/a"))
        for g in doc["groups"]:
            x = by.get(("group", g))
            if x:
                print(
                    "%-14s %5d %5d %5d %5d %5d" % (g, x["pass"], x["fail"] + x["dead"], x["unsup"], x["skip"], x["n/a"])
                )
        fails = [
            (c["severity"], c["group"], c["id"], out[name][c["id"]][1])
            for c in doc["cases"]
            if out[name].get(c["id"], ("",))[0] == "fail"
        ]
        if not args.markdown:
            for s, g, i, m in sorted(fails, key=lambda x: ("must", "should", "feature", "policy").index(x[0])):
                print("  FAIL %-7s %-13s %-26s %s" % (s, g, i, m))
        sys.stdout.flush()
    if args.json:
        json.dump(out, open(args.json, "w"), indent=1)
    if args.markdown:
        names = list(out)
        bys = {n: summarize(doc, out[n]) for n in names}
        print("\n| group | " + " | ".join(names) + " |\n|---|" + "---|" * len(names))
        for lab, k in [
            ("**core** must+should", ("core", "all")),
            ("**options** must+should", ("opt", "all")),
            ("must", ("sev", "must")),
            ("should", ("sev", "should")),
            ("feature", ("sev", "feature")),
            ("policy", ("sev", "policy")),
        ] + [(g, ("group", g)) for g in doc["groups"]]:
            print("| %s | " % lab + " | ".join(frac(bys[n].get(k)) for n in names) + " |")
    core = [
        r
        for n in out
        for c in doc["cases"]
        if (r := out[n].get(c["id"])) and c["severity"] == "must" and r[0] in ("fail", "dead")
    ]
    return 1 if core else 0


if __name__ == "__main__":
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main())
