#!/usr/bin/env python3
"""Never lost: kill -9 at random moments under four senders, or one of larger objects; every acknowledged object is there after restart,
identical to the byte.

Usage: kill.py [ROUNDS]. Each round starts the server on the same data, checks what the round before was acknowledged, loads it and kills it.
"""
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry

CROWD, LONE = (4, 40 * 1024), (1, 300 * 1024)  # senders, pixel bytes; every sixth round is a lone one's
OBJECTS = 100000
ROUNDS_PER_ARCHIVE = 100  # then a new one, so that a thousand rounds fit on a small disk


def load_round(server, number, acked):
    """Senders at full speed; the server is killed under them. The load generator appends 'UID crc32' of what was acknowledged."""
    senders, pixel_bytes = LONE if number % 6 == 5 else CROWD
    load = subprocess.Popen([gantry.LOAD, "127.0.0.1", str(server.dicom_port), server.aet, str(senders), str(OBJECTS), str(pixel_bytes), str(number)],
                            env={**os.environ, "LOAD_ACKED": str(acked)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while number % 3 == 0 and time.monotonic() < end and len(read_acked(acked)) < 4:  # at times not before some were acknowledged
        time.sleep(0.02)
    time.sleep(random.uniform(0.02, 0.5))
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    load.wait(300)


def read_acked(path):
    lines = path.read_text().split("\n") if path.exists() else []
    return {uid: int(crc) for uid, crc in (line.split() for line in lines[:-1])}


def study_of(server, uid):
    found = server.get_json(f"/dicom-web/instances?SOPInstanceUID={uid}")
    assert len(found) == 1, f"acknowledged {uid} is found {len(found)} times"
    return found[0]["0020000D"]["Value"][0], found[0]["0020000E"]["Value"][0]


def check_object(server, uid, crc):
    study, series = study_of(server, uid)
    status, _, body = server.http("GET", f"/dicom-web/studies/{study}/series/{series}/instances/{uid}", headers={"Accept": "application/dicom; transfer-syntax=*"})
    assert status == 200, f"acknowledged {uid}: {status} {body[:200]}"
    assert zlib.crc32(gantry.data_set_of(body)) == crc, f"acknowledged {uid} came back with other bytes"


def live(folder, rounds):
    """Rounds on one archive, all of it checked at the end. Returns how many objects were acknowledged."""
    data, total, checked = Path(folder) / "data", {}, 0
    fresh = {}
    for number in range(rounds):
        server = gantry.Server(data)
        for uid, crc in random.sample(sorted(fresh.items()), min(len(fresh), 25)):
            check_object(server, uid, crc)
            checked += 1
        acked = Path(folder) / f"acked{number}"
        load_round(server, number, acked)
        fresh = read_acked(acked)
        total.update(fresh)
    print(f"{len(total)} objects acknowledged over {rounds} kills", flush=True)
    assert len(total) >= rounds, "too few objects were acknowledged for the test to mean anything"
    with gantry.Server(data) as server:
        served = {}
        offset = 0
        while page := server.get_json(f"/dicom-web/instances?limit=5000&offset={offset}"):
            served.update((i["00080018"]["Value"][0], True) for i in page)
            offset += len(page)
        lost = [uid for uid in total if uid not in served]
        assert not lost, f"{len(lost)} acknowledged objects are not found, such as {lost[:3]}"
        for uid, crc in random.sample(sorted(total.items()), min(len(total), 400)):
            check_object(server, uid, crc)
    fsck = gantry.run(gantry.GANTRY, "fsck", *gantry.archive(data), check=False)
    assert fsck.returncode == 0, f"fsck after the kills: {fsck.returncode}\n{fsck.stdout[-2000:]}{fsck.stderr[-1000:]}"
    print(f"{len(served)} objects are there, {checked} + 400 compared, fsck finds nothing", flush=True)
    return len(total)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    seed = int(os.environ.get("SEED", time.time_ns() & 0xFFFFFF))
    random.seed(seed)
    print(f"seed {seed}, {rounds} rounds", flush=True)
    total = 0
    for left in range(rounds, 0, -ROUNDS_PER_ARCHIVE):
        with tempfile.TemporaryDirectory() as folder:
            total += live(folder, min(left, ROUNDS_PER_ARCHIVE))
    print(f"{total} objects acknowledged over {rounds} kills, none lost")


main()
