"""Metadata of a 100-instance study over DICOMweb, warm, against Orthanc's DICOMweb plugin."""
import http.client
import os
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


def time_requests(port, path, count):
    """Milliseconds of each of count requests on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    times = []
    for _ in range(count):
        start = time.perf_counter()
        connection.request("GET", path, headers={"Accept": "application/dicom+json", "Accept-Encoding": "gzip"})
        answer = connection.getresponse()
        body = answer.read()
        times.append(1000 * (time.perf_counter() - start))
        assert answer.status == 200 and body, f"{path}: {answer.status}"
    connection.close()
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
