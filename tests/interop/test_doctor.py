#!/usr/bin/env python3
"""`gantry doctor` against peers that are right and wrong in every way: each fault is named, with what to do, in English and Chinese."""
import datetime
import json
import os
import re
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
from gantry import GANTRY, Server, free_port, need_tools  # noqa: E402

need_tools("openssl")
KEEP = tempfile.TemporaryDirectory()
DIR = Path(KEEP.name)


def run(*args, code=0):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True)
    assert done.returncode == code, f"{args}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def doctor(*args):
    """Findings by their code, in English; the same in Chinese must have the same codes and no English sentence."""
    found, asked = {}, {}
    for lang in ("en", "zh-CN"):
        asked[lang] = subprocess.Popen([GANTRY, "doctor", "--json", "--lang", lang, "--timeout", "12", *map(str, args)], stdout=subprocess.PIPE, text=True)
    for lang, done in asked.items():
        answer = json.loads(done.communicate()[0])
        assert done.returncode == (1 if answer["faults"] else 0)
        found[lang] = {f["code"]: f for f in answer["findings"]}
        for f in answer["findings"]:
            assert not re.search(r"\{\d\}", f["text"] + f["fix"]), f
            assert f["level"] in ("ok", "note") or f["fix"], f
            assert (lang == "en") != bool(re.search("[\u4e00-\u9fff]", f["text"])), f
    assert set(found["en"]) == set(found["zh-CN"]), set(found["en"]) ^ set(found["zh-CN"])
    return found["en"]


class Peer:
    """Answers each connection on loopback by a function of the socket, over TLS when a context is given."""

    def __init__(self, answer, context=None):
        self.answer, self.context = answer, context
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()

    def serve(self, conn):
        try:
            conn.settimeout(60)
            if self.context:
                conn = self.context.wrap_socket(conn, server_side=True)
            self.answer(conn)
        except (OSError, ssl.SSLError):
            pass
        finally:
            conn.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


def read_pdu(conn):
    head = b""
    while len(head) < 6:
        more = conn.recv(6 - len(head))
        if not more:
            return 0, b""
        head += more
    n, body = struct.unpack(">I", head[2:])[0], b""
    if head[0] > 7:
        return head[0], b""
    while len(body) < n:
        more = conn.recv(n - len(body))
        if not more:
            return 0, b""
        body += more
    return head[0], body


def item(kind, body):
    return struct.pack(">BBH", kind, 0, len(body)) + body


def accept(conn):
    """A small SCP: takes Verification and CT in implicit VR little endian, answers C-ECHO, releases."""
    kind, body = read_pdu(conn)
    if kind != 1:
        conn.sendall(struct.pack(">BBIBBBB", 7, 0, 4, 0, 0, 2, 1))
        return
    contexts = b""
    for at in re.finditer(rb"\x20\x00(..)(.)\x00\x00\x00\x30\x00(..)", body, re.S):
        n = struct.unpack(">H", at.group(3))[0]
        taken = body[at.end():at.end() + n] in (b"1.2.840.10008.1.1", b"1.2.840.10008.5.1.4.1.1.2")
        contexts += item(0x21, at.group(2) + b"\0" + (b"\0" if taken else b"\3") + b"\0" + item(0x40, b"1.2.840.10008.1.2"))
    user = item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3") + item(0x55, b"STUB_1")
    body = b"\0\1\0\0" + body[4:36] + bytes(32) + item(0x10, b"1.2.840.10008.3.1.1.1") + contexts + item(0x50, user)
    conn.sendall(struct.pack(">BBI", 2, 0, len(body)) + body)
    while True:
        kind, body = read_pdu(conn)
        if kind == 4:
            rsp = b"".join(struct.pack("<HHI", 0, e, len(v)) + v for e, v in (
                (0x0002, b"1.2.840.10008.1.1\0"), (0x0100, b"\x30\x80"), (0x0120, b"\1\0"), (0x0800, b"\1\1"), (0x0900, b"\0\0")))
            rsp = struct.pack("<HHII", 0, 0, 4, len(rsp)) + rsp
            conn.sendall(struct.pack(">BBIIBB", 4, 0, len(rsp) + 6, len(rsp) + 2, body[4], 3) + rsp)
        elif kind == 5:
            conn.sendall(struct.pack(">BBIBBBB", 6, 0, 4, 0, 0, 0, 0))
            return
        else:
            return


