#!/usr/bin/env python3
"""Single sign-on by an OpenID provider of other makers (oidc-provider of npm): people in Debian's Chromium, programs with access tokens, bad tokens, new keys.

SHOTS names a folder for screenshots.
"""
import base64
import http.client
import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry
import node

PEOPLE = {"li.wei": {"name": "李伟", "preferred_username": "li.wei", "groups": ["radiology", "staff"]},
          "stranger": {"name": "Stranger", "preferred_username": "stranger", "groups": ["kitchen"]}}
CONFIG = """
http:
  base-url: {base}
oidc:
  issuer: {issuer}
  client-id: gantry
  client-secret-file: {secret}
  title: 第一医院
  scopes: openid profile groups
  audience: gantry-api
  roles:
    - {{group: radiology, role: radiologist}}
    - {{group: programs, role: viewer}}
"""
LIMIT_S = 60


def check(what, condition, seen=""):
    assert condition, f"{what}: {seen}"


class Provider:
    """tests/interop/oidc_provider.mjs, driven by lines of JSON."""

    def __init__(self, modules, folder, base):
        self.port = gantry.free_port()
        config = Path(folder) / "provider.json"
        config.write_text(json.dumps({"gantry": base, "people": PEOPLE}))
        self.log = open(Path(folder) / "provider.log", "w+")
        self.process = subprocess.Popen(["node", modules / "oidc_provider.mjs", str(self.port), config], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
                                        text=True)
        self.issuer = self.answer()["issuer"]

    def answer(self):
        for line in self.process.stdout:
            if line.startswith("{"):
                said = json.loads(line)
                assert "error" not in said, said
                return said
        self.log.seek(0)
        raise RuntimeError(f"the provider ended: {self.log.read()[-2000:]}")

    def order(self, what):
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def sign(self, claims, alg="ES256", **header):
        return self.order({"sign": {"header": {"alg": alg, **header}, "claims": claims, "kid": "ec" if alg == "ES256" else "rsa"}})["token"]

    def robot(self):
        """An access token as the provider gives it to a program."""
        form = urllib.parse.urlencode({"grant_type": "client_credentials", "scope": "api", "resource": "urn:gantry"}).encode()
        ask = urllib.request.Request(f"{self.issuer}/token", form, {"Authorization": "Basic " + base64.b64encode(b"robot:robot").decode()})
        with urllib.request.urlopen(ask, timeout=60) as answer:
            return json.load(answer)["access_token"]

    def stop(self):
        self.process.stdin.close()
        self.process.wait(60)


class Liar(http.server.BaseHTTPRequestHandler):
    """A provider whose metadata lead elsewhere."""

    metadata = {}
    asked = []

    def do_GET(self):
        self.asked.append(self.path)
        body = json.dumps(self.metadata).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def bearer(server, token, path="/dicom-web/studies", method="GET"):
    return server.http(method, path, headers={"Authorization": f"Bearer {token}", "Accept": "application/dicom+json"})[0]


def good(**changes):
    now = int(time.time())
    claims = {"iss": changes.pop("issuer"), "sub": "robot", "aud": "gantry-api", "iat": now, "exp": now + 300, "groups": ["programs"], **changes}
    return {name: value for name, value in claims.items() if value is not None}


def unsigned(header, claims):
    part = lambda v: base64.urlsafe_b64encode(json.dumps(v).encode()).rstrip(b"=").decode()
    return f"{part(header)}.{part(claims)}."


