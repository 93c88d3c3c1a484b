#!/usr/bin/env python3
"""A server that is stopped again and again at moments that nobody chose, in the middle of handshakes, requests, associations, reloads and its own start: it
exits 0 each time, no sanitizer has anything to say, and whatever it acknowledged is there afterwards.

Usage: stops.py [ROUNDS [SEED]]. Meant for builds with sanitizers; in any build the exit code must be 0.
"""
import http.client
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry
import traffic
from gantry import GANTRY, run

PAGE = 500
LATEST_MS = 200  # of the moments, after the server is ready
CUT = (*traffic.CUT, AssertionError)  # what a client meets when its server goes: the least of them asserts that it got an answer
REPORTS = ("Sanitizer", "runtime error:")


class Papers:
    def __init__(self, folder):
        run(GANTRY, "cert", "server", "localhost", "127.0.0.1", "--dir", folder)
        self.folder = folder
        self.context = ssl.create_default_context(cafile=str(folder / "ca.crt"))

    def configure(self, folder, collector_port):
        """Both doors with TLS and in plain, an audit trail that is forwarded and from which old events are taken, and everything encrypted."""
        key, config = folder / "master.key", folder / "stops.yaml"
        run(GANTRY, "key", "new", key)
        config.write_text(f"tls: {{cert: {self.folder}/server.crt, key: {self.folder}/server.key}}\n"
                          "dicom: {plain-port: 0}\nhttp: {plain-port: 0}\ndeadline-seconds: 1\n"
                          f"encryption: {{master-key: {key}}}\n"
                          f"audit: {{keep-days: 1, collectors: [{{host: 127.0.0.1, port: {collector_port}, plain: yes}}]}}\n")
        return config


