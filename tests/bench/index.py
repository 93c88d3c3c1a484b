"""Queries by patient ID, by a page of a date range and by name prefix over an index of synthetic studies: in the process, over QIDO-RS and over C-FIND.

INDEX_STUDIES: sizes (default: 20000 1000000). INDEX_DIR keeps the filled indexes from one run to the next.
"""
import http.client
import os
import random
import statistics
import struct
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import gantry

STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
PAGE = 100
ROUNDS = int(os.environ.get("ROUNDS", "200"))
NAMES = ["Wang*", "W*", "王*", "Chen*", "Ouyang*", "Luo*", "Smith*", "Zhuge*", "Li^Na*", "Zhou^Xiao*"]
LIMITS_MS = {20000: 2, 1000000: 3}


def element(tag, value):
    data = value.encode()
    data += (b"\0" if tag == 0x0020000D else b" ") * (len(data) & 1)
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(data)) + data


def status_of(command):
    at = 0
    while at + 8 <= len(command):
        tag_element, length = struct.unpack_from("<2xHI", command, at)
        if tag_element == 0x0900:
            return struct.unpack_from("<H", command, at + 8)[0]
        at += 8 + length
    raise AssertionError("a response without Status")


class Finder(gantry.Association):
    """C-FIND on one association: a page of answers, then C-CANCEL."""

    def __init__(self, server):
        super().__init__(server.dicom_port, server.aet, [STUDY_ROOT_FIND])
        self.message = 0

    def answers(self):
        """Status of each response, as they come."""
        command = b""
        while True:
            kind, body = self.receive()
            assert kind == 4, f"PDU type {kind} instead of P-DATA-TF"
            at = 0
            while at < len(body):
                length, _, flags = struct.unpack_from(">IBB", body, at)
                if flags & 1:
                    command += body[at + 6:at + 4 + length]
                if flags == 3:
                    yield status_of(command)
                    command = b""
                at += 4 + length

    def find(self, keys):
        """Seconds until the page was full, or the last answer came; then C-CANCEL."""
        self.message += 1
        asked = {0x00080005: "ISO_IR 192", 0x00080052: "STUDY", 0x00080020: "", 0x00080030: "", 0x00080050: "", 0x00080061: "", 0x00100010: "", 0x00100020: "",
                 0x00100030: "", 0x00100040: "", 0x0020000D: "", 0x00201206: "", 0x00201208: "", **keys}
        identifier = b"".join(element(tag, asked[tag]) for tag in sorted(asked))
        start = time.perf_counter()
        self.send(1, self.command([(0x0002, STUDY_ROOT_FIND), (0x0100, 0x0020), (0x0110, self.message), (0x0700, 0), (0x0800, 1)]), identifier)
        n, full = 0, None
        for status in self.answers():
            if status not in (0xFF00, 0xFF01):
                assert status in (0, 0xFE00), f"C-FIND status {status:04X}"
                return (full or time.perf_counter()) - start
            n += 1
            if n == PAGE:
                full = time.perf_counter()
                self.send(1, self.command([(0x0100, 0x0FFF), (0x0120, self.message), (0x0800, 0x0101)]))


def samples(kind, studies):
    """Keys of queries of a kind, by tag."""
    rng = random.Random(7)
    while True:
        if kind == "patient ID":
            yield {0x00100020: f"S1{rng.randrange(studies * 2 // 5):07d}"}
        elif kind == "date range":
            month = f"{rng.randrange(2016, 2026)}{rng.randrange(1, 13):02d}"
            yield {0x00080020: f"{month}01-{month}28"}
        elif kind == "name prefix":
            yield {0x00100010: rng.choice(NAMES)}


def timed(run, queries):
    times = []
    for _ in range(ROUNDS):
        times.append(1000 * run(next(queries)))
    times.sort()
    return statistics.median(times), times[len(times) * 99 // 100]


def qido(connection):
    def run(keys):
        start = time.perf_counter()
        query = "&".join(f"{tag:08X}={quote(value)}" for tag, value in keys.items())
        connection.request("GET", f"/dicom-web/studies?{query}&limit={PAGE}", headers={"Accept": "application/dicom+json"})
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status in (200, 204), f"{answer.status} {body[:200]}"
        return time.perf_counter() - start
    return run


def over_the_wire(server, studies):
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=60)
    with Finder(server) as finder:
        doors = {"QIDO-RS": qido(connection), "C-FIND": finder.find}
        for door, run in doors.items():
            for kind in ("patient ID", "date range", "name prefix"):
                queries = samples(kind, studies)
                for _ in range(10):
                    run(next(queries))
                p50, p99 = timed(run, queries)
                limit = LIMITS_MS.get(studies)
                verdict = "" if limit is None else f"  (wanted: p50 under {limit} ms)"
                print(f"  {door:8} {kind:12} p50 {p50:6.2f} ms  p99 {p99:6.2f} ms{verdict}")
    connection.close()


def measure(folder, studies):
    folder.mkdir(parents=True, exist_ok=True)
    print(f"\nIndex of {studies} studies, pages of {PAGE}")
    bench = Path(gantry.LOAD).with_name("bench_query")
    print(subprocess.run([bench, folder, str(studies), str(ROUNDS)], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout, end="")
    start = time.monotonic()
    with gantry.Server(folder) as server:
        print(f"  start with {studies} studies: {time.monotonic() - start:.2f} s; idle memory {server.memory_kib() / 1024:.1f} MiB")
        over_the_wire(server, studies)
        print(f"  memory after the queries: {server.memory_kib() / 1024:.1f} MiB")


def main():
    sizes = [int(n) for n in os.environ.get("INDEX_STUDIES", "20000 1000000").split()]
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as scratch:
        for studies in sizes:
            measure(Path(os.environ.get("INDEX_DIR", scratch)) / f"index-{studies}", studies)