def programs(server, provider):
    token = provider.robot()
    check("a program reads by its access token", bearer(server, token) in (200, 204), bearer(server, token))
    check("and may no more than its role", bearer(server, token, "/dicom-web/studies/1.2.3", "DELETE") == 403)
    check("nor administer", bearer(server, token, "/api/conflicts") == 403)
    issuer, now = provider.issuer, int(time.time())
    check("a token that we made like it is taken", bearer(server, provider.sign(good(issuer=issuer))) in (200, 204))
    check("who is in no group that has a role may nothing", bearer(server, provider.sign(good(issuer=issuer, groups=["kitchen"]))) == 403)
    head, body, signature = token.split(".")
    bad = {"alg none": unsigned({"alg": "none"}, good(issuer=issuer)),
           "no signature": f"{head}.{body}.",
           "another's signature": f"{head}.{body}.{provider.robot().split('.')[2]}",
           "other claims under it": f"{head}.{provider.sign(good(issuer=issuer)).split('.')[1]}.{signature}",
           "cut": token[:-10],
           "expired": provider.sign(good(issuer=issuer, iat=now - 7200, exp=now - 3600)),
           "not yet valid": provider.sign(good(issuer=issuer, nbf=now + 3600)),
           "without an end": provider.sign(good(issuer=issuer, exp=None)),
           "another issuer": provider.sign(good(issuer="https://evil.example")),
           "another audience": provider.sign(good(issuer=issuer, aud="gantry")),
           "no audience": provider.sign(good(issuer=issuer, aud=None)),
           "nobody": provider.sign(good(issuer=issuer, sub=None)),
           "an unknown key": provider.sign(good(issuer=issuer), kid="../../etc/passwd"),
           "a key of its own": provider.sign(good(issuer=issuer), jwk={"kty": "EC"}),
           "a place of its key": provider.sign(good(issuer=issuer), jku="https://evil.example/"),
           "another type": provider.sign(good(issuer=issuer), typ="logout+jwt"),
           "an ID token": provider.sign(good(issuer=issuer, nonce="n"))}
    for what, token in bad.items():
        status, headers, answer = server.http("GET", "/dicom-web/studies", headers={"Authorization": f"Bearer {token}"})
        check(f"a bad token is refused: {what}", status == 401, (status, answer[:200]))
        check("and the answer does not repeat it", token.encode() not in answer)


def associations(server, provider):
    """A token as the user identity of an association (PS3.7 D.3.3.7, type 5)."""
    def echo(token):
        with gantry.Association(server.dicom_port, server.aet, ["1.2.840.10008.1.1"], identity=(5, token.encode(), b"")) as association:
            return association.echo()

    check("a program associates by its access token", echo(provider.robot()) == 0)
    for token in (provider.sign(good(issuer=provider.issuer, aud="gantry")), unsigned({"alg": "none"}, good(issuer=provider.issuer))):
        try:
            echo(token)
        except ConnectionError:
            continue
        raise AssertionError("an association with a bad token was accepted")


def new_keys(server, provider):
    old = provider.robot()
    check("the old key counts", bearer(server, old) in (200, 204))
    provider.order({"restart": True})
    new, until = provider.robot(), time.monotonic() + LIMIT_S
    while bearer(server, new) == 401 and time.monotonic() < until:
        time.sleep(0.2)  # the provider is not asked at every bad token
    check("a new key counts without a restart", bearer(server, new) in (200, 204))
    check("and the old one no more", bearer(server, old) == 401)


def backchannel(server, provider):
    def send(token):
        form = urllib.parse.urlencode({"logout_token": token})
        return server.http("POST", "/api/oidc/backchannel-logout", body=form, headers={"Content-Type": "application/x-www-form-urlencoded"})[0]

    now = int(time.time())
    events = {"http://schemas.openid.net/event/backchannel-logout": {}}
    claims = {"iss": provider.issuer, "aud": "gantry", "iat": now, "exp": now + 120, "jti": "1", "sub": "li.wei", "events": events}
    check("the provider may end sessions", send(provider.sign(claims, typ="logout+jwt")) == 200)
    check("but not by an ID token", send(provider.sign({**claims, "events": None, "nonce": "n"})) == 400)
    check("nor for another client", send(provider.sign({**claims, "aud": "other"})) == 400)
    check("nor by nothing", send("") == 400)