class Collector(threading.Thread):
    """Takes the audit trail and throws it away; now and then it hangs up."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            with connection:
                for _ in range(8):
                    if not connection.recv(65536):
                        break


class Clients:
    """Threads that do what clients do until they are told to end; whatever is cut is cut."""

    def __init__(self, server, papers, seed, paths):
        self.server, self.papers, self.paths, self.seed = server, papers, paths, seed
        self.going, self.stored, self.wrong = True, [], []
        kinds = [self.ask] * 3 + [self.ask_anew] * 2 + [self.shake_hands] * 2 + [self.ask_plainly, self.store, self.store, self.speak_no_tls]
        self.threads = [threading.Thread(target=self.repeat, args=(kind, i)) for i, kind in enumerate(kinds)]
        for t in self.threads:
            t.start()

    def repeat(self, kind, number):
        dice = random.Random(self.seed * 100 + number)
        while self.going:
            try:
                kind(dice)
            except CUT:
                time.sleep(0.01)

    def end(self):
        self.going = False
        for t in self.threads:
            t.join()

    def tls(self, port):
        plain = socket.create_connection(("127.0.0.1", port), timeout=30)
        try:
            return self.papers.context.wrap_socket(plain, server_hostname="localhost")
        except BaseException:
            plain.close()
            raise

    def requests(self, connection, dice, n):
        try:
            for _ in range(n):
                connection.request("GET", dice.choice(self.paths), headers={"Accept": "image/jpeg, application/dicom+json, multipart/related, */*"})
                answer = connection.getresponse()
                answer.read()
                if answer.status not in (200, 204, 503):
                    self.wrong.append(f"{answer.status}")
                if not self.going:
                    return
        finally:
            connection.close()

    def ask(self, dice):
        self.requests(http.client.HTTPSConnection("localhost", self.server.http_port, timeout=30, context=self.papers.context), dice, 20)

    def ask_anew(self, dice):
        self.requests(http.client.HTTPSConnection("localhost", self.server.http_port, timeout=30, context=self.papers.context), dice, 1)

    def ask_plainly(self, dice):
        self.requests(http.client.HTTPConnection("127.0.0.1", self.server.plain_http, timeout=30), dice, 3)

    def shake_hands(self, dice):
        """The handshake and no more, or half a request."""
        with self.tls(dice.choice((self.server.http_port, self.server.http_port, self.server.dicom_port))) as s:
            if dice.random() < 0.5:
                s.sendall(b"GET /healthz HTTP/1.1\r\nHos")
            time.sleep(dice.random() * 0.02)

    def speak_no_tls(self, dice):
        with socket.create_connection(("127.0.0.1", dice.choice((self.server.http_port, self.server.dicom_port))), timeout=30) as s:
            s.sendall(b"GET / HTTP/1.1\r\n\r\n")
            s.recv(1000)

    def store(self, dice):
        encrypted = dice.random() < 0.5
        port = self.server.dicom_port if encrypted else self.server.plain_dicom
        with gantry.Association(port, self.server.aet, [traffic.CT], (traffic.EXPLICIT,), timeout=30, tls=self.papers.context if encrypted else None) as a:
            for _ in range(dice.randrange(1, 8)):
                study = f"{traffic.ROOT}.{self.seed}.{dice.randrange(1 << 30)}"
                sop = f"{study}.1.1"
                if a.store(traffic.CT, sop, traffic.data_set(study, f"{study}.1", sop, os.urandom(8192))) == 0:
                    self.stored.append(sop)


def check(server, code):
    log = server.stderr()
    assert code == 0 and not any(report in log for report in REPORTS), f"exit code {code}: {log[-6000:]}"


def start(data, config):
    server = gantry.Server(data, config=config)
    server.plain_http = int(server.ready.split("http-plain=http://")[1].split(":")[1].split("/")[0])
    server.plain_dicom = int(server.ready.split("dicom-plain=")[1].split()[0].rsplit(":", 1)[1])
    return server


def ask_over_tls(server, papers, method, path, body=None, headers=None):
    connection = http.client.HTTPSConnection("localhost", server.http_port, timeout=60, context=papers.context)
    status, _, answer = gantry.answer_of(connection, method, path, body, headers)
    return status, answer


def first_objects(folder, server, papers):
    """Compressed ones, for whose images workers are needed. What is asked for in each round."""
    run(GANTRY, "synth", "--out", folder / "made", "--kind", "head-ct", "--slices", "2", "--seed", "3")
    files = sorted((folder / "made").rglob("*.dcm"))
    (folder / "packed").mkdir()
    run(GANTRY, "transcode", *files, "--to", "jpeg-ls", "--out", folder / "packed")
    body = b"".join(b"--b\r\nContent-Type: application/dicom\r\n\r\n" + p.read_bytes() + b"\r\n" for p in sorted((folder / "packed").iterdir())) + b"--b--\r\n"
    status, answer = ask_over_tls(server, papers, "POST", "/dicom-web/studies", body, {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'})
    assert status == 200, f"{status} {answer[:500]}"
    i = json.loads(ask_over_tls(server, papers, "GET", "/dicom-web/instances?limit=1", headers={"Accept": "application/dicom+json"})[1])[0]
    study, series, sop = (i[t]["Value"][0] for t in ("0020000D", "0020000E", "00080018"))
    below = f"/dicom-web/studies/{study}/series/{series}"
    return [f"{below}/instances/{sop}/rendered", f"{below}/instances/{sop}/rendered", f"{below}/metadata", "/dicom-web/studies?limit=5", "/metrics", "/healthz",
            "/dicom-web/instances?limit=20", "/"]


def stop_at_some_moment(server, dice):
    """Reloads before and during the stop change nothing of it."""
    time.sleep(dice.random() * LATEST_MS / 1000)
    for _ in range(dice.choice((0, 0, 1, 2))):
        server.process.send_signal(signal.SIGHUP)
    server.process.send_signal(signal.SIGTERM)
    for _ in range(dice.choice((0, 1, 2))):
        time.sleep(dice.random() * 0.05)
        server.process.send_signal(signal.SIGHUP)
    return server.process.wait(120)  # a second SIGTERM would end it at once


def stop_while_it_starts(data, config, dice):
    """Whoever is told to end before it is ready starts and ends, or has not begun."""
    with tempfile.TemporaryFile() as log:
        command = [GANTRY, "serve", *gantry.archive(data, config), "--dicom-port", "0", "--http-port", "0", "--auth", "none"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
        time.sleep(dice.random() * LATEST_MS / 1000)
        process.send_signal(signal.SIGTERM)
        code = process.wait(120)
        text = os.pread(log.fileno(), 1 << 20, 0).decode("utf-8", "replace")
    assert code in (0, -signal.SIGTERM) and not any(report in text for report in REPORTS), f"exit code {code}: {text[-6000:]}"


def found_of(server, papers):
    found, page, at = set(), None, 0
    while page is None or len(page) == PAGE:
        path = f"/dicom-web/instances?limit={PAGE}&offset={at}"
        page = json.loads(ask_over_tls(server, papers, "GET", path, headers={"Accept": "application/dicom+json"})[1] or "[]")
        found.update(i["00080018"]["Value"][0] for i in page)
        at += len(page)
    return found


def main():
    if gantry.on_cluster():
        gantry.skip("how a server stops has nothing to do with where the index lies")
    rounds, seed = (int(n) for n in (*sys.argv[1:3], *("20", "1")[len(sys.argv) - 1:]))
    dice, stored = random.Random(seed), set()
    with tempfile.TemporaryDirectory() as top:
        folder = Path(top)
        papers = Papers(folder / "papers")
        config = papers.configure(folder, Collector().port)
        with start(folder / "data", config) as server:
            paths = first_objects(folder, server, papers)
        for number in range(rounds):
            if number % 4 == 3:
                stop_while_it_starts(folder / "data", config, dice)
                continue
            server = start(folder / "data", config)
            clients = Clients(server, papers, seed % 100000 * 100 + number, paths)
            try:
                code = stop_at_some_moment(server, dice)
            finally:
                clients.end()
            check(server, code)
            assert not clients.wrong, clients.wrong[:5]
            stored.update(clients.stored)
        server = start(folder / "data", config)
        missing = stored - found_of(server, papers)
        assert not missing, f"{len(missing)} objects were acknowledged and are not there"
        check(server, server.stop(120))
    print(f"{rounds} stops, {len(stored)} objects acknowledged meanwhile and found: passed")


main()
