#!/usr/bin/env python3
"""OHIF as its makers build it, in Debian's Chromium, lists and displays what Gantry holds: no request may fail. SHOTS names a folder for screenshots."""
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry
import node
import ohif

try:
    import derived
    import pydicom
except ImportError as missing:
    gantry.skip(f"{missing.name} is not installed")

NAME = "王^小明"


def make_study(folder):
    """A CT compressed by DCMTK, its name in GB18030, with a SEG and an SR beside it; and a colour clip in a study of its own."""
    gantry.run(gantry.GANTRY, "synth", "--out", folder / "ct", "--kind", "chest-ct", "--slices", "8", "--size", "128", "--patient-id", "OHIF-1", "--name", NAME,
               "--charset", "GB18030", timeout=120)
    plain = sorted((folder / "ct").rglob("1/1/*.dcm"))
    images = [pydicom.dcmread(p) for p in plain]
    for path in plain:
        gantry.run("dcmcjpls", path, f"{path}.jls")
    derived.segmentation(images, folder / "seg.dcm")
    derived.measurement_report(images[3], folder / "sr.dcm")
    images[0].StudyInstanceUID = clip_study = pydicom.uid.generate_uid()
    derived.colour_clip(images[0], folder / "clip.dcm")
    gantry.run("dcmcjpeg", "+eb", folder / "clip.dcm", folder / "clip.jpg.dcm")
    files = [f"{p}.jls" for p in plain] + [folder / "seg.dcm", folder / "sr.dcm", folder / "clip.jpg.dcm"]
    return files, images[1].StudyInstanceUID, clip_study


def enhanced_mr():
    return gantry.DATA / "dicom" / "neurolabusc__dcm_qa_agfa" / "enh_via_agfa" / "011-0001.img"


def main():
    if not shutil.which(os.environ.get("CHROMIUM", "chromium")):
        gantry.skip("chromium is not installed")
    gantry.need_tools("dcmcjpls", "dcmcjpeg")
    modules, dist = node.install(), ohif.install()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files, ct, clip = make_study(folder)
        studies = [{"uid": ct, "name": "ct", "looks": "gray", "thumbnails": [{"modality": "SEG", "number": 0, "looks": "colour"},
                                                                             {"modality": "SR", "number": 0, "looks": "gray"}]},
                   {"uid": clip, "name": "clip", "looks": "colour"}]
        if enhanced_mr().exists():
            files.append(enhanced_mr())
            studies.append({"uid": pydicom.dcmread(enhanced_mr(), stop_before_pixels=True).StudyInstanceUID, "name": "enhanced-mr", "looks": "gray"})
        shots = Path(os.environ.get("SHOTS", folder / "shots"))
        shots.mkdir(exist_ok=True)
        port = gantry.free_port()
        config = folder / "gantry.yaml"
        config.write_text(f"cors:\n  origins: [\"http://127.0.0.1:{port}\"]\n")
        with gantry.Server(folder / "data", config=config) as server:
            server.store([Path(p).read_bytes() for p in files])
            (folder / "expected.json").write_text(json.dumps({"port": port, "name": "王", "studies": studies}))
            print(gantry.run("node", modules / "ohif.mjs", dist, f"http://127.0.0.1:{server.http_port}", shots, folder / "expected.json", timeout=400).stdout)


main()
