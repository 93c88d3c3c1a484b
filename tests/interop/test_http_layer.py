#!/usr/bin/env python3
"""The HTTP layer under every resource: problems, methods, cross-origin pages, proxies, codings, and requests that are not what they seem."""
import gzip
import json
import socket
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry

ROOT = "/dicom-web"
JSON = {"Accept": "application/dicom+json"}
VIEWER = "https://viewer.example.org"
checks = 0


def check(what, condition, seen=""):
    global checks
    checks += 1
    if not condition:
        raise AssertionError(f"{what}: {seen}")


def raw(server, request):
    """What comes back for bytes on the wire, up to the end of the connection."""
    with socket.create_connection(("127.0.0.1", server.http_port), timeout=60) as s:
        try:
            s.sendall(request)
        except OSError:
            pass  # the answer may come before the last byte is taken
        answer = b""
        try:
            while block := s.recv(65536):
                answer += block
        except OSError:
            pass
        return answer


def raw_status(server, request):
    answer = raw(server, request)
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else 0


def problems(server):
    for method, path, headers, status, kind in [
            ("GET", "/nowhere", {}, 404, "not-found"), ("GET", ROOT + "/studies/1.2.3.4", {}, 404, "not-found"), ("GET", ROOT + "/studies?limit=x", {}, 400, "bad-input"),
            ("PUT", ROOT + "/studies", {}, 405, "method-not-allowed"), ("DELETE", ROOT + "/series", {}, 405, "method-not-allowed"), ("BREW", ROOT + "/studies", {}, 501, "not-implemented"),
            ("GET", ROOT + "/studies", {"Accept": "image/png"}, 406, "not-acceptable"), ("POST", ROOT + "/studies", {"Content-Type": "text/plain"}, 415, "unsupported"),
            ("GET", "/" + "x" * 14000, {}, 414, "target-too-long"), ("GET", ROOT + "/studies", {"X-Filler": "y" * 14000}, 431, "header-too-large")]:
        got, answer, body = server.http(method, path, headers=headers)
        check(f"{method} {path[:40]} is {status}", got == status, (got, body[:200]))
        check("and is a problem", answer["Content-Type"] == "application/problem+json", answer)
        problem = json.loads(body)
        check("which says what", problem["status"] == status and problem["type"] == "/problems/" + kind and problem["title"] and problem["detail"], problem)
        check("and where", problem["instance"] == path.split("?")[0][:2048] or status == 414, problem["instance"][:80])
        if status == 405:
            check("with the methods that there are", "GET" in answer["Allow"], answer)
    for what, path, filler, expected in [("a target", "/" + "x" * 100000, "", 414), ("a field", ROOT + "/studies", "y" * 100000, 431)]:
        got, _, body = server.http("GET", path, headers={"X-Filler": filler})
        check(f"{what} beyond any buffer is refused", got == expected, (got, body[:200]))
    longest = ROOT + "/studies/1.2/series/1.3/instances/1.4/frames/" + ",".join(["1"] * 5800)
    got, _, body = server.http("GET", longest, headers={"X-Filler": "y" * 11000})
    check("the longest target and fields are read", got == 404 and json.loads(body)["type"] == "/problems/not-found", (got, body[:200]))
    status, headers, body = server.http("HEAD", "/nowhere")
    check("HEAD of nothing says so without a body", status == 404 and body == b"", (status, body))


def methods(server):
    for path in ["/studies", "/studies/1.2/series", "/studies/1.2", "/studies/1.2/metadata", "/instances", "/studies/1.2/series/1.3/instances/1.4/frames/1"]:
        status, headers, body = server.http("OPTIONS", ROOT + path)
        check(f"OPTIONS {path} tells the methods", status in (200, 204) and "GET, HEAD" in headers["Allow"] and "OPTIONS" in headers["Allow"], (status, headers))
    status, headers, body = server.http("HEAD", ROOT + "/studies", headers=JSON)
    check("HEAD of a search is its header", status == 200 and body == b"" and int(headers["Content-Length"]) == 2, (status, headers))


