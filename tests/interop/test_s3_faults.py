#!/usr/bin/env python3
"""The S3 client against a service that does what a test tells it: failures, lost answers, lies, archives, keys that end."""
import base64
import calendar
import collections
import contextlib
import hashlib
import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from email.utils import formatdate
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import ports  # noqa: E402
import s3  # noqa: E402

DRIVE = os.environ["S3_DRIVE"]
BUCKET = "images"
PART = 16 * 1024 * 1024
ACCESS, SECRET = "AKIDTEST", "s3cr3t/of+the+key"
checks = 0


def check(what, condition, seen=""):
    global checks
    checks += 1
    if not condition:
        raise AssertionError(f"{what}: {seen}")


# ---- the service ----

Request = collections.namedtuple("Request", "method path query headers body")


class Fake(http.server.ThreadingHTTPServer):
    """Keeps objects; before it does what it is asked, the next of its script (a function of the handler and the request) may do something else."""
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, family=socket.AF_INET, host="127.0.0.1"):
        self.address_family = family
        super().__init__((host, 0), Handler)
        self.objects, self.uploads, self.requests, self.script = {}, {}, [], []
        self.keys = {ACCESS: SECRET}
        self.lock, self.clock, self.connections, self.closed = threading.Lock(), 0, 0, 0
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def handle_error(self, *_):
        pass

    def shutdown_request(self, request):
        super().shutdown_request(request)
        with self.lock:
            self.closed += 1

    @property
    def endpoint(self):
        host = self.server_address[0]
        return f"http://[{host}]:{self.server_port}" if ":" in host else f"http://{host}:{self.server_port}"

    def next_step(self, request):
        with self.lock:
            self.requests.append(request)
            return self.script.pop(0) if self.script else None

    def begin(self, *script):
        self.requests.clear()
        self.script[:] = script

    def methods(self):
        return " ".join(r.method for r in self.requests)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536

    def setup(self):
        self.server.connections += 1
        super().setup()

    def log_message(self, *_):
        pass

    def date_time_string(self, timestamp=None):
        return formatdate(time.time() + self.server.clock, usegmt=True)

    def answer(self, status, body=b"", length=None, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def error(self, status, code, more="", **headers):
        self.answer(status, f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>told so</Message>{more}</Error>".encode(), **headers)

    def cut(self):
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def one(self):
        parts = urllib.parse.urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
        r = Request(self.command, urllib.parse.unquote(parts.path), query, {k.lower(): v for k, v in self.headers.items()}, body)
        step = self.server.next_step(r)
        if step is None or step(self, r) is None:
            self.serve(r)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = one

    def authentic(self, r):
        """The signature is over what came, and the digest is the body's."""
        fields = dict(p.strip().split("=", 1) for p in r.headers["authorization"].split(" ", 1)[1].split(","))
        access, day, region, service, _ = fields["Credential"].split("/")
        names = fields["SignedHeaders"].split(";")
        raw = urllib.parse.urlsplit(self.path)
        when = r.headers["x-amz-date"]
        canonical = "\n".join([r.method, raw.path, s3.encoded(r.query), *(f"{n}:{r.headers[n].strip()}" for n in names), "", ";".join(names),
                               r.headers["x-amz-content-sha256"]])
        text = "\n".join(["AWS4-HMAC-SHA256", when, f"{day}/{region}/{service}/aws4_request", hashlib.sha256(canonical.encode()).hexdigest()])
        key = f"AWS4{self.server.keys.get(access, '')}".encode()
        for part in (day, region, service, "aws4_request", text):
            key = s3.hmac.new(key, part.encode(), hashlib.sha256).digest()
        return key.hex() == fields["Signature"] and all(n in names for n in r.headers if n.startswith("x-amz-") or n in ("host", "range", "content-md5", "if-none-match"))

    def serve(self, r):
        if not self.authentic(r):
            return self.error(403, "SignatureDoesNotMatch")
        if hashlib.sha256(r.body).hexdigest() != r.headers["x-amz-content-sha256"]:
            return self.error(400, "XAmzContentSHA256Mismatch")
        if "content-md5" in r.headers and base64.b64encode(hashlib.md5(r.body).digest()).decode() != r.headers["content-md5"]:
            return self.error(400, "BadDigest")
        if "uploads" in r.query or "uploadId" in r.query:
            return self.multipart(r)
        return getattr(self, "serve_" + r.method.lower())(r)

    def multipart(self, r):
        uploads = self.server.uploads
        if r.method == "POST" and "uploads" in r.query:
            uploads["id+/" + str(len(uploads))] = ({}, r.headers)
            return self.answer(200, f"<InitiateMultipartUploadResult xmlns='x'><UploadId>id+/{len(uploads) - 1}</UploadId></InitiateMultipartUploadResult>".encode())
        if r.query.get("uploadId") not in uploads:
            return self.error(404, "NoSuchUpload")
        parts, headers = uploads[r.query["uploadId"]]
        if r.method == "DELETE":
            del uploads[r.query["uploadId"]]
            return self.answer(204)
        if r.method == "PUT":
            parts[int(r.query["partNumber"])] = r.body
            return self.answer(200, ETag=f'"{hashlib.md5(r.body).hexdigest()}"')
        told = [f'<Part><PartNumber>{n}</PartNumber><ETag>"{hashlib.md5(p).hexdigest()}"</ETag></Part>' for n, p in sorted(parts.items())]
        if "".join(told) not in r.body.decode():
            return self.error(400, "InvalidPart")
        self.server.objects[r.path] = (b"".join(p for _, p in sorted(parts.items())), headers)
        del uploads[r.query["uploadId"]]
        return self.answer(200, b"<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>")

    def serve_put(self, r):
        if r.headers.get("if-none-match") == "*" and r.path in self.server.objects:
            return self.error(412, "PreconditionFailed")
        self.server.objects[r.path] = (r.body, r.headers)
        return self.answer(200, ETag=f'"{hashlib.md5(r.body).hexdigest()}"')

    def serve_get(self, r):
        if r.path not in self.server.objects:
            return self.error(404, "NoSuchKey")
        body, headers = self.server.objects[r.path]
        etag = f'"{hashlib.md5(body).hexdigest()}"'
        mark = {"x-amz-meta-gantry-put": headers["x-amz-meta-gantry-put"]} if "x-amz-meta-gantry-put" in headers else {}
        if r.headers.get("if-match", etag) != etag:
            return self.error(412, "PreconditionFailed")
        if "range" not in r.headers:
            return self.answer(200, body, ETag=etag, Last_Modified=formatdate(1e9, usegmt=True), **mark)
        first, last = map(int, r.headers["range"][6:].split("-"))
        if first >= len(body):
            return self.error(416, "InvalidRange")
        piece = body[first:last + 1]
        return self.answer(206, piece, ETag=etag, Content_Range=f"bytes {first}-{first + len(piece) - 1}/{len(body)}")

    serve_head = serve_get

    def serve_delete(self, r):
        self.server.objects.pop(r.path, None)
        return self.answer(204)

    def serve_post(self, r):
        return self.error(501, "NotImplemented")


# ---- the client ----

class Drive:
    def __init__(self, endpoint, bucket=BUCKET, env=None, keys=True, **options):
        if keys:
            options = {"access": ACCESS, "secret": SECRET, **options}
        options = {"connect-ms": 2000, **options}
        arguments = [f"{k.replace('_', '-')}={v}" for k, v in options.items()]
        clean = {k: v for k, v in os.environ.items() if not k.startswith("AWS_") and not k.lower().endswith("_proxy")}
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen([DRIVE, endpoint, bucket, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True,
                                        env={**clean, **(env or {})})
        self.said = ""

    def do(self, *words):
        """(result, lines)"""
        self.process.stdin.write("\t".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        lines = []
        while line := self.process.stdout.readline():
            self.said += line
            if line.startswith("= "):
                return line[2:].strip(), lines
            lines.append(line.rstrip("\n"))
        raise AssertionError(f"the client ended: {self.err()}")

    def good(self, *words):
        result, lines = self.do(*words)
        check(f"{' '.join(map(str, words))[:60]} succeeds", result == "ok", result)
        return lines

    def bad(self, kind, *words):
        result, _ = self.do(*words)
        check(f"{' '.join(map(str, words))[:60]} fails as {kind}", result.startswith(kind + ":"), result)
        return result

    def stats(self):
        return {k: int(v) for k, v in (p.split("=") for p in self.good("stats")[0].split())}

    def err(self):
        return os.pread(self.log.fileno(), os.fstat(self.log.fileno()).st_size, 0).decode()

    def close(self):
        self.process.stdin.close()
        code = self.process.wait(30)
        check("the client ends well", code == 0, (code, self.err()[-2000:]))
        everything = self.said + self.err()
        check("no secret is told", SECRET not in everything and "session-token" not in everything and "identity-token" not in everything, everything)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.close()
        else:
            self.process.kill()
            self.process.wait()


class Place:
    """A folder with files that are put."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="gantry-s3-"))
        self.small = self.file("small", os.urandom(100_000))
        self.large = self.file("large", os.urandom(2 * PART + 12345))

    def file(self, name, body):
        (self.folder / name).write_bytes(body)
        return self.folder / name

    def got(self):
        return (self.folder / "got").read_bytes()


# ---- what the service may do first ----

def refuse(status, code, more="", **headers):
    return lambda h, r: h.error(status, code, more, **headers) or True


def say(status, body=b"", **headers):
    return lambda h, r: h.answer(status, body, **headers) or True


def lose(h, r):
    """Does it, and the answer is lost."""
    h.wfile = open(os.devnull, "wb")
    h.serve(r)
    h.cut()
    return True


def drop(h, r):
    h.cut()
    return True


def stall(h, r):
    time.sleep(15)
    h.cut()
    return True


def short(n):
    def step(h, r):
        body, _ = h.server.objects[r.path]
        first, last = map(int, r.headers["range"][6:].split("-"))
        h.send_response(206)
        h.send_header("ETag", f'"{hashlib.md5(body).hexdigest()}"')
        h.send_header("Content-Length", str(last - first + 1))
        h.send_header("Content-Range", f"bytes {first}-{last}/{len(body)}")
        h.end_headers()
        h.wfile.write(body[first:first + n])
        h.wfile.flush()
        h.cut()
        return True
    return step


def usual(h, r):
    return None


# ---- tests ----

def what_may_pass_is_tried_again(fake, place):
    with Drive(fake.endpoint) as d:
        for step in [refuse(500, "InternalError"), refuse(503, "SlowDown"), say(502, b"<html>Bad Gateway"), refuse(429, "TooManyRequests"), refuse(400, "RequestTimeout"), drop,
                     refuse(409, "ConditionalRequestConflict"), refuse(400, "BadDigest")]:
            fake.begin(step)
            d.good("put", "a/b", place.small)
            check("it took two requests", fake.methods() == "PUT PUT", fake.requests)
            check("and the object is there whole", fake.objects[f"/{BUCKET}/a/b"][0] == place.small.read_bytes())
        began = time.monotonic()
        fake.begin(refuse(503, "SlowDown", Retry_After="1"))
        d.good("head", "a/b")
        check("not before the service wants", time.monotonic() - began >= 1)
        check("retries are counted (a kept connection that was dead is none)", d.stats()["retries"] == 8, d.stats())


def what_cannot_pass_is_not(fake, place):
    with Drive(fake.endpoint) as d:
        for status, code, kind, words, more in [
                (403, "AccessDenied", "forbidden", "policy", ""), (404, "NoSuchBucket", "usage", "create it", ""), (404, "NoSuchKey", "not-found", "", ""),
                (403, "InvalidObjectState", "busy", "archived", ""), (403, "QuotaExceeded", "disk-full", "quota", ""), (507, "XMinioStorageFull", "disk-full", "", ""),
                (301, "PermanentRedirect", "usage", "eu-central-1", "<Endpoint>images.s3.eu-central-1.example</Endpoint><Region>eu-central-1</Region>"),
                (307, "TemporaryRedirect", "usage", "elsewhere", ""), (400, "AuthorizationHeaderMalformed", "usage", "eu-west-9", "<Region>eu-west-9</Region>"),
                (400, "Unheard-of", "peer", "Unheard-of: told so", ""), (403, "InvalidAccessKeyId", "forbidden", "", ""), (501, "NotImplemented", "unsupported", "", "")]:
            fake.begin(refuse(status, code, more))
            result = d.bad(kind, "get", "a/b", 0, 10, place.folder / "got")
            check("once", len(fake.requests) == 1, fake.methods())
            check("and says why", words in result and code in result, result)
        fake.begin(refuse(301, "PermanentRedirect", x_amz_bucket_region="eu-north-7"))
        check("the region is told of the header too", "eu-north-7" in d.bad("usage", "get", "a/b", 0, 10, place.folder / "got"))
        fake.begin(refuse(413, "EntityTooLarge", "<x/>"), refuse(404, "NoSuchKey"))
        d.bad("too-large", "put", "a/b", place.small)
        fake.begin(*[say(404, b"<html>no such page</html>")] * 2)
        d.good("put", "a/b", place.small)
        check("a balancer's 404 is no absence", fake.methods() == "PUT PUT PUT", fake.methods())
        check("deleting what is not there is no error", d.do("delete", "a/b")[0] == "ok")


def a_call_ends_when_its_budget_does(fake, place):
    with Drive(fake.endpoint, attempts=3) as d:
        fake.begin(*[refuse(503, "SlowDown")] * 9)
        d.bad("busy", "head", "a/b")
        check("after three tries", len(fake.requests) == 3, len(fake.requests))
    with Drive(fake.endpoint, retry_ms=900, attempts=99) as d:
        began = time.monotonic()
        fake.begin(*[refuse(500, "InternalError")] * 99)
        d.bad("busy", "head", "a/b")
        took = time.monotonic() - began
        check("after its time", took < 20, took)  # 99 tries take minutes
        fake.begin(refuse(503, "SlowDown", Retry_After="3600"))
        began = time.monotonic()
        d.bad("busy", "head", "a/b")
        check("at once when the service wants to be left alone for longer", time.monotonic() - began < 60)
    with Drive(f"http://127.0.0.1:{ports.keep(1)[0]}", retry_ms=500) as d:
        d.bad("network", "head", "a/b")


def a_service_that_hangs_is_left(fake, place):
    fake.begin()
    with Drive(fake.endpoint, stall_ms=1000) as d:
        d.good("put", "a/b", place.small)
        fake.begin(stall)
        began = time.monotonic()
        d.good("get", "a/b", 0, 1000, place.folder / "got")
        check("for a new connection, before it answers", 0.9 < time.monotonic() - began < 14, time.monotonic() - began)
        fake.begin(stall)
        d.good("put", "a/b", place.small)
    with Drive(fake.endpoint, request_ms=700, attempts=1) as d:
        fake.begin(stall)
        d.bad("timeout", "head", "a/b")


def a_client_that_stops_waits_for_nobody(fake, place):
    for script in [[stall], [refuse(503, "SlowDown", Retry_After="20")]]:
        with Drive(fake.endpoint) as d:
            fake.begin(*script)
            d.good("cancel-after", 300)
            began = time.monotonic()
            d.bad("cancelled", "head", "a/b")
            check("soon", time.monotonic() - began < 12, time.monotonic() - began)
            d.bad("cancelled", "put", "a/b", place.small)


def a_read_goes_on_where_it_was_cut(fake, place):
    with Drive(fake.endpoint) as d:
        fake.begin()
        d.good("put", "a/b", place.small)
        body = place.small.read_bytes()
        fake.begin(short(40), short(5000), short(0))
        check("the size is told", d.good("get", "a/b", 1000, 70000, place.folder / "got") == ["size 100000"])
        check("the bytes are the object's", place.got() == body[1000:71000])
        ranges = [r.headers["range"] for r in fake.requests]
        check("each byte is asked for once", ranges == ["bytes=1000-70999", "bytes=1040-70999", "bytes=6040-70999", "bytes=6040-70999"], ranges)
        check("of the same object", [("if-match" in r.headers) for r in fake.requests] == [False, True, True, True])
        fake.begin(short(40), lambda h, r: fake.objects.update({f"/{BUCKET}/a/b": (body[::-1], {})}))
        d.good("get", "a/b", 0, 70000, place.folder / "got")
        check("another object in its place is read from its beginning", place.got() == body[::-1][:70000])


def lies_about_ranges_are_seen(fake, place):
    with Drive(fake.endpoint, attempts=2) as d:
        fake.begin()
        d.good("put", "a/b", place.small)
        got = place.folder / "got"
        check("an end before what was asked", "ends after 100000" in d.bad("corrupt", "get", "a/b", 99_990, 20, got))
        d.bad("corrupt", "get", "a/b", 200_000, 20, got)
        for n, told in [(10, None), (10, "bytes 5-14/100"), (10, "bytes 0-20/100"), (10, "bytes */100"), (11, "bytes 0-9/100")]:
            step = say(206, b"x" * n, **({"Content_Range": told} if told else {}))
            fake.begin(step, step)
            d.bad("peer", "get", "a/b", 0, 10, got)
        fake.begin(say(200, place.small.read_bytes()))
        d.good("get", "a/b", 0, 100_000, got)
        check("a whole object for all of it is fine", got.read_bytes() == place.small.read_bytes())
        fake.begin(say(200, place.small.read_bytes()))
        d.bad("unsupported", "get", "a/b", 10, 10, got)
        fake.begin(say(204), say(204))
        d.bad("peer", "get", "a/b", 10, 10, got)
        check("nothing of nothing is asked by HEAD", d.good("get", "a/b", 0, 0, got) == ["size 100000"] and fake.requests[-1].method == "HEAD")


def connections_are_kept_and_their_end_is_survived(fake, place):
    with Drive(fake.endpoint) as d:
        before = fake.connections
        fake.begin()
        for _ in range(5):
            d.good("put", "a/b", place.small)
        check("one serves all", fake.connections == before + 1, fake.connections - before)

        def farewell(h, r):
            h.close_connection = True
        fake.begin(farewell)
        closed = fake.closed
        d.good("put", "a/b", place.small)
        until = time.monotonic() + 60
        while fake.closed == closed and time.monotonic() < until:  # a request that meets the end on its way is another matter: it is sent again
            time.sleep(0.01)
        d.good("put", "a/b", place.small)
        check("a new one after its end", fake.connections == before + 2, fake.connections - before)
        check("without a retry", d.stats()["retries"] == 0)


def a_lost_answer_is_no_conflict(fake, place):
    with Drive(fake.endpoint) as d:
        fake.begin()
        fake.objects.clear()
        d.good("create", "new", place.small)
        d.bad("conflict", "create", "new", place.small)
        fake.begin(lose)
        d.good("create", "lost", place.small)
        check("it looked what lies there", fake.methods() == "PUT PUT HEAD", fake.methods())
        fake.begin(drop)
        fake.objects[f"/{BUCKET}/theirs"] = (b"other", {})
        d.bad("conflict", "create", "theirs", place.small)
        fake.begin(refuse(501, "NotImplemented"))
        d.good("create", "plain", place.small)
        check("a service that lacks conditions gets none", "if-none-match" not in fake.requests[1].headers)
        d.good("create", "plain2", place.small)
        check("from then on", len(fake.requests) == 3 and "if-none-match" not in fake.requests[2].headers)


def large_objects_go_in_parts(fake, place):
    key, whole = f"/{BUCKET}/big", place.large.read_bytes()
    with Drive(fake.endpoint, **{"class": "STANDARD_IA"}) as d:
        fake.begin()
        d.good("put", "big", place.large)
        check("three parts", fake.methods() == "POST PUT PUT PUT POST", fake.methods())
        check("that are the object", fake.objects[key][0] == whole)
        check("of its class", fake.requests[0].headers["x-amz-storage-class"] == "STANDARD_IA")
        fake.begin(usual, usual, drop, usual, refuse(503, "SlowDown"), usual, say(200, b"\n  \n<?xml version='1.0'?><Error><Code>InternalError</Code></Error>"))
        d.good("put", "big", place.large)
        check("only what failed is sent again", fake.methods() == "POST PUT PUT PUT PUT PUT POST POST", fake.methods())
        check("nothing is left over", not fake.uploads, fake.uploads.keys())
        for answer in [b"", b"<?xml version='1.0'?>\n   ", b"<CompleteMultipartUploadResult><ETag>", b"<Other/>"]:
            fake.begin(usual, usual, usual, usual, say(200, answer))
            d.good("put", "big", place.large)
            check("an end without its word is no end", fake.methods() == "POST PUT PUT PUT POST POST", fake.methods())
        fake.begin(usual, usual, usual, usual, lose)
        d.good("create", "big2", place.large)
        check("the end's answer was lost: it looked", fake.methods() == "POST PUT PUT PUT POST POST HEAD", fake.methods())
        fake.begin(usual, usual, refuse(403, "AccessDenied"))
        check("the part is named", "part 2" in d.bad("forbidden", "put", "big3", place.large))
        check("a failed upload is aborted", fake.methods() == "POST PUT PUT DELETE" and not fake.uploads, fake.methods())
        fake.begin(usual, usual, usual, usual, say(200, b"<Error><Code>InvalidPart</Code></Error>"))
        d.bad("peer", "put", "big3", place.large)
        check("also one whose end failed", fake.methods().endswith("DELETE") and not fake.uploads, fake.methods())
        fake.begin(say(200, b"<InitiateMultipartUploadResult><UploadId/></InitiateMultipartUploadResult>"))
        d.bad("peer", "put", "big3", place.large)
        check("and it did not begin at all", len(fake.requests) == 1)


def old_uploads_are_aborted(fake, place):
    def page(h, r):
        first = "key-marker" not in r.query
        uploads = [("a%2F%2B1", "u1", "2026-01-01T00:00:00.000Z"), ("b", "u2", "2026-03-01T00:00:00Z")] if first else [("c", "u3", "2026-01-02T00:00:00Z")]
        text = "".join(f"<Upload><Key>{k}</Key><UploadId>{i}</UploadId><Initiated>{t}</Initiated></Upload>" for k, i, t in uploads)
        more = "<IsTruncated>true</IsTruncated><NextKeyMarker>b%20</NextKeyMarker><NextUploadIdMarker>u2</NextUploadIdMarker>" if first else ""
        h.answer(200, f"<ListMultipartUploadsResult><EncodingType>url</EncodingType>{more}{text}</ListMultipartUploadsResult>".encode())
        return True
    with Drive(fake.endpoint) as d:
        fake.begin(page, usual, page, usual)
        february = 1769904000000
        check("two of three", d.good("abort-stale", "p", february) == ["2"])
        check("by their keys", [(r.path, r.query.get("uploadId")) for r in fake.requests if r.method == "DELETE"] == [(f"/{BUCKET}/a/+1", "u1"), (f"/{BUCKET}/c", "u3")], fake.requests)
        check("page by page", fake.requests[2].query["key-marker"] == "b " and fake.requests[2].query["upload-id-marker"] == "u2", fake.requests[2])
        fake.begin(page, usual, say(200, b"<ListMultipartUploadsResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextKeyMarker>b+</NextKeyMarker><NextUploadIdMarker>u2</NextUploadIdMarker>"
                                         b"</ListMultipartUploadsResult>"))
        d.bad("peer", "abort-stale", "p", february)


def keys(*names, more="", encoded=True):
    items = "".join(f"<Contents><Key>{urllib.parse.quote(n) if encoded else n}</Key><Size>5</Size><LastModified>2026-11-22T01:02:03.500Z</LastModified>"
                    f"<ETag>&quot;e&quot;</ETag><StorageClass>GLACIER</StorageClass></Contents>" for n in names)
    return (f"<?xml version='1.0'?><ListBucketResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>{'<EncodingType>url</EncodingType>' if encoded else ''}"
            f"{more}{items}</ListBucketResult>").encode()


def all_pages_are_listed(fake, place):
    with Drive(fake.endpoint) as d:
        more = "<IsTruncated>true</IsTruncated><NextContinuationToken>t+/=1</NextContinuationToken>"
        fake.begin(say(200, keys("p/a +%", "p/新", more=more)), say(200, keys("p/z")))
        lines = d.good("list", "p/", "p/0")
        check("every key", [line.split("\t")[0] for line in lines] == ["p/a +%", "p/新", "p/z"], lines)
        check("with what is known of it", lines[0].split("\t")[1:] == ["5", "1795309323500", '"e"', "GLACIER archived"], lines)
        first, second = (r.query for r in fake.requests)
        check("asked in version 2", first == {"list-type": "2", "encoding-type": "url", "max-keys": "1000", "prefix": "p/", "start-after": "p/0"}, first)
        check("the next page by its token", second["continuation-token"] == "t+/=1" and "start-after" not in second, second)
        loop = say(200, keys("a", more=more))
        fake.begin(loop, loop, loop)
        d.bad("peer", "list", "", "")
        endless = iter(range(10**9))
        fake.begin(*[lambda h, r: h.answer(200, keys(more=f"<IsTruncated>true</IsTruncated><NextContinuationToken>{next(endless)}</NextContinuationToken>")) or True] * 3000)
        d.bad("peer", "list", "", "")
        check("a list without end is given up", 100 < len(fake.requests) < 2000, len(fake.requests))
        for body in [b"", b"no XML", b"<Other/>", keys("x" * 1025), keys("").replace(b"<Size>5", b"<Size>-5"), keys("%zz", encoded=False).replace(b"?xml version='1.0'?>", b"", 1),
                     b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY x 'y'>]><ListBucketResult>&x;</ListBucketResult>", keys("").replace(b"<Key></Key>", b""),
                     b"<a>" * 100 + b"</a>" * 100, keys("a").replace(b"<Key>a", b"<Key>a%00b")]:
            fake.begin(say(200, body))
            d.bad("peer", "list", "", "")
    with Drive(fake.endpoint) as d:
        fake.begin(refuse(501, "NotImplemented"), say(200, keys("a b", "b", more="<IsTruncated>true</IsTruncated>")), say(200, keys("c", encoded=False)))
        check("version 1 where there is no other", [line.split("\t")[0] for line in d.good("list", "", "0")] == ["a b", "b", "c"])
        check("goes on behind the last key", [r.query.get("marker") for r in fake.requests] == [None, "0", "b"], fake.requests)
        fake.begin(say(200, b"<x>" + b"y" * (17 << 20)), say(200, b"<x>" + b"y" * (17 << 20)))
        d.bad("too-large", "list", "", "")


def another_clock_is_learned(fake, place):
    def skewed(h, r):
        return h.error(403, "RequestTimeTooSkewed") or True
    fake.clock = 7 * 3600
    with Drive(fake.endpoint) as d:
        fake.begin(skewed)
        d.good("put", "a/b", place.small)
        signed = calendar.timegm(time.strptime(fake.requests[1].headers["x-amz-date"], "%Y%m%dT%H%M%SZ"))
        check("the service's time is signed", abs(signed - time.time() - fake.clock) < 600, fake.requests[1].headers["x-amz-date"])
        fake.begin(skewed)
        d.bad("forbidden", "get", "a/b", 0, 1, place.folder / "got")
        check("once", len(fake.requests) == 1)
        check("and said", "clock" in d.err(), d.err())
    with Drive(fake.endpoint) as d:
        fake.begin(say(403))
        d.good("head", "a/b")
        check("also of an answer without words", fake.methods() == "HEAD HEAD", fake.methods())
    fake.clock = 0


def keys_of_a_file_are_read_again(fake, place):
    def write(access, secret):
        place.file("keys", f"# keys\n[other]\naws_access_key_id=x\n[ops]\naws_access_key_id = {access}\naws_secret_access_key={secret}\n".encode())
    fake.keys = {"A1": "first", "A2": "second"}
    write("A1", "first")
    with Drive(fake.endpoint, keys=False, credentials=2, file=place.folder / "keys", profile="ops") as d:
        fake.begin()
        d.good("put", "a/b", place.small)
        write("A2", "second-")  # half of a change: the secret is not yet right
        d.bad("forbidden", "put", "a/b", place.small)
        write("A2", "second")
        d.good("put", "a/b", place.small)
        check("with the new keys", "Credential=A2/" in fake.requests[-1].headers["authorization"])
        (place.folder / "keys").unlink()
        d.good("put", "a/b", place.small)
    with Drive(fake.endpoint, keys=False, credentials=2, env={"AWS_SHARED_CREDENTIALS_FILE": str(place.folder / "keys"), "AWS_PROFILE": "none"}) as d:
        write("A1", "first")
        check("a profile that is not there is named", "[none]" in d.bad("usage", "head", "a/b"))
    with Drive(fake.endpoint, keys=False, credentials=1, env={"AWS_ACCESS_KEY_ID": "A1", "AWS_SECRET_ACCESS_KEY": "first", "AWS_SESSION_TOKEN": "tok"}) as d:
        d.good("head", "a/b")
        check("the environment's session token is sent and signed", fake.requests[-1].headers["x-amz-security-token"] == "tok")
    with Drive(fake.endpoint, keys=False, credentials=1) as d:
        d.bad("usage", "head", "a/b")
    fake.keys = {ACCESS: SECRET}


class Metadata(http.server.ThreadingHTTPServer):
    """IMDSv2 and STS."""
    daemon_threads = True

    def __init__(self, lasts):
        super().__init__(("127.0.0.1", 0), MetadataHandler)
        self.lasts, self.count, self.seen, self.away = lasts, 0, [], False
        self.now = None
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def fresh(self):
        self.count += 1
        self.now = int(time.time())  # as its answer is dated, by which the client reckons how long they last
        return f"R{self.count}", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.now + self.lasts))

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server_port}"


class MetadataHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def date_time_string(self, timestamp=None):
        return formatdate(self.server.now or time.time(), usegmt=True)

    def answer(self, status, text):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def do_PUT(self):
        self.server.seen.append("PUT " + self.path)
        if self.server.away or self.path != "/latest/api/token" or "X-aws-ec2-metadata-token-ttl-seconds" not in self.headers:
            return self.answer(503, "")
        return self.answer(200, "metadata-session-token")

    def do_GET(self):
        self.server.seen.append("GET " + self.path)
        if self.headers.get("X-aws-ec2-metadata-token") != "metadata-session-token":
            return self.answer(401, "")
        if self.path == "/latest/meta-data/iam/security-credentials/":
            return self.answer(200, "pacs-role\n")
        access, end = self.server.fresh()
        return self.answer(200, json.dumps({"Code": "Success", "AccessKeyId": access, "SecretAccessKey": "of-" + access, "Token": "session-token-" + access, "Expiration": end}))

    def do_POST(self):
        form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        self.server.seen.append(form)
        if "Authorization" in self.headers or form.get("WebIdentityToken") != "identity-token+/1":
            return self.answer(400, "<ErrorResponse xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><Error><Type>Sender</Type><Code>InvalidIdentityToken</Code>"
                                    "<Message>no such identity</Message></Error></ErrorResponse>")
        access, end = self.server.fresh()
        return self.answer(200, "<AssumeRoleWithWebIdentityResponse xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><AssumeRoleWithWebIdentityResult><Credentials>"
                                f"<SessionToken>session-token-{access}</SessionToken><SecretAccessKey>of-{access}</SecretAccessKey><Expiration>{end}</Expiration>"
                                f"<AccessKeyId>{access}</AccessKeyId></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>")


def keys_are_renewed_before_they_end(fake):
    """At three quarters of their life. Each is asked of again until it was asked in the last quarter, which a busy machine may miss."""
    renewed = gone_on = False
    for _ in range(20):
        metadata = Metadata(lasts=4)
        with Drive(fake.endpoint, keys=False, credentials=3, metadata=metadata.endpoint) as d:
            fake.begin()
            before = time.time()
            d.good("head", "a/b")
            metadata.away = renewed
            time.sleep(0.75 * metadata.lasts + 0.02)
            result, _ = d.do("head", "a/b")
            in_time = time.time() < before + metadata.lasts
            if in_time and not renewed:
                check("before they end", result == "ok" and metadata.count == 2, (result, metadata.count))
                renewed = True
            elif in_time:
                check("while they count nobody minds that others cannot be had", result == "ok" and "could not be renewed" in d.err(), (result, d.err()))
                gone_on = True
        if gone_on:
            return
    check("the last quarter was met", False, (renewed, gone_on))


def keys_of_a_machine_renew_themselves(fake, place):
    fake.keys = {f"R{i}": f"of-R{i}" for i in range(99)}
    metadata = Metadata(lasts=3600)
    with Drive(fake.endpoint, keys=False, credentials=3, metadata=metadata.endpoint, env={"http_proxy": "http://127.0.0.1:1", "no_proxy": "127.0.0.1"}) as d:
        fake.begin()
        d.good("put", "a/b", place.small)
        check("by a session", metadata.seen == ["PUT /latest/api/token", "GET /latest/meta-data/iam/security-credentials/", "GET /latest/meta-data/iam/security-credentials/pacs-role"],
              metadata.seen)
        check("signed with its token", fake.requests[-1].headers["x-amz-security-token"] == "session-token-R1")
        d.good("head", "a/b")
        check("and kept", metadata.count == 1)
        time.sleep(1.1)
        fake.begin(refuse(400, "ExpiredToken"))
        d.good("put", "a/b", place.small)
        check("those that the service calls ended are renewed", fake.requests[-1].headers["x-amz-security-token"] == "session-token-R2")
        fake.begin(refuse(400, "ExpiredToken"), refuse(400, "ExpiredToken"))
        d.bad("forbidden", "put", "a/b", place.small)
        check("but not for ever", metadata.count == 2, metadata.count)
    keys_are_renewed_before_they_end(fake)
    metadata.away = True
    with Drive(fake.endpoint, keys=False, credentials=3, metadata=metadata.endpoint, retry_ms=500) as d:
        check("the metadata service is named", "metadata service" in d.bad("busy", "head", "a/b"))


def an_identity_becomes_keys(fake, place):
    sts = Metadata(lasts=3600)
    fake.keys = {"R1": "of-R1"}
    place.file("identity", b"identity-token+/1\n")
    with Drive(fake.endpoint, keys=False, credentials=4, sts=sts.endpoint, role="arn:aws:iam::1:role/pacs", token_file=place.folder / "identity") as d:
        fake.begin()
        d.good("put", "a/b", place.small)
        check("asked for the role", sts.seen[0] == {"Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15", "RoleSessionName": "gantry",
                                                    "RoleArn": "arn:aws:iam::1:role/pacs", "WebIdentityToken": "identity-token+/1"}, sts.seen)
        check("used", fake.requests[-1].headers["x-amz-security-token"] == "session-token-R1")
    place.file("identity", b"forged")
    with Drive(fake.endpoint, keys=False, credentials=4, sts=sts.endpoint, role="arn:aws:iam::1:role/pacs", env={"AWS_WEB_IDENTITY_TOKEN_FILE": str(place.folder / "identity")}) as d:
        check("the token service's reason is told", "no such identity" in d.bad("peer", "head", "a/b"))
    fake.keys = {ACCESS: SECRET}


def ways_to_the_service(fake, place):
    with Drive("http://s3.nowhere.example", bucket="images", style=1, proxy=fake.endpoint) as d:
        fake.begin()
        fake.objects.clear()
        d.good("put", "a/ü~b (1)+&=%", place.small)
        r = fake.requests[0]
        check("by a proxy, the bucket before the host", r.headers["host"] == "images.s3.nowhere.example" and r.path.endswith("/a/ü~b (1)+&=%"), r)
        check("with all of the key", d.good("head", "a/ü~b (1)+&=%")[0].split("\t")[1] == "100000")
    with Drive("http://s3.nowhere.example:8080", env={"http_proxy": fake.endpoint}) as d:
        fake.begin()
        d.good("put", "a", place.small)
        check("of the environment too, the port in Host", fake.requests[0].headers["host"] == "s3.nowhere.example:8080", fake.requests[0])
    with contextlib.suppress(OSError):
        six = Fake(socket.AF_INET6, "::1")
        with Drive(six.endpoint) as d:
            d.good("put", "a", place.small)
            check("IPv6 in brackets", six.requests[0].headers["host"] == f"[::1]:{six.server_port}", six.requests[0])
    for endpoint, bucket, options in [("ftp://h", "images", {}), ("http://h/path", "images", {}), ("h", "images", {}), ("http://h", "im/ages", {}), ("http://h", "", {}),
                                      ("http://[::1]:5", "images", {"style": 1}), ("http://h", "images", {"lock": "SOME", "lock_days": 1}), ("http://h", "images", {"region": "a b"})]:
        r = subprocess.run([DRIVE, endpoint, bucket, *[f"{k.replace('_', '-')}={v}" for k, v in options.items()], "--", "head", "a"], capture_output=True, text=True)
        check(f"{endpoint} {bucket} {options} is refused", r.returncode == 64 and "usage" in r.stderr, r)
    with Drive(fake.endpoint) as d:
        for key in ["", "a/../b", "./a", "x" * 1025]:
            d.bad("usage", "head", key)


def a_certificate_of_ones_own(fake, place):
    if not shutil.which("openssl"):
        return
    pem, ca = place.folder / "key.pem", place.folder / "ca.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", pem, "-out", ca, "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    tls = Fake()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca, pem)
    tls.socket = context.wrap_socket(tls.socket, server_side=True)
    endpoint = tls.endpoint.replace("http:", "https:")
    with Drive(endpoint, ca=ca) as d:
        d.good("put", "a", place.small)
    with Drive(endpoint, attempts=1) as d:
        check("another's is not taken", "certificate" in d.bad("network", "put", "a", place.small))


def archives_and_locks(fake, place):
    lock = say(200, b"<ObjectLockConfiguration xmlns='x'><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>")
    with Drive(fake.endpoint, lock="COMPLIANCE", lock_days=3650) as d:
        fake.begin(lock)
        d.good("put", "a", place.small)
        h = fake.requests[1].headers
        check("what is put is locked", h["x-amz-object-lock-mode"] == "COMPLIANCE" and "content-md5" in h, h)
        until = calendar.timegm(time.strptime(h["x-amz-object-lock-retain-until-date"][:19], "%Y-%m-%dT%H:%M:%S"))
        check("for ten years", abs(until - time.time() - 3650 * 86400) < 2 * 86400, h)
        fake.begin(say(200))
        d.good("hold", "a", "on")
        check("a hold is a question about the object", fake.requests[0].query == {"legal-hold": ""} and b"<Status>ON</Status>" in fake.requests[0].body, fake.requests)
    for answer in [refuse(404, "ObjectLockConfigurationNotFoundError"), say(200, keys("a")), refuse(501, "NotImplemented")]:
        with Drive(fake.endpoint, lock="GOVERNANCE", lock_days=1) as d:
            fake.begin(answer)
            check("a bucket without locks is told of", "no object lock" in d.bad("usage", "put", "a", place.small))
            d.bad("unsupported", "hold", "a", "on")
            check("and nothing is put", fake.methods() == "GET", fake.methods())
    with Drive(fake.endpoint) as d:
        fake.begin(say(202), refuse(409, "RestoreAlreadyInProgress"), refuse(403, "AccessDenied"))
        d.good("restore", "a", 7)
        check("for so many days", b"<Days>7</Days>" in fake.requests[0].body and fake.requests[0].query == {"restore": ""} and "content-md5" in fake.requests[0].headers)
        d.good("restore", "a", 7)
        d.bad("forbidden", "restore", "a", 7)
        fake.begin(say(200, x_amz_storage_class="GLACIER", x_amz_restore='ongoing-request="true"'), say(200, x_amz_storage_class="DEEP_ARCHIVE"),
                   say(200, x_amz_storage_class="GLACIER", x_amz_restore='ongoing-request="false", expiry-date="Fri, 21 Dec 2029 00:00:00 GMT"'))
        check("under way", d.good("head", "a")[0].split("\t")[4] == "GLACIER archived restoring")
        check("in an archive", d.good("head", "a")[0].split("\t")[4] == "DEEP_ARCHIVE archived")
        check("and back", d.good("head", "a")[0].split("\t")[4] == "GLACIER")


def another_class_is_a_copy(fake, place):
    with Drive(fake.endpoint) as d:
        fake.begin(usual, usual, say(200, b"<CopyObjectResult><ETag>x</ETag></CopyObjectResult>"))
        d.good("put", "a b", place.small)
        d.good("class", "a b", "GLACIER_IR")
        h = fake.requests[2].headers
        check("onto itself", h["x-amz-copy-source"] == f"/{BUCKET}/a%20b" and h["x-amz-storage-class"] == "GLACIER_IR" and "x-amz-copy-source-if-match" in h, h)
        fake.begin(usual, say(200, b"<Error><Code>AccessDenied</Code></Error>"))
        d.bad("forbidden", "class", "a b", "GLACIER_IR")
        fake.begin()
        d.good("class", "a b", "STANDARD")
        check("not when it is of that class", fake.methods() == "HEAD")
        part = say(200, b"<CopyPartResult><ETag>&quot;p&quot;</ETag></CopyPartResult>")
        fake.begin(say(200, ETag='"e"', length=5 * 2**30 + 1), usual, *[part] * 6, say(200, b"<CompleteMultipartUploadResult/>"))
        d.good("class", "a b", "DEEP_ARCHIVE")
        ranges = [r.headers.get("x-amz-copy-source-range") for r in fake.requests[2:-1]]
        check("in parts when it is large", ranges[0] == "bytes=0-1073741823" and ranges[-1] == "bytes=5368709120-5368709120" and len(ranges) == 6, ranges)


def the_region_is_the_buckets(fake, place):
    with Drive(fake.endpoint, region="cn-north-1") as d:
        fake.begin(say(200), refuse(409, "BucketAlreadyOwnedByYou"), refuse(409, "BucketAlreadyExists"))
        d.good("make-bucket")
        r = fake.requests[0]
        check("named where it is made", b"<LocationConstraint>cn-north-1</LocationConstraint>" in r.body and "/cn-north-1/s3/" in r.headers["authorization"], r)
        d.good("make-bucket")
        d.bad("conflict", "make-bucket")


def main():
    fake, place = Fake(), Place()
    tests = [what_may_pass_is_tried_again, what_cannot_pass_is_not, a_call_ends_when_its_budget_does, a_service_that_hangs_is_left, a_client_that_stops_waits_for_nobody, a_read_goes_on_where_it_was_cut,
             lies_about_ranges_are_seen, connections_are_kept_and_their_end_is_survived, a_lost_answer_is_no_conflict, large_objects_go_in_parts, old_uploads_are_aborted,
             all_pages_are_listed, another_clock_is_learned, keys_of_a_file_are_read_again, keys_of_a_machine_renew_themselves, an_identity_becomes_keys, ways_to_the_service,
             a_certificate_of_ones_own, archives_and_locks, another_class_is_a_copy, the_region_is_the_buckets]
    try:
        for test in tests:
            if len(sys.argv) > 1 and test.__name__ not in sys.argv[1:]:
                continue
            began = time.monotonic()
            test(fake, place)
            print(f"{test.__name__}: {time.monotonic() - began:.1f} s", flush=True)
    finally:
        shutil.rmtree(place.folder)
    print(f"{checks} checks")


main()
