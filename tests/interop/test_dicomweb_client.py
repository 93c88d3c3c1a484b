#!/usr/bin/env python3
"""dicomweb-client (npm) in Debian's Chromium: every call that it has."""
import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry
import node

try:
    import derived
    import pydicom
except ImportError as missing:
    gantry.skip(f"{missing.name} is not installed")


def main():
    if not shutil.which(os.environ.get("CHROMIUM", "chromium")):
        gantry.skip("chromium is not installed")
    gantry.need_tools("dcmcjpls", "dcmcjpeg")
    modules = node.install()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        gantry.run(gantry.GANTRY, "synth", "--out", folder / "ct", "--kind", "chest-ct", "--slices", "2", "--size", "128", "--patient-id", "CLIENT-1",
                   "--name", "王^小明", "--charset", "GB18030", timeout=120)
        first, second = sorted((folder / "ct").rglob("1/1/*.dcm"))
        gantry.run("dcmcjpls", second, folder / "second.dcm")
        derived.colour_clip(pydicom.dcmread(first), folder / "clip.dcm")
        gantry.run("dcmcjpeg", "+eb", folder / "clip.dcm", folder / "clip.jpg.dcm")
        with gantry.Server(folder / "data") as server:
            print(gantry.run("node", modules / "dicomweb_client.mjs", f"http://127.0.0.1:{server.http_port}", first, folder / "second.dcm", folder / "clip.jpg.dcm",
                             timeout=400).stdout)


main()