def refused_ways(server, provider, base):
    status, headers, _ = server.http("GET", "/api/oidc/login?return=https://evil.example/&redirect_uri=https://evil.example/")
    where = headers["Location"]
    check("the way to the provider is its own", status == 303 and where.startswith(provider.issuer), where)
    asked = urllib.parse.parse_qs(urllib.parse.urlparse(where).query)
    check("and back here alone", asked["redirect_uri"] == [f"{base}/api/oidc/callback"], asked)
    check("by code and PKCE", asked["response_type"] == ["code"] and asked["code_challenge_method"] == ["S256"] and len(asked["code_challenge"][0]) == 43, asked)
    cookie = headers["Set-Cookie"]
    check("the secret is hidden from scripts", "HttpOnly" in cookie and "SameSite=Lax" in cookie, cookie)
    secret = cookie.split(";")[0]
    state = asked["state"][0]
    check("and tells nothing in the address", secret.split("=")[1] not in where)
    for query, with_cookie in ((f"code=x&state={state}", False), ("code=x&state=other", True), ("code=x", True), (f"state={state}", True), (f"code=x&state={state}", True),
                               (f"code=x&state={state}&iss={urllib.parse.quote(provider.issuer)}", True), (f"code=x&state={state}&iss=https://evil.example", True), (f"error=access_denied&state={state}&iss={provider.issuer}", True), ("", True)):
        status, headers, _ = server.http("GET", f"/api/oidc/callback?{query}", headers={"Cookie": secret} if with_cookie else {})
        check("an answer that is none leads home", status == 303 and headers["Location"].startswith("/#/sso/"), (query, headers))
        check("without a session", "gantry_session=" not in headers.get("Set-Cookie", "") , headers)
    status, _, _ = server.http("POST", "/api/oidc/logout", headers={"Origin": "https://evil.example"})
    check("another site's page signs nobody out", status == 403, status)


def liar(folder):
    """Metadata that lead to addresses that only this machine reaches are not followed."""
    service = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Liar)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    issuer = f"http://127.0.0.1:{service.server_address[1]}"
    (folder / "liar.yaml").write_text(CONFIG.format(base="http://127.0.0.1:1", issuer=issuer, secret=folder / "secret"))
    fits = {"issuer": issuer, "authorization_endpoint": f"{issuer}/a", "token_endpoint": f"{issuer}/t", "jwks_uri": f"{issuer}/k"}
    lies = {"metadata of a cloud": {**fits, "jwks_uri": "http://169.254.169.254/latest/meta-data/"}, "a file": {**fits, "jwks_uri": "file:///etc/passwd"},
            "another issuer": {**fits, "issuer": "https://evil.example"}, "no keys": {**fits, "jwks_uri": None}, "a script": {**fits, "authorization_endpoint": "javascript:alert(1)"}}
    for what, metadata in lies.items():
        Liar.metadata = metadata
        with gantry.Server(folder / "liar", config=folder / "liar.yaml", auth=True) as server:
            status, headers, _ = server.http("GET", "/api/oidc/login")
            check(f"not followed: {what}", status == 303 and headers["Location"] == "/#/sso/unreachable", headers)
            server.logged("identity provider")
            if "169.254" in json.dumps(metadata):
                server.logged("link-local")
    service.shutdown()


def main():
    if not shutil.which(os.environ.get("CHROMIUM", "chromium")):
        gantry.skip("chromium is not installed")
    modules = node.install()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shots = Path(os.environ.get("SHOTS", folder / "shots"))
        shots.mkdir(exist_ok=True)
        port = gantry.free_port()
        base = f"http://127.0.0.1:{port}"
        (folder / "secret").write_text("a secret of the client + 100 %\n")
        provider = Provider(modules, folder, base)
        (folder / "gantry.yaml").write_text(CONFIG.format(base=base, issuer=provider.issuer, secret=folder / "secret"))
        with gantry.Server(folder / "data", "--http-port", str(port), config=folder / "gantry.yaml", auth=True) as server:
            check("the page is told of it", server.get_json("/api/oidc") == {"enabled": True, "title": "第一医院"})
            refused_ways(server, provider, base)
            print(gantry.run("node", modules / "sso.mjs", f"{base}/", shots, timeout=400).stdout)
            backchannel(server, provider)
            programs(server, provider)
            associations(server, provider)
            new_keys(server, provider)
            log = server.stderr()
            check("no secret and no token stands in the log", "a secret of" not in log and "eyJ" not in log, log[-2000:])
        provider.stop()
        liar(folder)


main()