def reject(result, source, reason):
    def answer(conn):
        if read_pdu(conn)[0] == 1:
            conn.sendall(struct.pack(">BBIBBBB", 3, 0, 4, 0, result, source, reason))
    return answer


def greet(data):
    def answer(conn):
        conn.sendall(data)
        conn.recv(4096)
    return answer


def hold(conn):
    while conn.recv(4096):
        pass


def context(name, folder=None, clients=None):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain((folder or DIR) / f"{name}.crt", (folder or DIR) / f"{name}.key")
    if clients:
        c.load_verify_locations(clients)
        c.verify_mode = ssl.CERT_REQUIRED
    return c


def make():
    run(GANTRY, "cert", "server", "--dir", DIR, "localhost", "127.0.0.1")
    run(GANTRY, "cert", "server", "--dir", DIR, "--file", "elsewhere", "pacs.example.org")
    run(GANTRY, "cert", "server", "--dir", DIR, "--file", "soon", "--days", "5", "127.0.0.1")
    run(GANTRY, "cert", "client", "--dir", DIR, "CT1")
    run(GANTRY, "cert", "server", "--dir", DIR / "other", "127.0.0.1")
    run(GANTRY, "cert", "client", "--dir", DIR / "other", "CT1")
    ext = DIR / "ext"
    ext.write_text("subjectAltName=IP:127.0.0.1\n")

    def signed(name, subject, *options, key=("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")):
        run("openssl", "req", "-new", *key, "-nodes", "-keyout", DIR / f"{name}.key", "-out", DIR / f"{name}.csr", "-subj", subject)
        run("openssl", "x509", "-req", "-in", DIR / f"{name}.csr", "-CA", DIR / "ca.crt", "-CAkey", DIR / "ca.key", "-CAcreateserial", "-out",
            DIR / f"{name}.crt", *options)

    signed("ended", "/CN=ended", "-extfile", ext, "-days", "-1")
    signed("nameless", "/CN=nameless", "-days", "10")
    signed("weak", "/CN=weak", "-extfile", ext, "-days", "10", key=("-newkey", "rsa:1024"))
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", DIR / "alone.key", "-out", DIR / "alone.crt",
        "-subj", "/CN=alone", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "10")


def yesterday():
    return (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)).strftime("%Y-%m-%d")


ENDED = {yesterday()}  # midnight may come while they are made
make()
ENDED.add(yesterday())
CA = ("--tls-ca", DIR / "ca.crt")


class Way(unittest.TestCase):
    def test_nobody_listens(self):
        found = doctor(f"X@127.0.0.1:{free_port()}")
        self.assertEqual(list(found), ["nobody-listens"])

    def test_a_name_that_nobody_has(self):
        self.assertEqual(list(doctor("X@no-such-machine.invalid:104")), ["name-unknown"])

    def test_a_peer_that_closes_at_once_is_told_from_one_that_says_nothing(self):
        with Peer(lambda conn: None) as p:
            self.assertIn("tls-closed", doctor(f"X@127.0.0.1:{p.port}"))
        with Peer(hold) as p:
            self.assertIn("association-silent", doctor("--plain", "--timeout", "1", f"X@127.0.0.1:{p.port}"))
            self.assertIn("tls-silent", doctor("--timeout", "1", f"X@127.0.0.1:{p.port}"))

    def test_what_is_not_dicom_is_named(self):
        for data, code in ((b"HTTP/1.1 400 Bad Request\r\n\r\n", "http-not-dicom"), (b"SSH-2.0-OpenSSH_9.2\r\n", "ssh-not-dicom"), (b"220 mail ready\r\n", "not-dicom")):
            with Peer(greet(data)) as p:
                self.assertIn(code, doctor(f"X@127.0.0.1:{p.port}"))
                self.assertIn(code, doctor("--plain", f"X@127.0.0.1:{p.port}"))


