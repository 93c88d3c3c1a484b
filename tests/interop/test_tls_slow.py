#!/usr/bin/env python3
"""slowhttptest holds connections to the HTTPS port with headers that never end: others are served meanwhile, and all of these are cut."""
import http.client
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry
from gantry import GANTRY, run

SLOW = 200


def ask(server, context, path):
    connection = http.client.HTTPSConnection("localhost", server.http_port, timeout=60, context=context)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 200, answer.status
        return answer.read().decode()
    finally:
        connection.close()


def figure(server, context, name):
    return float(next(line.split()[-1] for line in ask(server, context, "/metrics").splitlines() if line.startswith(name)))


def main():
    gantry.need_tools("slowhttptest")
    with tempfile.TemporaryDirectory() as folder:
        papers = Path(folder) / "papers"
        run(GANTRY, "cert", "server", "localhost", "127.0.0.1", "--dir", papers)
        context = ssl.create_default_context(cafile=str(papers / "ca.crt"))
        with gantry.Server(Path(folder) / "data", "--tls-cert", papers / "server.crt", "--tls-key", papers / "server.key") as server:
            slow = subprocess.Popen(["slowhttptest", "-c", str(SLOW), "-H", "-i", "3", "-r", "100", "-l", "500", "-p", "60", "-u",
                                     f"https://localhost:{server.http_port}/"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                end = time.monotonic() + 500
                while figure(server, context, "gantry_http_reaped_total ") < SLOW:
                    assert time.monotonic() < end, "they were not cut"
                    ask(server, context, "/healthz")
                    time.sleep(0.5)
            finally:
                slow.terminate()
                slow.wait(60)
    print(f"{SLOW} slow connections over TLS were cut, and kept nobody out: passed")


main()
