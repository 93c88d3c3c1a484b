#!/usr/bin/env python3
"""gantry evidence seg, detect and queue: masks as NumPy, NIfTI and DICOM SEG (written by pydicom) give numpy's figures and each other's; the wait for a radiologist is told in theory and
simulation; what cannot be compared is refused with its reason."""
import gzip
import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry

try:
    import numpy as np
    import pydicom
    from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
    from pydicom.sequence import Sequence
except ImportError:
    gantry.skip("pydicom and numpy are not installed")

folder = tempfile.TemporaryDirectory()
TMP = Path(folder.name)
SPACING = (2.5, 0.8, 0.8)


def run(*arguments, text=None):
    r = subprocess.run([gantry.GANTRY, "evidence", *map(str, arguments)], input=text, capture_output=True, timeout=120, text=True)
    assert r.returncode >= 0 and "Sanitizer" not in r.stderr, (arguments, r.stderr[-800:])
    return r


def figures(*arguments, text=None):
    r = run(*arguments, "--json", text=text)
    assert r.returncode == 0, (arguments, r.stderr)
    return {(e.get("group", ""), e["name"]): e for e in json.loads(r.stdout)["entries"]}


def refused(*arguments, says):
    r = run(*arguments)
    assert r.returncode != 0 and says in r.stderr, (arguments, r.returncode, r.stderr)


# ---- masks ----

def ball(shape, center, radius):
    at = np.indices(shape)
    return (sum(((at[i] - center[i]) * SPACING[i]) ** 2 for i in range(3)) <= radius ** 2).astype(np.uint8)


def nifti(path, mask, origin):
    """The place as a DICOM series has it: indexes run to the left, the back and the head; NIfTI counts to the right and the front."""
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, 3, *mask.shape[::-1], 1, 1, 1, 1)
    struct.pack_into("<2h", head, 70, 2, 8)
    struct.pack_into("<f", head, 108, 352)
    struct.pack_into("<h", head, 254, 1)
    head[123] = 2
    for row, values in enumerate([(-SPACING[2], 0, 0, -origin[0]), (0, -SPACING[1], 0, -origin[1]), (0, 0, SPACING[0], origin[2])]):
        struct.pack_into("<4f", head, 280 + 16 * row, *values)
    head[344:348] = b"n+1\0"
    data = bytes(head) + mask.tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def item(**attributes):
    ds = Dataset()
    for name, value in attributes.items():
        setattr(ds, name, value)
    return ds


