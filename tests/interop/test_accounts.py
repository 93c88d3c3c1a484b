#!/usr/bin/env python3
"""Accounts over HTTP and the command line: first start, sign-in with password and second factor, roles, tokens, sessions, administration and its control socket."""
import base64
import hashlib
import hmac
import json
import os
import re
import socket
import stat
import struct
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry

PASSWORD, SECOND = "seven purple elephants", "nine yellow tractors"
checks = 0


def check(what, condition, seen=""):
    global checks
    checks += 1
    if not condition:
        raise AssertionError(f"{what}: {seen}")


class Browser:
    """One who keeps a cookie, and sends no token."""

    def __init__(self, server):
        self.server, self.cookie = server, None

    def ask(self, method, path, body=None, headers=None):
        headers = {"Authorization": "", **({"Cookie": self.cookie} if self.cookie else {}), **(headers or {})}
        if body is not None:
            headers["Content-Type"] = "application/json"
        status, answered, data = self.server.http(method, path, body=None if body is None else json.dumps(body), headers=headers)
        if "Set-Cookie" in answered:
            self.cookie = answered["Set-Cookie"].split(";")[0]
        return status, answered, json.loads(data) if data and "json" in answered.get("Content-Type", "") else data

    def sign_in(self, name, password, code=None):
        return self.ask("POST", "/api/session", {"name": name, "password": password, **({"code": code} if code else {})})


def totp(secret, step):
    mac = hmac.new(base64.b32decode(secret), struct.pack(">Q", step), hashlib.sha1).digest()
    at = mac[-1] & 15
    return f"{(struct.unpack('>I', mac[at:at + 4])[0] & 0x7fffffff) % 1000000:06d}"


def command(folder, *words, expect=0, stdin=None):
    noun, verb, *rest = words
    done = gantry.run(gantry.GANTRY, noun, verb, *gantry.archive(folder), *rest, check=False, input=stdin, timeout=60)
    check(f"{' '.join(words)} ends with {expect}", (done.returncode == 0) == (expect == 0), (done.returncode, done.stdout, done.stderr))
    return done.stdout if expect == 0 else done.stderr


def answer(folder, *words, **options):
    return json.loads(command(folder, *words, "--json", **options))


# ---- the first start ----

def first_start(server):
    one_time = re.search(r"one-time password (\S+)", server.printed)
    check("the first start shows a one-time password", one_time, server.printed)
    page = Browser(server)
    check("there is no default password", page.sign_in("admin", "admin")[0] == 401)
    status, headers, told = page.sign_in("Admin", one_time.group(1))
    check("the one-time password signs in and must be changed", status == 200 and told["must_change"] and told["user"] == "admin", told)
    check("scripts cannot read the cookie, other sites cannot send it", "HttpOnly" in headers["Set-Cookie"] and "SameSite=Strict" in headers["Set-Cookie"], headers)
    check("until then nothing else is allowed", page.ask("GET", "/dicom-web/studies")[0] == 403 and page.ask("GET", "/api/admin/user/list")[0] == 403)
    for weak in ("short", "Administrator2026!", "password1234", "qwertyuiop[]", one_time.group(1)):
        status, _, told = page.ask("POST", "/api/account/password", {"old": one_time.group(1), "new": weak})
        check(f"'{weak}' is refused", status == 400, (status, told))
    check("nor does a guess at the old one help", page.ask("POST", "/api/account/password", {"old": "x" * 12, "new": PASSWORD})[0] == 403)
    check("a good one is taken", page.ask("POST", "/api/account/password", {"old": one_time.group(1), "new": PASSWORD})[0] == 204)
    check("the same session goes on", page.ask("GET", "/dicom-web/studies")[0] in (200, 204))
    check("the one-time password is over", Browser(server).sign_in("admin", one_time.group(1))[0] == 401)
    return page, one_time.group(1)


def guessing(server):
    """Wrong passwords wait longer and longer, of whoever's name; the answer is the same."""
    answers = []
    for name in ("admin", "nobody"):
        page, told = Browser(server), []
        for i in range(40):  # on a slow machine the first waits are over before the next try
            if i >= 8 and any(s == 429 for s, _ in told):
                break
            status, headers, body = page.sign_in(name, f"guess number {i} of many")
            told.append((status, re.sub(r"\d+", "N", body["detail"])))
            if status == 429:
                check("it says how long", int(headers["Retry-After"]) >= 1, headers)
        check("it ends in waiting", told[0][0] == 401 and (429, "too many failures: wait N seconds") in told, told)
        answers.append(set(told))
    check("a name that is nobody's is answered like another", answers[0] == answers[1], answers)


