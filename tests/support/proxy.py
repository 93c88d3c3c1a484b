"""A proxy that breaks what passes through it, as the test says while it runs. Proxy: any TCP service. S3Proxy: understands the requests, counts them by kind.

    with S3Proxy(endpoint) as proxy:
        proxy.faults.append(Fault("status", code=503, kinds={"put"}, share=0.5))
        ...
        proxy.heal()
        print(proxy.counts)
"""
import collections
import contextlib
import random
import re
import socket
import struct
import threading
import time
import urllib.parse

CHUNK = 256 * 1024


def reset(*sockets):
    """Ends connections as a machine that is gone does: no farewell, a reset."""
    for s in sockets:
        with contextlib.suppress(OSError):
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with contextlib.suppress(OSError):
            s.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits in recv; the reset follows with close
        with contextlib.suppress(OSError):
            s.close()


class Listener:
    """Accepts on a free port of loopback, a thread for each connection."""

    def __init__(self, host, port):
        self.upstream = (host, port)
        self.server = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.server.getsockname()[1]
        self.open, self.lock, self.refusing = set(), threading.Lock(), False
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            if self.refusing:
                reset(client)
                continue
            threading.Thread(target=self.run, args=(client,), daemon=True).start()

    def run(self, client):
        try:
            upstream = socket.create_connection(self.upstream, timeout=60)
        except OSError:
            reset(client)
            return
        upstream.settimeout(None)
        for s in (client, upstream):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.lock:
            self.open |= {client, upstream}
        try:
            self.serve(client, upstream)
        except OSError:
            pass
        finally:
            with self.lock:
                self.open -= {client, upstream}
            for s in (client, upstream):
                s.close()

    def cut(self):
        """All that is open, at once."""
        with self.lock:
            reset(*self.open)

    def close(self):
        self.server.close()
        self.cut()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Proxy(Listener):
    """Bytes as they come. stalled: nothing passes, nothing is closed. delay_s: each piece is late. refusing: new connections are reset.
    cut_after: a connection is reset when so many bytes have gone up. half_close_after: of the answer, then no more, while the other way stays open."""

    def __init__(self, host, port):
        self.stalled, self.delay_s, self.cut_after, self.half_close_after = False, 0, None, None
        super().__init__(host, port)

    def heal(self):
        self.stalled, self.delay_s, self.cut_after, self.half_close_after, self.refusing = False, 0, None, None, False

    def serve(self, client, upstream):
        back = threading.Thread(target=self.pump, args=(upstream, client, False), daemon=True)
        back.start()
        self.pump(client, upstream, True)
        back.join()

    def pump(self, source, sink, up):
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                while self.stalled:
                    time.sleep(0.02)
                if self.delay_s:
                    time.sleep(self.delay_s)
                if up and self.cut_after is not None and passed + len(data) > self.cut_after:
                    reset(source, sink)
                    return
                if not up and self.half_close_after is not None and passed + len(data) > self.half_close_after:
                    sink.sendall(data[:self.half_close_after - passed])
                    break
                sink.sendall(data)
                passed += len(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


class Fault:
    """What happens to requests: of these kinds (None: all), from the skip-th on, at most times of them, a share of them at random.

    action        what the client sees
    delay         everything, seconds later
    status        code (503, 500 ...), and the request is not done
    stall         no answer until the proxy is healed; the request is not done
    stall_body    the service gets at_byte bytes of the body and no more
    cut_request   the connection is reset after at_byte bytes of the request's body
    cut_answer    the connection is reset after at_byte bytes of the answer's body
    half_close    the answer ends after at_byte bytes by an orderly end of the connection
    lose_answer   the request is done, the connection is reset before the answer
    slow          the answer's body at rate bytes a second
    corrupt       one bit of the answer's body is turned over
    corrupt_up    one bit of the request's body is turned over
    """

    def __init__(self, action, kinds=None, share=1.0, times=None, skip=0, seconds=1.0, code=503, at_byte=0, rate=10000):
        self.action, self.kinds, self.share, self.left, self.skip = action, kinds, share, times, skip
        self.seconds, self.code, self.at_byte, self.rate = seconds, code, at_byte, rate
        self.hits = 0

    def takes(self, kind):
        if self.kinds is not None and kind not in self.kinds or self.left == 0 or random.random() >= self.share:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.left is not None:
            self.left -= 1
        self.hits += 1
        return True


CODES = {400: "BadRequest", 403: "AccessDenied", 404: "NoSuchKey", 500: "InternalError", 503: "SlowDown", 507: "QuotaExceeded"}


def kind_of(method, target, headers):
    """put, get, head, delete, list; of multipart uploads create, part, complete, abort; copy, other."""
    parts = urllib.parse.urlsplit(target)
    query = urllib.parse.parse_qs(parts.query, keep_blank_values=True)
    is_bucket = parts.path.strip("/").count("/") == 0
    if "uploadId" in query:
        return {"PUT": "part", "POST": "complete", "DELETE": "abort"}.get(method, "other")
    if "uploads" in query:
        return "create" if method == "POST" else "list"
    if is_bucket or not query.keys() <= {"versionId"}:
        return "list" if method == "GET" and is_bucket else "other"
    if method == "PUT" and "x-amz-copy-source" in headers:
        return "copy"
    return {"PUT": "put", "GET": "get", "HEAD": "head", "DELETE": "delete"}.get(method, "other")


class Stream:
    """One side of a connection, read by lines and lengths."""

    def __init__(self, s):
        self.s, self.buffer = s, b""

    def more(self):
        data = self.s.recv(CHUNK)
        self.buffer += data
        return bool(data)

    def head(self):
        """(first line, header lines, the same by small names), or None at the end."""
        while b"\r\n\r\n" not in self.buffer:
            if not self.more():
                return None
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        first, *lines = head.decode("latin-1").split("\r\n")
        return first, lines, {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines)}

    def pieces(self, n):
        """n bytes as they come."""
        while n:
            if not self.buffer and not self.more():
                raise ConnectionError("the body ended early")
            piece, self.buffer = self.buffer[:n], self.buffer[n:]
            n -= len(piece)
            yield piece

    def chunks(self):
        """A chunked body with its framing, piece by piece."""
        while True:
            while b"\r\n" not in self.buffer:
                if not self.more():
                    raise ConnectionError("the body ended early")
            line, self.buffer = self.buffer.split(b"\r\n", 1)
            size = int(line.split(b";")[0], 16)
            yield line + b"\r\n"
            yield from self.pieces(size + 2)
            if size == 0:
                return

    def rest(self):
        while self.buffer or self.more():
            piece, self.buffer = self.buffer, b""
            yield piece


