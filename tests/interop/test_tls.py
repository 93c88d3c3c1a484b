#!/usr/bin/env python3
"""TLS on both ports: DCMTK, Python's ssl and curl as peers, client certificates both ways, renewed certificates, who is refused and in which words."""
import hashlib
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry
from gantry import GANTRY, run

class Papers:
    """Certificates of one hospital, and of a stranger, made by `gantry cert`."""

    def __init__(self, folder):
        self.folder = Path(folder)
        run(GANTRY, "cert", "server", "localhost", "127.0.0.1", "--dir", folder)
        run(GANTRY, "cert", "client", "CT1", "--dir", folder)
        run(GANTRY, "cert", "ca", "--dir", self.folder / "stranger")
        run(GANTRY, "cert", "client", "CT1", "--dir", self.folder / "stranger")
        self.ca, self.stranger_ca = self.folder / "ca.crt", self.folder / "stranger" / "ca.crt"
        self.cert, self.key = self.folder / "server.crt", self.folder / "server.key"

    def client(self, folder="."):
        where = self.folder / folder
        return ["--tls-ca", self.ca, "--tls-cert", where / "CT1.crt", "--tls-key", where / "CT1.key"]

    def dcmtk(self, folder="."):
        where = self.folder / folder
        return ["+tls", where / "CT1.key", where / "CT1.crt", "+cf", self.ca]

    def serve(self):
        return ["--tls-cert", self.cert, "--tls-key", self.key, "--tls-ca", self.ca]

    def context(self, certified=False):
        context = ssl.create_default_context(cafile=str(self.ca))
        if certified:
            context.load_cert_chain(self.folder / "CT1.crt", self.folder / "CT1.key")
        return context


def https(papers, server, method, path, body=None, headers=None, certified=False):
    connection = http.client.HTTPSConnection("localhost", server.http_port, timeout=60, context=papers.context(certified))
    status, _, answer = gantry.answer_of(connection, method, path, body, headers)
    return status, answer


def shown(papers, port, certified=True):
    """Fingerprint of the certificate that a port shows."""
    with socket.create_connection(("localhost", port), timeout=60) as plain, papers.context(certified).wrap_socket(plain, server_hostname="localhost") as tls:
        return hashlib.sha256(tls.getpeercert(True)).hexdigest()


def make(folder, *options):
    run(GANTRY, "synth", "--out", folder, *options)
    return sorted(Path(folder).rglob("*.dcm"))


def until(what, seconds=120):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.05)


# ---- DICOM ----

def dcmtk_sends_and_asks_with_a_certificate_and_is_refused_without(papers, server, files):
    to = ["-aec", server.aet, "localhost", str(server.dicom_port)]
    run("storescu", *papers.dcmtk(), *to, *files[:3])
    found = subprocess.run(["findscu", *map(str, papers.dcmtk()), "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID", *to], capture_output=True, text=True)
    assert found.returncode == 0 and "Find Response" in found.stderr, found.stderr
    for wrong in (["+tla", "+cf", papers.ca], papers.dcmtk("stranger"), []):
        refused = run("echoscu", *wrong, *to, check=False)
        assert refused.returncode != 0, wrong
    for line in ("it shows no certificate, and one is asked for here", "its certificate is not good", "A-ASSOCIATE-RQ came where TLS was expected"):
        server.logged(line)
    assert "Protocol Version Not Supported" in refused.stderr, refused.stderr


def our_commands_say_why_a_call_fails(papers, server):
    to = f"{server.aet}@localhost:{server.dicom_port}"
    run(GANTRY, "echo", to, *papers.client())
    for options, words in (([], "it may take TLS only"),
                           (["--tls-ca", papers.ca], "certificate required"),
                           (["--tls-ca", papers.stranger_ca], "its certificate is not good"),
                           ([*papers.client(), "--tls-name", "pacs.example.org"], "but for localhost 127.0.0.1"),
                           (papers.client("stranger"), "unknown ca"),
                           ([*papers.client(), "--tls-profile", "gm"], "is not offered by this machine's OpenSSL")):
        result = run(GANTRY, "echo", to, *options, check=False)
        if "gm" in options and result.returncode == 0:
            continue
        assert result.returncode != 0 and words in result.stderr, (options, result.stderr)
    missed = run(GANTRY, "echo", f"X@localhost:{server.http_port}", "--tls-ca", papers.ca, "--timeout", "30", check=False)
    assert missed.returncode != 0, missed.stderr


