#!/usr/bin/env python3
"""JPEG as DCMTK and GDCM read and write it: `gantry frames --decode` gives their pixels for every JPEG object of the reference data and for pictures that
dcmcjpeg writes in every process, predictor and sampling; what we encode, both read back.

Lossy pixels are equal too, not only near: the transform of 8 bits is libjpeg-turbo's accurate one, that of 12 bits has the same arithmetic as theirs. GDCM leaves
YCbCr as it is where DCMTK and we convert it: its pixels are converted here by ITU-T T.871 and may then differ by one level (rounding).
"""
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry

try:
    import numpy
    import pydicom
    from pydicom.encaps import encapsulate
except ImportError as missing:
    gantry.skip(f"Python has no {missing.name}")

warnings.simplefilter("ignore")
JPEG = {f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 53, 55, 57, 70)}
BASELINE, EXTENDED, LOSSLESS_SV1 = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.70"

# Where a peer gives other pixels than we do, and why ours are right.
DISAGREE = {
    # The data set says RGB; JFIF and components of half the size say YCbCr, and teeth are white only so (T.871: JFIF is YCbCr). Neither peer converts.
    "fo-dicom__fo-dicom/GH195.dcm": ("dcmtk", "gdcm"),
}
# A frame (from 1) that cannot be of this object, and why; those before it are compared.
ODD_FRAME = {
    # tiles at the edge are narrower than the data set says: dcmdjpeg scrambles their rows in a black frame, gdcmconv gives up
    "fo-dicom__fo-dicom/multiframe.dcm": (14, "240 rows and 55 columns"),
}
# Nobody decodes these: what is wrong with them.
REFUSED = {
    "fo-dicom__fo-dicom/genFile.dcm": "begin with an SOI marker",
    "hostile/synthetic/jpeg_marker_len0.dcm": "cuts short",
    "hostile/synthetic/jpeg_progressive_1000_scans.dcm": "16384 rows",
    "hostile/synthetic/jpeg_sof_65500.dcm": "65500 rows",
    "hostile/synthetic/jpegll_predictor9.dcm": "predictor 9",
}


def ours(path, *options):
    run = subprocess.run([gantry.GANTRY, "frames", "--decode", "--workers", "0", "--out", "-", *options, str(path)], capture_output=True, timeout=120)
    assert run.returncode in (0, 65, 69), f"{path}: exit code {run.returncode}: {run.stderr.decode()[-1000:]}"
    return (run.stdout if run.returncode == 0 else None), run.stderr.decode()


def converted(command, out):
    """A peer's uncompressed object, None when it fails."""
    if os.path.exists(out):
        os.remove(out)
    subprocess.run([*command, out], capture_output=True, timeout=120)
    try:
        ds = pydicom.dcmread(out)
        return None if ds.file_meta.TransferSyntaxUID.is_compressed else ds
    except Exception:
        return None


def samples(ds, data):
    return numpy.frombuffer(data, "<u2" if ds.BitsAllocated == 16 else "u1").astype(numpy.int32)


def to_rgb(ds, data):
    """ITU-T T.871, by pixel."""
    v = samples(ds, data).reshape(-1, 3).astype(float)
    half = 1 << (ds.BitsStored - 1)
    y, cb, cr = v[:, 0], v[:, 1] - half, v[:, 2] - half
    rgb = numpy.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], -1)
    return numpy.clip(numpy.floor(rgb + 0.5), 0, 2 * half - 1).astype(numpy.int32).ravel()


def same(ds, data, lossy):
    """Whether a peer's object has our pixels."""
    theirs = ds.PixelData[:len(data)]
    if theirs == data:
        return True
    if not (lossy and ds.SamplesPerPixel == 3 and ds.PhotometricInterpretation.startswith("YBR")) or len(theirs) != len(data):
        return False
    return int(numpy.abs(to_rgb(ds, theirs) - samples(ds, data)).max()) <= 1


