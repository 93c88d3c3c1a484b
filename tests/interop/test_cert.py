#!/usr/bin/env python3
"""`gantry cert`: OpenSSL's own command accepts what it makes, files keep their secrets, nothing is overwritten."""
import json
import os
import stat
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
from gantry import GANTRY, need_tools  # noqa: E402

need_tools("openssl")


def gantry(*args, code=0):
    done = subprocess.run([GANTRY, "cert", *map(str, args)], capture_output=True, text=True)
    assert done.returncode == code, f"cert {args}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def openssl(*args):
    done = subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True)
    assert done.returncode == 0, f"openssl {args}: {done.stdout}{done.stderr}"
    return done.stdout


class Cert(unittest.TestCase):
    def setUp(self):
        self.keep = tempfile.TemporaryDirectory()
        self.dir = Path(self.keep.name) / "data" / "tls"
        gantry("server", "--dir", self.dir, "pacs.example.org", "10.0.0.5")

    def tearDown(self):
        self.keep.cleanup()

    def test_openssl_verifies_server_and_client_for_their_purpose(self):
        gantry("client", "--dir", self.dir, "CT1")
        ca = self.dir / "ca.crt"
        openssl("verify", "-x509_strict", "-CAfile", ca, "-purpose", "sslserver", "-verify_hostname", "pacs.example.org", self.dir / "server.crt")
        openssl("verify", "-x509_strict", "-CAfile", ca, "-purpose", "sslserver", "-verify_ip", "10.0.0.5", self.dir / "server.crt")
        openssl("verify", "-x509_strict", "-CAfile", ca, "-purpose", "sslclient", self.dir / "CT1.crt")
        refused = subprocess.run(["openssl", "verify", "-CAfile", ca, "-purpose", "sslserver", self.dir / "CT1.crt"], capture_output=True)
        self.assertNotEqual(refused.returncode, 0)

    def test_keys_are_for_their_owner_alone_and_never_printed(self):
        for key in self.dir.glob("*.key"):
            self.assertEqual(stat.S_IMODE(key.stat().st_mode), 0o600, key)
        self.assertNotIn("PRIVATE", gantry("client", "--dir", self.dir, "CT2") + gantry("show", "--dir", self.dir))

    def test_nothing_is_overwritten(self):
        before = {p.name: p.read_bytes() for p in self.dir.iterdir()}
        self.assertIn("renew", gantry("server", "--dir", self.dir, "other", code=65))
        self.assertIn("already", gantry("ca", "--dir", self.dir, code=65))
        self.assertEqual(before, {p.name: p.read_bytes() for p in self.dir.iterdir()})

    def test_a_name_that_is_none_makes_nothing(self):
        other = Path(self.keep.name) / "other"
        gantry("server", "--dir", other, "a b", code=64)
        self.assertEqual(list(other.iterdir()), [])
        gantry("client", "--dir", other, "CT1", code=66)  # no authority: none is made by the way
        self.assertEqual(list(other.iterdir()), [])

    def test_a_renewed_certificate_keeps_names_and_key(self):
        was = (self.dir / "server.crt").read_bytes()
        gantry("renew", "--dir", self.dir, "server", "--days", "100")
        now = json.loads(gantry("show", "--json", self.dir / "server.crt"))[0]
        self.assertNotEqual(was, (self.dir / "server.crt").read_bytes())
        self.assertEqual(now["names"], ["pacs.example.org", "10.0.0.5"])
        self.assertIn(now["days_left"], (99, 100))
        public = openssl("x509", "-in", self.dir / "server.crt", "-noout", "-pubkey")
        self.assertEqual(public, openssl("pkey", "-in", self.dir / "server.key", "-pubout"))
        self.assertIn("no certificate ends", gantry("renew", "--dir", self.dir, "--within", "50"))
        self.assertIn("server.crt", gantry("renew", "--dir", self.dir, "--within", "120"))
        self.assertGreater(json.loads(gantry("show", "--json", self.dir / "server.crt"))[0]["days_left"], 800)

    def test_a_machines_own_request_is_signed(self):
        base = Path(self.keep.name) / "mr2"
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{base}.key", "-out", f"{base}.csr", "-subj",
                "/O=市立医院/CN=MR2", "-utf8", "-addext", "subjectAltName=DNS:mr2.example.org", "-addext", "basicConstraints=critical,CA:TRUE")
        gantry("sign", "--dir", self.dir, f"{base}.csr")
        made = json.loads(gantry("show", "--json", self.dir / "mr2.crt"))[0]
        self.assertEqual((made["subject"], made["names"], made["authority"]), ("CN=MR2,O=市立医院", ["mr2.example.org"], False))
        openssl("verify", "-CAfile", self.dir / "ca.crt", self.dir / "mr2.crt")
        self.assertFalse((self.dir / "mr2.key").exists())

    def test_pkcs12_opens_with_its_password_alone(self):
        password = Path(self.keep.name) / "password"
        password.write_text("correct horse\n")
        gantry("client", "--dir", self.dir, "WS1", "--pkcs12", password)
        text = openssl("pkcs12", "-in", self.dir / "WS1.p12", "-passin", "pass:correct horse", "-nodes")
        self.assertEqual(text.count("BEGIN CERTIFICATE"), 2)
        self.assertIn("BEGIN PRIVATE KEY", text)
        wrong = subprocess.run(["openssl", "pkcs12", "-in", self.dir / "WS1.p12", "-passin", "pass:x", "-nodes"], capture_output=True)
        self.assertNotEqual(wrong.returncode, 0)
        self.assertEqual(stat.S_IMODE((self.dir / "WS1.p12").stat().st_mode), 0o600)

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_made_by_root_the_servers_key_is_its_services(self):
        data = Path(self.keep.name) / "service"
        data.mkdir()
        os.chown(data, 4242, 4243)
        gantry("server", "--data", data, "pacs")
        self.assertEqual((data / "tls" / "server.key").stat().st_uid, 4242)
        self.assertEqual((data / "tls" / "ca.key").stat().st_uid, 0)  # the service never needs it


unittest.main(verbosity=1)
