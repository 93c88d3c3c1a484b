#!/usr/bin/env python3
"""Rendered native pixels are those that pydicom and numpy compute from the same file, within one gray level; hostile files give an error, and nothing
that a picture shows comes from memory that was not written. GANTRY_RENDER=all takes more files of each kind."""
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry

try:
    import numpy as np
    import pydicom
    from pydicom.pixel_data_handlers.util import apply_color_lut, apply_modality_lut, apply_voi, convert_color_space

    from picture import read_png
except ImportError:
    gantry.skip("pydicom and numpy are not installed")

NATIVE = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"}
EVERYTHING = os.environ.get("GANTRY_RENDER") == "all"
FILES_PER_KIND = 2 if EVERYTHING else 1  # hundreds of slices of one series show nothing new
FILES_PER_FOLDER = 10**6 if EVERYTHING else 24  # that are opened to see of what kind they are
SHARE = 1 if EVERYTHING else 4  # of the hostile files that are refused: which are tried with other memory contents too
BYTES_MAX = 16 << 20

# What pydicom gives otherwise, and why ours is right.
DIFFERENT = {
    "pydicom__pydicom-data/OBXXXX1A_expb.dcm": "8-bit pixels as big endian OW: words are swapped (PS3.5 7.3), pydicom 2.3 leaves them",
}


def group(ds, frame, macro):
    """A functional group macro of a frame (PS3.3 C.7.6.16)."""
    for name, index in ("PerFrameFunctionalGroupsSequence", frame), ("SharedFunctionalGroupsSequence", 0):
        items = ds.get(name) or []
        if index < len(items) and items[index].get(macro):
            return items[index].get(macro)[0]
    return None


def first(value):
    if value is None or value == "":
        return None
    return float(value[0] if isinstance(value, pydicom.multival.MultiValue) else value)


def window_of(ds, frame):
    for source in group(ds, frame, "FrameVOILUTSequence"), ds:
        if source is None:
            continue
        center, width = first(source.get("WindowCenter")), first(source.get("WindowWidth"))
        function = source.get("VOILUTFunction") or "LINEAR"
        if center is not None and width is not None and width > 0 and (width >= 1 or function != "LINEAR"):
            return center, width, function
    return None


def through_window(x, center, width, function):
    """PS3.3 C.11.2.1.2, written as the standard does, 0 to 1."""
    if function == "SIGMOID":
        return 1 / (1 + np.exp(-4 * (x - center) / width))
    if function == "LINEAR_EXACT":
        return np.clip((x - center) / width + 0.5, 0, 1)
    if width == 1:
        return np.where(x <= center - 0.5, 0.0, 1.0)
    return np.clip((x - (center - 0.5)) / (width - 1) + 0.5, 0, 1)


def expected_gray(ds, frame, stored, window=None):
    values = group(ds, frame, "PixelValueTransformationSequence")
    if values is not None:
        x = stored * float(values.RescaleSlope) + float(values.RescaleIntercept)
    else:
        x = np.asarray(apply_modality_lut(stored, ds), dtype=np.float64)
    if not window and "VOILUTSequence" in ds and group(ds, frame, "FrameVOILUTSequence") is None:
        shown = apply_voi(x.astype(np.int64), ds) / (2.0 ** ds.VOILUTSequence[0].LUTDescriptor[2] - 1)
        return np.floor(np.clip(1 - shown if ds.PhotometricInterpretation == "MONOCHROME1" else shown, 0, 1) * 255 + 0.5)[..., None]
    window = window or window_of(ds, frame)
    if window:
        shown = through_window(x, *window)
    elif ds.BitsAllocated == 1:
        shown = x
    else:
        image = np.isfinite(x)
        if "PixelPaddingValue" in ds:
            limit = ds.get("PixelPaddingRangeLimit", ds.PixelPaddingValue)
            image &= ~((stored >= min(ds.PixelPaddingValue, limit)) & (stored <= max(ds.PixelPaddingValue, limit)))
        low, high = (x[image].min(), x[image].max()) if image.any() else (x.min(), x.max())
        shown = (x - low) / (high - low) if high > low else np.zeros(x.shape)
    if ds.PhotometricInterpretation == "MONOCHROME1":
        shown = 1 - shown
    return np.floor(np.clip(shown, 0, 1) * 255 + 0.5)[..., None]


