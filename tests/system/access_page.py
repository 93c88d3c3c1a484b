#!/usr/bin/env python3
"""docs/access.md does what it says: its commands are run in their order, with other names and ports, and answer as they stand there.

--transcript FILE also keeps what was typed and answered, under the page's names: docs/access-transcript.md.
"""
import http.client
import http.server
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
from gantry import GANTRY, ROOT, free_port  # noqa: E402

PAGE = (ROOT / "docs" / "access.md").read_text(encoding="utf-8")
START_S = 120
HEAD = """# The seven commands, as they went

[access.md](access.md) followed by a newcomer's hands: a fresh machine with nothing but the program, all on one machine. `tests/system/access_page.py --transcript FILE` writes this page
anew; secrets are left out.

"""
# The public key of RFC 7517 A.1: nobody signs with it here.
KEY = {"kty": "EC", "crv": "P-256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM", "use": "sig", "kid": "1", "alg": "ES256"}


class Provider(http.server.BaseHTTPRequestHandler):
    """So much of an OpenID provider as the way to its sign-in needs."""

    def do_GET(self):
        issuer = f"http://127.0.0.1:{self.server.server_port}"
        answer = {"/.well-known/openid-configuration": {
            "issuer": issuer, "authorization_endpoint": f"{issuer}/authorize", "token_endpoint": f"{issuer}/token", "jwks_uri": f"{issuer}/keys",
            "response_types_supported": ["code"], "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["ES256"],
            "code_challenge_methods_supported": ["S256"]}, "/keys": {"keys": [KEY]}}.get(self.path)
        body = json.dumps(answer or {}).encode()
        self.send_response(200 if answer else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.M | re.S)


def commands(block):
    """(command, lines of the answer) of a console block."""
    out = []
    for line in block.splitlines():
        if line.startswith("$ "):
            out.append((line[2:], []))
        else:
            out[-1][1].append(line)
    return out


def pattern(line):
    """A line as a regular expression: days, the machine's name and the digest's kind differ, "..." is anything."""
    text = re.escape(line)
    text = re.sub(r"\d{4}\\-\d\d\\-\d\d", r"\\d{4}-\\d\\d-\\d\\d", text)
    text = re.sub(r"authority\\ of\\ \w+", r"authority of \\S+", text)
    return text.replace(re.escape("..."), ".*")


def answers(expected, got):
    """Every line stands there, in this order; a line of dots is any number of others, else nothing is between."""
    return re.search("^" + "".join("(?:.*\n)*?" if line == "..." else pattern(line) + "\n" for line in expected), got, re.M)