def compare(name, path, data, lossy, folder, may_fail=False):
    """Which peers read it; those that disagree fail the test unless it is told why."""
    read = []
    for peer, command in (("dcmtk", ["dcmdjpeg", str(path)]), ("gdcm", ["gdcmconv", "--raw", str(path)])):
        ds = converted(command, f"{folder}/peer.dcm")
        if ds is None:
            continue
        read.append(peer)
        assert same(ds, data, lossy) != (peer in DISAGREE.get(name, ())), f"{name}: pixels are {'not ' if peer not in DISAGREE.get(name, ()) else ''}those of {peer}"
    assert read or may_fail, f"{name}: no peer reads it"
    return read


def check_reference_files(folder):
    root, read = gantry.need_data("dicom"), {"dcmtk": 0, "gdcm": 0}
    for line in (root / "index.tsv").read_text().splitlines()[1:]:
        name, syntax = line.split("\t")[0], line.split("\t")[5]
        if syntax not in JPEG or name in REFUSED:
            continue
        data, error = ours(root / name)
        if name in ODD_FRAME:
            number, why = ODD_FRAME[name]
            assert data is None and f"frame {number}:" in error and why in error, f"{name}: {error}"
            data, error = ours(root / name, "--frame", f"1-{number - 1}")
        assert data is not None, f"{name}: {error}"
        for peer in compare(name, root / name, data, syntax[-2:] not in ("57", "70"), folder):
            read[peer] += 1
    for name, why in REFUSED.items():
        data, error = ours(root / name)
        assert data is None and why in error, f"{name}: {error}"
    assert min(read.values()) >= 45, read
    print(f"reference files: pixels of dcmdjpeg {read['dcmtk']}, of gdcmconv {read['gdcm']}; {len(REFUSED)} refused")