def segmentation(path, mask, origin):
    """Only slices that hold something, last first, as many programs write them."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.3.4"
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    ds = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    slices = [z for z in range(mask.shape[0])[::-1] if mask[z].any()]
    ds.Modality, ds.SegmentationType, ds.PhotometricInterpretation = "SEG", "BINARY", "MONOCHROME2"
    ds.NumberOfFrames, ds.Rows, ds.Columns = len(slices), mask.shape[1], mask.shape[2]
    ds.SamplesPerPixel, ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 1, 1, 1, 0, 0
    measures = item(PixelSpacing=[SPACING[1], SPACING[2]], SliceThickness=SPACING[0], SpacingBetweenSlices=SPACING[0])
    ds.SharedFunctionalGroupsSequence = Sequence([item(PixelMeasuresSequence=Sequence([measures]),
                                                       PlaneOrientationSequence=Sequence([item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])]))])
    ds.PerFrameFunctionalGroupsSequence = Sequence([
        item(PlanePositionSequence=Sequence([item(ImagePositionPatient=[origin[0], origin[1], origin[2] + z * SPACING[0]])]),
             SegmentIdentificationSequence=Sequence([item(ReferencedSegmentNumber=1)])) for z in slices])
    bits = np.packbits(np.concatenate([mask[z].ravel() for z in slices]), bitorder="little").tobytes()
    ds.PixelData = bits + b"\0" * (len(bits) % 2)
    ds["PixelData"].VR = "OB"
    ds.is_little_endian, ds.is_implicit_VR = True, False
    ds.save_as(str(path), write_like_original=False)


def borders(mask):
    padded = np.pad(mask, 1)
    inner = padded[1:-1, 1:-1, 1:-1].copy()
    for axis in range(3):
        for step in (-1, 1):
            inner &= np.roll(padded, step, axis)[1:-1, 1:-1, 1:-1]
    return np.argwhere(mask & ~inner & 1) * SPACING


def expected(a, b):
    pa, pb = borders(a), borders(b)
    d = np.sqrt(((pa[:, None, :] - pb[None, :, :]) ** 2).sum(2))
    ab, ba = d.min(1), d.min(0)
    both = int((a & b).sum())
    return {
        ("", "Dice coefficient"): 2 * both / (a.sum() + b.sum()),
        ("", "Jaccard index"): both / int((a | b).sum()),
        ("", "Volume of the reference"): a.sum() * np.prod(SPACING) / 1000,
        ("", "Hausdorff distance (voxel borders)"): max(ab.max(), ba.max()),
        ("", "Mean distance, reference to predicted (voxel borders)"): ab.mean(),
        ("", "Average symmetric surface distance (voxel borders)"): np.concatenate([ab, ba]).mean(),
        ("95 %", "Hausdorff distance, percentile (voxel borders)"): max(np.percentile(ab, 95), np.percentile(ba, 95)),
        ("2 mm", "Surface Dice at the tolerance (voxel borders)"): ((ab <= 2).sum() + (ba <= 2).sum()) / (len(ab) + len(ba)),
    }


def masks_are_compared():
    a, b = ball((14, 40, 36), (6, 18, 17), 9), ball((14, 40, 36), (7, 20, 16), 8)
    origin = (-12.5, 30.0, 100.0)
    np.save(TMP / "a.npy", a)
    np.save(TMP / "b.npy", np.asfortranarray(b.astype(np.int16)))
    nifti(TMP / "a.nii", a, origin)
    nifti(TMP / "b.nii.gz", b, origin)
    segmentation(TMP / "a.dcm", a, origin)
    segmentation(TMP / "b.dcm", b, origin)
    spacing = ",".join(map(str, SPACING))
    first = figures("seg", TMP / "a.npy", TMP / "b.npy", "--spacing", spacing)
    for key, value in expected(a, b).items():
        assert abs(first[key]["value"] - value) < 1e-9 * max(1, value), (key, first[key], value)
    for one, other in [("a.nii", "b.nii.gz"), ("a.dcm", "b.dcm"), ("a.dcm", "b.nii.gz"), ("a.nii", "b.npy")]:
        again = figures("seg", TMP / one, TMP / other)
        assert again.keys() == first.keys()
        for key, e in first.items():
            assert abs(again[key]["value"] - e["value"]) < 1e-5 * max(1, abs(e["value"])), (one, other, key, again[key], e)
    mirrored = figures("seg", TMP / "b.nii.gz", TMP / "a.dcm")
    key = ("", "Mean distance, predicted to reference (surface elements)")
    assert abs(mirrored[key]["value"] - first[("", "Mean distance, reference to predicted (surface elements)")]["value"]) < 1e-5


def masks_that_do_not_fit_are_refused():
    a = ball((14, 40, 36), (6, 18, 17), 9)
    np.save(TMP / "smaller.npy", a[:-1])
    np.save(TMP / "half.npy", a * 0.5)
    nifti(TMP / "shifted.nii", a, (-12.5 + 0.3, 30.0, 100.0))
    (TMP / "text.nii").write_text("no mask")
    refused("seg", TMP / "a.npy", TMP / "smaller.npy", says="shapes differ")
    refused("seg", TMP / "a.nii", TMP / "shifted.nii", says="do not fall on each other")
    refused("seg", TMP / "a.npy", TMP / "half.npy", says="labels are whole numbers")
    refused("seg", TMP / "a.npy", TMP / "text.nii", says="neither a NumPy array")
    refused("seg", TMP / "a.npy", TMP / "nothing.npy", says="nothing.npy")
    refused("seg", TMP / "a.npy", TMP / "b.npy", "--spacing", "1,1", says="--spacing")
    refused("seg", TMP / "a.npy", TMP / "b.npy", "--tolerance", "-1", says="--tolerance")


def lesions_are_found():
    shape = (14, 60, 60)
    a = ball(shape, (4, 12, 12), 5) | ball(shape, (9, 40, 40), 6) | ball(shape, (9, 12, 44), 4)
    b = ball(shape, (4, 13, 12), 5) | ball(shape, (9, 40, 41), 6) | ball(shape, (3, 50, 10), 3)
    np.save(TMP / "lesions.npy", a)
    np.save(TMP / "found.npy", b)
    f = figures("detect", TMP / "lesions.npy", TMP / "found.npy")
    assert [f["", n]["value"] for n in ("Reference objects", "Predicted objects", "Found (true positives)", "False positives")] == [3, 3, 2, 1]
    assert abs(f["", "Recognition quality (IoU above 0.5)"]["value"] - 2 / 3) < 1e-12
    table = "case,kind,x0,y0,x1,y1,score\n1,truth,0,0,10,10,\n1,mark,0,0,10,12,0.9\n1,mark,50,50,60,60,0.8\n2,truth,0,0,10,10,\n3,,,,,,\n"
    f = figures("detect", "-", text=table)
    assert f["", "Cases"]["value"] == 3 and abs(f["", "Mean IoU of the found"]["value"] - 100 / 120) < 1e-12
    assert abs(f["", "Average precision"]["value"] - 0.5) < 1e-12
    (TMP / "odd.csv").write_text("case,kind,x,y\n1,truth,1,1\n1,sign,1,1\n")
    refused("detect", TMP / "odd.csv", says="line 3")


def waits_are_told():
    setting = ["--radiologists", "2", "--interrupting", "0.1", "--traffic", "0.8", "--patients", "200000"]
    f = figures("queue", *setting)
    theory, simulated = f["Diseased", "Mean wait with the device, theory (min)"], f["Diseased", "Mean wait with the device, simulation (min)"]
    assert abs(theory["value"] - 2.57) < 0.005  # user manual of QuCAD, listing 9
    assert simulated["lo"] < simulated["value"] < simulated["hi"] and abs(simulated["value"] - theory["value"]) < 5 * simulated["se"]
    assert f == figures("queue", *setting) and f != figures("queue", *setting, "--seed", "2")
    f = figures("queue", "-", text="n_radiologists,traffic,prevalence,sens,fpf,read_min_dis,read_min_nondis\n1,0.5,0.1,0.9,0.1912,10,10\n")
    assert abs(f["2: Not interrupting", "Mean wait without the device, theory (min)"]["value"] - 10) < 1e-9
    arrivals = "minutes\n" + "\n".join(str(1000 * i) for i in range(500)) + "\n"
    f = figures("queue", "--arrivals", "-", text=arrivals)
    assert abs(f["Not interrupting", "Mean wait without the device, simulation (min)"]["value"]) < 0.5
    assert "theory" in f["Not interrupting", "Mean wait without the device, theory (min)"]["text"]
    refused("queue", "--traffic", "1", says="traffic")
    refused("queue", "--radiologists", "65", says="radiologists")
    (TMP / "settings.csv").write_text("n_radiologists,traffic,prevalence,sens,spec,read_min_dis,read_min_nondis\n1,0.5,0.1,0.9,0.8,10,10\n1,1.5,0.1,0.9,0.8,10,10\n")
    refused("queue", TMP / "settings.csv", says="line 3")


masks_are_compared()
masks_that_do_not_fit_are_refused()
lesions_are_found()
waits_are_told()
print("ok")