class Newcomer:
    def __init__(self, folder):
        self.home = folder / "home"
        self.work = folder / "work"
        self.dicom, self.http = free_port(), free_port()
        self.provider = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
        threading.Thread(target=self.provider.serve_forever, daemon=True).start()
        for path in (self.home, self.work, folder / "bin"):
            path.mkdir()
        (folder / "bin" / "gantry").symlink_to(GANTRY)
        self.env = {**os.environ, "HOME": str(self.home), "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
        self.env.pop("XDG_DATA_HOME", None)
        self.server = None
        self.count = 0
        self.transcript = ""

    def names(self):
        return (("/home/me", str(self.home)), ("pacs.hospital.example", "localhost"), ("10.0.0.5", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("11112", str(self.dicom)),
                         ("8443", str(self.http)), ("https://sso.hospital.example/realms/main", f"http://127.0.0.1:{self.provider.server_port}"))

    def own(self, text):
        """The page's names and ports, here."""
        now = dict(self.names())
        return re.sub("|".join(map(re.escape, now)), lambda was: now[was.group()], text)  # in one go: a port may have another's digits in it

    def keep(self, command, got):
        """As the page has it, without the secrets of this run."""
        text = f"$ {command}\n{got}"
        for was, now in self.names():
            text = text.replace(now, was) if was not in ("0.0.0.0", "10.0.0.5") else text
        text = re.sub(r"(one-time password |token )\S+", r"\1...", text)
        self.transcript += text + "\n"

    def run(self, command, expected):
        command, expected = self.own(command), [self.own(line) for line in expected]
        print("$", command, flush=True)
        self.count += command.startswith("gantry ")
        if command.startswith("gantry serve"):
            got = self.start(command)
        else:
            done = subprocess.run(command, shell=True, cwd=self.work, env=self.env, input="a secret of the provider's\n", capture_output=True, text=True)
            got = done.stdout
            assert done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}{self.log()}"
        self.keep(command, got)
        assert not expected or answers(expected, got), f"{command} answers\n{got}\nand the page says\n" + "\n".join(expected)

    def start(self, command):
        with open(self.work / "serve.log", "wb") as log:
            self.server = subprocess.Popen(command.split(), cwd=self.work, env=self.env, stdout=subprocess.PIPE, stderr=log, text=True)
        timer = threading.Timer(START_S, self.server.kill)
        timer.start()
        got = ""
        for line in self.server.stdout:
            got += line
            if line.startswith("ready"):
                break
        timer.cancel()
        threading.Thread(target=self.server.stdout.read, daemon=True).start()
        assert "ready" in got, f"the server did not start: {got}{self.log()}"
        return got

    def log(self):
        path = self.work / "serve.log"
        return path.read_text(errors="replace")[-3000:] if path.exists() else ""

    def settings(self, text):
        (self.work / "gantry.yaml").write_text(self.own(text) + f"dicom: {{port: {self.dicom}}}\n", encoding="utf-8")

    def bring_to_modality(self):
        """What section 5 says to bring there, and something to send."""
        for name in ("CT1.crt", "CT1.key", "ca.crt"):
            shutil.copy(self.home / ".local/share/gantry/tls" / name, self.work)
        subprocess.run([GANTRY, "synth", "--out", str(self.work / "images"), "--kind", "cr"], check=True, capture_output=True)

    def ask(self, path):
        conn = http.client.HTTPSConnection("localhost", self.http, context=ssl.create_default_context(cafile=str(self.work / "ca.crt")), timeout=60)
        conn.request("GET", path)
        answer = conn.getresponse()
        answer.read()
        conn.close()
        return answer

    def stop(self):
        if self.server and self.server.poll() is None:
            self.server.terminate()
            self.server.wait(180)
        self.provider.shutdown()


def check_single_sign_on(n):
    answer = n.ask("/api/oidc/login")
    assert answer.status in (302, 303), answer.status
    to = urlsplit(answer.headers["Location"])
    asked = parse_qs(to.query)
    assert (to.port, to.path) == (n.provider.server_port, "/authorize"), to
    assert asked["code_challenge_method"] == ["S256"] and asked["redirect_uri"] == [f"https://localhost:{n.http}/api/oidc/callback"], asked


def check_modality(n):
    """Only with its certificate, and only for what its entry says."""
    ca = ["--tls-ca", str(n.work / "ca.crt")]
    peer = f"GANTRY@localhost:{n.dicom}"

    def doctor(*more):
        done = subprocess.run([GANTRY, "doctor", "--json", "--lang", "en", "--calling", "CT1", *more, peer], capture_output=True, text=True)
        return {f["code"] for f in json.loads(done.stdout)["findings"]}

    assert "own-certificate-wanted" in doctor(*ca), "a modality without a certificate is not refused"
    assert "wants-tls" in doctor("--plain"), "plain DICOM is not refused"
    find = subprocess.run([GANTRY, "find", "--calling", "CT1", *ca, "--tls-cert", str(n.work / "CT1.crt"), "--tls-key", str(n.work / "CT1.key"), peer], capture_output=True, text=True)
    assert find.returncode != 0, "CT1 may search, and its entry says that it may not"
    assert n.ask("/dicom-web/studies").status == 401


def main():
    with tempfile.TemporaryDirectory() as folder:
        n = Newcomer(Path(folder))
        try:
            n.settings(blocks("yaml")[0])
            for block in blocks("console"):
                if "--tls-cert CT1.crt" in block:
                    n.bring_to_modality()
                for command, expected in commands(block):
                    n.run(command, expected)
            check_modality(n)
            check_single_sign_on(n)
        finally:
            n.stop()
        assert n.count < 10, f"{n.count} commands"
        if sys.argv[1:2] == ["--transcript"]:
            Path(sys.argv[2]).write_text(f"{HEAD}```console\n{n.transcript}```\n", encoding="utf-8")
        print(f"{n.count} commands from first start to TLS, single sign-on and a modality with a certificate")


main()
