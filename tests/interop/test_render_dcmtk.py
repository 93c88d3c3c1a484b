#!/usr/bin/env python3
"""Pictures are those that DCMTK makes of the same object, within one gray level: compressed and native files, windows, VOI LUTs, overlays, shutters, and
presentation states. Where DCMTK does otherwise, it is named here and why."""
import os
import shutil
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
    from pydicom.sequence import Sequence

    from objects import COLUMNS, ROWS, image, item, lut, put_overlay, ramp, save, state, window
    from picture import read_png, read_pnm
except ImportError:
    gantry.skip("pydicom and numpy are not installed")

gantry.need_tools("dcm2pnm", "dcmp2pgm")
BYTES_MAX = 1 << 20
wrong = []


def render(path, out, *options):
    return subprocess.run([gantry.GANTRY, "render", str(path), "--out", str(out), *map(str, options)], capture_output=True, text=True, timeout=60)


def peer(tool, *arguments):
    done = subprocess.run([tool, *map(str, arguments)], capture_output=True, text=True, timeout=60, env={**os.environ, "DCMDICTPATH": "/usr/share/libdcmtk17/dicom.dic"})
    return done.returncode == 0


def compare(what, got, want, allowed=1):
    if got.shape != want.shape:
        wrong.append(f"{what}: {got.shape} instead of {want.shape}")
        return
    off = np.abs(got.astype(int) - want.astype(int))
    if off.max() > allowed:
        at = np.unravel_index(off.argmax(), off.shape)
        wrong.append(f"{what}: off by {off.max()} at {at}: {got[at]} instead of {want[at]}, {np.count_nonzero(off > allowed)} of {off.size}")


def both(what, path, work, options=(), peer_options=(), tool="dcm2pnm", allowed=1):
    out, theirs = work / "ours.png", work / "theirs.pnm"
    done = render(path, out, *options)
    if done.returncode != 0:
        wrong.append(f"{what}: {done.stderr.strip()}")
        return
    theirs.unlink(missing_ok=True)
    if not peer(tool, *peer_options, path, theirs) or not theirs.exists():
        wrong.append(f"{what}: {tool} fails")
        return
    compare(what, read_png(out), read_pnm(theirs), allowed)


# ---- what is compared ----

def overlays(work):
    cross = np.zeros((ROWS, COLUMNS), np.uint8)
    cross[10, :] = cross[:, 20] = 1
    ds = image(ramp(), WindowCenter="2048", WindowWidth="4096")
    put_overlay(ds, 0x6000, cross)
    path = save(ds, work / "overlay.dcm")
    both("an overlay", path, work, (), ("+op", "+Wi", "1"))
    both("no overlay", path, work, ("--overlays", "off"), ("+op", "+Wi", "1", "-O"))
    put_overlay(ds, 0x6002, np.eye(16, 24, dtype=np.uint8), origin=(-3, 50))
    both("two overlays, one of them over the edge", save(ds, work / "two.dcm"), work, (), ("+op", "+Wi", "1"))
    ds = image(ramp() | (cross.astype(np.uint16) << 13), WindowCenter="2048", WindowWidth="4096")
    for element, vr, value in (0x10, "US", ROWS), (0x11, "US", COLUMNS), (0x40, "CS", "G"), (0x50, "SS", [1, 1]), (0x100, "US", 16), (0x102, "US", 13):
        ds.add_new((0x6000, element), vr, value)
    both("an overlay in an unused bit of the pixels", save(ds, work / "embedded.dcm"), work, (), ("+op", "+Wi", "1"))
    frames = np.stack([ramp(), ramp()[::-1]])
    planes = np.stack([cross, cross[::-1, ::-1]])
    ds = image(frames[0], WindowCenter="2048", WindowWidth="4096", NumberOfFrames=2)
    ds.add_new(0x7FE00010, "OW", frames.astype("<u2").tobytes())
    put_overlay(ds, 0x6000, planes, frames=2)
    path = save(ds, work / "frames.dcm")
    for frame in 1, 2:
        both(f"overlay of frame {frame}", path, work, ("--frame", frame), ("+op", "+Wi", "1", "+F", frame))


