#!/usr/bin/env python3
"""The web side's armour as a browser meets it: fields of every answer, pages of other sites, ceilings, no way to other hosts; and where C-MOVE may lead."""
import json
import re
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry

PATHS = ["/", "/web/main.js", "/web/nothing.js", "/healthz", "/readyz", "/metrics", "/api/session", "/api/worklist", "/api/oidc", "/api/oidc/login",
         "/api/oidc/callback?state=x&code=y", "/dicom-web/studies", "/dicom-web/studies/1.2/rendered", "/wado?requestType=WADO", "/nowhere", "//evil.example/", "/%2e%2e/etc/passwd"]
WANTED = {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
          "Cross-Origin-Opener-Policy": "same-origin"}


def check(what, condition, seen=""):
    assert condition, f"{what}: {seen}"


def fields(server):
    for path in PATHS:
        for method in ("GET", "POST", "DELETE", "OPTIONS", "BREW"):
            status, headers, body = server.http(method, path)
            for name, value in WANTED.items():
                check(f"{method} {path} has {name}", headers.get(name) == value, (status, headers))
            policy = headers.get("Content-Security-Policy", "")
            check("nothing is allowed but what is named", policy.startswith("default-src 'none'") and "frame-ancestors 'none'" in policy, (path, policy))
            check("nothing inline, nothing evaluated, nothing from anywhere", not re.search(r"unsafe|\*|https?:|data:", policy), policy)
            check("no cache keeps it unasked", headers.get("Cache-Control", ""), (method, path, headers))
            check("it leads to no other host", not headers.get("Location") or re.match(r"/(?!/)", headers["Location"]), headers.get("Location"))
            check("no other site may read it", "Access-Control-Allow-Origin" not in headers, headers)
            check("the program does not tell its name", "Server" not in headers, headers)


def page(server):
    status, headers, body = server.http("GET", "/")
    text = body.decode()
    check("the page is there", status == 200)
    check("with no script or style of its own text", not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", text), text)
    check("and no text becomes markup by itself", "require-trusted-types-for 'script'" in headers["Content-Security-Policy"])
    for name in re.findall(r'(?:src|href)="(web/[^"]+)"', text):
        check(f"{name} is there", server.http("GET", f"/{name}")[0] == 200)


def other_sites(server):
    sign_in = json.dumps({"token": server.token})
    own = f"http://127.0.0.1:{server.http_port}"
    status, headers, _ = server.http("POST", "/api/session", body=sign_in, headers={"Content-Type": "application/json", "Origin": own, "Sec-Fetch-Site": "same-origin"})
    check("our own page signs in", status == 200, status)
    cookie = headers["Set-Cookie"]
    check("by a cookie that scripts and other sites never have", "HttpOnly" in cookie and "SameSite=Strict" in cookie, cookie)
    session = {"Cookie": cookie.split(";")[0]}
    for who in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": f"{own}0"}, {"Origin": f"{own}.evil.example"}):
        for method, path in (("POST", "/api/session"), ("DELETE", "/api/session"), ("POST", "/api/holds"), ("DELETE", "/dicom-web/studies/1.2.3"), ("POST", "/dicom-web/studies")):
            status, _, _ = server.http(method, path, body=b"{}" if method == "POST" else None, headers={**session, **who})
            check(f"another site's page may not {method} {path}", status == 403, (who, status))
    embedded = {**session, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    check("nor show what is here", server.http("GET", "/api/worklist", headers=embedded)[0] == 403)
    framed = {**session, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
    check("nor frame it", server.http("GET", "/", headers=framed)[0] == 403)
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    check("but link to it", server.http("GET", "/", headers=link)[0] == 200)
    check("who is signed in still is", server.http("GET", "/api/worklist", headers=session)[0] == 200)


def ceilings(server):
    head = {"Content-Type": "application/json"}
    check("a form of 2 MiB is too large", server.http("POST", "/api/session", body=b'"' + b"a" * (2 << 20) + b'"', headers=head)[0] == 413)
    check("a bottomless one does not parse", server.http("POST", "/api/session", body=b"[" * 100000, headers=head)[0] in (400, 413))
    check("what is packed is not unpacked", server.http("POST", "/api/session", body=b"\x1f\x8b\x08" + bytes(100), headers={**head, "Content-Encoding": "gzip"})[0] in (400, 415))
    check("a field of 20 KiB is too long", server.http("GET", "/healthz", headers={"X-Long": "a" * 20000})[0] in (431, 413))
    check("so is a token of that length", server.http("GET", "/api/worklist", headers={"Authorization": "Bearer " + "a" * 11000})[0] == 401)


def destinations(folder):
    """C-MOVE goes to no peer outside of the networks that the administrator allows, whatever its entry says."""
    (folder / "move.yaml").write_text("peers:\n  - {aet: ELSEWHERE, host: localhost, port: 11112}\noutgoing:\n  networks: [10.0.0.0/8]\n")
    gantry.run(gantry.GANTRY, "synth", "--out", folder / "one", "--kind", "chest-ct", "--slices", "1", "--size", "64", timeout=120)
    objects = [p.read_bytes() for p in (folder / "one").rglob("*.dcm")]
    with gantry.Server(folder / "move", config=folder / "move.yaml") as server:
        server.store(objects)
        study = server.get_json("/dicom-web/studies")[0]["0020000D"]["Value"][0]
        result = gantry.run(gantry.GANTRY, "move", f"{server.aet}@127.0.0.1:{server.dicom_port}", "--to", "ELSEWHERE", "--key", f"StudyInstanceUID={study}", check=False)
        check("nothing is sent there", result.returncode != 0, result.stdout)
        server.logged("outgoing: networks")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with gantry.Server(folder / "data", auth=True) as server:
            fields(server)
            page(server)
            other_sites(server)
            ceilings(server)
        destinations(folder)


main()
