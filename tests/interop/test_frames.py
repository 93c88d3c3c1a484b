#!/usr/bin/env python3
"""gantry frames: every encapsulated object's frames lie where pydicom finds them; RLE and deflated frames decode to DCMTK's, GDCM's and zlib's pixels, and what we
encode they read back; what is asked wrongly is told."""
import csv
import subprocess
import sys
import tempfile
import warnings
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry

try:
    import numpy as np
    import pydicom
    from pydicom.encaps import generate_pixel_data_frame
except ImportError:
    gantry.skip("pydicom and numpy are not installed")

gantry.need_tools("gdcmconv", "dcmdrle")
DICOM = gantry.need_data("dicom")
warnings.simplefilter("ignore")
RLE, DEFLATED = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.8.1"
BROKEN = {"GH364.dcm"}  # its data set ends before the pixel data: DCMTK and GDCM refuse it too
NATIVE = ["pydicom/SC_rgb_16bit_2frame.dcm", "pydicom/SC_rgb_32bit.dcm", "pydicom/color-px.dcm", "pydicom/color-pl.dcm", "pydicom/emri_small.dcm",
          "pydicom/SC_ybr_full_uncompressed.dcm"]
FRAMES_MAX = 40  # of one object that are compared
folder = tempfile.TemporaryDirectory()
TMP = Path(folder.name)
faults = []


def fault(text):
    faults.append(text)
    print("FAULT", text)


def run(*command):
    r = subprocess.run([str(c) for c in command], capture_output=True, timeout=60)
    if r.returncode < 0 or r.returncode >= 128 or b"Sanitizer" in r.stderr:
        fault(f"{command}: exit code {r.returncode}: {r.stderr[-500:]}")
    return r


def frames(path, *options):
    """Standard output, or None and why."""
    r = run(gantry.GANTRY, "frames", path, *options)
    return (r.stdout, "") if r.returncode == 0 else (None, r.stderr.decode(errors="replace"))


def native(path):
    """Pixels of an uncompressed object, colour by pixel."""
    ds = pydicom.dcmread(path, force=True)
    if ds.get("PlanarConfiguration", 0) == 1 and ds.SamplesPerPixel == 3:
        shape = (int(ds.get("NumberOfFrames", 1) or 1), 3, ds.Rows, ds.Columns)
        count = int(np.prod(shape)) * ds.BitsAllocated // 8
        pixels = np.frombuffer(ds.PixelData[:count], f"<u{ds.BitsAllocated // 8}").reshape(shape)
        return np.moveaxis(pixels, 1, 3).tobytes()
    return ds.PixelData


def same_start(ours, theirs):
    """Theirs may have a byte more that makes it even."""
    return ours is not None and theirs[: len(ours)] == ours and len(theirs) - len(ours) <= 1


def listed():
    with open(DICOM / "index.tsv", encoding="utf-8") as f:
        for row in csv.DictReader(f, delimiter="\t"):
            if row["relative_path"] and (DICOM / row["relative_path"]).is_file():
                yield row


def compare_with_pydicom(path):
    """1 when the object's frames were compared. Where pydicom cannot tell frames we may, from the codestreams."""
    try:
        ds = pydicom.dcmread(path, force=True)
        count = int(ds.get("NumberOfFrames", 1) or 1)
        theirs = b"".join(f for f, _ in zip(generate_pixel_data_frame(ds.PixelData, count), range(FRAMES_MAX)))
    except Exception:
        return 0
    ours, why = frames(path, "--out", "-", "--frame", f"1-{min(count, FRAMES_MAX)}")
    if ours != theirs and not ("fewer than it declares" in why or "Photometric" in why):
        fault(f"{path}: {len(theirs)} bytes of codestreams, ours {len(ours or b'')}: {why}")
    return 1


def compare_rle(path):
    ours, why = frames(path, "--decode", "--out", "-")
    bits, samples = shape(path)
    for name, command in (("DCMTK", ["dcmdrle", path, TMP / "native.dcm"]), ("GDCM", ["gdcmconv", "--raw", path, TMP / "native.dcm"])):
        if bits == 1 or (name == "GDCM" and samples == 3 and bits > 8):
            continue  # neither knows one bit; of wider colour GDCM takes the segments for R, G, B by bytes, where G.2 and DCMTK have R's bytes first
        if run(*command).returncode == 0 and not same_start(ours, native(TMP / "native.dcm")):
            fault(f"{path}: other pixels than {name}: {why}")


def shape(path):
    ds = pydicom.dcmread(path, force=True, stop_before_pixels=True)
    return ds.BitsAllocated, ds.SamplesPerPixel


def compare_deflated(path):
    ds = pydicom.dcmread(path, force=True)
    theirs = b"".join(zlib.decompress(f, -15) for f in generate_pixel_data_frame(ds.PixelData, int(ds.NumberOfFrames)))
    ours, why = frames(path, "--decode", "--out", "-")
    if ours != theirs:
        fault(f"{path}: other pixels than zlib: {why}")