def objects_come_back_whole_over_tls(papers, server, files, folder):
    to = f"{server.aet}@localhost:{server.dicom_port}"
    run(GANTRY, "store", to, *files, *papers.client())
    want = {hashlib.sha256(gantry.data_set_of(f.read_bytes())).hexdigest() for f in files}
    run(GANTRY, "get", to, "--key", "PatientID=*", "--key", f"StudyInstanceUID={study_of(files[0])}", "--out", folder / "got", *papers.client())
    got = {hashlib.sha256(gantry.data_set_of(f.read_bytes())).hexdigest() for f in (folder / "got").rglob("*") if f.is_file()}
    assert got == want, (len(got), len(want))


def study_of(file):
    return re.search(r"\[(.*?)\]", run("dcmdump", "+P", "StudyInstanceUID", "-s", file).stdout).group(1)


class Destination:
    """DCMTK's storescp, which asks who calls it for a certificate."""

    def __init__(self, papers, folder):
        self.folder, self.port = Path(folder), gantry.free_port()
        self.folder.mkdir()
        self.process = subprocess.Popen(["storescp", "-aet", "DEST", "-od", str(folder), "+tls", str(papers.key), str(papers.cert), "+cf", str(papers.ca), "-rc",
                                         str(self.port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: run(GANTRY, "echo", f"DEST@localhost:{self.port}", *papers.client(), check=False).returncode == 0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)


def a_destination_with_tls_is_sent_to_by_the_server_s_own_certificate(papers, files, folder):
    with Destination(papers, folder / "dest") as dest:
        plain = run(GANTRY, "store", f"DEST@localhost:{dest.port}", files[0], check=False)
        assert plain.returncode != 0, "a plain association was taken"
        run(GANTRY, "store", f"DEST@localhost:{dest.port}", files[0], *papers.client())
        config = folder / "move.yaml"
        config.write_text(f"tls: {{cert: {papers.cert}, key: {papers.key}, ca: {papers.ca}}}\n"
                          f"peers:\n  - {{aet: DEST, host: localhost, port: {dest.port}, tls: yes}}\n")
        with gantry.Server(folder / "move", config=config) as server:
            to = f"{server.aet}@localhost:{server.dicom_port}"
            run(GANTRY, "store", to, *files[:3], *papers.client())
            moved = run(GANTRY, "move", to, "--to", "DEST", "--key", f"StudyInstanceUID={study_of(files[0])}", *papers.client())
            assert moved.stdout.startswith("3 sent"), moved.stdout


# ---- HTTP ----

def https_serves_what_http_served(papers, server, files):
    status, body = https(papers, server, "GET", "/healthz")
    assert status == 200, (status, body)
    big = b"".join(b"--b\r\nContent-Type: application/dicom\r\n\r\n" + f.read_bytes() + b"\r\n" for f in files) + b"--b--\r\n"
    status, body = https(papers, server, "POST", "/dicom-web/studies", big, {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'})
    assert status == 200, (status, body[:300])
    status, body = https(papers, server, "GET", f"/dicom-web/studies/{study_of(files[0])}", headers={"Accept": 'multipart/related; type="application/dicom"'})
    assert status == 200 and body.count(b"DICM") == len(files), (status, len(body))
    for f in files:
        assert gantry.data_set_of(f.read_bytes()) in body
    status, body = https(papers, server, "GET", "/dicom-web/studies", headers={"Accept": "application/dicom+json"})
    assert status == 200 and f"https://localhost:{server.http_port}/" in json.dumps(json.loads(body)), body[:500]


def import_goes_over_tls_to_both_ports(papers, server, files):
    for to in (f"https://localhost:{server.http_port}", f"{server.aet}@localhost:{server.dicom_port}"):
        told = run(GANTRY, "import", "--to", to, *papers.client(), "--json", files[0].parent).stdout
        assert '"failed":0' in told.replace(" ", ""), told


def one_connection_takes_many_requests(papers, server):
    connection = http.client.HTTPSConnection("localhost", server.http_port, timeout=60, context=papers.context())
    for _ in range(50):
        connection.request("GET", "/healthz")
        assert connection.getresponse().read()
    kept = connection.sock
    assert kept is not None, "the connection was not kept"
    connection.close()


def curl_is_served_and_plain_http_is_told_what_to_do(papers, server):
    got = run("curl", "-sS", "--cacert", papers.ca, f"https://localhost:{server.http_port}/healthz")
    assert got.stdout, got.stderr
    told = run("curl", "-sS", f"http://localhost:{server.http_port}/healthz")
    assert "put https:// before the address" in told.stdout, told.stdout


def a_client_that_goes_away_leaves_nothing_behind(papers, server):
    for _ in range(20):
        with socket.create_connection(("localhost", server.http_port)) as plain:
            tls = papers.context().wrap_socket(plain, server_hostname="localhost")
            tls.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")  # half a header
            tls.close()
    until(lambda: figure(papers, server, "gantry_http_connections ") <= 2)


def figure(papers, server, name):
    _, body = https(papers, server, "GET", "/metrics")
    return float(next(line.split()[-1] for line in body.decode().splitlines() if line.startswith(name)))


# ---- certificates that change ----

def a_renewed_certificate_is_shown_on_both_ports_without_a_restart(papers, server):
    before = shown(papers, server.dicom_port)
    assert before == shown(papers, server.http_port)
    assert figure(papers, server, "gantry_tls_certificate_end_seconds ") > time.time()
    run(GANTRY, "cert", "renew", papers.cert, "--dir", papers.folder)
    until(lambda: shown(papers, server.dicom_port) != before and shown(papers, server.http_port) != before)
    now = shown(papers, server.dicom_port)
    good = papers.cert.read_bytes()
    papers.cert.write_bytes(b"-----BEGIN CERTIFICATE-----\nnothing\n")
    server.process.send_signal(signal.SIGHUP)
    until(lambda: "cannot be read anew" in server.stderr())
    assert shown(papers, server.dicom_port) == now and shown(papers, server.http_port) == now
    papers.cert.write_bytes(good)
    server.process.send_signal(signal.SIGHUP)
    until(lambda: server.stderr().count("certificates were read anew") >= 3)
    assert server.process.poll() is None and shown(papers, server.http_port) == now


def revocation_list(papers, *revoked):
    """A revocation list of the hospital's authority, made by OpenSSL."""
    work = papers.folder / "revoking"
    work.mkdir(exist_ok=True)
    (work / "index.txt").touch()
    (work / "ca.cnf").write_text(f"[ca]\ndefault_ca = d\n[d]\ndatabase = {work}/index.txt\ndefault_md = sha256\ndefault_crl_days = 30\n")
    openssl = ["openssl", "ca", "-config", work / "ca.cnf", "-cert", papers.ca, "-keyfile", papers.folder / "ca.key"]
    for certificate in revoked:
        run(*openssl, "-revoke", certificate)
    run(*openssl, "-gencrl", "-out", papers.folder / "crl.pem")
    return papers.folder / "crl.pem"


def a_revoked_certificate_is_refused_as_soon_as_the_list_says_so(papers, folder):
    config = folder / "revoked.yaml"
    run("openssl", "pkey", "-in", papers.key, "-aes256", "-passout", "pass:secret", "-out", papers.folder / "locked.key")
    config.write_text(f"tls: {{cert: {papers.cert}, key: {papers.folder}/locked.key, key-password: '${{KEY_PASSWORD}}', ca: {papers.ca}, crl: {revocation_list(papers)}}}\n")
    with gantry.Server(folder / "revoked", config=config, env={"KEY_PASSWORD": "secret"}) as server:
        to = f"{server.aet}@localhost:{server.dicom_port}"
        run(GANTRY, "echo", to, *papers.client())
        revocation_list(papers, papers.folder / "CT1.crt")
        until(lambda: run(GANTRY, "echo", to, *papers.client(), check=False).returncode != 0)
        refused = run(GANTRY, "echo", to, *papers.client(), check=False)
        assert "certificate revoked" in refused.stderr, refused.stderr
    locked = run(GANTRY, "serve", "--data", folder / "locked", "--tls-cert", papers.cert, "--tls-key", papers.folder / "locked.key", check=False, timeout=120)
    assert locked.returncode != 0 and "is encrypted, and no password is given" in locked.stderr, locked.stderr


# ---- crowds ----

def silent_crowd(server):
    """They connect and never shake hands; everything else happens meanwhile."""
    return [socket.create_connection(("localhost", port)) for port in (server.dicom_port, server.http_port) for _ in range(100)]


def who_never_shakes_hands_is_let_go(silent):
    for s in silent:
        s.settimeout(120)
        assert s.recv(1) == b"", "it was answered"
        s.close()


def an_address_has_so_many_connections_and_makes_them_so_fast(papers, folder):
    config = folder / "crowd.yaml"
    config.write_text(f"tls: {{cert: {papers.cert}, key: {papers.key}, ca: {papers.ca}}}\n"
                      "http: {per-peer-max: 5, trusted-proxies: [192.0.2.1]}\n"
                      "dicom: {connections-per-second: 5}\n")
    with gantry.Server(folder / "crowd", config=config) as server:
        held = [papers.context().wrap_socket(socket.create_connection(("127.0.0.1", server.http_port)), server_hostname="localhost") for _ in range(5)]
        sixth = socket.create_connection(("127.0.0.1", server.http_port), timeout=60)
        assert sixth.recv(1) == b"", "the sixth was let in"
        sixth.close()
        held.pop().close()
        until(lambda: https_status(papers, server) == 200)
        for s in held:
            s.close()
        start, taken = time.monotonic(), 0
        for _ in range(100):
            try:
                shown(papers, server.dicom_port)
                taken += 1
            except OSError:
                pass
        most = 5 * 4 + 5 * (time.monotonic() - start) + 1  # a burst of four seconds' worth, and what came since
        assert taken <= most, (taken, most)
        if taken < 100:
            server.logged("makes connections faster than is taken")


def https_status(papers, server):
    try:
        return https(papers, server, "GET", "/healthz")[0]
    except OSError:
        return 0


# ---- without TLS ----

def plain_ports_off_loopback_must_be_meant(folder):
    where = ["--data", folder / "open", "--dicom-port", "0", "--http-port", "0", "--bind", "0.0.0.0"]
    for allowed, wrong in (([], "DICOM on 0.0.0.0"), (["--plaintext", "dicom"], "HTTP on 0.0.0.0")):
        refused = run(GANTRY, "serve", *where, *allowed, check=False, timeout=120)
        assert refused.returncode != 0 and wrong in refused.stderr and "gantry cert" in refused.stderr, refused.stderr
    wrong = run(GANTRY, "serve", *where, "--plaintext", "telnet", check=False, timeout=120)
    assert wrong.returncode != 0 and "takes dicom or http" in wrong.stderr, wrong.stderr
    with gantry.Server(folder / "open", "--bind", "0.0.0.0", "--plaintext", "dicom", "--plaintext", "http", auth=True) as server:
        server.logged("DICOM is taken without TLS on 0.0.0.0")


def a_plain_port_beside_serves_those_without_tls(papers, folder):
    config = folder / "both.yaml"
    config.write_text(f"tls: {{cert: {papers.cert}, key: {papers.key}, ca: {papers.ca}}}\ndicom: {{plain-port: 0}}\nhttp: {{plain-port: 0}}\n")
    with gantry.Server(folder / "both", config=config) as server:
        plain_dicom = int(re.search(r"dicom-plain=\S+?:(\d+)\b", server.ready).group(1))
        plain_http = int(re.search(r"http-plain=http://[^:]+:(\d+)", server.ready).group(1))
        run(GANTRY, "echo", f"{server.aet}@localhost:{plain_dicom}")
        run(GANTRY, "echo", f"{server.aet}@localhost:{server.dicom_port}", *papers.client())
        assert run("curl", "-sS", f"http://localhost:{plain_http}/healthz").stdout
        assert https(papers, server, "GET", "/healthz")[0] == 200
        lost = run(GANTRY, "echo", f"{server.aet}@localhost:{plain_dicom}", *papers.client(), check=False)
        assert lost.returncode != 0 and "one side uses TLS, the other does not" in lost.stderr, lost.stderr


def main():
    if gantry.on_cluster():
        gantry.skip("TLS has nothing to do with where the index lies")
    gantry.need_tools("storescu", "findscu", "echoscu", "storescp", "dcmdump", "curl", "openssl")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        papers = Papers(folder / "papers")
        files = make(folder / "made", "--kind", "head-ct", "--slices", "12", "--seed", "7")
        with gantry.Server(folder / "data", *papers.serve()) as server:
            silent = silent_crowd(server)
            dcmtk_sends_and_asks_with_a_certificate_and_is_refused_without(papers, server, files)
            our_commands_say_why_a_call_fails(papers, server)
            objects_come_back_whole_over_tls(papers, server, files, folder)
            https_serves_what_http_served(papers, server, files)
            import_goes_over_tls_to_both_ports(papers, server, files)
            one_connection_takes_many_requests(papers, server)
            curl_is_served_and_plain_http_is_told_what_to_do(papers, server)
            a_client_that_goes_away_leaves_nothing_behind(papers, server)
            a_renewed_certificate_is_shown_on_both_ports_without_a_restart(papers, server)
            who_never_shakes_hands_is_let_go(silent)
        a_destination_with_tls_is_sent_to_by_the_server_s_own_certificate(papers, files, folder)
        a_revoked_certificate_is_refused_as_soon_as_the_list_says_so(papers, folder)
        an_address_has_so_many_connections_and_makes_them_so_fast(papers, folder)
        plain_ports_off_loopback_must_be_meant(folder)
        a_plain_port_beside_serves_those_without_tls(papers, folder)
    print("TLS on both ports: passed")


main()
