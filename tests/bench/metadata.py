"""Metadata of a 100-instance study over DICOMweb, warm, against Orthanc's DICOMweb plugin."""
import os
import re
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import gantry
import peers

ROUNDS = int(os.environ.get("ROUNDS", "5"))


def study_uid(get_json):
    return get_json("/dicom-web/studies")[0]["0020000D"]["Value"][0]


def read_answer(connection):
    """One HTTP answer, by its length or its chunks; the client must not be what is measured."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(1 << 20)
    head, body = data.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 200"), head[:200]
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    while len(body) < int(length.group(1)) if length else not body.endswith(b"0\r\n\r\n"):
        body += connection.recv(1 << 20)
    assert len(body) > 100


def time_requests(port, path, count):
    """Milliseconds of each of count requests on one connection."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: application/dicom+json\r\nAccept-Encoding: gzip\r\n\r\n".encode()
    times = []
    with socket.create_connection(("127.0.0.1", port), timeout=120) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(count):
            start = time.perf_counter()
            connection.sendall(request)
            read_answer(connection)
            times.append(1000 * (time.perf_counter() - start))
    return times


def main():
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        with gantry.Server(Path(folder) / "gantry") as ours, peers.Orthanc(Path(folder) / "orthanc") as orthanc:
            for server in (ours, orthanc):
                subprocess.run([gantry.LOAD, "127.0.0.1", str(server.dicom_port), server.aet, "1", "100", "10240", "7"], check=True, stdout=subprocess.DEVNULL)
            path = f"/dicom-web/studies/{study_uid(ours.get_json)}/metadata"
            mine, theirs = [], []
            time_requests(ours.http_port, path, 5), time_requests(orthanc.http_port, path, 1)
            for _ in range(ROUNDS):
                mine += time_requests(ours.http_port, path, 40)
                theirs += time_requests(orthanc.http_port, path, 2)
        a, b = statistics.median(mine), statistics.median(theirs)
        print(f"\nMetadata of a study of 100 instances, p50: gantry {a:.2f} ms, Orthanc {b:.1f} ms, {b / a:.0f} x")
