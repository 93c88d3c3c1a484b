#!/usr/bin/env python3
"""sslscan and testssl.sh find nothing weak on either port. testssl.sh takes a minute or two: it runs where there is no sslscan, and with GANTRY_LONG=1."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry
from gantry import GANTRY, run

# What testssl.sh says of a private authority and of a test machine, and not of the server.
OF_THE_SETTING = {"cert_trust", "cert_chain_of_trust", "cert_crlDistributionPoints", "cert_ocspURL", "cert_revocation", "cert_mustStapleExtension", "OCSP_stapling",
                  "cert_ocspRevoked", "cert_caIssuers", "DNS_CAArecord", "certificate_transparency", "cert_validityPeriod", "scanTime", "scanProblem", "engine_problem",
                  "HSTS", "cert_extlifeSpan",
                  # "potentially": the page is compressed; no answer that is has both a secret and words of the asker's choice
                  "BREACH", "overall_grade", "cert_expirationStatus", "intermediate_cert_badOCSP", "security_headers", "service"}


def sslscan_sees_two_protocols_and_strong_ciphers(port):
    text = run("sslscan", "--xml=-", "--no-colour", "--no-check-certificate", "--sni-name=localhost", f"127.0.0.1:{port}").stdout
    test = xml.etree.ElementTree.fromstring(text).find("ssltest")
    protocols = {(p.get("type"), p.get("version")) for p in test.iter("protocol") if p.get("enabled") == "1"}
    assert protocols == {("tls", "1.2"), ("tls", "1.3")}, protocols
    ciphers = [(c.get("sslversion"), c.get("cipher"), c.get("strength")) for c in test.iter("cipher")]
    assert len(ciphers) >= 4, ciphers
    for version, cipher, strength in ciphers:
        assert strength in ("strong", "acceptable") and ("GCM" in cipher or "CHACHA20" in cipher), (version, cipher, strength)
    for mark, good in (("heartbleed", "vulnerable"), ("compression", "supported"), ("renegotiation", "supported")):
        for e in test.iter(mark):
            assert e.get(good) == "0", (mark, e.attrib)


def testssl_warns_of_nothing(port, folder):
    out = Path(folder) / f"{port}.json"
    subprocess.run(["testssl", "--quiet", "--color", "0", "--warnings", "off", "--nodns", "min", "--jsonfile", str(out), "--severity", "LOW", "-p", "-s", "-f", "-E",
                    "-U", "-S", f"127.0.0.1:{port}"], capture_output=True, stdin=subprocess.DEVNULL, timeout=500)
    found = [f for f in json.loads(out.read_text()) if f["id"].split(" ")[0] not in OF_THE_SETTING]
    assert not found, json.dumps(found, indent=1)


def main():
    if not shutil.which("sslscan") and not shutil.which("testssl"):
        gantry.skip("neither sslscan nor testssl.sh is installed")
    long = os.environ.get("GANTRY_LONG") or not shutil.which("sslscan")
    with tempfile.TemporaryDirectory() as folder:
        papers = Path(folder) / "papers"
        run(GANTRY, "cert", "server", "localhost", "127.0.0.1", "--dir", papers)
        config = Path(folder) / "scan.yaml"
        config.write_text(f"tls: {{cert: {papers}/server.crt, key: {papers}/server.key, ca: {papers}/ca.crt}}\ndicom: {{client-certificates: asked}}\n")
        with gantry.Server(Path(folder) / "data", config=config) as server:
            for port in (server.dicom_port, server.http_port):
                if shutil.which("sslscan"):
                    sslscan_sees_two_protocols_and_strong_ciphers(port)
                if long and shutil.which("testssl"):
                    testssl_warns_of_nothing(port, folder)
    print("both ports were scanned: passed")


main()