def presentation_states(work):
    of = image(ramp(), RescaleSlope="2", RescaleIntercept="-1000", WindowCenter="100", WindowWidth="200")
    path = save(of, work / "image.dcm")
    signed = image(ramp(), PhotometricInterpretation="MONOCHROME1")
    cases = {
        "nothing": {},
        "a window": dict(SoftcopyVOILUTSequence=window(1500, 1000)),
        "rescale and a window": dict(RescaleSlope="2", RescaleIntercept="-1000", RescaleType="US", SoftcopyVOILUTSequence=window(2500, 3000)),
        "a VOI LUT": dict(SoftcopyVOILUTSequence=Sequence([item(VOILUTSequence=Sequence([lut(0, 4096, 12, np.arange(4096)[::-1])]))])),
        "an inverse presentation LUT": dict(SoftcopyVOILUTSequence=window(2000, 4000), PresentationLUTShape="INVERSE"),
        "a presentation LUT": dict(SoftcopyVOILUTSequence=window(2000, 4000), PresentationLUTShape=None,
                                   PresentationLUTSequence=Sequence([lut(0, 256, 12, (np.arange(256) / 255) ** 2 * 4095)])),
        "rotation": dict(ImageRotation=90, ImageHorizontalFlip="N"),
        "rotation and flip": dict(ImageRotation=270, ImageHorizontalFlip="Y"),
        "half a turn": dict(ImageRotation=180, ImageHorizontalFlip="N"),
        "flip": dict(ImageRotation=0, ImageHorizontalFlip="Y"),
    }
    for name, attributes in cases.items():
        ps = state(of, **{k: v for k, v in attributes.items() if v is not None})
        if attributes.get("PresentationLUTShape", "") is None:
            del ps.PresentationLUTShape
        # The entry of the presentation LUT is the nearest one (PS3.3 C.11.6: its range is that of the VOI output); DCMTK cuts off: up to two entries here.
        state_case(f"state with {name}", path, save(ps, work / "state.dcm"), work, 4 if name == "a presentation LUT" else 1)
    inverted = save(signed, work / "one.dcm")
    state_case("state of a MONOCHROME1 image", inverted, save(state(signed, SoftcopyVOILUTSequence=window(2048, 4096)), work / "state.dcm"), work)


def inside_polygon(x, y, points):
    inside = np.zeros(x.shape, bool)
    for (y1, x1), (y2, x2) in zip(points, points[1:] + points[:1]):
        if y1 != y2:
            crosses = (y1 <= y) != (y2 <= y)
            inside ^= crosses & (x > x1 + (y - y1) / (y2 - y1) * (x2 - x1))
    return inside


def shutters(work):
    """dcmp2pgm leaves shutters and overlays of a state out: the standard's words as numpy has them."""
    of = image(ramp())
    path = save(of, work / "image.dcm")
    out = work / "ours.png"
    plain = np.floor(np.clip((ramp() - 2047.5) / 4095 + 0.5, 0, 1) * 255 + 0.5)
    y, x = np.mgrid[1:ROWS + 1, 1:COLUMNS + 1]  # pixels count from 1 (C.7.6.11)
    square = np.zeros((ROWS, COLUMNS), np.uint8)
    square[5:20, 30:50] = 1
    triangle = [(10, 5), (40, 30), (8, 60)]  # row, column
    cases = {
        "rectangular": (dict(ShutterShape="RECTANGULAR", ShutterLeftVerticalEdge=10, ShutterRightVerticalEdge=50, ShutterUpperHorizontalEdge=6,
                             ShutterLowerHorizontalEdge=40, ShutterPresentationValue=0x8000), (x >= 10) & (x <= 50) & (y >= 6) & (y <= 40), 0x80),
        "circular": (dict(ShutterShape="CIRCULAR", CenterOfCircularShutter=[24, 30], RadiusOfCircularShutter=18), (x - 30) ** 2 + (y - 24) ** 2 <= 18 ** 2, 0),
        "polygonal": (dict(ShutterShape="POLYGONAL", VerticesOfThePolygonalShutter=[v for p in triangle for v in p]), inside_polygon(x, y, triangle), 0),
        "bitmap": (dict(ShutterShape="BITMAP", ShutterOverlayGroup=0x6000, ShutterPresentationValue=0x4000), square == 0, 0x40),
    }
    for name, (attributes, shown, gray) in cases.items():
        ps = state(of, SoftcopyVOILUTSequence=window(2048, 4096), **attributes)
        if name == "bitmap":
            put_overlay(ps, 0x6000, square)
        done = render(path, out, "--presentation-state", save(ps, work / "state.dcm"))
        assert done.returncode == 0, done.stderr
        got, want = read_png(out)[..., 0], np.where(shown, plain, gray).astype(np.uint8)
        if name == "polygonal":  # pixels that the outline goes right through count as inside
            on_edge = (got != want) & (got == plain)
            assert np.count_nonzero(on_edge) <= 8
            want[on_edge] = got[on_edge]
        compare(f"{name} shutter", got, want)
    ps = state(of, SoftcopyVOILUTSequence=window(2048, 4096), GraphicLayerSequence=Sequence([item(GraphicLayer="OV", GraphicLayerOrder=1)]))
    put_overlay(ps, 0x6000, square)
    put_overlay(ps, 0x6002, 1 - square)  # not activated: not shown
    ps.add_new((0x6000, 0x1001), "CS", "OV")
    done = render(path, out, "--presentation-state", save(ps, work / "state.dcm"))
    compare("state with an overlay", read_png(out)[..., 0], np.where(square, 255, plain).astype(np.uint8))