class Plain(unittest.TestCase):
    def test_a_plain_peer_is_examined_and_said_to_be_plain(self):
        with Peer(accept) as p:
            found = doctor(f"STUB@127.0.0.1:{p.port}")
            self.assertLessEqual({"plain-dicom-here", "associated", "echo", "services", "services-not", "transfer-syntaxes-plain"}, set(found))
            self.assertIn("CT images", found["services"]["text"])
            self.assertNotIn("MR images", found["services"]["text"])
            self.assertIn("STUB_1", found["associated"]["text"])
            self.assertIn("speaks no TLS", doctor("--tls", f"STUB@127.0.0.1:{p.port}")["plain-dicom"]["text"])

    def test_every_reason_of_a_refusal_is_told(self):
        for why, code in (((1, 1, 1), "rejected-without-reason"), ((1, 1, 2), "rejected-protocol"), ((1, 1, 3), "calling-aet-unknown"),
                          ((1, 1, 7), "called-aet-unknown"), ((1, 2, 1), "rejected-without-reason"), ((1, 2, 2), "rejected-protocol"),
                          ((2, 3, 1), "rejected-busy"), ((2, 3, 2), "rejected-busy"), ((1, 3, 5), "rejected")):
            with Peer(reject(*why)) as p:
                found = doctor("--plain", "--calling", "MYSELF", f"PEER@127.0.0.1:{p.port}")
                self.assertIn(code, found, why)
                if code == "calling-aet-unknown":
                    self.assertIn("MYSELF at the address 127.0.0.1", found[code]["text"])

    def test_an_abort_an_end_and_nonsense_are_told(self):
        def abort(conn):
            read_pdu(conn)
            conn.sendall(struct.pack(">BBIBBBB", 7, 0, 4, 0, 0, 2, 1))

        def end(conn):
            read_pdu(conn)

        def nonsense(conn):
            read_pdu(conn)
            conn.sendall(struct.pack(">BBI", 2, 0, 10) + b"\0" * 10)
        for answer, code in ((abort, "aborted"), (end, "association-closed"), (nonsense, "association-strange")):
            with Peer(answer) as p:
                self.assertIn(code, doctor("--plain", f"X@127.0.0.1:{p.port}"))


class Tls(unittest.TestCase):
    def test_a_good_peer_is_good(self):
        with Peer(accept, context("server")) as p:
            found = doctor(*CA, f"STUB@127.0.0.1:{p.port}")
            self.assertLessEqual({"tls-spoken", "certificate-good", "own-certificate-not-asked", "associated", "echo"}, set(found))
            self.assertFalse([f for f in found.values() if f["level"] in ("fault", "warning")])
            self.assertEqual(found["certificate-fingerprint"]["values"], [json.loads(run(GANTRY, "cert", "show", "--json", DIR / "server.crt"))[0]["sha256"]])
            self.assertRegex(found["tls-spoken"]["text"], r"TLS 1\.3 with TLS_AES_\w+\.")

    def test_every_fault_of_a_certificate_is_named_and_the_rest_still_examined(self):
        for name, code in (("elsewhere", "certificate-other-name"), ("nameless", "certificate-without-name"), ("ended", "certificate-expired"),
                           ("alone", "certificate-self-signed"), ("soon", "certificate-ends-soon")):
            with Peer(accept, context(name)) as p:
                found = doctor(*CA, f"STUB@127.0.0.1:{p.port}")
                self.assertEqual([c for c, f in found.items() if c.startswith("certificate") and f["level"] in ("fault", "warning")], [code])
                self.assertIn("echo", found, name)
        with Peer(accept, context("server", DIR / "other")) as p:
            self.assertIn("certificate-unknown-issuer", doctor(*CA, f"STUB@127.0.0.1:{p.port}"))
            self.assertIn("certificate-unknown-issuer", doctor("--tls", f"STUB@127.0.0.1:{p.port}"))  # nor does the system know it

    def test_the_words_say_which_name_and_which_day(self):
        with Peer(accept, context("elsewhere")) as p:
            self.assertIn("The certificate's name is pacs.example.org, not 127.0.0.1.", doctor(*CA, f"X@127.0.0.1:{p.port}")["certificate-other-name"]["text"])
            self.assertIn("certificate-good", doctor(*CA, "--tls-name", "pacs.example.org", f"X@127.0.0.1:{p.port}"))
            self.assertIn("certificate-good", doctor(*CA, "--tls-name", "*", f"X@127.0.0.1:{p.port}"))
        with Peer(accept, context("ended")) as p:
            told = doctor(*CA, f"X@127.0.0.1:{p.port}")["certificate-expired"]["text"]
            self.assertTrue(any(f"ended on {day}" in told for day in ENDED), told)

    def test_a_weak_key_is_named(self):
        weak = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        weak.set_ciphers("DEFAULT:@SECLEVEL=0")
        weak.load_cert_chain(DIR / "weak.crt", DIR / "weak.key")
        with Peer(accept, weak) as p:
            self.assertIn("RSA 1024", doctor(*CA, f"X@127.0.0.1:{p.port}")["certificate-weak"]["text"])

    def test_an_old_version_is_named(self):
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        old.set_ciphers("DEFAULT:@SECLEVEL=0")
        old.load_cert_chain(DIR / "server.crt", DIR / "server.key")
        old.minimum_version = ssl.TLSVersion.TLSv1
        with Peer(accept, old) as p:
            found = doctor(*CA, f"STUB@127.0.0.1:{p.port}")
            self.assertIn("TLS 1.0", found["tls-old-too"]["text"])
            self.assertIn("echo", found)
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        with Peer(accept, old) as p:
            self.assertIn("TLS 1.0", doctor(*CA, f"STUB@127.0.0.1:{p.port}")["tls-old-alone"]["text"])

    def test_a_peer_that_wants_our_certificate(self):
        ours = ("--tls-cert", DIR / "CT1.crt", "--tls-key", DIR / "CT1.key")
        strange = ("--tls-cert", DIR / "other" / "CT1.crt", "--tls-key", DIR / "other" / "CT1.key")
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            c = context("server", clients=DIR / "ca.crt")
            c.maximum_version = version
            with Peer(accept, c) as p:
                target = f"STUB@127.0.0.1:{p.port}"
                found = doctor(*CA, target)
                self.assertIn("own-certificate-wanted", found)
                self.assertIn("certificate-good", found)
                found = doctor(*CA, *ours, target)
                self.assertIn("CN=CT1", found["own-certificate-taken"]["text"])
                self.assertIn("echo", found)
                self.assertIn("Gantry authority", doctor(*CA, *strange, target)["own-issuer-unknown"]["text"])
                self.assertIn("own-certificate-unusable", doctor(*CA, "--tls-cert", DIR / "CT1.crt", "--tls-key", DIR / "server.key", target))

    def test_plain_dicom_to_a_tls_port_is_told(self):
        with Peer(accept, context("server")) as p:
            self.assertIn("wants-tls", doctor("--plain", f"X@127.0.0.1:{p.port}"))


