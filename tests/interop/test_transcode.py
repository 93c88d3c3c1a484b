#!/usr/bin/env python3
"""Objects go through every lossless transfer syntax and back without a pixel or an attribute changed but those that tell of the form, and other toolkits
read what is written. GANTRY_TRANSCODE=all takes every object of the reference data instead of one of each kind."""
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry

EVERYTHING = os.environ.get("GANTRY_TRANSCODE") == "all"
BYTES_MAX = 64 << 20 if EVERYTHING else 300_000
SHARE = 1 if EVERYTHING else 4  # of the objects that each transfer syntax gets: all, or every fourth, others for each
PEERS_SHARE = 1 if EVERYTHING else 3  # of what was written, which peers are given; dciodvfy gets half of them
UIDS = {
    "implicit-le": "1.2.840.10008.1.2", "explicit-le": "1.2.840.10008.1.2.1", "big-endian": "1.2.840.10008.1.2.2", "deflated": "1.2.840.10008.1.2.1.99",
    "encapsulated": "1.2.840.10008.1.2.1.98", "deflated-frame": "1.2.840.10008.1.2.8.1", "rle": "1.2.840.10008.1.2.5",
    "jpeg-lossless": "1.2.840.10008.1.2.4.57", "jpeg-lossless-sv1": "1.2.840.10008.1.2.4.70", "jpeg-ls": "1.2.840.10008.1.2.4.80",
    "j2k-lossless": "1.2.840.10008.1.2.4.90", "htj2k-lossless": "1.2.840.10008.1.2.4.201", "htj2k-rpcl": "1.2.840.10008.1.2.4.202",
}
NATIVE = ("implicit-le", "explicit-le", "big-endian", "deflated")
# Who reads what we wrote: its command, given source and destination.
PEERS = {
    "rle": ["dcmdrle"], "jpeg-lossless": ["dcmdjpeg", "+cn"], "jpeg-lossless-sv1": ["dcmdjpeg", "+cn"], "jpeg-ls": ["dcmdjpls"],
    "j2k-lossless": ["gdcmconv", "--raw"],
}
PHOTOMETRIC, PLANAR, ALLOCATED, PIXELS = "00280004", "00280006", "00280100", "7FE00010"


def run(*command):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, errors="replace")


def transcode(files, to, out, *options):
    """Converts many at once; what was refused, by name."""
    out.mkdir(exist_ok=True)
    done = run(gantry.GANTRY, "transcode", *files, "--to", to, "--out", f"{out}/", *options)
    assert done.returncode in (0, 65), (to, done.returncode, done.stderr)
    refused = {}
    for line in done.stderr.splitlines():
        name = next((f.name for f in files if f"{f.name}:" in line), None)
        assert name, f"a message that names no file: {line}"
        refused[name] = line
    for f in files:
        assert (out / f.name).exists() != (f.name in refused), f"{to} {f.name}: {refused.get(f.name, 'neither written nor refused')}"
    return refused


def attributes(files):
    """DICOM JSON of each, by name."""
    if not files:
        return {}
    done = run(gantry.GANTRY, "json", *files)
    assert done.returncode == 0, done.stderr
    return {f.name: json.loads(line) for f, line in zip(files, done.stdout.splitlines(), strict=True)}


def pixels(attributes):
    return base64.b64decode(attributes.get(PIXELS, {}).get("InlineBinary", ""))


def planes_together(attributes, data):
    """Colour by plane as colour by pixel: the form in which encoders leave it."""
    rows, columns, bits = (attributes[t]["Value"][0] for t in ("00280010", "00280011", "00280100"))
    n, plane = bits // 8, rows * columns * bits // 8
    out = bytearray(len(data))
    for at in range(0, len(data) - 3 * plane + 1, 3 * plane):
        for s in range(3):
            for b in range(n):
                out[at + s * n + b:at + 3 * plane:3 * n] = data[at + s * plane + b:at + (s + 1) * plane:n]
    return bytes(out)