def annotations(work):
    """Graphics are where they belong; text is there, also in Chinese; absurd ones cost no time."""
    of = image(np.zeros((200, 200)), WindowCenter="2048", WindowWidth="4096")
    of.SpecificCharacterSet = "ISO_IR 192"
    of.PatientName = "Wang^XiaoDong=王^小东"
    path, out = save(of, work / "image.dcm"), work / "ours.png"

    def drawn(graphics=(), texts=(), **attributes):
        ps = state(of, SoftcopyVOILUTSequence=window(2048, 4096), SpecificCharacterSet="ISO_IR 192", **attributes)
        ps.GraphicLayerSequence = Sequence([item(GraphicLayer="L", GraphicLayerOrder=1)])
        ps.GraphicAnnotationSequence = Sequence([item(GraphicLayer="L", GraphicObjectSequence=Sequence(graphics), TextObjectSequence=Sequence(texts))])
        done = render(path, out, "--presentation-state", save(ps, work / "state.dcm"))
        assert done.returncode == 0, done.stderr
        return read_png(out)[..., 0]

    def graphic(kind, points, filled="N", units="PIXEL"):
        return item(GraphicAnnotationUnits=units, GraphicDimensions=2, NumberOfGraphicPoints=len(points) // 2, GraphicData=[float(p) for p in points],
                    GraphicType=kind, GraphicFilled=filled)

    y, x = np.mgrid[0:200, 0:200] + 0.5
    box = drawn([graphic("POLYLINE", [50, 60, 150, 60, 150, 140, 50, 140, 50, 60], "Y")])
    compare("a filled polygon", (box > 127) & (np.abs(x - 100) < 48) & (np.abs(y - 100) < 38), (np.abs(x - 100) < 48) & (np.abs(y - 100) < 38), 0)
    assert not box[(np.abs(x - 100) > 52) | (np.abs(y - 100) > 42)].any()
    disc = drawn([graphic("CIRCLE", [100, 100, 140, 100], "Y")]) > 127
    radius = np.hypot(x - 100, y - 100)
    assert disc[radius < 39].all() and not disc[radius > 42].any()
    ellipse = drawn([graphic("ELLIPSE", [40, 100, 160, 100, 100, 70, 100, 130], "Y")]) > 127
    inside = np.hypot((x - 100) / 60, (y - 100) / 30)
    assert ellipse[inside < 0.95].all() and not ellipse[inside > 1.07].any()
    turned = drawn([graphic("POLYLINE", [10, 20, 60, 20])], ImageRotation=90, ImageHorizontalFlip="N")
    assert turned[15:55, 179:181].min() > 100 and not turned[:, :150].any()  # (x, y) goes to (200 - y, x)
    assert drawn([graphic("POLYLINE", [0, 0.5, 1, 0.5], units="DISPLAY")])[99:101, 5:195].max(axis=0).all()
    for kind, n in ("POINT", 1), ("MULTIPOINT", 5), ("INTERPOLATED", 6):
        assert drawn([graphic(kind, [float(20 + 13 * i) for i in range(2 * n)])]).any(), kind
    nothing = drawn([graphic("POLYLINE", [float("nan"), 1, 2, 3]), graphic("CIRCLE", [1e30, 1, 2, 3]), graphic("ELLIPSE", [1, 2]), graphic("STAR", [1, 2, 3, 4])])
    assert not nothing.any()
    zigzag = [float(v) for i in range(16000) for v in ((i * 7919) % 200, (i * 104729) % 200)]
    drawn([graphic("POLYLINE", zigzag), graphic("POLYLINE", zigzag)])
    shown = {text: drawn(texts=[item(BoundingBoxAnnotationUnits="PIXEL", UnformattedTextValue=text, BoundingBoxTopLeftHandCorner=[20.0, 30.0],
                                     BoundingBoxBottomRightHandCorner=[180.0, 60.0], BoundingBoxTextHorizontalJustification="LEFT")]) for text in ("王", "东", "x" * 20000)}
    assert shown["王"].any() and shown["东"].any() and (shown["王"] != shown["东"]).any()
    assert not shown["王"][:, 60:].any() and not shown["王"][70:].any()
    assert render(path, out, "--annotate", "patient,technique").returncode == 0
    burnt = read_png(out)[..., 0]
    assert burnt[:80, :120].any() and burnt[120:, :120].any() and not burnt[:, 150:].any()
    of.PatientName = "Wang^XiaoDong"
    assert render(save(of, path), out, "--annotate", "patient").returncode == 0
    assert (read_png(out)[..., 0] != burnt)[:40].any(), "the Chinese name does not show"