# ---- the account ----

def second_factor(server, page):
    status, _, told = page.ask("POST", "/api/account/factor")
    secret = told["secret"]
    check("a secret is made", status == 200 and told["uri"] == f"otpauth://totp/Gantry:admin?secret={secret}&issuer=Gantry", told)
    step = int(time.time()) // 30
    check("it counts when a code shows that it is known", page.ask("POST", "/api/account/factor/on", {"secret": secret, "code": "12345"})[0] == 400)
    status, _, told = page.ask("POST", "/api/account/factor/on", {"secret": secret, "code": totp(secret, step)})
    check("recovery codes are shown", status == 200 and len(set(told["recovery"])) == 10, told)
    recovery = told["recovery"]
    status, _, told = Browser(server).sign_in("admin", PASSWORD)
    check("the password alone asks for the code", status == 200 and told == {"token_required": True, "user": "", "code_needed": True}, told)
    check("a code counts once", Browser(server).sign_in("admin", PASSWORD, totp(secret, step))[0] == 401)
    check("a wrong password with a right code is wrong", Browser(server).sign_in("admin", "x" * 20, totp(secret, step + 1))[0] == 401)
    check("the next code signs in", Browser(server).sign_in("admin", PASSWORD, totp(secret, step + 1))[0] == 200)
    check("a recovery code does, once", [Browser(server).sign_in("admin", PASSWORD, recovery[0].lower())[0] for _ in range(2)] == [200, 401])
    check("it is switched off with the password", page.ask("POST", "/api/account/factor/off", {"password": PASSWORD})[0] == 204)


def sessions(server, page):
    other = Browser(server)
    check("another browser signs in", other.sign_in("admin", PASSWORD)[0] == 200)
    status, _, all_of_them = page.ask("GET", "/api/account/sessions")
    check("both are listed, the own one marked", status == 200 and len([s for s in all_of_them if s["this"]]) == 1 and len(all_of_them) >= 2, all_of_them)
    theirs = other.ask("GET", "/api/account/sessions")[2]
    id_of_other = next(s["id"] for s in theirs if s["this"])
    check("one is ended", page.ask("DELETE", f"/api/account/sessions/{id_of_other}")[0] == 204)
    check("at once", other.ask("GET", "/api/account")[0] == 401)
    check("signing out ends one's own", page.ask("DELETE", "/api/session")[0] == 204 and page.ask("GET", "/api/account")[0] == 401)
    check("signing in again", page.sign_in("admin", PASSWORD)[0] == 200)


def roles(server, folder, page):
    added = answer(folder, "user", "add", "li.wei", "--display", "李伟", "--role", "viewer")
    viewer = Browser(server)
    check("who was added signs in with the password that was made", viewer.sign_in("li.wei", added["one_time_password"])[2]["must_change"], added)
    check("and changes it", viewer.ask("POST", "/api/account/password", {"old": added["one_time_password"], "new": SECOND})[0] == 204)
    told = viewer.ask("GET", "/api/session")[2]
    check("the page knows the name and what is allowed", told["display"] == "李伟" and told["roles"] == ["viewer"] and "study.read" in told["permissions"], told)
    check("a viewer finds", viewer.ask("GET", "/dicom-web/studies")[0] in (200, 204))
    for method, path in (("GET", "/metrics"), ("GET", "/api/admin/user/list"), ("DELETE", "/dicom-web/studies/1.2.3"), ("POST", "/api/holds"), ("GET", "/api/cluster")):
        check(f"and may not {method} {path}", viewer.ask(method, path, {} if method == "POST" else None)[0] == 403)
    status, _, told = viewer.ask("POST", "/api/admin/user/grant", {"name": "li.wei", "role": "administrator"})
    check("nor help himself", status == 403 and "user.write" in told["detail"], told)
    status, _, told = page.ask("POST", "/api/admin/user/grant", {"name": "li.wei", "role": "auditor"})
    check("an administrator gives a role, which counts at once", status == 200 and viewer.ask("GET", "/api/admin/user/list")[0] == 200, told)
    check("and takes it", page.ask("POST", "/api/admin/user/ungrant", {"name": "li.wei", "role": "auditor"})[0] == 200)
    check("at once", viewer.ask("GET", "/api/admin/user/list")[0] == 403)
    for body, word in (({"name": "x"}, "role"), ({"name": "x", "role": "viewer", "colour": "red"}, "colour"), ({"name": 3, "role": "viewer"}, "name")):
        status, _, told = page.ask("POST", "/api/admin/user/grant", body)
        check("what does not fit the table is told", status == 400 and word in told["detail"], (body, told))
    check("what changes is not asked for with GET", page.ask("GET", "/api/admin/user/remove?name=li.wei")[0] == 400)
    for days in (-1, 40000, 1 << 62):
        check(f"a grant does not last {days} days", page.ask("POST", "/api/admin/user/grant", {"name": "li.wei", "role": "auditor", "days": days})[0] == 400)
    check("nor is a checkpoint, which signs", page.ask("GET", "/api/admin/audit/checkpoint")[0] == 400)
    status, _, told = page.ask("POST", "/api/admin/audit/checkpoint", {})
    check("but posted for", status == 200, told)
    status, _, told = page.ask("POST", "/api/admin/assign/add", {"study": "1.2.3", "user": "nobody.there"})
    check("studies are assigned to who is there", status == 404 and "nobody.there" in told["detail"], told)
    check("a secret stands in no address", page.ask("GET", "/api/admin/user/list?password=x")[0] == 400)
    check("the list of operations is there", len(page.ask("GET", "/api/admin")[2]) > 10)
    command(folder, "user", "set", "li.wei", "--state", "off")
    check("switched off, the session is over", viewer.ask("GET", "/api/account")[0] == 401 and viewer.sign_in("li.wei", SECOND)[0] == 401)
    command(folder, "user", "set", "li.wei", "--state", "on")


