"""Encryption at rest: storing and retrieving with it and without, interleaved on the same disk; rates and the server's CPU time."""
import http.client
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import gantry

ROUNDS = int(os.environ.get("ROUNDS", "5"))
CIPHERS = os.environ.get("CIPHERS", "aes-256-gcm").split()
# associations, pixel bytes, objects per association of one round
CASES = [(1, 526 * 1024, 120), (4, 526 * 1024, 50), (1, 10 * 1024, 600), (16, 10 * 1024, 120), (1, 20 << 20, 8)]
ANY = "transfer-syntax=*"
KINDS = {"one object each": f"application/dicom; {ANY}", "whole series": f'multipart/related; type="application/dicom"; {ANY}'}


def server_of(folder, cipher):
    os.environ["GANTRY_TEST_ENCRYPTED"] = cipher
    return gantry.Server(Path(folder) / (cipher or "plain"))


def store(server, case, seed):
    associations, pixels, objects = case
    before = server.cpu_s()
    out = subprocess.run([gantry.LOAD, "127.0.0.1", str(server.dicom_port), server.aet, str(associations), str(objects), str(pixels), str(seed)],
                         capture_output=True, text=True, check=False).stdout
    result = json.loads(out)
    assert result["failed"] == 0, f"{result['failed']} objects failed"
    return result["objects_per_s"], server.cpu_s() - before


def fetch(server, paths, accept):
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=60)
    before, start, n = server.cpu_s(), time.monotonic(), 0
    for path in paths:
        connection.request("GET", path, headers={"Accept": accept})
        answer = connection.getresponse()
        assert answer.status == 200, f"{path}: {answer.status}"
        while chunk := answer.read(1 << 20):
            n += len(chunk)
    return n / (time.monotonic() - start) / 1e6, server.cpu_s() - before


def paths_of(server):
    found = server.get_json("/dicom-web/instances?limit=400")
    uids = [tuple(i[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018")) for i in found]
    one = [f"/dicom-web/studies/{a}/series/{b}/instances/{c}" for a, b, c in uids]
    return {"one object each": one, "whole series": sorted({p.rsplit("/", 2)[0] for p in one})}


def interleave(servers, work):
    """name -> what each round gave, in turns; the first round warms up and is not counted."""
    results = {name: [] for name in servers}
    for number in range(ROUNDS + 1):
        for name in sorted(servers, reverse=number % 2 == 1):
            value = work(servers[name], number)
            if number:
                results[name].append(value)
    return {name: tuple(statistics.median(v[i] for v in values) for i in (0, 1)) for name, values in results.items()}


def show(what, unit, results):
    rate, cpu = results["plain"]
    for name in (n for n in results if n != "plain"):
        print(f"{what:26} plain {rate:8.0f} {unit}, {name} {results[name][0]:8.0f} {unit} ({100 * (results[name][0] / rate - 1):+.0f} %), CPU {cpu:.2f} and {results[name][1]:.2f} s", flush=True)


def main():
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        servers = {cipher or "plain": server_of(folder, cipher) for cipher in ["", *CIPHERS]}
        print(f"\nEncryption at rest, medians of {ROUNDS} interleaved rounds")
        try:
            for i, case in enumerate(CASES):
                show(f"store {case[0]:2} x {case[1] // 1024:5} KiB", "/s", interleave(servers, lambda s, number, c=case, k=i: store(s, c, 1000 * k + number)))
            paths = {id(s): paths_of(s) for s in servers.values()}
            for kind, accept in KINDS.items():
                show(f"retrieve, {kind}", "MB/s", interleave(servers, lambda s, _, k=kind, a=accept: fetch(s, paths[id(s)][k], a)))
        finally:
            for server in servers.values():
                server.stop()
