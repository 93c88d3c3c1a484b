#!/usr/bin/env python3
"""The page in Debian's Chromium, in both languages: list, search, images by wheel, keys and dragging. SHOTS names a folder for its screenshots."""
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry
import node


def conflict(server, path):
    """The same SOP Instance UID with other bytes, and something that is hardly an object: both must show."""
    data = path.read_bytes()
    other = data[:-2] + bytes(b ^ 0x55 for b in data[-2:])
    cut = data[:400]
    for body in (other, cut):
        server.http("POST", "/dicom-web/studies", body=b"--b\r\n\r\n" + body + b"\r\n--b--", headers={"Content-Type": "multipart/related; boundary=b"})


def two_patients(server, path):
    """One more object in the same study and series, of another patient."""
    data = path.read_bytes()
    uid = re.search(rb"\x08\x00\x18\x00UI..([0-9.]+)", data, re.S).group(1)
    other = uid[:-1] + (b"1" if uid[-1:] != b"1" else b"2")
    server.store([data.replace(uid, other).replace(b"PAGE-1", b"PAGE-2")])


def main():
    if not shutil.which(os.environ.get("CHROMIUM", "chromium")):
        gantry.skip("chromium is not installed")
    modules = node.install()
    with tempfile.TemporaryDirectory() as name:
        gantry.run(gantry.GANTRY, "synth", "--out", f"{name}/demo", "--demo", timeout=300)
        files = sorted(Path(f"{name}/demo").rglob("*.dcm"))
        gantry.run(gantry.GANTRY, "synth", "--out", f"{name}/one", "--kind", "chest-ct", "--slices", "12", "--size", "128", "--patient-id", "PAGE-1", "--name", "=王^小明", timeout=300)
        shots = os.environ.get("SHOTS", f"{name}/shots")
        Path(shots).mkdir(exist_ok=True)
        with gantry.Server(f"{name}/data") as server:
            one = sorted(Path(f"{name}/one").rglob("*.dcm"))
            server.store([p.read_bytes() for p in files + one])
            two_patients(server, one[0])
            conflict(server, files[0])
            print(gantry.run("node", modules / "page.mjs", f"http://127.0.0.1:{server.http_port}/", shots, "PAGE-1", timeout=500).stdout)


main()