class S3Proxy(Listener):
    def __init__(self, endpoint):
        parts = urllib.parse.urlsplit(endpoint)
        self.faults, self.counts, self.bytes_up, self.bytes_down = [], collections.Counter(), 0, 0
        self.log = []  # (kind, target) of all, in order
        self.healed = threading.Event()
        super().__init__(parts.hostname, parts.port)
        self.endpoint = f"http://127.0.0.1:{self.port}"

    def heal(self):
        """No faults from here on; what is stalled is cut."""
        self.faults, self.refusing = [], False
        self.healed.set()
        self.healed = threading.Event()

    def forget(self):
        self.counts, self.log = collections.Counter(), []

    def serve(self, client, upstream):
        down, up = Stream(client), Stream(upstream)
        while (head := down.head()) is not None:
            first, lines, headers = head
            method, target, _ = first.split(" ", 2)
            kind = kind_of(method, target, headers)
            with self.lock:
                self.counts[kind] += 1
                self.log.append((kind, target))
                fault = next((f for f in self.faults if f.takes(kind)), None)
            if not self.exchange(down, up, first, lines, headers, fault):
                reset(client, upstream)
                return

    def exchange(self, down, up, first, lines, headers, fault):
        """One request and its answer. False: both connections are to be reset."""
        action = fault.action if fault else None
        if action == "delay":
            time.sleep(fault.seconds)
        if action == "stall":
            self.healed.wait()
            return False
        if action == "status":
            self.refuse(down, headers, fault.code)
            return False
        if "expect" in headers:  # answered here: the service would say it too late for what is cut on the way
            lines = [line for line in lines if not line.lower().startswith("expect:")]
            down.s.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        up.s.sendall("\r\n".join([first, *lines, "", ""]).encode("latin-1"))
        body = down.chunks() if headers.get("transfer-encoding", "").lower() == "chunked" else down.pieces(int(headers.get("content-length", 0)))
        return self.send_body(body, up, fault, action) and self.answer(down, up, first.split(" ", 1)[0], fault, action)

    def send_body(self, body, up, fault, action):
        sent = 0
        for piece in body:
            if action in ("cut_request", "stall_body") and sent + len(piece) > fault.at_byte:
                up.s.sendall(piece[:max(0, fault.at_byte - sent)])
                if action == "stall_body":
                    self.healed.wait()
                return False
            if action == "corrupt_up" and sent <= fault.at_byte < sent + len(piece):
                piece = turned(piece, fault.at_byte - sent)
            up.s.sendall(piece)
            sent += len(piece)
            self.bytes_up += len(piece)
        return True

    def refuse(self, down, headers, code):
        body = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{CODES.get(code, 'InternalError')}</Code><Message>said by the test</Message></Error>".encode()
        with contextlib.suppress(OSError):
            if "expect" not in headers:  # or the answer would be lost with the reset
                for _ in down.pieces(int(headers.get("content-length", 0))):
                    pass
            down.s.sendall(f"HTTP/1.1 {code} Refused\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
            down.s.shutdown(socket.SHUT_WR)
            down.s.settimeout(2)
            while down.s.recv(CHUNK):
                pass

    def answer(self, down, up, method, fault, action):
        head = up.head()
        if head is None or action == "lose_answer":
            return False
        first, lines, headers = head
        if not first.startswith("HTTP/1."):
            raise ConnectionError(f"no answer but {first[:100]!r}")
        status = int(first.split(" ", 2)[1])
        if status == 100:
            return self.answer(down, up, method, fault, action)
        down.s.sendall("\r\n".join([first, *lines, "", ""]).encode("latin-1"))
        if method == "HEAD" or status in (204, 304):
            return True
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body, ends = up.chunks(), False
        elif "content-length" in headers:
            body, ends = up.pieces(int(headers["content-length"])), False
        else:
            body, ends = up.rest(), True
        return self.send_answer(body, down, fault, action) and not ends

    def send_answer(self, body, down, fault, action):
        sent = 0
        for piece in body:
            if action in ("cut_answer", "half_close") and sent + len(piece) > fault.at_byte:
                down.s.sendall(piece[:max(0, fault.at_byte - sent)])
                if action == "half_close":
                    down.s.shutdown(socket.SHUT_WR)
                    time.sleep(1)
                return False
            if action == "corrupt" and sent <= fault.at_byte < sent + len(piece):
                piece = turned(piece, fault.at_byte - sent)
            if action == "slow":
                self.trickle(down.s, piece, fault.rate)
            else:
                down.s.sendall(piece)
            sent += len(piece)
            self.bytes_down += len(piece)
        return True

    def trickle(self, s, piece, rate):
        step, healed = max(1, rate // 10), self.healed
        for at in range(0, len(piece), step):
            s.sendall(piece[at:at + step])
            if not healed.is_set():
                time.sleep(0.1)


def turned(piece, at):
    return piece[:at] + bytes([piece[at] ^ 0x10]) + piece[at + 1:]


def server_of(url):
    """(host, port) of a URL, such as PostgreSQL's."""
    found = re.search(r"@?([\w.]+):(\d+)(?:/|$)", url.split("://", 1)[1])
    return found.group(1), int(found.group(2))