def settle(server, folder_answer, name, password):
    """Who was just added, signed in with a password of its own."""
    browser = Browser(server)
    browser.sign_in(name, folder_answer["one_time_password"])
    check(f"{name} has a password", browser.ask("POST", "/api/account/password", {"old": folder_answer["one_time_password"], "new": password})[0] == 204)
    return browser


def tenants(server, folder):
    head = settle(server, answer(folder, "user", "add", "head.north", "--role", "administrator", "--scope", "tenant:north"), "head.north", "nine yellow tractors")
    answer(folder, "user", "add", "reader.south", "--role", "viewer", "--scope", "tenant:south")
    status, _, added = head.ask("POST", "/api/admin/user/add", {"name": "reader.north", "role": "radiologist"})
    check("who administers a tenant adds its people", status == 200 and added["one_time_password"], added)
    reader = settle(server, added, "reader.north", "four orange ladders")
    told = reader.ask("GET", "/api/session")[2]
    check("who work there", told["roles"] == ["radiologist"], told)
    status, _, told = head.ask("GET", "/api/admin/user/list")
    check("and sees those alone", status == 200 and {u["name"] for u in told} == {"head.north", "reader.north"}, told)
    check("and who of them is signed in", {s["user"] for s in head.ask("GET", "/api/admin/session/list")[2]} == {"head.north", "reader.north"})
    missing = head.ask("POST", "/api/admin/user/password", {"name": "reader.nowhere"})
    for name in ("reader.south", "admin"):
        status, _, told = head.ask("POST", "/api/admin/user/password", {"name": name})
        same = json.loads(json.dumps(missing[2]).replace("reader.nowhere", name))
        check(f"{name} is as one who is not there", status == missing[0] == 404 and {**told, "trace": ""} == {**same, "trace": ""}, (told, same))
    for body in ({"name": "reader.north", "role": "viewer", "scope": "*"}, {"name": "reader.north", "role": "viewer", "scope": "tenant:south"},
                 {"name": "head.north", "role": "auditor", "scope": "tenant:north"}):
        check(f"nobody is given {body['role']} within {body['scope']}", head.ask("POST", "/api/admin/user/grant", body)[0] == 403)
    check("switched off at once", head.ask("POST", "/api/admin/user/set", {"name": "reader.north", "state": "off"})[0] == 200 and reader.ask("GET", "/api/account")[0] == 401)
    check("the log is not the tenant's", head.ask("GET", "/api/admin/audit/search")[0] == 403 and head.ask("GET", "/api/admin/role/list")[0] == 200)


