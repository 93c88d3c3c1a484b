#!/usr/bin/env python3
"""Everything at once: senders at full speed, searches, retrieves, metadata, images, events and figures side by side; nothing fails but what is refused.

Usage: together.py [SECONDS]. Meant for a build that watches its threads; in any build every answer must be a right one.
"""
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry


def send(server, end, counts, failures):
    seed = 0
    while time.monotonic() < end:
        seed += 1
        done = subprocess.run([gantry.LOAD, "127.0.0.1", str(server.dicom_port), server.aet, "4", "25", "8192", str(seed)], capture_output=True, text=True)
        if done.returncode != 0:
            failures.append(f"load: {done.stdout}{done.stderr}")
        counts["stored"] = counts.get("stored", 0) + json.loads(done.stdout)["objects"]


def watch_events(server, end, counts):
    while time.monotonic() < end:
        try:
            server.http("GET", "/events", timeout=2)
        except OSError:
            counts["events"] = counts.get("events", 0) + 1


def walk(server, end, counts, failures):
    """Down from the newest study to an image, as a page does."""
    dicom_json = {"Accept": "application/dicom+json"}
    while time.monotonic() < end:
        found = server.http("GET", "/dicom-web/instances?limit=3", headers=dicom_json)
        for i in json.loads(found[2] or "[]"):
            study, series, sop = (i[t]["Value"][0] for t in ("0020000D", "0020000E", "00080018"))
            below = f"/dicom-web/studies/{study}/series/{series}"
            for path, headers in [(f"{below}/instances/{sop}", {"Accept": "application/dicom; transfer-syntax=*"}), (f"{below}/metadata", dicom_json),
                                  (f"{below}/instances/{sop}/rendered", {"Accept": "image/jpeg"}), ("/dicom-web/studies?PatientName=load*", dicom_json),
                                  ("/metrics", {}), ("/healthz", {})]:
                status, _, body = server.http("GET", path, headers=headers)
                counts["answers"] = counts.get("answers", 0) + 1
                if status not in (200, 204):
                    failures.append(f"GET {path}: {status} {body[:200]}")


def ask_by_dimse(server, end, counts, failures, folder):
    while time.monotonic() < end:
        peer = f"{server.aet}@127.0.0.1:{server.dicom_port}"
        done = gantry.run(gantry.GANTRY, "find", "--json", peer, "--key", "PatientName=load*", "--key", "StudyInstanceUID", check=False)
        if done.returncode != 0:
            failures.append(f"find: {done.stderr[-300:]}")
        counts["finds"] = counts.get("finds", 0) + 1
        server.echo()


def main():
    end = time.monotonic() + float((sys.argv + ["20"])[1])
    counts, failures = {}, []
    with tempfile.TemporaryDirectory() as folder, gantry.Server(Path(folder) / "data") as server:
        threads = [threading.Thread(target=send, args=(server, end, counts, failures)), threading.Thread(target=watch_events, args=(server, end, counts)),
                   threading.Thread(target=ask_by_dimse, args=(server, end, counts, failures, folder))]
        threads += [threading.Thread(target=walk, args=(server, end, counts, failures)) for _ in range(3)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    print(json.dumps(counts))
    assert not failures, f"{len(failures)} failures, such as {failures[:3]}"
    assert counts["stored"] > 100 and counts["answers"] > 10


main()