def state_case(what, path, ps_path, work, allowed=1):
    out, theirs = work / "ours.png", work / "theirs.pgm"
    theirs.unlink(missing_ok=True)
    done = render(path, out, "--presentation-state", ps_path)
    if done.returncode != 0 or not peer("dcmp2pgm", "-p", ps_path, path, theirs):
        wrong.append(f"{what}: {done.stderr.strip() or 'dcmp2pgm fails'}")
        return
    compare(what, read_png(out), read_pnm(theirs), allowed)


# Files that DCMTK shows otherwise.
DIFFERENT = {}


def files(folder):
    """One file of each modality, transfer syntax and depth."""
    seen = set()
    for line in (folder / "index.tsv").read_text().splitlines()[1:]:
        fields = line.split("\t")
        path, kind = folder / fields[0], (fields[3][:2], fields[5], fields[9])
        if kind in seen or "hostile" in path.parts or not fields[6] or int(fields[1]) > BYTES_MAX:
            continue
        try:
            ds = pydicom.dcmread(path, stop_before_pixels=True)
        except Exception:
            continue
        gray = ds.get("PhotometricInterpretation", "").startswith("MONO")
        width = ds.get("WindowWidth", 0) or 0
        width = float(width[0] if isinstance(width, pydicom.multival.MultiValue) else width)
        if "Rows" not in ds or (gray and width < 1) or int(ds.get("NumberOfFrames") or 1) > 100:
            continue
        seen.add(kind)
        yield path, ds


def files_look_as_dcmtk_says(folder, work):
    compared = 0
    for path, ds in files(folder):
        name = str(path.relative_to(folder))
        theirs = work / "theirs.pnm"
        theirs.unlink(missing_ok=True)
        voi = ("+Wl", "1") if "VOILUTSequence" in ds else ("+Wi", "1")
        tools = [tool for tool in ("dcmj2pnm", "dcml2pnm") if shutil.which(tool)] or ["dcm2pnm"]
        if ds.get("Modality") == "SEG" or not any(peer(tool, "+op", *voi, path, theirs) and theirs.exists() for tool in tools):
            continue
        done = render(path, work / "ours.png", "--aspect", "off")
        if done.returncode != 0:
            wrong.append(f"{name}: {done.stderr.strip()}")
            continue
        compared += 1
        if name not in DIFFERENT:
            compare(name, read_png(work / "ours.png"), read_pnm(theirs))
    print(f"{compared} files compared")


def main():
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        overlays(work)
        presentation_states(work)
        shutters(work)
        annotations(work)
        if (gantry.DATA / "dicom").exists():
            files_look_as_dcmtk_says(gantry.DATA / "dicom", work)
    assert not wrong, "\n".join(wrong)


main()