def tokens(server, folder, page):
    with_token = lambda token, path: server.http("GET", path, headers={"Authorization": f"Bearer {token}"})[0]
    made = answer(folder, "token", "add", "mirror", "--role", "viewer")["token"]
    check("a token opens what its role permits and no more", (with_token(made, "/dicom-web/studies"), with_token(made, "/metrics")) in ((200, 403), (204, 403)))
    renewed = answer(folder, "token", "renew", "mirror")["token"]
    check("renewed, the old secret is over", with_token(made, "/dicom-web/studies") == 401 and with_token(renewed, "/dicom-web/studies") in (200, 204))
    command(folder, "token", "revoke", "mirror")
    check("revoked, the new one, too", with_token(renewed, "/dicom-web/studies") == 401)
    viewer = Browser(server)
    viewer.sign_in("li.wei", SECOND)
    check("nobody gives his token more than he has", viewer.ask("POST", "/api/account/tokens", {"name": "x", "role": "administrator"})[0] == 403)
    status, _, told = viewer.ask("POST", "/api/account/tokens", {"name": "laptop", "role": "viewer", "days": 7})
    check("he makes one of his own", status == 200 and told["name"] == "li.wei+laptop" and with_token(told["token"], "/dicom-web/studies") in (200, 204), told)
    check("a token is no person", server.http("POST", "/api/account/password", body=b"{}", headers={"Authorization": f"Bearer {told['token']}"})[0] == 403)
    check("others cannot end it", page.ask("DELETE", "/api/account/tokens/li.wei+laptop")[0] == 404)
    check("he can", viewer.ask("DELETE", "/api/account/tokens/li.wei+laptop")[0] == 204 and with_token(told["token"], "/dicom-web/studies") == 401)


# ---- the command line ----

def control_socket(server, folder, data):
    place = data / "control.sock"
    mode = place.stat().st_mode
    check("the socket is its owner's alone", stat.S_ISSOCK(mode) and mode & 0o777 == 0o600, oct(mode))
    for sent in (b"\n", b"nonsense\n", b'{"noun":"user","verb":"fly"}\n', b"[" * 5000 + b"\n", b'{"noun":"user","verb":"list","in":[1]}\n'):
        with socket.socket(socket.AF_UNIX) as caller:
            caller.settimeout(60)
            caller.connect(str(place))
            caller.sendall(sent)
            told = json.loads(caller.makefile().readline())
            check("what is no request is answered with words", told["kind"] > 0 and told["message"], told)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(place))
        check("one who calls and says nothing keeps nobody out", answer(folder, "user", "show", "admin")["name"] == "admin")
    secret = data.parent / "password.txt"
    secret.write_text("eleven quiet harbours\n")
    answer(folder, "user", "add", "zhao.min", "--role", "technologist", "--password-file", str(secret))
    check("a first password from a file", Browser(server).sign_in("zhao.min", "eleven quiet harbours")[2]["must_change"])
    answer(folder, "user", "password", "zhao.min", "--password-file", "-", stdin="twelve silent bridges\n")
    check("or from standard input", Browser(server).sign_in("zhao.min", "twelve silent bridges")[0] == 200)
    check("a password has no place on the command line", "unknown option" in command(folder, "user", "password", "zhao.min", "--password", "x", expect=1))
    check("what is missing is told", "argument is missing" in command(folder, "user", "show", expect=1))
    listed = command(folder, "user", "list")
    check("lists are for people, too", "NAME" in listed and "李伟" in listed and "viewer *" in listed, listed)


def without_server(folder):
    answer(folder, "role", "set", "desk", "--permission", "user.read", "--permission", "study.find", "--summary", "Front desk")
    answer(folder, "user", "grant", "li.wei", "--role", "desk", "--scope", "site:north/east", "--days", "3")
    grants = answer(folder, "user", "show", "li.wei")["grants"]
    check("without a server the archive is opened", [g for g in grants if g["role"] == "desk" and g["scope"] == "site:north/east" and g["until_ms"]], grants)
    check("the last administrator stays", "another administrator" in command(folder, "user", "remove", "admin", expect=1))


def main():
    with tempfile.TemporaryDirectory() as top:
        folder = Path(top) / "archive"
        folder.mkdir()
        with gantry.Server(folder, auth=True) as server:
            data = Path(gantry.cluster.directory(folder)) if gantry.on_cluster() and hasattr(gantry.cluster, "directory") else folder
            page, one_time = first_start(server)
            roles(server, folder, page)
            tenants(server, folder)
            tokens(server, folder, page)
            second_factor(server, page)
            sessions(server, page)
            if (data / "control.sock").exists():
                control_socket(server, folder, data)
            guessing(server)
            told = server.stderr()
        without_server(folder)
        kept = b"".join(p.read_bytes() for p in folder.rglob("*") if p.is_file())
        for secret in (PASSWORD, SECOND, one_time, server.token, page.cookie.split("=")[1], "twelve silent bridges"):
            check("no secret is kept or logged", secret.encode() not in kept and secret not in told, secret)
        with gantry.Server(folder, auth=True) as server:
            check("a later start shows nothing", "password" not in server.printed and server.token is None, server.printed)
            again = Browser(server)
            again.cookie = page.cookie
            check("sessions outlive the process", again.ask("GET", "/api/account")[0] == 200)
    print(f"{checks} checks")


os.environ.setdefault("USER", "tester")
main()