def expected(ds, frame, pixels, window=None):
    photometric = ds.get("PhotometricInterpretation", "MONOCHROME2")
    if photometric == "PALETTE COLOR":
        color = apply_color_lut(pixels, ds)
        bits = 16 if color.dtype == np.uint16 and color.max() > 255 else 8
        return color.astype(np.float64) / (256 if bits == 16 else 1)
    if ds.get("PixelPresentation") == "COLOR" and "RedPaletteColorLookupTableDescriptor" in ds:  # C.7.6.19: from the first mapped value on
        count, first, bits = ds.RedPaletteColorLookupTableDescriptor
        tables = [np.frombuffer(ds[f"{c}PaletteColorLookupTableData"].value, np.uint16 if bits > 8 else np.uint8) for c in ("Red", "Green", "Blue")]
        index = np.clip(pixels.astype(np.int64) - first, 0, (count or 65536) - 1)
        color = np.stack([t[index] for t in tables], axis=-1) / (256.0 if bits > 8 else 1)
        return np.where((pixels >= first)[..., None], color, expected_gray(ds, frame, pixels, window))
    if photometric.startswith("YBR"):
        return convert_color_space(pixels, "YBR_FULL", "RGB").astype(np.float64)
    if photometric == "RGB":
        return np.floor(pixels / 2.0 ** (ds.BitsStored - 8))
    return expected_gray(ds, frame, pixels, window)


def render(path, out, *options, env=None, timeout=120):
    return subprocess.run([gantry.GANTRY, "render", str(path), "--out", str(out), *map(str, options)], capture_output=True, text=True, timeout=timeout,
                          env={**os.environ, **(env or {})})


def frame_of(ds, frame):
    array = ds.pixel_array
    frames = int(ds.get("NumberOfFrames") or 1)
    return array[frame] if frames > 1 else array


def compare(path, ds, frame, out, window=None):
    options = ["--frame", frame + 1, "--overlays", "off", "--aspect", "off"]
    if window:
        options += ["--window", f"{window[0]},{window[1]}", "--function", window[2]]
    done = render(path, out, *options)
    assert done.returncode == 0, f"{path}: {done.stderr}"
    got = read_png(out).astype(np.float64)
    want = expected(ds, frame, frame_of(ds, frame), window)
    assert got.shape == want.shape, f"{path} frame {frame + 1}: {got.shape} instead of {want.shape}"
    worst = np.abs(got - want).max()
    assert worst <= 1, f"{path} frame {frame + 1} window {window}: off by {worst}"


def kind_of(ds):
    keys = ("PhotometricInterpretation", "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PlanarConfiguration", "VOILUTFunction")
    return (*(str(ds.get(k)) for k in keys), str(ds.file_meta.get("TransferSyntaxUID")), "PixelPaddingValue" in ds, window_of(ds, 0) is None,
            "ModalityLUTSequence" in ds, "FloatPixelData" in ds, "PerFrameFunctionalGroupsSequence" in ds)


