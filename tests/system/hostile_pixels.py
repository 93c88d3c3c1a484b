#!/usr/bin/env python3
"""Hostile pixels and requests: what is malformed ends in a precise error, and the service goes on.

Files go to frames, transcode and render, and over HTTP to every form that an object is had in. Bombs, lying tables and odd requests follow. Bounds: no crash,
no sanitizer report, no command of more than 20 s of the processor, no answer later than a minute, memory of the whole process tree grows by less than 256 MiB, no status of the server's own fault, no worker
left behind. A sample of the files is taken; HOSTILE=all takes every one, and the largest bombs.
"""
import http.client
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import bombs
import gantry
from bombs import EXPLICIT_LE, J2K

EVERYTHING = os.environ.get("HOSTILE") == "all"
SAMPLE_EVERY = 1 if EVERYTHING else 25
CPU_LIMIT_S, LIMIT_S = (60, 90) if EVERYTHING else (20, 60)  # the largest bombs are frames that may be that large, and sanitizers are slow
GROWTH_KIB, SANITIZER_EXIT = 256 * 1024, 99
WEB = "/dicom-web"
OUR_FAULT = {500, 502, 504}
faults = []
counts = {}
started = time.monotonic()


def fault(text):
    faults.append(text)
    print(f"FAULT {text}", flush=True)


watch = None


def step(name):
    """Also says what the peak of memory was since the last step."""
    grown = f", memory +{(watch.peak - watch.start_kib) >> 10} MiB" if watch and watch.peak else ""
    print(f"{time.monotonic() - started:6.1f} s{grown} {name}", flush=True)


def count(what):
    counts[what] = counts.get(what, 0) + 1


def check(what, condition, seen=""):
    count("checks")
    if not condition:
        fault(f"{what}: {seen}")


# ---- commands ----

def command(path, *arguments, environment=None):
    """One command on one file: (exit code, standard output)."""
    what = f"gantry {arguments[0]} {' '.join(arguments[1:4])} {path.name}"
    try:
        result = subprocess.run(["prlimit", f"--cpu={CPU_LIMIT_S}:{CPU_LIMIT_S + 5}", gantry.GANTRY, arguments[0], str(path), *arguments[1:]], capture_output=True, timeout=180,
                                env={**os.environ, **(environment or {})})
    except subprocess.TimeoutExpired:
        fault(f"{what}: no end within 180 s")
        return -1, b""
    count("commands")
    error = result.stderr.decode("utf-8", "replace")
    if result.returncode < 0 or result.returncode in (SANITIZER_EXIT, 70) or "Sanitizer" in error or "runtime error" in error:
        fault(f"{what}: exit {result.returncode}: {error[-1500:]}")
    elif result.returncode == 64:
        fault(f"{what}: usage: {error[:300]}")
    elif result.returncode != 0 and not error.strip():
        fault(f"{what}: exit {result.returncode} without a word")
    return result.returncode, result.stdout


def commands_on(path, folder):
    command(path, "frames", "--list")
    command(path, "frames", "--decode", "--workers", "1", "--out", "-")
    for name in ("explicit-le", "rle", "jpeg-ls"):
        command(path, "transcode", "--to", name, "--out", f"{folder}/{path.stem}-{name}.dcm")
    command(path, "render", "--out", f"{folder}/{path.stem}.png")
    for made in Path(folder).rglob("*"):
        if made.is_file() and path.stem in made.name:
            made.unlink(missing_ok=True)


def same_under_any_memory(paths):
    """What a decoder leaves unset is whatever was in memory before: two fills must give the same bytes or no bytes at all."""
    def one(path):
        seen = [command(path, "frames", "--decode", "--workers", "0", "--out", "-",
                        environment={"MALLOC_PERTURB_": str(fill), "ASAN_OPTIONS": f"max_malloc_fill_size=1073741824:malloc_fill_byte={fill}"}) for fill in (85, 170)]
        check(f"{path.name} decodes to the same whatever was in memory", seen[0] == seen[1], [(code, len(out)) for code, out in seen])
        if seen[0][0] == 0:
            count("damaged streams that decode")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, paths))


# ---- HTTP ----