def picture(rows, columns, bits, components, seed=7):
    noise = numpy.random.default_rng(seed)
    y, x = numpy.mgrid[0:rows, 0:columns]
    top = (1 << bits) - 1
    gray = (numpy.sin(x / 17) + numpy.cos(y / 23) + 2) / 4 * top * 0.8
    v = numpy.stack([numpy.roll(gray, 9 * c, 1) for c in range(components)], -1) + noise.normal(0, top / 60, (rows, columns, components))
    v[rows // 3:rows // 3 + 5, columns // 4:columns // 2] = top
    v[rows // 2:rows // 2 + 3] = 0
    return numpy.clip(v, 0, top).astype("<u2" if bits > 8 else "u1")


def write(path, pixels, stored, signed=False, planar=0):
    ds = pydicom.Dataset()
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = pydicom.uid.generate_uid()
    ds.is_little_endian, ds.is_implicit_VR = True, False
    ds.Rows, ds.Columns, ds.SamplesPerPixel = pixels.shape
    ds.PhotometricInterpretation = "RGB" if ds.SamplesPerPixel == 3 else "MONOCHROME2"
    if ds.SamplesPerPixel == 3:
        ds.PlanarConfiguration = 0
    ds.BitsAllocated = pixels.dtype.itemsize * 8
    ds.BitsStored, ds.HighBit, ds.PixelRepresentation = stored, stored - 1, int(signed)
    data = pixels.tobytes()
    ds.PixelData = data + b"\0" * (len(data) % 2)
    ds["PixelData"].VR = "OW" if ds.BitsAllocated > 8 else "OB"
    ds.save_as(path, write_like_original=False)
    return data


def sources():
    """name -> pixels, bits stored, signed"""
    for rows, columns in ((61, 83), (1, 17), (17, 1), (50, 3)):
        yield f"gray8 {rows}x{columns}", picture(rows, columns, 8, 1), 8, False
        yield f"gray12 {rows}x{columns}", picture(rows, columns, 12, 1), 12, False
        yield f"rgb8 {rows}x{columns}", picture(rows, columns, 8, 3), 8, False
    yield "rgb12", picture(61, 83, 12, 3), 12, False
    yield "gray16", picture(61, 83, 16, 1), 16, False
    yield "signed16", (picture(61, 83, 16, 1).astype("<i4") - 32768).astype("<i2"), 16, True
    yield "signed12", (picture(61, 83, 12, 1).astype("<i4") - 2048).astype("<i2"), 12, True


def processes(name):
    if not name.endswith("x83") and "x" in name:
        return [["+e1"], ["+ee"], ["+ep"]]
    lossless = [["+e1"], ["+e1", "+pt", "2"], *(["+el", "+sv", str(n)] for n in range(1, 8)), ["+el", "+sv", "5", "+pt", "1"]]
    if "16" in name or "signed" in name:
        return lossless
    lossy = [["+ee"], ["+es"], ["+ep"], ["+ee", "+q", "30"]] + ([["+eb"]] if "8" in name.split()[0] else [])
    if "rgb" in name:
        lossy += [[process, sampling] for process in ("+ee", "+ep") for sampling in ("+s4", "+s2", "+n1", "+cr")]
    return lossless + lossy


def check_written_by_dcmtk(folder):
    count = 0
    for name, pixels, stored, signed in sources():
        write(f"{folder}/source.dcm", pixels, stored, signed)
        for process in processes(name):
            subprocess.run(["dcmcjpeg", *process, f"{folder}/source.dcm", f"{folder}/jpeg.dcm"], check=True, capture_output=True)
            data, error = ours(f"{folder}/jpeg.dcm")
            assert data is not None, f"{name} {process}: {error}"
            compare(f"{name} {process}", f"{folder}/jpeg.dcm", data, process[0] not in ("+e1", "+el"), folder)
            count += 1
    print(f"{count} pictures written by dcmcjpeg: pixels of both peers")


def check_our_encoder(folder):
    """`gantry transcode` writes; both peers give the samples back."""
    count = 0
    for name, pixels, stored, signed in sources():
        native = write(f"{folder}/source.dcm", pixels, stored, signed)
        gray12 = stored == 12 and pixels.shape[2] == 1 and not signed
        for syntax in [LOSSLESS_SV1, *([BASELINE] if stored == 8 else []), *([EXTENDED] if gray12 else [])]:
            lossy = syntax != LOSSLESS_SV1
            command = [gantry.GANTRY, "transcode", "--to", syntax, "--out", f"{folder}/encoded.dcm", f"{folder}/source.dcm"]
            run = subprocess.run(command, capture_output=True, text=True)
            assert run.returncode == 0, f"{name} to {syntax}: {run.stderr}"
            data, error = ours(f"{folder}/encoded.dcm")
            assert data is not None and (lossy or data == native), f"{name} to {syntax}: {error}"
            assert len(compare(f"{name} to {syntax}", f"{folder}/encoded.dcm", data, lossy, folder)) == 2
            count += 1
    print(f"{count} pictures written by us: both peers read them")


def check_mislabelled(folder):
    """A codestream counts for what it is, whatever JPEG transfer syntax is named."""
    write(f"{folder}/source.dcm", picture(61, 83, 8, 1), 8)
    for process in (["+e1"], ["+eb"], ["+ep"]):
        subprocess.run(["dcmcjpeg", *process, f"{folder}/source.dcm", f"{folder}/jpeg.dcm"], check=True, capture_output=True)
        right, _ = ours(f"{folder}/jpeg.dcm")
        ds = pydicom.dcmread(f"{folder}/jpeg.dcm")
        for syntax in sorted(JPEG):
            ds.file_meta.TransferSyntaxUID = syntax
            ds.save_as(f"{folder}/label.dcm")
            assert ours(f"{folder}/label.dcm")[0] == right, f"{process} labelled {syntax}"
    print("mislabelled codestreams: decoded as what they are")


def main():
    gantry.need_tools("dcmdjpeg", "dcmcjpeg", "gdcmconv")
    with tempfile.TemporaryDirectory() as folder:
        check_reference_files(folder)
        check_written_by_dcmtk(folder)
        check_our_encoder(folder)
        check_mislabelled(folder)


main()