def halves_spread(data):
    """YBR_FULL_422 as YBR_FULL (8 bits): the chrominance of two pixels for each of them."""
    out = bytearray(len(data) // 4 * 6)
    for to, at in enumerate((0, 2, 3, 1, 2, 3)):
        out[to::6] = data[at:len(data) // 4 * 4:4]
    return bytes(out)


AMBIGUOUS = {"00283006"}  # LUT Data: US or OW


def unregistered(item):
    """Tags that a reader of implicit VR knows nothing of, at any depth."""
    inside = [unregistered(v) for el in item.values() if el["vr"] == "SQ" for v in el.get("Value", [])]
    return {tag for tag, el in item.items() if el["vr"] == "UN"}.union(*inside)


def as_implicit(item, unknown):
    """What implicit VR carries: neither the VR of private attributes nor which of US and SS or of OB and OW it is; who reads it guesses."""
    out = {}
    for tag, el in item.items():
        if int(tag[3], 16) % 2 == 0 and el["vr"] not in ("US", "SS") and tag not in AMBIGUOUS | unknown:
            out[tag] = {**el, "vr": "OW" if el["vr"] == "OB" else el["vr"]}
            if el["vr"] == "SQ":
                out[tag]["Value"] = [as_implicit(v, unknown) for v in el.get("Value", [])]
    return out


def brought(name, before, after):
    """The pixels of before in the form that after declares, and the tags that declare it: what a conversion may change, and no more."""
    data, declared = pixels(before), {PIXELS}
    value = lambda item, tag: item.get(tag, {}).get("Value", [None])[0]
    if value(before, PHOTOMETRIC) != value(after, PHOTOMETRIC):
        assert (value(before, PHOTOMETRIC), value(after, PHOTOMETRIC)) == ("YBR_FULL_422", "YBR_FULL"), f"{name}: photometric interpretation"
        data = halves_spread(data)
        declared.add(PHOTOMETRIC)
    if value(before, PLANAR) != value(after, PLANAR):
        assert value(before, PLANAR) == 1, f"{name}: planar configuration"
        data = planes_together(before, data)
        declared.add(PLANAR)
    if value(before, ALLOCATED) == 1 and value(after, ALLOCATED) == 8:
        data = bytes(byte >> bit & 1 for byte in data for bit in range(8))[:len(pixels(after))]  # codings without single bits
        declared.add(ALLOCATED)
    return data, declared


def compare(name, before, after):
    """Nothing but the form of the pixels may differ, and the pixels themselves are the same."""
    if name.startswith("implicit-le"):
        unknown = unregistered(after)
        before, after = as_implicit(before, unknown), as_implicit(after, unknown)
    data, declared = brought(name, before, after)
    for tag in before.keys() | after.keys():
        if tag not in declared and not (tag.endswith("0000") or tag == "00080001"):
            assert before.get(tag) == after.get(tag), f"{name}: {tag} was {str(before.get(tag))[:200]}, is {str(after.get(tag))[:200]}"
    if len(data) - len(pixels(after)) > 0 and not any(data[len(pixels(after)):]):
        data = data[:len(pixels(after))]  # zeros that filled up the value behind the last frame
    assert data == pixels(after)[:len(data)], f"{name}: other pixels"
    assert len(pixels(after)) - len(data) in (0, 1), f"{name}: {len(pixels(after))} bytes of pixels, {len(data)} were there"


def wanted():
    """One object of each kind: transfer syntax, class, depth, frames."""
    root = gantry.need_data("dicom")
    seen, files = set(), []
    for line in (root / "index.tsv").read_text().splitlines()[1:]:
        path, size, _, modality, sop, ts, rows, columns, frames, bits, _, _ = (line.split("\t") + [""] * 12)[:12]
        kind = (ts, bits, frames not in ("", "0", "1"), sop if not rows else modality in ("US", "SEG", "RTDOSE"))
        if not ts or path.startswith("hostile/") or int(size) > BYTES_MAX or (kind in seen and not EVERYTHING):
            continue
        seen.add(kind)
        files.append(root / path)
    return files


def named(files, folder):
    """Copies under names that are each other's like nowhere."""
    folder.mkdir()
    out = []
    for i, f in enumerate(files):
        out.append(folder / f"{i:04d}-{f.name.replace(' ', '_')}")
        shutil.copyfile(f, out[-1])
    return out


# What cannot be read, by name, and why.
UNREADABLE = {
    "generated_encapsulated_defined_bot_1_to_1.dcm": "its fragments are no codestreams", "generated_encapsulated_defined_bot_2_to_2.dcm": "the same",
    "GH364.dcm": "an item outside a sequence", "genFile.dcm": "native pixels under JPEG Baseline", "DICOMDIR": "refers to itself by offsets",
    "DICOMDIR-bigEnd": "the same", "DICOMDIR-implicit": "the same", "wklist10.wl": "no SOP UIDs", "issue49-latin1.wl": "no SOP UIDs",
    "priv_SQ.dcm": "no SOP UIDs", "JLSL_RGB_ILV1.dcm": "no SOP UIDs",
}

# What a transfer syntax has no place for, each by the standard or by the coding; the words are those of the message.
REFUSALS = ("only for objects with pixel data", "never encapsulated", "bits", "signed", "video", "no decoder", "would end at byte")


def check_refusals(to, refused):
    for name, line in refused.items():
        assert any(word in line.lower() for word in REFUSALS), f"{to}: {line}"


def check_peer(to, path, before, scratch):
    """The pixels that another toolkit decodes from ours."""
    out = scratch / "peer.dcm"
    out.unlink(missing_ok=True)
    done = run(*PEERS[to], path, out)
    if done.returncode != 0 or not out.exists():
        return f"{PEERS[to][0]} {path.name}: {done.stderr.strip()[-200:]}"
    after = attributes([out])[out.name]
    if after.get(PLANAR, {}).get("Value") == [1] != before.get(PLANAR, {}).get("Value"):  # dcmdrle
        before, after = after, before
    data, _ = brought(path.name, before, after)
    if before[ALLOCATED]["Value"] == [16] and after[ALLOCATED]["Value"] == [8] and not any(data[1::2]):  # GDCM: a cell as wide as the codestream's samples
        data = data[::2]
    n = min(len(data), len(pixels(after)))
    return None if n and pixels(after)[:n] == data[:n] else f"{PEERS[to][0]} {path.name}: other pixels"


# Peers that do not read what they should, and why ours is right.
PEERS_FAIL = {
    "liver_expb.dcm": "dcmdrle takes no single bits, which PS3.5 8.2.2 allows", "liver_deflate.dcm": "the same", "liver_rle.dcm": "the same",
    "liver_1frame.dcm": "the same", "liver_expb_1frame.dcm": "the same", "seg_image_ct_binary_overlap.dcm": "the same",
    "seg_image_ct_binary_single_frame.dcm": "the same", "seg_image_sm_dots_tiled_full.dcm": "the same", "reference_seg.dcm": "the same",
    "seg_image_sm_control_labelmap.dcm": "GDCM does not know the class",
    "MultiframeWindowing.dcm": "no Pixel Representation: dcmdjpeg refuses it, and dcmcjpeg the original",
    "GH355.dcm": "GDCM does not read the original", "UnknownSopClassUid.dcm": "GDCM does not know the class",
    "I341-newConfig.dcm": "GDCM does not write an object without SOP Class UID",
    "SC_rgb_16bit_2frame.dcm": "GDCM does not write it", "SC_rgb_expb_16bit_2frame.dcm": "GDCM does not write it",
}


def errors_of(path):
    done = run("dciodvfy", path)
    if done.returncode < 0:  # native pixels of 32 bits make it abort, before or after it found something
        return None
    return {line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error") and "Illegal root for UID" not in line}


def lossless(base, scratch):
    """Through every lossless transfer syntax and back; who else reads it."""
    known, counts = attributes(base), {}
    for number, to in enumerate(t for t in UIDS if t != "explicit-le"):
        some = base[number % SHARE::SHARE]
        refused = transcode(some, to, scratch / to)
        there = [scratch / to / f.name for f in some if f.name not in refused]
        check_refusals(to, refused)
        counts[to] = len(there)
        check_refusals(to, transcode(there, "explicit-le", scratch / f"{to}-back"))
        for name, back in attributes([scratch / f"{to}-back" / f.name for f in there]).items():
            try:
                compare(f"{to} {name}", known[name], back)
            except AssertionError as wrong:
                if not EVERYTHING:
                    raise
                print(wrong)
        for f in there[::PEERS_SHARE] if to in PEERS else []:
            problem = check_peer(to, f, known[f.name], scratch)
            if EVERYTHING and problem:
                print(problem)
            assert EVERYTHING or not problem or f.name.split("-", 1)[1] in PEERS_FAIL, problem
        for f in there[::PEERS_SHARE * 2] if to in PEERS else []:
            before, now = errors_of(scratch / "base" / f.name), errors_of(f)
            new = None if before is None or now is None else now - before
            if EVERYTHING and new:
                print(f"{to} {f.name}: dciodvfy finds {new}")
            assert EVERYTHING or not new, f"{to} {f.name}: dciodvfy finds {new}"
        shutil.rmtree(scratch / to)
        shutil.rmtree(scratch / f"{to}-back")
    print(len(base), "objects:", ", ".join(f"{to} {n}" for to, n in counts.items()))


def texts(attributes, tag):
    return attributes.get(tag, {}).get("Value", [])


UID, TYPE, LOSSY, RATIO, METHOD, SOURCES = "00080018", "00080008", "00282110", "00282112", "00282114", "00082112"


def lossy_is_told(scratch):
    """A lossy result is a new image that says how it came to be; history is appended to and never taken back."""
    root = gantry.need_data("dicom")
    name, color = root / "pydicom__pydicom/test_files/MR_small_RLE.dcm", root / "Enet4__dicom-test-files/pydicom/color-px.dcm"
    for to, source, method in (("j2k", name, "ISO_15444_1"), ("jpeg-ls-near", name, "ISO_14495_1"), ("jpeg", color, "ISO_10918_1"), ("htj2k", name, "ISO_15444_15")):
        out = scratch / "lossy"
        assert not transcode([source], to, out, "--verify")
        before, after = attributes([source])[source.name], attributes([out / source.name])[source.name]
        assert texts(after, LOSSY) == ["01"] and texts(after, METHOD) == [method] and float(texts(after, RATIO)[0]) > 1.2, (to, texts(after, RATIO))
        assert texts(after, TYPE)[0] == "DERIVED" and texts(after, TYPE)[1:] == texts(before, TYPE)[1:]
        assert texts(after, UID) != texts(before, UID) and texts(after, SOURCES)[0]["00081155"]["Value"] == texts(before, UID)
        assert to == "htj2k" or not (errors_of(out / source.name) or set()) - errors_of(source), to  # dciodvfy does not know it
        assert not transcode([source], to, scratch / "again")
        assert texts(attributes([scratch / "again" / source.name])[source.name], UID) == texts(after, UID), "the same conversion is the same instance"
        assert not transcode([out / source.name], "j2k-lossless", scratch / "again")
        once = attributes([scratch / "again" / source.name])[source.name]
        assert all(texts(once, t) == texts(after, t) for t in (UID, LOSSY, RATIO, METHOD)), "lossless compression of a lossy image adds nothing and hides nothing"
        assert not transcode([out / source.name], "j2k", scratch / "twice") or to == "j2k"
        if to != "j2k":
            twice = attributes([scratch / "twice" / source.name])[source.name]
            assert texts(twice, METHOD) == [method, "ISO_15444_1"] and len(texts(twice, RATIO)) == 2
    assert not transcode([name], "j2k", scratch / "kept", "--keep-uid")
    assert texts(attributes([scratch / "kept" / name.name])[name.name], UID) == texts(attributes([name])[name.name], UID)
    assert not transcode([name], "rle", scratch / "kept", "--new-uid")
    assert texts(attributes([scratch / "kept" / name.name])[name.name], UID) != texts(attributes([name])[name.name], UID)


def unsaid_loss_is_told(scratch):
    """An object in JPEG Baseline that says nothing of a loss says so once the transfer syntax no longer does."""
    root = gantry.need_data("dicom")
    source = root / "fo-dicom__fo-dicom" / "HasFragmentSequence.dcm"
    assert texts(attributes([source])[source.name], LOSSY) != ["01"]
    assert not transcode([source], "explicit-le", scratch / "unsaid")
    after = attributes([scratch / "unsaid" / source.name])[source.name]
    assert texts(after, LOSSY) == ["01"] and texts(after, METHOD) == ["ISO_10918_1"] and texts(after, UID) == texts(attributes([source])[source.name], UID)


def main():
    gantry.need_tools("dcmdrle", "dcmdjpeg", "dcmdjpls", "gdcmconv", "dciodvfy")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        scratch = Path(scratch)
        files = named(wanted(), scratch / "in")
        refused = transcode(files, "explicit-le", scratch / "base", "--verify")
        for name, line in refused.items():
            assert EVERYTHING or name.split("-", 1)[1] in UNREADABLE, line
            print(line[-220:] + "\n" if EVERYTHING else "", end="")
        base = [scratch / "base" / f.name for f in files if f.name not in refused]
        lossless(base, scratch)
        lossy_is_told(scratch)
        unsaid_loss_is_told(scratch)


if __name__ == "__main__":
    main()