class Http(unittest.TestCase):
    def test_an_open_server_on_loopback_and_one_that_asks(self):
        with tempfile.TemporaryDirectory() as data, Server(data) as s:
            found = doctor(f"http://127.0.0.1:{s.http_port}/")
            self.assertLessEqual({"http-answers", "http-ready", "http-plain-here", "http-open-here", "http-clock-fine"}, set(found))
            self.assertIn("plain-http-instead", doctor(f"https://127.0.0.1:{s.http_port}"))
            self.assertIn("http-not-dicom", doctor(f"GANTRY@127.0.0.1:{s.http_port}"))
            self.assertIn("called-aet-unknown", doctor(f"OTHER@127.0.0.1:{s.dicom_port}"))
            self.assertIn("http-none", doctor(f"http://127.0.0.1:{s.dicom_port}"))

    def test_a_server_over_tls_with_a_clock_that_is_wrong(self):
        def page(conn):
            if b"dicom-web" in conn.recv(4096):
                conn.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
            else:
                conn.sendall(b"HTTP/1.1 302 Found\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n")
        with Peer(page, context("server")) as p:
            found = doctor(*CA, f"https://127.0.0.1:{p.port}/")
            self.assertLessEqual({"certificate-good", "http-clock", "http-asks-who", "http-redirect"}, set(found))
            self.assertIn("wants-tls", doctor(f"http://127.0.0.1:{p.port}/"))


