#!/usr/bin/env python3
"""A long life: many associations and requests, and the server's memory drifts by less than 5 % and its descriptors stay what they were.

Usage: endurance.py [ASSOCIATIONS [REQUESTS]]. An association echoes, stores, is refused, breaks off in half a PDU or aborts; a request searches,
retrieves, reads metadata, asks for what is not there. The memory of the second quarter (the first fills caches) is held against that of the last.
"""
import json
import multiprocessing
import os
import random
import socket
import statistics
import struct
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry

CT, VERIFICATION, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.1", "1.2.840.10008.1.2.1"
WORKERS, PARTS, QUARTER, DRIFT_MAX = 4, 20, 5, 0.05
LONG, NOISE_KIB = 1000000, 512  # in fewer requests than these, caches are still filling
KEPT = 400  # objects that the workers store again and again: what is known is read back and acknowledged, and the index does not grow


def element(group, number, vr, value):
    value = value.encode() + (b"\0" if vr == "UI" and len(value) & 1 else b" " if len(value) & 1 else b"")
    return struct.pack("<HH2sH", group, number, vr.encode(), len(value)) + value


def small_object(number):
    uid, study = f"1.2.3.9.{number}", f"1.2.3.{number % 20}"
    data = element(8, 0x16, "UI", CT) + element(8, 0x18, "UI", uid) + element(8, 0x20, "DA", "20250310") + element(8, 0x60, "CS", "CT")
    data += element(0x10, 0x10, "PN", f"Long^Life{number % 20}") + element(0x10, 0x20, "LO", f"L{number % 20}")
    data += element(0x20, 0x0D, "UI", study) + element(0x20, 0x0E, "UI", study + ".1")
    return uid, data + b"\xe0\x7f\x10\x00OW\0\0" + struct.pack("<I", 4096) + bytes(4096)


def associate(port, aet, chance):
    if chance < 0.05:  # a caller of somebody else
        try:
            gantry.Association(port, "SOMEBODY", [VERIFICATION])
        except ConnectionError:
            return
        raise AssertionError("an association for another application entity was accepted")
    association = gantry.Association(port, aet, [CT, VERIFICATION], [EXPLICIT, "1.2.840.10008.1.2"], timeout=60)
    if chance < 0.1:  # half a PDU, then gone
        association.socket.sendall(b"\4\0\0\0\1\0abc")
        association.socket.close()
    elif chance < 0.15:
        association.socket.sendall(struct.pack(">BBIBBBB", 7, 0, 4, 0, 0, 0, 0))
        association.socket.close()
    else:
        with association:
            if chance < 0.5:
                association.send(3, association.command([(0x0002, VERIFICATION), (0x0100, 0x0030), (0x0110, 1), (0x0800, 0x0101)]))
                assert association.status() == 0
            else:
                uid, data = small_object(int(chance * 1e6) % KEPT)
                assert association.store(CT, uid, data) == 0


class Web:
    """A connection that is kept; http.client would be the slower end of the two."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest, self.host = b"", f"127.0.0.1:{port}"

    def get(self, path, accept):
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: {self.host}\r\nAccept: {accept}\r\n\r\n".encode())
        data = self.rest
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self.more()
        head = data[:end].decode("latin-1").lower()
        status, body = int(head.split(" ", 2)[1]), data[end + 4:]
        if "transfer-encoding: chunked" in head:
            while not (body.endswith(b"0\r\n\r\n")):
                body += self.more()
            self.rest = b""
        else:
            length = int(head.split("content-length:", 1)[1].split("\r\n", 1)[0]) if "content-length:" in head else 0
            while len(body) < length:
                body += self.more()
            self.rest = body[length:]
        return status

    def more(self):
        part = self.socket.recv(65536)
        if not part:
            raise ConnectionError("the server closed the connection")
        return part


def request(web, chance):
    number = int(chance * 1e6)
    uid, study = f"1.2.3.9.{number % KEPT}", f"1.2.3.{number % KEPT % 20}"
    path, accept, expected = [
        (f"/dicom-web/studies?PatientID=L{number % 20}", "application/dicom+json", (200,)),
        ("/dicom-web/studies?PatientName=long*&limit=5", "application/dicom+json", (200,)),
        (f"/dicom-web/studies/{study}/series/{study}.1/instances/{uid}", "application/dicom; transfer-syntax=*", (200,)),
        (f"/dicom-web/studies/{study}/series/{study}.1/metadata", "application/dicom+json", (200,)),
        ("/healthz", "*/*", (200,)),
        (f"/dicom-web/studies/9.9.9.{number}/metadata", "application/dicom+json", (204, 404)),
        (f"/dicom-web/studies?PatientID={number}", "application/dicom+json", (200, 204)),
        ("/nothing/here", "*/*", (404,)),
    ][number % 8]
    status = web.get(path, accept)
    assert status in expected, f"GET {path}: {status}"


def work(arguments):
    dicom_port, http_port, aet, associations, requests, seed = arguments
    r = random.Random(seed)
    for _ in range(associations):
        associate(dicom_port, aet, r.random())
    web = Web(http_port)
    for i in range(requests):
        if i % 1000 == 999:
            web.socket.close()
            web = Web(http_port)
        request(web, r.random())
    web.socket.close()


def descriptors(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def settled(server):
    """Memory and descriptors when what was closed has been let go of."""
    lowest = descriptors(server)
    for _ in range(10):
        time.sleep(0.05)
        lowest = min(lowest, descriptors(server))
    return server.memory_kib(), lowest


def main():
    associations, requests = (int(a) for a in (sys.argv[1:] + ["2000", "20000"][len(sys.argv) - 1:])[:2])
    with tempfile.TemporaryDirectory() as folder, gantry.Server(Path(folder) / "data") as server, multiprocessing.Pool(WORKERS) as pool:
        with gantry.Association(server.dicom_port, server.aet, [CT], [EXPLICIT], timeout=60) as association:
            for number in range(KEPT):
                uid, data = small_object(number)
                assert association.store(CT, uid, data) == 0
        samples, start = [], time.monotonic()
        for part in range(PARTS):
            share = PARTS * WORKERS
            pool.map(work, [(server.dicom_port, server.http_port, server.aet, associations // share, requests // share, part * 100 + w) for w in range(WORKERS)])
            samples.append(settled(server))
            print(f"part {part + 1} of {PARTS}: {samples[-1][0]} KiB, {samples[-1][1]} descriptors, {time.monotonic() - start:.0f} s", flush=True)
        first = statistics.median(kib for kib, _ in samples[QUARTER:2 * QUARTER])
        last = statistics.median(kib for kib, _ in samples[-QUARTER:])
        drift, fds = (last - first) / first, [fd for _, fd in samples[1:]]
        print(json.dumps({"associations": associations, "requests": requests, "memory_kib": [first, last], "drift": round(drift, 4), "descriptors": [min(fds), max(fds)]}))
        assert drift < DRIFT_MAX or requests < LONG and last - first < NOISE_KIB, f"memory drifts by {drift:.1%}"
        assert max(fds[QUARTER:]) <= max(fds[:QUARTER]), f"descriptors grow: {fds}"


main()