def wire(server):
    host = b"Host: localhost\r\n"
    for what, request, expected in [
            ("a length and an encoding", b"POST /dicom-web/studies HTTP/1.1\r\n" + host + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n", {400}),
            ("two lengths", b"POST /dicom-web/studies HTTP/1.1\r\n" + host + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", {400}),
            ("two equal lengths", b"GET /dicom-web/studies HTTP/1.1\r\n" + host + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n", {400}),
            ("a length that is none", b"POST /dicom-web/studies HTTP/1.1\r\n" + host + b"Content-Length: +5\r\n\r\nhello", {400}),
            ("a length below zero", b"POST /dicom-web/studies HTTP/1.1\r\n" + host + b"Content-Length: -5\r\n\r\nhello", {400}),
            ("a length beyond numbers", b"POST /dicom-web/studies HTTP/1.1\r\n" + host + b"Content-Length: 99999999999999999999999\r\n\r\nhello", {400, 413}),
            ("an unknown transfer coding", b"POST /dicom-web/studies HTTP/1.1\r\n" + host + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", {400, 501}),
            ("two hosts", b"GET /dicom-web/studies HTTP/1.1\r\n" + host + host + b"\r\n", {400}),
            ("no host", b"GET /dicom-web/studies HTTP/1.1\r\n\r\n", {400, 403}),
            ("a header without end", b"GET /dicom-web/studies HTTP/1.1\r\n" + host + b"X: " + b"y" * 300000 + b"\r\n\r\n", {400, 413, 431}),
            ("a target without end", b"GET /" + b"y" * 300000 + b" HTTP/1.1\r\n" + host + b"\r\n", {400, 414, 431}),
            ("10,000 header fields", b"GET /dicom-web/studies HTTP/1.1\r\n" + host + b"".join(b"X-%d: y\r\n" % i for i in range(10000)) + b"\r\n", {400, 413, 431}),
            ("another protocol", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", {0, 400, 505})]:
        status = raw_status(server, request)
        check(f"{what} is refused", status in expected, status)
    smuggled = raw(server, b"POST /dicom-web/studies HTTP/1.1\r\n" + host + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\n" + host + b"\r\n")
    check("what stands behind an unclear request is not answered", smuggled.count(b"HTTP/1.1 ") == 1, smuggled)
    check("the server is well", server.http("GET", "/healthz")[0] == 200)


def codings(server):
    for header, expected in [(None, None), ("gzip", "gzip"), ("zstd", "zstd"), ("gzip;q=0", None), ("gzip;q=0.3, identity;q=0.9", None), ("gzip, deflate, br, zstd", "zstd")]:
        status, headers, body = server.http("GET", ROOT + "/", headers={"Accept": "application/json", **({"Accept-Encoding": header} if header else {})})
        check("the capabilities are there", status == 200, status)
        check(f"Accept-Encoding {header} gives {expected}", headers.get("Content-Encoding") == expected, headers)
        check("caches are told", "Accept-Encoding" in headers["Vary"], headers)
        if expected != "zstd":
            json.loads(gzip.decompress(body) if expected else body)
        else:
            check("it is a zstd frame", body[:4] == b"\x28\xb5\x2f\xfd", body[:4])


def other_sites(server):
    status, headers, _ = server.http("GET", ROOT + "/studies", headers={**JSON, "Origin": VIEWER})
    check("the viewer's page may read", headers.get("Access-Control-Allow-Origin") == VIEWER and headers["Access-Control-Allow-Credentials"] == "true", headers)
    check("and see what it needs", all(name in headers["Access-Control-Expose-Headers"] for name in ["ETag", "Content-Length", "Content-Location", "Location", "Warning"]), headers)
    check("caches keep sites apart", "Origin" in headers["Vary"], headers)
    status, headers, _ = server.http("GET", ROOT + "/studies", headers={**JSON, "Origin": "https://other.example"})
    check("another's may not", status == 200 and "Access-Control-Allow-Origin" not in headers and "Origin" in headers["Vary"], headers)
    status, headers, body = server.http("GET", "/nowhere", headers={"Origin": VIEWER})
    check("a page can read problems too", status == 404 and headers["Access-Control-Allow-Origin"] == VIEWER, headers)
    for path in ["/studies", "/studies/1.2", "/"]:
        status, headers, body = server.http("OPTIONS", ROOT + path, headers={"Origin": VIEWER, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"})
        check("a preflight is answered", status == 204 and body == b"" and headers["Access-Control-Allow-Origin"] == VIEWER, (status, headers))
        check("with methods and fields", "GET" in headers["Access-Control-Allow-Methods"] and "Content-Type" in headers["Access-Control-Allow-Headers"] and int(headers["Access-Control-Max-Age"]) > 0, headers)
    status, headers, _ = server.http("OPTIONS", ROOT + "/studies", headers={"Origin": "https://other.example", "Access-Control-Request-Method": "POST"})
    check("another's preflight is not let through", "Access-Control-Allow-Origin" not in headers, headers)
    for origin, refused in [(VIEWER, False), ("https://other.example", True)]:
        status, _, _ = server.http("POST", ROOT + "/studies", body=b"", headers={"Origin": origin, "Content-Type": "text/plain"})
        check(f"a change by {origin} is {'refused' if refused else 'looked at'}", (status == 403) == refused, status)


def any_site():
    with tempfile.TemporaryDirectory() as data, gantry.Server(data, "--cors-origin", "*") as server:
        status, headers, _ = server.http("GET", ROOT + "/studies", headers={**JSON, "Origin": "https://a.example"})
        check("any site may read", headers["Access-Control-Allow-Origin"] == "*", headers)
        check("never with credentials", "Access-Control-Allow-Credentials" not in headers, headers)
        status, _, _ = server.http("POST", ROOT + "/studies", body=b"", headers={"Origin": "https://a.example", "Cookie": "x=y", "Content-Type": "text/plain"})
        check("nor with a cookie", status == 403, status)


def closed():
    with tempfile.TemporaryDirectory() as data, gantry.Server(data, auth=True) as server:
        status, headers, _ = server.http("GET", ROOT + "/studies", headers={**JSON, "Origin": VIEWER})
        check("without configuration no other site is let in", status == 200 and not any(h.startswith("Access-Control") for h in headers), headers)
        status, headers, body = server.http("GET", ROOT + "/studies", headers={"Authorization": "Bearer wrong"})
        check("who is not known is asked", status == 401 and headers["WWW-Authenticate"].startswith("Bearer") and json.loads(body)["type"] == "/problems/unauthorized", (status, body))


def main():
    with tempfile.TemporaryDirectory() as data:
        config = Path(data) / "gantry.yaml"
        config.write_text(f"cors:\n  origins: ['{VIEWER}']\nhttp:\n  trusted-proxies: [127.0.0.1]\n")
        with gantry.Server(Path(data) / "d", config=config) as server:
            problems(server)
            methods(server)
            wire(server)
            codings(server)
            other_sites(server)
    any_site()
    closed()
    print(f"{checks} checks passed")


main()