class Own(unittest.TestCase):
    def setUp(self):
        self.keep = tempfile.TemporaryDirectory()
        self.dir = Path(self.keep.name)
        (self.dir / "data").mkdir(mode=0o750)

    def tearDown(self):
        self.keep.cleanup()

    def look(self, text, mode=0o640):
        path = self.dir / "gantry.yaml"
        path.write_text(f"data: {self.dir / 'data'}\n{text}")
        path.chmod(mode)
        return doctor("--config", path)

    def test_a_fresh_set_up_on_loopback_has_no_fault(self):
        found = self.look("")
        self.assertFalse([f for f in found.values() if f["level"] == "fault"], found)
        self.assertIn("loopback", found)

    def test_a_slip_in_the_configuration_is_told_with_its_line(self):
        self.assertIn("ports", self.look("dicom: {ports: 104}\n")["configuration-bad"]["text"])

    def test_a_password_that_others_may_read_is_told_and_not_shown(self):
        database = "database: {url: 'postgresql://g@db.example.org/g', password: hunter22}\nstore: {s3: {endpoint: 'http://s3.example.org', bucket: b, access-key: a, secret-key: '${HOME}'}}\n"
        found = self.look(database, 0o644)
        self.assertIn("configuration-secret", found)
        self.assertLessEqual({"database-plain", "bucket-plain"}, set(found))
        self.assertNotIn("hunter22", json.dumps(found))
        self.assertNotIn("configuration-secret", self.look(database, 0o640))
        self.assertNotIn("configuration-secret", self.look(database.replace("hunter22", "'${HOME}'"), 0o644))

    def tls(self, name, more="", folder=DIR):
        return self.look(f"bind: 0.0.0.0\ntls: {{cert: {folder / name}.crt, key: {folder / name}.key, ca: {DIR / 'ca.crt'}}}\n{more}")

    def test_a_set_up_with_tls_has_no_fault(self):
        found = self.tls("server")
        self.assertFalse([f for f in found.values() if f["level"] == "fault"], found)
        self.assertLessEqual({"own-tls", "own-names", "authority-key-here"}, set(found))
        self.assertIn("localhost", found["own-names"]["text"])
        self.assertNotIn("clients-not-asked", found)  # with an authority they are
        self.assertIn("clients-not-asked", self.tls("server", "dicom: {client-certificates: none}\n"))

    def test_every_fault_of_our_own_certificate_is_told(self):
        for name, code in (("ended", "own-expired"), ("soon", "own-ends-soon"), ("CT1", "own-not-server"), ("weak", "own-weak"), ("nameless", "own-name-missing"),
                           ("alone", "own-not-of-authority"), ("not-there", "own-file")):
            self.assertIn(code, self.tls(name), name)
        self.assertIn("own-name-missing", self.look(f"bind: 10.0.0.5\ntls: {{cert: {DIR / 'server.crt'}, key: {DIR / 'server.key'}}}\n"))

    def test_a_key_that_is_anothers_or_everybodys_is_told(self):
        self.assertIn("own-key-other", self.look(f"tls: {{cert: {DIR / 'server.crt'}, key: {DIR / 'CT1.key'}}}\n"))
        (self.dir / "open.crt").write_bytes((DIR / "server.crt").read_bytes())
        (self.dir / "open.key").write_bytes((DIR / "server.key").read_bytes())
        (self.dir / "open.key").chmod(0o644)
        self.assertIn("own-key-open", self.tls("open", folder=self.dir))

    def test_what_goes_without_encryption_is_told_or_refused(self):
        self.assertIn("plain text", self.look("bind: 0.0.0.0\n")["set-up-refused"]["text"])
        found = self.look("bind: 0.0.0.0\nplaintext: [dicom, http]\n")
        self.assertIn("plaintext", found)
        self.assertNotIn("set-up-refused", found)

    def test_a_peer_is_called_as_the_server_would(self):
        path = self.dir / "gantry.yaml"
        path.write_text(f"data: {self.dir / 'data'}\naet: ARCHIVE\ntls: {{cert: {DIR / 'server.crt'}, key: {DIR / 'server.key'}, ca: {DIR / 'ca.crt'}}}\n")
        with Peer(accept, context("server", clients=DIR / "ca.crt")) as p:
            found = doctor("--config", path, f"STUB@127.0.0.1:{p.port}")
            self.assertLessEqual({"certificate-good", "own-certificate-taken", "echo"}, set(found))
            self.assertIn("ARCHIVE to STUB", found["associated"]["text"])

    def test_a_master_key_that_is_missing_open_or_beside_the_images_is_told(self):
        key = self.dir / "master.key"
        text = f"encryption: {{master-key: {key}}}\n"
        self.assertIn("key-missing", self.look(text))
        key.write_text("0" * 64)
        key.chmod(0o644)
        self.assertLessEqual({"key-open", "key-beside-data", "key-copy"}, set(self.look(text)))
        key.chmod(0o600)
        self.assertNotIn("key-open", self.look(text))
        self.assertIn("rest-none", self.look(""))

    def test_what_is_open_is_told(self):
        (self.dir / "data").chmod(0o755)
        found = self.look("auth: none\ncors: {origins: ['*']}\nhttp: {base-url: 'http://pacs.example.org', trusted-proxies: [0.0.0.0/0]}\n")
        self.assertLessEqual({"data-open", "auth-none", "cors-any", "base-url-plain", "proxy-any"}, set(found))


unittest.main(verbosity=1)