def ask(server, path, accept=None, method="GET", body=None, headers=None, expect=None, limit_s=LIMIT_S):
    """(status, headers, body). The answer's whole body counts for the time."""
    headers = dict(headers or {})
    if accept:
        headers["Accept"] = accept
    what, begin = f"{method} {path[:160]} {accept or ''} {headers.get('Range', '')[:60]}", time.monotonic()
    try:
        status, fields, answer = server.http(method, path, body=body, headers=headers, timeout=120)
    except socket.timeout:
        fault(f"{what}: no answer within 120 s")
        return 0, {}, b""
    except (ConnectionError, http.client.HTTPException) as error:
        status, fields, answer = 0, {}, str(error).encode()
        count("answers that break off")
    spent = time.monotonic() - begin
    count("requests")
    if spent > limit_s:
        fault(f"{what}: took {spent:.1f} s")
    if status in OUR_FAULT:
        fault(f"{what}: {status} {answer[:300]}")
    if expect and status not in expect:
        fault(f"{what}: {status} instead of {expect}: {answer[:300]}")
    if server.process.poll() is not None:
        raise RuntimeError(f"{what}: the server ended: {server.stderr()[-6000:]}")
    return status, fields, answer


def store(server, *objects, expect=None):
    """STOW-RS of Part 10 objects; the paths of those that were taken."""
    body = b"".join(b"--b\r\nContent-Type: application/dicom\r\n\r\n" + one + b"\r\n" for one in objects) + b"--b--\r\n"
    status, _, answer = ask(server, WEB + "/studies", "application/dicom+json", "POST", body,
                            {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'}, expect)
    return taken(answer) if status in (200, 202) else []


def taken(answer):
    import json
    items = json.loads(answer).get("00081199", {}).get("Value", [])
    return [i["00081190"]["Value"][0].split("//", 1)[-1].split("/", 1)[1] for i in items if "00081190" in i]


FORMS = [  # below the instance, Accept, further headers
    ("", "application/dicom; transfer-syntax=*", {}),
    ("", f"application/dicom; transfer-syntax={EXPLICIT_LE}", {}),
    ("/metadata", "application/dicom+json", {}),
    ("/metadata", 'multipart/related; type="application/dicom+xml"', {}),
    ("/frames/1", "application/octet-stream", {}),
    ("/frames/1", "*/*", {}),
    ("/frames/1", 'multipart/related; type="image/jls"', {}),
    ("/frames/4294967295", "*/*", {}),
    ("/rendered", "image/jpeg", {}),
    ("/rendered", "image/gif", {}),
    ("/thumbnail", "image/png", {}),
    ("/bulkdata/7FE00010", "*/*", {"Range": "bytes=1-3,0-0,-1"}),
    ("/bulkdata", "*/*", {"Range": "bytes=5-"}),
    ("/pixeldata", "application/octet-stream", {}),
]


def every_form(server, place):
    instance = "/" + place.lstrip("/")
    for below, accept, headers in FORMS:
        status, fields, answer = ask(server, instance + below, accept, headers=headers)
        if status == 200 and below == "/rendered" and accept == "image/jpeg":
            check(f"{instance} rendered is a picture", answer[:2] == b"\xff\xd8", answer[:40])
        if status >= 400:
            check(f"{instance}{below}: a problem is told as one", "problem+json" in fields.get("Content-Type", ""), (status, fields))
            count(f"status {status}")
    uids = instance.split("/")
    wado = f"/wado?requestType=WADO&studyUID={uids[3]}&seriesUID={uids[5]}&objectUID={uids[7]}"
    ask(server, wado)
    ask(server, wado + "&contentType=application/dicom")
    ask(server, wado + "&frameNumber=2147483647&rows=16384&columns=1")


def still_there(server, place):
    """A picture is to be had as ever: no worker is left hanging."""
    for _ in range(3):
        ask(server, "/" + place.lstrip("/") + "/rendered?quality=%d" % (time.monotonic_ns() % 100 + 1), "image/jpeg", expect={200})


def workers_of(server):
    """[(pid, state)] of the server's children."""
    out = []
    for task in Path(f"/proc/{server.process.pid}/task").iterdir():
        try:
            for pid in (task / "children").read_text().split():
                out.append((pid, Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()[0]))
        except OSError:
            pass  # a thread or a worker that has just gone
    return out


# ---- requests ----

def raw(server, request, timeout=60):
    """Bytes in, bytes out; the end of what comes is silence or the end of the connection."""
    with socket.create_connection(("127.0.0.1", server.http_port), timeout=timeout) as s:
        out = b""
        try:
            s.sendall(request)
            s.shutdown(socket.SHUT_WR)
            while True:
                part = s.recv(65536)
                if not part:
                    return out
                out += part
        except (ConnectionError, socket.timeout):
            return out


def large_pictures(server):
    """Pictures and animations that nobody has room or patience for are refused at once, not begun."""
    one = "/" + store(server, bombs.image(rows=64, columns=64, pixels=bombs.noise(4096)), expect={200})[0].lstrip("/")
    many = "/" + store(server, bombs.image(frames=100_000, rows=1, columns=1, pixels=bytes(100_000)), expect={200})[0].lstrip("/")
    for accept in ("image/jpeg", "image/png", "image/gif"):
        ask(server, one + "/rendered?viewport=16384,16384", accept, expect={413})
    ask(server, many + "/rendered", "image/gif", expect={406})
    ask(server, many + "/rendered?viewport=16384,16384", "image/gif", expect={406, 413})
    ask(server, many + "/rendered", 'multipart/related; type="image/jpeg"', expect={413})
    ask(server, many + "/frames/" + ",".join(str(i) for i in range(1, 4000)), "*/*", expect={200, 413, 414})


def smuggling(server):
    inner = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    heads = {
        "a folded coding": b"Transfer-Encoding:\r\n chunked\r\n\r\n" + inner,
        "a folded length": b"Content-Length:\r\n %d\r\n\r\n" % len(inner) + inner,
        "CL and TE": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
        "TE and CL": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + inner,
        "two lengths": b"Content-Length: 0\r\nContent-Length: 33\r\n\r\n" + inner,
        "a list of lengths": b"Content-Length: 0, 33\r\n\r\n" + inner,
        "a signed length": b"Content-Length: +0\r\n\r\n" + inner,
        "a blank before the colon": b"Content-Length : %d\r\n\r\n" % len(inner) + inner,
        "a tab before the colon": b"Transfer-Encoding\t: chunked\r\n\r\n" + inner,
        "an unknown coding": b"Transfer-Encoding: xchunked\r\n\r\n" + inner,
        "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + inner,
        "a folded line": b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + inner,
        "a chunk of 2^64": b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n" + inner,
        "a negative chunk": b"Transfer-Encoding: chunked\r\n\r\n-1\r\n" + inner,
    }
    for what, head in heads.items():
        answer = raw(server, b"POST /dicom-web/studies HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/related; type=\"application/dicom\"; boundary=b\r\n" + head)
        check(f"{what}: nothing that was smuggled in is answered", b"HTTP/1.1 200" not in answer and b"disk_free" not in answer, answer[:600])
    for begun in (b"GET", b"GET /dicom-web/studies HTTP/1.1\r\n", b"GET /dicom-web/studies HTTP/1.1\r\nHost: x", b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"):
        raw(server, begun)  # what was begun for it is freed: the sanitizer looks for leaks at the end


def odd_targets(server, place):
    instance = "/" + place.lstrip("/")
    targets = ["/%2e%2e/%2e%2e/etc/passwd", "/dicom-web/..%2f..%2fetc/passwd", "/dicom-web/studies/%2e%2e%2f%2e%2e%2f/metadata", "/dicom-web/studies/1.2%00/metadata",
               "/%00", "//etc/passwd", "/dicom-web//studies", "/dicom-web/studies/" + "1." * 20000 + "1", "/dicom-web/studies/%ff%fe", "/dicom-web/studies/%", "/dicom-web/studies/%zz",
               instance + "/bulkdata/..%2f..%2f..%2fetc%2fpasswd", instance + "/bulkdata/7FE00010/1/7FE00010/1/7FE00010", instance + "/bulkdata/" + "00081199/1/" * 3000 + "00081150",
               instance + "/frames/1,1,1,1,1,1,1,1,1,1", instance + "/frames/0", instance + "/frames/-1", instance + "/frames/1-4000000000", instance + "/frames/18446744073709551617",
               instance + "/frames/" + "1," * 20000 + "1", instance + "/frames/1%00", instance + "/frames/1.0", instance + "/frames/,",
               instance + "/rendered?viewport=16385,1", instance + "/rendered?viewport=0,0", instance + "/rendered?viewport=1,1,-1e308,1e308,nan,inf", instance + "/rendered?viewport=,",
               instance + "/rendered?window=nan,inf,linear", instance + "/rendered?window=1e308,1e-308,sigmoid", instance + "/rendered?window=0,0", instance + "/rendered?quality=1e9",
               instance + "/rendered?accept=" + "image/png;q=0.1," * 2000, instance + "/metadata?accept=" + "%3b" * 3000, "/wado?requestType=WADO&studyUID=..&seriesUID=/&objectUID=%00",
               "/dicom-web/studies?" + "00100010=x&" * 3000, "/dicom-web/studies?00100010=" + "*?" * 400 + "z", "/dicom-web/studies?limit=18446744073709551615&offset=-1",
               "/dicom-web/instances?includefield=all&00080018=" + ",".join(["1.2"] * 2000)]
    for target in targets:
        status, _, answer = ask(server, target)
        check(f"{target[:80]} gives nothing of the machine away", b"root:" not in answer and status not in OUR_FAULT, (status, answer[:200]))
    for accept in ("a" * 40000, "*/*;q=" + "9" * 1000, ",".join(["multipart/related"] * 3000), '"' * 1000, "multipart/related; type=\"image/jpeg; transfer-syntax=*"):
        ask(server, instance + "/frames/1", accept)


def odd_ranges(server, place):
    instance = "/" + place.lstrip("/")
    _, _, whole = ask(server, instance, "application/dicom; transfer-syntax=*", expect={200})
    n = len(whole)
    for value in ["bytes=0-" + ",0-" * 5000, "bytes=" + ",".join(f"{i}-{i}" for i in range(5000)), f"bytes={n}-", "bytes=99999999999999999999-", "bytes=5-2", "bytes=-0", "bytes=--1",
                  "bytes=0-18446744073709551616", "bytes=18446744073709551615-18446744073709551616", "bytes=0x1-2", "bits=0-1", "bytes=0-0,-1,1-1", "bytes= 0-0 , ,", "bytes=-99999999999999999999", "bytes=\x00"]:
        status, fields, answer = ask(server, instance, "application/dicom; transfer-syntax=*", headers={"Range": value}) if "\0" not in value else (400, {}, b"")
        check(f"range {value[:40]}", status in (200, 206, 400, 416, 431), (status, answer[:200]))
        check(f"range {value[:40]} does not give more than there is", len(answer) <= 2 * n + 4096, len(answer))
        if status == 200:
            check(f"range {value[:40]}: all of it", answer == whole, len(answer))


def odd_hosts(server, place):
    """Only a trusted proxy may say where the server is seen from; what it says cannot break out of a URL, and no answer is kept for others."""
    instance = "/" + place.lstrip("/")
    attacks = [{"X-Forwarded-Host": 'evil.example"><script>'}, {"X-Forwarded-Host": "evil.example/path"}, {"X-Forwarded-Prefix": "//evil.example"}, {"X-Forwarded-Prefix": "/a?b#c"},
               {"X-Forwarded-Proto": "javascript"}, {"X-Forwarded-Port": "99999"}, {"X-Forwarded-Port": "1\t2"}, {"Forwarded": "host=\"evil.example\\\"\";proto=https"},
               {"Host": "evil.example@good"}, {"Host": "a b"}, {"Host": ""}, {"Host": "x" * 5000}, {"Host": '"'}]
    for headers in attacks:
        status, _, answer = ask(server, instance + "/metadata", "application/dicom+json", headers=headers)
        for bad in (b"<script", b"evil.example/path", b"//evil", b"javascript:", b"?b#c", b"evil.example@", b"x" * 5000, b'evil.example"', b"evil.example\\"):
            check(f"{headers}: {bad} does not get into an answer", bad not in answer, answer[:400])
    _, _, clean = ask(server, instance + "/metadata", "application/dicom+json", expect={200})
    ask(server, instance + "/metadata", "application/dicom+json", headers={"X-Forwarded-Host": "evil.example", "X-Forwarded-Prefix": "/evil"})
    _, _, after = ask(server, instance + "/metadata", "application/dicom+json", expect={200})
    check("what one asker says of hosts is not kept for the next", clean == after and b"evil" not in after, after[:300])


def untrusted_proxy(folder):
    with gantry.Server(folder, "--trusted-proxy", "10.9.8.7") as server:
        place = store(server, bombs.image(pixels=bytes(16)), expect={200})[0]
        for name in ("X-Forwarded-Host", "X-Forwarded-Server", "X-Host", "X-Original-URL", "X-Rewrite-URL", "Forwarded"):
            value = "host=evil.example" if name == "Forwarded" else "evil.example"
            for below, accept in (("/metadata", "application/dicom+json"), ("", "multipart/related; type=\"application/dicom\""), ("/frames/1", "*/*")):
                status, fields, answer = ask(server, "/" + place + below, accept, headers={name: value}, expect={200})
                check(f"{name} of a stranger counts for nothing", b"evil" not in answer and "evil" not in str(fields), (fields, answer[:300]))


# ---- bodies ----

def metadata_store(server, parts, kind="application/dicom+json", expect=None, accept="application/dicom+json"):
    body = b"".join(f"--b\r\nContent-Type: {t}\r\n{f'Content-Location: {at}' + chr(13) + chr(10) if at else ''}\r\n".encode() + b + b"\r\n" for t, at, b in parts) + b"--b--\r\n"
    return ask(server, WEB + "/studies", accept, "POST", body, {"Content-Type": f'multipart/related; type="{kind}"; boundary=b'}, expect)


def bodies(server):
    part = b"--b\r\nContent-Type: application/dicom\r\n\r\nx\r\n"
    for n in (99_999, 100_001) if EVERYTHING else (100_001,):
        ask(server, WEB + "/studies", "application/dicom+json", "POST", part * n + b"--b--\r\n", {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'}, {400, 409, 413})
    kind = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'}
    for body in (b"--b\r\n" + b"A: b\r\n" * 100_000 + b"\r\n--b--", b"--b" * 500_000, b"-" * 5_000_000, b"\r\n--b" * 100_000, b"--b\r\nContent-Type: " + b"x" * 1_000_000):
        ask(server, WEB + "/studies", "application/dicom+json", "POST", body, kind, {400, 409, 413, 431})
    for boundary in ("x" * 5000, "", "\"", "a b", "b\"; boundary=c"):
        ask(server, WEB + "/studies", "application/dicom+json", "POST", b"--b\r\n\r\nx\r\n--b--", {"Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}'}, {400, 409, 415, 431})
    deep = b'{"00081140":{"vr":"SQ","Value":[' * 5000 + b"{}" + b"]}}" * 5000
    wide = b'{"00081140":{"vr":"SQ","Value":[' + b"{}," * (1_200_000 if EVERYTHING else 100_000) + b"{}]}}"
    numbers = b'{"00280010":{"vr":"US","Value":[' + b"1," * (30_000_000 if EVERYTHING else 500_000) + b"1]}}"
    brackets = b"[" * 100_000 + b"]" * 100_000
    strings = b'{"00100010":{"vr":"PN","Value":[{"Alphabetic":"' + b"\\u0041" * 1_000_000 + b'"}]}}'
    same_key = b"{" + b'"00100020":{"vr":"LO","Value":["1"]},' * 100_000 + b'"00100020":{"vr":"LO"}}'
    inline = b'{"7FE00010":{"vr":"OB","InlineBinary":"' + b"A" * 4_000_000 + b'!"}}'
    for text in (deep, wide, numbers, brackets, strings, same_key, inline, b"[" + b"{}," * (200_000 if EVERYTHING else 20_000) + b"{}]", b"", b"null", b"\xff\xfe", b'{"7FE00010":{"vr":"OB","BulkDataURI":5}}'):
        metadata_store(server, [("application/dicom+json", None, text)], expect={400, 409, 413})


XML = b'<?xml version="1.0" encoding="UTF-8"?>'


def documents(server):
    laughs = XML + b'<!DOCTYPE x [<!ENTITY a "haha">' + b"".join(b'<!ENTITY %c "&%c;&%c;&%c;&%c;&%c;&%c;&%c;&%c;&%c;&%c;">' % (98 + i, *[97 + i] * 10) for i in range(10)) + b"]>"
    outside = XML + b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    parameter = XML + b'<!DOCTYPE x [<!ENTITY %% p SYSTEM "http://127.0.0.1:%d/evil.dtd"> %%p;]>' % 1
    subset = XML + b'<!DOCTYPE NativeDicomModel SYSTEM "file:///etc/passwd">'
    model = b'<NativeDicomModel><DicomAttribute tag="00100010" vr="PN"><PersonName number="1"><Alphabetic><FamilyName>%s</FamilyName></Alphabetic></PersonName></DicomAttribute></NativeDicomModel>'
    quadratic = XML + b'<!DOCTYPE x [<!ENTITY a "' + b"A" * 50_000 + b'">]>' + model % (b"&a;" * 5000)
    deep = XML + b"<NativeDicomModel>" + b'<DicomAttribute tag="00081140" vr="SQ"><Item number="1">' * 20_000
    attributes = XML + b"<NativeDicomModel " + b" ".join(b'a%d="1"' % i for i in range(50_000)) + b"/>"
    numbers = XML + b'<NativeDicomModel><DicomAttribute tag="00081140" vr="SQ"><Item number="4294967295"/><Item number="2147483647"/></DicomAttribute></NativeDicomModel>'
    for text in (laughs + model % b"&k;", outside + model % b"&a;", parameter + model % b"x", subset + model % b"x", quadratic, deep, attributes, numbers):
        status, _, answer = metadata_store(server, [("application/dicom+xml", None, text)], "application/dicom+xml", expect={400, 409, 413})
        check("nothing of a file comes back", b"root:" not in answer, answer[:300])


class Listener:
    """Counts who connects: nobody should."""

    def __enter__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port, self.seen = self.socket.getsockname()[1], 0
        self.socket.settimeout(0.1)
        return self

    def visitors(self):
        while True:
            try:
                self.socket.accept()[0].close()
                self.seen += 1
            except socket.timeout:
                return self.seen

    def __exit__(self, *_):
        self.socket.close()


def bulk_references(server):
    with Listener() as listener:
        here = f"http://127.0.0.1:{listener.port}/x"
        for uri in ("missing", "", "file:///etc/passwd", "/etc/passwd", "../../../etc/passwd", here, here.replace("127.0.0.1", "localhost"), "gopher://127.0.0.1/", "cid:", "http://169.254.169.254/",
                    "x" * 100_000):
            status, _, answer = metadata_store(server, [("application/dicom+json", None, bombs.metadata(uri))], expect={409})
            check(f"{uri[:40]}: nothing of it is stored", b"00081199" not in answer and b"root:" not in answer, answer[:300])
        check("no host that a BulkDataURI names is asked", listener.visitors() == 0, listener.seen)
    n = 30_000 if EVERYTHING else 12_000
    parts = [("application/dicom+json", None, bombs.many_references(n))] + [("application/octet-stream", f"http://h/{i}", b"x") for i in range(n)]
    metadata_store(server, parts, expect={200, 202, 409, 413})
    # One part of a megabyte that a small document names ten thousand times: stored, it would be 10 GB.
    parts = [("application/dicom+json", None, bombs.many_references(10_000, one="http://h/1")), ("application/octet-stream", "http://h/1", bytes(1 << 20))]
    metadata_store(server, parts, expect={409, 413})


def zip_while_deleted(server):
    """A study that goes away while it is read: the answer ends whole or breaks off, and is never passed off as whole."""
    study = bombs.new_uid()
    places = []
    for i in range(20):
        places += store(server, bombs.image(study=study, rows=256, columns=256, pixels=bytes(65536)), expect={200})
    broken = []

    def fetch(accept):
        for _ in range(6):
            status, fields, answer = ask(server, f"{WEB}/studies/{study}", accept)
            if status == 200 and accept == "application/zip" and b"PK\x05\x06" not in answer[-64:]:
                broken.append(len(answer))
    fetchers = [threading.Thread(target=fetch, args=(a,)) for a in ("application/zip", "application/x-tar", 'multipart/related; type="application/dicom"')]
    for thread in fetchers:
        thread.start()
    for place in places:
        ask(server, "/" + place.lstrip("/") + "?reason=test", method="DELETE", expect={204})
    for thread in fetchers:
        thread.join()
    check("a zip that ends early is not passed off as whole", not broken, broken)


# ---- all of it ----

def hostile_objects():
    """(name, bytes) of every hostile file; codestreams are put into objects."""
    root = gantry.need_data("dicom", "hostile")
    out = []
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        parts = path.relative_to(root).parts
        if {"http", "pdu"} & set(parts) or path.suffix == ".tsv":
            continue
        if parts[0] == "j2k_codestreams":
            out.append((f"j2k-{path.name}.dcm", bombs.codestream_object(path.read_bytes())))
        else:
            out.append(("-".join(parts[-2:]), path.read_bytes()))
    return out


def damaged(folder):
    """Codestreams of every family, cut short and bent."""
    source = folder / "source.dcm"
    out = []
    source.write_bytes(bombs.image(rows=64, columns=64, pixels=bombs.noise(4096)))
    for name in ("rle", "jpeg", "jpeg-lossless", "jpeg-lossless-sv1", "jpeg-ls", "jpeg-ls-near", "j2k", "j2k-lossless", "htj2k", "htj2k-lossless", "deflated-frame", "encapsulated"):
        made = folder / f"{name}.dcm"
        code, _ = command(source, "transcode", "--to", name, "--out", str(made))
        if code != 0:
            continue
        for i, data in enumerate(bombs.damage(made.read_bytes(), 12 if EVERYTHING else 1)):
            path = folder / f"{name}-{i}.dcm"
            path.write_bytes(data)
            out.append(path)
    return out


def over_http(server, objects):
    good = store(server, bombs.image(rows=32, columns=32, pixels=bombs.noise(1024), ts=EXPLICIT_LE), expect={200})[0]
    for name, data in objects:
        begin, before = time.monotonic(), len(faults)
        peak = watch.peak
        for place in store(server, data):
            every_form(server, place)
            if name == "deflated-object.dcm":
                ask(server, "/" + place.lstrip("/") + "/rendered", "image/jpeg", expect={200})
        still_there(server, good)
        if watch.peak > peak + 32 * 1024:
            print(f"       {name}: memory +{(watch.peak - watch.start_kib) >> 10} MiB", flush=True)
        if time.monotonic() - begin > LIMIT_S or len(faults) > before:
            print(f"       {name}: {time.monotonic() - begin:.1f} s, {len(faults) - before} faults", flush=True)
    return good


def main():
    global watch
    files = hostile_objects()[::SAMPLE_EVERY]
    made = bombs.all_of(EVERYTHING)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = files + (made if EVERYTHING else made[::12])
        step(f"{len(given)} files to the commands")
        (folder / "in").mkdir()
        (folder / "out").mkdir()
        with ThreadPoolExecutor(2) as pool:
            for file, data in given:
                path = folder / "in" / file
                path.write_bytes(data)
                pool.submit(commands_on, path, folder / "out")
        step("damaged codestreams")
        same_under_any_memory(damaged(folder))
        quiet = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=8:malloc_context_size=5:allocator_release_to_os_interval_ms=50"}
        (folder / "leaks").write_text("leak:libfontconfig\n")  # what it keeps for the next text
        quiet["LSAN_OPTIONS"] = f"suppressions={folder / 'leaks'}"
        with gantry.Server(folder / "data", env=quiet) as server:
            watch = gantry.MemoryWatch(server)
            watch.start()
            step("files over HTTP")
            good = over_http(server, files)
            step("bombs over HTTP")
            over_http(server, made)
            for what, run in (("large pictures", lambda: large_pictures(server)), ("smuggling", lambda: smuggling(server)), ("targets", lambda: odd_targets(server, good)), ("ranges", lambda: odd_ranges(server, good)),
                              ("hosts", lambda: odd_hosts(server, good)), ("bodies", lambda: bodies(server)), ("documents", lambda: documents(server)),
                              ("bulk references", lambda: bulk_references(server)), ("deleting", lambda: zip_while_deleted(server))):
                step(what)
                run()
            watch.going = False
            still_there(server, good)
            states, end = workers_of(server), time.monotonic() + 60
            while any(state == "Z" for _, state in states) and time.monotonic() < end:  # one that has just ended is waited for soon
                time.sleep(0.1)
                states = workers_of(server)
            check("no zombie is left", all(state != "Z" for _, state in states), states)
            check("no more workers than processors", len(states) <= (os.cpu_count() or 1) + 1, states)
            growth = watch.peak - watch.start_kib
            print(f"memory grew by {growth / 1024:.0f} MiB at most")
            check("memory is bounded", EVERYTHING or growth < GROWTH_KIB, f"{growth / 1024:.0f} MiB")  # the largest bombs are frames that may be that large
            log = server.stderr()
            for sign in ("Sanitizer", "runtime error"):
                check(f"no {sign} in the server's log", sign not in log, log[max(0, log.find(sign) - 300):][:1500])
        step("a proxy that is not trusted")
        untrusted_proxy(folder / "proxied")
    step(" ".join(f"{k}: {v};" for k, v in sorted(counts.items())))
    print(f"{len(faults)} faults" if faults else "nothing did harm")
    sys.exit(1 if faults else 0)


main()
