#!/usr/bin/env python3
"""dcmjs-dimse as a peer: it echoes, stores, finds, gets, and is the destination of its own C-MOVE."""
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry
import node


def main():
    folder_of_modules = node.install()
    with tempfile.TemporaryDirectory() as name:
        gantry.run(gantry.GANTRY, "synth", "--out", name, "--kind", "chest-ct", "--slices", "3", "--size", "64", "--patient-id", "DCMJS1", "--charset", "ISO_IR 192")
        files = sorted(str(p) for p in Path(name).rglob("*.dcm"))
        port = gantry.free_port()
        with gantry.Server(Path(name) / "data", "--peer", f"DCMJSSCP@127.0.0.1:{port}") as server:
            print(gantry.run("node", folder_of_modules / "dcmjs.mjs", server.dicom_port, server.aet, port, *files, timeout=400).stdout)


main()
