#!/usr/bin/env python3
"""Phantoms: dciodvfy finds nothing in them, what is measured in the pixels is what the truth says, and the same seed gives the same bytes."""
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry

try:
    import numpy
    import pydicom
except ImportError:
    gantry.skip("pydicom and numpy are not installed")


def volume_of(series):
    """Slices of a series as one array in rescaled values, with its geometry: (values, spacing, thickness, origin)."""
    slices = sorted((pydicom.dcmread(p) for p in series.glob("*.dcm")), key=lambda d: float(d.ImagePositionPatient[2]))
    values = numpy.stack([d.pixel_array * float(d.RescaleSlope) + float(d.RescaleIntercept) for d in slices])
    return values, float(slices[0].PixelSpacing[0]), float(slices[0].SliceThickness), [float(v) for v in slices[0].ImagePositionPatient]


def sphere_of(volume, centre, radius):
    values, spacing, thickness, origin = volume
    z, y, x = numpy.indices(values.shape)
    distance = numpy.sqrt((origin[0] + x * spacing - centre[0]) ** 2 + (origin[1] + y * spacing - centre[1]) ** 2 + (origin[2] + z * thickness - centre[2]) ** 2)
    return values[distance < radius], spacing * spacing * thickness


def check_validity(folder):
    for case in sorted(folder.iterdir()):
        for series in sorted({p.parent for p in case.rglob("*.dcm")}):
            first = sorted(series.glob("*.dcm"))[0]
            said = subprocess.run(["dciodvfy", str(first)], capture_output=True, text=True).stderr
            faults = [line for line in said.splitlines() if line.startswith(("Error", "Warning"))]
            assert not faults, f"dciodvfy of {first}: {faults}"


def check_nodules(case):
    truth = json.loads((case / "truth.json").read_text())
    assert len(truth["series"]) == 2, "two dates"
    first, second = (s["nodules"] for s in truth["series"])
    for a, b in zip(first, second):
        assert math.isclose(b["diameter_mm"], 1.5 * a["diameter_mm"], rel_tol=1e-3), "growth"
    for number, series in enumerate(truth["series"], 1):
        volume = volume_of(case / str(number) / "1")
        for nodule in series["nodules"]:
            inside, voxel = sphere_of(volume, nodule["centre_mm"], nodule["diameter_mm"] / 2 + 3)
            measured = (inside + 850).sum() / (nodule["mean_hu"] + 850) * voxel  # share of each voxel above lung
            assert abs(measured / nodule["volume_mm3"] - 1) < 0.06, f"nodule {nodule}: {measured:.0f} mm3 measured"


def check_uptake(case):
    truth = json.loads((case / "truth.json").read_text())["series"][0]
    volume = volume_of(case / "1" / "1")
    header = pydicom.dcmread(next((case / "1" / "1").glob("*.dcm")))
    isotope = header.RadiopharmaceuticalInformationSequence[0]
    decayed = float(isotope.RadionuclideTotalDose) * 2 ** (-3600 / float(isotope.RadionuclideHalfLife))
    for sphere in truth["spheres"]:
        inside, _ = sphere_of(volume, sphere["centre_mm"], sphere["diameter_mm"] / 2 - 4)
        suv = inside.mean() * float(header.PatientWeight) * 1000 / decayed
        assert abs(suv / sphere["suv_bw"] - 1) < 0.02, f"{sphere}: SUV {suv:.2f} measured"


def check_names(folder):
    for charset, name in (("GB18030", "Ouyang^Na=欧阳^娜"), ("GBK", "陈^伟"), ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎=やまだ^たろう"), ("ISO_IR 100", "Müller^Anna")):
        out = folder / f"names{abs(hash(charset))}"
        gantry.run(gantry.GANTRY, "synth", "--out", out, "--kind", "cr", "--charset", charset, "--name", name)
        header = pydicom.dcmread(next(out.rglob("*.dcm")))
        assert str(header.PatientName) == name, f"{charset}: {header.PatientName}"


def main():
    gantry.need_tools("dciodvfy")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for out in ("a", "b"):
            gantry.run(gantry.GANTRY, "synth", "--out", folder / out, "--seed", "5", "--nodules", "8,12", "--growth", "1.5", "--slices", "60", "--size", "192")
        one, two = ({p.relative_to(folder / out): p.read_bytes() for p in (folder / out).rglob("*.*") if p.is_file()} for out in "ab")
        assert one == two, "the same seed gives the same bytes"
        check_validity(folder / "a")
        check_nodules(folder / "a" / "chest-ct-5")
        check_uptake(folder / "a" / "pet-5")
        check_names(folder)
        print(f"{len(one)} files are valid and hold their truth")


main()
