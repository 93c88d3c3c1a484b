#!/usr/bin/env python3
"""A full disk: C-STORE answers 0xA700 and STOW-RS 507, reads go on, nothing acknowledged is lost, and storing resumes by itself when there is room."""
import os
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry

CT = "1.2.840.10008.5.1.4.1.1.2"
DISK_MIB = 160


def element(group, number, vr, value):
    value = value.encode() if isinstance(value, str) else value
    value += (b"\0" if vr in ("UI", "OB") else b" ") * (len(value) & 1)
    head = group.to_bytes(2, "little") + number.to_bytes(2, "little") + vr.encode()
    return head + (b"\0\0" + len(value).to_bytes(4, "little") if vr == "OB" else len(value).to_bytes(2, "little")) + value


def make_object(number):
    uid = f"1.2.99.{number}"
    data = element(8, 0x16, "UI", CT) + element(8, 0x18, "UI", uid) + element(8, 0x60, "CS", "CT") + element(0x10, 0x10, "PN", "Full^Disk")
    data += element(0x10, 0x20, "LO", "F1") + element(0x20, 0x0D, "UI", "1.2.99") + element(0x20, 0x0E, "UI", "1.2.99.0")
    return uid, data + element(0x42, 0x11, "OB", os.urandom(1 << 20))


def store(server, number):
    uid, data = make_object(number)
    with gantry.Association(server.dicom_port, server.aet, [CT], ["1.2.840.10008.1.2.1"], timeout=120) as association:
        return uid, data, association.store(CT, uid, data)


def fill(server, acked):
    for number in range(1, 4 * DISK_MIB):
        uid, data, status = store(server, number)
        if status != 0:
            return status
        acked[uid] = zlib.crc32(data)
    raise AssertionError("the disk never filled")


def check_all(server, acked):
    for uid, crc in acked.items():
        status, _, body = server.http("GET", f"/dicom-web/studies/1.2.99/series/1.2.99.0/instances/{uid}", headers={"Accept": "application/dicom; transfer-syntax=*"})
        assert status == 200 and zlib.crc32(gantry.data_set_of(body)) == crc, f"{uid}: {status}"


def part10(uid, data):
    meta = element(2, 1, "OB", b"\0\1") + element(2, 2, "UI", CT) + element(2, 3, "UI", uid) + element(2, 0x10, "UI", "1.2.840.10008.1.2.1")
    return bytes(128) + b"DICM" + element(2, 0, "UL", len(meta).to_bytes(4, "little")) + meta + data


def stow(server, number):
    uid, data = make_object(number)
    body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + part10(uid, data) + b"\r\n--b--\r\n"
    return server.http("POST", "/dicom-web/studies", body, {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'})[0]


def main():
    with tempfile.TemporaryDirectory() as folder:
        mount = Path(folder) / "disk"
        mount.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(mount)], capture_output=True).returncode != 0:
            gantry.skip("a small file system cannot be mounted here")
        try:
            check(mount)
        finally:
            subprocess.run(["umount", "-l", str(mount)], check=False)


def check(mount):
    ballast = mount / "ballast"
    ballast.write_bytes(bytes(40 << 20))
    acked = {}
    with gantry.Server(mount / "data") as server:
        status = fill(server, acked)
        assert status == 0xA700, f"a full disk is answered with {status:04X} instead of A700"
        assert len(acked) >= 8, f"only {len(acked)} objects of 1 MiB fitted"
        assert stow(server, 100001) == 507, "STOW-RS on a full disk"
        check_all(server, acked)
        assert server.get_json("/dicom-web/studies?PatientID=F1"), "queries on a full disk"
        assert server.http("GET", "/healthz")[0] in (200, 503)
        ballast.unlink()
        for attempt in range(120):
            uid, data, status = store(server, 200000 + attempt)
            if status == 0:
                break
            time.sleep(0.5)
        assert status == 0, f"with room again: {status:04X}"
        acked[uid] = zlib.crc32(data)
        check_all(server, acked)
    with gantry.Server(mount / "data") as server:
        check_all(server, acked)
    assert gantry.run(gantry.GANTRY, "fsck", "--data", mount / "data", check=False).returncode == 0
    print(f"{len(acked)} objects through a full disk and back")


main()