def some_of_each_folder(folder):
    """All files, or as many of each folder at even distances."""
    folders = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            folders.setdefault(path.parent, []).append(path)
    return sorted(p for files in folders.values() for p in files[::-(-len(files) // FILES_PER_FOLDER)])


def readable_files(folder):
    counts = {}
    for path in some_of_each_folder(folder):
        if "hostile" in path.parts or path.stat().st_size > BYTES_MAX:
            continue
        try:
            ds = pydicom.dcmread(path, force=True)
            if not hasattr(ds.file_meta, "TransferSyntaxUID"):
                ds.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
            if ds.file_meta.TransferSyntaxUID not in NATIVE or not any(k in ds for k in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
                continue
            ds.pixel_array
        except Exception:
            continue
        kind = kind_of(ds)
        counts[kind] = counts.get(kind, 0) + 1
        if counts[kind] <= FILES_PER_KIND:
            yield path, ds


def native_files_look_as_numpy_says(folder, out):
    compared = 0
    wrong = []
    for path, ds in readable_files(folder):
        name = str(path.relative_to(folder))
        frames = int(ds.get("NumberOfFrames") or 1)
        try:
            for frame in sorted({0, frames // 2, frames - 1}):
                compare(path, ds, frame, out)
                compared += 1
            if ds.get("PhotometricInterpretation", "").startswith("MONOCHROME"):
                for window in (40, 400, "LINEAR"), (100, 1, "LINEAR"), (300.5, 77.25, "LINEAR_EXACT"), (128, 64, "SIGMOID"):
                    compare(path, ds, 0, out, window)
        except AssertionError as e:
            if name not in DIFFERENT:
                wrong.append(str(e))
    print(f"{compared} frames compared")
    assert not wrong, "\n".join(wrong)
    assert compared > 50


def scaling_keeps_the_mean(folder, out):
    path = next(folder.glob("neurolabusc__dcm_qa/orient_corint36/MR*"))
    assert render(path, out).returncode == 0
    whole = read_png(out)
    for size in (1, 7, 50, 100, 999):
        done = render(path, out, "--size", size)
        assert done.returncode == 0, done.stderr
        small = read_png(out)
        assert max(small.shape[:2]) == size
        if size > 1:
            assert abs(float(small.mean()) - float(whole.mean())) < 1.5, size
    jpg = out.with_suffix(".jpg")
    assert render(path, jpg, "--quality", 95).returncode == 0
    assert jpg.read_bytes()[:3] == b"\xff\xd8\xff" and jpg.read_bytes()[-2:] == b"\xff\xd9"


def hostile_files_give_errors(folder, out):
    """Never a crash, and where there is a picture, it does not depend on what freed memory held."""
    failed = shown = 0
    for number, path in enumerate(sorted((folder / "hostile").rglob("*"))):
        if not path.is_file() or "http" in path.parts or "pdu" in path.parts:
            continue
        pictures = set()
        for poison in "85", "170":
            out.unlink(missing_ok=True)
            env = {"MALLOC_PERTURB_": poison, "ASAN_OPTIONS": f"malloc_fill_byte={poison}:max_malloc_fill_size=1000000000"}
            done = render(path, out, "--size", 256, env=env)
            assert 0 <= done.returncode < 128 and "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, f"{path}: {done.stderr}"
            assert (done.returncode == 0) == out.exists(), path
            assert done.returncode == 0 or len(done.stderr) > 30, f"{path}: says nothing"
            pictures.add(out.read_bytes() if out.exists() else b"")
            if not out.exists() and number % SHARE:
                break
        assert len(pictures) == 1, f"{path}: the picture depends on the heap"
        failed, shown = failed + (b"" in pictures), shown + (b"" not in pictures)
    print(f"hostile files: {failed} refused, {shown} shown")
    for name in ("dim_ba0", "dim_ba7", "dim_ba64", "dim_rows0", "dim_spp0", "dim_spp65535", "dim_frames_neg", "dim_rows_ul_0xffffffff", "pixels_none", "pixels_short",
                 "bs_gt_ba", "lut_bits99", "palette_desc0_shortdata"):
        done = render(folder / "hostile" / "synthetic" / f"{name}.dcm", out)
        assert done.returncode != 0, f"{name} was shown"
        print(done.stderr.strip().rsplit("/", 1)[-1])


def main():
    folder = gantry.need_data("dicom")
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "picture.png"
        native_files_look_as_numpy_says(folder, out)
        scaling_keeps_the_mean(folder, out)
        hostile_files_give_errors(folder, out)


main()