def encode_and_read_back(path):
    ds = pydicom.dcmread(path)
    pixels, coded, raw = native(path), TMP / "coded.dcm", TMP / "raw.dcm"
    count, bits = int(ds.get("NumberOfFrames", 1) or 1), ds.BitsAllocated
    for name in ("rle", "deflated-frame", "encapsulated"):
        r = run(gantry.GANTRY, "transcode", path, "--to", name, "--out", coded)
        if r.returncode != 0:
            fault(f"{path} to {name}: {r.stderr.decode()}")
            continue
        fragments = list(generate_pixel_data_frame(pydicom.dcmread(coded).PixelData, count))
        if name == "rle" and bits > 1:
            for command in (["dcmdrle", coded, raw], ["gdcmconv", "--raw", coded, raw]):
                if command[0] == "gdcmconv" and ds.SamplesPerPixel == 3 and bits > 8:
                    continue
                if run(*command).returncode != 0 or native(raw)[: len(pixels)] != pixels[: len(native(raw))]:
                    fault(f"{path} to rle: {command[0]} reads other pixels")
        if name == "deflated-frame" and bits > 1 and b"".join(zlib.decompress(f, -15) for f in fragments) != pixels[: len(pixels) // count * count]:
            fault(f"{path} to deflated-frame: zlib reads other pixels")
        back, why = frames(coded, "--decode", "--out", "-")
        if bits > 1 and not same_start(back, pixels):
            fault(f"{path} to {name} and back: {why or 'other pixels'}")


def refuse(words, *arguments, code=None):
    r = run(gantry.GANTRY, "frames", *arguments)
    message = r.stderr.decode()
    if r.returncode == 0 or words not in message or (code and r.returncode != code):
        fault(f"frames {arguments}: exit code {r.returncode}, '{message}' does not say '{words}'")


def ask_wrongly(path, native_path):
    refuse("--frame takes", path, "--frame", "0", code=64)
    refuse("--frame takes", path, "--frame", "3-1", code=64)
    refuse("--frame takes", path, "--frame", "x", code=64)
    refuse("there is no frame 11: the object has 10", path, "--frame", "11")
    refuse("--decode needs --out", path, "--decode", code=64)
    refuse("whole number", path, "--decode", "--out", "-", "--workers", "many", code=64)
    refuse("cannot", path, "--out", TMP / "no" / "such" / "folder")
    refuse("", TMP / "nothing")
    cut = TMP / "cut.dcm"
    cut.write_bytes(path.read_bytes()[:-3000])
    refuse("cut short", cut, "--decode", "--out", "-")
    # a damaged codestream is named, and costs no more than its frame
    spoiled = bytearray(path.read_bytes())
    at = spoiled.find(b"\xfe\xff\x00\xe0", spoiled.find(b"\xfe\xff\x00\xe0") + 4) + 8
    spoiled[at : at + 4] = b"\x07\0\0\0"
    cut.write_bytes(spoiled)
    refuse("frame 1", cut, "--decode", "--out", "-")
    if frames(cut, "--decode", "--out", "-", "--frame", "2-10")[0] != frames(path, "--decode", "--out", "-", "--frame", "2-10")[0]:
        fault("the frames behind a damaged one are not as before")
    # files of a range, each with its name
    out, _ = frames(path, "--frame", "9-10", "--out", TMP / "range")
    if sorted(p.name for p in (TMP / "range").iterdir()) != ["frame-000009.rle", "frame-000010.rle"] or out.count(b"\n") != 2:
        fault("the files of a range are not there")
    table = frames(native_path)[0].decode().splitlines()
    if not table[0].startswith("Explicit VR Little Endian, 1 of 1") or table[2].split()[-1] != "raw":
        fault(f"the list of a native object: {table}")
    if frames(native_path, "--decode", "--out", "-")[0] != frames(native_path, "--out", "-")[0]:
        fault("a native little endian frame is not what is stored")


compared = 0
for row in listed():
    path, ts = DICOM / row["relative_path"], row["transfer_syntax"]
    if path.name in BROKEN:
        continue
    if ts.startswith(("1.2.840.10008.1.2.4.", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.8")):
        compared += compare_with_pydicom(path)
    if ts == RLE:
        compare_rle(path)
    if ts == DEFLATED:
        compare_deflated(path)
for name in NATIVE:
    encode_and_read_back(DICOM / "Enet4__dicom-test-files" / name)
encode_and_read_back(DICOM / "QIICR__dcmqi/sr-example/seg.dcm")
ask_wrongly(DICOM / "Enet4__dicom-test-files/pydicom/emri_small_RLE.dcm", DICOM / "ImagingDataCommons__highdicom/test_files/dx_image.dcm")
if compared < 100:
    fault(f"only {compared} objects were compared")
print(f"{compared} objects compared, {len(faults)} faults")
sys.exit(1 if faults else 0)
